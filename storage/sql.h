/* Inside of the index, shared by its, the queue's and the outbox's files: statements that are prepared once, and
 * binding by a type string.
 */
#ifndef LVN_STORAGE_SQL_H
#define LVN_STORAGE_SQL_H

#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <sqlite3.h>

#define LVN_INDEX_STATEMENTS_MAX 200
#define LVN_INDEX_KEY_BYTES 32
#define LVN_INDEX_OWNER_BYTES 128

struct lvn_index {
  sqlite3 *db;
  int lock_fd;
  bool rebuilding;
  unsigned job_attempts_max;
  char state_folder[LVN_PATH_BYTES];
  char owner[LVN_INDEX_OWNER_BYTES]; /* of leases: this node, this time */
  uint8_t key[LVN_INDEX_KEY_BYTES];
  size_t statement_count;
  struct {
    const char *sql; /* a literal: found again by its address */
    sqlite3_stmt *statement;
  } statements[LVN_INDEX_STATEMENTS_MAX];
};

extern const char *const lvn_index_schema_sql;
#define LVN_INDEX_SCHEMA_VERSION 7
#define LVN_INDEX_OLDEST_VERSION 3 /* that can be brought up to date in place */

struct lvn_index_upgrade {
  int64_t to_version;
  const char *sql;
};
extern const struct lvn_index_upgrade lvn_index_upgrades[];
extern const size_t lvn_index_upgrade_count;

/* A prepared, bound statement, owned by the index; put back by lvn_sql_done. `types`, a letter per parameter:
 * t text (NULL is SQL NULL), i int64_t, b 32-byte digest. `sql` must be a literal. */
LVN_MUST_CHECK bool lvn_sql_prepare(struct lvn_index *index, sqlite3_stmt **ret_statement, struct lvn_error *err,
                                    const char *sql, const char *types, ...);
/* Next row: *ret_row false at the end. */
LVN_MUST_CHECK bool lvn_sql_step(struct lvn_index *index, sqlite3_stmt *statement, bool *ret_row,
                                 struct lvn_error *err);
void lvn_sql_done(sqlite3_stmt **statement);
#define LVN_AUTOSTATEMENT LVN_CLEANUP(lvn_sql_done)

/* Prepare, bind, run to the end, no rows wanted. */
LVN_MUST_CHECK bool lvn_sql_run(struct lvn_index *index, struct lvn_error *err, const char *sql, const char *types,
                                ...);
/* The same for one integer: the first column of the first row, or `otherwise` when there is none or it is NULL. */
LVN_MUST_CHECK bool lvn_sql_integer(struct lvn_index *index, int64_t *ret_value, int64_t otherwise,
                                    struct lvn_error *err, const char *sql, const char *types, ...);
/* LVN_ERROR_DATA when there is a text that `parse` does not know. */
#define lvn_sql_get_name(statement, column, parse, ret_value, err)                                                     \
  (parse((const char *)sqlite3_column_text(statement, column), ret_value, err) ||                                      \
   lvn_error_set(err, LVN_ERROR_DATA, "the index holds an unknown word in column '%s'",                                \
                 sqlite3_column_name(statement, column)))
void lvn_sql_copy_text(sqlite3_stmt *statement, int column, char *target, size_t target_bytes);
/* 32 bytes; zeros when the column is not a digest. */
void lvn_sql_copy_digest(sqlite3_stmt *statement, int column, uint8_t target[LVN_SHA256_BYTES]);
bool lvn_sql_fail(const struct lvn_index *index, struct lvn_error *err, const char *what);

LVN_MUST_CHECK bool lvn_sql_begin(struct lvn_index *index, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_sql_commit(struct lvn_index *index, struct lvn_error *err);
void lvn_sql_rollback(struct lvn_index *index);
/* Begin unless the caller is inside a transaction; end commits (good) or rolls back what begin began. */
struct lvn_sql_scope {
  bool began;
};
LVN_MUST_CHECK bool lvn_sql_scope_begin(struct lvn_index *index, struct lvn_sql_scope *ret_scope,
                                        struct lvn_error *err);
bool lvn_sql_scope_end(struct lvn_index *index, struct lvn_sql_scope *scope, bool good, struct lvn_error *err);

/* Rows 32 bytes wide of a digest query. */
LVN_MUST_CHECK bool lvn_index_collect_digests(struct lvn_index *index, sqlite3_stmt *statement, uint8_t **ret_digests,
                                              size_t *ret_count, struct lvn_error *err);
/* When a lease that begins now ends, by the clock of leases. */
int64_t lvn_queue_lease_end_ms(int64_t lease_ms);
/* States in which a destination has it. */
#define LVN_OUTBOX_DELIVERED "('sent','committed')"

/* Cancels unsent results of jobs that are not their study's latest. */
LVN_MUST_CHECK bool lvn_index_cancel_superseded(struct lvn_index *index, const char *study_uid, struct lvn_error *err);
/* Keyed digest as 64 hexadecimal digits; the text "" gives "". */
LVN_MUST_CHECK bool lvn_index_keyed_text(const struct lvn_index *index, const char *text,
                                         char ret_text[LVN_SHA256_TEXT_BYTES], struct lvn_error *err);

#endif
