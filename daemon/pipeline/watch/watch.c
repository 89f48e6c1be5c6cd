#include "daemon/pipeline/watch/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/tls/tls.h"
#include "daemon/pipeline/shared/tick.h"
#include "daemon/pipeline/watch/metrics.h"

#define PUBLISH_MS 1000
#define MINUTE_MS 60000
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define EVENTS_PER_TICK 200U
#define PROBLEM_BYTES 256
#define CERTIFICATE_BYTES 400
#define LOOK_MS 2000

struct lvn_watch {
  struct lvn_watch_needs needs;
  int64_t last_event_id;
  int64_t started_ms; /* wall clock; the rest is monotonic */
  int64_t started_at_ms;
  int64_t next_publish_ms;
  int64_t next_minute_ms;
  int64_t due_ms;
  char certificates[CERTIFICATE_BYTES]; /* what was said of them last */
  int64_t next_certificates_ms;
  int64_t next_look_ms;
  int64_t counted_at; /* the index's count of changes, when these were counted; -1: never */
  struct lvn_index_counts counts;
  int64_t jobs[LVN_JOB_STATES];
  struct lvn_outbox_counts outbox;
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
  watch->counted_at = -1;
  return lvn_index_last_event_id(watch->needs.index, &watch->last_event_id, err);
}

int64_t lvn_watch_get_started_ms(const struct lvn_watch *watch) {
  return watch->started_ms;
}

/* Once a day, and as soon as it is another sentence. */
static void warn_of_certificates(struct lvn_watch *watch, int64_t now_ms) {
  char text[CERTIFICATE_BYTES];
  char quoted[CERTIFICATE_BYTES + 64];
  if (now_ms < watch->next_look_ms) {
    return;
  }
  watch->next_look_ms = now_ms + LOOK_MS;
  lvn_attention_describe_certificates(text, sizeof text);
  if (text[0] != '\0' && (strcmp(text, watch->certificates) != 0 || now_ms >= watch->next_certificates_ms)) {
    lvn_log(LVN_LOG_WARNING, "event=certificate-ends reason=%s", lvn_log_quote(quoted, sizeof quoted, text));
    watch->next_certificates_ms = now_ms + DAY_MS;
  }
  (void)lvn_copy(watch->certificates, sizeof watch->certificates, text);
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

/* Names, once, each study that passes a time in this minute: its last object came `age_ms` ago. */
static void name_studies(const struct lvn_watch *watch, enum lvn_study_state state, int64_t age_ms, const char *event) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  int64_t limit_ms = lvn_clock_wall_ms() - age_ms;
  const struct lvn_index_study_filter filter = {
      .state = state, .since_ms = limit_ms - MINUTE_MS + 1, .until_ms = limit_ms};
  if (limit_ms <= MINUTE_MS) {
    return;
  }
  if (!lvn_index_list_studies(watch->needs.index, &filter, &studies, &count, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "studies-unreadable", &err, "action=ignored");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    char reason[LVN_INDEX_MESSAGE_BYTES + 64];
    lvn_log(LVN_LOG_WARNING, "event=%s study=%s reason=%s", event, studies[i].name,
            lvn_log_quote(reason, sizeof reason, studies[i].status_message));
  }
}

static void warn_of_waiting(const struct lvn_watch *watch) {
  const struct lvn_config *config = watch->needs.config;
  static const enum lvn_study_state kept[] = {LVN_STUDY_COLLECTING, LVN_STUDY_FAILED, LVN_STUDY_REJECTED};
  int64_t lead_ms = lvn_attention_expiry_lead_ms(config);
  name_studies(watch, LVN_STUDY_COLLECTING, 1000 * (int64_t)config->wait_warning_seconds, "study-waits-long");
  for (size_t i = 0; lead_ms > 0 && i < sizeof kept / sizeof kept[0]; i++) {
    name_studies(watch, kept[i], (int64_t)config->keep_waiting_days * DAY_MS - lead_ms, "study-expires-soon");
  }
}

static void find_problem(const struct lvn_watch *watch, uint64_t free_bytes, char ret_problem[PROBLEM_BYTES]) {
  (void)lvn_copy(ret_problem, PROBLEM_BYTES, watch->needs.get_problem(watch->needs.user_data));
  if (ret_problem[0] == '\0' && free_bytes < watch->needs.config->spool_low_water_bytes) {
    (void)snprintf(ret_problem, PROBLEM_BYTES, "only %" PRIu64 " MiB free for received objects", free_bytes >> 20);
  } else if (ret_problem[0] == '\0' && lvn_scheduler_get_counts(watch->needs.scheduler).workers == 0 &&
             lvn_tick_now_ms() - watch->started_at_ms > MINUTE_MS) {
    (void)lvn_copy(ret_problem, PROBLEM_BYTES, "no analysis worker is connected");
  }
}

/* 0: there is no certificate. */
static int64_t get_certificate_end_ms(void) {
  struct lvn_tls *tls = lvn_tls_hold_current();
  const int64_t end_ms = tls != NULL ? lvn_tls_get_end_ms(tls) : 0;
  lvn_tls_release(tls);
  return end_ms;
}

bool lvn_watch_list_attention(const struct lvn_watch *watch, struct lvn_attention *ret_attention,
                              struct lvn_error *err) {
  uint64_t free_bytes = 0;
  char problem[PROBLEM_BYTES];
  if (!lvn_file_free_bytes(watch->needs.config->state_folder, &free_bytes, err)) {
    return false;
  }
  find_problem(watch, free_bytes, problem);
  const struct lvn_attention_needs needs = {.config = watch->needs.config,
                                            .index = watch->needs.index,
                                            .retention = watch->needs.retention,
                                            .problem = problem,
                                            .now_ms = lvn_clock_wall_ms()};
  return lvn_attention_list(&needs, ret_attention, err);
}

/* The problem decides over 200 or 503 and stands first; each other line follows. */
static bool publish_texts(const struct lvn_watch *watch, const struct lvn_metrics *metrics, struct lvn_error *err) {
  const struct lvn_attention *attention = metrics->attention;
  const char *problem = "";
  char notice[LVN_WEB_NOTICE_BYTES] = "";
  size_t used = 0;
  LVN_AUTOFREE char *text = lvn_metrics_text(metrics, err);
  if (text == NULL) {
    return false;
  }
  for (size_t i = 0; i < attention->count; i++) {
    if (attention->lines[i].kind == LVN_ATTENTION_PROBLEM) {
      problem = attention->lines[i].text;
    } else if (used < sizeof notice) {
      used += (size_t)snprintf(notice + used, sizeof notice - used, "%s\n", attention->lines[i].text);
    }
  }
  return lvn_web_publish(watch->needs.web, text, problem, notice, err);
}

/* Rows are counted where they are, which takes longer the more there are: only when one has changed. */
static bool count_rows(struct lvn_watch *watch, struct lvn_error *err) {
  struct lvn_index *index = watch->needs.index;
  const int64_t changes = lvn_index_get_change_count(index);
  if (changes == watch->counted_at) {
    return true;
  }
  watch->counted_at = -1;
  if (!lvn_index_count(index, &watch->counts, err) || !lvn_queue_count(index, watch->jobs, err) ||
      !lvn_outbox_count(index, &watch->outbox, err)) {
    return false;
  }
  watch->counted_at = changes;
  return true;
}

static bool publish(struct lvn_watch *watch, struct lvn_error *err) {
  const struct lvn_watch_needs *needs = &watch->needs;
  LVN_AUTOFREE struct lvn_attention *attention = lvn_alloc(1, sizeof *attention, err);
  struct lvn_metrics metrics = {.config = needs->config,
                                .attention = attention,
                                .ingest = lvn_ingest_get_counts(needs->ingest),
                                .scheduler = lvn_scheduler_get_counts(needs->scheduler),
                                .settle = lvn_assembly_get_stage(needs->assembly),
                                .send = lvn_outbox_get_stage(needs->outbox),
                                .certificate_end_ms = get_certificate_end_ms(),
                                .started_ms = watch->started_ms};
  if (attention == NULL || !count_rows(watch, err)) {
    return false;
  }
  metrics.index = watch->counts;
  memcpy(metrics.jobs, watch->jobs, sizeof metrics.jobs);
  metrics.outbox = watch->outbox;
  return lvn_file_free_bytes(needs->config->state_folder, &metrics.free_bytes, err) &&
         lvn_watch_list_attention(watch, attention, err) && publish_texts(watch, &metrics, err);
}

int64_t lvn_watch_tick(struct lvn_watch *watch, int64_t now_ms) {
  struct lvn_error err;
  watch->due_ms = LVN_TICK_NEVER;
  log_events(watch);
  if (now_ms >= watch->next_minute_ms) {
    warn_of_waiting(watch);
    watch->next_minute_ms = now_ms + MINUTE_MS;
  }
  warn_of_certificates(watch, now_ms);
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
