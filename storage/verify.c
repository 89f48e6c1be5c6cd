#include "storage/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/index.h"
#include "storage/intact.h"
#include "storage/outbox.h"
#include "storage/sql.h"

#define REPORT_CLASS "1.2.840.10008.5.1.4.1.1.88.34"
#define HEX12 "substr(lower(hex(i.sha256)),1,12)"

struct question {
  enum lvn_index_fault_kind kind;
  const char *sql; /* text, subject */
};

static const struct question questions[] = {
    {LVN_INDEX_FAULT_STATE,
     "SELECT 'study ' || name || ' is being analysed, but no job of it runs', '' FROM study s WHERE state='processing'"
     " AND NOT EXISTS (SELECT 1 FROM job j WHERE j.study_uid=s.study_uid AND j.state='running')"},
    {LVN_INDEX_FAULT_STATE,
     "SELECT 'job ' || job_id || ' runs, but its study ' || s.name || ' is ' || s.state, '' FROM job JOIN study s USING"
     " (study_uid) WHERE job.state='running' AND s.state NOT IN ('processing','rejected')"},
    {LVN_INDEX_FAULT_STATE,
     "SELECT 'job ' || job_id || ' is queued, but its study ' || s.name || ' is ' || s.state || ': nothing starts it',"
     " '' FROM job JOIN study s USING (study_uid) WHERE job.state='queued' AND s.state<>'ready'"},
    {LVN_INDEX_FAULT_STATE,
     "SELECT 'study ' || name || ' is done, but has no finished analysis', '' FROM study s WHERE state='done' AND NOT"
     " EXISTS (SELECT 1 FROM job j WHERE j.job_id=s.latest_job_id AND j.state='done' AND j.outcome='done')"},
    {LVN_INDEX_FAULT_STATE,
     "SELECT 'study ' || name || ' has failed, but its analysis has not', '' FROM study s WHERE state='failed' AND NOT"
     " EXISTS (SELECT 1 FROM job j WHERE j.job_id=s.latest_job_id AND j.state='failed')"},
    {LVN_INDEX_FAULT_STATE,
     "SELECT 'study ' || name || ' is done, but its analysis has no result that goes anywhere or is kept', '' FROM"
     " study s WHERE state='done' AND NOT EXISTS (SELECT 1 FROM result r WHERE r.job_id=s.latest_job_id)"},
    {LVN_INDEX_FAULT_STATE,
     "SELECT 'of the versions of an object of study ' || s.name || ' none is current', '' FROM instance i JOIN study s"
     " USING (study_uid) GROUP BY i.study_uid, i.sop_instance_uid HAVING sum(i.is_current)=0"},
    {LVN_INDEX_FAULT_RESULT,
     "SELECT 'study ' || s.name || ' has ' || count(*) || ' current reports, of jobs ' || group_concat(job_id), '' FROM"
     " result r JOIN job j USING (job_id) JOIN study s USING (study_uid) WHERE r.sop_class_uid='" REPORT_CLASS
     "' AND j.superseded_by=0 GROUP BY j.study_uid HAVING count(*)>1"},
};

/* A study whose job is still on its way may be finished beside its results already: the start works that off. */
static const struct question differences[] = {
    {LVN_INDEX_FAULT_REBUILD,
     "SELECT 'object ' || " HEX12 " || ' of study ' || s.name || ' is in the index, but a rebuild would not have it',"
     " lower(hex(i.sha256)) FROM main.instance i JOIN main.study s USING (study_uid) WHERE NOT EXISTS (SELECT 1 FROM"
     " rebuilt.instance r WHERE r.sop_instance_uid=i.sop_instance_uid AND r.sha256=i.sha256 AND"
     " r.study_uid=i.study_uid)"},
    {LVN_INDEX_FAULT_UNKNOWN,
     "SELECT 'object ' || " HEX12 " || ' of study ' || s.name || ' is stored, but the index does not have it',"
     " lower(hex(i.sha256)) FROM rebuilt.instance i JOIN rebuilt.study s USING (study_uid) WHERE NOT EXISTS (SELECT 1"
     " FROM main.instance r WHERE r.sop_instance_uid=i.sop_instance_uid AND r.sha256=i.sha256 AND"
     " r.study_uid=i.study_uid)"},
    {LVN_INDEX_FAULT_REBUILD,
     "SELECT 'object ' || " HEX12 " || ' of study ' || s.name || ' is ' || CASE WHEN i.is_current THEN 'current' ELSE"
     " 'not current' END || CASE WHEN i.is_own THEN ', our own' ELSE '' END || ' in the index, but would be otherwise"
     " after a rebuild', lower(hex(i.sha256)) FROM main.instance i JOIN main.study s USING (study_uid) JOIN"
     " rebuilt.instance r ON r.sop_instance_uid=i.sop_instance_uid AND r.sha256=i.sha256 AND r.study_uid=i.study_uid"
     " WHERE r.is_current<>i.is_current OR r.is_own<>i.is_own OR r.role<>i.role"},
    {LVN_INDEX_FAULT_REBUILD,
     "SELECT 'study ' || s.name || ' is done, but a rebuild would not know it', '' FROM main.study s WHERE"
     " s.state='done' AND NOT EXISTS (SELECT 1 FROM rebuilt.study r WHERE r.study_uid=s.study_uid AND r.state='done'"
     " AND r.latest_job_id=s.latest_job_id)"},
    {LVN_INDEX_FAULT_REBUILD,
     "SELECT 'study ' || s.name || ' is ' || s.state || ', but would be done after a rebuild', '' FROM main.study s"
     " JOIN rebuilt.study r USING (study_uid) WHERE r.state='done' AND s.state NOT IN ('done','ready','processing')"},
    {LVN_INDEX_FAULT_REBUILD,
     "SELECT 'a result of job ' || o.job_id || ' was sent to ' || o.destination || ', but a rebuild would not know it',"
     " '' FROM main.outbox o WHERE o.kind='object' AND o.state IN " LVN_OUTBOX_DELIVERED
     " AND NOT EXISTS (SELECT 1 FROM rebuilt.outbox r WHERE"
     " r.sop_instance_uid=o.sop_instance_uid AND r.destination=o.destination AND r.state IN " LVN_OUTBOX_DELIVERED
     " AND r.sha256=o.sha256)"},
};

static bool open_file(struct lvn_index *index, const char *path, struct lvn_error *err) {
  int64_t version = 0;
  if (sqlite3_open_v2(path, &index->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
    return lvn_error_set(err, LVN_ERROR_DATA, "cannot open '%s': %s", path, sqlite3_errmsg(index->db));
  }
  if (!lvn_sql_integer(index, &version, 0, err, "PRAGMA user_version", "")) {
    return false;
  }
  return version == LVN_INDEX_SCHEMA_VERSION ||
         lvn_error_set(err, LVN_ERROR_DATA, "the index has schema %d, this program knows %d", (int)version,
                       LVN_INDEX_SCHEMA_VERSION);
}

static bool take_lock(struct lvn_index *index, const char *state_folder, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_intact_check_owner(state_folder, err) || !lvn_path_join(path, state_folder, "index.lock", err)) {
    return false;
  }
  index->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (index->lock_fd < 0 || flock(index->lock_fd, LOCK_EX | LOCK_NB) != 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "the index in '%s' is in use, or its lock cannot be opened",
                         state_folder);
  }
  return true;
}

bool lvn_index_inspect(const char *state_folder, const char *path, struct lvn_index **ret_index,
                       struct lvn_error *err) {
  struct lvn_index *index = lvn_alloc(1, sizeof *index, err);
  if (index == NULL) {
    return false;
  }
  index->lock_fd = -1;
  if ((state_folder == NULL || take_lock(index, state_folder, err)) && open_file(index, path, err)) {
    *ret_index = index;
    return true;
  }
  lvn_index_close(index);
  return false;
}

bool lvn_index_copy(struct lvn_index *index, const char *path, struct lvn_error *err) {
  return lvn_sql_run(index, err, "VACUUM INTO ?1", "t", path);
}

static bool ask(struct lvn_index *index, const struct question *question, lvn_index_fault_visitor visit,
                void *user_data, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = true;
  if (!lvn_sql_prepare(index, &statement, err, question->sql, "")) {
    return false;
  }
  for (;;) {
    char text[LVN_INDEX_MESSAGE_BYTES];
    char subject[LVN_SHA256_TEXT_BYTES];
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      return true;
    }
    lvn_sql_copy_text(statement, 0, text, sizeof text);
    lvn_sql_copy_text(statement, 1, subject, sizeof subject);
    if (!visit(user_data, question->kind, text, subject, err)) {
      return false;
    }
  }
}

static bool check_file(struct lvn_index *index, lvn_index_fault_visitor visit, void *user_data, struct lvn_error *err) {
  static const char *const pragmas[] = {"PRAGMA integrity_check(20)", "PRAGMA foreign_key_check"};
  for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
    LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
    bool row = true;
    if (!lvn_sql_prepare(index, &statement, err, pragmas[i], "")) {
      return false;
    }
    for (;;) {
      char name[128];
      char text[LVN_INDEX_MESSAGE_BYTES];
      if (!lvn_sql_step(index, statement, &row, err)) {
        return false;
      }
      if (!row) {
        break;
      }
      lvn_sql_copy_text(statement, 0, name, sizeof name);
      (void)snprintf(text, sizeof text, "%s%s%s", i == 0 ? "" : "a row of table ", name,
                     i == 0 ? "" : " names a row that is not there");
      if (strcmp(text, "ok") != 0 && !visit(user_data, LVN_INDEX_FAULT_FILE, text, "", err)) {
        return false;
      }
    }
  }
  return true;
}

bool lvn_index_each_fault(struct lvn_index *index, lvn_index_fault_visitor visit, void *user_data,
                          struct lvn_error *err) {
  bool good = check_file(index, visit, user_data, err);
  for (size_t i = 0; good && i < sizeof questions / sizeof questions[0]; i++) {
    good = ask(index, &questions[i], visit, user_data, err);
  }
  return good;
}

bool lvn_index_each_difference(struct lvn_index *index, const char *rebuilt_path, lvn_index_fault_visitor visit,
                               void *user_data, struct lvn_error *err) {
  bool good = lvn_sql_run(index, err, "ATTACH ?1 AS rebuilt", "t", rebuilt_path);
  for (size_t i = 0; good && i < sizeof differences / sizeof differences[0]; i++) {
    good = ask(index, &differences[i], visit, user_data, err);
  }
  return good;
}

bool lvn_index_each_busy(struct lvn_index *index, lvn_index_busy_visitor visit, void *user_data,
                         struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = true;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT 'job', job_id, s.name FROM job JOIN study s USING (study_uid) WHERE job.state='running'"
                       " UNION ALL SELECT 'outbound', destination, coalesce(s.name, 'none') FROM outbox o LEFT JOIN job"
                       " USING (job_id) LEFT JOIN study s USING (study_uid) WHERE o.state='sending'",
                       "")) {
    return false;
  }
  for (;;) {
    char entity[16];
    char id[64];
    char name[LVN_INDEX_STUDY_NAME_BYTES];
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      return true;
    }
    lvn_sql_copy_text(statement, 0, entity, sizeof entity);
    lvn_sql_copy_text(statement, 1, id, sizeof id);
    lvn_sql_copy_text(statement, 2, name, sizeof name);
    if (!visit(user_data, entity, id, name, err)) {
      return false;
    }
  }
}

bool lvn_index_each_file(struct lvn_index *index, lvn_index_file_visitor visit, void *user_data,
                         struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = true;
  if (!lvn_sql_prepare(index, &statement, err,
                       "SELECT sha256, '', s.name FROM instance JOIN study s USING (study_uid) UNION ALL"
                       " SELECT r.sha256, r.path, s.name FROM result r JOIN job USING (job_id) JOIN study s USING"
                       " (study_uid)",
                       "")) {
    return false;
  }
  for (;;) {
    uint8_t sha256[LVN_SHA256_BYTES];
    char path[LVN_PATH_BYTES];
    char name[LVN_INDEX_STUDY_NAME_BYTES];
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      return true;
    }
    lvn_sql_copy_digest(statement, 0, sha256);
    lvn_sql_copy_text(statement, 1, path, sizeof path);
    lvn_sql_copy_text(statement, 2, name, sizeof name);
    if (!visit(user_data, sha256, path, name, err)) {
      return false;
    }
  }
}
