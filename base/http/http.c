#include "base/http/http.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/http/http_text.h"
#include "base/memory.h"

#define HEADER_BYTES_MAX 65536U
#define OTHER_BODY_BYTES_MAX 65536U

struct lvn_http {
  CURL *curl;
  char url[LVN_HTTP_URL_BYTES]; /* without a slash at its end */
  char reason[CURL_ERROR_SIZE];
  unsigned idle_seconds;
  bool (*is_cancelled)(void *user_data);
  void *user_data;
  char *password; /* wiped at the end, as the token */
  char *token;
  /* Of the request that runs. */
  const struct lvn_http_request *request;
  struct lvn_http_answer *answer;
  struct lvn_error *err;
  bool is_failed; /* by us; *err says why */
  size_t header_bytes;
  uint64_t answer_bytes;
  size_t body_capacity;
  size_t segment;      /* being sent */
  uint64_t segment_at; /* its bytes that were sent */
  uint64_t body_bytes; /* of all segments */
  uint64_t sent_bytes;
  int fd;               /* of the segment's file */
  double moved_seconds; /* monotonic: when a byte last went in either direction */
  curl_off_t moved;     /* allow: libcurl's own type */
  bool was_sent;
};

static pthread_once_t started = PTHREAD_ONCE_INIT;
static bool has_started;

static void start_curl(void) {
  has_started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* ---- secrets ---- */

void lvn_http_forget_secret(char *secret) {
  if (secret != NULL) {
    explicit_bzero(secret, strlen(secret));
    lvn_free(secret);
  }
}

/* The first line. Only its owner may read the file, or root's group, as packages install such files. */
bool lvn_http_read_secret(const char *path, char **ret_secret, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot read the secret '%s'", path);
  }
  const mode_t forbidden = status.st_uid == 0 ? 027 : 077;
  if (!S_ISREG(status.st_mode) || (status.st_mode & forbidden) != 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "the secret '%s' can be read by others (chmod 600)", path);
  }
  char *text = lvn_alloc(LVN_HTTP_SECRET_BYTES, 1, err);
  if (text == NULL) {
    return false;
  }
  ssize_t count = read(fd, text, LVN_HTTP_SECRET_BYTES - 1);
  text[count > 0 ? count : 0] = '\0';
  text[strcspn(text, "\r\n")] = '\0';
  if (count <= 0 || text[0] == '\0' || strlen(text) == LVN_HTTP_SECRET_BYTES - 1) {
    lvn_http_forget_secret(text);
    return lvn_error_set(err, LVN_ERROR_USAGE, "the secret '%s' is empty, or not one line", path);
  }
  *ret_secret = text;
  return true;
}

static bool is_given(const char *text) {
  return text != NULL && text[0] != '\0';
}

static bool read_secrets(struct lvn_http *http, const struct lvn_http_server *server, struct lvn_error *err) {
  return (!is_given(server->password_file) || lvn_http_read_secret(server->password_file, &http->password, err)) &&
         (!is_given(server->token_file) || lvn_http_read_secret(server->token_file, &http->token, err));
}

/* ---- what libcurl calls ---- */

/* As each callback's return: nothing was taken. */
static size_t fail(struct lvn_http *http) {
  http->is_failed = true;
  return 0;
}

static bool open_segment(struct lvn_http *http) {
  const struct lvn_http_segment *segment = &http->request->segments[http->segment];
  if (http->fd >= 0 || segment->path == NULL) {
    return true;
  }
  http->fd = open(segment->path, O_RDONLY | O_CLOEXEC);
  return http->fd >= 0 || lvn_error_set(http->err, LVN_ERROR_DATA, "cannot read '%s'", segment->path);
}

/* 0: the segment is at its end; negative: *http->err says why. */
static ssize_t read_segment(struct lvn_http *http, char *data, size_t bytes) {
  const struct lvn_http_segment *segment = &http->request->segments[http->segment];
  if (!open_segment(http)) {
    return -1;
  }
  if (segment->path == NULL) {
    size_t left = segment->bytes - (size_t)http->segment_at;
    size_t count = left < bytes ? left : bytes;
    memcpy(data, (const char *)segment->data + http->segment_at, count);
    return (ssize_t)count;
  }
  ssize_t count = 0;
  do {
    count = read(http->fd, data, bytes);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    (void)lvn_error_set(http->err, LVN_ERROR_DATA, "cannot read '%s'", segment->path);
  }
  return count;
}

static size_t on_read(char *data, size_t size, size_t count, void *user_data) {
  struct lvn_http *http = user_data;
  while (http->segment < http->request->segment_count) {
    ssize_t got = read_segment(http, data, size * count);
    if (got < 0) {
      (void)fail(http);
      return CURL_READFUNC_ABORT;
    }
    if (got > 0) {
      http->segment_at += (uint64_t)got;
      http->sent_bytes += (uint64_t)got;
      return (size_t)got;
    }
    lvn_file_close_pointer(&http->fd);
    http->segment++;
    http->segment_at = 0;
  }
  return 0;
}

/* libcurl begins anew where a kept connection had died. */
static int on_seek(void *user_data, curl_off_t offset, int origin) { /* allow: libcurl's own type */
  struct lvn_http *http = user_data;
  if (offset != 0 || origin != SEEK_SET) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  lvn_file_close_pointer(&http->fd);
  http->segment = 0;
  http->segment_at = 0;
  http->sent_bytes = 0;
  return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *data, size_t size, size_t count, void *user_data) {
  struct lvn_http *http = user_data;
  size_t bytes = size * count;
  http->header_bytes += bytes;
  if (http->header_bytes > HEADER_BYTES_MAX) {
    (void)lvn_error_set(http->err, LVN_ERROR_DATA, "the answer's header is longer than %u bytes", HEADER_BYTES_MAX);
    return fail(http);
  }
  lvn_http_take_header(data, bytes, http->answer);
  return bytes;
}

static bool keep(struct lvn_http *http, const char *data, size_t bytes) {
  struct lvn_http_answer *answer = http->answer;
  while (answer->body_bytes + bytes + 1 > http->body_capacity) {
    if (!lvn_grow(&answer->body, &http->body_capacity, http->body_capacity, 1, SIZE_MAX / 2, http->err)) {
      return false;
    }
  }
  memcpy(answer->body + answer->body_bytes, data, bytes);
  answer->body_bytes += bytes;
  answer->body[answer->body_bytes] = '\0';
  return true;
}

static size_t on_body(char *data, size_t size, size_t count, void *user_data) {
  struct lvn_http *http = user_data;
  const struct lvn_http_request *request = http->request;
  size_t bytes = size * count;
  (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &http->answer->status);
  const bool is_wanted = http->answer->status == 200 || http->answer->status == 206;
  http->answer_bytes += bytes;
  if (is_wanted && http->answer_bytes > request->answer_bytes_max) {
    (void)lvn_error_set(http->err, LVN_ERROR_DATA, "the answer is longer than %llu bytes",
                        (unsigned long long)request->answer_bytes_max);
    return fail(http);
  }
  if (is_wanted && request->take != NULL) {
    return request->take(request->user_data, http->answer->content_type, data, bytes, http->err) ? bytes : fail(http);
  }
  if (!is_wanted && http->answer_bytes > OTHER_BODY_BYTES_MAX) {
    return http->answer_bytes > 64 * (uint64_t)OTHER_BODY_BYTES_MAX ? 0 : bytes; /* read past, but not for ever */
  }
  return keep(http, data, bytes) ? bytes : fail(http);
}

static int on_progress(void *user_data, curl_off_t down_all, curl_off_t down, curl_off_t up_all, /* allow: libcurl's */
                       curl_off_t up) {                                                          /* allow: libcurl's */
  struct lvn_http *http = user_data;
  double now = lvn_clock_monotonic_seconds();
  (void)down_all;
  (void)up_all;
  http->was_sent = http->body_bytes == (uint64_t)up;
  if (down + up != http->moved) {
    http->moved = down + up;
    http->moved_seconds = now;
  }
  if (http->is_cancelled != NULL && http->is_cancelled(http->user_data)) {
    (void)lvn_error_set(http->err, LVN_ERROR_TIMEOUT, "%s: this node stops", http->url);
    http->is_failed = true;
    return 1;
  }
  if (now - http->moved_seconds <= http->idle_seconds) {
    return 0;
  }
  (void)lvn_error_set(http->err, LVN_ERROR_TIMEOUT, "%s: no byte came or went for %u s", http->url, http->idle_seconds);
  http->is_failed = true;
  return 1;
}

/* ---- set up ---- */

static void set_trust(CURL *curl, const struct lvn_http_server *server) {
  (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  (void)curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "HIGH:!aNULL:!kRSA:!PSK:!SRP:!SHA1:@SECLEVEL=2");
  if (is_given(server->ca_file)) {
    (void)curl_easy_setopt(curl, CURLOPT_CAINFO, server->ca_file);
    (void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* these alone */
  }
  if (is_given(server->certificate_file)) {
    (void)curl_easy_setopt(curl, CURLOPT_SSLCERT, server->certificate_file);
    (void)curl_easy_setopt(curl, CURLOPT_SSLKEY,
                           is_given(server->key_file) ? server->key_file : server->certificate_file);
  }
}

static bool set_credentials(struct lvn_http *http, const struct lvn_http_server *server) {
  CURLcode code = CURLE_OK;
  if (http->token != NULL) {
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    code = curl_easy_setopt(http->curl, CURLOPT_XOAUTH2_BEARER, http->token);
  } else if (is_given(server->user)) {
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    (void)curl_easy_setopt(http->curl, CURLOPT_USERNAME, server->user);
    code = curl_easy_setopt(http->curl, CURLOPT_PASSWORD, http->password == NULL ? "" : http->password);
  }
  return code == CURLE_OK;
}

static void set_callbacks(struct lvn_http *http) {
  CURL *curl = http->curl;
  (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
  (void)curl_easy_setopt(curl, CURLOPT_READDATA, http);
  (void)curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
  (void)curl_easy_setopt(curl, CURLOPT_SEEKDATA, http);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
  (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
  (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static bool set_up(struct lvn_http *http, const struct lvn_http_server *server, struct lvn_error *err) {
  CURL *curl = http->curl;
  (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->reason);
  (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
  (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  (void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
  (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  (void)curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
  (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)server->connect_seconds);
  set_trust(curl, server);
  set_callbacks(http);
  return set_credentials(http, server) || lvn_error_set(err, LVN_ERROR_INTERNAL, "libcurl has no such login");
}

bool lvn_http_open(const struct lvn_http_server *server, struct lvn_http **ret_http, struct lvn_error *err) {
  (void)pthread_once(&started, start_curl);
  struct lvn_http *http = has_started ? lvn_alloc(1, sizeof *http, err) : NULL;
  if (http == NULL) {
    return has_started ? false : lvn_error_set(err, LVN_ERROR_INTERNAL, "libcurl does not start");
  }
  http->fd = -1;
  http->idle_seconds = server->idle_seconds;
  http->is_cancelled = server->is_cancelled;
  http->user_data = server->user_data;
  bool fits = lvn_copy(http->url, sizeof http->url, server->url);
  for (size_t length = strlen(http->url); length > 0 && http->url[length - 1] == '/'; length--) {
    http->url[length - 1] = '\0';
  }
  http->curl = curl_easy_init();
  if (!fits || http->curl == NULL) {
    (void)lvn_error_set(err, fits ? LVN_ERROR_NOMEM : LVN_ERROR_USAGE, "the URL is too long, or no memory");
    lvn_http_close(http);
    return false;
  }
  if (!read_secrets(http, server, err) || !set_up(http, server, err)) {
    lvn_http_close(http);
    return false;
  }
  *ret_http = http;
  return true;
}

void lvn_http_close(struct lvn_http *http) {
  if (http != NULL) {
    curl_easy_cleanup(http->curl);
    lvn_http_forget_secret(http->password);
    lvn_http_forget_secret(http->token);
    lvn_free(http);
  }
}

/* ---- a request ---- */

static bool count_body(struct lvn_http *http, struct lvn_error *err) {
  http->body_bytes = 0;
  for (size_t i = 0; i < http->request->segment_count; i++) {
    const struct lvn_http_segment *segment = &http->request->segments[i];
    struct stat status;
    if (segment->path == NULL) {
      http->body_bytes += segment->bytes;
    } else if (stat(segment->path, &status) == 0) {
      http->body_bytes += (uint64_t)status.st_size;
    } else {
      return lvn_error_set(err, LVN_ERROR_DATA, "cannot read '%s'", segment->path);
    }
  }
  return true;
}

static bool add_line(struct curl_slist **lines, struct lvn_error *err, const char *name, const char *value) {
  LVN_AUTOFREE char *line = lvn_format(err, "%s%s", name, value);
  struct curl_slist *longer = line == NULL ? NULL : curl_slist_append(*lines, line);
  if (longer == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for a request's header");
  }
  *lines = longer;
  return true;
}

static bool make_header(const struct lvn_http_request *request, struct curl_slist **lines, struct lvn_error *err) {
  bool good = add_line(lines, err, "Expect:", "") && /* no pause before a body */
              (request->accept == NULL || add_line(lines, err, "Accept: ", request->accept)) &&
              (request->content_type == NULL || add_line(lines, err, "Content-Type: ", request->content_type));
  for (const char *const *line = request->headers; good && line != NULL && *line != NULL; line++) {
    good = add_line(lines, err, *line, "");
  }
  return good;
}

static void set_method(const struct lvn_http *http, const struct lvn_http_request *request) {
  CURL *curl = http->curl;
  const bool has_body = request->content_type != NULL;
  (void)curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  if (has_body) {
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->body_bytes); /* allow: libcurl's */
  }
  (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static bool explain(const struct lvn_http *http, CURLcode code, struct lvn_error *err) {
  enum lvn_error_code kind = LVN_ERROR_IO;
  if (code == CURLE_OPERATION_TIMEDOUT) {
    kind = LVN_ERROR_TIMEOUT;
  } else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
             code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE || code == CURLE_WEIRD_SERVER_REPLY ||
             code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) {
    kind = LVN_ERROR_PROTOCOL;
  } else if (code == CURLE_OUT_OF_MEMORY) {
    kind = LVN_ERROR_NOMEM;
  }
  return lvn_error_set(err, kind, "%.200s: %.200s", http->url,
                       http->reason[0] != '\0' ? http->reason : curl_easy_strerror(code));
}

static bool perform(struct lvn_http *http, struct lvn_http_answer *ret_answer, struct lvn_error *err) {
  http->reason[0] = '\0';
  http->moved_seconds = lvn_clock_monotonic_seconds();
  CURLcode code = curl_easy_perform(http->curl);
  lvn_file_close_pointer(&http->fd);
  (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
  http->was_sent = http->was_sent || (code == CURLE_OK && http->sent_bytes == http->body_bytes);
  if (http->is_failed) {
    return false;
  }
  if (code == CURLE_OK) {
    return true;
  }
  return explain(http, code, err);
}

bool lvn_http_request(struct lvn_http *http, const struct lvn_http_request *request, struct lvn_http_answer *ret_answer,
                      struct lvn_error *err) {
  struct curl_slist *lines = NULL;
  char url[2 * LVN_HTTP_URL_BYTES];
  *ret_answer = (struct lvn_http_answer){.retry_after_seconds = -1};
  http->request = request;
  http->answer = ret_answer;
  http->err = err;
  http->is_failed = false;
  http->was_sent = false;
  http->header_bytes = 0;
  http->answer_bytes = 0;
  http->body_capacity = 0;
  http->moved = 0;
  (void)on_seek(http, 0, SEEK_SET);
  bool good = lvn_http_join(http->url, request->path, url, sizeof url, err) && count_body(http, err) &&
              make_header(request, &lines, err);
  if (good) {
    set_method(http, request);
    (void)curl_easy_setopt(http->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, lines);
    (void)curl_easy_setopt(http->curl, CURLOPT_TIMEOUT, (long)request->total_seconds);
    good = perform(http, ret_answer, err);
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
  }
  curl_slist_free_all(lines);
  if (!good) {
    lvn_http_answer_clear(ret_answer);
  }
  return good;
}

void lvn_http_answer_clear(struct lvn_http_answer *answer) {
  lvn_free(answer->body);
  answer->body = NULL;
  answer->body_bytes = 0;
}

bool lvn_http_was_sent(const struct lvn_http *http) {
  return http->was_sent;
}
