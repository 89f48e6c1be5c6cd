/* What nothing else would end: rows whose worker or sender is gone, and waits that a changed clock made endless. */
#include <stdint.h>
#include <stdlib.h>

#include "storage/index_internal.h"

static bool list_running(struct lvn_index *index, int64_t **ret_ids, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  LVN_AUTOFREE int64_t *ids = NULL;
  size_t count = 0;
  size_t capacity = 0;
  bool row = true;
  if (!lvn_sql_prepare(index, &statement, err, "SELECT job_id FROM job WHERE state='running'", "")) {
    return false;
  }
  for (;;) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    if (!lvn_grow(&ids, &capacity, count, sizeof *ids, SIZE_MAX / sizeof *ids, err)) {
      return false;
    }
    ids[count++] = sqlite3_column_int64(statement, 0);
  }
  *ret_ids = lvn_steal(&ids);
  *ret_count = count;
  return true;
}

static bool is_live(const int64_t *live_ids, size_t live_count, int64_t job_id) {
  for (size_t i = 0; i < live_count; i++) {
    if (live_ids[i] == job_id) {
      return true;
    }
  }
  return false;
}

/* Its study follows in sweep(). */
static bool requeue_job(struct lvn_index *index, int64_t job_id, struct lvn_error *err) {
  return lvn_sql_run(index, err, "UPDATE job SET state='queued', attempt=max(attempt-1,0) WHERE job_id=?1", "i",
                     job_id);
}

static bool sweep(struct lvn_index *index, const int64_t *live_ids, size_t live_count, size_t *swept,
                  struct lvn_error *err) {
  LVN_AUTOFREE int64_t *ids = NULL;
  size_t count = 0;
  int64_t studies = 0;
  if (!list_running(index, &ids, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (is_live(live_ids, live_count, ids[i])) {
      continue;
    }
    if (!requeue_job(index, ids[i], err)) {
      return false;
    }
    (*swept)++;
  }
  if (!lvn_sql_integer(index, &studies, 0, err,
                       "SELECT count(*) FROM study s WHERE state='processing' AND NOT EXISTS (SELECT 1 FROM job j"
                       " WHERE j.study_uid=s.study_uid AND j.state='running')",
                       "")) {
    return false;
  }
  *swept += *swept == 0 ? (size_t)studies : 0;
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

bool lvn_index_sweep_jobs(struct lvn_index *index, const int64_t *live_ids, size_t live_count, size_t *ret_swept,
                          struct lvn_error *err) {
  struct lvn_sql_scope scope;
  int64_t busy = 0;
  *ret_swept = 0;
  /* Asked in every turn: a transaction only where there is something to do. */
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
  bool good = sweep(index, live_ids, live_count, &swept, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_swept = swept;
  return true;
}

bool lvn_index_list_sending(struct lvn_index *index, char (*ret_names)[64], size_t max_count, size_t *ret_count,
                            struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = true;
  *ret_count = 0;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT DISTINCT destination FROM outbound WHERE state='sending' ORDER BY destination LIMIT ?1",
                       "i", (int64_t)max_count)) {
    return false;
  }
  while (*ret_count < max_count) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    lvn_sql_copy_text(statement, 0, ret_names[*ret_count], sizeof ret_names[0]);
    (*ret_count)++;
  }
  return true;
}

static bool sweep_rows(struct lvn_index *index, const char *destination, int64_t not_before_ms, int64_t *ret_count,
                       struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err,
                         "SELECT count(*) FROM outbound WHERE state='sending' AND destination=?1", "t", destination) &&
         lvn_sql_run(index, err,
                     "UPDATE outbound SET state='queued', attempt=max(attempt-1,0), not_before=?2 WHERE"
                     " state='sending' AND destination=?1",
                     "ti", destination, not_before_ms) &&
         lvn_index_cancel_superseded(index, NULL, err);
}

bool lvn_index_sweep_outbound(struct lvn_index *index, const char *destination, int64_t not_before_ms,
                              size_t *ret_swept, struct lvn_error *err) {
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

bool lvn_index_count_postponed(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err, "SELECT count(*) FROM job WHERE state='queued' AND postponed>0", "");
}

bool lvn_index_count_undelivered(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err, "SELECT count(*) FROM outbound WHERE state='failed'", "");
}

static bool shift(struct lvn_index *index, const struct lvn_index_waits *waits, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE study SET settle_at=min(settle_at+?1,?2) WHERE state='collecting' AND"
                     " change_count<>looked_change AND settle_at>0",
                     "ii", waits->shift_ms, waits->now_ms + waits->settle_max_ms) &&
         lvn_sql_run(index, err,
                     "UPDATE job SET not_before=min(not_before+?1,?2) WHERE state='queued' AND not_before>0", "ii",
                     waits->shift_ms, waits->now_ms + waits->job_max_ms) &&
         lvn_sql_run(index, err,
                     "UPDATE outbound SET not_before=min(not_before+?1,?2) WHERE state='queued' AND not_before>0", "ii",
                     waits->shift_ms, waits->now_ms + waits->send_max_ms);
}

bool lvn_index_shift_waits(struct lvn_index *index, const struct lvn_index_waits *waits, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  return lvn_sql_scope_end(index, &scope, shift(index, waits, err), err);
}
