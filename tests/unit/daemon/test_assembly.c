/* Assembly by itself: what a study waits for, when it settles, and when it becomes a job. */
#include "tests/unit/daemon/module_fixture.h"

#include "daemon/pipeline/assembly/assembly.h"
#include "storage/queue.h"

static struct lvn_assembly *assembly;
static bool is_held;
static const struct lvn_job_model *model;

static bool holds_study(void *user_data, const char *uid) {
  (void)user_data;
  return is_held && strcmp(uid, study_uid) == 0;
}

static const struct lvn_job_model *get_model(void *user_data) {
  (void)user_data;
  return model;
}

static int set_up(void **state) {
  (void)state;
  open_store();
  is_held = false;
  model = NULL;
  const struct lvn_assembly_needs needs = {
      .config = &config, .index = index_, .spool = spool, .holds_study = holds_study, .get_model = get_model};
  assert_good(lvn_assembly_create(&needs, &assembly, &err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_assembly_destroy(assembly);
  close_store();
  return 0;
}

static int64_t tick(void) {
  int64_t due_ms = lvn_assembly_tick(assembly, lvn_tick_now_ms());
  assert_string_equal(lvn_assembly_problem(assembly), "");
  return due_ms;
}

static void assert_study(enum lvn_study_state state, const char *status_message) {
  struct lvn_index_study study = get_study();
  assert_int_equal(study.state, state);
  assert_string_equal(study.status_message, status_message);
}

static void test_assembly__says_what_a_study_waits_for(void **state) {
  (void)state;
  assert_int_equal(tick(), LVN_TICK_NEVER); /* no study, nothing due */
  take("liver.dcm", 0);
  assert_int_equal(tick(), LVN_TICK_NEVER);
  assert_study(LVN_STUDY_COLLECTING, "waiting for CT images: only a ROI was received");
  take("01.dcm", 0);
  assert_int_equal(tick(), LVN_TICK_NEVER);
  assert_study(LVN_STUDY_READY, "waiting for the analysis worker");
  assert_int_equal(lvn_assembly_get_stage(assembly).count, 1);
}

static void test_assembly__waits_for_a_roi(void **state) {
  (void)state;
  take("01.dcm", 0);
  (void)tick();
  assert_study(LVN_STUDY_COLLECTING, "waiting for a ROI (RTSTRUCT, SEG or measurement SR) of a lesion");
  assert_int_equal(lvn_assembly_get_stage(assembly).count, 0);
}

static void test_assembly__is_due_when_a_study_settles(void **state) {
  (void)state;
  config.settle_seconds = 30;
  int64_t before_ms = lvn_tick_now_ms();
  take_study(0);
  assert_in_range(tick() - before_ms, 29000, 31000);
  assert_int_equal(get_study().state, LVN_STUDY_COLLECTING);
}

static void test_assembly__holds_a_study_back_that_grows(void **state) {
  struct lvn_spool_marker *marker = NULL;
  (void)state;
  take_study(0);
  is_held = true; /* an acknowledged object of it could not be taken yet */
  assert_true(tick() < lvn_tick_now_ms() + 2000);
  assert_int_equal(get_study().state, LVN_STUDY_COLLECTING);
  is_held = false;
  assert_good(lvn_spool_marker_create(spool, "0123456789abcdef", &marker, &err));
  assert_good(lvn_spool_marker_add_study(marker, study_uid, &err));
  assert_true(tick() < lvn_tick_now_ms() + 2000);
  assert_int_equal(get_study().state, LVN_STUDY_COLLECTING);
  lvn_spool_marker_destroy(marker);
  (void)tick();
  assert_int_equal(get_study().state, LVN_STUDY_READY);
}

static void test_assembly__makes_one_job_when_a_model_is_known(void **state) {
  static const struct lvn_job_model known = {.name = "m", .version = "1"};
  LVN_AUTOFREE struct lvn_job *jobs = NULL;
  size_t count = 0;
  (void)state;
  take_study(0);
  (void)tick();
  assert_good(lvn_queue_list(index_, &(struct lvn_job_filter){.limit = 10}, &jobs, &count, &err));
  assert_int_equal(count, 0);
  lvn_free(jobs);
  model = &known;
  (void)tick();
  (void)tick();
  assert_good(lvn_queue_list(index_, &(struct lvn_job_filter){.limit = 10}, &jobs, &count, &err));
  assert_int_equal(count, 1);
  assert_int_equal(jobs[0].state, LVN_JOB_QUEUED);
  assert_string_equal(jobs[0].model_name, "m");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_assembly__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(says_what_a_study_waits_for),         CASE(waits_for_a_roi),
      CASE(is_due_when_a_study_settles),         CASE(holds_a_study_back_that_grows),
      CASE(makes_one_job_when_a_model_is_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
