/* C-STORE: the objects of a batch over one association. */
#include "daemon/pipeline/outbox/transport.h"

#include "base/memory.h"
#include "dicom/net/services/scu.h"

struct link {
  struct lvn_scu *scu; /* NULL: nothing in the batch that C-STORE carries */
};

enum lvn_send_verdict lvn_outbox_transport_judge_cstore(uint16_t status) {
  switch (status) {
  case 0x0000: /* success */
  case 0x0001: /* warnings of PS3.7 annex C: the object was taken */
  case 0x0107:
  case 0x0116:
  case 0x0111: /* "duplicate SOP instance": our UIDs belong to one content, and its answer was lost the last time */
    return LVN_SEND_STORED;
  case 0x0110: /* processing failure: a database or disk behind the archive */
  case 0x0210: /* duplicate invocation: an archive that has not forgotten the message before */
  case 0x0213: /* resource limitation */
  case 0xFE00: /* cancelled */
    return LVN_SEND_RETRY;
  default:
    break;
  }
  if ((status & 0xF000U) == 0xB000) {
    return LVN_SEND_STORED;
  }
  return (status & 0xFF00U) == 0xA700 ? LVN_SEND_RETRY : LVN_SEND_FAILED;
}

const char *lvn_outbox_transport_describe_cstore(uint16_t status) {
  switch (status) {
  case 0x0110:
    return " (processing failure)";
  case 0x0111:
    return " (it has this object already)";
  case 0x0122:
    return " (SOP class not supported)";
  case 0x0124:
    return " (not authorized)";
  default:
    break;
  }
  switch (status & 0xFF00U) {
  case 0xA700:
    return " (out of resources)";
  case 0xA900:
    return " (data set does not match the SOP class)";
  default:
    break;
  }
  return (status & 0xF000U) == 0xC000 ? " (cannot understand)" : "";
}

static bool serves(const struct lvn_config_peer *peer) {
  return !lvn_config_is_dicomweb(peer) && lvn_config_is_reachable(peer);
}

static struct lvn_scu_file file_of(const struct lvn_outbox_row *row) {
  return (struct lvn_scu_file){.path = row->path,
                               .sop_class_uid = row->sop_class_uid,
                               .transfer_syntax_uid =
                                   row->transfer_syntax_uid[0] == '\0' ? NULL : row->transfer_syntax_uid};
}

static bool open_link(const struct lvn_outbox_route *route, const struct lvn_outbox_row *rows, size_t row_count,
                      void **ret_link, struct lvn_error *err) {
  const struct lvn_scu_peer peer = {
      .host = route->peer.host,
      .port = route->peer.port,
      .called_aet = route->peer.aet,
      .calling_aet = route->calling_aet,
      .connect_seconds = route->connect_seconds,
      .dimse_seconds = route->answer_seconds,
      .security = {.uses_tls = lvn_config_peer_uses_tls(&route->peer), .certificate = route->peer.certificate}};
  LVN_AUTOFREE struct link *link = lvn_alloc(1, sizeof *link, err);
  LVN_AUTOFREE struct lvn_scu_file *files = lvn_alloc(row_count, sizeof *files, err);
  size_t count = 0;
  if (link == NULL || files == NULL) {
    return false;
  }
  for (size_t i = 0; i < row_count; i++) {
    if (rows[i].kind == LVN_OUTBOX_OBJECT) {
      files[count++] = file_of(&rows[i]);
    }
  }
  if (count > 0 && !lvn_scu_open(&peer, files, count, &link->scu, err)) {
    return false;
  }
  *ret_link = lvn_steal(&link);
  return true;
}

static bool send_row(void *pointer, const struct lvn_outbox_row *row, struct lvn_outbox_answer *ret_answer) {
  const struct link *link = pointer;
  const struct lvn_scu_file file = file_of(row);
  struct lvn_error err = {0};
  uint16_t status = 0;
  if (row->kind != LVN_OUTBOX_OBJECT) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_FAILED, -1, "C-STORE carries DICOM objects only");
    return true;
  }
  if (lvn_scu_store(link->scu, &file, &status, &err)) {
    lvn_outbox_transport_say(ret_answer, lvn_outbox_transport_judge_cstore(status), status,
                             status == 0 ? "stored" : "the peer answered 0x%04X%s", status,
                             lvn_outbox_transport_describe_cstore(status));
    return true;
  }
  if (err.code == LVN_ERROR_DATA) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_FAILED, -1, "%s", err.message);
    return true;
  }
  if (lvn_scu_was_sent(link->scu)) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_UNKNOWN, -1, "all of it was sent, but no answer came: %.400s",
                             err.message);
  } else {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_RETRY, -1, "%s", err.message);
  }
  return false;
}

static void close_link(void *pointer) {
  struct link *link = pointer;
  lvn_scu_close(link->scu);
  lvn_free(link);
}

const struct lvn_outbox_transport lvn_outbox_transport_cstore = {
    .name = "C-STORE", .serves = serves, .open = open_link, .send = send_row, .close = close_link};
