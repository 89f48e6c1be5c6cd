#include "storage/commitment.h"

#include <string.h>

#include "storage/index.h"
#include "storage/sql.h"

#define WANTED "state='sent' AND kind='object' AND wants_commitment"
/* A part of the rows alone: without the hint SQLite walks over all that was ever sent. */
#define FROM_WANTED " FROM outbox INDEXED BY outbox_uncommitted WHERE " WANTED

bool lvn_commitment_want(struct lvn_index *index, const char *destination, bool wants, int64_t now_ms,
                         struct lvn_error *err) {
  return lvn_sql_run(
      index, err,
      "UPDATE outbox SET wants_commitment=?2, wanted_at=?3, commitment_attempt=0, commitment_at=0 WHERE state='sent'"
      " AND kind='object' AND destination=?1 AND wants_commitment<>?2",
      "tii", destination, (int64_t)wants, now_ms);
}

bool lvn_commitment_list_wanted(struct lvn_index *index, char (*ret_names)[LVN_DESTINATION_BYTES], size_t max_count,
                                size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = true;
  *ret_count = 0;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT DISTINCT destination" FROM_WANTED " ORDER BY destination LIMIT ?1", "i",
                       (int64_t)max_count)) {
    return false;
  }
  while (lvn_sql_step(index, statement, &row, err)) {
    if (!row) {
      return true;
    }
    lvn_sql_copy_text(statement, 0, ret_names[(*ret_count)++], LVN_DESTINATION_BYTES);
  }
  return false;
}

static bool collect(struct lvn_index *index, sqlite3_stmt *statement, struct lvn_outbox_row **rows, size_t *count,
                    struct lvn_error *err) {
  size_t capacity = 0;
  bool row = true;
  for (;;) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      return true;
    }
    if (!lvn_grow(rows, &capacity, *count, sizeof **rows, SIZE_MAX / sizeof **rows, err)) {
      return false;
    }
    struct lvn_outbox_row *at = &(*rows)[(*count)++];
    at->outbox_id = sqlite3_column_int64(statement, 0);
    lvn_sql_copy_text(statement, 1, at->sop_class_uid, sizeof at->sop_class_uid);
    lvn_sql_copy_text(statement, 2, at->sop_instance_uid, sizeof at->sop_instance_uid);
  }
}

static bool open_transaction(struct lvn_index *index, const struct lvn_commitment_ask *ask,
                             struct lvn_outbox_row **rows, size_t *count, struct lvn_error *err) {
  {
    LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
    if (!lvn_sql_prepare(index, &statement, err,
                         "SELECT outbox_id, r.sop_class_uid, r.sop_instance_uid FROM outbox o JOIN result r USING"
                         " (sop_instance_uid) WHERE " WANTED " AND transaction_uid IS NULL AND destination=?1 AND"
                         " commitment_at<=?2 ORDER BY commitment_at, outbox_id LIMIT ?3",
                         "tii", ask->destination, ask->now_ms, (int64_t)ask->rows_max) ||
        !collect(index, statement, rows, count, err)) {
      return false;
    }
  }
  bool good =
      *count == 0 ||
      lvn_sql_run(index, err,
                  "INSERT INTO commitment(transaction_uid, destination, asked_at, deadline) VALUES (?1,?2,?3,?4)",
                  "ttii", ask->transaction_uid, ask->destination, ask->now_ms, ask->deadline_ms);
  for (size_t i = 0; good && i < *count; i++) {
    good = lvn_sql_run(index, err, "UPDATE outbox SET transaction_uid=?2 WHERE outbox_id=?1", "it",
                       (*rows)[i].outbox_id, ask->transaction_uid);
  }
  return good;
}

bool lvn_commitment_open(struct lvn_index *index, const struct lvn_commitment_ask *ask,
                         struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  const bool good = open_transaction(index, ask, &rows, &count, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_rows = lvn_steal(&rows);
  *ret_count = count;
  return true;
}

bool lvn_commitment_say(struct lvn_index *index, const char *transaction_uid, const char *message,
                        struct lvn_error *err) {
  return lvn_sql_run(index, err, "UPDATE outbox SET status_message=?2 WHERE transaction_uid=?1", "tt", transaction_uid,
                     message);
}

static bool close_transaction(struct lvn_index *index, const struct lvn_commitment_close *close,
                              struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE outbox SET commitment_attempt=commitment_attempt+?2, commitment_at=?3, status_message=?4"
                     " WHERE transaction_uid=?1",
                     "tiit", close->transaction_uid, (int64_t)close->is_counted, close->not_before_ms,
                     close->message) &&
         lvn_sql_run(index, err,
                     "UPDATE outbox SET state='failed' WHERE transaction_uid=?1 AND state='sent' AND"
                     " commitment_attempt>=?2",
                     "ti", close->transaction_uid, (int64_t)close->attempts_max) &&
         lvn_sql_run(index, err, "UPDATE outbox SET transaction_uid=NULL WHERE transaction_uid=?1", "t",
                     close->transaction_uid) &&
         lvn_sql_run(index, err, "DELETE FROM commitment WHERE transaction_uid=?1", "t", close->transaction_uid);
}

bool lvn_commitment_close(struct lvn_index *index, const struct lvn_commitment_close *close, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  return lvn_sql_scope_begin(index, &scope, err) &&
         lvn_sql_scope_end(index, &scope, close_transaction(index, close, err), err);
}

bool lvn_commitment_give_up(struct lvn_index *index, const char *destination, int64_t before_ms, int64_t *ret_count,
                            struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  const bool good =
      lvn_sql_integer(index, ret_count, 0, err,
                      "SELECT count(*)" FROM_WANTED " AND transaction_uid IS NULL AND destination=?1 AND"
                      " wanted_at<?2",
                      "ti", destination, before_ms) &&
      (*ret_count == 0 ||
       lvn_sql_run(index, err,
                   "UPDATE outbox SET state='failed', status_message=substr('given up: ' || status_message, 1, 500)"
                   " WHERE " WANTED " AND transaction_uid IS NULL AND destination=?1 AND wanted_at<?2",
                   "ti", destination, before_ms));
  return lvn_sql_scope_end(index, &scope, good, err);
}

bool lvn_commitment_find(struct lvn_index *index, const char *transaction_uid,
                         char ret_destination[LVN_DESTINATION_BYTES], bool *ret_found, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  ret_destination[0] = '\0';
  if (!lvn_sql_prepare(index, &statement, err, "SELECT destination FROM commitment WHERE transaction_uid=?1", "t",
                       transaction_uid) ||
      !lvn_sql_step(index, statement, ret_found, err)) {
    return false;
  }
  if (*ret_found) {
    lvn_sql_copy_text(statement, 0, ret_destination, LVN_DESTINATION_BYTES);
  }
  return true;
}

bool lvn_commitment_next_late(struct lvn_index *index, int64_t now_ms, char ret_transaction_uid[LVN_UID_BYTES],
                              struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = false;
  ret_transaction_uid[0] = '\0';
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT transaction_uid FROM commitment WHERE deadline<=?1 ORDER BY deadline LIMIT 1", "i",
                       now_ms) ||
      !lvn_sql_step(index, statement, &row, err)) {
    return false;
  }
  if (row) {
    lvn_sql_copy_text(statement, 0, ret_transaction_uid, LVN_UID_BYTES);
  }
  return true;
}

static bool apply(struct lvn_index *index, const struct lvn_commitment_said *said, int64_t *ret_outbox_id,
                  struct lvn_error *err) {
  if (!lvn_sql_integer(index, ret_outbox_id, 0, err,
                       "SELECT outbox_id FROM outbox JOIN result r USING (sop_instance_uid) WHERE transaction_uid=?1"
                       " AND sop_instance_uid=?2 AND r.sop_class_uid=?3 AND state='sent'",
                       "ttt", said->transaction_uid, said->sop_instance_uid, said->sop_class_uid)) {
    return false;
  }
  if (*ret_outbox_id == 0) {
    return true;
  }
  if (said->verdict == LVN_COMMITMENT_PROMISED) {
    return lvn_outbox_commit(index, *ret_outbox_id, err) &&
           lvn_sql_run(index, err, "UPDATE outbox SET transaction_uid=NULL, status_message=?2 WHERE outbox_id=?1", "it",
                       *ret_outbox_id, said->message);
  }
  return lvn_sql_run(index, err,
                     "UPDATE outbox SET commitment_attempt=commitment_attempt+1, transaction_uid=NULL, attempt=0,"
                     " status_message=?2, not_before=?3, state=CASE WHEN ?4 AND commitment_attempt+1<?5 THEN 'queued'"
                     " ELSE 'failed' END WHERE outbox_id=?1",
                     "itiii", *ret_outbox_id, said->message, said->not_before_ms,
                     (int64_t)(said->verdict == LVN_COMMITMENT_SEND_AGAIN), (int64_t)said->attempts_max);
}

bool lvn_commitment_apply(struct lvn_index *index, const struct lvn_commitment_said *said, int64_t *ret_outbox_id,
                          struct lvn_error *err) {
  struct lvn_sql_scope scope;
  return lvn_sql_scope_begin(index, &scope, err) &&
         lvn_sql_scope_end(index, &scope, apply(index, said, ret_outbox_id, err), err);
}

bool lvn_commitment_next_due(struct lvn_index *index, int64_t *ret_due_ms, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_due_ms, INT64_MAX, err,
                         "SELECT min(at) FROM (SELECT min(commitment_at) AS at" FROM_WANTED
                         " AND transaction_uid IS NULL UNION ALL SELECT min(deadline) FROM commitment)",
                         "");
}

bool lvn_commitment_look_up(struct lvn_index *index, const char *sop_instance_uid, struct lvn_commitment_held *ret_held,
                            bool *ret_found, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT sop_class_uid, sha256, byte_count FROM instance WHERE sop_instance_uid=?1 ORDER BY"
                       " is_current DESC, sequence DESC LIMIT 1",
                       "t", sop_instance_uid) ||
      !lvn_sql_step(index, statement, ret_found, err)) {
    return false;
  }
  if (*ret_found) {
    lvn_sql_copy_text(statement, 0, ret_held->sop_class_uid, sizeof ret_held->sop_class_uid);
    lvn_sql_copy_digest(statement, 1, ret_held->sha256);
    ret_held->byte_count = sqlite3_column_int64(statement, 2);
  }
  return true;
}
