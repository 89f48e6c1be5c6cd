#include "storage/index_internal.h"

#include <stdarg.h>
#include <string.h>

bool lvn_sql_fail(const struct lvn_index *index, struct lvn_error *err, const char *what) {
  int code = sqlite3_errcode(index->db);
  enum lvn_error_code kind = LVN_ERROR_INTERNAL;
  switch (code & 0xff) {
  case SQLITE_FULL:
    kind = LVN_ERROR_NOSPACE;
    break;
  case SQLITE_NOMEM:
    kind = LVN_ERROR_NOMEM;
    break;
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
  case SQLITE_READONLY:
    kind = LVN_ERROR_IO;
    break;
  case SQLITE_BUSY: /* somebody reads the file by hand: it passes */
  case SQLITE_LOCKED:
  case SQLITE_PROTOCOL:
    kind = LVN_ERROR_TIMEOUT;
    break;
  case SQLITE_CONSTRAINT: /* an illegal transition among them */
    kind = LVN_ERROR_CONFLICT;
    break;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    kind = LVN_ERROR_DATA;
    break;
  default:
    break;
  }
  return lvn_error_set(err, kind, "index: %s (%.60s…)", sqlite3_errmsg(index->db), what);
}

static bool find_statement(struct lvn_index *index, const char *sql, sqlite3_stmt **ret_statement,
                           struct lvn_error *err) {
  for (size_t i = 0; i < index->statement_count; i++) {
    if (index->statements[i].sql == sql) {
      *ret_statement = index->statements[i].statement;
      return true;
    }
  }
  if (index->statement_count == LVN_INDEX_STATEMENTS_MAX) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "index: more than %d statements", LVN_INDEX_STATEMENTS_MAX);
  }
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v3(index->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
    return lvn_sql_fail(index, err, sql);
  }
  index->statements[index->statement_count].sql = sql;
  index->statements[index->statement_count].statement = statement;
  index->statement_count++;
  *ret_statement = statement;
  return true;
}

static bool prepare_va(struct lvn_index *index, sqlite3_stmt **ret_statement, struct lvn_error *err, const char *sql,
                       const char *types, va_list args) {
  sqlite3_stmt *statement = NULL;
  int status = SQLITE_OK;
  if (!find_statement(index, sql, &statement, err)) {
    return false;
  }
  /* Text and digests live until the statement is done: the callers bind their own arguments and locals. */
  for (int column = 1; types[column - 1] != '\0' && status == SQLITE_OK; column++) {
    switch (types[column - 1]) {
    case 't':
      status = sqlite3_bind_text(statement, column, va_arg(args, const char *), -1, SQLITE_STATIC);
      break;
    case 'i':
      status = sqlite3_bind_int64(statement, column, va_arg(args, int64_t));
      break;
    default:
      status = sqlite3_bind_blob(statement, column, va_arg(args, const void *), LVN_SHA256_BYTES, SQLITE_STATIC);
      break;
    }
  }
  if (status != SQLITE_OK) {
    (void)lvn_sql_fail(index, err, sql);
    lvn_sql_done(&statement);
    return false;
  }
  *ret_statement = statement;
  return true;
}

bool lvn_sql_prepare(struct lvn_index *index, sqlite3_stmt **ret_statement, struct lvn_error *err, const char *sql,
                     const char *types, ...) {
  va_list args;
  va_start(args, types);
  bool good = prepare_va(index, ret_statement, err, sql, types, args);
  va_end(args);
  return good;
}

bool lvn_sql_step(struct lvn_index *index, sqlite3_stmt *statement, bool *ret_row, struct lvn_error *err) {
  int status = sqlite3_step(statement);
  if (status != SQLITE_ROW && status != SQLITE_DONE) {
    return lvn_sql_fail(index, err, sqlite3_sql(statement));
  }
  *ret_row = status == SQLITE_ROW;
  return true;
}

void lvn_sql_done(sqlite3_stmt **statement) {
  if (*statement != NULL) {
    (void)sqlite3_reset(*statement);
    (void)sqlite3_clear_bindings(*statement);
    *statement = NULL;
  }
}

bool lvn_sql_run(struct lvn_index *index, struct lvn_error *err, const char *sql, const char *types, ...) {
  va_list args;
  bool row = false;
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  va_start(args, types);
  bool good = prepare_va(index, &statement, err, sql, types, args);
  va_end(args);
  do {
    good = good && lvn_sql_step(index, statement, &row, err);
  } while (good && row);
  return good;
}

bool lvn_sql_integer(struct lvn_index *index, int64_t *ret_value, int64_t otherwise, struct lvn_error *err,
                     const char *sql, const char *types, ...) {
  va_list args;
  bool row = false;
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  va_start(args, types);
  bool good = prepare_va(index, &statement, err, sql, types, args);
  va_end(args);
  if (!good || !lvn_sql_step(index, statement, &row, err)) {
    return false;
  }
  *ret_value = row && sqlite3_column_type(statement, 0) != SQLITE_NULL ? sqlite3_column_int64(statement, 0) : otherwise;
  return true;
}

void lvn_sql_copy_text(sqlite3_stmt *statement, int column, char *target, size_t target_bytes) {
  const unsigned char *text = sqlite3_column_text(statement, column);
  (void)lvn_copy(target, target_bytes, text == NULL ? "" : (const char *)text);
}

void lvn_sql_copy_digest(sqlite3_stmt *statement, int column, uint8_t target[LVN_SHA256_BYTES]) {
  const void *blob = sqlite3_column_blob(statement, column);
  memset(target, 0, LVN_SHA256_BYTES);
  if (blob != NULL && sqlite3_column_bytes(statement, column) == LVN_SHA256_BYTES) {
    memcpy(target, blob, LVN_SHA256_BYTES);
  }
}

bool lvn_index_begin(struct lvn_index *index, struct lvn_error *err) {
  return lvn_sql_run(index, err, "BEGIN IMMEDIATE", "");
}

bool lvn_index_commit(struct lvn_index *index, struct lvn_error *err) {
  return lvn_sql_run(index, err, "COMMIT", "");
}

void lvn_index_rollback(struct lvn_index *index) {
  if (sqlite3_get_autocommit(index->db) == 0) {
    (void)sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
  }
}

bool lvn_sql_scope_begin(struct lvn_index *index, struct lvn_sql_scope *ret_scope, struct lvn_error *err) {
  ret_scope->began = sqlite3_get_autocommit(index->db) != 0;
  return !ret_scope->began || lvn_index_begin(index, err);
}

bool lvn_sql_scope_end(struct lvn_index *index, struct lvn_sql_scope *scope, bool good, struct lvn_error *err) {
  if (!scope->began) {
    return good; /* the caller's transaction: the caller rolls it back when we fail */
  }
  if (good && lvn_index_commit(index, err)) {
    return true;
  }
  lvn_index_rollback(index);
  return false;
}

bool lvn_index_collect_digests(struct lvn_index *index, sqlite3_stmt *statement, uint8_t **ret_digests,
                               size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
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
    if (!lvn_grow(&digests, &capacity, count, LVN_SHA256_BYTES, 1000000, err)) {
      return false;
    }
    lvn_sql_copy_digest(statement, 0, digests + count * LVN_SHA256_BYTES);
    count++;
  }
  *ret_digests = lvn_steal(&digests);
  *ret_count = count;
  return true;
}

bool lvn_sql_list_names(struct lvn_index *index, sqlite3_stmt *statement, char (*ret_names)[LVN_DESTINATION_BYTES],
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
