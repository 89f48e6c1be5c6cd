/* What every module of the pipeline has in common. A module M is an opaque struct that alone owns its state:
 *   struct lvn_M_needs       what it borrows for its whole life: handles, and callbacks for its wishes to other modules
 *   lvn_M_create(needs, …)   copies its needs
 *   int64_t lvn_M_tick(module, now_ms)   does what is due and returns when it is next due, both monotonic ms; harmless
 *                            when nothing is due, so that it may be called at any time; driven by the index and the
 *                            files alone, so that a kill between two ticks loses nothing
 *   const char *lvn_M_problem(module)    what is wrong at present, one line for /health; empty: nothing
 *   lvn_M_destroy(module)    NULL is allowed
 * A module includes no other module's header, except where the layer test's row says so; pipeline.c wires them. All of
 * them run on one thread. The configuration is borrowed, too: a reload replaces its content between two ticks. */
#ifndef LVN_DAEMON_PIPELINE_TICK_H
#define LVN_DAEMON_PIPELINE_TICK_H

#include "base/error.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TICK_NEVER INT64_MAX

int64_t lvn_tick_now_ms(void); /* monotonic */
/* Lowers *io_due_ms to at_ms where that is sooner. */
void lvn_tick_at(int64_t *io_due_ms, int64_t at_ms);

/* Something that failed, is tried again at a time, and says so until it works. Zeroed: none. */
struct lvn_trouble {
  int64_t retry_ms; /* monotonic */
  char text[256];   /* empty: none */
};
/* Notes it, and lowers *io_due_ms to the next try, delay_ms after the present. */
void lvn_trouble_set(struct lvn_trouble *trouble, int64_t *io_due_ms, int64_t delay_ms, const char *format, ...)
    LVN_PRINTF(4, 5);
/* Is it too early to try again? If so *io_due_ms is lowered to the next try; else the trouble is taken for over. */
bool lvn_trouble_holds(struct lvn_trouble *trouble, int64_t *io_due_ms);

/* Time that studies spent in a stage, for the metrics. */
struct lvn_stage {
  double seconds;
  uint64_t count;
};
void lvn_stage_count(struct lvn_stage *stage, double seconds);

#ifdef __cplusplus
}
#endif
#endif
