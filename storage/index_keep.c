#include "storage/index_keep.h"

#include <string.h>

#include "storage/index.h"
#include "storage/sql.h"

#define UNATTENDED                                                                                                     \
  "WHERE state IN ('collecting','failed','rejected') AND last_received_at<?1 AND decided_at<?1 AND NOT EXISTS"         \
  " (SELECT 1 FROM job j JOIN outbox o USING (job_id) WHERE j.study_uid=s.study_uid AND (o.state NOT IN"               \
  " ('sent','committed','cancelled') OR (o.state='sent' AND o.wants_commitment) OR o.sent_at>=?1)) AND NOT EXISTS "    \
  "(SELECT 1 FROM job j WHERE"                                                                                         \
  " j.study_uid=s.study_uid AND j.state IN ('queued','running'))"

static bool load_studies(struct lvn_index *index, sqlite3_stmt *statement, size_t limit,
                         struct lvn_index_study *studies, size_t *count, struct lvn_error *err) {
  bool row = true;
  while (*count < limit) {
    LVN_AUTOFREE struct lvn_index_study *one = NULL;
    size_t found = 0;
    char study_uid[LVN_UID_BYTES];
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      return true;
    }
    lvn_sql_copy_text(statement, 0, study_uid, sizeof study_uid);
    const struct lvn_index_study_filter filter = {.study_uid = study_uid, .limit = 1};
    if (!lvn_index_list_studies(index, &filter, &one, &found, err)) {
      return false;
    }
    if (found == 1) {
      studies[(*count)++] = one[0];
    }
  }
  return true;
}

bool lvn_index_list_unattended(struct lvn_index *index, int64_t before_ms, size_t limit,
                               struct lvn_index_study **ret_studies, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  LVN_AUTOFREE struct lvn_index_study *studies = lvn_alloc(limit, sizeof *studies, err);
  size_t count = 0;
  if (studies == NULL ||
      !lvn_sql_prepare(index, &statement, err,
                       "SELECT study_uid FROM study s " UNATTENDED " ORDER BY last_received_at LIMIT ?2", "ii",
                       before_ms, (int64_t)limit) ||
      !load_studies(index, statement, limit, studies, &count, err)) {
    return false;
  }
  *ret_studies = lvn_steal(&studies);
  *ret_count = count;
  return true;
}

bool lvn_index_count_unattended(struct lvn_index *index, int64_t before_ms, int64_t *ret_count, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err, "SELECT count(*) FROM study s " UNATTENDED, "i", before_ms);
}

bool lvn_index_count_long_waits(struct lvn_index *index, struct lvn_index_long_waits *waits, struct lvn_error *err) {
  return lvn_sql_integer(index, &waits->studies, 0, err,
                         "SELECT count(*) FROM study WHERE state='collecting' AND last_received_at BETWEEN ?1 AND ?2",
                         "ii", waits->studies_since_ms, waits->studies_until_ms) &&
         lvn_sql_integer(index, &waits->jobs, 0, err, "SELECT count(*) FROM job WHERE state='queued' AND wall_ms<=?1",
                         "i", waits->jobs_until_ms);
}

bool lvn_index_study_hindrance(struct lvn_index *index, const char *study_uid,
                               struct lvn_index_hindrance *ret_hindrance, struct lvn_error *err) {
  return lvn_sql_integer(index, &ret_hindrance->running_job_id, 0, err,
                         "SELECT max(job_id) FROM job WHERE study_uid=?1 AND state='running'", "t", study_uid) &&
         lvn_sql_integer(index, &ret_hindrance->sending, 0, err,
                         "SELECT count(*) FROM outbox JOIN job USING (job_id) WHERE study_uid=?1 AND"
                         " outbox.state='sending'",
                         "t", study_uid) &&
         lvn_sql_integer(index, &ret_hindrance->unsent, 0, err,
                         "SELECT count(*) FROM outbox JOIN job USING (job_id) WHERE study_uid=?1 AND"
                         " (outbox.state IN ('queued','failed') OR (outbox.state='sent' AND wants_commitment))",
                         "t", study_uid);
}

bool lvn_index_study_mended(struct lvn_index *index, const char *study_uid, int64_t settle_at_ms, int64_t *ret_job_id,
                            struct lvn_error *err) {
  return lvn_sql_integer(index, ret_job_id, 0, err, "SELECT latest_job_id FROM study WHERE study_uid=?1", "t",
                         study_uid) &&
         lvn_sql_run(index, err,
                     "UPDATE study SET change_count=change_count+1, settle_at=max(settle_at,?2) WHERE study_uid=?1 AND"
                     " state<>'ready'",
                     "ti", study_uid, settle_at_ms) &&
         lvn_sql_run(
             index, err,
             "UPDATE study SET state='collecting', status_message='', revision=revision+1 WHERE study_uid=?1 AND"
             " (state IN ('done','failed') OR (state='rejected' AND NOT is_locked))",
             "t", study_uid);
}

bool lvn_index_newest_ms(struct lvn_index *index, int64_t *ret_wall_ms, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_wall_ms, 0, err,
                         "SELECT max(at) FROM (SELECT max(last_received_at) AS at FROM study UNION ALL SELECT max(at)"
                         " FROM event)",
                         "");
}

bool lvn_index_count_waiting(struct lvn_index *index, int64_t *ret_count, int64_t *ret_oldest_ms,
                             struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err, "SELECT count(*) FROM study WHERE state='collecting'", "") &&
         lvn_sql_integer(index, ret_oldest_ms, 0, err,
                         "SELECT min(last_received_at) FROM study WHERE state='collecting'", "");
}
