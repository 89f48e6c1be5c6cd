#include "daemon/pipeline/watch/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

#define TEXT_BYTES 65536U

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

/* What follows are the samples of this metric. */
static void begin(struct text *text, const char *name, const char *type, const char *help) {
  add(text, "# HELP livervlm_%s %s\n# TYPE livervlm_%s %s\n", name, help, name, type);
}

static void add_one(struct text *text, const char *name, const char *type, const char *help, double value) {
  begin(text, name, type, help);
  add(text, "livervlm_%s %.15g\n", name, value);
}

static void add_labelled(struct text *text, const char *metric, const char *label, const char *value, double number) {
  add(text, "livervlm_%s{%s=\"%s\"} %.15g\n", metric, label, value, number);
}

static void add_states(struct text *text, const struct lvn_metrics *metrics) {
  begin(text, "studies", "gauge", "Studies by state.");
  for (int i = LVN_STUDY_ANY + 1; i < LVN_STUDY_STATES; i++) {
    add_labelled(text, "studies", "state", lvn_study_state_name((enum lvn_study_state)i),
                 (double)metrics->index.studies[i]);
  }
  begin(text, "jobs", "gauge", "Analyses by state.");
  for (int i = LVN_JOB_ANY + 1; i < LVN_JOB_STATES; i++) {
    add_labelled(text, "jobs", "state", lvn_job_state_name((enum lvn_job_state)i), (double)metrics->jobs[i]);
  }
  begin(text, "outbound", "gauge", "Outgoing objects by state, an object once for each destination.");
  for (int i = LVN_OUTBOX_ANY + 1; i < LVN_OUTBOX_STATES; i++) {
    add_labelled(text, "outbound", "state", lvn_outbox_state_name((enum lvn_outbox_state)i),
                 (double)metrics->outbox.rows[i]);
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
  begin(text, "stage_seconds", "summary",
        "How long studies took in each stage: settle, queue, analysis; send of one batch.");
  for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
    add_labelled(text, "stage_seconds_sum", "stage", stages[i].name, stages[i].stage->seconds);
    add_labelled(text, "stage_seconds_count", "stage", stages[i].name, (double)stages[i].stage->count);
  }
}

static double age_seconds(int64_t now_ms, int64_t since_ms) {
  return since_ms == 0 ? 0 : 1e-3 * (double)(now_ms - since_ms);
}

/* Peers that nothing waits for have their zeros, so that an alert ends; those of the index alone are shown too. */
static void add_destinations(struct text *text, const struct lvn_metrics *metrics, int64_t now_ms) {
  static const struct {
    const char *name;
    const char *help;
  } families[] = {{"destination_waiting", "Objects that wait for this destination or are being sent to it."},
                  {"destination_failed", "Objects that could not be delivered to this destination."},
                  {"destination_attempts", "The most attempts in vain of what waits for this destination."},
                  {"destination_oldest_seconds", "Age of the oldest object that waits for this destination."}};
  const struct lvn_attention *attention = metrics->attention;
  for (size_t k = 0; k < sizeof families / sizeof families[0]; k++) {
    begin(text, families[k].name, "gauge", families[k].help);
    for (size_t i = 0; i < metrics->config->peer_count; i++) {
      const struct lvn_config_peer *peer = &metrics->config->peers[i];
      bool is_listed = peer->port == 0;
      for (size_t j = 0; j < attention->destination_count; j++) {
        is_listed = is_listed || strcmp(attention->destinations[j].name, peer->name) == 0;
      }
      if (!is_listed) {
        add_labelled(text, families[k].name, "destination", peer->name, 0);
      }
    }
    for (size_t j = 0; j < attention->destination_count; j++) {
      const struct lvn_outbox_destination *entry = &attention->destinations[j];
      const double values[] = {(double)entry->waiting, (double)entry->given_up, (double)entry->attempts,
                               age_seconds(now_ms, entry->oldest_ms)};
      add_labelled(text, families[k].name, "destination", entry->name, values[k]);
    }
  }
}

static void add_attention(struct text *text, const struct lvn_metrics *metrics) {
  size_t counts[LVN_ATTENTION_KINDS] = {0};
  for (size_t i = 0; i < metrics->attention->count; i++) {
    counts[metrics->attention->lines[i].kind]++;
  }
  begin(text, "attention", "gauge", "Lines of `livervlm status` that need attention, by kind.");
  for (int i = 0; i < LVN_ATTENTION_KINDS; i++) {
    add_labelled(text, "attention", "kind", lvn_attention_kind_name((enum lvn_attention_kind)i), (double)counts[i]);
  }
  add_one(text, "problem", "gauge", "1 while the node cannot do its work (/health answers 503), else 0.",
          (double)counts[LVN_ATTENTION_PROBLEM]);
  add_one(text, "studies_waiting_long", "gauge",
          "Studies of the last day that wait for a phase or a ROI for longer than wait_warning_seconds.",
          (double)metrics->attention->studies_waiting_long);
}

static void add_space(struct text *text, const struct lvn_metrics *metrics) {
  add_one(text, "spool_free_bytes", "gauge", "Free space on the file system of the state folder.",
          (double)metrics->free_bytes);
  add_one(text, "spool_warning_bytes", "gauge", "spool_warning_bytes of the configuration.",
          (double)metrics->config->spool_warning_bytes);
  add_one(text, "spool_low_water_bytes", "gauge",
          "spool_low_water_bytes of the configuration: below it associations are rejected.",
          (double)metrics->config->spool_low_water_bytes);
}

static void add_workers(struct text *text, const struct lvn_metrics *metrics) {
  add_one(text, "workers", "gauge", "Analysis workers that are connected.", (double)metrics->scheduler.workers);
  add_one(text, "worker_connections_total", "counter", "Connections of analysis workers since the start.",
          (double)metrics->scheduler.connections);
  add_one(text, "worker_restarts_total", "counter", "Analysis workers that were lost since the start.",
          (double)metrics->scheduler.losses);
  add_one(text, "worker_kills_total", "counter", "Analysis workers that were stopped for exceeding job_seconds_max.",
          (double)metrics->scheduler.kills);
}

char *lvn_metrics_text(const struct lvn_metrics *metrics, struct lvn_error *err) {
  int64_t now_ms = lvn_clock_wall_ms();
  LVN_AUTOFREE char *bytes = lvn_alloc(TEXT_BYTES, 1, err);
  struct text text = {.bytes = bytes};
  if (bytes == NULL) {
    return NULL;
  }
  add_one(&text, "objects", "gauge", "Received objects that are stored and indexed.", (double)metrics->index.objects);
  add_one(&text, "objects_stored_total", "counter", "Objects stored and indexed since the start.",
          (double)metrics->ingest.objects_stored);
  add_one(&text, "bytes_stored_total", "counter", "Bytes of those objects.", (double)metrics->ingest.bytes_stored);
  add_one(&text, "objects_unreadable_total", "counter", "Objects that could not be indexed since the start.",
          (double)metrics->ingest.objects_refused);
  add_states(&text, metrics);
  add_space(&text, metrics);
  add_one(&text, "outbound_oldest_seconds", "gauge", "Age of the oldest object that still has to be sent.",
          age_seconds(now_ms, metrics->outbox.oldest_ms));
  add_one(&text, "last_success_timestamp_seconds", "gauge", "When a destination last stored a result; 0: never.",
          1e-3 * (double)metrics->outbox.last_sent_ms);
  add_destinations(&text, metrics, now_ms);
  add_attention(&text, metrics);
  add_workers(&text, metrics);
  add_one(&text, "start_timestamp_seconds", "gauge", "When the pipeline started.", 1e-3 * (double)metrics->started_ms);
  if (metrics->certificate_end_ms > 0) {
    add_one(&text, "certificate_end_timestamp_seconds", "gauge", "When the first of the node's certificates ends.",
            1e-3 * (double)metrics->certificate_end_ms);
  }
  add_stages(&text, metrics);
  return lvn_steal(&bytes);
}
