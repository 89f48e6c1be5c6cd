/* STOW-RS: the objects of a batch over one connection, each in a request of its own. */
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "daemon/pipeline/outbox/transport.h"
#include "daemon/pipeline/shared/web_server.h"
#include "dicom/web/stow.h"

#define SLOWEST_BYTES_PER_SECOND 20000 /* an upload that is slower than a tenth of an old DSL line is given up */

struct link {
  struct lvn_http *http;
  unsigned answer_seconds;
  bool is_busy; /* the server asked to be left alone: nothing more of this batch is sent */
  struct lvn_outbox_answer busy;
};

static bool serves(const struct lvn_config_peer *peer) {
  return lvn_config_is_dicomweb(peer) && lvn_config_is_reachable(peer);
}

static bool open_link(const struct lvn_outbox_route *route, const struct lvn_outbox_row *rows, size_t row_count,
                      void **ret_link, struct lvn_error *err) {
  const struct lvn_http_server server =
      lvn_web_server_of_peer(&route->peer, route->connect_seconds, route->answer_seconds);
  (void)rows;
  (void)row_count;
  LVN_AUTOFREE struct link *link = lvn_alloc(1, sizeof *link, err);
  if (link == NULL || !lvn_http_open(&server, &link->http, err)) {
    return false;
  }
  link->answer_seconds = route->answer_seconds;
  *ret_link = lvn_steal(&link);
  return true;
}

/* What HTTP says where the answer names no object. */
enum lvn_send_verdict lvn_outbox_transport_judge_http(long status) {
  switch (status) {
  case 401: /* a token that ended is renewed by another program */
  case 408:
  case 425:
  case 429:
  case 500: /* as C-STORE's 0110, processing failure */
  case 502:
  case 503:
  case 504:
  case 507: /* as A700, out of resources */
    return LVN_SEND_RETRY;
  default:
    return LVN_SEND_FAILED;
  }
}

static const char *advise(long status) {
  switch (status) {
  case 401:
    return ": the login is wrong or has ended";
  case 403:
    return ": this login may not store";
  case 404:
  case 405:
    return ": is the peer's url the base of its DICOMweb services?";
  case 413:
    return ": it, or a proxy before it, limits the size of requests";
  default:
    return status / 100 == 3 ? ": redirects are not followed; set the peer's url to where it points" : "";
  }
}

static void translate(const struct lvn_stow_answer *stow, struct lvn_outbox_answer *answer) {
  switch (stow->outcome) {
  case LVN_STOW_STORED:
    lvn_outbox_transport_say(answer, LVN_SEND_STORED, stow->status, "%s", stow->message);
    break;
  case LVN_STOW_REFUSED:
    lvn_outbox_transport_say(answer, lvn_outbox_transport_judge_cstore(stow->reason), stow->status, "%s%s",
                             stow->message, lvn_outbox_transport_describe_cstore(stow->reason));
    break;
  case LVN_STOW_ANSWERED:
    lvn_outbox_transport_say(answer, lvn_outbox_transport_judge_http(stow->status), stow->status, "%s%s", stow->message,
                             advise(stow->status));
    break;
  case LVN_STOW_UNKNOWN:
    lvn_outbox_transport_say(answer, LVN_SEND_UNKNOWN, stow->status == 0 ? -1 : stow->status, "%s", stow->message);
    break;
  }
  answer->retry_after_seconds = stow->retry_after_seconds > 0 ? stow->retry_after_seconds : 0;
}

static bool send_row(void *pointer, const struct lvn_outbox_row *row, struct lvn_outbox_answer *ret_answer) {
  struct link *link = pointer;
  struct lvn_stow_answer answer;
  struct lvn_error err = {0};
  struct stat status;
  if (row->kind != LVN_OUTBOX_OBJECT) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_FAILED, -1, "STOW-RS carries DICOM objects only");
    return true;
  }
  if (link->is_busy) {
    *ret_answer = link->busy;
    return true;
  }
  const struct lvn_stow_object object = {.path = row->path, .sop_instance_uid = row->sop_instance_uid};
  const long bytes = stat(row->path, &status) == 0 ? (long)status.st_size : 0;
  const unsigned seconds = link->answer_seconds + (unsigned)(bytes / SLOWEST_BYTES_PER_SECOND);
  if (!lvn_stow_store(link->http, &object, seconds, &answer, &err)) {
    const bool is_ours = err.code == LVN_ERROR_DATA;
    lvn_outbox_transport_say(ret_answer, is_ours ? LVN_SEND_FAILED : LVN_SEND_RETRY, -1, "%s", err.message);
    return is_ours;
  }
  translate(&answer, ret_answer);
  link->is_busy = answer.status == 503 || answer.status == 429;
  link->busy = *ret_answer;
  return answer.status != 0; /* no answer: the rest would wait as long for none */
}

static void close_link(void *pointer) {
  struct link *link = pointer;
  lvn_http_close(link->http);
  lvn_free(link);
}

const struct lvn_outbox_transport lvn_outbox_transport_stow = {
    .name = "STOW-RS", .serves = serves, .open = open_link, .send = send_row, .close = close_link};
