/* The index: which objects are there and what each study waits for. SQLite, one connection in one process (the
 * pipeline), which storage/queue.h and storage/outbox.h share; every state change is checked by triggers and written to
 * an event log. It can always be rebuilt from the object store: it is a map of the objects, not their home. */
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

enum lvn_study_state {
  LVN_STUDY_ANY, /* of a filter only */
  LVN_STUDY_COLLECTING,
  LVN_STUDY_READY,
  LVN_STUDY_PROCESSING,
  LVN_STUDY_DONE,
  LVN_STUDY_FAILED,
  LVN_STUDY_REJECTED,
  LVN_STUDY_STATES
};
/* "collecting", …; "" of any. */
const char *lvn_study_state_name(enum lvn_study_state state);
/* LVN_ERROR_USAGE for what is no state's name. */
LVN_MUST_CHECK bool lvn_study_state_parse(const char *name, enum lvn_study_state *ret_state, struct lvn_error *err);

struct lvn_index_study {
  char study_uid[LVN_UID_BYTES];
  char name[LVN_INDEX_STUDY_NAME_BYTES];
  enum lvn_study_state state;
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
  enum lvn_study_state state;
  const char *study_uid; /* UID, or name as in logs; NULL: any */
  bool changed_only;     /* only studies that changed since the assembler last looked */
  int64_t since_ms;      /* last received then or later */
  int64_t until_ms;      /* and then or earlier; 0: any */
  const char *holds_uid; /* UID of a series, of an object or of a result of it; NULL: any */
  bool newest_first;     /* then, to go on behind the last one of a page: */
  int64_t after_ms;
  const char *after_uid; /* NULL: from the start */
  size_t limit;          /* 0: 10000 */
};

/* Oldest last reception first, unless newest_first. lvn_free() the array. */
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
/* A received object of each patient and role, images first: where the identity of a study is read. As above. */
LVN_MUST_CHECK bool lvn_index_study_samples(struct lvn_index *index, const char *study_uid, uint8_t **ret_digests,
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

/* ---- waits and watching ---- */

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

struct lvn_index_event {
  int64_t event_id;
  int64_t at_ms;
  char entity[16];               /* "study", "job", "outbound" */
  char entity_id[LVN_UID_BYTES]; /* studies: the name of logs, never the UID */
  char from_state[16];           /* names of the entity's states; empty: it was made */
  char to_state[16];
};
/* Events after `after_id`, oldest first, at most `limit`. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_index_list_events(struct lvn_index *index, int64_t after_id, size_t limit,
                                          struct lvn_index_event **ret_events, size_t *ret_count,
                                          struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_last_event_id(struct lvn_index *index, int64_t *ret_event_id, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_index_prune_events(struct lvn_index *index, int64_t before_ms, struct lvn_error *err);

struct lvn_index_counts {
  int64_t objects;
  int64_t studies[LVN_STUDY_STATES]; /* by state */
};
/* Grows with every row that this process changes: what was counted at the same value need not be counted again. */
int64_t lvn_index_get_change_count(const struct lvn_index *index);
LVN_MUST_CHECK bool lvn_index_count(struct lvn_index *index, struct lvn_index_counts *ret_counts,
                                    struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
