/* Leases: who works on a job, and what nobody works on any more. SQLite's owner is one process, whose monotonic clock
 * measures them; lvn_index_open() ends those of the process before. */
#include "base/clock.h"
#include "storage/index_internal.h"

static int64_t lease_clock_ms(void) {
  return (int64_t)(1000.0 * lvn_clock_monotonic_seconds());
}

int64_t lvn_queue_lease_end_ms(int64_t lease_ms) {
  return lease_clock_ms() + lease_ms;
}

bool lvn_queue_heartbeat(struct lvn_index *index, const int64_t *job_ids, size_t count, int64_t lease_ms,
                         struct lvn_error *err) {
  int64_t end_ms = lvn_queue_lease_end_ms(lease_ms);
  bool good = true;
  for (size_t i = 0; good && i < count; i++) {
    good = lvn_sql_run(index, err,
                       "UPDATE job SET lease_end=?3 WHERE job_id=?1 AND state='running' AND lease_owner=?2 AND"
                       " lease_end<=?4",
                       "itii", job_ids[i], index->owner, end_ms, end_ms - lease_ms / 2);
  }
  return good;
}

static bool sweep(struct lvn_index *index, size_t *swept, struct lvn_error *err) {
  int64_t now_ms = lease_clock_ms();
  int64_t jobs = 0;
  int64_t studies = 0;
  if (!lvn_sql_integer(index, &jobs, 0, err, "SELECT count(*) FROM job WHERE state='running' AND lease_end<=?1", "i",
                       now_ms) ||
      !lvn_sql_run(index, err,
                   "UPDATE job SET state='queued', attempt=max(attempt-1,0) WHERE state='running' AND lease_end<=?1",
                   "i", now_ms)) {
    return false;
  }
  if (!lvn_sql_integer(index, &studies, 0, err,
                       "SELECT count(*) FROM study s WHERE state='processing' AND NOT EXISTS (SELECT 1 FROM job j"
                       " WHERE j.study_uid=s.study_uid AND j.state='running')",
                       "")) {
    return false;
  }
  *swept = (size_t)(jobs != 0 ? jobs : studies);
  /* A queued job is of a ready study; one whose study was refused or opened meanwhile would wait for ever. */
  return lvn_sql_run(index, err,
                     "UPDATE study SET state='ready' WHERE state='processing' AND NOT EXISTS (SELECT 1 FROM job j"
                     " WHERE j.study_uid=study.study_uid AND j.state='running')",
                     "") &&
         lvn_sql_run(index, err,
                     "UPDATE job SET state='cancelled' WHERE state='queued' AND EXISTS (SELECT 1 FROM study s WHERE"
                     " s.study_uid=job.study_uid AND s.state<>'ready')",
                     "");
}

bool lvn_queue_sweep(struct lvn_index *index, size_t *ret_swept, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  int64_t busy = 0;
  *ret_swept = 0;
  /* Asked in every tick: a transaction only where there is something to do. */
  if (!lvn_sql_integer(index, &busy, 0, err,
                       "SELECT (SELECT count(*) FROM job WHERE state='running') +"
                       " (SELECT count(*) FROM study WHERE state='processing') +"
                       " (SELECT count(*) FROM job JOIN study s USING (study_uid) WHERE job.state='queued' AND"
                       " s.state<>'ready')",
                       "")) {
    return false;
  }
  if (busy == 0) {
    return true;
  }
  size_t swept = 0;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = sweep(index, &swept, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_swept = swept;
  return true;
}

bool lvn_queue_count_postponed(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err, "SELECT count(*) FROM job WHERE state='queued' AND postponed>0", "");
}

bool lvn_queue_next_due(struct lvn_index *index, int64_t now_ms, int64_t *ret_due_ms, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_due_ms, INT64_MAX, err,
                         "SELECT min(not_before) FROM job WHERE state='queued' AND not_before>?1", "i", now_ms);
}

bool lvn_queue_count(struct lvn_index *index, int64_t ret_counts[LVN_JOB_STATES], struct lvn_error *err) {
  bool good = true;
  ret_counts[LVN_JOB_ANY] = 0;
  for (int state = LVN_JOB_ANY + 1; good && state < LVN_JOB_STATES; state++) {
    good = lvn_sql_integer(index, &ret_counts[state], 0, err, "SELECT count(*) FROM job WHERE state=?1", "t",
                           lvn_job_state_name((enum lvn_job_state)state));
  }
  return good;
}

bool lvn_queue_has(struct lvn_index *index, int64_t job_id, bool *ret_known, struct lvn_error *err) {
  int64_t count = 0;
  bool good = lvn_sql_integer(index, &count, 0, err, "SELECT count(*) FROM job WHERE job_id=?1", "i", job_id);
  *ret_known = count != 0;
  return good;
}
