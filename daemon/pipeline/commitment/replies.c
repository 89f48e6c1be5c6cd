/* As SCP: peers that asked whether this node keeps what they sent are told what the store holds. */
#include "daemon/pipeline/commitment/commitment_parts.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "dicom/net/services/storage.h"
#include "storage/commitment.h"

#define AGE_MAX_MS (INT64_C(24) * 3600 * 1000) /* that a peer is called for a report */
#define HELD_MS 200                            /* until an association that may report itself is looked at again */
#define WAITING_MS 100
#define WAITING_MAX 4096U
#define REQUESTS_PER_TICK 64U

/* ---- what the store holds ---- */

/* Acknowledged, and not in the index yet: to be judged when it is. */
static bool is_waiting(const struct lvn_file_names *paths, const struct lvn_commitment *request) {
  if (paths->count == WAITING_MAX) {
    return true; /* too many to look at: taken for granted */
  }
  for (size_t i = 0; i < paths->count; i++) {
    struct lvn_error ignored;
    struct lvn_reception_record record;
    if (!lvn_spool_read_record(paths->names[i], &record, &ignored)) {
      continue;
    }
    if (record.sop_instance_uid[0] == '\0') {
      return true; /* one that a power cut left without UIDs */
    }
    for (size_t k = 0; k < request->count; k++) {
      if (strcmp(request->references[k].sop_instance_uid, record.sop_instance_uid) == 0) {
        return true;
      }
    }
  }
  return false;
}

/* An object is kept when its bytes are there, not when the index remembers it. */
static bool judge(const struct lvn_commitment_module *module, struct lvn_commitment_reference *reference,
                  struct lvn_error *err) {
  struct lvn_commitment_held held;
  char path[LVN_PATH_BYTES];
  struct stat status;
  bool found = false;
  if (!lvn_commitment_look_up(module->needs.index, reference->sop_instance_uid, &held, &found, err)) {
    return false;
  }
  if (!found) {
    const bool is_stored = lvn_storage_stores_class(reference->sop_class_uid, module->needs.config->other_classes);
    reference->reason = is_stored ? LVN_COMMITMENT_NO_SUCH_INSTANCE : LVN_COMMITMENT_NO_SUCH_CLASS;
    return true;
  }
  if (!lvn_objects_path(module->needs.objects, held.sha256, path, err)) {
    return false;
  }
  if (stat(path, &status) != 0 || (int64_t)status.st_size != held.byte_count) {
    reference->reason = LVN_COMMITMENT_NO_SUCH_INSTANCE;
  } else {
    reference->reason =
        strcmp(held.sop_class_uid, reference->sop_class_uid) == 0 ? LVN_COMMITMENT_KEPT : LVN_COMMITMENT_CLASS_CONFLICT;
  }
  return true;
}

static bool put_answer(const struct lvn_commitment_module *module, const char *name, struct lvn_commitment *request,
                       struct lvn_error *err) {
  for (size_t i = 0; i < request->count; i++) {
    if (!judge(module, &request->references[i], err)) {
      return false;
    }
  }
  LVN_AUTOJSON json_t *answer = lvn_commitment_to_json(request, err);
  return answer != NULL && lvn_letters_put_answer(module->letters, name, answer, err);
}

/* ---- telling ---- */

static bool remove_both(const struct lvn_commitment_module *module, const char *name, struct lvn_error *err) {
  char answer_name[LVN_LETTER_NAME_BYTES];
  lvn_letters_answer_name(name, answer_name);
  return lvn_letters_remove(module->letters, name, err) && lvn_letters_remove(module->letters, answer_name, err);
}

static bool drop(const struct lvn_commitment_module *module, const char *name, const char *peer_name,
                 const char *transaction_uid, const char *reason, struct lvn_error *err) {
  lvn_log(LVN_LOG_WARNING, "event=commitment-not-reported peer=%s transaction=%s reason=\"%s\" action=dropped",
          peer_name, transaction_uid, reason);
  return remove_both(module, name, err);
}

static bool call(struct lvn_commitment_module *module, const struct lvn_config_peer *peer, const char *name,
                 const json_t *answer, struct lvn_error *err) {
  struct lvn_call *one = lvn_call_create(module->needs.config, peer, /* is_request= */ false, err);
  if (one == NULL) {
    return false;
  }
  (void)lvn_copy(one->letter_name, sizeof one->letter_name, name);
  if (!lvn_commitment_from_json(answer, &one->commitment, err) ||
      !lvn_errands_start(module->errands, &one->errand, err)) {
    lvn_call_destroy(&one->errand);
    return false;
  }
  return true;
}

static bool tell(struct lvn_commitment_module *module, const char *name, const char *peer_name, int64_t at_ms,
                 const struct lvn_commitment *request, const json_t *answer, struct lvn_error *err) {
  const struct lvn_config_peer *peer = lvn_config_find_peer(module->needs.config, peer_name);
  if (lvn_letters_is_held(module->letters, name)) {
    lvn_tick_at(&module->due_ms, lvn_tick_now_ms() + HELD_MS);
    return true;
  }
  if (peer == NULL || peer->host[0] == '\0' || peer->port == 0) {
    return drop(module, name, peer_name, request->transaction_uid,
                "the association ended, and the configuration has no host and port to call", err);
  }
  if (lvn_clock_wall_ms() - at_ms > AGE_MAX_MS) {
    return drop(module, name, peer_name, request->transaction_uid, "it could not be reached for 24 hours", err);
  }
  return module->stops || !lvn_lane_is_free(module, peer_name, /* is_request= */ false) ||
         call(module, peer, name, answer, err);
}

static bool take_letter(struct lvn_commitment_module *module, const struct lvn_file_names *waiting, const char *name,
                        struct lvn_error *err) {
  LVN_AUTOJSON json_t *content = NULL;
  LVN_AUTOJSON json_t *answer = NULL;
  LVN_AUTOCOMMITMENT struct lvn_commitment request = {0};
  struct lvn_error damage = {0};
  if (!lvn_letters_read(module->letters, name, &content, &damage)) {
    if (damage.code != LVN_ERROR_DATA) { /* its association has answered and removed it */
      return true;
    }
    return remove_both(module, name, err);
  }
  const char *peer_name = json_string_value(json_object_get(content, "peer"));
  if (peer_name == NULL || !lvn_commitment_from_json(content, &request, &damage)) {
    return remove_both(module, name, err);
  }
  if (!lvn_letters_find_answer(module->letters, name, &answer, &damage)) {
    answer = NULL; /* a damaged one is made anew */
  }
  if (answer != NULL) {
    return tell(module, name, peer_name, json_integer_value(json_object_get(content, "at")), &request, answer, err);
  }
  lvn_tick_at(&module->due_ms, lvn_tick_now_ms() + WAITING_MS);
  return is_waiting(waiting, &request) || put_answer(module, name, &request, err);
}

bool lvn_replies_tick(struct lvn_commitment_module *module, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names waiting = {0};
  if (!lvn_letters_list(module->letters, LVN_LETTER_REQUEST, &names, err) ||
      (names.count > 0 && !lvn_spool_list_new(module->needs.spool, WAITING_MAX, &waiting, err))) {
    return false;
  }
  /* A few a time, in turn: those of a peer that is away stay, and are many where it asked for much. */
  size_t at = 0;
  while (at < names.count && strcmp(names.names[at], module->reply_cursor) <= 0) {
    at++;
  }
  bool good = true;
  for (size_t i = 0; good && i < REQUESTS_PER_TICK && at < names.count; i++, at++) {
    good = take_letter(module, &waiting, names.names[at], err);
    (void)lvn_copy(module->reply_cursor, sizeof module->reply_cursor, names.names[at]);
  }
  if (at == names.count) {
    module->reply_cursor[0] = '\0';
  }
  if (names.count > REQUESTS_PER_TICK) {
    lvn_tick_at(&module->due_ms, lvn_tick_now_ms() + WAITING_MS);
  }
  return good;
}

bool lvn_replies_take(struct lvn_commitment_module *module, struct lvn_call *call, struct lvn_error *err) {
  char quoted[512];
  /* A peer that answers has heard it, and one that takes no report never will. */
  const bool is_over = call->is_answered || call->err.code == LVN_ERROR_DATA;
  lvn_lane_note(module, call->peer.name, /* is_request= */ false, is_over);
  if (call->is_answered) {
    lvn_log(call->status == LVN_STATUS_SUCCESS ? LVN_LOG_INFO : LVN_LOG_WARNING,
            "event=commitment-reported peer=%s transaction=%s objects=%zu status=0x%04x", call->peer.name,
            call->commitment.transaction_uid, call->commitment.count, (unsigned)call->status);
  } else {
    lvn_log(LVN_LOG_WARNING, "event=commitment-not-reported peer=%s transaction=%s reason=%s action=%s",
            call->peer.name, call->commitment.transaction_uid, lvn_log_quote(quoted, sizeof quoted, call->err.message),
            is_over ? "dropped" : "retry");
  }
  return !is_over || remove_both(module, call->letter_name, err);
}
