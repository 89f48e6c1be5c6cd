/* The statistics against scipy, scikit-learn and statsmodels: tests/data/stats/make.py made golden.json of them. */
#include "base/memory.h"
#include "model/stats/compare.h"
#include "model/stats/conformal.h"
#include "model/stats/distribution.h"
#include "model/stats/figures.h"
#include "model/stats/mahalanobis.h"
#include "model/stats/roc.h"
#include "model/stats/selective.h"
#include "model/tensor/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CASES 90
#define TOLERANCE 1e-10

static json_t *golden;
static double probability[CASES][LVN_CLASS_COUNT];
static double other[CASES][LVN_CLASS_COUNT];
static size_t label[CASES];
static size_t patient[CASES];

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

static size_t read_numbers(const json_t *array, double *ret_values, size_t most) {
  assert_true(json_is_array(array) && json_array_size(array) <= most);
  for (size_t i = 0; i < json_array_size(array); i++) {
    ret_values[i] = number(json_array_get(array, i));
  }
  return json_array_size(array);
}

static void read_rows(const json_t *array, double (*ret_rows)[LVN_CLASS_COUNT]) {
  assert_int_equal(json_array_size(array), CASES);
  for (size_t i = 0; i < CASES; i++) {
    assert_int_equal(read_numbers(json_array_get(array, i), ret_rows[i], LVN_CLASS_PAPER_COUNT), LVN_CLASS_PAPER_COUNT);
  }
}

static int set_up(void **state) {
  (void)state;
  struct lvn_error err = {0};
  golden = lvn_json_read(LVN_TEST_DATA "/stats/golden.json", 1U << 24U, &err);
  if (golden == NULL) {
    return -1;
  }
  read_rows(json_object_get(json_object_get(golden, "calibration"), "probability"), probability);
  read_rows(json_object_get(golden, "other"), other);
  for (size_t i = 0; i < CASES; i++) {
    label[i] = (size_t)json_integer_value(json_array_get(json_object_get(golden, "label"), i));
    patient[i] = (size_t)json_integer_value(json_array_get(json_object_get(golden, "patient"), i));
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

static struct lvn_sample all_cases(double (*values)[LVN_CLASS_COUNT]) {
  return (struct lvn_sample){.count = CASES,
                             .label = label,
                             .probability = rows(values),
                             .patient = patient,
                             .patient_count = patient[CASES - 1] + 1};
}

static void assert_figures(const struct lvn_figures *found, const json_t *expected) {
  double values[LVN_FIGURE_COUNT];
  double wanted[3 + 2 * LVN_CLASS_PAPER_COUNT];
  size_t f = 0;
  memcpy(values, found, sizeof values);
  assert_int_equal(read_numbers(expected, wanted, 3 + 2 * LVN_CLASS_PAPER_COUNT), 3 + 2 * LVN_CLASS_PAPER_COUNT);
  for (size_t i = 0; i < LVN_FIGURE_COUNT; i++) {
    if (i >= 3 && (i - 3) % LVN_CLASS_COUNT >= LVN_CLASS_PAPER_COUNT) {
      assert_true(isnan(values[i]) || values[i] == 0.0); /* of a class that these answers do not have */
    } else {
      assert_near(values[i], wanted[f++]);
    }
  }
}

static void test_distribution__quantiles_and_tails(void **state) {
  (void)state;
  size_t i = 0;
  json_t *row = NULL;
  json_array_foreach(json_object_get(golden, "quantiles"), i, row) {
    double p = member(row, "p");
    assert_near(lvn_stats_normal_quantile(p), member(row, "normal"));
    assert_near(lvn_stats_t_quantile(p, 4.0), member(row, "t4"));
    assert_near(lvn_stats_beta_quantile(p, 3.5, 80.0), member(row, "beta"));
  }
  json_array_foreach(json_object_get(golden, "tails"), i, row) {
    double x = member(row, "x");
    assert_near(lvn_stats_normal_two_sided(x), member(row, "normal"));
    assert_near(lvn_stats_normal_two_sided(-x), member(row, "normal"));
    assert_near(lvn_stats_t_two_sided(x, 4.0), member(row, "t4"));
  }
}

static void test_distribution__intervals_of_a_proportion(void **state) {
  (void)state;
  size_t i = 0;
  json_t *row = NULL;
  json_array_foreach(json_object_get(golden, "intervals"), i, row) {
    size_t hits = (size_t)json_integer_value(json_object_get(row, "hits"));
    size_t count = (size_t)json_integer_value(json_object_get(row, "count"));
    struct lvn_interval wilson = lvn_stats_wilson(hits, count, LVN_STATS_LEVEL);
    struct lvn_interval exact = lvn_stats_clopper_pearson(hits, count, LVN_STATS_LEVEL);
    assert_near(wilson.low, number(json_array_get(json_object_get(row, "wilson"), 0)));
    assert_near(wilson.high, number(json_array_get(json_object_get(row, "wilson"), 1)));
    assert_near(exact.low, number(json_array_get(json_object_get(row, "clopper_pearson"), 0)));
    assert_near(exact.high, number(json_array_get(json_object_get(row, "clopper_pearson"), 1)));
  }
  assert_true(isnan(lvn_stats_wilson(0, 0, LVN_STATS_LEVEL).low));
}

static void test_distribution__paper_always_hem_row(void **state) {
  (void)state;
  /* Table 1's slices per fold: what a model that always says HEM gets. The paper prints 20.54 +- 5.61. */
  const double hem[5] = {21.0 / 95.0, 33.0 / 110.0, 17.0 / 97.0, 19.0 / 95.0, 12.0 / 92.0};
  struct lvn_spread spread = lvn_stats_population_spread(hem, 5);
  assert_true(fabs(100.0 * spread.mean - 20.53) < 0.01);
  assert_true(fabs(100.0 * spread.deviation - 5.61) < 0.01);
}

static void test_figures__as_scikit_learn(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_figures figures;
  struct lvn_sample cases = all_cases(probability);
  size_t confusion[LVN_CLASS_COUNT][LVN_CLASS_COUNT];
  assert_true(lvn_stats_figures(&cases, &figures, &err));
  assert_figures(&figures, json_object_get(golden, "figures"));
  lvn_stats_confusion(&cases, confusion);
  size_t right = 0;
  size_t total = 0;
  for (size_t truth = 0; truth < LVN_CLASS_PAPER_COUNT; truth++) {
    right += confusion[truth][truth];
    for (size_t answer = 0; answer < LVN_CLASS_PAPER_COUNT; answer++) {
      total += confusion[truth][answer];
    }
  }
  assert_int_equal(total, CASES);
  assert_near((double)right / CASES, figures.accuracy);
}

static void assert_intervals(const struct lvn_figure_intervals *found, const json_t *expected) {
  assert_figures(&found->low, json_object_get(expected, "low"));
  assert_figures(&found->high, json_object_get(expected, "high"));
  assert_figures(&found->defined, json_object_get(expected, "defined"));
}

static struct lvn_bootstrap_options bootstrap_options(const json_t *of) {
  return (struct lvn_bootstrap_options){.resamples = (size_t)json_integer_value(json_object_get(of, "resamples")),
                                        .seed = (uint64_t)json_integer_value(json_object_get(of, "seed")),
                                        .level = LVN_STATS_LEVEL};
}

static void test_figures__bootstrap_over_patients(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_figure_intervals intervals;
  const json_t *expected = json_object_get(golden, "bootstrap");
  struct lvn_bootstrap_options options = bootstrap_options(expected);
  struct lvn_sample cases = all_cases(probability);
  assert_true(lvn_stats_bootstrap(&cases, &options, &intervals, &err));
  assert_intervals(&intervals, expected);
  cases.count = 0;
  assert_false(lvn_stats_bootstrap(&cases, &options, &intervals, &err));
}

static void test_figures__bootstrap_without_a_class(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_figure_intervals intervals;
  const json_t *expected = json_object_get(golden, "few");
  struct lvn_bootstrap_options options = bootstrap_options(expected);
  struct lvn_sample cases = all_cases(probability);
  cases.count = json_array_size(json_object_get(expected, "cases")); /* the first ones: patients are sorted */
  cases.patient_count = 4;
  assert_int_equal(json_integer_value(json_array_get(json_object_get(expected, "cases"), cases.count - 1)),
                   cases.count - 1);
  assert_true(lvn_stats_bootstrap(&cases, &options, &intervals, &err));
  assert_intervals(&intervals, expected);
}

static void test_figures__bootstrap_of_a_difference(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_figure_intervals intervals;
  struct lvn_figures p;
  const json_t *expected = json_object_get(golden, "difference");
  struct lvn_bootstrap_options options = bootstrap_options(expected);
  struct lvn_sample a = all_cases(probability);
  struct lvn_sample b = all_cases(other);
  assert_true(lvn_stats_bootstrap_difference(&a, &b, &options, &intervals, &p, &err));
  assert_intervals(&intervals, expected);
  assert_figures(&p, json_object_get(expected, "p"));
  b.count--;
  assert_false(lvn_stats_bootstrap_difference(&a, &b, &options, &intervals, &p, &err));
}

static void test_roc__delong(void **state) {
  (void)state;
  struct lvn_error err = {0};
  double a[CASES];
  double b[CASES];
  bool is_positive[CASES];
  for (size_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    const json_t *expected = json_array_get(json_object_get(golden, "delong"), c);
    struct lvn_delong found;
    for (size_t i = 0; i < CASES; i++) {
      a[i] = probability[i][c];
      b[i] = other[i][c];
      is_positive[i] = label[i] == c;
    }
    assert_true(lvn_stats_delong(a, b, is_positive, CASES, &found, &err));
    assert_near(found.auc_a, member(expected, "auc_a"));
    assert_near(found.auc_b, member(expected, "auc_b"));
    assert_near(found.variance_a, member(expected, "variance_a"));
    assert_near(found.variance_b, member(expected, "variance_b"));
    assert_near(found.covariance, member(expected, "covariance"));
    assert_near(found.z, member(expected, "z"));
    assert_near(found.p, member(expected, "p"));
    assert_true(lvn_stats_delong(a, a, is_positive, CASES, &found, &err));
    assert_near(found.p, 1.0);
  }
  memset(is_positive, 0, sizeof is_positive);
  struct lvn_delong found;
  assert_false(lvn_stats_delong(a, b, is_positive, CASES, &found, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

static void test_roc__curve(void **state) {
  (void)state;
  struct lvn_error err = {0};
  const json_t *expected = json_object_get(golden, "roc");
  double score[CASES];
  bool is_positive[CASES];
  struct lvn_roc_point points[CASES + 1];
  size_t count = 0;
  double auc = 0.0;
  for (size_t i = 0; i < CASES; i++) {
    score[i] = probability[i][1];
    is_positive[i] = label[i] == 1;
  }
  assert_true(lvn_stats_roc(score, is_positive, CASES, points, &count, &err));
  assert_int_equal(count, json_array_size(json_object_get(expected, "fpr")));
  for (size_t i = 0; i < count; i++) {
    assert_near(points[i].false_positive_rate, number(json_array_get(json_object_get(expected, "fpr"), i)));
    assert_near(points[i].true_positive_rate, number(json_array_get(json_object_get(expected, "tpr"), i)));
    assert_near(points[i].threshold,
                i == 0 ? INFINITY : number(json_array_get(json_object_get(expected, "threshold"), i - 1)));
  }
  assert_true(lvn_stats_auc(score, is_positive, CASES, &auc, &err));
  assert_near(auc, number(json_array_get(json_object_get(golden, "figures"), 3 + LVN_CLASS_PAPER_COUNT + 1)));
  memset(is_positive, 1, sizeof is_positive);
  assert_false(lvn_stats_roc(score, is_positive, CASES, points, &count, &err));
  assert_true(lvn_stats_auc(score, is_positive, CASES, &auc, &err) && isnan(auc));
}

static void test_compare__t_tests_and_holm(void **state) {
  (void)state;
  struct lvn_error err = {0};
  const json_t *expected = json_object_get(golden, "folds");
  double a[5];
  double b[5];
  double p[6];
  double adjusted[6];
  assert_int_equal(read_numbers(json_object_get(expected, "a"), a, 5), 5);
  assert_int_equal(read_numbers(json_object_get(expected, "b"), b, 5), 5);
  struct lvn_t_test paired = lvn_stats_paired_t(a, b, 5);
  struct lvn_t_test corrected = lvn_stats_corrected_t(a, b, 5, member(expected, "ratio"));
  assert_near(paired.t, member(json_object_get(expected, "paired"), "t"));
  assert_near(paired.p, member(json_object_get(expected, "paired"), "p"));
  assert_near(corrected.t, member(json_object_get(expected, "corrected"), "t"));
  assert_near(corrected.p, member(json_object_get(expected, "corrected"), "p"));
  assert_near(lvn_stats_population_spread(a, 5).mean, member(expected, "mean"));
  assert_near(lvn_stats_population_spread(a, 5).deviation, member(expected, "deviation"));
  assert_true(isnan(lvn_stats_paired_t(a, a, 5).p) && isnan(lvn_stats_paired_t(a, b, 1).difference));

  const json_t *holm = json_object_get(golden, "holm");
  assert_int_equal(read_numbers(json_object_get(holm, "p"), p, 5), 5);
  p[5] = NAN;
  assert_true(lvn_stats_holm(p, 6, adjusted, &err));
  for (size_t i = 0; i < 5; i++) {
    assert_near(adjusted[i], number(json_array_get(json_object_get(holm, "adjusted"), i)));
  }
  assert_true(isnan(adjusted[5]));
}

static void test_conformal__sets_and_coverage(void **state) {
  (void)state;
  struct lvn_error err = {0};
  size_t k = 0;
  json_t *expected = NULL;
  json_array_foreach(json_object_get(golden, "conformal"), k, expected) {
    double alpha = member(expected, "alpha");
    double limit = 0.0;
    assert_true(lvn_conformal_limit(rows(probability), label, CASES, alpha, &limit, &err));
    assert_near(limit, member(expected, "limit"));
    for (size_t i = 0; i < CASES; i++) {
      assert_int_equal(lvn_conformal_set(probability[i], limit) & LVN_CLASSES_PAPER,
                       json_integer_value(json_array_get(json_object_get(expected, "sets"), i)));
    }
    struct lvn_interval coverage = lvn_conformal_expected_coverage(CASES, alpha, LVN_STATS_LEVEL);
    assert_near(coverage.low, number(json_array_get(json_object_get(expected, "expected"), 0)));
    assert_near(coverage.high, number(json_array_get(json_object_get(expected, "expected"), 1)));
  }
}

static void test_mahalanobis__as_shrunk_covariance(void **state) {
  (void)state;
  struct lvn_error err = {0};
  const json_t *of = json_object_get(golden, "mahalanobis");
  size_t size = (size_t)json_integer_value(json_object_get(of, "size"));
  size_t count = json_array_size(json_object_get(of, "label"));
  float feature[600];
  float probe[60];
  size_t class_of[100];
  double distance[10];
  bool none[100] = {false};
  struct lvn_mahalanobis *fit = NULL;
  for (size_t i = 0; i < count * size; i++) {
    const json_t *row = json_array_get(json_object_get(of, "feature"), i / size);
    feature[i] = (float)number(json_array_get(row, i % size));
  }
  for (size_t i = 0; i < count; i++) {
    class_of[i] = (size_t)json_integer_value(json_array_get(json_object_get(of, "label"), i));
  }
  size_t probes = json_array_size(json_object_get(of, "probe"));
  for (size_t i = 0; i < probes * size; i++) {
    probe[i] = (float)number(json_array_get(json_array_get(json_object_get(of, "probe"), i / size), i % size));
  }
  assert_true(lvn_mahalanobis_fit(feature, class_of, NULL, count, size, member(of, "shrinkage"), &fit, &err));
  assert_true(lvn_mahalanobis_score(fit, probe, probes, distance, &err));
  for (size_t i = 0; i < probes; i++) {
    assert_near(distance[i], number(json_array_get(json_object_get(of, "distance"), i)));
  }
  lvn_mahalanobis_destroy(fit);
  assert_false(lvn_mahalanobis_fit(feature, class_of, none, count, size, 0.1, &fit, &err));
  assert_false(
      lvn_mahalanobis_fit(feature, class_of, NULL, 3, size, 0.0, &fit, &err)); /* fewer cases than dimensions */
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

static void test_selective__risk_coverage_and_net_benefit(void **state) {
  (void)state;
  struct lvn_error err = {0};
  const json_t *expected = json_object_get(golden, "selective");
  double confidence[CASES];
  double malignant[CASES];
  double risk[CASES];
  double aurc = 0.0;
  bool is_wrong[CASES];
  bool is_malignant[CASES];
  for (size_t i = 0; i < CASES; i++) {
    enum lvn_class top = lvn_stats_top_class(probability[i]);
    confidence[i] = probability[i][top];
    malignant[i] = probability[i][LVN_CLASS_HCC];
    is_wrong[i] = top != label[i];
    is_malignant[i] = label[i] == LVN_CLASS_HCC;
  }
  assert_true(lvn_stats_risk_coverage(confidence, is_wrong, CASES, risk, &aurc, &err));
  for (size_t i = 0; i < CASES; i++) {
    assert_near(risk[i], number(json_array_get(json_object_get(expected, "risk"), i)));
  }
  assert_near(aurc, member(expected, "aurc"));
  size_t k = 0;
  json_t *row = NULL;
  json_array_foreach(json_object_get(expected, "net_benefit"), k, row) {
    double threshold = member(row, "threshold");
    assert_near(lvn_stats_net_benefit(malignant, is_malignant, CASES, threshold), member(row, "model"));
    assert_near(lvn_stats_net_benefit_all(is_malignant, CASES, threshold), member(row, "all"));
  }
}

static void test_selective__equal_confidence_in_any_order(void **state) {
  (void)state;
  struct lvn_error err = {0};
  const double confidence[4] = {0.5, 0.9, 0.5, 0.5};
  const bool first[4] = {true, false, false, false};
  const bool last[4] = {false, false, false, true};
  double a[4];
  double b[4];
  double aurc_a = 0.0;
  double aurc_b = 0.0;
  assert_true(lvn_stats_risk_coverage(confidence, first, 4, a, &aurc_a, &err));
  assert_true(lvn_stats_risk_coverage(confidence, last, 4, b, &aurc_b, &err));
  assert_near(aurc_a, aurc_b);
  assert_near(a[0], 0.0);
  assert_near(a[1], 1.0 / 6.0);
  assert_near(a[3], 0.25);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distribution__quantiles_and_tails),
      cmocka_unit_test(test_distribution__intervals_of_a_proportion),
      cmocka_unit_test(test_distribution__paper_always_hem_row),
      cmocka_unit_test(test_figures__as_scikit_learn),
      cmocka_unit_test(test_figures__bootstrap_over_patients),
      cmocka_unit_test(test_figures__bootstrap_without_a_class),
      cmocka_unit_test(test_figures__bootstrap_of_a_difference),
      cmocka_unit_test(test_roc__delong),
      cmocka_unit_test(test_roc__curve),
      cmocka_unit_test(test_compare__t_tests_and_holm),
      cmocka_unit_test(test_conformal__sets_and_coverage),
      cmocka_unit_test(test_mahalanobis__as_shrunk_covariance),
      cmocka_unit_test(test_selective__risk_coverage_and_net_benefit),
      cmocka_unit_test(test_selective__equal_confidence_in_any_order),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
