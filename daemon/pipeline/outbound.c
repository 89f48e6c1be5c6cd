#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/pipeline/pipeline_internal.h"

#define RETRY_MS 5000
#define DESTINATION_BYTES 64

static size_t add_name(const struct lvn_config_peer *peer, const char **names, size_t count, size_t max_count) {
  if (peer == NULL || peer->port == 0 || peer->host[0] == '\0' || count == max_count) {
    return count;
  }
  for (size_t i = 0; i < count; i++) {
    if (strcmp(names[i], peer->name) == 0) {
      return count;
    }
  }
  names[count] = peer->name;
  return count + 1;
}

size_t lvn_outbound_destinations(const struct lvn_config *config, const char *source_aet, const char *source_address,
                                 const char **ret_names, size_t max_count) {
  const struct lvn_config_peer *peers[LVN_CONFIG_PEERS_MAX];
  const struct lvn_config_peer *source = lvn_config_admit(config, source_aet, source_address);
  size_t peer_count = lvn_config_get_destinations(config, source, peers);
  size_t count = 0;
  for (size_t i = 0; i < peer_count; i++) {
    count = add_name(peers[i], ret_names, count, max_count);
  }
  return count;
}

static void take_answer(struct lvn_pipeline *pipeline, const struct lvn_sender_answer *answer) {
  static const char *const verdicts[] = {
      [LVN_INDEX_SENT] = "sent", [LVN_INDEX_SEND_AGAIN] = "again", [LVN_INDEX_SEND_FAILED] = "failed"};
  struct lvn_error err;
  char reason[LVN_INDEX_SENTENCE_BYTES + 64];
  const struct lvn_config *config = &pipeline->config;
  enum lvn_index_send_verdict verdict = answer->verdict;
  int64_t now_ms = lvn_clock_wall_ms();
  int64_t wait_ms = lvn_sender_backoff_ms(answer->attempt, config->retry_first_seconds, config->retry_max_seconds);
  if (verdict == LVN_INDEX_SEND_AGAIN && answer->attempt >= (int64_t)config->retry_count_max) {
    verdict = LVN_INDEX_SEND_FAILED;
  }
  lvn_log(verdict == LVN_INDEX_SENT ? LVN_LOG_INFO : LVN_LOG_WARNING,
          "event=send study=%s outbound=%lld destination=%s verdict=%s attempt=%lld status=%lld reason=%s",
          answer->study_name, (long long)answer->outbound_id, answer->destination, verdicts[verdict],
          (long long)answer->attempt, (long long)answer->status, lvn_log_quote(reason, sizeof reason, answer->message));
  if (answer->seconds > 0 && verdict == LVN_INDEX_SENT) {
    lvn_pipeline_count_stage(pipeline, LVN_STAGE_SEND, answer->seconds);
  }
  if (verdict == LVN_INDEX_SENT) {
    lvn_sentfile_remember(pipeline, answer->outbound_id);
  }
  if (!lvn_index_outbound_finish(pipeline->index, answer->outbound_id, verdict, answer->status, answer->message, now_ms,
                                 now_ms + wait_ms, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "send-not-recorded", &err, "outbound=%lld", (long long)answer->outbound_id);
  }
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

void lvn_outbound_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  struct lvn_sender_answer answer;
  static char names[LVN_CONFIG_PEERS_MAX][DESTINATION_BYTES]; /* one thread */
  size_t count = 0;
  int64_t now_ms = lvn_clock_wall_ms();
  while (lvn_sender_take(pipeline->sender, &answer)) {
    take_answer(pipeline, &answer);
  }
  if (pipeline->stops) {
    return;
  }
  bool good = lvn_index_list_destinations(pipeline->index, now_ms, names, LVN_CONFIG_PEERS_MAX, &count, &err);
  for (size_t i = 0; good && i < count; i++) {
    good = lvn_sender_is_busy(pipeline->sender, names[i]) || post_batch(pipeline, names[i], now_ms, &err);
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "outbound-failed", &err, "action=retry");
    lvn_pipeline_wake_at(pipeline, now_ms + RETRY_MS);
  }
}
