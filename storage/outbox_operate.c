/* The outbox for people: what they ask of it and how it stands. */
#include "storage/outbox.h"

#include "storage/sql.h"

bool lvn_outbox_wake(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = lvn_sql_integer(index, ret_count, 0, err,
                              "SELECT count(*) FROM outbox WHERE state='queued' AND not_before>0", "") &&
              lvn_sql_run(index, err, "UPDATE outbox SET not_before=0 WHERE state='queued'", "");
  return lvn_sql_scope_end(index, &scope, good, err);
}

/* The rows that are there already may be in any state but in sending; they wait from now on. */
static bool queue_results(struct lvn_index *index, int64_t job_id, const char *destination, int64_t now_ms,
                          int64_t *ret_count, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "INSERT INTO outbox(job_id, sop_instance_uid, destination, sha256, created_at)"
                     " SELECT job_id, sop_instance_uid, ?2, sha256, ?3 FROM result WHERE job_id=?1"
                     " ON CONFLICT(sop_instance_uid, destination) DO UPDATE SET not_before=0, sha256=excluded.sha256,"
                     " created_at=excluded.created_at"
                     " WHERE outbox.state<>'sending'",
                     "iti", job_id, destination, now_ms) &&
         lvn_sql_run(index, err,
                     "UPDATE outbox SET state='queued', attempt=0, verdict='', status=-1, status_message=''"
                     " WHERE kind='object' AND job_id=?1 AND destination=?2 AND state NOT IN ('queued','sending')",
                     "it", job_id, destination) &&
         lvn_sql_integer(index, ret_count, 0, err,
                         "SELECT count(*) FROM outbox WHERE kind='object' AND job_id=?1 AND destination=?2 AND"
                         " state='queued'",
                         "it", job_id, destination);
}

bool lvn_outbox_send_study(struct lvn_index *index, const char *study_uid, const char *destination, int64_t now_ms,
                           int64_t *ret_count, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  int64_t job_id = 0;
  if (!lvn_sql_integer(index, &job_id, 0, err,
                       "SELECT max(job_id) FROM job WHERE study_uid=?1 AND state='done' AND outcome='done'"
                       " AND superseded_by=0 AND EXISTS (SELECT 1 FROM result r WHERE r.job_id=job.job_id)",
                       "t", study_uid)) {
    return false;
  }
  if (job_id == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the study has no results that could be sent");
  }
  return lvn_sql_scope_begin(index, &scope, err) &&
         lvn_sql_scope_end(index, &scope, queue_results(index, job_id, destination, now_ms, ret_count, err), err);
}

bool lvn_outbox_list_destinations(struct lvn_index *index, struct lvn_outbox_destination *ret_list, size_t max_count,
                                  size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = true;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT destination, sum(state<>'failed'), sum(state='failed'),"
                       " max(CASE WHEN verdict='' THEN 0 ELSE attempt END), min(CASE WHEN state<>'failed' THEN"
                       " created_at END), (SELECT status_message FROM outbox s WHERE s.destination=o.destination AND"
                       " s.state IN ('queued','sending','failed') AND verdict<>'' ORDER BY outbox_id DESC LIMIT 1)"
                       " FROM outbox o WHERE state IN ('queued','sending','failed')"
                       " GROUP BY destination ORDER BY destination LIMIT ?1",
                       "i", (int64_t)max_count)) {
    return false;
  }
  for (*ret_count = 0; *ret_count < max_count; (*ret_count)++) {
    struct lvn_outbox_destination *entry = &ret_list[*ret_count];
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    lvn_sql_copy_text(statement, 0, entry->name, sizeof entry->name);
    entry->waiting = sqlite3_column_int64(statement, 1);
    entry->given_up = sqlite3_column_int64(statement, 2);
    entry->attempts = sqlite3_column_int64(statement, 3);
    entry->oldest_ms = sqlite3_column_int64(statement, 4);
    lvn_sql_copy_text(statement, 5, entry->status_message, sizeof entry->status_message);
  }
  return true;
}
