/* Disks that are full or refuse a name, versions that come back, associations that name many studies: whatever the
 * pipeline could not do is done when it can, and nothing that was acknowledged is gone. */
#include "tests/unit/daemon/pipeline_fixture.h"

#include "storage/index.h"

#define STATE_MOUNT "size=16m,mode=0700"
#define OTHER_STUDIES 20000
#define UNREADABLE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int set_up_small_disk(void **state) {
  (void)state;
  (void)scratch_make(folder);
  configure();
  assert_good(lvn_file_make_folder(config.state_folder, 0700, &err));
  if (mount("tmpfs", config.state_folder, "tmpfs", 0, STATE_MOUNT) != 0) {
    print_message("SKIPPED: cannot mount a tmpfs of 16 MiB\n");
    return 0;
  }
  start_pipeline();
  return 0;
}

static void fill_disk(void) {
  static const char zeros[4096];
  char path[LVN_PATH_BYTES];
  assert_good(lvn_path_join(path, config.state_folder, "filler", &err));
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  while (write(fd, zeros, sizeof zeros) > 0) {
  }
  (void)close(fd);
}

static void free_disk(void) {
  char path[LVN_PATH_BYTES];
  assert_good(lvn_path_join(path, config.state_folder, "filler", &err));
  assert_int_equal(unlink(path), 0);
}

static bool problem_comes_to(const char *expected) {
  char seen[512] = "";
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS; lvn_clock_monotonic_seconds() < until;) {
    json_t *answer = ask("{\"command\":\"status\"}");
    const char *text = json_string_value(json_object_get(answer, "problem"));
    (void)lvn_copy(seen, sizeof seen, text == NULL ? "(none)" : text);
    json_decref(answer);
    if (expected[0] == '\0' ? seen[0] == '\0' : strstr(seen, expected) != NULL) {
      return true;
    }
    lvn_clock_sleep_seconds(0.05);
  }
  print_error("the problem is '%s', not '%s'\n", seen, expected);
  return false;
}

static void answer_no_space(int fd, const json_t *job) {
  char line[256];
  int length = snprintf(line, sizeof line,
                        "{\"failed\":{\"job_id\":%" JSON_INTEGER_FORMAT
                        ",\"code\":\"nospace\",\"transient\":true,\"message\":\"cannot write the report\"}}\n",
                        json_integer_value(json_object_get(job, "job_id")));
  assert_int_equal(write(fd, line, (size_t)length), length);
}

static void test_pipeline__full_disk_keeps_an_outcome_until_it_is_recorded(void **state) {
  (void)state;
  if (pipeline_pid == 0) {
    skip();
  }
  receive_ct();
  receive("liver.dcm");
  int fd = connect_worker();
  json_t *job = take_job(fd);
  fill_disk();
  answer_outcome(fd, job, "refused", "the slices overlap");
  assert_true(problem_comes_to("cannot be recorded"));
  assert_true(comes_to("jobs", "state", "running"));
  free_disk();
  assert_true(comes_to("studies", "state", "rejected"));
  assert_true(comes_to("jobs", "state", "done"));
  assert_true(problem_comes_to(""));
  json_decref(job);
  (void)close(fd);
}

static void test_pipeline__full_disk_of_the_worker_costs_no_attempt(void **state) {
  (void)state;
  if (pipeline_pid == 0) {
    skip();
  }
  receive_ct();
  receive("liver.dcm");
  int fd = connect_worker();
  json_t *job = take_job(fd);
  fill_disk(); /* the failure itself cannot be recorded either */
  answer_no_space(fd, job);
  assert_true(problem_comes_to("cannot be recorded"));
  free_disk();
  assert_true(comes_to("studies", "status_message", "retried as soon as this node can: cannot write the report"));
  assert_true(problem_comes_to("wait until this node can do them"));
  assert_int_equal(integer_of("jobs", "attempt"), 0);
  json_decref(job);
  job = take_job(fd); /* by itself */
  assert_int_equal(integer_of("jobs", "attempt"), 1);
  answer_outcome(fd, job, "refused", "the slices overlap");
  assert_true(comes_to("studies", "state", "rejected"));
  assert_true(problem_comes_to(""));
  json_decref(job);
  (void)close(fd);
}

static bool rebuild(void) {
  json_t *answer = ask("{\"command\":\"rebuild-index\"}");
  bool is_ok = json_is_true(json_object_get(answer, "ok"));
  json_decref(answer);
  return is_ok;
}

static void test_pipeline__full_disk_at_a_rebuild_keeps_the_old_index(void **state) {
  (void)state;
  if (pipeline_pid == 0) {
    skip();
  }
  receive_ct();
  assert_true(comes_to("studies", "status_message", "waiting for a ROI"));
  assert_true(counts_to("studies", "objects", 3));
  fill_disk();
  assert_false(rebuild());
  assert_int_equal(integer_of("studies", "objects"), 3);
  free_disk();
  assert_true(rebuild());
  assert_true(comes_to("studies", "status_message", "waiting for a ROI"));
  receive("liver.dcm");
  assert_true(comes_to("studies", "state", "ready"));
}

/* A verdict that waits to be recorded is of the old index: the analysis is done anew. */
static void test_pipeline__rebuild_while_an_outcome_waits(void **state) {
  (void)state;
  if (pipeline_pid == 0) {
    skip();
  }
  receive_ct();
  receive("liver.dcm");
  int fd = connect_worker();
  json_t *job = take_job(fd);
  fill_disk();
  answer_outcome(fd, job, "refused", "the slices overlap");
  json_decref(job);
  assert_true(problem_comes_to("cannot be recorded"));
  free_disk();
  assert_true(rebuild());
  assert_true(comes_to("jobs", "state", "running"));
  job = take_job(fd);
  answer_outcome(fd, job, "refused", "the slices overlap");
  json_decref(job);
  assert_true(comes_to("studies", "state", "rejected"));
  assert_true(problem_comes_to(""));
  (void)close(fd);
}

static void write_file(const char *name, const char *text) {
  char path[LVN_PATH_BYTES];
  assert_good(lvn_path_join(path, config.state_folder, name, &err));
  assert_good(lvn_file_replace(path, text, strlen(text), 0600, &err));
}

static bool has_file(const char *name) {
  char path[LVN_PATH_BYTES];
  return lvn_path_join(path, config.state_folder, name, &err) && lvn_file_exists(path);
}

/* As if it had been received, whole and durable: an object that the scanner cannot read, with a damaged record. */
static void test_pipeline__unreadable_object_stays_until_it_can_be_set_aside(void **state) {
  static const char object[] = "objects/01/" UNREADABLE ".dcm";
  static const char record[] = "objects/01/" UNREADABLE "-0000000000000000001-1-a-192.0.2.7-CT1.waiting";
  static const char new_name[] = "spool/new/0000000000000000001-" UNREADABLE "-no-record.new";
  char path[LVN_PATH_BYTES];
  (void)state;
  write_file("unreadable", "a file where the folder should be");
  write_file(object, "all that is left of an object");
  write_file(record, "");
  write_file(new_name, "");
  receive_ct(); /* wakes the pipeline, and goes on */
  assert_true(comes_to("studies", "status_message", "waiting for a ROI"));
  assert_true(problem_comes_to("stay in the spool"));
  assert_true(has_file(object));
  assert_true(has_file(new_name));
  assert_good(lvn_path_join(path, config.state_folder, "unreadable", &err));
  assert_int_equal(unlink(path), 0);
  assert_true(problem_comes_to(""));
  assert_false(has_file(object));
  assert_false(has_file(record));
  assert_false(has_file(new_name));
  assert_true(has_file("unreadable/" UNREADABLE ".dcm"));
  assert_true(has_file("unreadable/" UNREADABLE "-0000000000000000001-1-a-192.0.2.7-CT1.waiting"));
}

static void test_pipeline__many_studies_of_one_association_hold_up_no_other(void **state) {
  struct lvn_spool *spool = NULL;
  struct lvn_spool_marker *marker = NULL;
  char uid[LVN_UID_BYTES];
  (void)state;
  assert_good(lvn_spool_open(config.state_folder, &spool, &err));
  assert_good(lvn_spool_marker_create(spool, "0123456789abcdef", &marker, &err));
  for (int i = 0; i < OTHER_STUDIES; i++) { /* more than a mebibyte of names */
    (void)snprintf(uid, sizeof uid, "1.2.826.0.1.3680043.8.498.12345678901234567890123456789.%d", 100000 + i);
    assert_good(lvn_spool_marker_add_study(marker, uid, &err));
  }
  receive_ct();
  receive("liver.dcm");
  assert_true(comes_to("studies", "state", "ready"));
  lvn_spool_marker_destroy(marker);
  lvn_spool_close(spool);
}

static void retry_study(const char *key) {
  char request[256];
  json_t *answer = ask("{\"command\":\"studies\"}");
  const json_t *study = json_array_get(json_object_get(answer, "studies"), 0);
  (void)snprintf(request, sizeof request, "{\"command\":\"retry\",\"study\":\"%s\"}",
                 json_string_value(json_object_get(study, key)));
  json_decref(answer);
  answer = ask(request);
  assert_true(json_is_true(json_object_get(answer, "ok")));
  json_decref(answer);
}

static json_int_t run_job(int fd) {
  json_t *job = take_job(fd);
  json_int_t job_id = json_integer_value(json_object_get(job, "job_id"));
  answer_outcome(fd, job, "waiting", "waiting for the arterial phase");
  json_decref(job);
  assert_true(comes_to("studies", "state", "collecting"));
  return job_id;
}

/* Inputs that come back get their old job: its number is lower than that of the one in between. */
static void test_pipeline__retry_repeats_the_latest_job(void **state) {
  (void)state;
  receive_ct();
  receive("liver.dcm");
  int fd = connect_worker();
  assert_int_equal(run_job(fd), 1);
  receive_version("01.dcm", 1);
  assert_int_equal(run_job(fd), 2);
  receive("01.dcm");
  assert_true(comes_to("studies", "status_message", "arterial"));
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
       integer_of("studies", "job") != 1 && lvn_clock_monotonic_seconds() < until;) {
    lvn_clock_sleep_seconds(0.05);
  }
  assert_int_equal(integer_of("studies", "job"), 1); /* answered from its file, without an analysis */
  assert_true(comes_to("studies", "status_message", "arterial"));
  retry_study("name");
  assert_int_equal(run_job(fd), 1);
  (void)close(fd);
}

static void test_pipeline__inputs_of_a_study_by_its_short_name(void **state) {
  char request[128];
  (void)state;
  receive_ct();
  assert_true(comes_to("studies", "status_message", "waiting for a ROI"));
  assert_true(counts_to("studies", "objects", 3));
  json_t *answer = ask("{\"command\":\"studies\"}");
  const json_t *study = json_array_get(json_object_get(answer, "studies"), 0);
  (void)snprintf(request, sizeof request, "{\"command\":\"inputs\",\"study\":\"%s\"}",
                 json_string_value(json_object_get(study, "name")));
  json_decref(answer);
  answer = ask(request);
  assert_int_equal(json_array_size(json_object_get(answer, "paths")), 3);
  json_decref(answer);
  answer = ask("{\"command\":\"inputs\",\"study\":\"nobody\"}");
  assert_true(json_is_false(json_object_get(answer, "ok")));
  json_decref(answer);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_pipeline__##name, set_up, tear_down)
#define SMALL_DISK_CASE(name) cmocka_unit_test_setup_teardown(test_pipeline__##name, set_up_small_disk, tear_down)
  const struct CMUnitTest tests[] = {
      SMALL_DISK_CASE(full_disk_keeps_an_outcome_until_it_is_recorded),
      SMALL_DISK_CASE(full_disk_of_the_worker_costs_no_attempt),
      SMALL_DISK_CASE(full_disk_at_a_rebuild_keeps_the_old_index),
      SMALL_DISK_CASE(rebuild_while_an_outcome_waits),
      CASE(unreadable_object_stays_until_it_can_be_set_aside),
      CASE(many_studies_of_one_association_hold_up_no_other),
      CASE(retry_repeats_the_latest_job),
      CASE(inputs_of_a_study_by_its_short_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
