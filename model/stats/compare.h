/* Are two models different? Tests over folds, and the correction for several tests. */
#ifndef LVN_MODEL_STATS_COMPARE_H
#define LVN_MODEL_STATS_COMPARE_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_t_test {
  double difference; /* mean of a - b */
  double t;
  double degrees;
  double p; /* two-sided; NAN when all differences are equal and so their variance is 0 */
};

/* Student's paired t over folds, as the paper has it. The folds' training sets overlap, so its p is too small. NAN
 * throughout with fewer than two pairs. */
struct lvn_t_test lvn_stats_paired_t(const double *a, const double *b, size_t count);

/* Nadeau and Bengio 2003: the variance of the mean difference is (1/folds + test/training cases) s^2, not s^2/folds. */
struct lvn_t_test lvn_stats_corrected_t(const double *a, const double *b, size_t count, double test_to_training);

/* Holm 1979, step down: p adjusted for the family of finite values; NAN stays NAN. */
LVN_MUST_CHECK bool lvn_stats_holm(const double *p, size_t count, double *ret_adjusted, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
