/* How far a lesion's features lie from every class that was seen: class means, one shared covariance, shrunk towards
 * its mean variance. Source: Lee 2018; shrinkage as scikit-learn's ShrunkCovariance (Ledoit 2004's target). */
#ifndef LVN_MODEL_STATS_MAHALANOBIS_H
#define LVN_MODEL_STATS_MAHALANOBIS_H

#include "base/error.h"
#include "model/image/vocabulary.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable once fitted. */
struct lvn_mahalanobis;

/* `feature` is [count][size]; a case with is_used[i] false is left out (NULL: all are used). Covariance is (1 -
 * shrinkage) S + shrinkage trace(S)/size I, S with divisor n about the class means. LVN_ERROR_DATA when it is singular.
 */
LVN_MUST_CHECK bool lvn_mahalanobis_fit(const float *feature, const size_t *label, const bool *is_used, size_t count,
                                        size_t size, double shrinkage, struct lvn_mahalanobis **ret_fit,
                                        struct lvn_error *err);
void lvn_mahalanobis_destroy(struct lvn_mahalanobis *fit); /* NULL is allowed */

/* Distance (not squared) to the nearest class that had cases. `feature` is [count][size]. */
LVN_MUST_CHECK bool lvn_mahalanobis_score(const struct lvn_mahalanobis *fit, const float *feature, size_t count,
                                          double *ret_distance, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
