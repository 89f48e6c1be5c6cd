#include <stdint.h>
#include <string.h>

#include "storage/index_internal.h"

#define BATCH_LIMIT 256
#define OUTBOUND_COLUMNS                                                                                               \
  "SELECT o.outbound_id, o.job_id, s.name, o.destination, o.state, r.path, r.sop_class_uid, o.sop_instance_uid,"       \
  " r.transfer_syntax_uid, o.attempt, o.not_before, o.created_at, o.last_status, o.last_error FROM outbound o"         \
  " JOIN result r USING (sop_instance_uid) JOIN job j ON j.job_id=o.job_id JOIN study s USING (study_uid) "

static void read_outbound(sqlite3_stmt *statement, struct lvn_index_outbound *row) {
  row->outbound_id = sqlite3_column_int64(statement, 0);
  row->job_id = sqlite3_column_int64(statement, 1);
  lvn_sql_copy_text(statement, 2, row->study_name, sizeof row->study_name);
  lvn_sql_copy_text(statement, 3, row->destination, sizeof row->destination);
  lvn_sql_copy_text(statement, 4, row->state, sizeof row->state);
  lvn_sql_copy_text(statement, 5, row->path, sizeof row->path);
  lvn_sql_copy_text(statement, 6, row->sop_class_uid, sizeof row->sop_class_uid);
  lvn_sql_copy_text(statement, 7, row->sop_instance_uid, sizeof row->sop_instance_uid);
  lvn_sql_copy_text(statement, 8, row->transfer_syntax_uid, sizeof row->transfer_syntax_uid);
  row->attempt = sqlite3_column_int64(statement, 9);
  row->not_before_ms = sqlite3_column_int64(statement, 10);
  row->created_ms = sqlite3_column_int64(statement, 11);
  row->last_status = sqlite3_column_int64(statement, 12);
  lvn_sql_copy_text(statement, 13, row->last_error, sizeof row->last_error);
}

static bool collect_outbound(struct lvn_index *index, sqlite3_stmt *statement, struct lvn_index_outbound **ret_rows,
                             size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_outbound *rows = NULL;
  size_t count = 0;
  size_t capacity = 0;
  bool row = true;
  for (;;) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    if (!lvn_grow(&rows, &capacity, count, sizeof *rows, SIZE_MAX / sizeof *rows, err)) {
      return false;
    }
    read_outbound(statement, &rows[count++]);
  }
  *ret_rows = lvn_steal(&rows);
  *ret_count = count;
  return true;
}

static bool claim_rows(struct lvn_index *index, const char *destination, int64_t now_ms,
                       struct lvn_index_outbound **ret_rows, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  int64_t job_id = 0;
  if (!lvn_sql_integer(index, &job_id, 0, err,
                       "SELECT job_id FROM outbound WHERE state='queued' AND destination=?1 AND not_before<=?2"
                       " ORDER BY not_before, outbound_id LIMIT 1",
                       "ti", destination, now_ms)) {
    return false;
  }
  if (job_id == 0) {
    return true;
  }
  if (!lvn_sql_prepare(index, &statement, err,
                       OUTBOUND_COLUMNS "WHERE o.state='queued' AND o.destination=?1 AND o.not_before<=?2 AND"
                                        " o.job_id=?3 ORDER BY o.outbound_id LIMIT ?4",
                       "tiii", destination, now_ms, job_id, (int64_t)BATCH_LIMIT) ||
      !collect_outbound(index, statement, ret_rows, ret_count, err)) {
    return false;
  }
  for (size_t i = 0; i < *ret_count; i++) {
    (*ret_rows)[i].attempt++;
    if (!lvn_sql_run(index, err, "UPDATE outbound SET state='sending', attempt=attempt+1 WHERE outbound_id=?1", "i",
                     (*ret_rows)[i].outbound_id)) {
      return false;
    }
  }
  return true;
}

bool lvn_index_outbound_claim(struct lvn_index *index, const char *destination, int64_t now_ms,
                              struct lvn_index_outbound **ret_rows, size_t *ret_count, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  LVN_AUTOFREE struct lvn_index_outbound *rows = NULL;
  size_t count = 0;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = claim_rows(index, destination, now_ms, &rows, &count, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_rows = lvn_steal(&rows);
  *ret_count = count;
  return true;
}

static bool finish_row(struct lvn_index *index, int64_t outbound_id, const char *state, int64_t status,
                       const char *message, int64_t sent_at_ms, int64_t not_before_ms, struct lvn_error *err) {
  int64_t superseded_by = 0;
  int64_t is_sending = 0;
  if (!lvn_sql_integer(index, &is_sending, 0, err, "SELECT state='sending' FROM outbound WHERE outbound_id=?1", "i",
                       outbound_id)) {
    return false;
  }
  if (is_sending == 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "outbound object %lld is not being sent", (long long)outbound_id);
  }
  return lvn_sql_run(index, err,
                     "UPDATE outbound SET state=?2, last_status=?3, last_error=?4, sent_at=?5, not_before=?6"
                     " WHERE outbound_id=?1",
                     "ititii", outbound_id, state, status, message, sent_at_ms, not_before_ms) &&
         lvn_sql_integer(index, &superseded_by, 0, err,
                         "SELECT superseded_by FROM outbound JOIN job USING (job_id) WHERE outbound_id=?1", "i",
                         outbound_id) &&
         (superseded_by == 0 || strcmp(state, "queued") != 0 ||
          lvn_sql_run(index, err, "UPDATE outbound SET state='cancelled' WHERE outbound_id=?1", "i", outbound_id));
}

bool lvn_index_outbound_finish(struct lvn_index *index, int64_t outbound_id, enum lvn_index_send_verdict verdict,
                               int64_t status, const char *message, int64_t now_ms, int64_t not_before_ms,
                               struct lvn_error *err) {
  static const char *const states[] = {
      [LVN_INDEX_SENT] = "sent", [LVN_INDEX_SEND_AGAIN] = "queued", [LVN_INDEX_SEND_FAILED] = "failed"};
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = finish_row(index, outbound_id, states[verdict], status, message, verdict == LVN_INDEX_SENT ? now_ms : 0,
                         not_before_ms, err);
  return lvn_sql_scope_end(index, &scope, good, err);
}

bool lvn_index_outbound_retry(struct lvn_index *index, int64_t outbound_id, struct lvn_error *err) {
  int64_t can = 0;
  if (!lvn_sql_integer(index, &can, -1, err,
                       "SELECT state IN ('failed','cancelled','sent') FROM outbound WHERE outbound_id=?1", "i",
                       outbound_id)) {
    return false;
  }
  if (can < 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no outbound object %lld", (long long)outbound_id);
  }
  if (can == 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "outbound object %lld is on its way already", (long long)outbound_id);
  }
  return lvn_sql_run(index, err,
                     "UPDATE outbound SET state='queued', attempt=0, not_before=0, last_error='' WHERE outbound_id=?1",
                     "i", outbound_id);
}

bool lvn_index_list_outbound(struct lvn_index *index, const char *state, size_t limit,
                             struct lvn_index_outbound **ret_rows, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         OUTBOUND_COLUMNS "WHERE ?1 IS NULL OR o.state=?1 ORDER BY o.outbound_id DESC LIMIT ?2", "ti",
                         state, (int64_t)limit) &&
         collect_outbound(index, statement, ret_rows, ret_count, err);
}
