/* Scheduler: hands jobs to the workers that connect to its socket, one at a time each, and records what they say.
 * Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_SCHEDULER_H
#define LVN_DAEMON_PIPELINE_SCHEDULER_H

#include "base/loop/loop.h"
#include "config/config.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/index.h"
#include "storage/objects.h"
#include "storage/queue.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_WORKER_SOCKET "worker.sock" /* in the run folder */
#define LVN_SCHEDULER_WORKERS_MAX 8
#define LVN_SCHEDULER_BACKOFF_MAX_MS INT64_C(300000) /* no job waits longer for its next attempt */

struct lvn_scheduler;
struct lvn_scheduler_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  const struct lvn_objects *objects;
  struct lvn_loop *loop;
};
/* Listens. */
LVN_MUST_CHECK bool lvn_scheduler_create(const struct lvn_scheduler_needs *needs, struct lvn_scheduler **ret_scheduler,
                                         struct lvn_error *err);
void lvn_scheduler_destroy(struct lvn_scheduler *scheduler);
int64_t lvn_scheduler_tick(struct lvn_scheduler *scheduler, int64_t now_ms);
const char *lvn_scheduler_problem(const struct lvn_scheduler *scheduler);

/* Nothing more is given out. */
void lvn_scheduler_stop(struct lvn_scheduler *scheduler);
/* The index was made again: its jobs are others. No job may be running. */
void lvn_scheduler_forget(struct lvn_scheduler *scheduler);
size_t lvn_scheduler_count_running(const struct lvn_scheduler *scheduler);
/* The worker that does this job is killed, and its outcome does not count: the job's study goes. */
void lvn_scheduler_end_job(struct lvn_scheduler *scheduler, int64_t job_id);
/* The model of the worker that greeted last; NULL: none has since the start. */
const struct lvn_job_model *lvn_scheduler_get_model(const struct lvn_scheduler *scheduler);

struct lvn_scheduler_worker {
  pid_t pid; /* by the kernel's word */
  struct lvn_job_model model;
  int64_t job_id; /* 0: idle */
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
};
size_t lvn_scheduler_list_workers(const struct lvn_scheduler *scheduler,
                                  struct lvn_scheduler_worker ret_workers[LVN_SCHEDULER_WORKERS_MAX]);

struct lvn_scheduler_counts { /* since creation */
  size_t workers;             /* now */
  uint64_t connections;
  uint64_t losses;
  uint64_t kills;
  struct lvn_stage queue;
  struct lvn_stage analysis;
};
struct lvn_scheduler_counts lvn_scheduler_get_counts(const struct lvn_scheduler *scheduler);

#ifdef __cplusplus
}
#endif
#endif
