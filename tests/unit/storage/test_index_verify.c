/* What must never be in an index, made by hand, and what a rebuild would tell otherwise. */
#include "storage/index_verify.h"
#include "tests/unit/storage/index_fixture.h"

struct found {
  size_t count;
  enum lvn_index_fault_kind kind;
  char text[LVN_INDEX_MESSAGE_BYTES];
};

static bool note_fault(void *user_data, enum lvn_index_fault_kind kind, const char *text, const char *subject,
                       struct lvn_error *err) {
  struct found *found = user_data;
  (void)subject;
  (void)err;
  found->count++;
  found->kind = kind;
  (void)lvn_copy(found->text, sizeof found->text, text);
  return true;
}

static struct found look(struct fixture *fixture) {
  struct found found = {0};
  assert_good(lvn_index_each_fault(fixture->index, note_fault, &found, &fixture->err));
  return found;
}

static void expect(struct fixture *fixture, enum lvn_index_fault_kind kind, const char *words) {
  struct found found = look(fixture);
  if (found.count != 1 || found.kind != kind || strstr(found.text, words) == NULL) {
    fail_msg("%zu faults, the last of kind %d: %s", found.count, (int)found.kind, found.text);
  }
}

static void run_sql(struct fixture *fixture, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(fixture->index->db, sql, NULL, NULL, &message) != SQLITE_OK) {
    fail_msg("%s: %s", sql, message);
  }
}

/* Nothing is wrong at any moment of an ordinary study. */
static void test_index_verify__ordinary_states_are_no_faults(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  (void)add(fixture, &ct);
  assert_int_equal(look(fixture).count, 0);
  struct lvn_job job = start_job(fixture);
  assert_int_equal(look(fixture).count, 0);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_int_equal(look(fixture).count, 0);
  assert_good(lvn_index_study_retry(fixture->index, STUDY, &fixture->err));
  assert_int_equal(look(fixture).count, 0);
  job = run_next_job(fixture, &model, 6000);
  assert_int_equal(look(fixture).count, 0);
  assert_good(lvn_queue_fail(fixture->index, job.job_id, "crash", "it ended", false, 8000, 0, &fixture->err));
  assert_int_equal(look(fixture).count, 0);
}

static void test_index_verify__states_that_nothing_ends(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  (void)job;
  run_sql(fixture, "UPDATE job SET state='failed'");
  expect(fixture, LVN_INDEX_FAULT_STATE, "is being analysed, but no job of it runs");
  run_sql(fixture,
          "UPDATE job SET state='queued'; UPDATE job SET state='running'; UPDATE study SET state='collecting'");
  expect(fixture, LVN_INDEX_FAULT_STATE, "runs, but its study");
  run_sql(fixture, "UPDATE job SET state='queued'");
  expect(fixture, LVN_INDEX_FAULT_STATE, "is queued, but its study");
  run_sql(fixture, "UPDATE job SET state='cancelled'; UPDATE study SET state='ready'; UPDATE study SET"
                   " state='processing'; UPDATE study SET state='failed'");
  expect(fixture, LVN_INDEX_FAULT_STATE, "has failed, but its analysis has not");
}

static void test_index_verify__a_done_study_has_a_result(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  run_sql(fixture, "DELETE FROM outbox; DELETE FROM result");
  expect(fixture, LVN_INDEX_FAULT_STATE, "has no result");
}

static void test_index_verify__one_current_report(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job_model other = model;
  struct lvn_job job = start_job(fixture);
  other.digest[0] = 8;
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_index_study_retry(fixture->index, STUDY, &fixture->err));
  job = run_next_job(fixture, &other, 6000);
  finish_job(fixture, job.job_id, "2.2", LVN_OUTCOME_DONE);
  assert_int_equal(look(fixture).count, 0);
  run_sql(fixture, "UPDATE job SET superseded_by=0");
  expect(fixture, LVN_INDEX_FAULT_RESULT, "has 2 current reports");
}

static void test_index_verify__one_version_is_current(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  (void)add(fixture, &ct);
  run_sql(fixture, "UPDATE instance SET is_current=0");
  expect(fixture, LVN_INDEX_FAULT_STATE, "none is current");
}

static void test_index_verify__rows_that_name_nothing(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  run_sql(fixture, "PRAGMA foreign_keys=OFF; DELETE FROM result; PRAGMA foreign_keys=ON");
  struct found found = look(fixture);
  assert_int_equal(found.count, 2); /* and the study has no result */
}

/* Two indexes of one store: `change` is made in ours, `words` are said of it. */
static void differ(struct fixture *fixture, const char *other, const char *change, size_t count, const char *words) {
  struct lvn_index *copy = NULL;
  struct found found = {0};
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/copy.sqlite", fixture->folder);
  (void)unlink(path);
  assert_good(lvn_index_copy(fixture->index, path, &fixture->err));
  assert_good(lvn_index_inspect(NULL, path, &copy, &fixture->err));
  if (sqlite3_exec(copy->db, change, NULL, NULL, NULL) != SQLITE_OK) {
    fail_msg("%s: %s", change, sqlite3_errmsg(copy->db));
  }
  assert_good(lvn_index_each_difference(copy, other, note_fault, &found, &fixture->err));
  lvn_index_close(copy);
  if (found.count != count || (count > 0 && strstr(found.text, words) == NULL)) {
    fail_msg("%s: %zu faults, the last: %s", change, found.count, found.text);
  }
}

static void test_index_verify__differences_from_a_rebuild(void **state) {
  struct fixture *fixture = *state;
  char other[LVN_PATH_BYTES];
  struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  struct lvn_job job = start_job(fixture);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_STORED, 0, 8000, 0));
  lvn_free(rows);
  (void)snprintf(other, sizeof other, "%s/other.sqlite", fixture->folder);
  assert_good(lvn_index_copy(fixture->index, other, &fixture->err));
  differ(fixture, other, "SELECT 1", 0, "");
  differ(fixture, other, "DELETE FROM instance WHERE sop_instance_uid='1.1'", 1, "is stored, but the index does not");
  differ(fixture, other, "UPDATE instance SET sop_instance_uid='1.9' WHERE sop_instance_uid='1.1'", 2, "");
  differ(fixture, other, "UPDATE instance SET is_current=0 WHERE sop_instance_uid='1.1'", 1, "would be otherwise");
  differ(fixture, other, "UPDATE study SET state='collecting'", 1, "would be done after a rebuild");
  differ(fixture, other, "UPDATE study SET latest_job_id=99", 1, "a rebuild would not know it");
  differ(fixture, other, "UPDATE outbox SET destination='elsewhere'", 1, "was sent to elsewhere");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      index_test(test_index_verify__ordinary_states_are_no_faults),
      index_test(test_index_verify__states_that_nothing_ends),
      index_test(test_index_verify__a_done_study_has_a_result),
      index_test(test_index_verify__one_current_report),
      index_test(test_index_verify__one_version_is_current),
      index_test(test_index_verify__rows_that_name_nothing),
      index_test(test_index_verify__differences_from_a_rebuild),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
