#include "storage/fetch.h"

#include <string.h>

#include "storage/sql.h"

#define COLUMNS                                                                                                        \
  "SELECT s.study_uid, s.name, coalesce(f.source,''), s.source_aet, s.source_address, s.revision,"                     \
  " CASE WHEN f.revision=s.revision THEN f.attempt ELSE 0 END, 0 FROM study s LEFT JOIN fetch f USING (study_uid) "
/* ?1 and ?2: the rule's attempts and senders. */
#define WAITING                                                                                                        \
  "s.state='collecting' AND s.change_count=s.looked_change AND s.status_message<>'' AND"                               \
  " (f.study_uid IS NULL OR f.revision<>s.revision OR f.attempt<?1) AND"                                               \
  " (coalesce(f.source,'')<>'' OR instr(?2, '\\' || s.source_aet || '\\')>0)"

static bool read_study(struct lvn_index *index, sqlite3_stmt *statement, struct lvn_fetch_study *study, bool *ret_found,
                       struct lvn_error *err) {
  if (!lvn_sql_step(index, statement, ret_found, err)) {
    return false;
  }
  if (*ret_found) {
    lvn_sql_copy_text(statement, 0, study->study_uid, sizeof study->study_uid);
    lvn_sql_copy_text(statement, 1, study->name, sizeof study->name);
    lvn_sql_copy_text(statement, 2, study->source, sizeof study->source);
    lvn_sql_copy_text(statement, 3, study->source_aet, sizeof study->source_aet);
    lvn_sql_copy_text(statement, 4, study->source_address, sizeof study->source_address);
    study->revision = sqlite3_column_int64(statement, 5);
    study->attempt = sqlite3_column_int64(statement, 6);
    study->is_ordered = sqlite3_column_int(statement, 7) != 0;
  }
  return true;
}

static bool next_ordered(struct lvn_index *index, int64_t now_ms, struct lvn_fetch_study *ret_study, bool *ret_found,
                         struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  return lvn_sql_prepare(index, &statement, err,
                         "SELECT f.study_uid, coalesce(s.name,''), f.source, coalesce(s.source_aet,''),"
                         " coalesce(s.source_address,''), coalesce(s.revision,-1), f.attempt, 1 FROM fetch f LEFT JOIN"
                         " study s USING (study_uid) WHERE f.is_ordered AND f.not_before<=?1 ORDER BY f.not_before"
                         " LIMIT 1",
                         "i", now_ms) &&
         read_study(index, statement, ret_study, ret_found, err);
}

bool lvn_fetch_next(struct lvn_index *index, const struct lvn_fetch_rule *rule, int64_t now_ms,
                    struct lvn_fetch_study *ret_study, bool *ret_found, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  if (!next_ordered(index, now_ms, ret_study, ret_found, err)) {
    return false;
  }
  if (!*ret_found && rule->attempts_max == 0) {
    return true;
  }
  if (!*ret_found) {
    return lvn_sql_prepare(index, &statement, err,
                           COLUMNS "WHERE " WAITING
                                   " AND s.last_received_at<=?4 AND coalesce(f.not_before,0)<=?3 ORDER BY"
                                   " coalesce(f.not_before,0), s.last_received_at LIMIT 1",
                           "itii", rule->attempts_max, rule->senders, now_ms, now_ms - rule->quiet_ms) &&
           read_study(index, statement, ret_study, ret_found, err);
  }
  return ret_study->name[0] != '\0' || lvn_index_study_name(index, ret_study->study_uid, ret_study->name, err);
}

bool lvn_fetch_next_due(struct lvn_index *index, const struct lvn_fetch_rule *rule, int64_t *ret_due_ms,
                        struct lvn_error *err) {
  if (rule->attempts_max == 0) {
    return lvn_sql_integer(index, ret_due_ms, INT64_MAX, err, "SELECT min(not_before) FROM fetch WHERE is_ordered", "");
  }
  return lvn_sql_integer(index, ret_due_ms, INT64_MAX, err,
                         "SELECT min(at) FROM (SELECT min(max(coalesce(f.not_before,0), s.last_received_at+?3)) AS at"
                         " FROM study s LEFT JOIN fetch f USING (study_uid) WHERE " WAITING
                         " UNION ALL SELECT min(not_before) FROM fetch WHERE is_ordered)",
                         "iti", rule->attempts_max, rule->senders, rule->quiet_ms);
}

bool lvn_fetch_defer(struct lvn_index *index, const char *study_uid, int64_t not_before_ms, struct lvn_error *err) {
  return lvn_sql_run(
      index, err,
      "INSERT INTO fetch(study_uid, source, not_before) VALUES (?1,'',?2) ON CONFLICT(study_uid) DO UPDATE"
      " SET not_before=excluded.not_before, is_ordered=0",
      "ti", study_uid, not_before_ms);
}

bool lvn_fetch_begin(struct lvn_index *index, const struct lvn_fetch_study *study, const char *source,
                     int64_t not_before_ms, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "INSERT INTO fetch(study_uid, source, revision, attempt, not_before) VALUES (?1,?2,?3,?4,?5)"
                     " ON CONFLICT(study_uid) DO UPDATE SET source=excluded.source, revision=excluded.revision,"
                     " attempt=excluded.attempt, not_before=excluded.not_before, is_ordered=0",
                     "ttiii", study->study_uid, source, study->revision, study->attempt + 1, not_before_ms);
}

bool lvn_fetch_say(struct lvn_index *index, const char *study_uid, const char *note, struct lvn_error *err) {
  return lvn_sql_run(index, err, "UPDATE fetch SET note=?2 WHERE study_uid=?1", "tt", study_uid, note);
}

bool lvn_fetch_get_source(struct lvn_index *index, const char *study_uid, char ret_source[LVN_FETCH_SOURCE_BYTES],
                          struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = false;
  ret_source[0] = '\0';
  if (!lvn_sql_prepare(index, &statement, err, "SELECT source FROM fetch WHERE study_uid=?1", "t", study_uid) ||
      !lvn_sql_step(index, statement, &row, err)) {
    return false;
  }
  if (row) {
    lvn_sql_copy_text(statement, 0, ret_source, LVN_FETCH_SOURCE_BYTES);
  }
  return true;
}

bool lvn_fetch_order(struct lvn_index *index, const char *study_uid, const char *source, struct lvn_error *err) {
  return lvn_sql_run(
      index, err,
      "INSERT INTO fetch(study_uid, source, is_ordered) VALUES (?1,?2,1) ON CONFLICT(study_uid) DO UPDATE"
      " SET source=excluded.source, is_ordered=1, attempt=0, not_before=0",
      "tt", study_uid, source);
}

bool lvn_fetch_list_held(struct lvn_index *index, const char *study_uid, struct lvn_fetch_held **ret_held,
                         size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  LVN_AUTOFREE struct lvn_fetch_held *held = NULL;
  size_t count = 0;
  size_t capacity = 0;
  bool row = true;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT series_uid, count(DISTINCT sop_instance_uid) FROM instance WHERE study_uid=?1 GROUP BY"
                       " series_uid",
                       "t", study_uid)) {
    return false;
  }
  for (;;) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    if (!lvn_grow(&held, &capacity, count, sizeof *held, SIZE_MAX / sizeof *held, err)) {
      return false;
    }
    lvn_sql_copy_text(statement, 0, held[count].series_uid, sizeof held[count].series_uid);
    held[count++].object_count = sqlite3_column_int64(statement, 1);
  }
  *ret_held = lvn_steal(&held);
  *ret_count = count;
  return true;
}

bool lvn_fetch_count_bytes(struct lvn_index *index, const char *study_uid, int64_t *ret_bytes, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_bytes, 0, err, "SELECT sum(byte_count) FROM instance WHERE study_uid=?1", "t",
                         study_uid);
}

bool lvn_fetch_count_others(struct lvn_index *index, const char *study_uid, const char *calling_aet,
                            int64_t after_sequence, int64_t *ret_count, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_count, 0, err,
                         "SELECT count(*) FROM instance WHERE sequence>?3 AND calling_aet=?2 AND study_uid<>?1", "tti",
                         study_uid, calling_aet, after_sequence);
}
