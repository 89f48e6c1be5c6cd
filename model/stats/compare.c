#include "model/stats/compare.h"

#include "base/memory.h"
#include "model/stats/distribution.h"
#include "model/stats/roc.h"

#include <math.h>

static struct lvn_t_test t_test(const double *a, const double *b, size_t count, double variance_factor) {
  struct lvn_t_test test = {.difference = 0.0, .t = NAN, .degrees = NAN, .p = NAN};
  double squares = 0.0;
  if (count < 2) {
    test.difference = NAN;
    return test;
  }
  for (size_t i = 0; i < count; i++) {
    test.difference += (a[i] - b[i]) / (double)count;
  }
  for (size_t i = 0; i < count; i++) {
    squares += (a[i] - b[i] - test.difference) * (a[i] - b[i] - test.difference);
  }
  test.degrees = (double)(count - 1);
  if (squares > 0.0) {
    test.t = test.difference / sqrt(squares / test.degrees * variance_factor);
    test.p = lvn_stats_t_two_sided(test.t, test.degrees);
  }
  return test;
}

struct lvn_t_test lvn_stats_paired_t(const double *a, const double *b, size_t count) {
  return t_test(a, b, count, 1.0 / (double)count);
}

struct lvn_t_test lvn_stats_corrected_t(const double *a, const double *b, size_t count, double test_to_training) {
  return t_test(a, b, count, 1.0 / (double)count + test_to_training);
}

bool lvn_stats_holm(const double *p, size_t count, double *ret_adjusted, struct lvn_error *err) {
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  LVN_AUTOFREE double *key = lvn_alloc(count, sizeof *key, err);
  if (order == NULL || key == NULL) {
    return false;
  }
  size_t finite = 0;
  for (size_t i = 0; i < count; i++) {
    finite += isfinite(p[i]);
    key[i] = isfinite(p[i]) ? p[i] : INFINITY;
  }
  if (!lvn_stats_order(key, count, order, err)) {
    return false;
  }
  double largest = 0.0;
  for (size_t i = 0; i < count; i++) {
    if (i < finite) {
      largest = fmax(largest, fmin(1.0, p[order[i]] * (double)(finite - i)));
    }
    ret_adjusted[order[i]] = i < finite ? largest : NAN;
  }
  return true;
}
