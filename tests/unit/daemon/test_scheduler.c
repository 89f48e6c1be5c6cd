/* The scheduler by itself, with workers that the test plays at the other end of its socket. */
#include "tests/unit/daemon/module_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json_lines.h"
#include "base/loop/loop.h"
#include "base/socket.h"
#include "daemon/pipeline/scheduler/scheduler.h"

#define DIGEST "00000000000000000000000000000000000000000000000000000000000000aa"
#define OTHER_DIGEST "00000000000000000000000000000000000000000000000000000000000000bb"
#define LINE_MAX_BYTES (1U << 20)

static struct lvn_loop *loop;
static struct lvn_scheduler *scheduler;

static int set_up(void **state) {
  (void)state;
  open_store();
  assert_good(lvn_loop_create(&loop, &err));
  const struct lvn_scheduler_needs needs = {.config = &config, .index = index_, .objects = objects, .loop = loop};
  assert_good(lvn_scheduler_create(&needs, &scheduler, &err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_scheduler_destroy(scheduler);
  lvn_loop_destroy(loop);
  close_store();
  return 0;
}

/* As the pipeline does: whatever happened, then a tick. */
static int64_t turn_loop(void) {
  assert_good(lvn_loop_wait(loop, 50, &err));
  return lvn_scheduler_tick(scheduler, lvn_tick_now_ms());
}

static struct lvn_json_lines *connect_worker(const char *digest) {
  char path[LVN_PATH_BYTES];
  struct lvn_json_lines *lines = NULL;
  int fd = -1;
  LVN_AUTOJSON json_t *hello =
      json_pack("{s:{s:s, s:s, s:s}}", "hello", "model_name", "m", "model_version", "1", "model_digest", digest);
  assert_good(lvn_path_join(path, folder, LVN_WORKER_SOCKET, &err));
  assert_good(lvn_socket_connect(path, &fd, &err));
  assert_good(lvn_json_lines_create(fd, LINE_MAX_BYTES, LINE_MAX_BYTES, &lines, &err));
  assert_good(lvn_json_lines_send(lines, hello, &err));
  return lines;
}

static void send(struct lvn_json_lines *lines, json_t *message) {
  assert_good(lvn_json_lines_send(lines, message, &err));
  json_decref(message);
  (void)turn_loop();
}

static json_t *take_job(struct lvn_json_lines *lines) {
  json_t *message = NULL;
  (void)turn_loop();
  (void)turn_loop(); /* one for the connection, one for what it said */
  while (!lvn_json_lines_take(lines, &message)) {
    assert_good(lvn_json_lines_receive(lines, &err));
  }
  json_t *job = json_incref(json_object_get(message, "job"));
  json_decref(message);
  assert_non_null(job);
  return job;
}

static int64_t queue_job(const char *digest) {
  struct lvn_job_model model = {.name = "m", .version = "1"};
  int64_t job_id = 0;
  assert_true(lvn_sha256_from_text(digest, model.digest));
  take("01.dcm", 0);
  take("liver.dcm", 0);
  assert_good(lvn_index_study_settle(index_, study_uid, &err));
  assert_good(lvn_queue_create(index_, study_uid, &model, lvn_clock_wall_ms(), &job_id, &err));
  return job_id;
}

static struct lvn_job get_job(int64_t job_id) {
  struct lvn_job job;
  assert_good(lvn_queue_get(index_, job_id, &job, &err));
  return job;
}

static json_t *outcome(int64_t job_id, const char *word) {
  return json_pack("{s:{s:I, s:s, s:s, s:[]}}", "done", "job_id", (json_int_t)job_id, "outcome", word, "status_message",
                   "the slices overlap", "objects");
}

static void test_scheduler__knows_the_model_of_who_greets(void **state) {
  (void)state;
  assert_null(lvn_scheduler_get_model(scheduler));
  struct lvn_json_lines *worker = connect_worker(DIGEST);
  (void)turn_loop();
  (void)turn_loop();
  assert_string_equal(lvn_scheduler_get_model(scheduler)->name, "m");
  struct lvn_scheduler_worker workers[LVN_SCHEDULER_WORKERS_MAX];
  assert_int_equal(lvn_scheduler_list_workers(scheduler, workers), 1);
  assert_int_equal(workers[0].pid, getpid());
  assert_int_equal(workers[0].job_id, 0);
  lvn_json_lines_destroy(worker);
  (void)turn_loop();
  assert_int_equal(lvn_scheduler_list_workers(scheduler, workers), 0);
  assert_non_null(lvn_scheduler_get_model(scheduler)); /* still the one to make jobs for */
  struct lvn_scheduler_counts counts = lvn_scheduler_get_counts(scheduler);
  assert_int_equal(counts.connections, 1);
  assert_int_equal(counts.losses, 1);
}

static void test_scheduler__gives_a_job_out_and_records_its_outcome(void **state) {
  (void)state;
  int64_t job_id = queue_job(DIGEST);
  struct lvn_json_lines *worker = connect_worker(DIGEST);
  LVN_AUTOJSON json_t *job = take_job(worker);
  assert_int_equal(json_integer_value(json_object_get(job, "job_id")), job_id);
  assert_int_equal(json_array_size(json_object_get(job, "paths")), 2);
  assert_int_equal(lvn_scheduler_count_running(scheduler), 1);
  assert_int_equal(get_job(job_id).state, LVN_JOB_RUNNING);
  assert_int_equal(get_job(job_id).attempt, 1); /* counted before the work */
  send(worker, outcome(job_id, "refused"));
  assert_int_equal(lvn_scheduler_count_running(scheduler), 0);
  assert_int_equal(get_job(job_id).state, LVN_JOB_DONE);
  assert_string_equal(get_study().status_message, "the slices overlap");
  assert_int_equal(lvn_scheduler_get_counts(scheduler).queue.count, 1);
  assert_int_equal(lvn_scheduler_get_counts(scheduler).analysis.count, 1);
  assert_string_equal(lvn_scheduler_problem(scheduler), "");
  lvn_json_lines_destroy(worker);
}

static void test_scheduler__a_worker_that_goes_or_lies_uses_up_an_attempt(void **state) {
  (void)state;
  int64_t job_id = queue_job(DIGEST);
  struct lvn_json_lines *worker = connect_worker(DIGEST);
  json_decref(take_job(worker));
  lvn_json_lines_destroy(worker);
  assert_in_range(turn_loop() - lvn_tick_now_ms(), 1000, 6000); /* when it may be tried again */
  assert_int_equal(get_job(job_id).state, LVN_JOB_QUEUED);
  assert_string_equal(get_job(job_id).error_code, "crash");
  assert_true(get_job(job_id).not_before_ms > lvn_clock_wall_ms());
  assert_good(
      lvn_index_shift_waits(index_, &(struct lvn_index_waits){.now_ms = lvn_clock_wall_ms(), .job_max_ms = 0}, &err));
  worker = connect_worker(DIGEST);
  json_decref(take_job(worker));
  send(worker, outcome(job_id + 1, "refused"));            /* not what it was given */
  assert_int_equal(get_job(job_id).state, LVN_JOB_FAILED); /* the second and last attempt */
  assert_int_equal(lvn_scheduler_get_counts(scheduler).losses, 2);
  lvn_json_lines_destroy(worker);
}

static void test_scheduler__a_job_is_of_one_model(void **state) {
  (void)state;
  int64_t job_id = queue_job(OTHER_DIGEST);
  struct lvn_json_lines *worker = connect_worker(DIGEST);
  (void)turn_loop();
  (void)turn_loop();
  assert_int_equal(get_job(job_id).state, LVN_JOB_CANCELLED);
  assert_int_equal(get_study().state, LVN_STUDY_READY); /* gets a job of the model that is there */
  assert_int_equal(lvn_scheduler_count_running(scheduler), 0);
  lvn_json_lines_destroy(worker);
}

/* A running job that nobody works on, as a kill of the pipeline leaves it, is queued again without an attempt. */
static void test_scheduler__ends_a_running_that_nobody_ends(void **state) {
  struct lvn_job job;
  bool found = false;
  (void)state;
  int64_t job_id = queue_job(DIGEST);
  assert_good(lvn_queue_claim(index_, lvn_clock_wall_ms(), /* lease_ms= */ 1, &job, &found, &err));
  assert_int_equal(get_job(job_id).state, LVN_JOB_RUNNING);
  lvn_clock_sleep_seconds(0.01);
  (void)turn_loop();
  assert_int_equal(get_job(job_id).state, LVN_JOB_QUEUED);
  assert_int_equal(get_job(job_id).attempt, 0);
}

static void test_scheduler__gives_nothing_out_when_it_stops(void **state) {
  (void)state;
  int64_t job_id = queue_job(DIGEST);
  lvn_scheduler_stop(scheduler);
  struct lvn_json_lines *worker = connect_worker(DIGEST);
  (void)turn_loop();
  (void)turn_loop();
  assert_int_equal(get_job(job_id).state, LVN_JOB_QUEUED);
  lvn_json_lines_destroy(worker);
}

/* What this node could not do is no attempt, and it says so until it works. */
static void test_scheduler__what_the_node_cannot_do_waits(void **state) {
  (void)state;
  int64_t job_id = queue_job(DIGEST);
  struct lvn_json_lines *worker = connect_worker(DIGEST);
  json_decref(take_job(worker));
  send(worker, json_pack("{s:{s:I, s:s, s:b, s:s}}", "failed", "job_id", (json_int_t)job_id, "code", "nospace",
                         "transient", 1, "message", "the disk is full"));
  assert_int_equal(get_job(job_id).state, LVN_JOB_QUEUED);
  assert_int_equal(get_job(job_id).attempt, 0);
  assert_non_null(strstr(lvn_scheduler_problem(scheduler), "1 analyses wait"));
  lvn_json_lines_destroy(worker);
}

/* A worker in a process of its own, since it is killed. */
static pid_t start_hanging_worker(void) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    struct lvn_json_lines *worker = connect_worker(DIGEST);
    for (;;) {
      (void)worker;
      (void)pause();
    }
  }
  for (double until = lvn_clock_monotonic_seconds() + 10;
       lvn_scheduler_count_running(scheduler) == 0 && lvn_clock_monotonic_seconds() < until;) {
    (void)turn_loop();
  }
  assert_int_equal(lvn_scheduler_count_running(scheduler), 1);
  return pid;
}

static void assert_killed(pid_t pid) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_scheduler__kills_who_takes_too_long(void **state) {
  (void)state;
  config.job_seconds_max = 1;
  int64_t job_id = queue_job(DIGEST);
  pid_t pid = start_hanging_worker();
  int64_t due_ms = lvn_scheduler_tick(scheduler, lvn_tick_now_ms());
  assert_true(due_ms <= lvn_tick_now_ms() + 1100);
  lvn_clock_sleep_seconds(1.1);
  (void)lvn_scheduler_tick(scheduler, lvn_tick_now_ms());
  assert_killed(pid);
  assert_int_equal(lvn_scheduler_get_counts(scheduler).kills, 1);
  (void)turn_loop();
  assert_string_equal(get_job(job_id).error_code, "timeout");
}

static void test_scheduler__ends_a_job_whose_study_goes(void **state) {
  (void)state;
  int64_t job_id = queue_job(DIGEST);
  pid_t pid = start_hanging_worker();
  lvn_scheduler_end_job(scheduler, job_id + 1); /* nobody's */
  assert_int_equal(lvn_scheduler_count_running(scheduler), 1);
  lvn_scheduler_end_job(scheduler, job_id);
  assert_int_equal(lvn_scheduler_count_running(scheduler), 0);
  assert_killed(pid);
}

/* The outcome cannot be recorded: it is kept, said, and there when it can. */
static void test_scheduler__keeps_an_outcome_until_it_is_recorded(void **state) {
  char path[LVN_PATH_BYTES];
  char kept[LVN_PATH_BYTES];
  (void)state;
  int64_t job_id = queue_job(DIGEST);
  struct lvn_json_lines *worker = connect_worker(DIGEST);
  json_decref(take_job(worker));
  assert_good(lvn_path_join(path, folder, "results", &err));
  assert_good(lvn_path_join(kept, folder, "results-kept", &err));
  assert_int_equal(rename(path, kept), 0);
  put_obstacle("results"); /* job.json has no folder */
  send(worker, outcome(job_id, "waiting"));
  assert_non_null(strstr(lvn_scheduler_problem(scheduler), "cannot be recorded"));
  assert_int_equal(get_job(job_id).state, LVN_JOB_RUNNING); /* and the sweep leaves it */
  remove_obstacle("results");
  assert_int_equal(rename(kept, path), 0);
  int64_t due_ms = lvn_scheduler_tick(scheduler, lvn_tick_now_ms());
  assert_true(due_ms <= lvn_tick_now_ms() + 5000);
  lvn_clock_sleep_seconds(1e-3 * (double)(due_ms - lvn_tick_now_ms()) + 0.01);
  (void)lvn_scheduler_tick(scheduler, lvn_tick_now_ms());
  assert_int_equal(get_job(job_id).state, LVN_JOB_DONE);
  assert_string_equal(lvn_scheduler_problem(scheduler), "");
  lvn_json_lines_destroy(worker);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_scheduler__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(knows_the_model_of_who_greets),
      CASE(gives_a_job_out_and_records_its_outcome),
      CASE(a_worker_that_goes_or_lies_uses_up_an_attempt),
      CASE(a_job_is_of_one_model),
      CASE(ends_a_running_that_nobody_ends),
      CASE(gives_nothing_out_when_it_stops),
      CASE(what_the_node_cannot_do_waits),
      CASE(kills_who_takes_too_long),
      CASE(ends_a_job_whose_study_goes),
      CASE(keeps_an_outcome_until_it_is_recorded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
