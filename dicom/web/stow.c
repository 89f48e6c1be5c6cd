#include "dicom/web/stow.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "dicom/web/model.h"
#include "dicom/web/qido.h"

#define ANSWER_BYTES_MAX (1U << 20)
#define BOUNDARY_BYTES 40

/* Of PS3.18 I.2 */
#define FAILED_SOP_SEQUENCE "00081198"
#define REFERENCED_SOP_SEQUENCE "00081199"
#define REFERENCED_SOP_INSTANCE_UID "00081155"
#define FAILURE_REASON "00081197"
#define WARNING_REASON "00081196"

static bool make_boundary(char ret_boundary[BOUNDARY_BYTES], struct lvn_error *err) {
  uint8_t random[16];
  if (!lvn_file_random(random, sizeof random, err)) {
    return false;
  }
  int length = snprintf(ret_boundary, BOUNDARY_BYTES, "lvn-");
  for (size_t i = 0; i < sizeof random; i++) {
    length += snprintf(ret_boundary + length, BOUNDARY_BYTES - (size_t)length, "%02x", random[i]);
  }
  return true;
}

static const json_t *find_instance(const json_t *datasets, const char *sequence, const char *sop_instance_uid) {
  size_t i = 0;
  const json_t *dataset = NULL;
  json_array_foreach(datasets, i, dataset) {
    size_t j = 0;
    const json_t *item = NULL;
    char uid[80];
    json_array_foreach(lvn_model_get_items(dataset, sequence), j, item) {
      if (lvn_model_get_text(item, REFERENCED_SOP_INSTANCE_UID, uid, sizeof uid) &&
          strcmp(uid, sop_instance_uid) == 0) {
        return item;
      }
    }
  }
  return NULL;
}

/* A short piece of an answer that people may understand, without line ends. */
static void add_warning(struct lvn_stow_answer *answer, const char *warning) {
  size_t used = strlen(answer->message);
  if (warning[0] != '\0') {
    (void)snprintf(answer->message + used, sizeof answer->message - used, " (%.150s)", warning);
  }
}

/* False: the body says nothing of the instance. */
static bool read_body(const struct lvn_http_answer *http_answer, const char *sop_instance_uid,
                      struct lvn_stow_answer *answer) {
  struct lvn_error err;
  LVN_AUTOJSON json_t *datasets = NULL;
  if (http_answer->body_bytes == 0) {
    (void)lvn_copy(answer->message, sizeof answer->message, "the answer does not say what was stored");
    return false;
  }
  if (!lvn_model_parse(http_answer->content_type, http_answer->body, http_answer->body_bytes, &datasets, &err)) {
    (void)lvn_copy(answer->message, sizeof answer->message, err.message);
    return false;
  }
  const json_t *item = find_instance(datasets, FAILED_SOP_SEQUENCE, sop_instance_uid);
  if (item != NULL) {
    answer->outcome = LVN_STOW_REFUSED;
    answer->reason = (uint16_t)lvn_model_get_integer(item, FAILURE_REASON, 0x0110);
    (void)snprintf(answer->message, sizeof answer->message, "the server refused it: reason 0x%04X", answer->reason);
    return true;
  }
  item = find_instance(datasets, REFERENCED_SOP_SEQUENCE, sop_instance_uid);
  if (item == NULL) {
    (void)lvn_copy(answer->message, sizeof answer->message, "the answer does not name the object");
    return false;
  }
  answer->outcome = LVN_STOW_STORED;
  answer->reason = (uint16_t)lvn_model_get_integer(item, WARNING_REASON, 0);
  (void)snprintf(answer->message, sizeof answer->message, answer->reason == 0 ? "stored" : "stored: warning 0x%04X",
                 answer->reason);
  return true;
}

/* A success that names nothing: does the server have it? */
static void look_for_it(struct lvn_http *http, const struct lvn_stow_object *object, struct lvn_stow_answer *answer) {
  struct lvn_error err;
  bool found = false;
  answer->outcome = LVN_STOW_UNKNOWN;
  if (lvn_qido_has_instance(http, object->sop_instance_uid, &found, &err) && found) {
    answer->outcome = LVN_STOW_STORED;
    (void)lvn_copy(answer->message, sizeof answer->message,
                   "stored: the server finds it, although its answer did not say so");
  }
}

static void judge(struct lvn_http *http, const struct lvn_stow_object *object,
                  const struct lvn_http_answer *http_answer, struct lvn_stow_answer *answer) {
  answer->outcome = LVN_STOW_ANSWERED;
  answer->status = http_answer->status;
  answer->retry_after_seconds = http_answer->retry_after_seconds;
  const bool is_success = answer->status / 100 == 2;
  const bool has_list = is_success || answer->status == 409; /* PS3.18 table 10.5.3-1 */
  if (has_list && read_body(http_answer, object->sop_instance_uid, answer)) {
    add_warning(answer, http_answer->warning);
    return;
  }
  if (is_success) {
    look_for_it(http, object, answer);
    return;
  }
  (void)snprintf(answer->message, sizeof answer->message, "the server answered %ld %s", answer->status,
                 lvn_http_status_name(answer->status));
  add_warning(answer, http_answer->warning);
}

bool lvn_stow_store(struct lvn_http *http, const struct lvn_stow_object *object, unsigned total_seconds,
                    struct lvn_stow_answer *ret_answer, struct lvn_error *err) {
  struct lvn_http_answer answer = {0};
  char boundary[BOUNDARY_BYTES];
  char content_type[160];
  char begin[256];
  char end[BOUNDARY_BYTES + 16];
  *ret_answer = (struct lvn_stow_answer){.retry_after_seconds = -1};
  if (!make_boundary(boundary, err)) {
    return false;
  }
  (void)snprintf(content_type, sizeof content_type, "multipart/related; type=\"application/dicom\"; boundary=%s",
                 boundary);
  /* No transfer-syntax parameter: the file says it, and servers refuse a type that is not just application/dicom. */
  int begin_bytes = snprintf(begin, sizeof begin, "--%s\r\nContent-Type: application/dicom\r\n\r\n", boundary);
  int end_bytes = snprintf(end, sizeof end, "\r\n--%s--\r\n", boundary);
  const struct lvn_http_request request = {.method = "POST",
                                           .path = "studies",
                                           .accept = LVN_DICOM_JSON ", application/dicom+xml;q=0.5",
                                           .content_type = content_type,
                                           .segments = {{.data = begin, .bytes = (size_t)begin_bytes},
                                                        {.path = object->path},
                                                        {.data = end, .bytes = (size_t)end_bytes}},
                                           .segment_count = 3,
                                           .total_seconds = total_seconds,
                                           .answer_bytes_max = ANSWER_BYTES_MAX};
  if (!lvn_http_request(http, &request, &answer, err)) {
    if (!lvn_http_was_sent(http)) {
      return false;
    }
    ret_answer->outcome = LVN_STOW_UNKNOWN;
    (void)snprintf(ret_answer->message, sizeof ret_answer->message, "all of it was sent, but no answer came: %.300s",
                   err->message);
    return true;
  }
  judge(http, object, &answer, ret_answer);
  lvn_http_answer_clear(&answer);
  return true;
}
