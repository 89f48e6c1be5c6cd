#include "daemon/pipeline/watch/clock_step.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/tick.h"

/* DESIGN: what is not stored waits by the monotonic clock. What is stored (a study that settles, a job or a send that
 * is retried) has a due time of the wall clock, since it outlives the process. When the wall clock is set while we run,
 * the difference of the two clocks jumps: the due times are moved by the jump, so that each wait keeps its length. When
 * it was set while we did not run, nobody can know: no wait is then longer than it could ever have been. */

/* Less is a clock that is being slewed, or a tick that was interrupted between the two readings. */
#define STEP_MS 2000
#define RETRY_MS 5000

struct lvn_clock_step {
  struct lvn_clock_step_needs needs;
  int64_t lead_ms;      /* of the wall clock before the monotonic one, in the last tick */
  int64_t shift_ms;     /* by which stored waits have still to be moved */
  bool has_stale_waits; /* written before this process started, by whatever clock */
  char problem[256];
};

bool lvn_clock_step_create(const struct lvn_clock_step_needs *needs, struct lvn_clock_step **ret_step,
                           struct lvn_error *err) {
  struct lvn_clock_step *step = lvn_alloc(1, sizeof *step, err);
  if (step == NULL) {
    return false;
  }
  *step = (struct lvn_clock_step){
      .needs = *needs, .lead_ms = lvn_clock_wall_ms() - lvn_tick_now_ms(), .has_stale_waits = true};
  *ret_step = step;
  return true;
}

void lvn_clock_step_destroy(struct lvn_clock_step *step) {
  lvn_free(step);
}

const char *lvn_clock_step_problem(const struct lvn_clock_step *step) {
  return step->problem;
}

void lvn_clock_step_forget(struct lvn_clock_step *step) {
  step->has_stale_waits = true;
}

static void move_waits(struct lvn_clock_step *step, int64_t wall_ms) {
  struct lvn_error err;
  const struct lvn_config *config = step->needs.config;
  const struct lvn_index_waits waits = {.shift_ms = step->shift_ms,
                                        .now_ms = wall_ms,
                                        .settle_max_ms = 1000 * (int64_t)config->settle_seconds,
                                        .job_max_ms = step->needs.job_wait_max_ms,
                                        .send_max_ms = 1000 * (int64_t)config->retry_max_seconds};
  if (!lvn_index_shift_waits(step->needs.index, &waits, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "waits-not-moved", &err, "action=retry");
    (void)snprintf(step->problem, sizeof step->problem, "the clock was set, and the index cannot be written: %.190s",
                   err.message);
    return;
  }
  step->shift_ms = 0;
  step->has_stale_waits = false;
  step->problem[0] = '\0';
}

int64_t lvn_clock_step_tick(struct lvn_clock_step *step, int64_t now_ms) {
  int64_t wall_ms = lvn_clock_wall_ms();
  int64_t lead_ms = wall_ms - lvn_tick_now_ms();
  int64_t step_ms = lead_ms - step->lead_ms;
  if (llabs(step_ms) >= STEP_MS) {
    lvn_log(LVN_LOG_WARNING, "event=clock-was-set seconds=%.1f action=waits-moved", 1e-3 * (double)step_ms);
    step->shift_ms += step_ms;
    step->has_stale_waits = true;
  }
  step->lead_ms = lead_ms;
  if (step->has_stale_waits) {
    move_waits(step, wall_ms);
  }
  return step->has_stale_waits ? now_ms + RETRY_MS : LVN_TICK_NEVER;
}
