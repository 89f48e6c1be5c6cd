/* What retention removes and what it leaves, on real files, without a process of its own. */
#include "tests/unit/daemon/module_fixture.h"

#include "daemon/pipeline/retention/removal.h"
#include "daemon/pipeline/retention/retention.h"
#include "storage/queue.h"

static struct lvn_retention *retention;
static int64_t now_ms;
static int64_t ended_job_id;

static void end_work(void *user_data, int64_t job_id) {
  (void)user_data;
  ended_job_id = job_id;
}

/* As another process does. */
static void restart_retention(void) {
  const struct lvn_retention_needs needs = {
      .config = &config, .index = index_, .objects = objects, .spool = spool, .end_work = end_work};
  lvn_retention_destroy(retention);
  retention = NULL;
  assert_good(lvn_retention_create(&needs, &retention, &err));
}

static int set_up(void **state) {
  (void)state;
  open_store();
  config.keep_waiting_days = 30;
  restart_retention();
  now_ms = 0;
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_retention_destroy(retention);
  retention = NULL;
  close_store();
  return 0;
}

/* A look for what is to go. */
static void look(void) {
  now_ms += LVN_RETENTION_PERIOD_MS;
  assert_int_equal(lvn_retention_tick(retention, now_ms), now_ms + LVN_RETENTION_PERIOD_MS);
  assert_string_equal(lvn_retention_problem(retention), "");
}

static bool count_object(void *user_data, const struct lvn_objects_entry *entry, struct lvn_error *ignored) {
  (void)entry;
  (void)ignored;
  (*(size_t *)user_data)++;
  return true;
}

static size_t count_objects(void) {
  size_t count = 0;
  assert_good(lvn_objects_each(objects, count_object, &count, &err));
  return count;
}

static void receive_old_study(void) {
  receive("01.dcm", 40 * DAY_MS);
  receive("02.dcm", 40 * DAY_MS);
  (void)lvn_ingest_tick(ingest, now_ms);
  assert_int_equal(count_objects(), 2);
  assert_int_equal(count_studies(), 1);
}

static void test_retention__removes_what_waited_too_long(void **state) {
  (void)state;
  receive_old_study();
  config.keep_waiting_days = 0;
  look();
  assert_int_equal(count_objects(), 2);
  config.keep_waiting_days = 41;
  look();
  assert_int_equal(count_objects(), 2);
  config.keep_waiting_days = 39;
  look();
  assert_int_equal(count_objects(), 0);
  assert_int_equal(count_studies(), 0);
}

/* The peer was told "stored" a moment ago, or will be. */
static void test_retention__leaves_what_an_association_adds_to(void **state) {
  struct lvn_spool_marker *marker = NULL;
  (void)state;
  receive_old_study();
  assert_good(lvn_spool_marker_create(spool, "0123456789abcdef", &marker, &err));
  assert_good(lvn_spool_marker_add_study(marker, study_uid, &err));
  look();
  assert_int_equal(count_objects(), 2);
  lvn_spool_marker_destroy(marker);
  receive("03.dcm", 40 * DAY_MS); /* waits for the index */
  look();
  assert_int_equal(count_objects(), 3);
  (void)lvn_ingest_tick(ingest, now_ms);
  look();
  assert_int_equal(count_objects(), 0);
}

static void test_retention__starts_anew_with_each_reception(void **state) {
  (void)state;
  receive_old_study();
  receive("01.dcm", 0); /* bytes that are there already */
  (void)lvn_ingest_tick(ingest, now_ms);
  look();
  assert_int_equal(count_objects(), 2);
  assert_int_equal(count_studies(), 1);
}

/* As if the clock had been set when the last process had stored it. */
static void move_stored_clock(int64_t by_ms) {
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/clock.json", folder);
  LVN_AUTOJSON json_t *root = json_load_file(path, 0, NULL);
  json_int_t base_ms = json_integer_value(json_object_get(root, "base_wall_ms"));
  assert_true(base_ms > 0);
  assert_int_equal(json_object_set_new(root, "base_wall_ms", json_integer(base_ms + by_ms)), 0);
  assert_int_equal(json_dump_file(root, path, 0), 0);
}

static void test_retention__does_not_believe_a_clock_that_jumped(void **state) {
  (void)state;
  receive_old_study();
  config.keep_waiting_days = 0;
  look();
  config.keep_waiting_days = 30;
  move_stored_clock(-12 * 365 * DAY_MS); /* 12 years ahead */
  restart_retention();
  look();
  assert_int_equal(count_objects(), 2);
  assert_non_null(strstr(lvn_retention_get_remark(retention), "the clock moved by +4380.0 days"));
  restart_retention();
  look();
  assert_int_equal(count_objects(), 2);
  move_stored_clock(12 * 365 * DAY_MS);
  restart_retention();
  look();
  assert_string_equal(lvn_retention_get_remark(retention), "");
  assert_int_equal(count_objects(), 0);
}

static void test_retention__looks_once_a_period(void **state) {
  (void)state;
  receive_old_study();
  config.keep_waiting_days = 0;
  look();
  config.keep_waiting_days = 30;
  assert_int_equal(lvn_retention_tick(retention, now_ms + 1), now_ms + LVN_RETENTION_PERIOD_MS);
  assert_int_equal(count_objects(), 2);
  look();
  assert_int_equal(count_objects(), 0);
}

static void test_retention__removes_for_an_operator(void **state) {
  struct lvn_index_study study;
  (void)state;
  receive("01.dcm", 0);
  (void)lvn_ingest_tick(ingest, now_ms);
  assert_false(lvn_retention_remove(retention, "nobody", false, &study, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_good(lvn_retention_remove(retention, study_uid, false, &study, &err));
  assert_int_equal(study.object_count, 1);
  assert_int_equal(count_objects(), 0);
  assert_int_equal(count_studies(), 0);
}

/* The worker that analyses it is ended: its outcome would have no study. */
static void test_retention__ends_the_work_on_a_study_that_is_removed(void **state) {
  static const struct lvn_job_model model = {.name = "m", .version = "1"};
  struct lvn_index_study study;
  struct lvn_job job;
  int64_t job_id = 0;
  bool found = false;
  (void)state;
  receive("01.dcm", 0);
  (void)lvn_ingest_tick(ingest, now_ms);
  assert_good(lvn_index_study_settle(index_, study_uid, &err));
  assert_good(lvn_queue_create(index_, study_uid, &model, lvn_clock_wall_ms(), &job_id, &err));
  assert_good(lvn_queue_claim(index_, lvn_clock_wall_ms(), 60000, &job, &found, &err));
  assert_true(found);
  ended_job_id = 0;
  assert_false(lvn_retention_remove(retention, study_uid, false, &study, &err));
  assert_int_equal(err.code, LVN_ERROR_CONFLICT);
  assert_int_equal(ended_job_id, 0);
  assert_good(lvn_retention_remove(retention, study_uid, true, &study, &err));
  assert_int_equal(ended_job_id, job_id);
  assert_int_equal(count_studies(), 0);
}

static void test_retention__warns_of_a_disk_that_runs_full(void **state) {
  (void)state;
  look();
  assert_string_equal(lvn_retention_get_disk_notice(retention), "");
  config.spool_warning_bytes = UINT64_MAX;
  look();
  assert_non_null(strstr(lvn_retention_get_disk_notice(retention), "the disk is filling up"));
  config.spool_warning_bytes = 1;
  look();
  assert_string_equal(lvn_retention_get_disk_notice(retention), "");
}

static void test_retention__says_what_it_cannot_remove(void **state) {
  (void)state;
  receive_old_study();
  put_obstacle("removing");
  now_ms += LVN_RETENTION_PERIOD_MS;
  assert_true(lvn_retention_tick(retention, now_ms) < now_ms + LVN_RETENTION_PERIOD_MS);
  assert_non_null(strstr(lvn_retention_problem(retention), "cannot be removed"));
  assert_int_equal(count_studies(), 1);
  remove_obstacle("removing");
  look();
  assert_int_equal(count_studies(), 0);
}

static void write_list(const char *text) {
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/removing", folder);
  assert_good(lvn_file_make_folder(path, 0700, &err));
  (void)snprintf(path, sizeof path, "%s/removing/0123456789ab.json", folder);
  assert_good(lvn_file_replace(path, text, strlen(text), 0600, &err));
}

/* A list that a kill left: of what is a study's again, or came again since, nothing goes. */
static void test_retention__works_off_a_list_but_not_what_came_again(void **state) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  LVN_AUTOFREE uint8_t *digests = NULL;
  const struct lvn_removal removal = {.config = &config, .index = index_, .objects = objects};
  char first[LVN_SHA256_TEXT_BYTES];
  char second[LVN_SHA256_TEXT_BYTES];
  char text[512];
  int64_t sequence = 0;
  size_t count = 0;
  (void)state;
  receive_old_study();
  assert_good(lvn_index_last_sequence(index_, &sequence, &err));
  assert_good(lvn_index_study_objects(index_, study_uid, &digests, &count, &err));
  assert_int_equal(count, 2);
  lvn_sha256_to_text(digests, first);
  lvn_sha256_to_text(digests + LVN_SHA256_BYTES, second);
  (void)snprintf(text, sizeof text, "{\"sequence\":%lld,\"objects\":[\"%s\",\"%s\"],\"jobs\":[]}", (long long)sequence,
                 first, second);
  write_list(text);
  assert_good(lvn_removal_finish_pending(&removal, &err));
  assert_int_equal(count_objects(), 2); /* the index has them */
  assert_good(lvn_index_study_delete(index_, study_uid, &err));
  receive("01.dcm", 0);
  (void)lvn_ingest_tick(ingest, now_ms);
  assert_good(lvn_index_study_delete(index_, study_uid, &err)); /* as if the index were lost */
  write_list(text);
  assert_good(lvn_removal_finish_pending(&removal, &err));
  assert_int_equal(count_objects(), 1); /* the one that was received since the list was written */
  write_list("nonsense");
  assert_good(lvn_removal_finish_pending(&removal, &err));
  assert_int_equal(count_objects(), 1);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_retention__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(removes_what_waited_too_long),
      CASE(leaves_what_an_association_adds_to),
      CASE(starts_anew_with_each_reception),
      CASE(does_not_believe_a_clock_that_jumped),
      CASE(works_off_a_list_but_not_what_came_again),
      CASE(looks_once_a_period),
      CASE(removes_for_an_operator),
      CASE(ends_the_work_on_a_study_that_is_removed),
      CASE(warns_of_a_disk_that_runs_full),
      CASE(says_what_it_cannot_remove),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
