#include "daemon/pipeline/watch/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/tick.h"
#include "daemon/pipeline/watch/metrics.h"

#define PUBLISH_MS 1000
#define MINUTE_MS 60000
#define EVENTS_PER_TICK 200U
#define PROBLEM_BYTES 256

struct lvn_watch {
  struct lvn_watch_needs needs;
  int64_t last_event_id;
  int64_t started_ms; /* wall clock; the rest is monotonic */
  int64_t started_at_ms;
  int64_t next_publish_ms;
  int64_t next_minute_ms;
  int64_t due_ms;
};

bool lvn_watch_create(const struct lvn_watch_needs *needs, struct lvn_watch **ret_watch, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_watch *watch = lvn_alloc(1, sizeof *watch, err);
  if (watch == NULL) {
    return false;
  }
  watch->needs = *needs;
  watch->started_ms = lvn_clock_wall_ms();
  watch->started_at_ms = lvn_tick_now_ms();
  if (!lvn_watch_forget(watch, err)) {
    return false;
  }
  *ret_watch = lvn_steal(&watch);
  return true;
}

void lvn_watch_destroy(struct lvn_watch *watch) {
  lvn_free(watch);
}

bool lvn_watch_forget(struct lvn_watch *watch, struct lvn_error *err) {
  return lvn_index_last_event_id(watch->needs.index, &watch->last_event_id, err);
}

int64_t lvn_watch_get_started_ms(const struct lvn_watch *watch) {
  return watch->started_ms;
}

bool lvn_watch_describe_undelivered(const struct lvn_watch *watch, char *ret_text, size_t text_bytes,
                                    struct lvn_error *err) {
  struct lvn_outbox_counts counts;
  if (!lvn_outbox_count(watch->needs.index, &counts, err)) {
    return false;
  }
  int64_t count = counts.rows[LVN_OUTBOX_FAILED] - counts.failed_events; /* events are no results */
  ret_text[0] = '\0';
  if (count > 0) {
    (void)snprintf(ret_text, text_bytes,
                   "%" PRId64 " result%s could not be delivered (livervlm outbound --state failed says why,"
                   " livervlm retry --failed-outbound sends again)",
                   count, count == 1 ? "" : "s");
  }
  return true;
}

static void log_events(struct lvn_watch *watch) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_event *events = NULL;
  size_t count = 0;
  if (!lvn_index_list_events(watch->needs.index, watch->last_event_id, EVENTS_PER_TICK, &events, &count, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "events-unreadable", &err, "action=ignored");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const struct lvn_index_event *event = &events[i];
    lvn_log(LVN_LOG_INFO, "event=%s-state %s=%s from=%s to=%s", event->entity, event->entity, event->entity_id,
            event->from_state[0] == '\0' ? "none" : event->from_state, event->to_state);
    watch->last_event_id = event->event_id;
  }
  if (count == EVENTS_PER_TICK) {
    lvn_tick_at(&watch->due_ms, lvn_tick_now_ms());
  }
}

/* Names, once, each study that has waited longer than it should: it passes this minute's window only once. */
static void warn_of_waiting(struct lvn_watch *watch, int64_t now_ms) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_COLLECTING};
  int64_t limit_ms = now_ms - 1000 * (int64_t)watch->needs.config->wait_warning_seconds;
  if (!lvn_index_list_studies(watch->needs.index, &filter, &studies, &count, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "studies-unreadable", &err, "action=ignored");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    char reason[LVN_INDEX_MESSAGE_BYTES + 64];
    if (studies[i].last_received_ms <= limit_ms && studies[i].last_received_ms > limit_ms - MINUTE_MS) {
      lvn_log(LVN_LOG_WARNING, "event=study-waits-long study=%s reason=%s", studies[i].name,
              lvn_log_quote(reason, sizeof reason, studies[i].status_message));
    }
  }
}

static void find_problem(const struct lvn_watch *watch, const struct lvn_metrics *metrics,
                         char ret_problem[PROBLEM_BYTES]) {
  (void)lvn_copy(ret_problem, PROBLEM_BYTES, watch->needs.get_problem(watch->needs.user_data));
  if (ret_problem[0] == '\0' && metrics->free_bytes < watch->needs.config->spool_low_water_bytes) {
    (void)snprintf(ret_problem, PROBLEM_BYTES, "only %" PRIu64 " MiB free for received objects",
                   metrics->free_bytes >> 20);
  } else if (ret_problem[0] == '\0' && metrics->scheduler.workers == 0 &&
             lvn_tick_now_ms() - watch->started_at_ms > MINUTE_MS) {
    (void)lvn_copy(ret_problem, PROBLEM_BYTES, "no analysis worker is connected");
  }
}

static bool publish(const struct lvn_watch *watch, struct lvn_error *err) {
  const struct lvn_watch_needs *needs = &watch->needs;
  const char *disk_notice = lvn_retention_get_disk_notice(needs->retention);
  struct lvn_metrics metrics = {.ingest = lvn_ingest_get_counts(needs->ingest),
                                .scheduler = lvn_scheduler_get_counts(needs->scheduler),
                                .settle = lvn_assembly_get_stage(needs->assembly),
                                .send = lvn_outbox_get_stage(needs->outbox),
                                .started_ms = watch->started_ms};
  char problem[PROBLEM_BYTES];
  char undelivered[256];
  char notice[512];
  if (!lvn_index_count(needs->index, &metrics.index, err) || !lvn_queue_count(needs->index, metrics.jobs, err) ||
      !lvn_outbox_count(needs->index, &metrics.outbox, err) ||
      !lvn_file_free_bytes(needs->config->state_folder, &metrics.free_bytes, err) ||
      !lvn_watch_describe_undelivered(watch, undelivered, sizeof undelivered, err)) {
    return false;
  }
  LVN_AUTOFREE char *text = lvn_metrics_text(&metrics, err);
  if (text == NULL) {
    return false;
  }
  find_problem(watch, &metrics, problem);
  (void)snprintf(notice, sizeof notice, "%s%s%s", undelivered,
                 undelivered[0] != '\0' && disk_notice[0] != '\0' ? "; " : "", disk_notice);
  return lvn_web_publish(needs->web, text, problem, notice, err);
}

int64_t lvn_watch_tick(struct lvn_watch *watch, int64_t now_ms) {
  struct lvn_error err;
  watch->due_ms = LVN_TICK_NEVER;
  log_events(watch);
  if (now_ms >= watch->next_minute_ms) {
    warn_of_waiting(watch, lvn_clock_wall_ms());
    watch->next_minute_ms = now_ms + MINUTE_MS;
  }
  lvn_tick_at(&watch->due_ms, watch->next_minute_ms);
  if (watch->needs.web != NULL) {
    if (now_ms >= watch->next_publish_ms) {
      if (!publish(watch, &err)) {
        lvn_log_error(LVN_LOG_WARNING, "metrics-failed", &err, "action=ignored");
      }
      watch->next_publish_ms = now_ms + PUBLISH_MS;
    }
    lvn_tick_at(&watch->due_ms, watch->next_publish_ms);
  }
  return watch->due_ms;
}
