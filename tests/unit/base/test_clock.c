/* Times as DICOM and people write them: local, as scanners do. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#define WINTER_MS 1795320000123 /* 2026-11-22 04:00:00.123 UTC */
#define SUMMER_MS 1784678400007 /* 2026-07-22 00:00:00.007 UTC */

static int in_central_europe(void **state) {
  (void)state;
  (void)setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
  tzset();
  return 0;
}

static void test_clock__dicom_times_are_local(void **state) {
  char text[LVN_TIME_TEXT_BYTES];
  (void)state;
  lvn_clock_format_da(WINTER_MS, text);
  assert_string_equal(text, "20261122");
  lvn_clock_format_tm(WINTER_MS, text);
  assert_string_equal(text, "050000.123000");
  lvn_clock_format_dt(WINTER_MS, text);
  assert_string_equal(text, "20261122050000.123000+0100");
  lvn_clock_format_da(SUMMER_MS - 3600000, text);
  assert_string_equal(text, "20260722"); /* another day than in UTC */
  lvn_clock_format_tm(SUMMER_MS, text);
  assert_string_equal(text, "020000.007000");
  lvn_clock_format_dt(SUMMER_MS, text);
  assert_string_equal(text, "20260722020000.007000+0200");
  lvn_clock_format_people(SUMMER_MS, text);
  assert_string_equal(text, "2026-07-22 02:00:00");
}

static void test_clock__logs_are_in_utc(void **state) {
  char text[LVN_TIME_TEXT_BYTES];
  (void)state;
  lvn_clock_format_utc(SUMMER_MS, text);
  assert_string_equal(text, "2026-07-22T00:00:00.007Z");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clock__dicom_times_are_local),
      cmocka_unit_test(test_clock__logs_are_in_utc),
  };
  return cmocka_run_group_tests(tests, in_central_europe, NULL);
}
