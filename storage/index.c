#include "storage/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/index_internal.h"
#include "storage/intact.h"
#include "storage/spool_internal.h"

#define INDEX_FILE "index.sqlite"
#define REBUILD_FILE "index.sqlite.rebuild"
#define ASIDE_FILE "index.sqlite.damaged"
#define KEY_FILE "installation.key"

static bool take_lock(const char *state_folder, int *ret_fd, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, state_folder, "index.lock", err)) {
    return false;
  }
  LVN_AUTOCLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return lvn_error_set(err, LVN_ERROR_CONFLICT, "the index in '%s' is in use by a running pipeline", state_folder);
    }
    return lvn_error_set_errno(err, errno, "cannot lock '%s'", path);
  }
  *ret_fd = fd;
  fd = -1;
  return true;
}

/* The key that hides study UIDs and patient ids: random, made once, never leaves the state folder. */
static bool load_key(struct lvn_index *index, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_path_join(path, index->state_folder, KEY_FILE, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return lvn_file_random(index->key, sizeof index->key, err) &&
           lvn_file_replace(path, index->key, sizeof index->key, 0600, err);
  }
  if (!lvn_file_read(path, sizeof index->key, &data, &bytes, err)) {
    return false;
  }
  if (bytes != sizeof index->key) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%s' does not hold %zu bytes", path, sizeof index->key);
  }
  memcpy(index->key, data, bytes);
  return true;
}

/* Unlike any other process', also of this number after a restart in a container. */
static bool name_owner(struct lvn_index *index, struct lvn_error *err) {
  uint32_t number = 0;
  char host[65] = "";
  if (gethostname(host, sizeof host - 1) != 0) {
    return lvn_error_set_errno(err, errno, "cannot tell this machine's name");
  }
  if (!lvn_file_random(&number, sizeof number, err)) {
    return false;
  }
  (void)snprintf(index->owner, sizeof index->owner, "%s:%ld:%08x", host, (long)getpid(), number);
  return true;
}

static bool execute(struct lvn_index *index, const char *sql, struct lvn_error *err) {
  return sqlite3_exec(index->db, sql, NULL, NULL, NULL) == SQLITE_OK || lvn_sql_fail(index, err, sql);
}

static bool check_integrity(struct lvn_index *index, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  char answer[200];
  bool row = false;
  if (!lvn_sql_prepare(index, &statement, err, "PRAGMA quick_check(1)", "") ||
      !lvn_sql_step(index, statement, &row, err)) {
    return false;
  }
  lvn_sql_copy_text(statement, 0, answer, sizeof answer);
  if (strcmp(answer, "ok") != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the index is damaged: %s; run: livervlm rebuild-index", answer);
  }
  return true;
}

static bool change_schema(struct lvn_index *index, int64_t version, struct lvn_error *err) {
  char set_version[64];
  bool good = version != 0 || execute(index, lvn_index_schema_sql, err);
  for (size_t i = 0; version != 0 && i < lvn_index_upgrade_count; i++) {
    good = good && (lvn_index_upgrades[i].to_version <= version || execute(index, lvn_index_upgrades[i].sql, err));
  }
  (void)snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", LVN_INDEX_SCHEMA_VERSION);
  return good && execute(index, set_version, err);
}

static bool migrate(struct lvn_index *index, struct lvn_error *err) {
  int64_t version = 0;
  if (!lvn_sql_integer(index, &version, 0, err, "PRAGMA user_version", "")) {
    return false;
  }
  if (version > LVN_INDEX_SCHEMA_VERSION) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the index has schema %d, this program knows up to %d", (int)version,
                         LVN_INDEX_SCHEMA_VERSION);
  }
  if (version == LVN_INDEX_SCHEMA_VERSION) {
    return true;
  }
  if (version != 0 && version < LVN_INDEX_OLDEST_VERSION) {
    return lvn_error_set(err, LVN_ERROR_DATA,
                         "the index has schema %d, this program needs %d: run 'livervlm rebuild-index'", (int)version,
                         LVN_INDEX_SCHEMA_VERSION);
  }
  if (!lvn_index_begin(index, err)) {
    return false;
  }
  if (change_schema(index, version, err) && lvn_index_commit(index, err)) {
    return true;
  }
  lvn_index_rollback(index);
  return false;
}

#define INTERRUPTIONS_MAX 10

/* What a killed process left. That this process died is not the study's fault, so its attempt is not counted; but it is
 * noted, so that a job which takes this process with it cannot do so for ever. */
static bool recover(struct lvn_index *index, struct lvn_error *err) {
  int64_t now_ms = lvn_clock_wall_ms();
  return lvn_sql_run(index, err, "UPDATE outbox SET state='queued' WHERE state='sending'", "") &&
         lvn_sql_run(index, err, "UPDATE job SET interruption=interruption+1 WHERE state='running'", "") &&
         lvn_sql_run(
             index, err,
             "UPDATE study SET state='failed', decided_at=?2, status_message='the analysis was interrupted ' || ?1 || "
             "' times' WHERE state='processing' AND EXISTS (SELECT 1 FROM job WHERE "
             "job.study_uid=study.study_uid AND job.state='running' AND job.interruption>=?1)",
             "ii", (int64_t)INTERRUPTIONS_MAX, now_ms) &&
         lvn_sql_run(index, err,
                     "UPDATE job SET state='failed', error_code='crash', error_text='the attempt was not finished',"
                     " finished_at=?2 WHERE state='running' AND interruption>=?1",
                     "ii", (int64_t)INTERRUPTIONS_MAX, now_ms) &&
         lvn_sql_run(index, err, "UPDATE job SET state='queued', attempt=attempt-1 WHERE state='running'", "") &&
         lvn_sql_run(index, err, "UPDATE study SET state='ready' WHERE state='processing'", "") &&
         lvn_index_cancel_superseded(index, NULL, err);
}

static bool open_database(struct lvn_index *index, const char *name, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  struct lvn_sql_scope scope;
  if (!lvn_path_join(path, index->state_folder, name, err)) {
    return false;
  }
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path, &index->db, flags, NULL) != SQLITE_OK) {
    return lvn_error_set(err, LVN_ERROR_IO, "cannot open '%s': %s", path, sqlite3_errmsg(index->db));
  }
  (void)sqlite3_extended_result_codes(index->db, 0);
  if (!execute(index,
               "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
               "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;",
               err) ||
      !check_integrity(index, err) || !migrate(index, err) || !lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  return lvn_sql_scope_end(index, &scope, recover(index, err), err);
}

static void close_database(struct lvn_index *index) {
  for (size_t i = 0; i < index->statement_count; i++) {
    (void)sqlite3_finalize(index->statements[i].statement);
  }
  index->statement_count = 0;
  (void)sqlite3_close_v2(index->db); /* the last connection folds the write-ahead log in */
  index->db = NULL;
}

void lvn_index_close(struct lvn_index *index) {
  if (index != NULL) {
    close_database(index);
    lvn_file_close_pointer(&index->lock_fd);
    lvn_free(index);
  }
}

bool lvn_index_open(const char *state_folder, unsigned job_attempts_max, struct lvn_index **ret_index,
                    struct lvn_error *err) {
  struct lvn_index *index = lvn_alloc(1, sizeof *index, err);
  if (index == NULL) {
    return false;
  }
  index->lock_fd = -1;
  index->job_attempts_max = job_attempts_max == 0 ? 1 : job_attempts_max;
  if (!lvn_copy(index->state_folder, sizeof index->state_folder, state_folder)) {
    (void)lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", state_folder);
  } else if (lvn_intact_check_owner(state_folder, err) && lvn_file_make_folder(state_folder, 0700, err) &&
             lvn_spool_sync_parent(state_folder, err) && take_lock(state_folder, &index->lock_fd, err) &&
             load_key(index, err) && name_owner(index, err) && open_database(index, INDEX_FILE, err)) {
    *ret_index = index;
    return true;
  }
  lvn_index_close(index);
  return false;
}

/* A closed database's logs, and with `whole` the file itself. */
static bool remove_database(const struct lvn_index *index, const char *name, bool whole, struct lvn_error *err) {
  static const char *const suffixes[] = {"-wal", "-shm", "-journal", ""};
  char path[LVN_PATH_BYTES];
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] - (whole ? 0 : 1); i++) {
    int length = snprintf(path, sizeof path, "%s/%s%s", index->state_folder, name, suffixes[i]);
    if (length < 0 || (size_t)length >= sizeof path) {
      return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", index->state_folder);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
    }
  }
  return true;
}

bool lvn_index_rebuild_begin(struct lvn_index *index, struct lvn_error *err) {
  close_database(index);
  index->rebuilding = true;
  return remove_database(index, REBUILD_FILE, true, err) && open_database(index, REBUILD_FILE, err);
}

bool lvn_index_rebuild_commit(struct lvn_index *index, struct lvn_error *err) {
  char from[LVN_PATH_BYTES];
  char to[LVN_PATH_BYTES];
  close_database(index);
  index->rebuilding = false;
  /* The old log goes with the old file: a log beside another database would be replayed into it. */
  if (!lvn_path_join(from, index->state_folder, REBUILD_FILE, err) ||
      !lvn_path_join(to, index->state_folder, INDEX_FILE, err) || !remove_database(index, INDEX_FILE, false, err)) {
    return false;
  }
  if (rename(from, to) != 0) {
    return lvn_error_set_errno(err, errno, "cannot rename '%s' to '%s'", from, to);
  }
  return lvn_file_sync_folder(index->state_folder, err) && open_database(index, INDEX_FILE, err);
}

bool lvn_index_rebuild_abandon(struct lvn_index *index, struct lvn_error *err) {
  if (!index->rebuilding) {
    return true;
  }
  close_database(index);
  index->rebuilding = false;
  return remove_database(index, REBUILD_FILE, true, err) && open_database(index, INDEX_FILE, err);
}

bool lvn_index_set_aside(const char *state_folder, struct lvn_error *err) {
  LVN_AUTOCLOSE int lock_fd = -1;
  char from[LVN_PATH_BYTES];
  char to[LVN_PATH_BYTES];
  static const char *const suffixes[] = {"-wal", "-shm", ""};
  if (!lvn_intact_check_owner(state_folder, err) || !take_lock(state_folder, &lock_fd, err)) {
    return false;
  }
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    int from_length = snprintf(from, sizeof from, "%s/" INDEX_FILE "%s", state_folder, suffixes[i]);
    int to_length = snprintf(to, sizeof to, "%s/" ASIDE_FILE "%s", state_folder, suffixes[i]);
    if (from_length < 0 || (size_t)from_length >= sizeof from || to_length < 0 || (size_t)to_length >= sizeof to) {
      return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", state_folder);
    }
    if (rename(from, to) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot rename '%s'", from);
    }
  }
  return lvn_file_sync_folder(state_folder, err);
}

bool lvn_index_keyed_text(const struct lvn_index *index, const char *text, char ret_text[LVN_SHA256_TEXT_BYTES],
                          struct lvn_error *err) {
  struct lvn_sha256 *digest = NULL;
  uint8_t sha256[LVN_SHA256_BYTES];
  if (text[0] == '\0') {
    ret_text[0] = '\0';
    return true;
  }
  bool good = lvn_sha256_create(&digest, err) && lvn_sha256_update(digest, index->key, sizeof index->key, err) &&
              lvn_sha256_update(digest, text, strlen(text), err) && lvn_sha256_finish(digest, sha256, err);
  lvn_sha256_destroy(digest);
  if (good) {
    lvn_sha256_to_text(sha256, ret_text);
  }
  return good;
}

bool lvn_index_study_name(const struct lvn_index *index, const char *study_uid,
                          char ret_name[LVN_INDEX_STUDY_NAME_BYTES], struct lvn_error *err) {
  char text[LVN_SHA256_TEXT_BYTES];
  if (!lvn_index_keyed_text(index, study_uid, text, err)) {
    return false;
  }
  (void)lvn_copy(ret_name, LVN_INDEX_STUDY_NAME_BYTES, text);
  return true;
}
