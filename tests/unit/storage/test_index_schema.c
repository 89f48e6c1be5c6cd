/* An index file of an earlier release is brought up to date in place, and loses nothing. */
#include "tests/unit/storage/index_fixture.h"

#define SCHEMA_4 LVN_TEST_DATA "/index/schema-4.sql"

/* What release 0.1.0 left: a study that is done, its report sent to one peer, given up at another, tried once at a
 * third, on its way to a fourth. */
static const char *const old_rows[] = {
    "INSERT INTO study(study_uid, name, patient_key, issuer_key, state, settle_at, first_received_at, last_received_at,"
    " sentence, source_aet, source_address, latest_job_id) VALUES ('" STUDY "','0123456789ab','p','','done',1,1,1,"
    "'said before','MODALITY','127.0.0.1',1)",
    "INSERT INTO job(job_id, study_uid, input_digest, model_digest, model_name, model_version, job_key, wall_ms, state,"
    " outcome, attempt, change_count) VALUES (1,'" STUDY "',randomblob(32),randomblob(32),'m','1','k',5000,'done',"
    "'done',1,0)",
    "INSERT INTO result VALUES ('2.1',1,'" REPORT_CLASS "','1.2.840.10008.1.2.1','/results/sr.dcm',randomblob(32))",
    "INSERT INTO outbound(outbound_id, job_id, sop_instance_uid, destination, sha256, state, attempt, not_before,"
    " created_at, sent_at, last_status, last_error) SELECT v.column1, 1, '2.1', v.column2, r.sha256, v.column3,"
    " v.column4, 9, 10, v.column5, v.column6, v.column7 FROM result r, (VALUES"
    " (11,'a','sent',1,77,0,'stored'), (12,'b','failed',3,0,272,'the peer answered 0x0110'),"
    " (13,'c','queued',1,0,-1,'no answer'), (14,'d','sending',2,0,-1,'')) v",
};

static void make_old_file(struct fixture *fixture, int version) {
  char path[LVN_PATH_BYTES];
  sqlite3 *db = NULL;
  LVN_AUTOFREE uint8_t *sql = NULL;
  size_t bytes = 0;
  lvn_index_close(fixture->index);
  fixture->index = NULL;
  assert_good(lvn_path_join(path, fixture->folder, "index.sqlite", &fixture->err));
  assert_int_equal(unlink(path), 0);
  assert_good(lvn_file_read(SCHEMA_4, 100000, &sql, &bytes, &fixture->err));
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  if (sqlite3_exec(db, (const char *)sql, NULL, NULL, NULL) != SQLITE_OK) {
    fail_msg("%s", sqlite3_errmsg(db));
  }
  for (size_t i = 0; i < sizeof old_rows / sizeof old_rows[0]; i++) {
    if (sqlite3_exec(db, old_rows[i], NULL, NULL, NULL) != SQLITE_OK) {
      fail_msg("%s: %s", sqlite3_errmsg(db), old_rows[i]);
    }
  }
  if (version < 4) {
    assert_int_equal(sqlite3_exec(db,
                                  "DROP INDEX instance_by_sequence; ALTER TABLE instance DROP COLUMN sequence;"
                                  "ALTER TABLE job DROP COLUMN postponed; PRAGMA user_version=3;",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
  }
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t query(struct fixture *fixture, const char *sql) {
  sqlite3_stmt *statement = NULL;
  assert_int_equal(sqlite3_prepare_v2(fixture->index->db, sql, -1, &statement, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  int64_t value = sqlite3_column_int64(statement, 0);
  (void)sqlite3_finalize(statement);
  return value;
}

static void check_row(struct fixture *fixture, const char *destination, int64_t outbox_id, enum lvn_outbox_state state,
                      enum lvn_send_verdict verdict, int64_t status) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  size_t seen = 0;
  assert_good(lvn_outbox_list(fixture->index, LVN_OUTBOX_ANY, 0, &rows, &count, &fixture->err));
  for (size_t i = 0; i < count; i++) {
    if (strcmp(rows[i].destination, destination) == 0) {
      seen++;
      assert_int_equal(rows[i].outbox_id, outbox_id);
      assert_int_equal(rows[i].kind, LVN_OUTBOX_OBJECT);
      assert_int_equal(rows[i].state, state);
      assert_int_equal(rows[i].verdict, verdict);
      assert_int_equal(rows[i].status, status);
      assert_int_equal(rows[i].created_ms, 10);
      assert_string_equal(rows[i].path, "/results/sr.dcm");
      assert_string_equal(rows[i].study_name, "0123456789ab");
    }
  }
  assert_int_equal(seen, 1);
}

/* The same tables, columns, indices and triggers as a new file, whatever way led there. */
static void check_same_schema(struct fixture *fixture) {
  char folder[SCRATCH_BYTES];
  char path[LVN_PATH_BYTES];
  struct lvn_index *fresh = NULL;
  LVN_AUTOFREE char *attach = NULL;
  (void)scratch_make(folder);
  assert_good(lvn_index_open(folder, 3, &fresh, &fixture->err));
  lvn_index_close(fresh);
  assert_good(lvn_path_join(path, folder, "index.sqlite", &fixture->err));
  attach = lvn_format(&fixture->err, "ATTACH '%s' AS fresh", path);
  assert_int_equal(sqlite3_exec(fixture->index->db, attach, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(query(fixture, "SELECT count(*) FROM (SELECT type, name FROM main.sqlite_schema UNION"
                                  " SELECT type, name FROM fresh.sqlite_schema EXCEPT SELECT * FROM (SELECT type, name"
                                  " FROM main.sqlite_schema INTERSECT SELECT type, name FROM fresh.sqlite_schema))"),
                   0);
  assert_int_equal(query(fixture, "SELECT count(*) FROM fresh.sqlite_schema m, pragma_table_info(m.name,'fresh') f"
                                  " WHERE m.type='table' AND NOT EXISTS (SELECT 1 FROM pragma_table_info(m.name,'main')"
                                  " i WHERE i.name=f.name AND i.type=f.type AND i.\"notnull\"=f.\"notnull\" AND"
                                  " i.dflt_value IS f.dflt_value)"),
                   0);
  assert_int_equal(query(fixture, "SELECT count(*) FROM fresh.transition f WHERE NOT EXISTS (SELECT 1 FROM"
                                  " main.transition t WHERE (t.entity, t.from_state, t.to_state)="
                                  " (f.entity, f.from_state, f.to_state))"),
                   0);
  scratch_remove(folder);
}

static void check_upgrade(struct fixture *fixture, int version) {
  make_old_file(fixture, version);
  assert_good(lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err));
  assert_int_equal(query(fixture, "PRAGMA user_version"), LVN_INDEX_SCHEMA_VERSION);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_DONE);
  assert_string_equal(get_study(fixture).status_message, "said before");
  assert_int_equal(query(fixture, "SELECT count(*) FROM job WHERE postponed=0 AND lease_owner=''"), 1);
  check_row(fixture, "a", 11, LVN_OUTBOX_SENT, LVN_SEND_STORED, 0);
  check_row(fixture, "b", 12, LVN_OUTBOX_FAILED, LVN_SEND_FAILED, 272);
  check_row(fixture, "c", 13, LVN_OUTBOX_QUEUED, LVN_SEND_RETRY, -1);
  check_row(fixture, "d", 14, LVN_OUTBOX_QUEUED, LVN_SEND_NONE, -1); /* the process that sent it is gone */
  assert_int_equal(query(fixture, "SELECT sent_at FROM outbox WHERE outbox_id=11"), 77);
  assert_int_equal(query(fixture, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
  assert_good(lvn_outbox_commit(fixture->index, 11, &fixture->err));
  assert_good(lvn_outbox_retry(fixture->index, 12, &fixture->err));
  check_row(fixture, "a", 11, LVN_OUTBOX_COMMITTED, LVN_SEND_STORED, 0);
  check_same_schema(fixture);
}

static void test_index_schema__schema_4_is_brought_up_to_date(void **state) {
  check_upgrade(*state, 4);
}

static void test_index_schema__schema_3_is_brought_up_to_date(void **state) {
  check_upgrade(*state, 3);
}

static void refuse_version(struct fixture *fixture, const char *set_version) {
  assert_int_equal(sqlite3_exec(fixture->index->db, set_version, NULL, NULL, NULL), SQLITE_OK);
  lvn_index_close(fixture->index);
  fixture->index = NULL;
  assert_false(lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_DATA);
}

static void test_index_schema__older_ones_need_a_rebuild(void **state) {
  refuse_version(*state, "PRAGMA user_version=2");
}

static void test_index_schema__newer_ones_are_refused(void **state) {
  refuse_version(*state, "PRAGMA user_version=99");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      index_test(test_index_schema__schema_4_is_brought_up_to_date),
      index_test(test_index_schema__schema_3_is_brought_up_to_date),
      index_test(test_index_schema__older_ones_need_a_rebuild),
      index_test(test_index_schema__newer_ones_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
