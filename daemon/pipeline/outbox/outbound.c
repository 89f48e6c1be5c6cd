#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/outbox/outbox_internal.h"

/* DESIGN: a row in sending belongs to the lane of its destination, or to an answer that the index could not take yet.
 * Answers are kept in memory until it has them. A row in sending to a destination whose lane is idle, and of which no
 * answer waits, was lost on the way (no thread, no memory): the sweep queues it again without an attempt. */

#define RETRY_MS 5000
#define ANSWERS_MAX 65536U
#define DESTINATION_BYTES 64

static bool record(struct lvn_pipeline *pipeline, const struct lvn_sender_answer *answer, struct lvn_error *err) {
  const struct lvn_config *config = &pipeline->config;
  int64_t now_ms = lvn_clock_wall_ms();
  int64_t wait_ms = lvn_sender_backoff_ms(answer->attempt, config->retry_first_seconds, config->retry_max_seconds);
  if (answer->verdict == LVN_INDEX_SENT) {
    lvn_sentfile_remember(pipeline, answer->outbound_id);
  }
  if (lvn_index_outbound_finish(pipeline->index, answer->outbound_id, answer->verdict, answer->status, answer->message,
                                now_ms, now_ms + wait_ms, err)) {
    return true;
  }
  if (err->code != LVN_ERROR_CONFLICT) {
    return false;
  }
  /* It is in sending no more: an earlier try was recorded although it failed, or an operator was faster. */
  lvn_log_error(LVN_LOG_WARNING, "send-not-recorded", err, "outbound=%lld action=dropped",
                (long long)answer->outbound_id);
  return true;
}

static void complain(struct lvn_pipeline *pipeline, const struct lvn_sender_answer *answer,
                     const struct lvn_error *err) {
  lvn_log_error(LVN_LOG_ERROR, "send-not-recorded", err, "outbound=%lld action=retry", (long long)answer->outbound_id);
  lvn_pipeline_fail(pipeline, &pipeline->answer_trouble, RETRY_MS, "the answer of '%.40s' cannot be recorded: %.150s",
                    answer->destination, err->message);
}

static void take_answer(struct lvn_pipeline *pipeline, struct lvn_sender_answer *answer) {
  static const char *const verdicts[] = {
      [LVN_INDEX_SENT] = "sent", [LVN_INDEX_SEND_AGAIN] = "again", [LVN_INDEX_SEND_FAILED] = "failed"};
  struct lvn_error err;
  struct lvn_error full;
  char reason[LVN_INDEX_MESSAGE_BYTES + 64];
  if (answer->verdict == LVN_INDEX_SEND_AGAIN && answer->attempt >= (int64_t)pipeline->config.retry_count_max) {
    answer->verdict = LVN_INDEX_SEND_FAILED;
  }
  lvn_log(answer->verdict == LVN_INDEX_SENT ? LVN_LOG_INFO : LVN_LOG_WARNING,
          "event=send study=%s outbound=%lld destination=%s verdict=%s attempt=%lld status=%lld reason=%s",
          answer->study_name, (long long)answer->outbound_id, answer->destination, verdicts[answer->verdict],
          (long long)answer->attempt, (long long)answer->status, lvn_log_quote(reason, sizeof reason, answer->message));
  if (answer->seconds > 0 && answer->verdict == LVN_INDEX_SENT) {
    lvn_pipeline_count_stage(pipeline, LVN_STAGE_SEND, answer->seconds);
  }
  if (record(pipeline, answer, &err)) {
    return;
  }
  complain(pipeline, answer, &err);
  if (lvn_grow(&pipeline->answers, &pipeline->answer_capacity, pipeline->answer_count, sizeof *pipeline->answers,
               ANSWERS_MAX, &full)) {
    pipeline->answers[pipeline->answer_count++] = *answer;
  } else {
    lvn_log_error(LVN_LOG_ERROR, "answer-not-kept", &full, "outbound=%lld action=sent-again",
                  (long long)answer->outbound_id);
  }
}

static void retry_answers(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  size_t kept = 0;
  if (pipeline->answer_count == 0 || lvn_pipeline_has_to_wait(pipeline, &pipeline->answer_trouble)) {
    return;
  }
  for (size_t i = 0; i < pipeline->answer_count; i++) {
    /* The first that fails stands for all: they wait for the same file. */
    if (kept > 0 || !record(pipeline, &pipeline->answers[i], &err)) {
      pipeline->answers[kept++] = pipeline->answers[i];
    }
  }
  pipeline->answer_count = kept;
  if (kept > 0) {
    complain(pipeline, &pipeline->answers[0], &err);
  }
}

void lvn_outbound_clear(struct lvn_pipeline *pipeline) {
  lvn_free(pipeline->answers);
  pipeline->answers = NULL;
  pipeline->answer_count = 0;
  pipeline->answer_capacity = 0;
}

static bool has_answers(const struct lvn_pipeline *pipeline, const char *destination) {
  for (size_t i = 0; i < pipeline->answer_count; i++) {
    if (strcmp(pipeline->answers[i].destination, destination) == 0) {
      return true;
    }
  }
  return false;
}

static bool make_route(const struct lvn_pipeline *pipeline, const char *destination, struct lvn_sender_route *route) {
  const struct lvn_config *config = &pipeline->config;
  const struct lvn_config_peer *peer = lvn_config_find_peer(config, destination);
  *route =
      (struct lvn_sender_route){.connect_seconds = config->connect_seconds, .dimse_seconds = config->dimse_seconds};
  (void)lvn_copy(route->destination, sizeof route->destination, destination);
  if (peer == NULL || peer->port == 0) {
    return false;
  }
  (void)lvn_copy(route->host, sizeof route->host, peer->host);
  (void)lvn_copy(route->called_aet, sizeof route->called_aet, peer->aet);
  (void)lvn_copy(route->calling_aet, sizeof route->calling_aet, config->ae_title);
  route->port = peer->port;
  return true;
}

static bool post_batch(struct lvn_pipeline *pipeline, const char *destination, int64_t now_ms, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_outbound *rows = NULL;
  size_t count = 0;
  struct lvn_sender_route route;
  if (!lvn_index_outbound_claim(pipeline->index, destination, now_ms, &rows, &count, err)) {
    return false;
  }
  if (count == 0) {
    return true;
  }
  if (!make_route(pipeline, destination, &route)) {
    for (size_t i = 0; i < count; i++) {
      if (!lvn_index_outbound_finish(pipeline->index, rows[i].outbound_id, LVN_INDEX_SEND_FAILED, -1,
                                     "the configuration no longer has this peer, or it has no port", now_ms, 0, err)) {
        return false;
      }
    }
    lvn_log(LVN_LOG_ERROR, "event=no-such-peer destination=%s objects=%zu", destination, count);
    return true;
  }
  if (!lvn_sender_post(pipeline->sender, &route, rows, count, err)) {
    return false;
  }
  (void)lvn_steal(&rows);
  return true;
}

/* The lanes are asked before their answers are taken: an idle lane has posted all of its own. */
static bool take_answers_and_sweep(struct lvn_pipeline *pipeline, char (*names)[DESTINATION_BYTES],
                                   struct lvn_error *err) {
  struct lvn_sender_answer answer;
  bool is_busy[LVN_CONFIG_PEERS_MAX];
  size_t count = 0;
  bool good = lvn_index_list_sending(pipeline->index, names, LVN_CONFIG_PEERS_MAX, &count, err);
  for (size_t i = 0; i < count; i++) {
    is_busy[i] = lvn_sender_is_busy(pipeline->sender, names[i]);
  }
  retry_answers(pipeline);
  while (lvn_sender_take(pipeline->sender, &answer)) {
    take_answer(pipeline, &answer);
  }
  for (size_t i = 0; good && i < count; i++) {
    size_t swept = 0;
    if (is_busy[i] || has_answers(pipeline, names[i])) {
      continue;
    }
    good = lvn_index_sweep_outbound(pipeline->index, names[i], lvn_clock_wall_ms() + RETRY_MS, &swept, err);
    if (good && swept > 0) {
      lvn_log(LVN_LOG_WARNING, "event=sends-without-sender destination=%s objects=%zu action=queued-again", names[i],
              swept);
    }
  }
  return good;
}

static bool post_batches(struct lvn_pipeline *pipeline, char (*names)[DESTINATION_BYTES], struct lvn_error *err) {
  struct lvn_error reason;
  size_t count = 0;
  int64_t now_ms = lvn_clock_wall_ms();
  bool good = lvn_index_list_destinations(pipeline->index, now_ms, names, LVN_CONFIG_PEERS_MAX, &count, err);
  for (size_t i = 0; i < count; i++) {
    /* One destination that cannot be served holds up no other. */
    if (!lvn_sender_is_busy(pipeline->sender, names[i]) && !has_answers(pipeline, names[i]) &&
        !post_batch(pipeline, names[i], now_ms, &reason)) {
      *err = reason;
      good = false;
    }
  }
  return good;
}

void lvn_outbound_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err = {0};
  static char names[LVN_CONFIG_PEERS_MAX][DESTINATION_BYTES]; /* one thread */
  bool good = take_answers_and_sweep(pipeline, names, &err);
  struct lvn_error ignored; /* said when the note failed; tried again in the next turn */
  if (pipeline->has_missing_notes && lvn_sentfile_complete(pipeline, &ignored)) {
    pipeline->has_missing_notes = false;
  }
  bool has_to_wait = lvn_pipeline_has_to_wait(pipeline, &pipeline->outbound_trouble);
  if (pipeline->stops || has_to_wait) {
    return;
  }
  if (!good || !post_batches(pipeline, names, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "outbound-failed", &err, "action=retry");
    lvn_pipeline_fail(pipeline, &pipeline->outbound_trouble, RETRY_MS, "results cannot be sent: %.200s", err.message);
  }
}
