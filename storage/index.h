/* The index: which objects are there, what each study waits for, which jobs ran, what still has to be sent. SQLite, one
 * connection in one process (the pipeline), every state change checked by triggers and written to an event log. It can
 * always be rebuilt from the object store: it is a map of the objects, not their home. */
#ifndef LVN_STORAGE_INDEX_H
#define LVN_STORAGE_INDEX_H

#include "base/error.h"
#include "base/sha256.h"
#include "storage/spool.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_INDEX_MESSAGE_BYTES 512
#define LVN_INDEX_STUDY_NAME_BYTES 13 /* 12 hexadecimal digits: the name of a study in logs */
#define LVN_INDEX_STATE_BYTES 16

/* Belongs to one thread at a time. Holds an exclusive lock on <state>/index.lock while it lives. */
struct lvn_index;

/* Opens or creates <state>/index.sqlite: integrity check, then recovery of what a killed process left
 * (running jobs and sends are queued again, without an attempt; a job that was interrupted ten times fails).
 * LVN_ERROR_CONFLICT when another process holds the lock; LVN_ERROR_DATA when the file is damaged or of a schema that
 * cannot be brought up to date in place (then rebuild it). */
LVN_MUST_CHECK bool lvn_index_open(const char *state_folder, unsigned job_attempts_max, struct lvn_index **ret_index,
                                   struct lvn_error *err);
/* Folds the write-ahead log in and closes. NULL is allowed. */
void lvn_index_close(struct lvn_index *index);

/* A new, empty index file beside the old one takes the old one's place only at lvn_index_rebuild_commit(); close
 * without it and the old file stays as it was. `index` must be open; afterwards it works on the new file. */
LVN_MUST_CHECK bool lvn_index_rebuild_begin(struct lvn_index *index, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_rebuild_commit(struct lvn_index *index, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_rebuild_abandon(struct lvn_index *index, struct lvn_error *err);
/* For an index file that is too damaged to open: moves it aside, so that lvn_index_open() makes a new one. Needs the
 * lock: LVN_ERROR_CONFLICT when a process holds it. */
LVN_MUST_CHECK bool lvn_index_set_aside(const char *state_folder, struct lvn_error *err);

/* Several additions in one durable step. Not nested. */
LVN_MUST_CHECK bool lvn_index_begin(struct lvn_index *index, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_commit(struct lvn_index *index, struct lvn_error *err);
void lvn_index_rollback(struct lvn_index *index);

/* First 12 hexadecimal digits of SHA-256 over the installation's random key and the study UID. */
LVN_MUST_CHECK bool lvn_index_study_name(const struct lvn_index *index, const char *study_uid,
                                         char ret_name[LVN_INDEX_STUDY_NAME_BYTES], struct lvn_error *err);

/* ---- objects ---- */

/* What an object is for the assembler. The pipeline decides by SOP class; the index only counts. */
enum lvn_index_role { LVN_INDEX_ROLE_CT, LVN_INDEX_ROLE_ROI, LVN_INDEX_ROLE_OTHER };

struct lvn_index_object {
  struct lvn_reception_record record;
  enum lvn_index_role role;
  char modality[17];
  const char *patient_id;           /* borrowed; stored as a keyed digest only */
  const char *issuer_of_patient_id; /* borrowed, may be empty */
};

struct lvn_index_addition {
  bool is_new;           /* false: these bytes were there already */
  bool is_repeated;      /* and this very reception, or one after it, was indexed before */
  bool replaces;         /* another object of the same UID is no longer current */
  bool is_own;           /* one of our results came back: kept, never an input */
  bool patient_conflict; /* the study is rejected until an operator releases it */
  bool reopened;         /* a finished study was opened again: its revision grew */
  bool has_superseded;   /* the UID has several objects; this one is not, or no longer, current: */
  uint8_t superseded_sha256[LVN_SHA256_BYTES];
};

/* Idempotent. Of several objects of one SOP instance the one that was received last is current; bytes that are known
 * become current again by a later reception. `settle_at_ms`: when the study may be looked at if nothing else comes. */
LVN_MUST_CHECK bool lvn_index_add(struct lvn_index *index, const struct lvn_index_object *object, int64_t settle_at_ms,
                                  struct lvn_index_addition *ret_addition, struct lvn_error *err);

/* Number of the newest reception that the index knows; 0: none. */
LVN_MUST_CHECK bool lvn_index_last_sequence(struct lvn_index *index, int64_t *ret_sequence, struct lvn_error *err);

/* Is this digest known, and current for its SOP instance UID? */
LVN_MUST_CHECK bool lvn_index_has_object(struct lvn_index *index, const uint8_t sha256[LVN_SHA256_BYTES],
                                         bool *ret_known, bool *ret_current, struct lvn_error *err);

/* ---- studies ---- */

struct lvn_index_study {
  char study_uid[LVN_UID_BYTES];
  char name[LVN_INDEX_STUDY_NAME_BYTES];
  char state[LVN_INDEX_STATE_BYTES]; /* collecting, ready, processing, done, failed, rejected */
  char status_message[LVN_INDEX_MESSAGE_BYTES];
  char source_aet[17];
  char source_address[64];
  int64_t revision;
  int64_t settle_at_ms;
  int64_t first_received_ms;
  int64_t last_received_ms;
  int64_t latest_job_id; /* 0: none */
  int64_t object_count;
  int64_t ct_series_count;
  int64_t roi_count;
  bool has_live_job; /* a job is queued or running */
  bool is_locked;    /* two patients: only an operator's release goes on */
};

struct lvn_index_study_filter {
  const char *state;     /* NULL: any */
  const char *study_uid; /* UID, or name as in logs; NULL: any */
  int64_t changed_only;  /* nonzero: only studies that changed since the assembler last looked */
  size_t limit;          /* 0: 10000 */
};

/* Oldest last reception first. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_index_list_studies(struct lvn_index *index, const struct lvn_index_study_filter *filter,
                                           struct lvn_index_study **ret_studies, size_t *ret_count,
                                           struct lvn_error *err);
/* Stays collecting; not looked at again until an object comes. */
LVN_MUST_CHECK bool lvn_index_study_wait(struct lvn_index *index, const char *study_uid, const char *status_message,
                                         struct lvn_error *err);
/* collecting -> ready */
LVN_MUST_CHECK bool lvn_index_study_settle(struct lvn_index *index, const char *study_uid, struct lvn_error *err);
/* Operator: a rejected study goes on with the patient that most of its objects name; the others are left out. */
LVN_MUST_CHECK bool lvn_index_study_release(struct lvn_index *index, const char *study_uid, struct lvn_error *err);
/* Operator: a finished, failed, waiting or rejected (not locked) study is analysed again. */
LVN_MUST_CHECK bool lvn_index_study_retry(struct lvn_index *index, const char *study_uid, struct lvn_error *err);
/* Digests of the current input objects, sorted: 32 bytes each. lvn_free() it. */
LVN_MUST_CHECK bool lvn_index_study_inputs(struct lvn_index *index, const char *study_uid, uint8_t **ret_digests,
                                           size_t *ret_count, struct lvn_error *err);
/* All objects of the study, current or not: what retention deletes. */
LVN_MUST_CHECK bool lvn_index_study_objects(struct lvn_index *index, const char *study_uid, uint8_t **ret_digests,
                                            size_t *ret_count, struct lvn_error *err);
/* Done studies whose results were all sent (or cancelled) and whose last event is older than `before_ms`. */
LVN_MUST_CHECK bool lvn_index_list_expired(struct lvn_index *index, int64_t before_ms, size_t limit,
                                           struct lvn_index_study **ret_studies, size_t *ret_count,
                                           struct lvn_error *err);
/* Forgets a study with its jobs. The caller has removed the files. */
LVN_MUST_CHECK bool lvn_index_study_delete(struct lvn_index *index, const char *study_uid, struct lvn_error *err);

/* ---- jobs ---- */

struct lvn_index_model {
  char name[64];
  char version[32];
  uint8_t digest[LVN_SHA256_BYTES];
};

struct lvn_index_job {
  int64_t job_id;
  char study_uid[LVN_UID_BYTES];
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  char state[LVN_INDEX_STATE_BYTES]; /* queued, running, done, failed, cancelled */
  char outcome[LVN_INDEX_STATE_BYTES];
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
LVN_MUST_CHECK bool lvn_index_job_create(struct lvn_index *index, const char *study_uid,
                                         const struct lvn_index_model *model, int64_t now_ms, int64_t *ret_job_id,
                                         struct lvn_error *err);
/* Queued jobs for another model than this one are cancelled; their studies are ready again and get new jobs. */
LVN_MUST_CHECK bool lvn_index_job_cancel_other_models(struct lvn_index *index, const uint8_t digest[LVN_SHA256_BYTES],
                                                      struct lvn_error *err);
/* The oldest due job becomes running and its attempt is counted, durably, before any work. */
LVN_MUST_CHECK bool lvn_index_job_claim(struct lvn_index *index, int64_t now_ms, struct lvn_index_job *ret_job,
                                        bool *ret_found, struct lvn_error *err);

struct lvn_index_result {
  char path[LVN_PATH_BYTES];
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  uint8_t sha256[LVN_SHA256_BYTES];
};

struct lvn_index_finish {
  int64_t job_id;
  const char *outcome; /* "done", "waiting", "refused" */
  const char *status_message;
  const struct lvn_index_result *results;
  size_t result_count;
  const char *const *destinations; /* peer names; each result goes to each */
  size_t destination_count;
  int64_t now_ms;
};

/* running -> done. When objects came meanwhile the outcome is "stale": nothing is sent, the study collects again. */
LVN_MUST_CHECK bool lvn_index_job_finish(struct lvn_index *index, const struct lvn_index_finish *finish,
                                         struct lvn_error *err);
/* running -> queued (transient and attempts left, not before retry_at_ms) or failed. */
LVN_MUST_CHECK bool lvn_index_job_fail(struct lvn_index *index, int64_t job_id, const char *code, const char *message,
                                       bool transient, int64_t now_ms, int64_t retry_at_ms, struct lvn_error *err);
/* running -> queued: this node could not do it (a full disk), which is not the study's fault; no attempt is counted. */
LVN_MUST_CHECK bool lvn_index_job_postpone(struct lvn_index *index, int64_t job_id, const char *code,
                                           const char *message, int64_t now_ms, int64_t retry_at_ms,
                                           struct lvn_error *err);
/* Operator: a failed job is queued again. */
LVN_MUST_CHECK bool lvn_index_job_retry(struct lvn_index *index, int64_t job_id, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_job_get(struct lvn_index *index, int64_t job_id, struct lvn_index_job *ret_job,
                                      struct lvn_error *err);
/* The job whose report this job's one replaces: the latest before it of its study whose object of `sop_class_uid` was
 * sent to somebody. */
LVN_MUST_CHECK bool lvn_index_job_predecessor(struct lvn_index *index, int64_t job_id, const char *sop_class_uid,
                                              struct lvn_index_job *ret_job, bool *ret_found, struct lvn_error *err);
/* Newest first; `state` and `study_uid` NULL: any. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_index_list_jobs(struct lvn_index *index, const char *state, const char *study_uid, size_t limit,
                                        struct lvn_index_job **ret_jobs, size_t *ret_count, struct lvn_error *err);
/* ---- outbound ---- */

struct lvn_index_outbound {
  int64_t outbound_id;
  int64_t job_id;
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  char destination[64];
  char state[LVN_INDEX_STATE_BYTES]; /* queued, sending, sent, failed, cancelled */
  char path[LVN_PATH_BYTES];
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  int64_t attempt;
  int64_t not_before_ms;
  int64_t created_ms;
  int64_t last_status; /* DIMSE status, or -1 when the peer never answered */
  char last_error[LVN_INDEX_MESSAGE_BYTES];
};

/* Due rows of one destination and one job become sending, attempts counted. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_index_outbound_claim(struct lvn_index *index, const char *destination, int64_t now_ms,
                                             struct lvn_index_outbound **ret_rows, size_t *ret_count,
                                             struct lvn_error *err);
enum lvn_index_send_verdict { LVN_INDEX_SENT, LVN_INDEX_SEND_AGAIN, LVN_INDEX_SEND_FAILED };
/* Of a superseded job, "again" means cancelled. LVN_ERROR_CONFLICT when the row is not being sent. */
LVN_MUST_CHECK bool lvn_index_outbound_finish(struct lvn_index *index, int64_t outbound_id,
                                              enum lvn_index_send_verdict verdict, int64_t status, const char *message,
                                              int64_t now_ms, int64_t not_before_ms, struct lvn_error *err);
/* Operator: a failed, cancelled or sent row is queued again. */
LVN_MUST_CHECK bool lvn_index_outbound_retry(struct lvn_index *index, int64_t outbound_id, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_list_outbound(struct lvn_index *index, const char *state, size_t limit,
                                            struct lvn_index_outbound **ret_rows, size_t *ret_count,
                                            struct lvn_error *err);

/* ---- what nothing else would end (index_sweep.c) ---- */

/* Running jobs that are not among `live_ids`, and studies in processing without one, go back to their queue without an
 * attempt: nobody works on them. */
LVN_MUST_CHECK bool lvn_index_sweep_jobs(struct lvn_index *index, const int64_t *live_ids, size_t live_count,
                                         size_t *ret_swept, struct lvn_error *err);
/* Peers that have rows in sending, in order of name, at most max_count names of 64 bytes. */
LVN_MUST_CHECK bool lvn_index_list_sending(struct lvn_index *index, char (*ret_names)[64], size_t max_count,
                                           size_t *ret_count, struct lvn_error *err);
/* Rows in sending to a destination that nobody sends to are queued again, without an attempt. */
LVN_MUST_CHECK bool lvn_index_sweep_outbound(struct lvn_index *index, const char *destination, int64_t not_before_ms,
                                             size_t *ret_swept, struct lvn_error *err);
/* Jobs that wait because this node could not do them. */
LVN_MUST_CHECK bool lvn_index_count_postponed(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err);
/* Rows that were given up: no more attempts are made unless an operator asks. */
LVN_MUST_CHECK bool lvn_index_count_undelivered(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err);
/* The wall clock was set forward or back by shift_ms: what waits for a time waits as long as before. No wait is longer
 * than its maximum from now_ms on, whatever the clock was when it was written. */
struct lvn_index_waits {
  int64_t shift_ms;
  int64_t now_ms;
  int64_t settle_max_ms;
  int64_t job_max_ms;
  int64_t send_max_ms;
};
LVN_MUST_CHECK bool lvn_index_shift_waits(struct lvn_index *index, const struct lvn_index_waits *waits,
                                          struct lvn_error *err);

/* ---- watching ---- */

struct lvn_index_event {
  int64_t event_id;
  int64_t at_ms;
  char entity[16];
  char entity_id[LVN_UID_BYTES]; /* studies: the name of logs, never the UID */
  char from_state[LVN_INDEX_STATE_BYTES];
  char to_state[LVN_INDEX_STATE_BYTES];
};
/* Events after `after_id`, oldest first, at most `limit`. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_index_list_events(struct lvn_index *index, int64_t after_id, size_t limit,
                                          struct lvn_index_event **ret_events, size_t *ret_count,
                                          struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_last_event_id(struct lvn_index *index, int64_t *ret_event_id, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_prune_events(struct lvn_index *index, int64_t before_ms, struct lvn_error *err);

struct lvn_index_state_count {
  char entity[16];
  char state[LVN_INDEX_STATE_BYTES];
  int64_t count;
};
struct lvn_index_counts {
  struct lvn_index_state_count items[24]; /* every state of study, job and outbound, zero or not */
  size_t count;
  int64_t objects;
  int64_t oldest_outbound_ms; /* creation of the oldest row that still has to be sent; 0: none */
  int64_t last_success_ms;    /* last result sent; 0: never */
};
LVN_MUST_CHECK bool lvn_index_count(struct lvn_index *index, struct lvn_index_counts *ret_counts,
                                    struct lvn_error *err);
/* The earliest time after now_ms at which a queued job or send becomes due; INT64_MAX: none. */
LVN_MUST_CHECK bool lvn_index_next_due(struct lvn_index *index, int64_t now_ms, int64_t *ret_due_ms,
                                       struct lvn_error *err);
/* Peers that have something due, in order of name, at most max_count names of 64 bytes. */
LVN_MUST_CHECK bool lvn_index_list_destinations(struct lvn_index *index, int64_t now_ms, char (*ret_names)[64],
                                                size_t max_count, size_t *ret_count, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
