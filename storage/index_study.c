#include <stdint.h>
#include <string.h>

#include "storage/index.h"
#include "storage/sql.h"

#define STUDY_LIMIT 10000

#define STUDY_COLUMNS                                                                                                  \
  "SELECT study_uid, name, state, CASE WHEN state='collecting' AND status_message<>'' THEN status_message || "         \
  "coalesce("                                                                                                          \
  "(SELECT '; ' || note FROM fetch f WHERE f.study_uid=s.study_uid AND note<>''), '') ELSE status_message END,"        \
  " source_aet, source_address, revision, settle_at, first_received_at,"                                               \
  " last_received_at, latest_job_id, is_locked,"                                                                       \
  " (SELECT count(*) FROM instance i WHERE i.study_uid=s.study_uid AND i.is_current),"                                 \
  " (SELECT count(DISTINCT i.series_uid) FROM instance i WHERE i.study_uid=s.study_uid AND i.is_current AND"           \
  "   NOT i.is_own AND i.role='ct' AND i.patient_key=s.patient_key),"                                                  \
  " (SELECT count(*) FROM instance i WHERE i.study_uid=s.study_uid AND i.is_current AND"                               \
  "   NOT i.is_own AND i.role='roi' AND i.patient_key=s.patient_key),"                                                 \
  " EXISTS (SELECT 1 FROM job j WHERE j.study_uid=s.study_uid AND j.state IN ('queued','running'))"                    \
  " FROM study s "

static bool read_study(sqlite3_stmt *statement, struct lvn_index_study *study, struct lvn_error *err) {
  lvn_sql_copy_text(statement, 0, study->study_uid, sizeof study->study_uid);
  lvn_sql_copy_text(statement, 1, study->name, sizeof study->name);
  lvn_sql_copy_text(statement, 3, study->status_message, sizeof study->status_message);
  lvn_sql_copy_text(statement, 4, study->source_aet, sizeof study->source_aet);
  lvn_sql_copy_text(statement, 5, study->source_address, sizeof study->source_address);
  study->revision = sqlite3_column_int64(statement, 6);
  study->settle_at_ms = sqlite3_column_int64(statement, 7);
  study->first_received_ms = sqlite3_column_int64(statement, 8);
  study->last_received_ms = sqlite3_column_int64(statement, 9);
  study->latest_job_id = sqlite3_column_int64(statement, 10);
  study->is_locked = sqlite3_column_int(statement, 11) != 0;
  study->object_count = sqlite3_column_int64(statement, 12);
  study->ct_series_count = sqlite3_column_int64(statement, 13);
  study->roi_count = sqlite3_column_int64(statement, 14);
  study->has_live_job = sqlite3_column_int(statement, 15) != 0;
  return lvn_sql_get_name(statement, 2, lvn_study_state_parse, &study->state, err);
}

static bool collect_studies(struct lvn_index *index, sqlite3_stmt *statement, struct lvn_index_study **ret_studies,
                            size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
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
    if (!lvn_grow(&studies, &capacity, count, sizeof *studies, SIZE_MAX / sizeof *studies, err) ||
        !read_study(statement, &studies[count++], err)) {
      return false;
    }
  }
  *ret_studies = lvn_steal(&studies);
  *ret_count = count;
  return true;
}

#define STUDY_FILTER                                                                                                   \
  "WHERE (?1='' OR state=?1) AND (?2 IS NULL OR study_uid=?2 OR name=?2) AND (?3=0 OR change_count<>looked_change)"    \
  " AND last_received_at>=?4 AND (?5=0 OR last_received_at<=?5) AND (?6 IS NULL OR study_uid IN"                       \
  " (SELECT study_uid FROM series WHERE series_uid=?6 UNION SELECT study_uid FROM instance WHERE sop_instance_uid=?6"  \
  " UNION SELECT study_uid FROM result JOIN job USING (job_id) WHERE sop_instance_uid=?6))"

bool lvn_index_list_studies(struct lvn_index *index, const struct lvn_index_study_filter *filter,
                            struct lvn_index_study **ret_studies, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  const char *state = lvn_study_state_name(filter->state);
  int64_t limit = filter->limit == 0 ? STUDY_LIMIT : (int64_t)filter->limit;
  const bool is_plain = filter->state != LVN_STUDY_ANY && filter->study_uid == NULL && filter->since_ms == 0 &&
                        filter->until_ms == 0 && filter->holds_uid == NULL && !filter->newest_first;
  bool good = is_plain && filter->changed_only /* what ticks ask, each in words that an index answers */
                  ? lvn_sql_prepare(index, &statement, err,
                                    STUDY_COLUMNS
                                    "WHERE change_count<>looked_change AND state=?1 ORDER BY last_received_at LIMIT ?2",
                                    "ti", state, limit)
                  : is_plain ? lvn_sql_prepare(index, &statement, err,
                                               STUDY_COLUMNS "WHERE state=?1 ORDER BY last_received_at LIMIT ?2", "ti",
                                               state, limit)
                    : filter->newest_first
                        ? lvn_sql_prepare(
                              index, &statement, err,
                              STUDY_COLUMNS STUDY_FILTER " AND (?7 IS NULL OR (last_received_at, study_uid) < (?8, ?7))"
                                                         " ORDER BY last_received_at DESC, study_uid DESC LIMIT ?9",
                              "ttiiittii", state, filter->study_uid, (int64_t)filter->changed_only, filter->since_ms,
                              filter->until_ms, filter->holds_uid, filter->after_uid, filter->after_ms, limit)
                        : lvn_sql_prepare(index, &statement, err,
                                          STUDY_COLUMNS STUDY_FILTER " ORDER BY last_received_at LIMIT ?7", "ttiiiti",
                                          state, filter->study_uid, (int64_t)filter->changed_only, filter->since_ms,
                                          filter->until_ms, filter->holds_uid, limit);
  return good && collect_studies(index, statement, ret_studies, ret_count, err);
}

bool lvn_index_list_expired(struct lvn_index *index, int64_t before_ms, size_t limit,
                            struct lvn_index_study **ret_studies, size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         STUDY_COLUMNS
                         "WHERE state='done' AND decided_at<?1 AND last_received_at<?1 AND NOT EXISTS (SELECT 1 FROM "
                         "job j JOIN outbox o USING (job_id) WHERE j.study_uid=s.study_uid AND (o.state NOT IN "
                         "('sent','committed','cancelled') OR (o.state='sent' AND o.wants_commitment) OR "
                         "o.sent_at>=?1)) ORDER BY last_received_at LIMIT ?2",
                         "ii", before_ms, (int64_t)limit) &&
         collect_studies(index, statement, ret_studies, ret_count, err);
}

bool lvn_index_study_wait(struct lvn_index *index, const char *study_uid, const char *status_message,
                          struct lvn_error *err) {
  return lvn_sql_run(index, err, "UPDATE study SET looked_change=change_count, status_message=?2 WHERE study_uid=?1",
                     "tt", study_uid, status_message);
}

bool lvn_index_study_settle(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE study SET state='ready', looked_change=change_count, status_message='' WHERE study_uid=?1",
                     "t", study_uid);
}

/* A study given by UID or name. */
static bool find_study(struct lvn_index *index, const char *name, struct lvn_index_study *ret_study,
                       struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.study_uid = name, .limit = 2};
  if (!lvn_index_list_studies(index, &filter, &studies, &count, err)) {
    return false;
  }
  if (count != 1) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no study '%.64s'", name);
  }
  *ret_study = studies[0];
  return true;
}

bool lvn_index_study_release(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  struct lvn_index_study study = {0};
  if (!find_study(index, study_uid, &study, err)) {
    return false;
  }
  if (study.state != LVN_STUDY_REJECTED) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "study %s is %s, not rejected", study.name,
                         lvn_study_state_name(study.state));
  }
  return lvn_sql_run(
      index, err,
      "UPDATE study SET state='collecting', is_locked=0, status_message='released by an operator',"
      " settle_at=0, change_count=change_count+1, revision=revision+1, patient_key="
      "(SELECT patient_key FROM instance i WHERE i.study_uid=?1 AND i.is_current AND NOT i.is_own"
      " GROUP BY patient_key ORDER BY count(*) DESC, min(sequence), min(received_at) LIMIT 1) WHERE study_uid=?1",
      "t", study.study_uid);
}

bool lvn_index_study_retry(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  struct lvn_index_study study = {0};
  if (!find_study(index, study_uid, &study, err)) {
    return false;
  }
  if (study.is_locked) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "study %s names two patients: release it first", study.name);
  }
  if (study.state == LVN_STUDY_READY || study.state == LVN_STUDY_PROCESSING) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "study %s is %s already", study.name,
                         lvn_study_state_name(study.state));
  }
  return lvn_sql_run(index, err,
                     "UPDATE study SET state='collecting', status_message='', settle_at=0, looked_change=-1"
                     " WHERE study_uid=?1",
                     "t", study.study_uid);
}

bool lvn_index_study_inputs(struct lvn_index *index, const char *study_uid, uint8_t **ret_digests, size_t *ret_count,
                            struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         "SELECT sha256 FROM instance JOIN study USING (study_uid) WHERE study_uid=?1 AND is_current"
                         " AND NOT is_own AND role<>'other' AND instance.patient_key=study.patient_key ORDER BY sha256",
                         "t", study_uid) &&
         lvn_index_collect_digests(index, statement, ret_digests, ret_count, err);
}

bool lvn_index_study_samples(struct lvn_index *index, const char *study_uid, uint8_t **ret_digests, size_t *ret_count,
                             struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         "SELECT sha256, min(sequence) FROM instance WHERE study_uid=?1 AND is_current AND NOT is_own"
                         " GROUP BY patient_key, role ORDER BY role='other', role",
                         "t", study_uid) &&
         lvn_index_collect_digests(index, statement, ret_digests, ret_count, err);
}

bool lvn_index_study_objects(struct lvn_index *index, const char *study_uid, uint8_t **ret_digests, size_t *ret_count,
                             struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err, "SELECT sha256 FROM instance WHERE study_uid=?1 ORDER BY sha256", "t",
                         study_uid) &&
         lvn_index_collect_digests(index, statement, ret_digests, ret_count, err);
}

static bool delete_rows(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  return lvn_sql_run(index, err, "DELETE FROM outbox WHERE job_id IN (SELECT job_id FROM job WHERE study_uid=?1)", "t",
                     study_uid) &&
         lvn_sql_run(index, err, "DELETE FROM fetch WHERE study_uid=?1", "t", study_uid) &&
         lvn_sql_run(index, err, "DELETE FROM result WHERE job_id IN (SELECT job_id FROM job WHERE study_uid=?1)", "t",
                     study_uid) &&
         lvn_sql_run(index, err, "DELETE FROM job WHERE study_uid=?1", "t", study_uid) &&
         lvn_sql_run(index, err, "DELETE FROM instance WHERE study_uid=?1", "t", study_uid) &&
         lvn_sql_run(index, err, "DELETE FROM series WHERE study_uid=?1", "t", study_uid) &&
         lvn_sql_run(index, err, "DELETE FROM study WHERE study_uid=?1", "t", study_uid);
}

bool lvn_index_study_delete(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  return lvn_sql_scope_end(index, &scope, delete_rows(index, study_uid, err), err);
}
