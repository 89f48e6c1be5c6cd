/* What the index knows of keeping and removing: which studies may go, what is in their way, what was mended. */
#ifndef LVN_STORAGE_INDEX_KEEP_H
#define LVN_STORAGE_INDEX_KEEP_H

#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Studies that wait, failed or were refused, whose last object and decision are older than `before_ms`, and of which
 * nothing is on its way out. Oldest first; lvn_free() the array. */
LVN_MUST_CHECK bool lvn_index_list_unattended(struct lvn_index *index, int64_t before_ms, size_t limit,
                                              struct lvn_index_study **ret_studies, size_t *ret_count,
                                              struct lvn_error *err);

/* How many those are. */
LVN_MUST_CHECK bool lvn_index_count_unattended(struct lvn_index *index, int64_t before_ms, int64_t *ret_count,
                                               struct lvn_error *err);

struct lvn_index_hindrance {
  int64_t running_job_id; /* 0: none */
  int64_t sending;        /* results that are being sent at this moment */
  int64_t unsent;         /* results that wait, or could not be sent */
};
/* What speaks against removing the study now. */
LVN_MUST_CHECK bool lvn_index_study_hindrance(struct lvn_index *index, const char *study_uid,
                                              struct lvn_index_hindrance *ret_hindrance, struct lvn_error *err);

/* A damaged object of the study was replaced: whatever was decided is decided again. *ret_job_id is the study's latest
 * job, whose outcome no longer counts; 0 when there is none. */
LVN_MUST_CHECK bool lvn_index_study_mended(struct lvn_index *index, const char *study_uid, int64_t settle_at_ms,
                                           int64_t *ret_job_id, struct lvn_error *err);

/* Wall time of the newest thing that the index knows; 0 when it knows nothing. */
LVN_MUST_CHECK bool lvn_index_newest_ms(struct lvn_index *index, int64_t *ret_wall_ms, struct lvn_error *err);

/* Studies that wait for objects, and since when the oldest of them does; 0 when there is none. */
LVN_MUST_CHECK bool lvn_index_count_waiting(struct lvn_index *index, int64_t *ret_count, int64_t *ret_oldest_ms,
                                            struct lvn_error *err);

/* What waits for long: studies for a phase or a ROI, jobs for their turn or their next attempt. */
struct lvn_index_long_waits {
  int64_t studies_since_ms; /* given: of the last object, from ... to */
  int64_t studies_until_ms;
  int64_t jobs_until_ms; /* given: of the job's making */
  int64_t studies;
  int64_t jobs;
};
LVN_MUST_CHECK bool lvn_index_count_long_waits(struct lvn_index *index, struct lvn_index_long_waits *waits,
                                               struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
