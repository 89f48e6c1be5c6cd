/* Rows on their way out: objects and events, each verdict, commitment, and the names of states. */
#include "tests/unit/storage/index_fixture.h"

static int64_t claim_one(struct fixture *fixture, const char *destination, int64_t now_ms) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  assert_good(lvn_outbox_claim(fixture->index, destination, now_ms, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  return rows[0].outbox_id;
}

static void test_outbox__each_verdict_has_its_state(void **state) {
  static const struct {
    enum lvn_send_verdict verdict;
    enum lvn_outbox_state state;
  } cases[] = {{LVN_SEND_RETRY, LVN_OUTBOX_QUEUED},
               {LVN_SEND_UNKNOWN, LVN_OUTBOX_QUEUED},
               {LVN_SEND_FAILED, LVN_OUTBOX_FAILED},
               {LVN_SEND_STORED, LVN_OUTBOX_SENT}};
  struct fixture *fixture = *state;
  finish_job(fixture, start_job(fixture).job_id, "2.1", LVN_OUTCOME_DONE);
  assert_int_equal(get_outbound(fixture, "2.1").verdict, LVN_SEND_NONE);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t id = claim_one(fixture, "pacs", 8000);
    assert_good(finish_row(fixture, id, cases[i].verdict, 272, 8001, 8002));
    const struct lvn_outbox_row row = get_outbound(fixture, "2.1");
    assert_int_equal(row.state, cases[i].state);
    assert_int_equal(row.verdict, cases[i].verdict);
    assert_int_equal(row.status, 272);
    assert_string_equal(row.status_message, "its answer");
    if (row.state != LVN_OUTBOX_QUEUED) {
      assert_good(lvn_outbox_retry(fixture->index, id, &fixture->err));
      assert_int_equal(get_outbound(fixture, "2.1").verdict, LVN_SEND_NONE); /* said of the attempts before */
    }
    (void)sqlite3_exec(fixture->index->db, "UPDATE outbox SET not_before=0", NULL, NULL, NULL);
  }
}

static void test_outbox__only_what_was_sent_is_committed(void **state) {
  struct fixture *fixture = *state;
  struct lvn_outbox_counts counts;
  finish_job(fixture, start_job(fixture).job_id, "2.1", LVN_OUTCOME_DONE);
  int64_t id = claim_one(fixture, "pacs", 8000);
  assert_false(lvn_outbox_commit(fixture->index, id, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
  assert_good(finish_row(fixture, id, LVN_SEND_STORED, 0, 8001, 0));
  assert_good(lvn_outbox_commit(fixture->index, id, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_COMMITTED);
  assert_good(lvn_outbox_count(fixture->index, &counts, &fixture->err));
  assert_int_equal(counts.rows[LVN_OUTBOX_COMMITTED], 1);
  assert_int_equal(counts.last_sent_ms, 8001);
  assert_int_equal(counts.oldest_ms, 0);
  /* A destination has it as much as what was sent: retention may let the study go, a rebuild must know it. */
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  int64_t sent_id = 0;
  assert_good(lvn_index_list_expired(fixture->index, 1000000, 10, &studies, &count, &fixture->err));
  assert_int_equal(count, 1);
  assert_good(lvn_outbox_next_sent(fixture->index, 0, &sent_id, &fixture->err));
  assert_int_equal(sent_id, id);
  assert_good(lvn_outbox_retry(fixture->index, id, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_QUEUED);
}

/* PACS is back: nobody wants to wait for the pause to end. */
static void test_outbox__what_waits_is_due_when_retried(void **state) {
  struct fixture *fixture = *state;
  int64_t count = 0;
  const int64_t far = 900000;
  finish_job(fixture, start_job(fixture).job_id, "2.1", LVN_OUTCOME_DONE);
  for (int way = 0; way < 3; way++) {
    int64_t id = claim_one(fixture, "pacs", 8000);
    assert_false(lvn_outbox_retry(fixture->index, id, &fixture->err)); /* just now it is being sent */
    assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
    assert_good(finish_row(fixture, id, LVN_SEND_RETRY, 272, 8001, far));
    assert_int_equal(get_outbound(fixture, "2.1").not_before_ms, far);
    assert_good(lvn_outbox_retry_unsent(fixture->index, "another", &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_int_equal(get_outbound(fixture, "2.1").not_before_ms, far);
    if (way == 0) {
      assert_good(lvn_outbox_retry(fixture->index, id, &fixture->err));
    } else {
      assert_good(lvn_outbox_retry_unsent(fixture->index, way == 1 ? "pacs" : NULL, &count, &fixture->err));
      assert_int_equal(count, 1);
    }
    const struct lvn_outbox_row row = get_outbound(fixture, "2.1");
    assert_int_equal(row.state, LVN_OUTBOX_QUEUED);
    assert_int_equal(row.not_before_ms, 0);
    assert_int_equal(row.attempt, way + 1); /* they were made */
  }
}

static void test_outbox__events_go_beside_objects(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  const struct lvn_outbox_event events[] = {
      {.path = "/events/1.json", .destination = "pacs", .job_id = job.job_id, .now_ms = 7001},
      {.path = "/events/2.json", .destination = "hook", .now_ms = 7002},
      {.path = "/events/3.json", .destination = "hook", .now_ms = 7003}};
  struct lvn_outbox_row *rows = NULL;
  struct lvn_outbox_sent sent;
  size_t count = 0;
  bool found = true;
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  for (size_t i = 0; i < 6; i++) { /* each twice: once is enough */
    assert_good(lvn_outbox_add_event(fixture->index, &events[i % 3], &fixture->err));
  }
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 2);
  assert_int_equal(rows[0].kind, LVN_OUTBOX_OBJECT);
  assert_string_equal(rows[0].path, "/results/sr.dcm");
  assert_int_equal(rows[1].kind, LVN_OUTBOX_EVENT);
  assert_string_equal(rows[1].path, "/events/1.json");
  assert_string_equal(rows[1].sop_instance_uid, "");
  assert_string_equal(rows[1].study_name, rows[0].study_name);
  assert_good(finish_row(fixture, rows[1].outbox_id, LVN_SEND_STORED, -1, 8001, 0));
  assert_good(lvn_outbox_get_sent(fixture->index, rows[1].outbox_id, &sent, &found, &fixture->err));
  assert_false(found); /* no result that a rebuild has to know */
  lvn_free(rows);
  assert_good(lvn_outbox_claim(fixture->index, "hook", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 2); /* of no job: together */
  assert_int_equal(rows[0].job_id, 0);
  assert_string_equal(rows[0].study_name, "");
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_RETRY, -1, 8001, 0));
  lvn_free(rows);
  assert_good(lvn_index_study_delete(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_outbox_list(fixture->index, LVN_OUTBOX_ANY, 0, &rows, &count, &fixture->err));
  assert_int_equal(count, 2); /* what is of no study goes on */
  lvn_free(rows);
}

/* Every value of the enum has a name, and the name leads back to it. */
#define CHECK_NAMES(enumeration, function, first, count)                                                               \
  for (int value = first; value < (int)(count); value++) {                                                             \
    enum enumeration found = (enum enumeration)(first);                                                                \
    const char *name = function##_name((enum enumeration)value);                                                       \
    assert_non_null(name);                                                                                             \
    assert_true(function##_parse(name, &found, &fixture->err));                                                        \
    assert_int_equal(found, value);                                                                                    \
  }                                                                                                                    \
  do {                                                                                                                 \
    enum enumeration untouched = (enum enumeration)(first);                                                            \
    assert_false(function##_parse("again", &untouched, &fixture->err));                                                \
    assert_int_equal(fixture->err.code, LVN_ERROR_USAGE);                                                              \
    assert_false(function##_parse("Done", &untouched, &fixture->err));                                                 \
    assert_int_equal(untouched, first);                                                                                \
  } while (0)

static void test_outbox__names_of_states_lead_back(void **state) {
  struct fixture *fixture = *state;
  enum lvn_study_state study_state = LVN_STUDY_ANY;
  CHECK_NAMES(lvn_study_state, lvn_study_state, 1, LVN_STUDY_STATES);
  CHECK_NAMES(lvn_job_state, lvn_job_state, 1, LVN_JOB_STATES);
  CHECK_NAMES(lvn_job_outcome, lvn_job_outcome, 0, LVN_OUTCOMES);
  CHECK_NAMES(lvn_outbox_state, lvn_outbox_state, 1, LVN_OUTBOX_STATES);
  CHECK_NAMES(lvn_send_verdict, lvn_send_verdict, 0, LVN_SEND_VERDICTS);
  CHECK_NAMES(lvn_outbox_kind, lvn_outbox_kind, 0, LVN_OUTBOX_KINDS);
  assert_false(lvn_study_state_parse("", &study_state, &fixture->err)); /* "any" is of filters alone */
}

/* Each state that the table of transitions knows has a value, and each value is in the table. */
static void test_outbox__file_and_program_know_the_same_states(void **state) {
  struct fixture *fixture = *state;
  sqlite3_stmt *statement = NULL;
  int studies = 0;
  int jobs = 0;
  int rows = 0;
  assert_int_equal(sqlite3_prepare_v2(fixture->index->db,
                                      "SELECT entity, from_state FROM transition UNION SELECT entity, to_state FROM"
                                      " transition",
                                      -1, &statement, NULL),
                   SQLITE_OK);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    const char *entity = (const char *)sqlite3_column_text(statement, 0);
    const char *name = (const char *)sqlite3_column_text(statement, 1);
    if (strcmp(entity, "study") == 0) {
      assert_good(lvn_study_state_parse(name, &(enum lvn_study_state){0}, &fixture->err));
      studies++;
    } else if (strcmp(entity, "job") == 0) {
      assert_good(lvn_job_state_parse(name, &(enum lvn_job_state){0}, &fixture->err));
      jobs++;
    } else {
      assert_good(lvn_outbox_state_parse(name, &(enum lvn_outbox_state){0}, &fixture->err));
      rows++;
    }
  }
  (void)sqlite3_finalize(statement);
  assert_int_equal(studies, LVN_STUDY_STATES - 1);
  assert_int_equal(jobs, LVN_JOB_STATES - 1);
  assert_int_equal(rows, LVN_OUTBOX_STATES - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      index_test(test_outbox__each_verdict_has_its_state),
      index_test(test_outbox__only_what_was_sent_is_committed),
      index_test(test_outbox__what_waits_is_due_when_retried),
      index_test(test_outbox__events_go_beside_objects),
      index_test(test_outbox__names_of_states_lead_back),
      index_test(test_outbox__file_and_program_know_the_same_states),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
