/* The worker's end of the socket to the pipeline: what it says and is told, over base/json_lines.h. */
#ifndef LVN_DAEMON_WORKER_WIRE_H
#define LVN_DAEMON_WORKER_WIRE_H

#include "analysis/analysis.h"
#include "base/error.h"
#include "base/json_lines.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

LVN_MUST_CHECK bool lvn_wire_connect(const char *socket_path, struct lvn_json_lines **ret_lines, struct lvn_error *err);

struct lvn_wire_job {
  int64_t job_id;
  int64_t wall_ms;
  char *job_key;            /* owned, like the rest */
  char *replaced_key;       /* of the job whose report this one's replaces; empty: none */
  int64_t replaced_wall_ms; /* 0: no earlier results of the study were sent, not even without a report */
  char *output_folder;
  char **paths;
  size_t path_count;
};
void lvn_wire_job_clear(struct lvn_wire_job *job);

/* A message from the pipeline, which can only be a job; NULL: it was not JSON. */
LVN_MUST_CHECK bool lvn_wire_read_job(const json_t *message, struct lvn_wire_job *ret_job, struct lvn_error *err);

LVN_MUST_CHECK bool lvn_wire_send_hello(struct lvn_json_lines *lines, const struct lvn_classifier_info *info,
                                        struct lvn_error *err);
LVN_MUST_CHECK bool lvn_wire_send_done(struct lvn_json_lines *lines, int64_t job_id,
                                       const struct lvn_analysis_result *result, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_wire_send_failed(struct lvn_json_lines *lines, int64_t job_id, const struct lvn_error *failure,
                                         struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
