/* Jobs and sends in the index: attempts that are counted, results that are superseded, inputs that come back. */
#include "tests/unit/storage/index_fixture.h"

static void test_queue__kills_use_up_no_attempt_but_end(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  bool found = false;
  for (int interruption = 1; interruption < 10; interruption++) {
    reopen(fixture); /* the process died while the job ran */
    assert_good(lvn_queue_claim(fixture->index, 6000, LEASE_MS, &job, &found, &fixture->err));
    assert_true(found);
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.wall_ms, 5000);
  }
  reopen(fixture);
  assert_good(lvn_queue_claim(fixture->index, 6000, LEASE_MS, &job, &found, &fixture->err));
  assert_false(found);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_FAILED);
  assert_non_null(strstr(get_study(fixture).status_message, "interrupted 10 times"));
}

static void test_queue__failed_attempts_end(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  bool found = true;
  for (int64_t attempt = 1; attempt <= 3; attempt++) {
    assert_int_equal(job.attempt, attempt);
    assert_good(lvn_queue_fail(fixture->index, job.job_id, "io", "disk", true, 7000, 9000, &fixture->err));
    if (attempt < 3) {
      assert_good(lvn_queue_claim(fixture->index, 8999, LEASE_MS, &job, &found, &fixture->err));
      assert_false(found); /* not before its time */
      assert_good(lvn_queue_claim(fixture->index, 9000, LEASE_MS, &job, &found, &fixture->err));
      assert_true(found);
    }
  }
  assert_int_equal(get_study(fixture).state, LVN_STUDY_FAILED);
  assert_good(lvn_queue_retry(fixture->index, job.job_id, &fixture->err));
  assert_good(lvn_queue_claim(fixture->index, 9000, LEASE_MS, &job, &found, &fixture->err));
  assert_true(found);
  assert_int_equal(job.attempt, 1);
}

static void test_queue__permanent_failure_is_final(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  assert_good(lvn_queue_fail(fixture->index, job.job_id, "data", "bad", false, 7000, 0, &fixture->err));
  assert_int_equal(get_study(fixture).state, LVN_STUDY_FAILED);
}

static void test_queue__late_object_makes_results_stale(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 6500);
  assert_true(add(fixture, &late).reopened);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_PROCESSING);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_COLLECTING);
  assert_int_equal(get_outbound(fixture, "2.1").outbox_id, 0); /* nothing of it is sent */
  assert_good(lvn_queue_get(fixture->index, job.job_id, &job, &fixture->err));
  assert_int_equal(job.outcome, LVN_OUTCOME_STALE);
}

static void test_queue__late_object_cancels_a_queued_job(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 6500);
  struct lvn_job job;
  int64_t job_id = 0;
  bool found = true;
  (void)add(fixture, &ct);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_queue_create(fixture->index, STUDY, &model, 5000, &job_id, &fixture->err));
  (void)add(fixture, &late);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_COLLECTING);
  assert_good(lvn_queue_claim(fixture->index, 9000, LEASE_MS, &job, &found, &fixture->err));
  assert_false(found);
}

static void test_queue__waiting_study_opens_by_a_new_object(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_index_study *studies = NULL;
  size_t count = 9;
  const struct lvn_index_study_filter changed = {.state = LVN_STUDY_COLLECTING, .changed_only = true};
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_WAITING);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_COLLECTING);
  assert_string_equal(get_study(fixture).status_message, "waiting for a phase");
  assert_good(lvn_index_list_studies(fixture->index, &changed, &studies, &count, &fixture->err));
  assert_int_equal(count, 0); /* not looked at again by itself */
  lvn_free(studies);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 6500);
  (void)add(fixture, &late);
  assert_good(lvn_index_list_studies(fixture->index, &changed, &studies, &count, &fixture->err));
  assert_int_equal(count, 1);
  lvn_free(studies);
}

static void test_queue__newer_job_cancels_unsent_results(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 8000);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_QUEUED);
  (void)add(fixture, &late);
  struct lvn_job newer = run_next_job(fixture, &model, 9000);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_CANCELLED);
  assert_string_not_equal(newer.key, job.key);
  finish_job(fixture, newer.job_id, "2.2", LVN_OUTCOME_DONE);
  assert_int_equal(get_outbound(fixture, "2.2").state, LVN_OUTBOX_QUEUED);
  assert_int_equal(get_study(fixture).latest_job_id, newer.job_id);
}

static void test_queue__superseded_send_is_not_tried_again(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  int64_t job_id = 0;
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  (void)add(fixture, &late);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_queue_create(fixture->index, STUDY, &model, 9000, &job_id, &fixture->err));
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_RETRY, -1, 9000, 9000));
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_CANCELLED);
  lvn_free(rows);
}

static void test_queue__sends_are_retried_and_survive_a_kill(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_outbox_claim(fixture->index, "other", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 0);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_int_equal(rows[0].attempt, 1);
  assert_string_equal(rows[0].path, "/results/sr.dcm");
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_RETRY, 0xA700, 8000, 9000));
  lvn_free(rows);
  rows = NULL;
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8999, &rows, &count, &fixture->err));
  assert_int_equal(count, 0);
  lvn_free(rows);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 9000, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  reopen(fixture);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_QUEUED);
  assert_int_equal(get_outbound(fixture, "2.1").attempt, 2);
  lvn_free(rows);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 9000, &rows, &count, &fixture->err));
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_STORED, 0, 9500, 0));
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_SENT);
  lvn_free(rows);
}

static void test_queue__other_model_cancels_queued_jobs(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  const struct lvn_job_model other = {.name = "m", .version = "2", .digest = {8}};
  int64_t old_job = 0;
  int64_t new_job = 0;
  (void)add(fixture, &ct);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_queue_create(fixture->index, STUDY, &model, 5000, &old_job, &fixture->err));
  assert_good(lvn_queue_cancel_other_models(fixture->index, other.digest, &fixture->err));
  assert_false(get_study(fixture).has_live_job);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_READY);
  assert_good(lvn_queue_create(fixture->index, STUDY, &other, 5000, &new_job, &fixture->err));
  assert_int_not_equal(old_job, new_job);
}

static void send_results(struct fixture *fixture, int64_t now_ms) {
  struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  assert_good(lvn_outbox_claim(fixture->index, "pacs", now_ms, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_STORED, 0, now_ms, 0));
  lvn_free(rows);
}

static int64_t predecessor_of(struct fixture *fixture, int64_t job_id) {
  struct lvn_job earlier = {0};
  bool found = false;
  assert_good(lvn_queue_predecessor(fixture->index, job_id, REPORT_CLASS, &earlier, &found, &fixture->err));
  return found ? earlier.job_id : 0;
}

static bool takes_documents(const void *user_data, const char *destination, const char *sop_class_uid) {
  (void)user_data;
  return strcmp(destination, "pacs") == 0 || strcmp(sop_class_uid, REPORT_CLASS) != 0;
}

/* Two peers, of which one takes no reports: it gets the other object alone, and that counts as sent, too. */
static void test_queue__a_destination_gets_what_it_takes(void **state) {
  static const char *const destinations[] = {"pacs", "viewer"};
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_job_result results[2] = {
      {.path = "/results/sr.dcm", .sop_class_uid = REPORT_CLASS, .sop_instance_uid = "2.1", .sha256 = {9}},
      {.path = "/results/pdf.dcm",
       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.104.1",
       .sop_instance_uid = "2.2",
       .sha256 = {8}}};
  const struct lvn_job_finish finish = {.job_id = job.job_id,
                                        .outcome = LVN_OUTCOME_DONE,
                                        .status_message = "",
                                        .results = results,
                                        .result_count = 2,
                                        .destinations = destinations,
                                        .destination_count = 2,
                                        .goes_to = takes_documents,
                                        .now_ms = 7000};
  struct lvn_outbox_row *rows = NULL;
  struct lvn_job earlier = {0};
  size_t count = 0;
  bool found = false;
  assert_good(lvn_queue_finish(fixture->index, &finish, &fixture->err));
  assert_good(lvn_outbox_list(fixture->index, LVN_OUTBOX_QUEUED, 10, &rows, &count, &fixture->err));
  lvn_free(rows);
  assert_int_equal(count, 3);
  assert_good(lvn_outbox_claim(fixture->index, "viewer", 7100, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  assert_string_equal(rows[0].sop_instance_uid, "2.2");
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_STORED, 0, 7200, 0));
  lvn_free(rows);
  struct lvn_index_object other = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  (void)add(fixture, &other);
  struct lvn_job later = run_next_job(fixture, &model, 8500);
  assert_int_equal(predecessor_of(fixture, later.job_id), 0); /* the report itself was not sent */
  assert_good(lvn_queue_predecessor(fixture->index, later.job_id, NULL, &earlier, &found, &fixture->err));
  assert_true(found);
  assert_int_equal(earlier.job_id, job.job_id);
}

/* Bytes A, then B, then A again: the destination holds the report of B as its newest, so that of A is a new one. */
static void test_queue__inputs_that_come_back_get_new_results(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job first = start_job(fixture); /* A is digest 1 */
  struct lvn_index_object second_bytes = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_object first_bytes = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 9000);
  finish_job(fixture, first.job_id, "2.1", LVN_OUTCOME_DONE);
  send_results(fixture, 7500);
  (void)add(fixture, &second_bytes);
  struct lvn_job second = run_next_job(fixture, &model, 8500);
  assert_int_equal(predecessor_of(fixture, second.job_id), first.job_id);
  finish_job(fixture, second.job_id, "2.2", LVN_OUTCOME_DONE);
  send_results(fixture, 8700);
  (void)add(fixture, &first_bytes);
  struct lvn_job third = run_next_job(fixture, &model, 9500);
  assert_int_not_equal(third.job_id, first.job_id);
  assert_string_not_equal(third.key, first.key);
  assert_memory_equal(third.input_digest, first.input_digest, LVN_SHA256_BYTES);
  assert_int_equal(third.repetition, 1);
  assert_int_equal(third.wall_ms, 9500); /* its results are the newest by their own words */
  assert_int_equal(predecessor_of(fixture, third.job_id), second.job_id);
  finish_job(fixture, third.job_id, "2.3", LVN_OUTCOME_DONE);
  assert_int_equal(get_outbound(fixture, "2.3").state, LVN_OUTBOX_QUEUED);
  assert_int_equal(get_study(fixture).latest_job_id, third.job_id);
}

/* Where nothing was made of B, the report of A is still the newest that anybody has. */
static void test_queue__inputs_that_come_back_at_once_keep_their_results(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job first = start_job(fixture);
  struct lvn_index_object second_bytes = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_object first_bytes = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 9000);
  finish_job(fixture, first.job_id, "2.1", LVN_OUTCOME_DONE);
  send_results(fixture, 7500);
  (void)add(fixture, &second_bytes);
  struct lvn_job second = run_next_job(fixture, &model, 8500);
  (void)add(fixture, &first_bytes); /* while B is analysed */
  finish_job(fixture, second.job_id, "2.2", LVN_OUTCOME_DONE);
  struct lvn_job again = run_next_job(fixture, &model, 9500);
  assert_int_equal(again.job_id, first.job_id);
  assert_string_equal(again.key, first.key);
  assert_int_equal(predecessor_of(fixture, again.job_id), 0);
  finish_job(fixture, again.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_SENT); /* and not sent twice */
}

/* A model that is rolled back answers anew too, and its report replaces the other model's. */
static void test_queue__model_that_comes_back_gets_new_results(void **state) {
  struct fixture *fixture = *state;
  const struct lvn_job_model other = {.name = "m", .version = "2", .digest = {8}};
  struct lvn_job first = start_job(fixture);
  finish_job(fixture, first.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_index_study_retry(fixture->index, STUDY, &fixture->err));
  struct lvn_job second = run_next_job(fixture, &other, 8500);
  assert_int_equal(predecessor_of(fixture, second.job_id), 0); /* that of the first was never sent */
  finish_job(fixture, second.job_id, "2.2", LVN_OUTCOME_DONE);
  send_results(fixture, 8700);
  assert_good(lvn_index_study_retry(fixture->index, STUDY, &fixture->err));
  struct lvn_job third = run_next_job(fixture, &model, 9500);
  assert_int_equal(third.repetition, 1);
  assert_int_equal(predecessor_of(fixture, third.job_id), second.job_id);
}

/* A rebuild puts the jobs back as they were: the latest one of these inputs is done again, not a fourth. */
static void test_queue__rebuild_keeps_repetitions(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job jobs[3];
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object roi = make_object("1.2", 2, LVN_INDEX_ROLE_ROI, 1001);
  jobs[0] = start_job(fixture);
  jobs[1] = jobs[0];
  jobs[1].job_id = jobs[0].job_id + 1;
  memset(jobs[1].input_digest, 77, LVN_SHA256_BYTES);
  (void)lvn_copy(jobs[1].key, sizeof jobs[1].key, "second");
  jobs[2] = jobs[0];
  jobs[2].job_id = jobs[0].job_id + 2;
  jobs[2].repetition = 1;
  (void)lvn_copy(jobs[2].key, sizeof jobs[2].key, "third");
  assert_good(lvn_index_rebuild_begin(fixture->index, &fixture->err));
  (void)add(fixture, &ct);
  (void)add(fixture, &roi);
  for (size_t i = 0; i < 3; i++) {
    struct lvn_job_result result = {.sop_class_uid = REPORT_CLASS};
    (void)snprintf(result.sop_instance_uid, sizeof result.sop_instance_uid, "2.%zu", i + 1);
    assert_good(lvn_index_job_restore(fixture->index, &jobs[i], &fixture->err));
    assert_good(lvn_index_result_restore(fixture->index, jobs[i].job_id, &result, &fixture->err));
  }
  assert_good(lvn_index_rebuild_commit(fixture->index, &fixture->err));
  struct lvn_job again = run_next_job(fixture, &model, 9500);
  assert_int_equal(again.job_id, jobs[2].job_id);
  assert_string_equal(again.key, "third");
}

/* A study of two patients whose second patient's object came at `stranger_ms`, with a job on the first one's objects
 * that was finished at 5000; rebuilt. */
static void rebuild_two_patients(struct fixture *fixture, int64_t stranger_ms, enum lvn_study_state expected_state) {
  struct lvn_index_object objects[] = {make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000),
                                       make_object("1.2", 2, LVN_INDEX_ROLE_ROI, 1001),
                                       make_object("1.3", 3, LVN_INDEX_ROLE_CT, stranger_ms)};
  uint8_t digests[2 * LVN_SHA256_BYTES];
  struct lvn_job job = {.job_id = 1, .key = "k", .outcome = LVN_OUTCOME_DONE, .wall_ms = 4000, .finished_ms = 5000};
  (void)lvn_copy(job.study_uid, sizeof job.study_uid, STUDY);
  memset(digests, 1, LVN_SHA256_BYTES);
  memset(digests + LVN_SHA256_BYTES, 2, LVN_SHA256_BYTES);
  assert_good(lvn_sha256_of(digests, sizeof digests, job.input_digest, &fixture->err));
  objects[2].patient_id = "P2";
  assert_good(lvn_index_rebuild_begin(fixture->index, &fixture->err));
  for (size_t i = 0; i < 3; i++) {
    (void)add(fixture, &objects[i]);
  }
  assert_good(lvn_index_job_restore(fixture->index, &job, &fixture->err));
  assert_true(get_study(fixture).is_locked);
  assert_good(lvn_index_restore_release(fixture->index, STUDY, &fixture->err));
  assert_int_equal(get_study(fixture).state, expected_state);
  assert_good(lvn_index_rebuild_commit(fixture->index, &fixture->err));
}

/* Only an operator lets a study of two patients go on; that he did shows in what was analysed afterwards. */
static void test_queue__rebuild_knows_a_release(void **state) {
  rebuild_two_patients(*state, 2000, LVN_STUDY_COLLECTING);
  rebuild_two_patients(*state, 6000, LVN_STUDY_REJECTED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      index_test(test_queue__kills_use_up_no_attempt_but_end),
      index_test(test_queue__failed_attempts_end),
      index_test(test_queue__permanent_failure_is_final),
      index_test(test_queue__late_object_makes_results_stale),
      index_test(test_queue__late_object_cancels_a_queued_job),
      index_test(test_queue__waiting_study_opens_by_a_new_object),
      index_test(test_queue__newer_job_cancels_unsent_results),
      index_test(test_queue__superseded_send_is_not_tried_again),
      index_test(test_queue__sends_are_retried_and_survive_a_kill),
      index_test(test_queue__other_model_cancels_queued_jobs),
      index_test(test_queue__a_destination_gets_what_it_takes),
      index_test(test_queue__inputs_that_come_back_get_new_results),
      index_test(test_queue__inputs_that_come_back_at_once_keep_their_results),
      index_test(test_queue__model_that_comes_back_gets_new_results),
      index_test(test_queue__rebuild_keeps_repetitions),
      index_test(test_queue__rebuild_knows_a_release),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
