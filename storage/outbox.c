#include "storage/outbox.h"

#include <string.h>

#include "storage/index.h"
#include "storage/sql.h"

#define BATCH_LIMIT 256
#define LIST_LIMIT 10000
#define OUTBOX_COLUMNS                                                                                                 \
  "SELECT o.outbox_id, o.job_id, o.kind, o.state, s.name, o.destination, coalesce(r.path, o.payload),"                 \
  " r.sop_class_uid, o.sop_instance_uid, r.transfer_syntax_uid, o.attempt, o.not_before, o.created_at, o.verdict,"     \
  " o.status, o.status_message, o.sent_at FROM outbox o LEFT JOIN result r USING (sop_instance_uid)"                   \
  " LEFT JOIN job j ON j.job_id=o.job_id LEFT JOIN study s USING (study_uid) "

static bool read_row(sqlite3_stmt *statement, struct lvn_outbox_row *row, struct lvn_error *err) {
  row->outbox_id = sqlite3_column_int64(statement, 0);
  row->job_id = sqlite3_column_int64(statement, 1);
  lvn_sql_copy_text(statement, 4, row->study_name, sizeof row->study_name);
  lvn_sql_copy_text(statement, 5, row->destination, sizeof row->destination);
  lvn_sql_copy_text(statement, 6, row->path, sizeof row->path);
  lvn_sql_copy_text(statement, 7, row->sop_class_uid, sizeof row->sop_class_uid);
  lvn_sql_copy_text(statement, 8, row->sop_instance_uid, sizeof row->sop_instance_uid);
  lvn_sql_copy_text(statement, 9, row->transfer_syntax_uid, sizeof row->transfer_syntax_uid);
  row->attempt = sqlite3_column_int64(statement, 10);
  row->not_before_ms = sqlite3_column_int64(statement, 11);
  row->created_ms = sqlite3_column_int64(statement, 12);
  row->status = sqlite3_column_int64(statement, 14);
  lvn_sql_copy_text(statement, 15, row->status_message, sizeof row->status_message);
  row->sent_ms = sqlite3_column_int64(statement, 16);
  return lvn_sql_get_name(statement, 2, lvn_outbox_kind_parse, &row->kind, err) &&
         lvn_sql_get_name(statement, 3, lvn_outbox_state_parse, &row->state, err) &&
         lvn_sql_get_name(statement, 13, lvn_send_verdict_parse, &row->verdict, err);
}

static bool collect_rows(struct lvn_index *index, sqlite3_stmt *statement, struct lvn_outbox_row **ret_rows,
                         size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
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
    if (!lvn_grow(&rows, &capacity, count, sizeof *rows, SIZE_MAX / sizeof *rows, err) ||
        !read_row(statement, &rows[count++], err)) {
      return false;
    }
  }
  *ret_rows = lvn_steal(&rows);
  *ret_count = count;
  return true;
}

bool lvn_outbox_add_event(struct lvn_index *index, const struct lvn_outbox_event *event, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "INSERT INTO outbox(kind, job_id, payload, destination, created_at) VALUES"
                     " ('event', nullif(?1,0), ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                     "itti", event->job_id, event->path, event->destination, event->now_ms);
}

/* A batch is of one job, so that one association has all of a report; events that are of no job go together. */
static bool claim_rows(struct lvn_index *index, const char *destination, int64_t now_ms,
                       struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  int64_t first_id = 0;
  if (!lvn_sql_integer(index, &first_id, 0, err,
                       "SELECT outbox_id FROM outbox WHERE state='queued' AND destination=?1 AND not_before<=?2"
                       " ORDER BY not_before, outbox_id LIMIT 1",
                       "ti", destination, now_ms)) {
    return false;
  }
  if (first_id == 0) {
    return true;
  }
  if (!lvn_sql_prepare(index, &statement, err,
                       OUTBOX_COLUMNS "WHERE o.state='queued' AND o.destination=?1 AND o.not_before<=?2 AND o.job_id IS"
                                      " (SELECT job_id FROM outbox WHERE outbox_id=?3) ORDER BY o.outbox_id LIMIT ?4",
                       "tiii", destination, now_ms, first_id, (int64_t)BATCH_LIMIT) ||
      !collect_rows(index, statement, ret_rows, ret_count, err)) {
    return false;
  }
  for (size_t i = 0; i < *ret_count; i++) {
    (*ret_rows)[i].attempt++;
    if (!lvn_sql_run(index, err, "UPDATE outbox SET state='sending', attempt=attempt+1 WHERE outbox_id=?1", "i",
                     (*ret_rows)[i].outbox_id)) {
      return false;
    }
  }
  return true;
}

bool lvn_outbox_claim(struct lvn_index *index, const char *destination, int64_t now_ms,
                      struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
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

static bool require_state(struct lvn_index *index, int64_t outbox_id, enum lvn_outbox_state state,
                          struct lvn_error *err) {
  const char *name = lvn_outbox_state_name(state);
  int64_t is_so = 0;
  if (!lvn_sql_integer(index, &is_so, 0, err, "SELECT state=?2 FROM outbox WHERE outbox_id=?1", "it", outbox_id,
                       name)) {
    return false;
  }
  return is_so != 0 ||
         lvn_error_set(err, LVN_ERROR_CONFLICT, "outbound object %lld is not %s", (long long)outbox_id, name);
}

static bool finish_row(struct lvn_index *index, const struct lvn_outbox_finish *finish, struct lvn_error *err) {
  static const enum lvn_outbox_state states[LVN_SEND_VERDICTS] = {[LVN_SEND_NONE] = LVN_OUTBOX_QUEUED,
                                                                  [LVN_SEND_STORED] = LVN_OUTBOX_SENT,
                                                                  [LVN_SEND_RETRY] = LVN_OUTBOX_QUEUED,
                                                                  [LVN_SEND_FAILED] = LVN_OUTBOX_FAILED,
                                                                  [LVN_SEND_UNKNOWN] = LVN_OUTBOX_QUEUED};
  enum lvn_outbox_state state = states[finish->verdict];
  int64_t superseded_by = 0;
  if (state == LVN_OUTBOX_QUEUED && finish->gives_up) {
    state = LVN_OUTBOX_FAILED;
  }
  return require_state(index, finish->outbox_id, LVN_OUTBOX_SENDING, err) &&
         lvn_sql_run(index, err,
                     "UPDATE outbox SET state=?2, verdict=?3, status=?4, status_message=?5, sent_at=?6, not_before=?7,"
                     " wants_commitment=?8, wanted_at=?9, commitment_at=0, transaction_uid=NULL WHERE outbox_id=?1",
                     "ittitiiii", finish->outbox_id, lvn_outbox_state_name(state),
                     lvn_send_verdict_name(finish->verdict), finish->status, finish->status_message,
                     state == LVN_OUTBOX_SENT ? finish->now_ms : 0, finish->not_before_ms,
                     (int64_t)finish->wants_commitment, finish->now_ms) &&
         lvn_sql_integer(index, &superseded_by, 0, err,
                         "SELECT superseded_by FROM outbox JOIN job USING (job_id) WHERE outbox_id=?1", "i",
                         finish->outbox_id) &&
         (superseded_by == 0 || state != LVN_OUTBOX_QUEUED ||
          lvn_sql_run(index, err, "UPDATE outbox SET state='cancelled' WHERE outbox_id=?1", "i", finish->outbox_id));
}

bool lvn_outbox_finish(struct lvn_index *index, const struct lvn_outbox_finish *finish, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  return lvn_sql_scope_begin(index, &scope, err) &&
         lvn_sql_scope_end(index, &scope, finish_row(index, finish, err), err);
}

bool lvn_outbox_commit(struct lvn_index *index, int64_t outbox_id, struct lvn_error *err) {
  return require_state(index, outbox_id, LVN_OUTBOX_SENT, err) &&
         lvn_sql_run(index, err, "UPDATE outbox SET state='committed' WHERE outbox_id=?1", "i", outbox_id);
}

bool lvn_outbox_retry(struct lvn_index *index, int64_t outbox_id, struct lvn_error *err) {
  int64_t is_sending = 0;
  if (!lvn_sql_integer(index, &is_sending, -1, err, "SELECT state='sending' FROM outbox WHERE outbox_id=?1", "i",
                       outbox_id)) {
    return false;
  }
  if (is_sending < 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no outbound object %lld", (long long)outbox_id);
  }
  if (is_sending > 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "outbound object %lld is being sent just now", (long long)outbox_id);
  }
  return lvn_sql_run(index, err, "UPDATE outbox SET not_before=0 WHERE outbox_id=?1", "i", outbox_id) &&
         lvn_sql_run(index, err,
                     "UPDATE outbox SET state='queued', attempt=0, verdict='', status=-1, status_message='',"
                     " commitment_attempt=0, transaction_uid=NULL WHERE outbox_id=?1 AND state<>'queued'",
                     "i", outbox_id);
}

bool lvn_outbox_retry_unsent(struct lvn_index *index, const char *destination, int64_t *ret_count,
                             struct lvn_error *err) {
  struct lvn_sql_scope scope = {0};
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good =
      lvn_sql_integer(index, ret_count, 0, err,
                      "SELECT count(*) FROM outbox WHERE state IN ('failed','queued') AND"
                      " (?1 IS NULL OR destination=?1)",
                      "t", destination) &&
      lvn_sql_run(index, err, "UPDATE outbox SET not_before=0 WHERE state='queued' AND (?1 IS NULL OR destination=?1)",
                  "t", destination) &&
      lvn_sql_run(index, err,
                  "UPDATE outbox SET state='queued', attempt=0, not_before=0, verdict='', status=-1,"
                  " status_message='', commitment_attempt=0, transaction_uid=NULL WHERE state='failed' AND (?1 IS NULL "
                  "OR destination=?1)",
                  "t", destination);
  return lvn_sql_scope_end(index, &scope, good, err);
}

static bool sweep_rows(struct lvn_index *index, const char *destination, int64_t not_before_ms, int64_t *ret_count,
                       struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err,
                         "SELECT count(*) FROM outbox WHERE state='sending' AND destination=?1", "t", destination) &&
         lvn_sql_run(index, err,
                     "UPDATE outbox SET state='queued', attempt=max(attempt-1,0), not_before=?2 WHERE"
                     " state='sending' AND destination=?1",
                     "ti", destination, not_before_ms) &&
         lvn_index_cancel_superseded(index, NULL, err);
}

bool lvn_outbox_sweep(struct lvn_index *index, const char *destination, int64_t not_before_ms, size_t *ret_swept,
                      struct lvn_error *err) {
  struct lvn_sql_scope scope;
  int64_t count = 0;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = sweep_rows(index, destination, not_before_ms, &count, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_swept = (size_t)count;
  return true;
}

bool lvn_outbox_list_filtered(struct lvn_index *index, const struct lvn_outbox_filter *filter,
                              struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         OUTBOX_COLUMNS "WHERE (?1='' OR o.state=?1) AND (?2 IS NULL OR s.study_uid=?2 OR s.name=?2)"
                                        " AND (?3 IS NULL OR o.destination=?3) AND o.created_at>=?4 AND"
                                        " (?5=0 OR o.outbox_id<?5) ORDER BY o.outbox_id DESC LIMIT ?6",
                         "tttiii", lvn_outbox_state_name(filter->state), filter->study_uid, filter->destination,
                         filter->since_ms, filter->below_id,
                         filter->limit == 0 ? (int64_t)LIST_LIMIT : (int64_t)filter->limit) &&
         collect_rows(index, statement, ret_rows, ret_count, err);
}

bool lvn_outbox_list_of_job(struct lvn_index *index, int64_t job_id, struct lvn_outbox_row **ret_rows,
                            size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         OUTBOX_COLUMNS "WHERE o.job_id=?1 AND o.kind='object' ORDER BY o.outbox_id", "i", job_id) &&
         collect_rows(index, statement, ret_rows, ret_count, err);
}

bool lvn_outbox_list(struct lvn_index *index, enum lvn_outbox_state state, size_t limit,
                     struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err) {
  const struct lvn_outbox_filter filter = {.state = state, .limit = limit};
  return lvn_outbox_list_filtered(index, &filter, ret_rows, ret_count, err);
}

/* Names of destinations, at most max_count. */
static bool list_names(struct lvn_index *index, sqlite3_stmt *statement, char (*ret_names)[LVN_DESTINATION_BYTES],
                       size_t max_count, size_t *ret_count, struct lvn_error *err) {
  bool row = true;
  for (*ret_count = 0; *ret_count < max_count; (*ret_count)++) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    lvn_sql_copy_text(statement, 0, ret_names[*ret_count], sizeof ret_names[0]);
  }
  return true;
}

bool lvn_outbox_list_due(struct lvn_index *index, int64_t now_ms, char (*ret_names)[LVN_DESTINATION_BYTES],
                         size_t max_count, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         "SELECT DISTINCT destination FROM outbox WHERE state='queued' AND not_before<=?1"
                         " ORDER BY destination LIMIT ?2",
                         "ii", now_ms, (int64_t)max_count) &&
         list_names(index, statement, ret_names, max_count, ret_count, err);
}

bool lvn_outbox_list_sending(struct lvn_index *index, char (*ret_names)[LVN_DESTINATION_BYTES], size_t max_count,
                             size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         "SELECT DISTINCT destination FROM outbox WHERE state='sending' ORDER BY destination LIMIT ?1",
                         "i", (int64_t)max_count) &&
         list_names(index, statement, ret_names, max_count, ret_count, err);
}

bool lvn_outbox_next_due(struct lvn_index *index, int64_t now_ms, int64_t *ret_due_ms, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_due_ms, INT64_MAX, err,
                         "SELECT min(not_before) FROM outbox WHERE state='queued' AND not_before>?1", "i", now_ms);
}

bool lvn_outbox_count(struct lvn_index *index, struct lvn_outbox_counts *ret_counts, struct lvn_error *err) {
  struct lvn_outbox_counts counts = {0};
  for (int state = LVN_OUTBOX_ANY + 1; state < LVN_OUTBOX_STATES; state++) {
    if (!lvn_sql_integer(index, &counts.rows[state], 0, err, "SELECT count(*) FROM outbox WHERE state=?1", "t",
                         lvn_outbox_state_name((enum lvn_outbox_state)state))) {
      return false;
    }
  }
  if (!lvn_sql_integer(index, &counts.failed_events, 0, err,
                       "SELECT count(*) FROM outbox WHERE state='failed' AND kind='event'", "") ||
      !lvn_sql_integer(index, &counts.oldest_ms, 0, err,
                       "SELECT min(created_at) FROM outbox WHERE state IN ('queued','sending')", "") ||
      !lvn_sql_integer(index, &counts.last_sent_ms, 0, err, "SELECT max(sent_at) FROM outbox", "")) {
    return false;
  }
  *ret_counts = counts;
  return true;
}

bool lvn_outbox_get_sent(struct lvn_index *index, int64_t outbox_id, struct lvn_outbox_sent *ret_sent, bool *ret_found,
                         struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT job_id, sop_instance_uid, destination, sha256, sent_at, state='committed' FROM outbox"
                       " WHERE outbox_id=?1 AND kind='object'",
                       "i", outbox_id) ||
      !lvn_sql_step(index, statement, ret_found, err)) {
    return false;
  }
  if (*ret_found) {
    ret_sent->job_id = sqlite3_column_int64(statement, 0);
    lvn_sql_copy_text(statement, 1, ret_sent->sop_instance_uid, sizeof ret_sent->sop_instance_uid);
    lvn_sql_copy_text(statement, 2, ret_sent->destination, sizeof ret_sent->destination);
    lvn_sql_copy_digest(statement, 3, ret_sent->sha256);
    ret_sent->sent_ms = sqlite3_column_int64(statement, 4);
    ret_sent->is_committed = sqlite3_column_int(statement, 5) != 0;
  }
  return true;
}

bool lvn_outbox_next_sent(struct lvn_index *index, int64_t after_id, int64_t *ret_outbox_id, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_outbox_id, 0, err,
                         "SELECT min(outbox_id) FROM outbox WHERE kind='object' AND state IN " LVN_OUTBOX_DELIVERED
                         " AND outbox_id>?1",
                         "i", after_id);
}

bool lvn_outbox_list_old_events(struct lvn_index *index, int64_t sent_before_ms, int64_t ended_before_ms,
                                struct lvn_outbox_row **ret_rows, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         OUTBOX_COLUMNS "WHERE o.kind='event' AND (o.state='sent' AND o.created_at<?1 OR o.state IN"
                                        " ('sent','failed','cancelled') AND o.created_at<?2) LIMIT 1000",
                         "ii", sent_before_ms, ended_before_ms) &&
         collect_rows(index, statement, ret_rows, ret_count, err);
}

bool lvn_outbox_remove_event(struct lvn_index *index, int64_t outbox_id, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "DELETE FROM outbox WHERE outbox_id=?1 AND kind='event' AND state IN"
                     " ('sent','failed','cancelled')",
                     "i", outbox_id);
}
