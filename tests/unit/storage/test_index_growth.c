/* What the pipeline asks every second, and a page of a list, cost the same however many studies are kept: by SQLite's
 * own count of the steps that a statement took, which no busy machine changes. */
#include "storage/commitment.h"
#include "storage/fetch.h"
#include "storage/index_keep.h"
#include "storage/outbox.h"
#include "storage/queue.h"
#include "storage/sql.h"

#include "tests/unit/storage/index_fixture.h"

#define FEW 50
#define MANY 5000

static void execute(struct fixture *fixture, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(fixture->index->db, sql, NULL, NULL, &message) != SQLITE_OK) {
    fail_msg("%s: %s", sql, message);
  }
}

/* Studies that are done and sent, as most are after a year; numbers from `from`. */
static void add_done_studies(struct fixture *fixture, int from, int to) {
  char sql[2048];
  (void)snprintf(
      sql, sizeof sql,
      "BEGIN; WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d)"
      " INSERT INTO study(study_uid, name, patient_key, issuer_key, state, change_count, looked_change, settle_at,"
      " first_received_at, last_received_at, source_aet, source_address, latest_job_id)"
      " SELECT '1.9.' || i, 'n' || i, 'p', '', 'done', 3, 3, 0, 1000 + i, 1000 + i, 'CT', 'a', i FROM n;"
      "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d)"
      " INSERT INTO job(job_id, study_uid, input_digest, model_digest, model_name, model_version, job_key, wall_ms, "
      "state,"
      " change_count) SELECT i, '1.9.' || i, zeroblob(32), zeroblob(32), 'm', '1', 'k', 0, 'done', 3 FROM n;"
      "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d)"
      " INSERT INTO result(sop_instance_uid, job_id, sop_class_uid, transfer_syntax_uid, path, sha256)"
      " SELECT '1.8.' || i, i, '1.2', '1.2', 'p', zeroblob(32) FROM n;"
      "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d)"
      " INSERT INTO outbox(job_id, sop_instance_uid, destination, state, created_at, sent_at)"
      " SELECT i, '1.8.' || i, 'PACS', 'sent', 1000, 2000 FROM n; COMMIT",
      from, to, from, to, from, to, from, to);
  execute(fixture, sql);
}

static int64_t take_steps(struct fixture *fixture) {
  int64_t steps = 0;
  for (size_t i = 0; i < fixture->index->statement_count; i++) {
    steps += sqlite3_stmt_status(fixture->index->statements[i].statement, SQLITE_STMTSTATUS_VM_STEP, /* reset= */ 1);
  }
  return steps;
}

static void list(struct fixture *fixture, struct lvn_index_study_filter filter) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  assert_good(lvn_index_list_studies(fixture->index, &filter, &studies, &count, &fixture->err));
}

static void tick(struct fixture *fixture) {
  char names[8][LVN_DESTINATION_BYTES];
  size_t count = 0;
  list(fixture, (struct lvn_index_study_filter){.state = LVN_STUDY_COLLECTING, .changed_only = true});
  list(fixture, (struct lvn_index_study_filter){.state = LVN_STUDY_READY});
  assert_good(lvn_outbox_list_due(fixture->index, 5000, names, 8, &count, &fixture->err));
  assert_good(lvn_outbox_list_sending(fixture->index, names, 8, &count, &fixture->err));
  int64_t number = 0;
  assert_good(lvn_outbox_next_due(fixture->index, 5000, &number, &fixture->err));
  assert_good(lvn_queue_next_due(fixture->index, 5000, &number, &fixture->err));
  assert_good(lvn_queue_count_postponed(fixture->index, &number, &fixture->err));
  assert_good(lvn_queue_sweep(fixture->index, &count, &fixture->err));
}

static void tick_of_network(struct fixture *fixture) {
  const struct lvn_fetch_rule rule = {.quiet_ms = 10, .attempts_max = 3, .senders = "\\CT\\"};
  struct lvn_fetch_study study;
  char names[8][LVN_DESTINATION_BYTES];
  char uid[LVN_UID_BYTES];
  size_t count = 0;
  int64_t due_ms = 0;
  bool found = false;
  assert_good(lvn_fetch_next(fixture->index, &rule, 5000000, &study, &found, &fixture->err));
  assert_false(found);
  assert_good(lvn_fetch_next_due(fixture->index, &rule, &due_ms, &fixture->err));
  assert_good(lvn_commitment_list_wanted(fixture->index, names, 8, &count, &fixture->err));
  assert_good(lvn_commitment_next_late(fixture->index, 5000, uid, &fixture->err));
  assert_good(lvn_commitment_next_due(fixture->index, &due_ms, &fixture->err));
}

/* What status and metrics say beside the counts. */
static void attention(struct fixture *fixture) {
  struct lvn_outbox_destination destinations[8];
  struct lvn_index_long_waits waits = {.studies_since_ms = 0, .studies_until_ms = 100000, .jobs_until_ms = 100000};
  size_t count = 0;
  int64_t number = 0;
  assert_good(lvn_outbox_list_destinations(fixture->index, destinations, 8, &count, &fixture->err));
  assert_good(lvn_index_count_long_waits(fixture->index, &waits, &fixture->err));
  assert_good(lvn_index_count_unattended(fixture->index, 100000, &number, &fixture->err));
}

static void first_page(struct fixture *fixture) {
  list(fixture, (struct lvn_index_study_filter){.newest_first = true, .limit = 20});
}

static void test_index_growth__a_tick_and_a_page_cost_the_same(void **state) {
  struct fixture *fixture = *state;
  void (*const works[])(struct fixture *) = {tick, tick_of_network, attention, first_page};
  int64_t few[4];
  add_done_studies(fixture, 1, FEW);
  for (int i = 0; i < 4; i++) {
    (void)take_steps(fixture);
    works[i](fixture);
    few[i] = take_steps(fixture);
    assert_true(few[i] > 0);
  }
  add_done_studies(fixture, FEW, MANY);
  for (int i = 0; i < 4; i++) {
    (void)take_steps(fixture);
    works[i](fixture);
    int64_t many = take_steps(fixture);
    if (many > 2 * few[i] + 200) {
      fail_msg("work %d: %lld steps with %d studies, %lld with %d", i, (long long)few[i], FEW, (long long)many, MANY);
    }
  }
}

static void test_index_growth__the_count_of_changes_tells_what_is_new(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_counts counts;
  int64_t before = lvn_index_get_change_count(fixture->index);
  tick(fixture);
  assert_int_equal(lvn_index_get_change_count(fixture->index), before);
  add_done_studies(fixture, 1, 3);
  assert_true(lvn_index_get_change_count(fixture->index) > before);
  assert_good(lvn_index_count(fixture->index, &counts, &fixture->err));
  assert_int_equal(counts.studies[LVN_STUDY_DONE], 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_index_growth__a_tick_and_a_page_cost_the_same, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_index_growth__the_count_of_changes_tells_what_is_new, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
