/* Notify by itself: what becomes an event, once, and what is in it. */
#include "tests/unit/daemon/module_fixture.h"

#include "daemon/pipeline/notify/notify.h"
#include "storage/outbox.h"
#include "storage/queue.h"

static struct lvn_notify *notify;
static size_t workers;

static size_t count_workers(void *user_data) {
  (void)user_data;
  return workers;
}

static void start(void) {
  const struct lvn_notify_needs needs = {
      .config = &config, .index = index_, .objects = objects, .count_workers = count_workers};
  assert_good(lvn_notify_create(&needs, &notify, &err));
}

static int set_up(void **state) {
  (void)state;
  open_store();
  workers = 1;
  (void)lvn_copy(config.ae_title, sizeof config.ae_title, "NODE");
  config.wait_warning_seconds = 60;
  config.webhook_count = 1;
  config.webhooks[0] = (struct lvn_config_webhook){.name = "RIS"};
  start();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_notify_destroy(notify);
  close_store();
  return 0;
}

static void tick(int64_t ahead_ms) {
  (void)lvn_notify_tick(notify, lvn_tick_now_ms() + ahead_ms);
  assert_string_equal(lvn_notify_problem(notify), "");
}

/* Rows of events; the newest event as JSON, or NULL. */
static size_t count_events(json_t **ret_newest) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  size_t events = 0;
  assert_good(lvn_outbox_list(index_, LVN_OUTBOX_ANY, 0, &rows, &count, &err));
  for (size_t i = 0; i < count; i++) {
    if (rows[i].kind == LVN_OUTBOX_EVENT) {
      if (events++ == 0 && ret_newest != NULL) {
        *ret_newest = json_load_file(rows[i].path, 0, NULL);
        assert_non_null(*ret_newest);
      }
    }
  }
  return events;
}

static const char *text_of(const json_t *event, const char *key) {
  const char *text = json_string_value(json_object_get(event, key));
  return text == NULL ? "" : text;
}

/* A finished job with two results for PACS. */
static void finish_job(void) {
  static const struct lvn_job_model model = {.name = "m", .version = "1", .digest = {7}};
  struct lvn_job job;
  bool found = false;
  const char *destination = "PACS";
  struct lvn_job_result results[2] = {{.path = "/r/1"}, {.path = "/r/2"}};
  (void)lvn_copy(results[0].sop_instance_uid, LVN_UID_BYTES, "1.1");
  (void)lvn_copy(results[1].sop_instance_uid, LVN_UID_BYTES, "1.2");
  take_study(0);
  assert_good(lvn_index_study_settle(index_, study_uid, &err) &&
              lvn_queue_create(index_, study_uid, &model, 1, &job.job_id, &err) &&
              lvn_queue_claim(index_, 1, 60000, &job, &found, &err));
  const struct lvn_job_finish finish = {.job_id = job.job_id,
                                        .outcome = LVN_OUTCOME_DONE,
                                        .status_message = "",
                                        .results = results,
                                        .result_count = 2,
                                        .destinations = &destination,
                                        .destination_count = 1,
                                        .now_ms = 1};
  assert_good(lvn_queue_finish(index_, &finish, &err));
}

static void send_results(enum lvn_send_verdict first, enum lvn_send_verdict second) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  assert_good(lvn_outbox_claim(index_, "PACS", 2, &rows, &count, &err));
  assert_int_equal(count, 2);
  for (size_t i = 0; i < 2; i++) {
    const struct lvn_outbox_finish finish = {
        .outbox_id = rows[i].outbox_id, .verdict = i == 0 ? first : second, .status_message = "so it is", .now_ms = 3};
    assert_good(lvn_outbox_finish(index_, &finish, &err));
    tick(0); /* between the objects nothing is told */
  }
}

static void test_notify__result_sent_once(void **state) {
  LVN_AUTOJSON json_t *event = NULL;
  (void)state;
  tick(0);
  finish_job();
  send_results(LVN_SEND_STORED, LVN_SEND_STORED);
  assert_int_equal(count_events(&event), 1);
  assert_string_equal(text_of(event, "event"), "result-sent");
  assert_string_equal(text_of(event, "destination"), "PACS");
  assert_string_equal(text_of(event, "study"), get_study().name);
  assert_string_equal(text_of(event, "node"), "NODE");
  assert_int_equal(json_integer_value(json_object_get(event, "objects")), 2);
  assert_null(json_object_get(event, "study_instance_uid"));
  assert_null(json_object_get(event, "patient_id"));
  /* A kill, and a new process on the same files, also where the cursor was not written. */
  lvn_notify_destroy(notify);
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/events/cursor", folder);
  assert_good(lvn_file_replace(path, "0\n", 2, 0600, &err));
  start();
  tick(0);
  assert_int_equal(count_events(NULL), 1);
}

static void test_notify__result_that_failed(void **state) {
  LVN_AUTOJSON json_t *event = NULL;
  (void)state;
  tick(0);
  finish_job();
  send_results(LVN_SEND_STORED, LVN_SEND_FAILED);
  assert_int_equal(count_events(&event), 1);
  assert_string_equal(text_of(event, "event"), "result-failed");
  assert_string_equal(text_of(event, "message"), "1 of 2 objects could not be delivered to PACS: so it is");
}

static void test_notify__identity_only_where_it_is_wanted(void **state) {
  LVN_AUTOJSON json_t *event = NULL;
  struct lvn_scan scan;
  (void)state;
  config.webhooks[0].include_identity = true;
  tick(0);
  finish_job();
  send_results(LVN_SEND_STORED, LVN_SEND_STORED);
  assert_int_equal(count_events(&event), 1);
  assert_good(lvn_scan_file(DATA "01.dcm", &scan, &err));
  assert_string_equal(text_of(event, "study_instance_uid"), study_uid);
  assert_string_equal(text_of(event, "patient_id"), scan.patient_id);
}

static void test_notify__only_wanted_events(void **state) {
  (void)state;
  (void)lvn_copy(config.webhooks[0].events, sizeof config.webhooks[0].events, "result-failed, disk-low");
  tick(0);
  finish_job();
  send_results(LVN_SEND_STORED, LVN_SEND_STORED);
  assert_int_equal(count_events(NULL), 0);
}

static void test_notify__study_that_waits_long(void **state) {
  LVN_AUTOJSON json_t *event = NULL;
  (void)state;
  take_study(30000);
  assert_good(lvn_index_study_wait(index_, study_uid, "waiting for the arterial phase", &err));
  tick(0);
  assert_int_equal(count_events(NULL), 0); /* not yet */
  config.wait_warning_seconds = 10;
  tick(20000);
  tick(40000);
  assert_int_equal(count_events(&event), 1);
  assert_string_equal(text_of(event, "event"), "study-waits");
  assert_string_equal(text_of(event, "message"), "waiting for the arterial phase");
}

static void test_notify__disk_and_worker(void **state) {
  LVN_AUTOJSON json_t *event = NULL;
  LVN_AUTOJSON json_t *second = NULL;
  (void)state;
  config.spool_warning_bytes = UINT64_MAX / 4;
  tick(0);
  tick(20000);
  assert_int_equal(count_events(&event), 1);
  assert_string_equal(text_of(event, "event"), "disk-low");
  workers = 0;
  tick(40000);
  assert_int_equal(count_events(NULL), 1); /* it may be starting */
  tick(120000);
  tick(180000);
  assert_int_equal(count_events(&second), 2);
  assert_string_equal(text_of(second, "event"), "worker-down");
}

/* Nobody hears of what was before there was a webhook. */
static void test_notify__webhook_that_is_new(void **state) {
  (void)state;
  config.webhook_count = 0;
  finish_job();
  send_results(LVN_SEND_STORED, LVN_SEND_STORED);
  config.webhook_count = 1;
  tick(0);
  tick(0);
  assert_int_equal(count_events(NULL), 0);
}

/* What waited to be told waits again. */
static void test_notify__index_that_was_made_again(void **state) {
  struct lvn_index *fresh = NULL;
  char path[LVN_PATH_BYTES];
  (void)state;
  tick(0);
  finish_job();
  send_results(LVN_SEND_STORED, LVN_SEND_STORED);
  lvn_notify_destroy(notify);
  lvn_index_close(index_);
  (void)snprintf(path, sizeof path, "%s/index.sqlite", folder);
  assert_int_equal(unlink(path), 0);
  assert_good(lvn_index_open(folder, 2, &fresh, &err));
  index_ = fresh;
  start();
  tick(0);
  assert_int_equal(count_events(NULL), 1);
}

static void test_notify__old_events_go(void **state) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  LVN_AUTOFREE struct lvn_outbox_row *left = NULL;
  size_t count = 0;
  char path[LVN_PATH_BYTES];
  (void)state;
  (void)snprintf(path, sizeof path, "%s/old.json", folder);
  assert_good(lvn_file_replace(path, "{}", 2, 0600, &err));
  const struct lvn_outbox_event event = {.path = path, .destination = "webhook:RIS", .now_ms = 1};
  assert_good(lvn_outbox_add_event(index_, &event, &err));
  tick(0);
  assert_true(lvn_file_exists(path)); /* it still has to be sent */
  assert_good(lvn_outbox_claim(index_, "webhook:RIS", 2, &rows, &count, &err));
  const struct lvn_outbox_finish finish = {
      .outbox_id = rows[0].outbox_id, .verdict = LVN_SEND_STORED, .status_message = "told", .now_ms = 3};
  assert_good(lvn_outbox_finish(index_, &finish, &err));
  tick(2 * 3600 * 1000);
  assert_false(lvn_file_exists(path));
  assert_good(lvn_outbox_list(index_, LVN_OUTBOX_ANY, 0, &left, &count, &err));
  assert_int_equal(count, 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_notify__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(result_sent_once),    CASE(result_that_failed),        CASE(identity_only_where_it_is_wanted),
      CASE(only_wanted_events),  CASE(study_that_waits_long),     CASE(disk_and_worker),
      CASE(webhook_that_is_new), CASE(index_that_was_made_again), CASE(old_events_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
