/* Putting back into a new index what the files beside the results tell of jobs, results and what was sent. */
#ifndef LVN_STORAGE_INDEX_RESTORE_H
#define LVN_STORAGE_INDEX_RESTORE_H

#include "storage/index.h"
#include "storage/outbox.h"
#include "storage/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A job with its number; one without an outcome as cancelled. Of a study that is not there: nothing. */
LVN_MUST_CHECK bool lvn_index_job_restore(struct lvn_index *index, const struct lvn_job *job, struct lvn_error *err);
/* One of its results, so that it is known as our own when it comes back. */
LVN_MUST_CHECK bool lvn_index_result_restore(struct lvn_index *index, int64_t job_id,
                                             const struct lvn_job_result *result, struct lvn_error *err);

/* That a destination has a result. */
LVN_MUST_CHECK bool lvn_index_sent_restore(struct lvn_index *index, const struct lvn_outbox_sent *sent,
                                           struct lvn_error *err);

/* For a study of two patients: releases it where a job was finished on the objects of one of them after the other's had
 * come, since then an operator had released it. Else it stays as it is. */
LVN_MUST_CHECK bool lvn_index_restore_release(struct lvn_index *index, const char *study_uid, struct lvn_error *err);
/* The finished job that was made from what the study's current objects are, unless a later job has results; 0: none. */
LVN_MUST_CHECK bool lvn_index_restorable_job(struct lvn_index *index, const char *study_uid, int64_t *ret_job_id,
                                             struct lvn_error *err);
/* The study is as the job left it; what no destination is known to have is queued for the named destinations. */
LVN_MUST_CHECK bool lvn_index_study_restore(struct lvn_index *index, const struct lvn_job_finish *finish,
                                            struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
