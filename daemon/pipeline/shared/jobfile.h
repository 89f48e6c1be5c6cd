/* results/<job_id>/job.json, what a rebuild needs to know of a job. */
#ifndef LVN_DAEMON_PIPELINE_JOBFILE_H
#define LVN_DAEMON_PIPELINE_JOBFILE_H

#include "config/config.h"
#include "storage/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_jobfile {
  struct lvn_job job;
  enum lvn_job_outcome outcome;  /* none: not finished, or it no longer counts */
  enum lvn_job_outcome recorded; /* the outcome that it had, whether it counts or not; filled by reading */
  char status_message[LVN_INDEX_MESSAGE_BYTES];
  struct lvn_job_result *results; /* owned */
  size_t result_count;
  bool has_destinations; /* false: an older file, which does not say */
  size_t destination_count;
  char destinations[LVN_CONFIG_PEERS_MAX][64]; /* peers that get the results */
};

LVN_MUST_CHECK bool lvn_jobfile_folder(const struct lvn_config *config, int64_t job_id, char ret_path[LVN_PATH_BYTES],
                                       struct lvn_error *err);
LVN_MUST_CHECK bool lvn_jobfile_write(const struct lvn_config *config, const struct lvn_jobfile *file,
                                      struct lvn_error *err);
/* *ret_found false when there is none. A finished one is checked: every result file exists with its digest, otherwise
 * its outcome is emptied. lvn_jobfile_clear() it. */
LVN_MUST_CHECK bool lvn_jobfile_read(const struct lvn_config *config, int64_t job_id, struct lvn_jobfile *ret_file,
                                     bool *ret_found, struct lvn_error *err);
/* The outcome counts no longer: the next attempt works. The results stay known. */
LVN_MUST_CHECK bool lvn_jobfile_forget(const struct lvn_config *config, int64_t job_id, struct lvn_error *err);
/* Fills in when the job finished and where its results go. */
LVN_MUST_CHECK bool lvn_jobfile_route(struct lvn_index *index, const struct lvn_config *config,
                                      struct lvn_jobfile *file, struct lvn_error *err);
void lvn_jobfile_clear(struct lvn_jobfile *file);

#ifdef __cplusplus
}
#endif
#endif
