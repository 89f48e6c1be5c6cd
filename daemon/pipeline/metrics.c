#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/pipeline/pipeline_internal.h"

#define TEXT_BYTES 16384U

struct text {
  char *bytes;
  size_t used;
};

static void add(struct text *text, const char *format, ...) LVN_PRINTF(2, 3);
static void add(struct text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(text->bytes + text->used, TEXT_BYTES - text->used, format, args);
  va_end(args);
  if (length > 0) {
    text->used += (size_t)length < TEXT_BYTES - text->used ? (size_t)length : TEXT_BYTES - text->used - 1;
  }
}

static void add_state(struct text *text, const char *metric, const char *state, int64_t count) {
  add(text, "livervlm_%s{state=\"%s\"} %" PRId64 "\n", metric, state, count);
}

static void add_states(struct text *text, const struct lvn_index_counts *counts, const int64_t jobs[LVN_JOB_STATES],
                       const struct lvn_outbox_counts *outbox) {
  add(text, "# TYPE livervlm_studies gauge\n");
  for (int i = LVN_STUDY_ANY + 1; i < LVN_STUDY_STATES; i++) {
    add_state(text, "studies", lvn_study_state_name((enum lvn_study_state)i), counts->studies[i]);
  }
  add(text, "# TYPE livervlm_jobs gauge\n");
  for (int i = LVN_JOB_ANY + 1; i < LVN_JOB_STATES; i++) {
    add_state(text, "jobs", lvn_job_state_name((enum lvn_job_state)i), jobs[i]);
  }
  add(text, "# TYPE livervlm_outbound gauge\n");
  for (int i = LVN_OUTBOX_ANY + 1; i < LVN_OUTBOX_STATES; i++) {
    add_state(text, "outbound", lvn_outbox_state_name((enum lvn_outbox_state)i), outbox->rows[i]);
  }
}

static void add_stages(struct text *text, const struct lvn_pipeline_stats *stats) {
  static const char *const names[LVN_STAGE_COUNT] = {[LVN_STAGE_SETTLE] = "settle",
                                                     [LVN_STAGE_QUEUE] = "queue",
                                                     [LVN_STAGE_ANALYSIS] = "analysis",
                                                     [LVN_STAGE_SEND] = "send"};
  add(text, "# TYPE livervlm_stage_seconds summary\n");
  for (size_t i = 0; i < LVN_STAGE_COUNT; i++) {
    add(text, "livervlm_stage_seconds_sum{stage=\"%s\"} %.6f\n", names[i], stats->stage_seconds[i]);
    add(text, "livervlm_stage_seconds_count{stage=\"%s\"} %" PRIu64 "\n", names[i], stats->stage_count[i]);
  }
}

static void add_gauge(struct text *text, const char *type, const char *name, double value) {
  add(text, "# TYPE livervlm_%s %s\nlivervlm_%s %.15g\n", name, type, name, value);
}

char *lvn_metrics_text(struct lvn_pipeline *pipeline, struct lvn_error *err) {
  struct lvn_index_counts counts;
  struct lvn_outbox_counts outbox;
  int64_t jobs[LVN_JOB_STATES];
  LVN_AUTOFREE char *bytes = lvn_alloc(TEXT_BYTES, 1, err);
  struct text text = {.bytes = bytes};
  const struct lvn_pipeline_stats *stats = &pipeline->stats;
  int64_t now_ms = lvn_clock_wall_ms();
  uint64_t free_bytes = 0;
  if (bytes == NULL || !lvn_index_count(pipeline->index, &counts, err) ||
      !lvn_queue_count(pipeline->index, jobs, err) || !lvn_outbox_count(pipeline->index, &outbox, err) ||
      !lvn_file_free_bytes(pipeline->config.state_folder, &free_bytes, err)) {
    return NULL;
  }
  add_gauge(&text, "gauge", "objects", (double)counts.objects);
  add_gauge(&text, "counter", "objects_stored_total", (double)stats->objects_stored);
  add_gauge(&text, "counter", "bytes_stored_total", (double)stats->bytes_stored);
  add_gauge(&text, "counter", "objects_unreadable_total", (double)stats->objects_refused);
  add_states(&text, &counts, jobs, &outbox);
  add_gauge(&text, "gauge", "spool_free_bytes", (double)free_bytes);
  add_gauge(&text, "gauge", "outbound_oldest_seconds",
            outbox.oldest_ms == 0 ? 0 : 1e-3 * (double)(now_ms - outbox.oldest_ms));
  add_gauge(&text, "gauge", "last_success_timestamp_seconds", 1e-3 * (double)outbox.last_sent_ms);
  add_gauge(&text, "gauge", "workers", (double)pipeline->worker_count);
  add_gauge(&text, "counter", "worker_connections_total", (double)stats->worker_connections);
  add_gauge(&text, "counter", "worker_restarts_total", (double)stats->worker_losses);
  add_gauge(&text, "counter", "worker_kills_total", (double)stats->worker_kills);
  add_gauge(&text, "gauge", "start_timestamp_seconds", 1e-3 * (double)pipeline->started_ms);
  add_stages(&text, stats);
  return lvn_steal(&bytes);
}

bool lvn_metrics_describe_undelivered(struct lvn_pipeline *pipeline, char *ret_text, size_t text_bytes,
                                      struct lvn_error *err) {
  struct lvn_outbox_counts counts;
  if (!lvn_outbox_count(pipeline->index, &counts, err)) {
    return false;
  }
  int64_t count = counts.rows[LVN_OUTBOX_FAILED];
  ret_text[0] = '\0';
  if (count > 0) {
    (void)snprintf(ret_text, text_bytes,
                   "%" PRId64 " result%s could not be delivered (livervlm outbound --state failed says why,"
                   " livervlm retry --failed-outbound sends again)",
                   count, count == 1 ? "" : "s");
  }
  return true;
}

bool lvn_metrics_publish(struct lvn_pipeline *pipeline, struct lvn_error *err) {
  uint64_t free_bytes = 0;
  char problem[256];
  char undelivered[256];
  char notice[sizeof undelivered + sizeof pipeline->disk_notice + 2];
  if (pipeline->web == NULL) {
    return true;
  }
  LVN_AUTOFREE char *text = lvn_metrics_text(pipeline, err);
  if (text == NULL || !lvn_metrics_describe_undelivered(pipeline, undelivered, sizeof undelivered, err) ||
      !lvn_file_free_bytes(pipeline->config.state_folder, &free_bytes, err)) {
    return false;
  }
  (void)lvn_copy(problem, sizeof problem, pipeline->problem);
  if (problem[0] == '\0' && free_bytes < pipeline->config.spool_low_water_bytes) {
    (void)snprintf(problem, sizeof problem, "only %" PRIu64 " MiB free for received objects", free_bytes >> 20);
  } else if (problem[0] == '\0' && pipeline->worker_count == 0 &&
             lvn_pipeline_now_ms() - pipeline->started_at_ms > 60000) {
    (void)lvn_copy(problem, sizeof problem, "no analysis worker is connected");
  }
  (void)snprintf(notice, sizeof notice, "%s%s%s", undelivered,
                 undelivered[0] != '\0' && pipeline->disk_notice[0] != '\0' ? "; " : "", pipeline->disk_notice);
  return lvn_web_publish(pipeline->web, text, problem, notice, err);
}
