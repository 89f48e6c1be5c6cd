#include "daemon/pipeline/outbox/outbox.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/outbox/notes.h"
#include "daemon/pipeline/outbox/sender.h"
#include "daemon/pipeline/outbox/sent.h"
#include "daemon/pipeline/shared/destinations.h"

/* DESIGN: a row in sending belongs to the lane of its destination, or to an answer that the index could not take yet.
 * Answers are kept in memory until it has them. A row in sending to a destination whose lane is idle, and of which no
 * answer waits, was lost on the way (no thread, no memory): the sweep queues it again without an attempt. */

#define RETRY_MS INT64_C(5000)
#define ANSWERS_MAX 65536U
#define DESTROY_SECONDS 10.0

struct lvn_outbox {
  struct lvn_outbox_needs needs;
  struct lvn_loop_source *source;
  struct lvn_sender *sender;
  struct lvn_sent *sent;             /* for the audit */
  struct lvn_sender_answer *answers; /* that the index does not have yet */
  size_t answer_count;
  size_t answer_capacity;
  struct lvn_notes notes;
  struct lvn_trouble trouble;
  struct lvn_trouble answer_trouble;
  struct lvn_stage stage;
  bool stops;
  int64_t due_ms;
  char names[LVN_OUTBOX_DESTINATIONS_MAX][LVN_DESTINATION_BYTES]; /* of a tick */
};

/* The tick that follows takes the answers. */
static void wake(void *user_data) {
  (void)user_data;
}

bool lvn_outbox_create(const struct lvn_outbox_needs *needs, struct lvn_outbox **ret_outbox, struct lvn_error *err) {
  struct lvn_outbox *outbox = lvn_alloc(1, sizeof *outbox, err);
  if (outbox == NULL) {
    return false;
  }
  outbox->needs = *needs;
  outbox->needs.transports = needs->transports == NULL ? lvn_outbox_transports : needs->transports;
  outbox->notes = (struct lvn_notes){.config = needs->config, .index = needs->index};
  if (!lvn_sent_create(&outbox->sent, err) || !lvn_sender_create(&outbox->sender, err) ||
      !lvn_loop_add_fd(needs->loop, lvn_sender_get_fd(outbox->sender), wake, outbox, &outbox->source, err)) {
    lvn_outbox_destroy(outbox);
    return false;
  }
  *ret_outbox = outbox;
  return true;
}

void lvn_outbox_destroy(struct lvn_outbox *outbox) {
  if (outbox != NULL) {
    lvn_loop_source_destroy(outbox->source);
    lvn_sender_destroy(outbox->sender, DESTROY_SECONDS);
    lvn_sent_destroy(outbox->sent);
    lvn_free(outbox->answers);
    lvn_free(outbox);
  }
}

const char *lvn_outbox_problem(const struct lvn_outbox *outbox) {
  return outbox->answer_trouble.text[0] != '\0' ? outbox->answer_trouble.text : outbox->trouble.text;
}

void lvn_outbox_stop(struct lvn_outbox *outbox) {
  outbox->stops = true;
}

void lvn_outbox_forget(struct lvn_outbox *outbox) {
  outbox->answer_count = 0;
}

size_t lvn_outbox_count_busy(const struct lvn_outbox *outbox) {
  return lvn_sender_count_busy(outbox->sender);
}

bool lvn_outbox_is_busy(const struct lvn_outbox *outbox, const char *destination) {
  return lvn_sender_is_busy(outbox->sender, destination);
}

struct lvn_stage lvn_outbox_get_stage(const struct lvn_outbox *outbox) {
  return outbox->stage;
}

int64_t lvn_outbox_backoff_ms(int64_t attempt, unsigned first_seconds, unsigned max_seconds) {
  int64_t seconds = first_seconds;
  for (int64_t i = 1; i < attempt && seconds < (int64_t)max_seconds; i++) {
    seconds *= 2;
  }
  return (seconds < (int64_t)max_seconds ? seconds : (int64_t)max_seconds) * 1000;
}

/* ---- answers ---- */

/* No more attempts, unless an operator asks. */
static bool gives_up(const struct lvn_outbox *outbox, const struct lvn_sender_answer *answer) {
  return answer->said.verdict == LVN_SEND_FAILED ||
         (answer->said.verdict != LVN_SEND_STORED && answer->attempt >= (int64_t)outbox->needs.config->retry_count_max);
}

/* Now: the key may have changed since it was posted. */
static bool wants_commitment(const struct lvn_config *config, const struct lvn_sender_answer *answer) {
  const struct lvn_config_peer *peer = lvn_config_find_peer(config, answer->destination);
  return peer != NULL && peer->commitment && answer->kind == LVN_OUTBOX_OBJECT;
}

static bool record(struct lvn_outbox *outbox, const struct lvn_sender_answer *answer, struct lvn_error *err) {
  const struct lvn_config *config = outbox->needs.config;
  int64_t now_ms = lvn_clock_wall_ms();
  int64_t wait_ms = lvn_outbox_backoff_ms(answer->attempt, config->retry_first_seconds, config->retry_max_seconds);
  if (answer->said.retry_after_seconds * 1000 > wait_ms) {
    wait_ms = answer->said.retry_after_seconds * 1000;
  }
  if (answer->said.verdict == LVN_SEND_STORED) {
    lvn_notes_remember(&outbox->notes, answer->outbox_id);
  }
  const struct lvn_outbox_finish finish = {.outbox_id = answer->outbox_id,
                                           .verdict = answer->said.verdict,
                                           .gives_up = gives_up(outbox, answer),
                                           .status = answer->said.status,
                                           .status_message = answer->said.message,
                                           .now_ms = now_ms,
                                           .not_before_ms = now_ms + wait_ms,
                                           .wants_commitment = wants_commitment(config, answer)};
  if (lvn_outbox_finish(outbox->needs.index, &finish, err)) {
    return true;
  }
  if (err->code != LVN_ERROR_CONFLICT) {
    return false;
  }
  /* It is in sending no more: an earlier try was recorded although it failed, or an operator was faster. */
  lvn_log_error(LVN_LOG_WARNING, "send-not-recorded", err, "outbound=%lld action=dropped",
                (long long)answer->outbox_id);
  return true;
}

static void complain(struct lvn_outbox *outbox, const struct lvn_sender_answer *answer, const struct lvn_error *err) {
  lvn_log_error(LVN_LOG_ERROR, "send-not-recorded", err, "outbound=%lld action=retry", (long long)answer->outbox_id);
  lvn_trouble_set(&outbox->answer_trouble, &outbox->due_ms, RETRY_MS,
                  "the answer of '%.40s' cannot be recorded: %.150s", answer->destination, err->message);
}

static void take_answer(struct lvn_outbox *outbox, struct lvn_sender_answer *answer) {
  struct lvn_error err;
  struct lvn_error full;
  char reason[LVN_INDEX_MESSAGE_BYTES + 64];
  bool is_stored = answer->said.verdict == LVN_SEND_STORED;
  lvn_log(is_stored ? LVN_LOG_INFO : LVN_LOG_WARNING,
          "event=send study=%s outbound=%lld destination=%s verdict=%s attempt=%lld given_up=%d status=%lld reason=%s",
          answer->study_name, (long long)answer->outbox_id, answer->destination,
          lvn_send_verdict_name(answer->said.verdict), (long long)answer->attempt, gives_up(outbox, answer),
          (long long)answer->said.status, lvn_log_quote(reason, sizeof reason, answer->said.message));
  lvn_sent_answer(outbox->sent, outbox->needs.config, answer->destination, answer->outbox_id, is_stored,
                  answer->said.message);
  if (answer->seconds > 0 && is_stored) {
    lvn_stage_count(&outbox->stage, answer->seconds);
  }
  if (record(outbox, answer, &err)) {
    return;
  }
  complain(outbox, answer, &err);
  if (lvn_grow(&outbox->answers, &outbox->answer_capacity, outbox->answer_count, sizeof *outbox->answers, ANSWERS_MAX,
               &full)) {
    outbox->answers[outbox->answer_count++] = *answer;
  } else {
    lvn_log_error(LVN_LOG_ERROR, "answer-not-kept", &full, "outbound=%lld action=sent-again",
                  (long long)answer->outbox_id);
  }
}

static void retry_answers(struct lvn_outbox *outbox) {
  struct lvn_error err;
  size_t kept = 0;
  if (lvn_trouble_holds(&outbox->answer_trouble, &outbox->due_ms) || outbox->answer_count == 0) {
    return;
  }
  for (size_t i = 0; i < outbox->answer_count; i++) {
    /* The first that fails stands for all: they wait for the same file. */
    if (kept > 0 || !record(outbox, &outbox->answers[i], &err)) {
      outbox->answers[kept++] = outbox->answers[i];
    }
  }
  outbox->answer_count = kept;
  if (kept > 0) {
    complain(outbox, &outbox->answers[0], &err);
  }
}

static bool has_answers(const struct lvn_outbox *outbox, const char *destination) {
  for (size_t i = 0; i < outbox->answer_count; i++) {
    if (strcmp(outbox->answers[i].destination, destination) == 0) {
      return true;
    }
  }
  return false;
}

/* ---- batches ---- */

/* How the destination is reached now; NULL: not at all. */
static const struct lvn_outbox_transport *find_route(const struct lvn_outbox *outbox, const char *destination,
                                                     struct lvn_outbox_route *ret_route) {
  const struct lvn_config *config = outbox->needs.config;
  const size_t prefix = strlen(LVN_WEBHOOK_PREFIX);
  *ret_route =
      (struct lvn_outbox_route){.connect_seconds = config->connect_seconds, .answer_seconds = config->dimse_seconds};
  (void)lvn_copy(ret_route->calling_aet, sizeof ret_route->calling_aet, config->ae_title);
  if (strncmp(destination, LVN_WEBHOOK_PREFIX, prefix) == 0) {
    const struct lvn_config_webhook *webhook = lvn_config_find_webhook(config, destination + prefix);
    if (webhook == NULL) {
      return NULL;
    }
    ret_route->webhook = *webhook;
    (void)lvn_copy(ret_route->peer.name, sizeof ret_route->peer.name, destination);
    (void)lvn_copy(ret_route->peer.protocol, sizeof ret_route->peer.protocol, LVN_WEBHOOK_PROTOCOL);
  } else {
    const struct lvn_config_peer *peer = lvn_config_find_peer(config, destination);
    if (peer == NULL) {
      return NULL;
    }
    ret_route->peer = *peer;
  }
  return lvn_outbox_transport_find(outbox->needs.transports, &ret_route->peer);
}

static bool fail_batch(struct lvn_outbox *outbox, const struct lvn_outbox_row *rows, size_t count, int64_t now_ms,
                       struct lvn_error *err) {
  bool good = true;
  for (size_t i = 0; good && i < count; i++) {
    const struct lvn_outbox_finish finish = {
        .outbox_id = rows[i].outbox_id,
        .verdict = LVN_SEND_FAILED,
        .status = -1,
        .status_message = "the configuration no longer has this destination, or it cannot be reached",
        .now_ms = now_ms};
    good = lvn_outbox_finish(outbox->needs.index, &finish, err);
  }
  return good;
}

static bool post_batch(struct lvn_outbox *outbox, const char *destination, int64_t now_ms, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  struct lvn_outbox_route route;
  if (!lvn_outbox_claim(outbox->needs.index, destination, now_ms, &rows, &count, err)) {
    return false;
  }
  if (count == 0) {
    return true;
  }
  const struct lvn_outbox_transport *transport = find_route(outbox, destination, &route);
  if (transport == NULL) {
    lvn_log(LVN_LOG_ERROR, "event=no-such-peer destination=%s objects=%zu", destination, count);
    return fail_batch(outbox, rows, count, now_ms, err);
  }
  lvn_sent_begin(outbox->sent, outbox->needs.config, &route.peer, rows, count);
  if (!lvn_sender_post(outbox->sender, transport, &route, rows, count, err)) {
    return false;
  }
  (void)lvn_steal(&rows);
  return true;
}

/* The lanes are asked before their answers are taken: an idle lane has posted all of its own. */
static bool take_answers_and_sweep(struct lvn_outbox *outbox, struct lvn_error *err) {
  struct lvn_sender_answer answer;
  bool is_busy[LVN_OUTBOX_DESTINATIONS_MAX];
  size_t count = 0;
  bool good = lvn_outbox_list_sending(outbox->needs.index, outbox->names, LVN_OUTBOX_DESTINATIONS_MAX, &count, err);
  for (size_t i = 0; i < count; i++) {
    is_busy[i] = lvn_sender_is_busy(outbox->sender, outbox->names[i]);
  }
  retry_answers(outbox);
  while (lvn_sender_take(outbox->sender, &answer)) {
    take_answer(outbox, &answer);
  }
  for (size_t i = 0; good && i < count; i++) {
    size_t swept = 0;
    if (is_busy[i] || has_answers(outbox, outbox->names[i])) {
      continue;
    }
    good = lvn_outbox_sweep(outbox->needs.index, outbox->names[i], lvn_clock_wall_ms() + RETRY_MS, &swept, err);
    if (good && swept > 0) {
      lvn_log(LVN_LOG_WARNING, "event=sends-without-sender destination=%s objects=%zu action=queued-again",
              outbox->names[i], swept);
    }
  }
  return good;
}

static bool post_batches(struct lvn_outbox *outbox, struct lvn_error *err) {
  struct lvn_error reason;
  size_t count = 0;
  int64_t now_ms = lvn_clock_wall_ms();
  bool good = lvn_outbox_list_due(outbox->needs.index, now_ms, outbox->names, LVN_OUTBOX_DESTINATIONS_MAX, &count, err);
  for (size_t i = 0; i < count; i++) {
    /* One destination that cannot be served holds up no other. */
    if (!lvn_sender_is_busy(outbox->sender, outbox->names[i]) && !has_answers(outbox, outbox->names[i]) &&
        !post_batch(outbox, outbox->names[i], now_ms, &reason)) {
      *err = reason;
      good = false;
    }
  }
  return good;
}

static void send_due(struct lvn_outbox *outbox) {
  struct lvn_error err = {0};
  bool good = take_answers_and_sweep(outbox, &err);
  if (lvn_trouble_holds(&outbox->trouble, &outbox->due_ms) || outbox->stops) {
    return;
  }
  if (!good || !post_batches(outbox, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "outbound-failed", &err, "action=retry");
    lvn_trouble_set(&outbox->trouble, &outbox->due_ms, RETRY_MS, "results cannot be sent: %.200s", err.message);
  }
}

int64_t lvn_outbox_tick(struct lvn_outbox *outbox, int64_t now_ms) {
  struct lvn_error ignored; /* without it the next tick is sooner or later all the same */
  int64_t wall_ms = lvn_clock_wall_ms();
  int64_t row_due_ms = INT64_MAX;
  outbox->due_ms = LVN_TICK_NEVER;
  send_due(outbox);
  if (lvn_outbox_next_due(outbox->needs.index, wall_ms, &row_due_ms, &ignored) && row_due_ms != INT64_MAX) {
    lvn_tick_at(&outbox->due_ms, now_ms + row_due_ms - wall_ms);
  }
  lvn_tick_at(&outbox->due_ms, lvn_notes_tick(&outbox->notes, now_ms));
  return outbox->due_ms;
}
