/* Fetch by itself: nothing to ask, an archive that is away, and what an operator may order. */
#include "tests/unit/daemon/module_fixture.h"

#include "base/loop/loop.h"
#include "daemon/pipeline/fetch/fetch.h"

static struct lvn_loop *loop;
static struct lvn_fetch *fetch;

static int set_up(void **state) {
  (void)state;
  open_store();
  config.fetch_attempts_max = 3;
  config.fetch_first_seconds = 60;
  config.fetch_max_seconds = 60;
  config.fetch_objects_max = 100;
  config.fetch_bytes_max = 1U << 30;
  config.connect_seconds = 1;
  config.dimse_seconds = 1;
  assert_good(lvn_loop_create(&loop, &err));
  const struct lvn_fetch_needs needs = {.config = &config, .index = index_, .spool = spool, .loop = loop};
  assert_good(lvn_fetch_create(&needs, &fetch, &err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_fetch_destroy(fetch);
  lvn_loop_destroy(loop);
  close_store();
  return 0;
}

/* The sender of the fixture's objects, and an archive at a port that nobody listens on. */
static void add_archive(void) {
  config.peer_count = 2;
  config.peers[0] = (struct lvn_config_peer){
      .name = "sender", .aet = "PACS", .addresses = "127.0.0.1", .may_send = true, .query_from = "archive"};
  config.peers[1] =
      (struct lvn_config_peer){.name = "archive", .aet = "ARCHIVE", .host = "127.0.0.1", .port = 1, .retrieve = "move"};
}

static void test_fetch__is_never_due_without_an_archive(void **state) {
  (void)state;
  take_study(0);
  assert_good(lvn_index_study_wait(index_, study_uid, "waiting for a phase", &err));
  assert_int_equal(lvn_fetch_tick(fetch, lvn_tick_now_ms()), LVN_TICK_NEVER);
  assert_string_equal(lvn_fetch_problem(fetch), "");
}

static void test_fetch__an_archive_that_is_away_is_told_and_left_alone(void **state) {
  (void)state;
  add_archive();
  take_study(5000);
  assert_good(lvn_index_study_wait(index_, study_uid, "waiting for a phase", &err));
  const double until = lvn_clock_monotonic_seconds() + 20;
  while (strstr(get_study().status_message, "connection refused") == NULL) {
    assert_true(lvn_clock_monotonic_seconds() < until);
    (void)lvn_fetch_tick(fetch, lvn_tick_now_ms());
    assert_good(lvn_loop_wait(loop, 50, &err));
  }
  assert_non_null(strstr(get_study().status_message, "waiting for a phase; asked archive at "));
  const int64_t now_ms = lvn_tick_now_ms() + 2000;
  assert_true(lvn_fetch_tick(fetch, now_ms) > lvn_tick_now_ms() + 30000);
  assert_string_equal(lvn_fetch_problem(fetch), "");
}

static void test_fetch__an_operator_names_whom_to_ask(void **state) {
  const char *peer_name = NULL;
  (void)state;
  assert_false(lvn_fetch_study(fetch, "1.2.3", NULL, &peer_name, &err)); /* nobody to ask */
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  add_archive();
  assert_false(lvn_fetch_study(fetch, "no-uid", NULL, &peer_name, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_false(lvn_fetch_study(fetch, "1.2.3", "nobody", &peer_name, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  assert_false(lvn_fetch_study(fetch, "1.2.3", "sender", &peer_name, &err)); /* has no port */
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  assert_good(lvn_fetch_study(fetch, "1.2.3", NULL, &peer_name, &err));
  assert_string_equal(peer_name, "archive");
  take_study(0);
  assert_good(lvn_fetch_study(fetch, get_study().name, "archive", &peer_name, &err));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(test_fetch__is_never_due_without_an_archive),
                                     CASE(test_fetch__an_archive_that_is_away_is_told_and_left_alone),
                                     CASE(test_fetch__an_operator_names_whom_to_ask)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
