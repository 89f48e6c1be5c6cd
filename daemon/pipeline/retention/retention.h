/* Retention: studies go when their time is over, or when an operator says so; and the disk is watched. Shape:
 * shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_RETENTION_H
#define LVN_DAEMON_PIPELINE_RETENTION_H

#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_RETENTION_PERIOD_MS INT64_C(60000) /* between two looks for what is to go */

struct lvn_retention;
struct lvn_retention_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_objects *objects;
  struct lvn_spool *spool;
  /* Whoever works on this job is to be ended: its study goes. */
  void (*end_work)(void *user_data, int64_t job_id);
  void *user_data;
};
LVN_MUST_CHECK bool lvn_retention_create(const struct lvn_retention_needs *needs, struct lvn_retention **ret_retention,
                                         struct lvn_error *err);
void lvn_retention_destroy(struct lvn_retention *retention);
int64_t lvn_retention_tick(struct lvn_retention *retention, int64_t now_ms);
const char *lvn_retention_problem(const struct lvn_retention *retention);

/* Removes a study (UID, or name as in logs) with its objects, results and rows for an operator. LVN_ERROR_CONFLICT
 * while it is worked on, or, but with `force`, while results of it are unsent. */
LVN_MUST_CHECK bool lvn_retention_remove(struct lvn_retention *retention, const char *study, bool force,
                                         struct lvn_index_study *ret_study, struct lvn_error *err);
/* Why nothing is removed though its time has come; empty: nothing is held back. */
const char *lvn_retention_get_remark(const struct lvn_retention *retention);
/* The disk runs full; empty: it does not. */
const char *lvn_retention_get_disk_notice(const struct lvn_retention *retention);

#ifdef __cplusplus
}
#endif
#endif
