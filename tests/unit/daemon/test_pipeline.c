/* What becomes of a study in the pipeline: waiting, outcomes, lost workers, kills, a rebuild, the control socket. */
#include "tests/unit/daemon/pipeline_fixture.h"

static void test_pipeline__says_what_a_study_waits_for(void **state) {
  (void)state;
  receive("liver.dcm");
  assert_true(comes_to("studies", "status_message", "waiting for CT images"));
  receive_ct();
  assert_true(counts_to("studies", "objects", 4)); /* it is ready before, and collects again */
  assert_true(comes_to("studies", "state", "ready"));
  assert_true(comes_to("studies", "status_message", "waiting for the analysis worker"));
  assert_int_equal(integer_of("studies", "ct_series"), 1);
}

static void test_pipeline__waits_for_a_roi(void **state) {
  (void)state;
  receive_ct();
  assert_true(comes_to("studies", "status_message", "waiting for a ROI"));
  assert_true(comes_to("studies", "state", "collecting"));
}

static void test_pipeline__open_association_holds_a_study_back(void **state) {
  struct lvn_spool *spool = NULL;
  struct lvn_spool_marker *marker = NULL;
  struct lvn_scan scan;
  (void)state;
  assert_good(lvn_scan_file(DATA "01.dcm", &scan, &err));
  assert_good(lvn_spool_open(config.state_folder, &spool, &err));
  assert_good(lvn_spool_marker_create(spool, "0123456789abcdef", &marker, &err));
  assert_good(lvn_spool_marker_add_study(marker, scan.study_instance_uid, &err));
  receive_ct();
  receive("liver.dcm");
  assert_true(comes_to("studies", "state", "collecting"));
  lvn_clock_sleep_seconds(1.5); /* longer than any settling */
  assert_true(comes_to("studies", "state", "collecting"));
  lvn_spool_marker_destroy(marker);
  assert_true(comes_to("studies", "state", "ready"));
  lvn_spool_close(spool);
}

static void test_pipeline__outcomes_of_the_worker(void **state) {
  (void)state;
  receive_ct();
  receive("liver.dcm");
  int fd = connect_worker();
  json_t *job = take_job(fd);
  assert_int_equal(json_array_size(json_object_get(job, "paths")), 4);
  assert_int_equal(strlen(json_string_value(json_object_get(job, "job_key"))), 64);
  answer_outcome(fd, job, "waiting", "waiting for the arterial phase");
  json_decref(job);
  assert_true(comes_to("studies", "status_message", "waiting for the arterial phase"));
  assert_true(comes_to("studies", "state", "collecting"));
  json_t *answer = ask("{\"command\":\"studies\"}");
  const json_t *study = json_array_get(json_object_get(answer, "studies"), 0);
  char request[128];
  (void)snprintf(request, sizeof request, "{\"command\":\"retry\",\"study\":\"%s\"}",
                 json_string_value(json_object_get(study, "name")));
  json_decref(answer);
  json_decref(ask(request));
  job = take_job(fd);
  answer_outcome(fd, job, "refused", "the slices overlap");
  json_decref(job);
  assert_true(comes_to("studies", "state", "rejected"));
  assert_true(comes_to("studies", "status_message", "the slices overlap"));
  (void)close(fd);
}

static void test_pipeline__lost_worker_costs_an_attempt(void **state) {
  (void)state;
  receive_ct();
  receive("liver.dcm");
  config.job_attempts_max = 2;
  int fd = connect_worker();
  json_decref(take_job(fd));
  (void)close(fd);
  assert_true(comes_to("jobs", "error_code", "crash"));
  assert_int_equal(integer_of("jobs", "attempt"), 1);
  fd = connect_worker(); /* gets it again after the pause */
  json_decref(take_job(fd));
  (void)close(fd);
  assert_true(comes_to("jobs", "state", "failed"));
  assert_int_equal(integer_of("jobs", "attempt"), 2);
  assert_true(comes_to("studies", "state", "failed"));
}

static void test_pipeline__hanging_worker_is_killed(void **state) {
  int status = 0;
  (void)state;
  receive_ct();
  receive("liver.dcm");
  worker_pid = fork();
  assert_true(worker_pid >= 0);
  if (worker_pid == 0) {
    int fd = connect_worker();
    json_decref(take_job(fd));
    for (;;) {
      (void)pause();
    }
  }
  assert_int_equal(waitpid(worker_pid, &status, 0), worker_pid);
  worker_pid = 0;
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  assert_true(comes_to("jobs", "error_code", "timeout"));
}

static void test_pipeline__kills_and_rebuild_give_one_result(void **state) {
  (void)state;
  receive_ct();
  (void)end_process(&pipeline_pid, SIGKILL);
  receive("liver.dcm"); /* acknowledged while nobody indexes */
  start_pipeline();
  int fd = connect_worker();
  json_t *job = take_job(fd);
  json_decref(job);
  (void)end_process(&pipeline_pid, SIGKILL); /* in the middle of the analysis */
  (void)close(fd);
  start_pipeline();
  fd = connect_worker();
  job = take_job(fd);
  assert_int_equal(integer_of("jobs", "attempt"), 1); /* it is not the study's fault */
  answer_done(fd, job);
  assert_true(comes_to("studies", "state", "done"));
  assert_true(comes_to("outbound", "state", "queued")); /* nobody listens yet */
  (void)end_process(&pipeline_pid, SIGKILL);
  start_pacs();
  start_pipeline();
  assert_true(comes_to("outbound", "state", "sent"));
  assert_int_equal(count_in_pacs(), 1);
  (void)close(fd);
  json_t *before = ask("{\"command\":\"jobs\"}");
  json_t *answer = ask("{\"command\":\"rebuild-index\"}");
  assert_true(json_is_true(json_object_get(answer, "ok")));
  assert_int_equal(json_integer_value(json_object_get(answer, "objects")), 4);
  assert_int_equal(json_integer_value(json_object_get(answer, "jobs")), 1);
  json_decref(answer);
  fd = connect_worker(); /* tells the model; is given nothing to do */
  assert_true(comes_to("studies", "state", "done"));
  assert_true(comes_to("outbound", "state", "sent"));
  json_t *after = ask("{\"command\":\"jobs\"}");
  const json_t *old_job = json_array_get(json_object_get(before, "jobs"), 0);
  const json_t *new_job = json_array_get(json_object_get(after, "jobs"), 0);
  assert_int_equal(json_integer_value(json_object_get(old_job, "job")),
                   json_integer_value(json_object_get(new_job, "job")));
  assert_int_equal(json_array_size(json_object_get(after, "jobs")), 1);
  assert_int_equal(count_in_pacs(), 1);
  json_decref(job);
  json_decref(before);
  json_decref(after);
  (void)close(fd);
}

static void test_pipeline__stops_cleanly_and_holds_its_index_alone(void **state) {
  struct lvn_rebuild_report report;
  (void)state;
  receive_ct();
  assert_true(comes_to("studies", "status_message", "waiting for a ROI"));
  assert_false(lvn_rebuild_offline(&config, NULL, &report, &err));
  assert_int_equal(err.code, LVN_ERROR_CONFLICT);
  int status = end_process(&pipeline_pid, SIGTERM);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_good(lvn_rebuild_offline(&config, NULL, &report, &err));
  assert_int_equal(report.objects, 3);
}

static void test_pipeline__control_refuses_nonsense(void **state) {
  (void)state;
  static const char *const requests[] = {"nonsense",
                                         "[]",
                                         "{}",
                                         "{\"command\":\"drop\"}",
                                         "{\"command\":\"retry\"}",
                                         "{\"command\":\"retry\",\"job\":99}",
                                         "{\"command\":\"release\"}",
                                         "{\"command\":\"release\",\"study\":\"nobody\"}"};
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    json_t *answer = ask(requests[i]);
    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_non_null(json_string_value(json_object_get(answer, "error")));
    json_decref(answer);
  }
  json_t *answer = ask("{\"command\":\"status\"}");
  assert_true(json_is_true(json_object_get(answer, "ok")));
  assert_int_equal(json_array_size(json_object_get(answer, "attention")), 0);
  json_decref(answer);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_pipeline__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(says_what_a_study_waits_for),
      CASE(waits_for_a_roi),
      CASE(open_association_holds_a_study_back),
      CASE(outcomes_of_the_worker),
      CASE(lost_worker_costs_an_attempt),
      CASE(hanging_worker_is_killed),
      CASE(kills_and_rebuild_give_one_result),
      CASE(stops_cleanly_and_holds_its_index_alone),
      CASE(control_refuses_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
