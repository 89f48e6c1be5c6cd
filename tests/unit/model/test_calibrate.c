/* Calibration against scipy and scikit-learn: tests/data/stats/make.py made golden.json of them. */
#include "base/memory.h"
#include "model/tensor/json.h"
#include "model/train/calibrate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CASES 90
#define TOLERANCE 1e-10

static json_t *golden;
static double cosine[CASES][LVN_CLASS_COUNT];
static double probability[CASES][LVN_CLASS_COUNT];
static size_t label[CASES];

static double number(const json_t *value) {
  return json_is_number(value) ? json_number_value(value) : json_is_null(value) ? NAN : INFINITY;
}

static double member(const json_t *object, const char *key) {
  assert_non_null(json_object_get(object, key));
  return number(json_object_get(object, key));
}

static void assert_near(double found, double expected) {
  if (isnan(expected) || isinf(expected)) {
    assert_true(isnan(expected) ? (int)isnan(found) : found == expected);
    return;
  }
  if (!(fabs(found - expected) <= TOLERANCE * fmax(1.0, fabs(expected)))) {
    print_error("found %.17g, expected %.17g\n", found, expected);
    fail();
  }
}

/* `rest`: of what is no class of these answers. */
static void read_rows(const json_t *array, double rest, double (*ret_rows)[LVN_CLASS_COUNT]) {
  assert_int_equal(json_array_size(array), CASES);
  for (size_t i = 0; i < CASES * LVN_CLASS_PAPER_COUNT; i++) {
    const json_t *row = json_array_get(array, i / LVN_CLASS_PAPER_COUNT);
    for (size_t c = LVN_CLASS_PAPER_COUNT; c < LVN_CLASS_COUNT; c++) {
      ret_rows[i / LVN_CLASS_PAPER_COUNT][c] = rest;
    }
    ret_rows[i / LVN_CLASS_PAPER_COUNT][i % LVN_CLASS_PAPER_COUNT] =
        number(json_array_get(row, i % LVN_CLASS_PAPER_COUNT));
  }
}

static int set_up(void **state) {
  (void)state;
  struct lvn_error err = {0};
  golden = lvn_json_read(LVN_TEST_DATA "/stats/golden.json", 1U << 24U, &err);
  if (golden == NULL) {
    return -1;
  }
  read_rows(json_object_get(golden, "cosine"), -INFINITY, cosine);
  read_rows(json_object_get(json_object_get(golden, "calibration"), "probability"), 0.0, probability);
  for (size_t i = 0; i < CASES; i++) {
    label[i] = (size_t)json_integer_value(json_array_get(json_object_get(golden, "label"), i));
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  json_decref(golden);
  return 0;
}

static const double (*rows(double (*values)[LVN_CLASS_COUNT]))[LVN_CLASS_COUNT] {
  return (const double(*)[LVN_CLASS_COUNT])values;
}

static void test_calibrate__temperature_and_reliability(void **state) {
  (void)state;
  const json_t *expected = json_object_get(golden, "calibration");
  struct lvn_reliability_bin bins[LVN_CALIBRATE_BINS];
  double scale = member(expected, "scale");
  double temperature = lvn_calibrate_temperature(rows(cosine), label, CASES, scale);
  assert_near(temperature, member(expected, "temperature"));
  for (size_t i = 0; i < CASES; i++) {
    double row[LVN_CLASS_COUNT];
    lvn_calibrate_softmax(cosine[i], scale / temperature, row);
    for (size_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
      assert_near(row[c], probability[i][c]);
    }
  }
  lvn_calibrate_reliability(rows(probability), label, CASES, LVN_CALIBRATE_BINS, bins);
  for (size_t b = 0; b < LVN_CALIBRATE_BINS; b++) {
    const json_t *bin = json_array_get(json_object_get(expected, "bins"), b);
    assert_int_equal(bins[b].count, json_integer_value(json_array_get(bin, 0)));
    assert_near(bins[b].confidence, number(json_array_get(bin, 1)));
    assert_near(bins[b].accuracy, number(json_array_get(bin, 2)));
  }
  assert_near(lvn_calibrate_ece(rows(probability), label, CASES), member(expected, "ece"));
  assert_near(lvn_calibrate_adaptive_ece(rows(probability), label, CASES), member(expected, "adaptive_ece"));
  assert_near(lvn_calibrate_brier(rows(probability), label, CASES), member(expected, "brier"));
  assert_near(lvn_calibrate_log_loss(rows(probability), label, CASES), member(expected, "log_loss"));
}

static void test_calibrate__temperature_at_its_bounds(void **state) {
  (void)state;
  double separated[4][LVN_CLASS_COUNT] = {{0.9, 0, 0, 0}, {0, 0.9, 0, 0}, {0, 0, 0.9, 0}, {0, 0, 0, 0.9}};
  for (size_t i = 0; i < 4; i++) {
    for (size_t c = 4; c < LVN_CLASS_COUNT; c++) {
      separated[i][c] = -INFINITY;
    }
  }
  const size_t right[4] = {0, 1, 2, 3};
  const size_t wrong[4] = {1, 2, 3, 0};
  assert_near(lvn_calibrate_temperature(rows(separated), right, 4, 1.0), 0.002);
  assert_near(lvn_calibrate_temperature(rows(separated), wrong, 4, 1.0), 10.0);
}

/* Nine cases with 1 - p(truth) of 0.1 to 0.9: for 80 % the eighth of them, (9 + 1) x 0.8; for 95 % they are too few. */
static void test_calibrate__conformal_limit_is_the_right_case(void **state) {
  double chance[9][LVN_CLASS_COUNT] = {{0}};
  size_t truth[9] = {0};
  (void)state;
  for (size_t i = 0; i < 9; i++) {
    chance[(i * 4) % 9][1] = 1.0 - 0.1 * (double)(i + 1);
    truth[i] = 1;
  }
  const double(*rows)[LVN_CLASS_COUNT] = (const double(*)[LVN_CLASS_COUNT])chance;
  assert_true(fabs(lvn_calibrate_conformal(rows, truth, 9, 0.8) - 0.8) < 1e-12);
  assert_true(isnan(lvn_calibrate_conformal(rows, truth, 9, 0.95)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_calibrate__temperature_and_reliability),
      cmocka_unit_test(test_calibrate__temperature_at_its_bounds),
      cmocka_unit_test(test_calibrate__conformal_limit_is_the_right_case),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
