/* A clock that was set shortens no wait and makes none endless. Shape: shared/tick.h; it is the first of a tick. */
#ifndef LVN_DAEMON_PIPELINE_CLOCK_STEP_H
#define LVN_DAEMON_PIPELINE_CLOCK_STEP_H

#include "config/config.h"
#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_clock_step;
struct lvn_clock_step_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  int64_t job_wait_max_ms; /* no job waits longer for its next attempt */
};
LVN_MUST_CHECK bool lvn_clock_step_create(const struct lvn_clock_step_needs *needs, struct lvn_clock_step **ret_step,
                                          struct lvn_error *err);
void lvn_clock_step_destroy(struct lvn_clock_step *step);
int64_t lvn_clock_step_tick(struct lvn_clock_step *step, int64_t now_ms);
const char *lvn_clock_step_problem(const struct lvn_clock_step *step);
/* The index was made again: its waits are of whatever clock there was. */
void lvn_clock_step_forget(struct lvn_clock_step *step);

#ifdef __cplusplus
}
#endif
#endif
