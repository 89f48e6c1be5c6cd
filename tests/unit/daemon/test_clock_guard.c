/* Clocks that are set, machines that were off, and what retention may believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/pipeline/retention/clock_guard.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define START (50 * YEAR)

static struct lvn_clock_guard guard;
static struct lvn_clock_reading now;

static void boot(const char *boot_id, int64_t wall_ms) {
  now = (struct lvn_clock_reading){.wall_ms = wall_ms, .boot_ms = 60000};
  (void)snprintf(now.boot_id, sizeof now.boot_id, "%s", boot_id);
  guard.is_started = false;
  lvn_clock_guard_start(&guard, &now, 0, 7 * DAY);
}

static bool pass(int64_t real_ms) {
  now.wall_ms += real_ms;
  now.boot_ms += real_ms;
  return lvn_clock_guard_check(&guard, &now);
}

static bool jump(int64_t wall_ms) {
  now.wall_ms += wall_ms;
  return pass(60000);
}

static int set_up(void **state) {
  (void)state;
  memset(&guard, 0, sizeof guard);
  boot("a", START);
  return 0;
}

static void test_clock_guard__even_time_is_believed(void **state) {
  (void)state;
  for (int day = 0; day < 100; day++) {
    assert_true(pass(DAY));
    assert_true(jump(20 * 60000)); /* NTP, a daily correction */
  }
  assert_true(lvn_clock_guard_allows(&guard, now.wall_ms - 30 * DAY));
}

static void test_clock_guard__jumps_hold_back_and_pass(void **state) {
  static const int64_t jumps[] = {12 * YEAR, -12 * YEAR, 2 * HOUR, -2 * HOUR, 31 * DAY, 400 * DAY};
  (void)state;
  for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
    (void)set_up(NULL);
    assert_false(jump(jumps[i]));
    assert_false(lvn_clock_guard_allows(&guard, now.wall_ms - 30 * DAY));
    assert_false(pass(23 * HOUR));
    assert_true(jump(-jumps[i])); /* back: nothing has happened */
    assert_true(lvn_clock_guard_allows(&guard, now.wall_ms - 30 * DAY));
  }
}

static void test_clock_guard__a_new_time_counts_from_where_it_was_believed(void **state) {
  (void)state;
  assert_false(jump(12 * YEAR));
  for (int hour = 0; hour < 23; hour++) {
    assert_false(pass(HOUR));
  }
  assert_true(pass(2 * HOUR));
  assert_false(lvn_clock_guard_allows(&guard, now.wall_ms - 30 * DAY)); /* all that is there may be of yesterday */
  for (int day = 0; day < 31; day++) {
    assert_true(pass(DAY));
  }
  assert_true(lvn_clock_guard_allows(&guard, now.wall_ms - 30 * DAY));
}

static void test_clock_guard__a_clock_that_keeps_jumping_is_never_believed(void **state) {
  (void)state;
  assert_false(jump(YEAR));
  for (int i = 0; i < 20; i++) {
    assert_false(pass(20 * HOUR));
    assert_false(jump(YEAR));
  }
}

static void test_clock_guard__small_steps_do_not_add_up(void **state) {
  (void)state;
  bool held = false;
  for (int minute = 0; minute < 60; minute++) {
    held = held || !jump(10 * 60000); /* ten hours in an hour */
  }
  assert_true(held);
}

static void test_clock_guard__short_nights_need_no_explanation(void **state) {
  (void)state;
  assert_true(pass(DAY));
  boot("b", now.wall_ms + 3 * DAY);
  assert_false(guard.suspects);
  assert_true(lvn_clock_guard_allows(&guard, now.wall_ms - 30 * DAY));
}

static void test_clock_guard__months_off_or_a_clock_without_battery_hold_back(void **state) {
  static const int64_t away[] = {90 * DAY, 12 * YEAR, -4 * DAY, -30 * YEAR, 8 * DAY};
  (void)state;
  for (size_t i = 0; i < sizeof away / sizeof away[0]; i++) {
    (void)set_up(NULL);
    boot("b", now.wall_ms + away[i]);
    assert_true(guard.suspects);
    assert_false(pass(23 * HOUR));
    boot("c", now.wall_ms + HOUR); /* another start does not make it true */
    assert_true(guard.suspects);
    assert_false(pass(HOUR));
    assert_false(pass(HOUR));
    for (int hour = 0; hour < 22; hour++) {
      (void)pass(HOUR);
    }
    assert_true(pass(HOUR));
    assert_false(lvn_clock_guard_allows(&guard, now.wall_ms - 30 * DAY));
  }
}

static void test_clock_guard__the_first_start_asks_the_index(void **state) {
  (void)state;
  memset(&guard, 0, sizeof guard);
  now = (struct lvn_clock_reading){.wall_ms = START, .boot_ms = 1, .boot_id = "a"};
  lvn_clock_guard_start(&guard, &now, START - 2 * DAY, 7 * DAY);
  assert_false(guard.suspects);
  memset(&guard, 0, sizeof guard);
  lvn_clock_guard_start(&guard, &now, START - 2 * YEAR, 7 * DAY);
  assert_true(guard.suspects);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup(test_clock_guard__##name, set_up)
  const struct CMUnitTest tests[] = {
      CASE(even_time_is_believed),
      CASE(jumps_hold_back_and_pass),
      CASE(a_new_time_counts_from_where_it_was_believed),
      CASE(a_clock_that_keeps_jumping_is_never_believed),
      CASE(small_steps_do_not_add_up),
      CASE(short_nights_need_no_explanation),
      CASE(months_off_or_a_clock_without_battery_hold_back),
      CASE(the_first_start_asks_the_index),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
