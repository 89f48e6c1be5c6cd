/* Outbox: what is queued goes to its destinations, by the transport that serves each. Shape: shared/tick.h; the rows
 * are storage/outbox.h's. */
#ifndef LVN_DAEMON_PIPELINE_OUTBOX_H
#define LVN_DAEMON_PIPELINE_OUTBOX_H

#include "base/loop/loop.h"
#include "config/config.h"
#include "daemon/pipeline/outbox/transport.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_outbox;
struct lvn_outbox_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_loop *loop;
  const struct lvn_outbox_transport *const *transports; /* ended by NULL; NULL: lvn_outbox_transports */
};
LVN_MUST_CHECK bool lvn_outbox_create(const struct lvn_outbox_needs *needs, struct lvn_outbox **ret_outbox,
                                      struct lvn_error *err);
/* Waits a few seconds for sends that run. */
void lvn_outbox_destroy(struct lvn_outbox *outbox);
int64_t lvn_outbox_tick(struct lvn_outbox *outbox, int64_t now_ms);
const char *lvn_outbox_problem(const struct lvn_outbox *outbox);

/* Nothing more is sent; what is under way ends. */
void lvn_outbox_stop(struct lvn_outbox *outbox);
/* The index was made again: its rows are others. Nothing may be under way. */
void lvn_outbox_forget(struct lvn_outbox *outbox);
/* Destinations that something is being sent to. */
size_t lvn_outbox_count_busy(const struct lvn_outbox *outbox);
bool lvn_outbox_is_busy(const struct lvn_outbox *outbox, const char *destination);
/* From the begin of a send to its end. */
struct lvn_stage lvn_outbox_get_stage(const struct lvn_outbox *outbox);

/* Wait before the next attempt: doubled each time, up to the maximum. */
int64_t lvn_outbox_backoff_ms(int64_t attempt, unsigned first_seconds, unsigned max_seconds);

#ifdef __cplusplus
}
#endif
#endif
