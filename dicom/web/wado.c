#include "dicom/web/wado.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/sha256.h"
#include "dicom/web/multipart.h"

#define PATH_BYTES 512

struct retrieval {
  const struct lvn_wado_handler *handler;
  const struct lvn_wado_limits *limits;
  struct lvn_multipart *multipart; /* NULL before the first byte */
  bool is_wanted;                  /* the part that is read is an object */
  size_t count;
  uint64_t object_bytes;
};

static bool begin(void *user_data, const char *content_type, struct lvn_error *err) {
  struct retrieval *retrieval = user_data;
  retrieval->is_wanted = content_type[0] == '\0' || lvn_http_is_type(content_type, "application/dicom");
  retrieval->object_bytes = 0;
  if (!retrieval->is_wanted) {
    return true;
  }
  if (retrieval->count == retrieval->limits->objects) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the server sends more than %zu objects", retrieval->limits->objects);
  }
  return retrieval->handler->begin(retrieval->handler->user_data, err);
}

static bool data(void *user_data, const void *bytes, size_t count, struct lvn_error *err) {
  struct retrieval *retrieval = user_data;
  if (!retrieval->is_wanted) {
    return true;
  }
  retrieval->object_bytes += count;
  if (retrieval->object_bytes > retrieval->limits->object_bytes) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the server sends an object of more than %llu bytes",
                         (unsigned long long)retrieval->limits->object_bytes);
  }
  return retrieval->handler->data(retrieval->handler->user_data, bytes, count, err);
}

static bool end(void *user_data, struct lvn_error *err) {
  struct retrieval *retrieval = user_data;
  if (!retrieval->is_wanted) {
    return true;
  }
  if (!retrieval->handler->end(retrieval->handler->user_data, err)) {
    return false;
  }
  retrieval->count++;
  return true;
}

static bool open_multipart(struct retrieval *retrieval, const char *content_type, struct lvn_error *err) {
  const struct lvn_multipart_handler handler = {.user_data = retrieval, .begin = begin, .data = data, .end = end};
  char boundary[LVN_MULTIPART_BOUNDARY_MAX + 2];
  if (!lvn_http_is_type(content_type, "multipart/related") ||
      !lvn_http_get_parameter(content_type, "boundary", boundary, sizeof boundary)) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the server sends no objects (%.100s)",
                         content_type[0] == '\0' ? "no Content-Type" : content_type);
  }
  return lvn_multipart_create(boundary, &handler, &retrieval->multipart, err);
}

static bool take(void *user_data, const char *content_type, const void *bytes, size_t count, struct lvn_error *err) {
  struct retrieval *retrieval = user_data;
  return (retrieval->multipart != NULL || open_multipart(retrieval, content_type, err)) &&
         lvn_multipart_feed(retrieval->multipart, bytes, count, err);
}

static bool check_status(const struct lvn_http_answer *answer, struct lvn_error *err) {
  if (answer->status == 200) {
    return true;
  }
  enum lvn_error_code code = LVN_ERROR_PROTOCOL;
  if (answer->status == 404 || answer->status == 410 || answer->status == 204) {
    code = LVN_ERROR_DATA;
  } else if (answer->status >= 500 || answer->status == 429 || answer->status == 408) {
    code = LVN_ERROR_IO;
  }
  return lvn_error_set(err, code, "the server answered %ld %s to a retrieval", answer->status,
                       lvn_http_status_name(answer->status));
}

bool lvn_wado_retrieve_url(struct lvn_http *http, const char *url, const struct lvn_wado_limits *limits,
                           const struct lvn_wado_handler *handler, size_t *ret_count, struct lvn_error *err) {
  struct lvn_http_answer answer = {0};
  struct retrieval retrieval = {.handler = handler, .limits = limits};
  const struct lvn_http_request request = {.method = "GET",
                                           .path = url,
                                           .accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=*",
                                           .total_seconds = limits->total_seconds,
                                           .answer_bytes_max = limits->total_bytes,
                                           .take = take,
                                           .user_data = &retrieval};
  bool good = lvn_http_request(http, &request, &answer, err);
  if (good) {
    good = check_status(&answer, err) &&
           (retrieval.multipart == NULL
                ? lvn_error_set(err, LVN_ERROR_PROTOCOL, "the server's answer to a retrieval is empty")
                : lvn_multipart_finish(retrieval.multipart, err));
    lvn_http_answer_clear(&answer);
  }
  lvn_multipart_destroy(retrieval.multipart);
  *ret_count = retrieval.count;
  return good;
}

bool lvn_wado_retrieve(struct lvn_http *http, const char *study_uid, const char *series_uid,
                       const char *sop_instance_uid, const struct lvn_wado_limits *limits,
                       const struct lvn_wado_handler *handler, size_t *ret_count, struct lvn_error *err) {
  char path[PATH_BYTES];
  *ret_count = 0;
  if (!lvn_uid_is_valid(study_uid) || (series_uid != NULL && !lvn_uid_is_valid(series_uid)) ||
      (sop_instance_uid != NULL && (series_uid == NULL || !lvn_uid_is_valid(sop_instance_uid)))) {
    return lvn_error_set(err, LVN_ERROR_DATA, "what is to be retrieved has no valid UID");
  }
  (void)snprintf(path, sizeof path, "studies/%s%s%s%s%s", study_uid, series_uid == NULL ? "" : "/series/",
                 series_uid == NULL ? "" : series_uid, sop_instance_uid == NULL ? "" : "/instances/",
                 sop_instance_uid == NULL ? "" : sop_instance_uid);
  return lvn_wado_retrieve_url(http, path, limits, handler, ret_count, err);
}
