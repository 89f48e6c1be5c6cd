/* The worker's end of the socket to the pipeline: one JSON object a line, bounded. Belongs to one thread. */
#ifndef LVN_DAEMON_WORKER_WIRE_H
#define LVN_DAEMON_WORKER_WIRE_H

#include "analysis/analysis.h"
#include "base/error.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_WIRE_LINE_MAX_BYTES (8U << 20) /* a job of 20,000 objects */

struct lvn_wire;
LVN_MUST_CHECK bool lvn_wire_connect(const char *socket_path, struct lvn_wire **ret_wire, struct lvn_error *err);
void lvn_wire_close(struct lvn_wire *wire); /* NULL is allowed */

struct lvn_wire_job {
  int64_t job_id;
  int64_t wall_ms;
  char *job_key;      /* owned, like the rest */
  char *replaced_key; /* of the job whose report this one's replaces; empty: none */
  int64_t replaced_wall_ms;
  char *output_folder;
  char **paths;
  size_t path_count;
};
void lvn_wire_job_clear(struct lvn_wire_job *job);

LVN_MUST_CHECK bool lvn_wire_send_hello(struct lvn_wire *wire, const struct lvn_classifier_info *info,
                                        struct lvn_error *err);
/* Is there something to receive within `seconds`? *ret_ready false: not yet. */
LVN_MUST_CHECK bool lvn_wire_wait(struct lvn_wire *wire, double seconds, bool *ret_ready, struct lvn_error *err);
/* Waits without limit; a signal that sets `*stop` ends the wait with LVN_ERROR_TIMEOUT. */
LVN_MUST_CHECK bool lvn_wire_receive_job(struct lvn_wire *wire, const volatile sig_atomic_t *stop,
                                         struct lvn_wire_job *ret_job, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_wire_send_done(struct lvn_wire *wire, int64_t job_id, const struct lvn_analysis_result *result,
                                       struct lvn_error *err);
LVN_MUST_CHECK bool lvn_wire_send_failed(struct lvn_wire *wire, int64_t job_id, const struct lvn_error *failure,
                                         struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
