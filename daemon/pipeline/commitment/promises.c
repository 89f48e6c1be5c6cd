/* As SCU: what was sent is asked for, and what is reported brought into the index. */
#include "daemon/pipeline/commitment/commitment_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/sentfile.h"
#include "storage/commitment.h"

#define REPORTS_PER_TICK 64U
#define REFERENCES_MAX 256U /* of one request: what PACS take in practice is a few hundred */

/* ---- reports ---- */

static const char *describe_reason(uint16_t reason) {
  switch (reason) {
  case LVN_COMMITMENT_NO_SUCH_INSTANCE:
    return "does not have it";
  case LVN_COMMITMENT_OUT_OF_RESOURCES:
    return "lacks the resources";
  case LVN_COMMITMENT_NO_SUCH_CLASS:
    return "does not keep this SOP class";
  case LVN_COMMITMENT_CLASS_CONFLICT:
    return "has it with another SOP class";
  default:
    return "failed to process it";
  }
}

static enum lvn_commitment_verdict judge(uint16_t reason) {
  switch (reason) {
  case LVN_COMMITMENT_KEPT:
    return LVN_COMMITMENT_PROMISED;
  case LVN_COMMITMENT_NO_SUCH_INSTANCE:
  case LVN_COMMITMENT_PROCESSING_FAILURE:
  case LVN_COMMITMENT_OUT_OF_RESOURCES:
    return LVN_COMMITMENT_SEND_AGAIN;
  default:
    return LVN_COMMITMENT_REFUSED;
  }
}

/* For a rebuild of the index; one that is not noted is asked for again then. */
static void remember(const struct lvn_commitment_module *module, int64_t outbox_id) {
  struct lvn_error err;
  struct lvn_outbox_sent sent;
  bool found = false;
  if (!lvn_outbox_get_sent(module->needs.index, outbox_id, &sent, &found, &err) ||
      (found && !lvn_sentfile_append(module->needs.config, &sent, &err))) {
    lvn_log_error(LVN_LOG_WARNING, "commitment-not-noted", &err, "outbound=%lld", (long long)outbox_id);
  }
}

static bool apply_one(const struct lvn_commitment_module *module, const char *transaction_uid,
                      const struct lvn_commitment_reference *reference, size_t *count, struct lvn_error *err) {
  const struct lvn_config *config = module->needs.config;
  char message[LVN_INDEX_MESSAGE_BYTES] = "committed";
  int64_t outbox_id = 0;
  const struct lvn_commitment_said said = {.transaction_uid = transaction_uid,
                                           .sop_class_uid = reference->sop_class_uid,
                                           .sop_instance_uid = reference->sop_instance_uid,
                                           .verdict = judge(reference->reason),
                                           .message = message,
                                           .not_before_ms =
                                               lvn_clock_wall_ms() + 1000 * (int64_t)config->retry_first_seconds,
                                           .attempts_max = config->commitment_attempts_max};
  if (said.verdict != LVN_COMMITMENT_PROMISED) {
    (void)snprintf(message, sizeof message, "stored, but not committed: the destination %s (0x%04X)",
                   describe_reason(reference->reason), (unsigned)reference->reason);
  }
  if (!lvn_commitment_apply(module->needs.index, &said, &outbox_id, err)) {
    return false;
  }
  if (outbox_id != 0 && said.verdict == LVN_COMMITMENT_PROMISED) {
    remember(module, outbox_id);
  }
  if (outbox_id != 0) {
    (*count)++;
    lvn_log(said.verdict == LVN_COMMITMENT_PROMISED ? LVN_LOG_INFO : LVN_LOG_WARNING,
            "event=commitment outbound=%lld transaction=%s verdict=%s reason=0x%04x", (long long)outbox_id,
            transaction_uid,
            said.verdict == LVN_COMMITMENT_PROMISED     ? "committed"
            : said.verdict == LVN_COMMITMENT_SEND_AGAIN ? "send-again"
                                                        : "refused",
            (unsigned)reference->reason);
  }
  return true;
}

/* Failures go first: what is in both lists is not promised. What the report does not name is asked for again. */
static bool apply_all(const struct lvn_commitment_module *module, const struct lvn_commitment *report,
                      struct lvn_error *err) {
  const struct lvn_config *config = module->needs.config;
  size_t count = 0;
  for (int kept = 0; kept < 2; kept++) {
    for (size_t i = 0; i < report->count; i++) {
      const struct lvn_commitment_reference *reference = &report->references[i];
      const bool is_again = reference->reason == LVN_COMMITMENT_DUPLICATE_TRANSACTION;
      if ((reference->reason == LVN_COMMITMENT_KEPT) == (kept == 1) && !is_again &&
          !apply_one(module, report->transaction_uid, reference, &count, err)) {
        return false;
      }
    }
  }
  lvn_log(LVN_LOG_INFO, "event=commitment-applied transaction=%s objects=%zu of=%zu", report->transaction_uid, count,
          report->count);
  const struct lvn_commitment_close close = {.transaction_uid = report->transaction_uid,
                                             .message = "stored, but not committed: the report did not name it",
                                             .not_before_ms =
                                                 lvn_clock_wall_ms() + 1000 * (int64_t)config->retry_first_seconds,
                                             .is_counted = true,
                                             .attempts_max = config->commitment_attempts_max};
  return lvn_commitment_close(module->needs.index, &close, err);
}

/* The association of the request need not stay open any longer. */
static void end_stay(const struct lvn_commitment_module *module, const char *peer_name, const char *transaction_uid) {
  char name[64];
  lvn_call_name(peer_name, /* is_request= */ true, name);
  struct lvn_call *call = (struct lvn_call *)lvn_errands_find(module->errands, name);
  if (call != NULL && strcmp(call->commitment.transaction_uid, transaction_uid) == 0) {
    lvn_errand_end(&call->errand);
  }
}

/* A report for what was never asked, is over, or was asked of somebody else changes nothing. */
static bool take_report(const struct lvn_commitment_module *module, const char *peer_name,
                        const struct lvn_commitment *report, struct lvn_error *err) {
  struct lvn_index *index = module->needs.index;
  char destination[LVN_DESTINATION_BYTES];
  bool found = false;
  if (!lvn_commitment_find(index, report->transaction_uid, destination, &found, err)) {
    return false;
  }
  if (!found || strcmp(destination, peer_name) != 0) {
    lvn_log(LVN_LOG_WARNING, "event=commitment-ignored peer=%s transaction=%s reason=\"%s\"", peer_name,
            report->transaction_uid,
            found ? "another peer was asked" : "no such request waits: it is unknown, or was reported on before");
    return true;
  }
  if (!lvn_index_begin(index, err)) {
    return false;
  }
  if (!apply_all(module, report, err) || !lvn_index_commit(index, err)) {
    lvn_index_rollback(index);
    return false;
  }
  end_stay(module, peer_name, report->transaction_uid);
  return true;
}

static bool take_letter(const struct lvn_commitment_module *module, const char *name, struct lvn_error *err) {
  LVN_AUTOJSON json_t *content = NULL;
  LVN_AUTOCOMMITMENT struct lvn_commitment report = {0};
  const char *peer_name = NULL;
  if (lvn_letters_read(module->letters, name, &content, err)) {
    peer_name = json_string_value(json_object_get(content, "peer"));
  } else if (err->code != LVN_ERROR_DATA) {
    return false;
  }
  if (peer_name == NULL || !lvn_commitment_from_json(content, &report, err)) {
    lvn_log(LVN_LOG_WARNING, "event=letter-damaged name=%s action=removed", name);
  } else if (!take_report(module, peer_name, &report, err)) {
    return false;
  }
  return lvn_letters_remove(module->letters, name, err);
}

static bool take_reports(struct lvn_commitment_module *module, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  bool good = lvn_letters_list(module->letters, LVN_LETTER_REPORT, &names, err);
  for (size_t i = 0; good && i < names.count && i < REPORTS_PER_TICK; i++) {
    good = take_letter(module, names.names[i], err);
  }
  if (names.count > REPORTS_PER_TICK) {
    lvn_tick_at(&module->due_ms, lvn_tick_now_ms());
  }
  return good;
}

/* ---- requests ---- */

static bool close_late(const struct lvn_commitment_module *module, int64_t wall_ms, struct lvn_error *err) {
  const struct lvn_config *config = module->needs.config;
  char transaction_uid[LVN_UID_BYTES];
  char message[LVN_INDEX_MESSAGE_BYTES];
  (void)snprintf(message, sizeof message, "stored, but not committed: no report came within %u s",
                 config->commitment_seconds);
  for (;;) {
    if (!lvn_commitment_next_late(module->needs.index, wall_ms, transaction_uid, err)) {
      return false;
    }
    if (transaction_uid[0] == '\0') {
      return true;
    }
    const struct lvn_commitment_close close = {.transaction_uid = transaction_uid,
                                               .message = message,
                                               .not_before_ms = wall_ms,
                                               .is_counted = true,
                                               .attempts_max = config->commitment_attempts_max};
    lvn_log(LVN_LOG_WARNING, "event=commitment-late transaction=%s seconds=%u", transaction_uid,
            config->commitment_seconds);
    if (!lvn_commitment_close(module->needs.index, &close, err)) {
      return false;
    }
  }
}

static bool make_transaction_uid(char ret_uid[LVN_UID_BYTES], struct lvn_error *err) {
  uint8_t random[16];
  char digits[2 * sizeof random + 1];
  if (!lvn_file_random(random, sizeof random, err)) {
    return false;
  }
  for (size_t i = 0; i < sizeof random; i++) {
    (void)snprintf(digits + 2 * i, 3, "%02x", random[i]);
  }
  const char *const parts[] = {"transaction", digits};
  return lvn_uid_from_parts(parts, 2, ret_uid, err);
}

static bool start_call(struct lvn_commitment_module *module, struct lvn_call *call, const struct lvn_outbox_row *rows,
                       size_t count, struct lvn_error *err) {
  call->letters = module->letters;
  for (size_t i = 0; i < count; i++) {
    if (!lvn_commitment_add(&call->commitment, rows[i].sop_class_uid, rows[i].sop_instance_uid, 0, err)) {
      return false;
    }
  }
  return lvn_errands_start(module->errands, &call->errand, err);
}

/* Under a new transaction each time, which is in the index before the peer hears of it. */
static bool ask(struct lvn_commitment_module *module, const struct lvn_config_peer *peer, int64_t wall_ms,
                struct lvn_error *err) {
  const struct lvn_config *config = module->needs.config;
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  struct lvn_call *call = lvn_call_create(config, peer, /* is_request= */ true, err);
  if (call == NULL) {
    return false;
  }
  const struct lvn_commitment_ask wish = {.destination = peer->name,
                                          .transaction_uid = call->commitment.transaction_uid,
                                          .now_ms = wall_ms,
                                          .deadline_ms = wall_ms + 1000 * (int64_t)config->commitment_seconds,
                                          .rows_max = REFERENCES_MAX};
  bool good = make_transaction_uid(call->commitment.transaction_uid, err) &&
              lvn_commitment_open(module->needs.index, &wish, &rows, &count, err);
  if (good && count > 0) {
    good = start_call(module, call, rows, count, err);
    if (good) {
      lvn_log(LVN_LOG_DEBUG, "event=commitment-asked destination=%s transaction=%s objects=%zu", peer->name,
              call->commitment.transaction_uid, count);
      return true;
    }
    struct lvn_error ignored; /* its deadline ends it, too */
    const struct lvn_commitment_close close = {.transaction_uid = call->commitment.transaction_uid,
                                               .message = "stored; commitment not asked yet",
                                               .not_before_ms = wall_ms,
                                               .attempts_max = config->commitment_attempts_max};
    (void)!lvn_commitment_close(module->needs.index, &close, &ignored);
  }
  lvn_call_destroy(&call->errand);
  return good;
}

static bool ask_destination(struct lvn_commitment_module *module, const char *name, int64_t wall_ms,
                            struct lvn_error *err) {
  const struct lvn_config *config = module->needs.config;
  const struct lvn_config_peer *peer = lvn_config_find_peer(config, name);
  int64_t given_up = 0;
  if (peer == NULL || !peer->commitment) {
    lvn_log(LVN_LOG_NOTICE, "event=commitment-not-wanted destination=%s action=sent-is-enough", name);
    return lvn_commitment_want(module->needs.index, name, false, wall_ms, err);
  }
  const int64_t patience_ms = 1000 * (int64_t)config->commitment_seconds * (int64_t)config->commitment_attempts_max;
  if (!lvn_commitment_give_up(module->needs.index, name, wall_ms - patience_ms, &given_up, err)) {
    return false;
  }
  if (given_up > 0) {
    lvn_log(LVN_LOG_ERROR, "event=commitment-given-up destination=%s objects=%lld", name, (long long)given_up);
  }
  return module->stops || !lvn_lane_is_free(module, name, /* is_request= */ true) || ask(module, peer, wall_ms, err);
}

bool lvn_promises_tick(struct lvn_commitment_module *module, struct lvn_error *err) {
  char names[LVN_CONFIG_PEERS_MAX][LVN_DESTINATION_BYTES];
  const int64_t wall_ms = lvn_clock_wall_ms();
  size_t count = 0;
  int64_t due_ms = INT64_MAX;
  if (!take_reports(module, err) || !close_late(module, wall_ms, err) ||
      !lvn_commitment_list_wanted(module->needs.index, names, LVN_CONFIG_PEERS_MAX, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!ask_destination(module, names[i], wall_ms, err)) {
      return false;
    }
  }
  if (!lvn_commitment_next_due(module->needs.index, &due_ms, err)) {
    return false;
  }
  if (due_ms != INT64_MAX && due_ms > wall_ms) { /* what is due already waits for its lane, or for a call's end */
    lvn_tick_at(&module->due_ms, lvn_tick_now_ms() + due_ms - wall_ms);
  }
  return true;
}

/* ---- what came of a request ---- */

bool lvn_promises_take(struct lvn_commitment_module *module, struct lvn_call *call, struct lvn_error *err) {
  const struct lvn_config *config = module->needs.config;
  const char *transaction_uid = call->commitment.transaction_uid;
  const bool is_taken = call->is_answered && call->status == LVN_STATUS_SUCCESS;
  char message[LVN_INDEX_MESSAGE_BYTES];
  char quoted[LVN_INDEX_MESSAGE_BYTES + 64];
  lvn_lane_note(module, call->peer.name, /* is_request= */ true, is_taken);
  if (is_taken) {
    return lvn_commitment_say(module->needs.index, transaction_uid, "stored; commitment asked", err);
  }
  if (call->is_answered) {
    (void)snprintf(message, sizeof message,
                   "stored, but not committed: the destination answered the request with 0x%04X",
                   (unsigned)call->status);
  } else {
    (void)snprintf(message, sizeof message, "stored; commitment could not be asked: %.400s", call->err.message);
  }
  lvn_log(LVN_LOG_WARNING, "event=commitment-not-asked destination=%s transaction=%s objects=%zu reason=%s",
          call->peer.name, transaction_uid, call->commitment.count, lvn_log_quote(quoted, sizeof quoted, message));
  /* A destination that is away uses up no attempt, for a while (lvn_commitment_give_up()). */
  const struct lvn_commitment_close close = {.transaction_uid = transaction_uid,
                                             .message = message,
                                             .not_before_ms = lvn_clock_wall_ms(),
                                             .is_counted = call->is_answered || call->was_sent ||
                                                           call->err.code == LVN_ERROR_DATA,
                                             .attempts_max = config->commitment_attempts_max};
  return lvn_commitment_close(module->needs.index, &close, err);
}
