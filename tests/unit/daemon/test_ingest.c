/* Ingest by itself: what is taken, what is held and tried again, what is set aside. */
#include "tests/unit/daemon/module_fixture.h"

static int set_up(void **state) {
  (void)state;
  open_store();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  close_store();
  return 0;
}

static int64_t tick(void) {
  return lvn_ingest_tick(ingest, lvn_tick_now_ms());
}

static void test_ingest__takes_what_waits(void **state) {
  (void)state;
  assert_int_equal(tick(), LVN_TICK_NEVER); /* nothing waits, nothing is due */
  receive("01.dcm", 0);
  receive("02.dcm", 0);
  assert_int_equal(count_waiting(), 2);
  assert_int_equal(tick(), LVN_TICK_NEVER);
  assert_int_equal(count_waiting(), 0);
  assert_int_equal(get_study().object_count, 2);
  assert_string_equal(lvn_ingest_problem(ingest), "");
  struct lvn_ingest_counts counts = lvn_ingest_get_counts(ingest);
  assert_int_equal(counts.objects_stored, 2);
  assert_true(counts.bytes_stored > 100000);
  assert_int_equal(counts.objects_refused, 0);
}

static void test_ingest__same_bytes_again_are_no_new_object(void **state) {
  (void)state;
  take("01.dcm", 0);
  take("01.dcm", 0);
  assert_int_equal(count_waiting(), 0);
  assert_int_equal(get_study().object_count, 1);
  assert_int_equal(lvn_ingest_get_counts(ingest).objects_stored, 1);
}

static void write_file(const char *name, const char *text) {
  char path[LVN_PATH_BYTES];
  assert_good(lvn_path_join(path, folder, name, &err));
  assert_good(lvn_file_replace(path, text, strlen(text), 0600, &err));
}

#define DIGEST_OF_NOTHING "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* As if it had been received: its record says nothing that can be read either. */
static void write_unreadable(void) {
  write_file("objects/01/" DIGEST_OF_NOTHING ".dcm", "no object");
  write_file("objects/01/" DIGEST_OF_NOTHING "-0000000000000000001-1-a-192.0.2.7-CT1.waiting", "");
  write_file("spool/new/0000000000000000001-" DIGEST_OF_NOTHING "-no-record.new", "");
}

static void test_ingest__sets_aside_what_is_no_object(void **state) {
  char path[LVN_PATH_BYTES];
  (void)state;
  write_unreadable();
  receive("01.dcm", 0);
  (void)tick();
  assert_int_equal(count_waiting(), 0);
  assert_int_equal(get_study().object_count, 1);
  assert_int_equal(lvn_ingest_get_counts(ingest).objects_refused, 1);
  assert_good(lvn_path_join(path, folder, "unreadable/" DIGEST_OF_NOTHING ".dcm", &err));
  assert_true(lvn_file_exists(path));
  assert_string_equal(lvn_ingest_problem(ingest), "");
}

/* It stays, says so, is due again, and holds up no other. */
static void test_ingest__holds_what_it_cannot_set_aside(void **state) {
  (void)state;
  put_obstacle("unreadable");
  write_unreadable();
  int64_t before_ms = lvn_tick_now_ms();
  int64_t due_ms = tick();
  assert_in_range(due_ms - before_ms, 1000, 60000);
  assert_non_null(strstr(lvn_ingest_problem(ingest), "stay in the spool"));
  assert_int_equal(count_waiting(), 1);
  receive("01.dcm", 0);
  due_ms = tick();
  assert_true(due_ms != LVN_TICK_NEVER);
  assert_int_equal(count_waiting(), 1);
  assert_int_equal(get_study().object_count, 1);
  assert_non_null(strstr(lvn_ingest_problem(ingest), "stay in the spool"));
  assert_false(lvn_ingest_holds_study(ingest, study_uid)); /* nobody knows whose it is */
  remove_obstacle("unreadable");
  lvn_clock_sleep_seconds(1e-3 * (double)(due_ms - lvn_tick_now_ms()) + 0.01);
  assert_int_equal(tick(), LVN_TICK_NEVER);
  assert_int_equal(count_waiting(), 0);
  assert_string_equal(lvn_ingest_problem(ingest), "");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_ingest__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(takes_what_waits),
      CASE(same_bytes_again_are_no_new_object),
      CASE(sets_aside_what_is_no_object),
      CASE(holds_what_it_cannot_set_aside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
