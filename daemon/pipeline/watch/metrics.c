#include "daemon/pipeline/watch/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

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

static void add_states(struct text *text, const struct lvn_metrics *metrics) {
  add(text, "# TYPE livervlm_studies gauge\n");
  for (int i = LVN_STUDY_ANY + 1; i < LVN_STUDY_STATES; i++) {
    add_state(text, "studies", lvn_study_state_name((enum lvn_study_state)i), metrics->index.studies[i]);
  }
  add(text, "# TYPE livervlm_jobs gauge\n");
  for (int i = LVN_JOB_ANY + 1; i < LVN_JOB_STATES; i++) {
    add_state(text, "jobs", lvn_job_state_name((enum lvn_job_state)i), metrics->jobs[i]);
  }
  add(text, "# TYPE livervlm_outbound gauge\n");
  for (int i = LVN_OUTBOX_ANY + 1; i < LVN_OUTBOX_STATES; i++) {
    add_state(text, "outbound", lvn_outbox_state_name((enum lvn_outbox_state)i), metrics->outbox.rows[i]);
  }
}

static void add_stages(struct text *text, const struct lvn_metrics *metrics) {
  const struct {
    const char *name;
    const struct lvn_stage *stage;
  } stages[] = {{"settle", &metrics->settle},
                {"queue", &metrics->scheduler.queue},
                {"analysis", &metrics->scheduler.analysis},
                {"send", &metrics->send}};
  add(text, "# TYPE livervlm_stage_seconds summary\n");
  for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
    add(text, "livervlm_stage_seconds_sum{stage=\"%s\"} %.6f\n", stages[i].name, stages[i].stage->seconds);
    add(text, "livervlm_stage_seconds_count{stage=\"%s\"} %" PRIu64 "\n", stages[i].name, stages[i].stage->count);
  }
}

static void add_gauge(struct text *text, const char *type, const char *name, double value) {
  add(text, "# TYPE livervlm_%s %s\nlivervlm_%s %.15g\n", name, type, name, value);
}

char *lvn_metrics_text(const struct lvn_metrics *metrics, struct lvn_error *err) {
  int64_t now_ms = lvn_clock_wall_ms();
  LVN_AUTOFREE char *bytes = lvn_alloc(TEXT_BYTES, 1, err);
  struct text text = {.bytes = bytes};
  if (bytes == NULL) {
    return NULL;
  }
  add_gauge(&text, "gauge", "objects", (double)metrics->index.objects);
  add_gauge(&text, "counter", "objects_stored_total", (double)metrics->ingest.objects_stored);
  add_gauge(&text, "counter", "bytes_stored_total", (double)metrics->ingest.bytes_stored);
  add_gauge(&text, "counter", "objects_unreadable_total", (double)metrics->ingest.objects_refused);
  add_states(&text, metrics);
  add_gauge(&text, "gauge", "spool_free_bytes", (double)metrics->free_bytes);
  add_gauge(&text, "gauge", "outbound_oldest_seconds",
            metrics->outbox.oldest_ms == 0 ? 0 : 1e-3 * (double)(now_ms - metrics->outbox.oldest_ms));
  add_gauge(&text, "gauge", "last_success_timestamp_seconds", 1e-3 * (double)metrics->outbox.last_sent_ms);
  add_gauge(&text, "gauge", "workers", (double)metrics->scheduler.workers);
  add_gauge(&text, "counter", "worker_connections_total", (double)metrics->scheduler.connections);
  add_gauge(&text, "counter", "worker_restarts_total", (double)metrics->scheduler.losses);
  add_gauge(&text, "counter", "worker_kills_total", (double)metrics->scheduler.kills);
  add_gauge(&text, "gauge", "start_timestamp_seconds", 1e-3 * (double)metrics->started_ms);
  if (metrics->certificate_end_ms > 0) {
    add_gauge(&text, "gauge", "certificate_end_timestamp_seconds", 1e-3 * (double)metrics->certificate_end_ms);
  }
  add_stages(&text, metrics);
  return lvn_steal(&bytes);
}
