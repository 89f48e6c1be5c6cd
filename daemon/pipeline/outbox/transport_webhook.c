/* Webhooks: each event a POST of its JSON, signed. The receiver computes HMAC-SHA-256 with the shared secret over the
 * timestamp, a dot and the body, compares, and refuses what is older than it likes: a replay. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/http/hmac.h"
#include "base/memory.h"
#include "daemon/pipeline/outbox/transport.h"
#include "daemon/pipeline/shared/destinations.h"
#include "daemon/pipeline/shared/web_server.h"

#define EVENT_BYTES_MAX 65536U
#define ANSWER_BYTES_MAX 65536U

struct link {
  struct lvn_http *http;
  unsigned answer_seconds;
  char *secret;
};

static bool serves(const struct lvn_config_peer *peer) {
  return strcmp(peer->protocol, LVN_WEBHOOK_PROTOCOL) == 0;
}

static void close_link(void *pointer) {
  struct link *link = pointer;
  lvn_http_close(link->http);
  lvn_http_forget_secret(link->secret);
  lvn_free(link);
}

static bool open_link(const struct lvn_outbox_route *route, const struct lvn_outbox_row *rows, size_t row_count,
                      void **ret_link, struct lvn_error *err) {
  const struct lvn_http_server server =
      lvn_web_server_of_webhook(&route->webhook, route->connect_seconds, route->answer_seconds);
  (void)rows;
  (void)row_count;
  struct link *link = lvn_alloc(1, sizeof *link, err);
  if (link == NULL) {
    return false;
  }
  link->answer_seconds = route->answer_seconds;
  if (!lvn_http_read_secret(route->webhook.secret_file, &link->secret, err) ||
      !lvn_http_open(&server, &link->http, err)) {
    close_link(link);
    return false;
  }
  *ret_link = link;
  return true;
}

/* Over "<timestamp>.<body>" */
static bool sign(const struct link *link, const char *timestamp, const char *body,
                 char ret_signature[LVN_HMAC_TEXT_BYTES], struct lvn_error *err) {
  LVN_AUTOFREE char *text = lvn_format(err, "%s.%s", timestamp, body);
  return text != NULL && lvn_hmac_sha256(link->secret, strlen(link->secret), text, strlen(text), ret_signature, err);
}

static bool post(const struct link *link, const struct lvn_outbox_row *row, const char *body,
                 struct lvn_http_answer *ret_answer, struct lvn_error *err) {
  char signature[LVN_HMAC_TEXT_BYTES];
  char timestamp[32];
  char lines[3][LVN_HMAC_TEXT_BYTES + 40];
  (void)snprintf(timestamp, sizeof timestamp, "%" PRId64, lvn_clock_wall_ms() / 1000);
  if (!sign(link, timestamp, body, signature, err)) {
    return false;
  }
  (void)snprintf(lines[0], sizeof lines[0], "Livervlm-Timestamp: %s", timestamp);
  (void)snprintf(lines[1], sizeof lines[1], "Livervlm-Signature: sha256=%s", signature);
  (void)snprintf(lines[2], sizeof lines[2], "Livervlm-Attempt: %" PRId64, row->attempt);
  const char *const headers[] = {lines[0], lines[1], lines[2], NULL};
  const struct lvn_http_request request = {.method = "POST",
                                           .path = "",
                                           .content_type = "application/json",
                                           .headers = headers,
                                           .segments = {{.data = body, .bytes = strlen(body)}},
                                           .segment_count = 1,
                                           .total_seconds = link->answer_seconds,
                                           .answer_bytes_max = ANSWER_BYTES_MAX};
  return lvn_http_request(link->http, &request, ret_answer, err);
}

/* Of a webhook whatever it answers but 2xx may pass: it is sent again while attempts are left. 410 says never again. */
static bool send_row(void *pointer, const struct lvn_outbox_row *row, struct lvn_outbox_answer *ret_answer) {
  const struct link *link = pointer;
  struct lvn_http_answer answer;
  struct lvn_error err = {0};
  LVN_AUTOFREE uint8_t *body = NULL;
  size_t bytes = 0;
  if (row->kind != LVN_OUTBOX_EVENT || !lvn_file_read(row->path, EVENT_BYTES_MAX, &body, &bytes, &err)) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_FAILED, -1, "%s",
                             row->kind != LVN_OUTBOX_EVENT ? "a webhook is told events only" : err.message);
    return true;
  }
  if (!post(link, row, (const char *)body, &answer, &err)) {
    lvn_outbox_transport_say(ret_answer, lvn_http_was_sent(link->http) ? LVN_SEND_UNKNOWN : LVN_SEND_RETRY, -1, "%s",
                             err.message);
    return false;
  }
  enum lvn_send_verdict verdict = answer.status / 100 == 2 ? LVN_SEND_STORED
                                  : answer.status == 410   ? LVN_SEND_FAILED
                                                           : LVN_SEND_RETRY;
  lvn_outbox_transport_say(ret_answer, verdict, answer.status,
                           verdict == LVN_SEND_STORED ? "told" : "the webhook answered %ld %s", answer.status,
                           lvn_http_status_name(answer.status));
  ret_answer->retry_after_seconds = answer.retry_after_seconds > 0 ? answer.retry_after_seconds : 0;
  lvn_http_answer_clear(&answer);
  return true;
}

const struct lvn_outbox_transport lvn_outbox_transport_webhook = {
    .name = "webhook", .serves = serves, .open = open_link, .send = send_row, .close = close_link};
