/* The queue of analyses: one job for a study, its inputs and a model. A job that is claimed is leased to this node,
 * which renews the lease while a worker is at it; what nobody renews is queued again. Over the index's connection and
 * by its thread rule. Every change is one durable step, or part of the caller's (lvn_index_begin()). */
#ifndef LVN_STORAGE_QUEUE_H
#define LVN_STORAGE_QUEUE_H

#include "base/error.h"
#include "base/sha256.h"
#include "storage/index.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_job_state {
  LVN_JOB_ANY, /* of a filter only */
  LVN_JOB_QUEUED,
  LVN_JOB_RUNNING,
  LVN_JOB_DONE,
  LVN_JOB_FAILED,
  LVN_JOB_CANCELLED,
  LVN_JOB_STATES
};
/* "queued", …; "" of any. */
const char *lvn_job_state_name(enum lvn_job_state state);
/* LVN_ERROR_USAGE for what is no state's name. */
LVN_MUST_CHECK bool lvn_job_state_parse(const char *name, enum lvn_job_state *ret_state, struct lvn_error *err);

/* What a finished job came to. */
enum lvn_job_outcome {
  LVN_OUTCOME_NONE, /* not finished, or it no longer counts */
  LVN_OUTCOME_DONE,
  LVN_OUTCOME_WAITING,
  LVN_OUTCOME_REFUSED,
  LVN_OUTCOME_STALE, /* objects came meanwhile */
  LVN_OUTCOMES
};
/* "done", …; "" of none. */
const char *lvn_job_outcome_name(enum lvn_job_outcome outcome);
/* LVN_ERROR_USAGE for what is no outcome's name; "" is none. */
LVN_MUST_CHECK bool lvn_job_outcome_parse(const char *name, enum lvn_job_outcome *ret_outcome, struct lvn_error *err);

struct lvn_job_model {
  char name[64];
  char version[32];
  uint8_t digest[LVN_SHA256_BYTES];
};

struct lvn_job {
  int64_t job_id;
  char study_uid[LVN_UID_BYTES];
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  enum lvn_job_state state;
  enum lvn_job_outcome outcome;
  char key[LVN_SHA256_TEXT_BYTES];
  char model_name[64];
  char model_version[32];
  uint8_t input_digest[LVN_SHA256_BYTES];
  uint8_t model_digest[LVN_SHA256_BYTES];
  int64_t repetition; /* 0, or how often these inputs came back after the results of others */
  int64_t wall_ms;
  int64_t attempt;
  int64_t postponed; /* attempts that the node itself prevented, which do not count */
  int64_t not_before_ms;
  int64_t started_ms;
  int64_t finished_ms;
  char error_code[32];
  char error_text[LVN_INDEX_MESSAGE_BYTES];
};

/* A job for a ready study; a job of the same study, inputs and model is queued again instead, unless a later job of the
 * study has results: then those are what the destinations show, and the old ones with their old UIDs would not become
 * current there again. Unsent results of older jobs of the study are cancelled. */
LVN_MUST_CHECK bool lvn_queue_create(struct lvn_index *index, const char *study_uid, const struct lvn_job_model *model,
                                     int64_t now_ms, int64_t *ret_job_id, struct lvn_error *err);
/* Queued jobs for another model than this one are cancelled; their studies are ready again and get new jobs. */
LVN_MUST_CHECK bool lvn_queue_cancel_other_models(struct lvn_index *index, const uint8_t digest[LVN_SHA256_BYTES],
                                                  struct lvn_error *err);

/* ---- the lease: the engine's own clock measures it, whatever the wall clock does ---- */

/* The oldest due job becomes running, leased to this node for lease_ms, and its attempt is counted, durably, before any
 * work. */
LVN_MUST_CHECK bool lvn_queue_claim(struct lvn_index *index, int64_t now_ms, int64_t lease_ms, struct lvn_job *ret_job,
                                    bool *ret_found, struct lvn_error *err);
/* Renews the leases of these jobs for lease_ms from now on, as far as this node holds them; ask it several times in
 * that time: only what is half over is written. */
LVN_MUST_CHECK bool lvn_queue_heartbeat(struct lvn_index *index, const int64_t *job_ids, size_t count, int64_t lease_ms,
                                        struct lvn_error *err);
/* Running jobs whose lease is over, and studies in processing without a running job, go back to their queue without an
 * attempt: nobody works on them. Renew first what is worked on. */
LVN_MUST_CHECK bool lvn_queue_sweep(struct lvn_index *index, size_t *ret_swept, struct lvn_error *err);

/* ---- the end of an attempt: LVN_ERROR_CONFLICT when this node does not hold the job's lease ---- */

struct lvn_job_result {
  char path[LVN_PATH_BYTES];
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  uint8_t sha256[LVN_SHA256_BYTES];
};

struct lvn_job_finish { /* all borrowed */
  int64_t job_id;
  enum lvn_job_outcome outcome; /* done, waiting or refused */
  const char *status_message;
  const struct lvn_job_result *results;
  size_t result_count;
  const char *const *destinations; /* peer names; each result goes to each */
  size_t destination_count;
  /* NULL: each result goes to each destination. */
  bool (*goes_to)(const void *user_data, const char *destination, const char *sop_class_uid);
  const void *user_data; /* of goes_to */
  int64_t now_ms;
};

/* running -> done. When objects came meanwhile the outcome is stale: nothing is sent, the study collects again. */
LVN_MUST_CHECK bool lvn_queue_finish(struct lvn_index *index, const struct lvn_job_finish *finish,
                                     struct lvn_error *err);
/* running -> queued (transient and attempts left, not before retry_at_ms) or failed. */
LVN_MUST_CHECK bool lvn_queue_fail(struct lvn_index *index, int64_t job_id, const char *code, const char *message,
                                   bool transient, int64_t now_ms, int64_t retry_at_ms, struct lvn_error *err);
/* running -> queued: this node could not do it (a full disk), which is not the study's fault; no attempt is counted. */
LVN_MUST_CHECK bool lvn_queue_postpone(struct lvn_index *index, int64_t job_id, const char *code, const char *message,
                                       int64_t now_ms, int64_t retry_at_ms, struct lvn_error *err);
/* Operator: a failed job is queued again. */
LVN_MUST_CHECK bool lvn_queue_retry(struct lvn_index *index, int64_t job_id, struct lvn_error *err);

/* Operator: what waits for its next attempt is due now. */
LVN_MUST_CHECK bool lvn_queue_wake(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err);

/* ---- looking ---- */

/* LVN_ERROR_DATA when there is no such job. */
LVN_MUST_CHECK bool lvn_queue_get(struct lvn_index *index, int64_t job_id, struct lvn_job *ret_job,
                                  struct lvn_error *err);
LVN_MUST_CHECK bool lvn_queue_has(struct lvn_index *index, int64_t job_id, bool *ret_known, struct lvn_error *err);
/* The job whose report this job's one replaces: the latest before it of its study whose object of `sop_class_uid`
 * (NULL: of any class) was sent to somebody. */
LVN_MUST_CHECK bool lvn_queue_predecessor(struct lvn_index *index, int64_t job_id, const char *sop_class_uid,
                                          struct lvn_job *ret_job, bool *ret_found, struct lvn_error *err);
struct lvn_job_filter {
  enum lvn_job_state state;
  const char *study_uid; /* UID, or name as in logs; NULL: any */
  int64_t since_ms;      /* made then or later */
  int64_t below_id;      /* 0: from the newest on */
  size_t limit;          /* 0: 10000 */
};
/* Newest first. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_queue_list(struct lvn_index *index, const struct lvn_job_filter *filter,
                                   struct lvn_job **ret_jobs, size_t *ret_count, struct lvn_error *err);
/* Jobs by state. */
LVN_MUST_CHECK bool lvn_queue_count(struct lvn_index *index, int64_t ret_counts[LVN_JOB_STATES], struct lvn_error *err);
/* Jobs that wait because this node could not do them. */
LVN_MUST_CHECK bool lvn_queue_count_postponed(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err);
/* The earliest time after now_ms at which a queued job becomes due; INT64_MAX: none. */
LVN_MUST_CHECK bool lvn_queue_next_due(struct lvn_index *index, int64_t now_ms, int64_t *ret_due_ms,
                                       struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
