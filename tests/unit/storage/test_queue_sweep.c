/* Rows that nobody works on, waits that a clock made endless, attempts that the node prevented, and versions whose
 * clock went back. */
#include "tests/unit/storage/index_fixture.h"

#include "base/clock.h"

static void run_sql(struct fixture *fixture, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(fixture->index->db, sql, NULL, NULL, &message) != SQLITE_OK) {
    fail_msg("%s: %s", sql, message);
  }
}

static int64_t query(struct fixture *fixture, const char *sql) {
  sqlite3_stmt *statement = NULL;
  assert_int_equal(sqlite3_prepare_v2(fixture->index->db, sql, -1, &statement, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  int64_t value = sqlite3_column_int64(statement, 0);
  (void)sqlite3_finalize(statement);
  return value;
}

static size_t sweep_jobs(struct fixture *fixture) {
  size_t swept = 99;
  assert_good(lvn_queue_sweep(fixture->index, &swept, &fixture->err));
  return swept;
}

/* As if nobody had renewed any lease for long. */
static void end_leases(struct fixture *fixture) {
  run_sql(fixture, "UPDATE job SET lease_end=1");
}

static void test_queue_sweep__running_job_whose_lease_is_over_is_queued_again(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  bool found = false;
  assert_int_equal(sweep_jobs(fixture), 0); /* somebody works on it */
  assert_int_equal(get_study(fixture).state, LVN_STUDY_PROCESSING);
  end_leases(fixture);
  assert_good(lvn_queue_heartbeat(fixture->index, &job.job_id, 1, LEASE_MS, &fixture->err));
  assert_int_equal(sweep_jobs(fixture), 0); /* renewed in time */
  end_leases(fixture);
  assert_int_equal(sweep_jobs(fixture), 1);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_READY);
  assert_good(lvn_queue_heartbeat(fixture->index, &job.job_id, 1, LEASE_MS, &fixture->err)); /* too late */
  assert_good(lvn_queue_claim(fixture->index, 6000, 1, &job, &found, &fixture->err));
  assert_true(found);
  assert_int_equal(job.attempt, 1); /* nobody's fault */
  lvn_clock_sleep_seconds(0.01);    /* a lease of a millisecond, in real time */
  assert_int_equal(sweep_jobs(fixture), 1);
}

/* Tells of every tick are cheap: a lease that is not half over is left alone. */
static void test_queue_sweep__fresh_lease_is_not_written(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  int64_t changes = query(fixture, "SELECT total_changes()");
  assert_good(lvn_queue_heartbeat(fixture->index, &job.job_id, 1, LEASE_MS, &fixture->err));
  assert_int_equal(query(fixture, "SELECT total_changes()"), changes);
  end_leases(fixture);
  assert_good(lvn_queue_heartbeat(fixture->index, &job.job_id, 1, LEASE_MS, &fixture->err));
  assert_int_equal(query(fixture, "SELECT total_changes()"), changes + 2);
}

/* Another node took the job when our lease had ended: whatever we still say of it does not count. */
static void test_queue_sweep__lease_of_another_node_is_left_alone(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  const struct lvn_job_finish finish = {.job_id = job.job_id, .outcome = LVN_OUTCOME_WAITING, .status_message = ""};
  run_sql(fixture, "UPDATE job SET lease_owner='elsewhere:7:00000001'");
  assert_false(lvn_queue_finish(fixture->index, &finish, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
  assert_false(lvn_queue_fail(fixture->index, job.job_id, "io", "disk", true, 7000, 0, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
  assert_false(lvn_queue_postpone(fixture->index, job.job_id, "nospace", "disk", 7000, 0, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
  end_leases(fixture);
  assert_good(lvn_queue_heartbeat(fixture->index, &job.job_id, 1, LEASE_MS, &fixture->err));
  assert_int_equal(query(fixture, "SELECT lease_end FROM job"), 1);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_PROCESSING);
}

static void test_queue_sweep__late_objects_cancel_what_is_swept(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_index_object late = make_object("1.3", 3, LVN_INDEX_ROLE_CT, 5500);
  bool found = true;
  (void)add(fixture, &late);
  end_leases(fixture);
  assert_int_equal(sweep_jobs(fixture), 1);
  assert_good(lvn_queue_claim(fixture->index, 6000, LEASE_MS, &job, &found, &fixture->err));
  assert_false(found); /* it describes its study no longer */
  assert_int_equal(get_study(fixture).state, LVN_STUDY_COLLECTING);
}

/* Its study names two patients by now: the job would be queued for ever. */
static void test_queue_sweep__job_of_a_rejected_study_is_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object stranger = make_object("1.3", 3, LVN_INDEX_ROLE_CT, 5500);
  stranger.patient_id = "P2";
  (void)start_job(fixture);
  assert_true(add(fixture, &stranger).patient_conflict);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_REJECTED);
  end_leases(fixture);
  assert_int_equal(sweep_jobs(fixture), 1);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_REJECTED);
  assert_false(get_study(fixture).has_live_job);
}

static void test_queue_sweep__later_report_is_not_older_than_the_first(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object late = make_object("1.3", 3, LVN_INDEX_ROLE_CT, 5500);
  struct lvn_job first = start_job(fixture); /* at 5000 */
  finish_job(fixture, first.job_id, "2.1", LVN_OUTCOME_DONE);
  (void)add(fixture, &late);
  struct lvn_job second = run_next_job(fixture, &model, 4000); /* the clock was set back */
  assert_int_not_equal(second.job_id, first.job_id);
  assert_int_equal(second.wall_ms, 6000);
}

static void test_queue_sweep__processing_study_without_a_job_is_ready_again(void **state) {
  struct fixture *fixture = *state;
  (void)start_job(fixture);
  run_sql(fixture, "UPDATE job SET state='cancelled'");
  end_leases(fixture);
  assert_int_equal(sweep_jobs(fixture), 1);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_READY);
  assert_int_equal(sweep_jobs(fixture), 0);
}

static void test_queue_sweep__rows_without_a_sender_are_queued_again(void **state) {
  struct fixture *fixture = *state;
  struct lvn_outbox_row *rows = NULL;
  char names[4][64];
  size_t count = 0;
  finish_job(fixture, start_job(fixture).job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  lvn_free(rows);
  assert_int_equal(count, 1);
  assert_good(lvn_outbox_list_sending(fixture->index, names, 4, &count, &fixture->err));
  assert_int_equal(count, 1);
  assert_string_equal(names[0], "pacs");
  assert_good(lvn_outbox_sweep(fixture->index, "elsewhere", 9000, &count, &fixture->err));
  assert_int_equal(count, 0);
  assert_good(lvn_outbox_sweep(fixture->index, "pacs", 9000, &count, &fixture->err));
  assert_int_equal(count, 1);
  const struct lvn_outbox_row row = get_outbound(fixture, "2.1");
  assert_int_equal(row.state, LVN_OUTBOX_QUEUED);
  assert_int_equal(row.attempt, 0);
  assert_int_equal(row.not_before_ms, 9000);
}

/* An answer that was recorded although its COMMIT failed must not become anything else by a second try. */
static void test_queue_sweep__second_record_of_one_answer_is_refused(void **state) {
  struct fixture *fixture = *state;
  struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  finish_job(fixture, start_job(fixture).job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  int64_t id = rows[0].outbox_id;
  lvn_free(rows);
  assert_good(finish_row(fixture, id, LVN_SEND_STORED, 0, 8001, 0));
  assert_false(finish_row(fixture, id, LVN_SEND_RETRY, -1, 8002, 0));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_SENT);
}

static void test_queue_sweep__what_the_node_prevents_is_no_attempt(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  int64_t now_ms = 6000;
  int64_t count = 0;
  bool found = false;
  for (int i = 1; i <= 20; i++) { /* more often than job_attempts_max */
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.postponed, i - 1);
    assert_good(lvn_queue_postpone(fixture->index, job.job_id, "nospace", "the disk is full", now_ms, now_ms + 10,
                                   &fixture->err));
    assert_int_equal(get_study(fixture).state, LVN_STUDY_READY);
    assert_non_null(strstr(get_study(fixture).status_message, "the disk is full"));
    assert_good(lvn_queue_count_postponed(fixture->index, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_good(lvn_queue_claim(fixture->index, now_ms + 9, LEASE_MS, &job, &found, &fixture->err));
    assert_false(found);
    now_ms += 10;
    assert_good(lvn_queue_claim(fixture->index, now_ms, LEASE_MS, &job, &found, &fixture->err));
    assert_true(found);
    assert_string_equal(get_study(fixture).status_message, "");
  }
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_DONE);
  assert_good(lvn_queue_count_postponed(fixture->index, &count, &fixture->err));
  assert_int_equal(count, 0);
}

static void test_queue_sweep__waits_follow_a_clock_that_was_set(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_waits waits = {.settle_max_ms = 20000, .job_max_ms = 300000, .send_max_ms = 600000};
  struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  finish_job(fixture, start_job(fixture).job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_RETRY, -1, 10000000, 10030000));
  lvn_free(rows);
  struct lvn_index_object late = make_object("1.3", 3, LVN_INDEX_ROLE_CT, 10000000);
  (void)add(fixture, &late); /* settles a second later */
  waits.shift_ms = -3600000;
  waits.now_ms = 6400000;
  assert_good(lvn_index_shift_waits(fixture->index, &waits, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").not_before_ms, 6430000);
  assert_int_equal(get_study(fixture).settle_at_ms, 6401000);
  waits.shift_ms = INT64_C(12) * 365 * 86400000;
  waits.now_ms += waits.shift_ms;
  assert_good(lvn_index_shift_waits(fixture->index, &waits, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").not_before_ms, waits.now_ms + 30000);
  /* Back while nobody looked: what seems to wait for twelve years waits no longer than it ever could. */
  waits.shift_ms = 0;
  waits.now_ms = 6400000;
  assert_good(lvn_index_shift_waits(fixture->index, &waits, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").not_before_ms, 7000000);
  assert_int_equal(get_study(fixture).settle_at_ms, 6420000);
  run_sql(fixture, "UPDATE outbox SET not_before=0");
  waits.shift_ms = 86400000;
  assert_good(lvn_index_shift_waits(fixture->index, &waits, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").not_before_ms, 0); /* due at once stays due at once */
}

static bool is_current(struct fixture *fixture, uint8_t digest) {
  uint8_t sha256[LVN_SHA256_BYTES];
  bool known = false;
  bool current = false;
  memset(sha256, digest, sizeof sha256);
  assert_good(lvn_index_has_object(fixture->index, sha256, &known, &current, &fixture->err));
  assert_true(known);
  return current;
}

/* Versions of one object in the order of their reception; their clock runs backwards, but for the first two. */
static struct lvn_index_object make_version(int64_t sequence) {
  static const int64_t clocks[] = {2000, 2500, 2000, 1000, 10};
  struct lvn_index_object object = make_object("1.1", (uint8_t)(sequence + 1), LVN_INDEX_ROLE_CT, clocks[sequence]);
  object.record.sequence = sequence < 2 ? 0 : sequence; /* two of an earlier release, which had no numbers */
  return object;
}

static void test_queue_sweep__order_of_versions_is_their_number(void **state) {
  static const int64_t orders[][5] = {{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 0, 3, 1}, {3, 0, 4, 1, 2}};
  struct fixture *fixture = *state;
  int64_t sequence = 0;
  for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
    for (size_t k = 0; k < 5; k++) { /* also as a rebuild may meet them */
      struct lvn_index_object object = make_version(orders[i][k]);
      (void)add(fixture, &object);
    }
    for (uint8_t digest = 1; digest <= 5; digest++) {
      assert_int_equal(is_current(fixture, digest), digest == 5);
    }
    assert_good(lvn_index_last_sequence(fixture->index, &sequence, &fixture->err));
    assert_int_equal(sequence, 4);
    run_sql(fixture, "DELETE FROM instance");
  }
}

static void test_queue_sweep__known_bytes_return_whatever_the_clock_says(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object first = make_version(2);
  struct lvn_index_object second = make_version(3);
  struct lvn_index_object again = make_version(2);
  again.record.sequence = 9;
  again.record.received_ms = 5; /* long before both */
  (void)add(fixture, &first);
  (void)add(fixture, &second);
  assert_true(is_current(fixture, 4));
  assert_true(add(fixture, &again).replaces);
  assert_true(is_current(fixture, 3));
  assert_int_equal(query(fixture, "SELECT received_at FROM instance WHERE is_current"), 5);
  assert_int_equal(query(fixture, "SELECT sequence FROM instance WHERE is_current"), 9);
}

int main(void) {
#define CASE(name) index_test(test_queue_sweep__##name)
  const struct CMUnitTest tests[] = {
      CASE(running_job_whose_lease_is_over_is_queued_again),
      CASE(fresh_lease_is_not_written),
      CASE(lease_of_another_node_is_left_alone),
      CASE(late_objects_cancel_what_is_swept),
      CASE(job_of_a_rejected_study_is_cancelled),
      CASE(later_report_is_not_older_than_the_first),
      CASE(processing_study_without_a_job_is_ready_again),
      CASE(rows_without_a_sender_are_queued_again),
      CASE(second_record_of_one_answer_is_refused),
      CASE(what_the_node_prevents_is_no_attempt),
      CASE(waits_follow_a_clock_that_was_set),
      CASE(order_of_versions_is_their_number),
      CASE(known_bytes_return_whatever_the_clock_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
