/* Split-conformal prediction sets: the classes that cannot be excluded, so chosen that the truth is among them with
 * probability 1 - alpha for a new case like the calibration cases. Source: Vovk 2005, Lei 2018; score 1 - p(truth). */
#ifndef LVN_MODEL_STATS_CONFORMAL_H
#define LVN_MODEL_STATS_CONFORMAL_H

#include "base/error.h"
#include "model/image/vocabulary.h"
#include "model/stats/distribution.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The ceil((n+1)(1-alpha))-th smallest of 1 - probability[i][label[i]]; INFINITY (all classes) when there are fewer
 * calibration cases than that. */
LVN_MUST_CHECK bool lvn_conformal_limit(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                                        double alpha, double *ret_limit, struct lvn_error *err);

/* Bit c is set when 1 - probability[c] <= limit. May be empty: a case that resembles none. */
unsigned lvn_conformal_set(const double probability[LVN_CLASS_COUNT], double limit);

/* Coverage over the draw of the calibration cases is Beta(k, n+1-k), k = ceil((n+1)(1-alpha)): what to expect of the
 * achieved one with many test cases. */
struct lvn_interval lvn_conformal_expected_coverage(size_t count, double alpha, double level);

#ifdef __cplusplus
}
#endif
#endif
