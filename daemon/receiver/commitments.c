#include "daemon/receiver/commitments.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

/* A peer that keeps the association open for the report is not kept waiting longer: the pipeline calls it then. */
#define FOLLOW_UP_SECONDS 10.0
#define POLL_SECONDS 0.05

/* Opened at the first message: hardly any association carries one. */
static bool put(struct lvn_commitments *commitments, const char *kind, const struct lvn_commitment *commitment,
                char *ret_name, int *ret_held_fd, struct lvn_error *err) {
  const struct lvn_config_peer *peer = lvn_store_get_peer(commitments->store);
  if (commitments->letters == NULL &&
      !lvn_letters_open(commitments->config->state_folder, &commitments->letters, err)) {
    return false;
  }
  LVN_AUTOJSON json_t *content = lvn_commitment_to_json(commitment, err);
  return content != NULL &&
         (json_object_set_new(content, "peer", json_string(peer->name)) == 0 ||
          lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a letter")) &&
         (json_object_set_new(content, "at", json_integer((json_int_t)lvn_clock_wall_ms())) == 0 ||
          lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a letter")) &&
         lvn_letters_put(commitments->letters, kind, content, ret_name, ret_held_fd, err);
}

static uint16_t take(struct lvn_commitments *commitments, const char *kind, const struct lvn_commitment *commitment,
                     char *ret_name, int *ret_held_fd) {
  struct lvn_error err;
  const char *assoc = lvn_store_get_association_id(commitments->store);
  const char *peer = lvn_store_get_peer(commitments->store)->name;
  if (!put(commitments, kind, commitment, ret_name, ret_held_fd, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "commitment-not-taken", &err, "assoc=%s peer=%s kind=%s", assoc, peer, kind);
    return err.code == LVN_ERROR_CONFLICT ? LVN_COMMITMENT_OUT_OF_RESOURCES : LVN_STATUS_PROCESSING_FAILURE;
  }
  lvn_log(LVN_LOG_INFO, "event=commitment-%s assoc=%s peer=%s transaction=%s objects=%zu", kind, assoc, peer,
          commitment->transaction_uid, commitment->count);
  return LVN_STATUS_SUCCESS;
}

static uint16_t take_report(void *user_data, const struct lvn_commitment *report) {
  return take(user_data, LVN_LETTER_REPORT, report, NULL, NULL);
}

static void let_go(struct lvn_commitments *commitments) {
  lvn_file_close_pointer(&commitments->held_fd);
  commitments->held_fd = -1;
}

static uint16_t take_request(void *user_data, const struct lvn_commitment *request) {
  struct lvn_commitments *commitments = user_data;
  let_go(commitments);
  return take(commitments, LVN_LETTER_REQUEST, request, commitments->name, &commitments->held_fd);
}

/* The answer has left: neither it nor its request is needed any more. */
static bool remove_letters(const struct lvn_commitments *commitments, struct lvn_error *err) {
  char answer_name[LVN_LETTER_NAME_BYTES];
  lvn_letters_answer_name(commitments->name, answer_name);
  return lvn_letters_remove(commitments->letters, commitments->name, err) &&
         lvn_letters_remove(commitments->letters, answer_name, err);
}

static bool send_answer(struct lvn_commitments *commitments, struct lvn_dimse *dimse, const json_t *answer,
                        struct lvn_error *err) {
  LVN_AUTOCOMMITMENT struct lvn_commitment report = {0};
  struct lvn_error ignored;
  uint16_t status = 0;
  if (!lvn_commitment_from_json(answer, &report, &ignored)) {
    return true; /* the pipeline's to see to */
  }
  if (!lvn_commitment_send_report(dimse, &report, &status, err)) {
    return false;
  }
  lvn_log(LVN_LOG_INFO, "event=commitment-reported assoc=%s peer=%s transaction=%s objects=%zu status=0x%04x",
          lvn_store_get_association_id(commitments->store), lvn_store_get_peer(commitments->store)->name,
          report.transaction_uid, report.count, (unsigned)status);
  if (status == LVN_STATUS_SUCCESS && !remove_letters(commitments, &ignored)) {
    lvn_log_error(LVN_LOG_WARNING, "letter-not-removed", &ignored, "action=reported-again");
  }
  return true;
}

/* As long as the peer is silent: what it asks next goes first, and what it leaves unheard is told by the pipeline. */
static bool follow_up(void *user_data, struct lvn_dimse *dimse, struct lvn_error *err) {
  struct lvn_commitments *commitments = user_data;
  const double until = lvn_clock_monotonic_seconds() + FOLLOW_UP_SECONDS;
  bool good = true;
  while (lvn_clock_monotonic_seconds() < until && !lvn_dimse_wait(dimse, POLL_SECONDS)) {
    LVN_AUTOJSON json_t *answer = NULL;
    struct lvn_error ignored;
    if (!lvn_letters_find_answer(commitments->letters, commitments->name, &answer, &ignored)) {
      break;
    }
    if (answer != NULL) {
      good = send_answer(commitments, dimse, answer, err);
      break;
    }
  }
  let_go(commitments);
  return good;
}

void lvn_commitments_init(struct lvn_commitments *commitments, const struct lvn_config *config,
                          const struct lvn_store *store) {
  *commitments = (struct lvn_commitments){.config = config, .store = store, .held_fd = -1};
  commitments->handler = (struct lvn_commitment_handler){.user_data = commitments, .take_report = take_report};
  if (config->answers_commitment) {
    commitments->handler.take_request = take_request;
    commitments->handler.follow_up = follow_up;
  }
}

void lvn_commitments_end(struct lvn_commitments *commitments) {
  let_go(commitments);
  lvn_letters_close(commitments->letters);
}
