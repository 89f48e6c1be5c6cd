#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/pipeline_internal.h"

/* DESIGN: what is not stored waits by the monotonic clock. What is stored (a study that settles, a job or a send that
 * is retried) has a due time of the wall clock, since it outlives the process. When the wall clock is set while we run,
 * the difference of the two clocks jumps: the due times are moved by the jump, so that each wait keeps its length. When
 * it was set while we did not run, nobody can know: no wait is then longer than it could ever have been. */

#define STEP_MS                                                                                                        \
  2000 /* less is a clock that is being slewed, or a turn that was interrupted between the two readings                \
        */

void lvn_clock_step_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  const struct lvn_config *config = &pipeline->config;
  int64_t now_ms = lvn_clock_wall_ms();
  int64_t lead_ms = now_ms - lvn_pipeline_now_ms();
  int64_t step_ms = lead_ms - pipeline->clock_lead_ms;
  if (llabs(step_ms) >= STEP_MS) {
    lvn_log(LVN_LOG_WARNING, "event=clock-was-set seconds=%.1f action=waits-moved", 1e-3 * (double)step_ms);
    pipeline->clock_shift_ms += step_ms;
    pipeline->has_stale_waits = true;
  }
  pipeline->clock_lead_ms = lead_ms;
  if (!pipeline->has_stale_waits) {
    return;
  }
  const struct lvn_index_waits waits = {.shift_ms = pipeline->clock_shift_ms,
                                        .now_ms = now_ms,
                                        .settle_max_ms = 1000 * (int64_t)config->settle_seconds,
                                        .job_max_ms = LVN_JOBS_RETRY_MAX_MS,
                                        .send_max_ms = 1000 * (int64_t)config->retry_max_seconds};
  if (!lvn_index_shift_waits(pipeline->index, &waits, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "waits-not-moved", &err, "action=retry");
    lvn_pipeline_report(pipeline, "the clock was set, and the index cannot be written: %.200s", err.message);
    return;
  }
  pipeline->clock_shift_ms = 0;
  pipeline->has_stale_waits = false;
}
