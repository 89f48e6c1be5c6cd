/* The outbox: what has to go out, a row for each object or event and destination, until the destination has it or it is
 * given up. Over the index's connection and by its thread rule. */
#ifndef LVN_STORAGE_OUTBOX_H
#define LVN_STORAGE_OUTBOX_H

#include "base/error.h"
#include "base/sha256.h"
#include "storage/index.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_DESTINATION_BYTES 64

enum lvn_outbox_state {
  LVN_OUTBOX_ANY, /* of a filter only */
  LVN_OUTBOX_QUEUED,
  LVN_OUTBOX_SENDING,
  LVN_OUTBOX_SENT,
  LVN_OUTBOX_COMMITTED, /* the destination has promised to keep it */
  LVN_OUTBOX_FAILED,    /* given up: no more attempts unless an operator asks */
  LVN_OUTBOX_CANCELLED, /* superseded before it was sent */
  LVN_OUTBOX_STATES
};
/* "queued", …; "" of any. */
const char *lvn_outbox_state_name(enum lvn_outbox_state state);
/* LVN_ERROR_USAGE for what is no state's name. */
LVN_MUST_CHECK bool lvn_outbox_state_parse(const char *name, enum lvn_outbox_state *ret_state, struct lvn_error *err);

/* What a transport says of one row. */
enum lvn_send_verdict {
  LVN_SEND_NONE, /* not tried yet */
  LVN_SEND_STORED,
  LVN_SEND_RETRY,   /* not stored; that commonly passes */
  LVN_SEND_FAILED,  /* not stored, and never will be */
  LVN_SEND_UNKNOWN, /* all of it went out, but no answer came: the destination may have it. Tried again. */
  LVN_SEND_VERDICTS
};
/* "stored", …; "" of none. */
const char *lvn_send_verdict_name(enum lvn_send_verdict verdict);
LVN_MUST_CHECK bool lvn_send_verdict_parse(const char *name, enum lvn_send_verdict *ret_verdict, struct lvn_error *err);

enum lvn_outbox_kind {
  LVN_OUTBOX_OBJECT, /* a result of a job, a DICOM file */
  LVN_OUTBOX_EVENT,  /* any other file */
  LVN_OUTBOX_KINDS
};
/* "object", "event" */
const char *lvn_outbox_kind_name(enum lvn_outbox_kind kind);
LVN_MUST_CHECK bool lvn_outbox_kind_parse(const char *name, enum lvn_outbox_kind *ret_kind, struct lvn_error *err);

struct lvn_outbox_row {
  int64_t outbox_id;
  int64_t job_id; /* 0: an event that is of no job */
  enum lvn_outbox_kind kind;
  enum lvn_outbox_state state;
  char study_name[LVN_INDEX_STUDY_NAME_BYTES]; /* empty with job_id 0 */
  char destination[LVN_DESTINATION_BYTES];     /* name of a peer */
  char path[LVN_PATH_BYTES];
  char sop_class_uid[LVN_UID_BYTES]; /* UIDs: of an object; of an event empty */
  char sop_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  int64_t attempt;
  int64_t not_before_ms;
  int64_t created_ms;
  int64_t sent_ms;                              /* 0: not yet */
  enum lvn_send_verdict verdict;                /* of the last attempt */
  int64_t status;                               /* the transport's own number for it; -1: none */
  char status_message[LVN_INDEX_MESSAGE_BYTES]; /* the same in words */
};

/* Results are queued by lvn_queue_finish(). */
struct lvn_outbox_event { /* all borrowed */
  const char *path;       /* of a file, which stays as it is until the row has ended; the caller's */
  const char *destination;
  int64_t job_id; /* 0: none */
  int64_t now_ms;
};
/* Idempotent: one row a path and destination. */
LVN_MUST_CHECK bool lvn_outbox_add_event(struct lvn_index *index, const struct lvn_outbox_event *event,
                                         struct lvn_error *err);

/* Due rows of one destination and one job become sending, attempts counted. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_outbox_claim(struct lvn_index *index, const char *destination, int64_t now_ms,
                                     struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err);

struct lvn_outbox_finish {
  int64_t outbox_id;
  enum lvn_send_verdict verdict;
  int64_t status;             /* as in the row */
  const char *status_message; /* borrowed */
  int64_t now_ms;
  int64_t not_before_ms; /* of the next attempt */
  bool gives_up;         /* there is none: failed instead of queued */
  bool wants_commitment; /* once sent, the destination is asked to promise it (storage/commitment.h) */
};
/* sending -> sent, queued (retry and unknown, while attempts are left) or failed. Of a superseded job, queued becomes
 * cancelled. LVN_ERROR_CONFLICT when the row is not being sent. */
LVN_MUST_CHECK bool lvn_outbox_finish(struct lvn_index *index, const struct lvn_outbox_finish *finish,
                                      struct lvn_error *err);
/* sent -> committed. LVN_ERROR_CONFLICT from any other state. */
LVN_MUST_CHECK bool lvn_outbox_commit(struct lvn_index *index, int64_t outbox_id, struct lvn_error *err);
/* Operator: a failed, cancelled, sent or committed row is queued again; one that waits for its next attempt is due now.
 * LVN_ERROR_CONFLICT while it is being sent. */
LVN_MUST_CHECK bool lvn_outbox_retry(struct lvn_index *index, int64_t outbox_id, struct lvn_error *err);
/* Operator: what failed is queued again, and what waits for its next attempt is due now: all of it, or what goes to
 * this destination. */
LVN_MUST_CHECK bool lvn_outbox_retry_unsent(struct lvn_index *index, const char *destination, int64_t *ret_count,
                                            struct lvn_error *err);
/* Operator: what waits for its next attempt is due now; what failed stays so. */
LVN_MUST_CHECK bool lvn_outbox_wake(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err);
/* Operator: the results of a study's latest job that has some go to this destination, also what it was sent before.
 * LVN_ERROR_DATA when there are none. What is being sent just now is not counted. */
LVN_MUST_CHECK bool lvn_outbox_send_study(struct lvn_index *index, const char *study_uid, const char *destination,
                                          int64_t now_ms, int64_t *ret_count, struct lvn_error *err);
/* Rows in sending to a destination that nobody sends to are queued again, without an attempt. */
LVN_MUST_CHECK bool lvn_outbox_sweep(struct lvn_index *index, const char *destination, int64_t not_before_ms,
                                     size_t *ret_swept, struct lvn_error *err);

/* ---- looking ---- */

struct lvn_outbox_filter {
  enum lvn_outbox_state state;
  const char *study_uid;   /* UID, or name as in logs; NULL: any */
  const char *destination; /* NULL: any */
  int64_t since_ms;        /* made then or later */
  int64_t below_id;        /* 0: from the newest on */
  size_t limit;            /* 0: 10000 */
};
/* Newest first. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_outbox_list_filtered(struct lvn_index *index, const struct lvn_outbox_filter *filter,
                                             struct lvn_outbox_row **ret_rows, size_t *ret_count,
                                             struct lvn_error *err);
/* The same of one state. */
LVN_MUST_CHECK bool lvn_outbox_list(struct lvn_index *index, enum lvn_outbox_state state, size_t limit,
                                    struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err);
/* The results of a job, oldest first. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_outbox_list_of_job(struct lvn_index *index, int64_t job_id, struct lvn_outbox_row **ret_rows,
                                           size_t *ret_count, struct lvn_error *err);
/* Peers that have something due, or rows in sending, in order of name, at most max_count. */
LVN_MUST_CHECK bool lvn_outbox_list_due(struct lvn_index *index, int64_t now_ms,
                                        char (*ret_names)[LVN_DESTINATION_BYTES], size_t max_count, size_t *ret_count,
                                        struct lvn_error *err);
LVN_MUST_CHECK bool lvn_outbox_list_sending(struct lvn_index *index, char (*ret_names)[LVN_DESTINATION_BYTES],
                                            size_t max_count, size_t *ret_count, struct lvn_error *err);
/* The earliest time after now_ms at which a queued row becomes due; INT64_MAX: none. */
LVN_MUST_CHECK bool lvn_outbox_next_due(struct lvn_index *index, int64_t now_ms, int64_t *ret_due_ms,
                                        struct lvn_error *err);

struct lvn_outbox_counts {
  int64_t rows[LVN_OUTBOX_STATES]; /* by state */
  int64_t failed_events;           /* of the failed ones */
  int64_t oldest_ms;               /* creation of the oldest row that still has to be sent; 0: none */
  int64_t last_sent_ms;            /* 0: never */
};
LVN_MUST_CHECK bool lvn_outbox_count(struct lvn_index *index, struct lvn_outbox_counts *ret_counts,
                                     struct lvn_error *err);

/* How it stands with one destination that something still has to go to, or could not be delivered to. */
struct lvn_outbox_destination {
  char name[LVN_DESTINATION_BYTES];
  int64_t waiting;                              /* rows that are queued or being sent */
  int64_t given_up;                             /* rows that failed */
  int64_t attempts;                             /* the most that a waiting row has had in vain; 0: none was tried */
  int64_t oldest_ms;                            /* creation of the oldest waiting row; 0: none */
  char status_message[LVN_INDEX_MESSAGE_BYTES]; /* of the latest row that was tried in vain; empty: none was */
};
/* In order of name, at most max_count. */
LVN_MUST_CHECK bool lvn_outbox_list_destinations(struct lvn_index *index, struct lvn_outbox_destination *ret_list,
                                                 size_t max_count, size_t *ret_count, struct lvn_error *err);

/* A result that a destination has. */
struct lvn_outbox_sent {
  int64_t job_id;
  char sop_instance_uid[LVN_UID_BYTES];
  char destination[LVN_DESTINATION_BYTES];
  uint8_t sha256[LVN_SHA256_BYTES];
  int64_t sent_ms;
  bool is_committed; /* and has promised to keep it */
};
/* What an object's row sends, to be remembered beside the results; an event is not found. */
LVN_MUST_CHECK bool lvn_outbox_get_sent(struct lvn_index *index, int64_t outbox_id, struct lvn_outbox_sent *ret_sent,
                                        bool *ret_found, struct lvn_error *err);
/* The next object's row that was sent; 0: no more. */
LVN_MUST_CHECK bool lvn_outbox_next_sent(struct lvn_index *index, int64_t after_id, int64_t *ret_outbox_id,
                                         struct lvn_error *err);

/* ---- events about deliveries, and their own end ---- */

/* How the results of a job stand with one destination. */
struct lvn_outbox_delivery {
  int64_t event_id; /* of the event log: the latest change that was asked for */
  int64_t job_id;
  char study_uid[LVN_UID_BYTES];
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  char destination[LVN_DESTINATION_BYTES];
  int64_t delivered; /* objects in this state */
  int64_t failed;
  int64_t pending;
  char status_message[LVN_INDEX_MESSAGE_BYTES]; /* of one that failed */
};
/* Of which an object was sent or given up by an event after after_id and up to last_id, oldest first. lvn_free() the
 * array. */
LVN_MUST_CHECK bool lvn_outbox_list_deliveries(struct lvn_index *index, int64_t after_id, int64_t last_id, size_t limit,
                                               struct lvn_outbox_delivery **ret_deliveries, size_t *ret_count,
                                               struct lvn_error *err);
/* Rows of events that were sent and made before sent_before_ms, or that otherwise ended and were made before
 * ended_before_ms; at most 1000. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_outbox_list_old_events(struct lvn_index *index, int64_t sent_before_ms, int64_t ended_before_ms,
                                               struct lvn_outbox_row **ret_rows, size_t *ret_count,
                                               struct lvn_error *err);
/* Only of an event that ended. */
LVN_MUST_CHECK bool lvn_outbox_remove_event(struct lvn_index *index, int64_t outbox_id, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
