/* Storage commitment of what the outbox has sent: which rows a destination is asked for, under which transaction, and
 * what its report says of them. Over the index's connection and by its thread rule; every change is one durable step.
 * A row that was sent and whose destination is asked for its commitment is either free or in one transaction; it ends
 * as committed, queued (to be sent again) or failed. */
#ifndef LVN_STORAGE_COMMITMENT_H
#define LVN_STORAGE_COMMITMENT_H

#include "base/error.h"
#include "storage/outbox.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of this destination are asked for from now on, those sent before too; or no longer. */
LVN_MUST_CHECK bool lvn_commitment_want(struct lvn_index *index, const char *destination, bool wants, int64_t now_ms,
                                        struct lvn_error *err);
/* Destinations whose rows are asked for, in order of name. */
LVN_MUST_CHECK bool lvn_commitment_list_wanted(struct lvn_index *index, char (*ret_names)[LVN_DESTINATION_BYTES],
                                               size_t max_count, size_t *ret_count, struct lvn_error *err);

struct lvn_commitment_ask { /* borrowed */
  const char *destination;
  const char *transaction_uid; /* a new one */
  int64_t now_ms;
  int64_t deadline_ms; /* of its report */
  size_t rows_max;
};
/* Free rows that are due come under the transaction, which counts as open; durable before anything is sent. No rows: no
 * transaction either. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_commitment_open(struct lvn_index *index, const struct lvn_commitment_ask *ask,
                                        struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err);
/* What is said of the rows of a transaction in the list. */
LVN_MUST_CHECK bool lvn_commitment_say(struct lvn_index *index, const char *transaction_uid, const char *message,
                                       struct lvn_error *err);

struct lvn_commitment_close { /* borrowed */
  const char *transaction_uid;
  const char *message;   /* why its rows are not committed */
  int64_t not_before_ms; /* when they may be asked for again */
  bool is_counted;       /* as an attempt of each */
  unsigned attempts_max;
};
/* The transaction is over: its rows are free again, or, after their last attempt, failed. What is over is fine. */
LVN_MUST_CHECK bool lvn_commitment_close(struct lvn_index *index, const struct lvn_commitment_close *close,
                                         struct lvn_error *err);
/* Free rows that are wanted since before `before_ms` become failed: they could not be asked for. */
LVN_MUST_CHECK bool lvn_commitment_give_up(struct lvn_index *index, const char *destination, int64_t before_ms,
                                           int64_t *ret_count, struct lvn_error *err);

/* An open transaction's destination; not found: unknown, or over. */
LVN_MUST_CHECK bool lvn_commitment_find(struct lvn_index *index, const char *transaction_uid,
                                        char ret_destination[LVN_DESTINATION_BYTES], bool *ret_found,
                                        struct lvn_error *err);
/* One whose deadline has passed; "" : none. */
LVN_MUST_CHECK bool lvn_commitment_next_late(struct lvn_index *index, int64_t now_ms,
                                             char ret_transaction_uid[LVN_UID_BYTES], struct lvn_error *err);

enum lvn_commitment_verdict {
  LVN_COMMITMENT_PROMISED,   /* sent -> committed */
  LVN_COMMITMENT_SEND_AGAIN, /* sent -> queued, or failed after the last attempt */
  LVN_COMMITMENT_REFUSED     /* sent -> failed */
};
struct lvn_commitment_said { /* borrowed */
  const char *transaction_uid;
  const char *sop_class_uid;
  const char *sop_instance_uid;
  enum lvn_commitment_verdict verdict;
  const char *message;
  int64_t not_before_ms;
  unsigned attempts_max;
};
/* *ret_outbox_id 0: no row of the transaction is of this instance and class. */
LVN_MUST_CHECK bool lvn_commitment_apply(struct lvn_index *index, const struct lvn_commitment_said *said,
                                         int64_t *ret_outbox_id, struct lvn_error *err);

/* The earliest time at which rows become due, or a transaction late; INT64_MAX: none. */
LVN_MUST_CHECK bool lvn_commitment_next_due(struct lvn_index *index, int64_t *ret_due_ms, struct lvn_error *err);

/* As SCP: the current object of an instance. */
struct lvn_commitment_held {
  char sop_class_uid[LVN_UID_BYTES];
  uint8_t sha256[LVN_SHA256_BYTES];
  int64_t byte_count;
};
LVN_MUST_CHECK bool lvn_commitment_look_up(struct lvn_index *index, const char *sop_instance_uid,
                                           struct lvn_commitment_held *ret_held, bool *ret_found,
                                           struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
