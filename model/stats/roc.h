/* Receiver operating characteristic of one score: curve, area by midranks (ties count half), and DeLong's variance and
 * test for two scores of the same cases. Source: DeLong 1988, in the O(n log n) form of Sun and Xu 2014. The cases are
 * taken as independent: give one score per patient, or read the interval as too narrow. */
#ifndef LVN_MODEL_STATS_ROC_H
#define LVN_MODEL_STATS_ROC_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NAN when one side is empty. */
LVN_MUST_CHECK bool lvn_stats_auc(const double *score, const bool *is_positive, size_t count, double *ret_auc,
                                  struct lvn_error *err);

/* Indices of the cases with ascending score; equal scores by index. */
LVN_MUST_CHECK bool lvn_stats_order(const double *score, size_t count, size_t *ret_order, struct lvn_error *err);

/* The area where case i counts weight[i] times; `order` as lvn_stats_order() gives it. For resampling. */
double lvn_stats_auc_weighted(const double *score, const bool *is_positive, const double *weight, const size_t *order,
                              size_t count);

struct lvn_roc_point {
  double false_positive_rate;
  double true_positive_rate;
  double threshold; /* positive where score >= threshold; INFINITY at (0,0) */
};
/* All distinct thresholds, from (0,0) to (1,1): at most count + 1 points into `ret_points`. LVN_ERROR_DATA when one
 * side is empty. */
LVN_MUST_CHECK bool lvn_stats_roc(const double *score, const bool *is_positive, size_t count,
                                  struct lvn_roc_point *ret_points, size_t *ret_point_count, struct lvn_error *err);

struct lvn_delong {
  double auc_a;
  double auc_b;
  double variance_a;
  double variance_b;
  double covariance;
  double z; /* of auc_a - auc_b; 0 when the scores rank alike */
  double p; /* two-sided */
};
/* LVN_ERROR_DATA when a side has fewer than 2 cases. `score_b` may be score_a. */
LVN_MUST_CHECK bool lvn_stats_delong(const double *score_a, const double *score_b, const bool *is_positive,
                                     size_t count, struct lvn_delong *ret_delong, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
