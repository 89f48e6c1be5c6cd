/* Numbers as writers of DICOM put them, and what is none. */
#include "dicom/read/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

static enum lvn_number read(const char *text, double *ret_value) {
  *ret_value = -12345.0;
  return lvn_number_read(text, strlen(text), ret_value);
}

static void test_number__reads_what_the_standard_allows(void **unused) {
  (void)unused;
  const struct {
    const char *text;
    double value;
  } good[] = {{"1.30859", 1.30859},
              {" -12.5 ", -12.5},
              {"+3", 3},
              {"1e-3", 0.001},
              {"2.5E+01", 25},
              {".5", 0.5},
              {"5.", 5},
              {"-0", 0},
              {"007", 7},
              {"1.5\t", 1.5},
              {"-0.00000012345678901234567890", -0.0000001234567890123456789}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    double value = 0.0;
    assert_int_equal(read(good[i].text, &value), LVN_NUMBER_GOOD);
    assert_true(fabs(value - good[i].value) < 1e-12);
  }
  double value = 0.0;
  assert_int_equal(lvn_number_read("2.5\0\0", 5, &value), LVN_NUMBER_GOOD);
  assert_int_equal(lvn_number_read("7junk", 1, &value), LVN_NUMBER_GOOD); /* only the given bytes */
  assert_true(value == 7.0);
}

static void test_number__never_reads_a_prefix(void **unused) {
  (void)unused;
  const char *const bad[] = {"1.5mm", "1.5 2.5", "0x10",  "nan", "NaN",    "inf", "-Infinity", "1e400", "-1e999",
                             "1,5,0", "1.0,5",   "1.5.2", "--1", "1e",     "e5",  "+",         ".",     ",",
                             "1/2",   "1\\2",    "5'",    "1d3", "1.5e+x", "½",   "1_000"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    double value = 0.0;
    if (read(bad[i], &value) != LVN_NUMBER_BAD || value != -12345.0) {
      fail_msg("'%s' was read as %g", bad[i], value);
    }
  }
  double value = 0.0;
  assert_int_equal(lvn_number_read("1.5\0009", 5, &value), LVN_NUMBER_BAD);
  char digits[100];
  memset(digits, '1', sizeof digits);
  assert_int_equal(lvn_number_read(digits, sizeof digits, &value), LVN_NUMBER_BAD);
  assert_int_equal(read("", &value), LVN_NUMBER_EMPTY);
  assert_int_equal(read("   ", &value), LVN_NUMBER_EMPTY);
  assert_int_equal(lvn_number_read("\0\0", 2, &value), LVN_NUMBER_EMPTY);
}

static void test_number__comma_is_a_decimal_sign(void **unused) {
  (void)unused;
  double value = 0.0;
  assert_int_equal(read("1,30859", &value), LVN_NUMBER_COMMA);
  assert_true(fabs(value - 1.30859) < 1e-12);
  assert_int_equal(read("0,977", &value), LVN_NUMBER_COMMA);
  assert_int_equal(read("-1234,5e1", &value), LVN_NUMBER_COMMA);
  assert_true(fabs(value + 12345.0) < 1e-9);
  assert_int_equal(read("-1,024", &value), LVN_NUMBER_GROUPED);
  assert_true(fabs(value + 1.024) < 1e-12);
}

static void test_number__times(void **unused) {
  (void)unused;
  const struct {
    const char *text;
    bool is_datetime;
    double seconds;
  } times[] = {{"101530", false, 36930},
               {"101530.25 ", false, 36930.25},
               {"10:15:30.5", false, 36930.5},
               {"1015", false, -1},
               {"235960", false, 86400},
               {"20260102101530.5+0100", true, 36930.5},
               {"20260102101530", true, 36930},
               {"202601021015-0500", true, -1},
               {"101530x", false, -1},
               {"10153", false, -1},
               {"10", false, -1},
               {"251530", false, -1},
               {"106530", false, -1},
               {"101530.5.5", false, -1},
               {"101530\\101540", false, -1},
               {"nan", false, -1},
               {"", false, -1},
               {"20260102", true, -1},
               {"101530+0100", false, -1}};
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    double seconds = lvn_number_read_time(times[i].text, times[i].is_datetime);
    if (fabs(seconds - times[i].seconds) > 1e-9) {
      fail_msg("'%s' was read as %g s", times[i].text, seconds);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_number__reads_what_the_standard_allows),
      cmocka_unit_test(test_number__never_reads_a_prefix),
      cmocka_unit_test(test_number__comma_is_a_decimal_sign),
      cmocka_unit_test(test_number__times),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
