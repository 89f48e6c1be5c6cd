/* The pipeline's numbers as Prometheus text. */
#ifndef LVN_DAEMON_PIPELINE_METRICS_H
#define LVN_DAEMON_PIPELINE_METRICS_H

#include "daemon/pipeline/ingest/ingest.h"
#include "daemon/pipeline/scheduler/scheduler.h"
#include "daemon/pipeline/watch/attention.h"
#include "storage/outbox.h"
#include "storage/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_metrics {
  const struct lvn_config *config;       /* borrowed, as is */
  const struct lvn_attention *attention; /* this */
  struct lvn_index_counts index;
  int64_t jobs[LVN_JOB_STATES];
  struct lvn_outbox_counts outbox;
  struct lvn_ingest_counts ingest;
  struct lvn_scheduler_counts scheduler;
  struct lvn_stage settle;
  struct lvn_stage send;
  uint64_t free_bytes;
  int64_t started_ms;         /* wall clock */
  int64_t certificate_end_ms; /* wall clock; 0: there is none */
};
/* lvn_free() it; NULL: no memory. */
LVN_MUST_CHECK char *lvn_metrics_text(const struct lvn_metrics *metrics, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
