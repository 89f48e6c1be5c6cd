#include "model/stats/conformal.h"

#include "base/memory.h"
#include "model/stats/roc.h"

#include <math.h>

/* (n+1)(1-alpha) may miss an integer by rounding alone; the ceiling must not then be one too high. */
static size_t rank_of(size_t count, double alpha) {
  return (size_t)ceil((double)(count + 1) * (1.0 - alpha) - 1e-9);
}

bool lvn_conformal_limit(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count, double alpha,
                         double *ret_limit, struct lvn_error *err) {
  LVN_AUTOFREE double *score = lvn_alloc(count, sizeof *score, err);
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  size_t rank = rank_of(count, alpha);
  if (score == NULL || order == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    score[i] = 1.0 - probability[i][label[i]];
  }
  if (!lvn_stats_order(score, count, order, err)) {
    return false;
  }
  *ret_limit = rank == 0 ? -INFINITY : rank > count ? INFINITY : score[order[rank - 1]];
  return true;
}

unsigned lvn_conformal_set(const double probability[LVN_CLASS_COUNT], double limit) {
  unsigned set = 0;
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    set |= 1.0 - probability[c] <= limit ? 1U << c : 0U;
  }
  return set;
}

struct lvn_interval lvn_conformal_expected_coverage(size_t count, double alpha, double level) {
  size_t rank = rank_of(count, alpha);
  if (rank == 0 || rank > count) {
    return rank == 0 ? (struct lvn_interval){0.0, 0.0} : (struct lvn_interval){1.0, 1.0};
  }
  double a = (double)rank;
  double b = (double)(count + 1 - rank);
  return (struct lvn_interval){lvn_stats_beta_quantile(0.5 * (1.0 - level), a, b),
                               lvn_stats_beta_quantile(0.5 * (1.0 + level), a, b)};
}
