/* From cosines to probabilities that mean what they say, and figures of how well. Per lesion; plain C. */
#ifndef LVN_MODEL_CALIBRATE_H
#define LVN_MODEL_CALIBRATE_H

#include "daemon/base/error.h"
#include "daemon/base/vocabulary.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax of factor * cosine. */
void lvn_calibrate_softmax(const double cosine[LVN_CLASS_COUNT], double factor,
                           double ret_probability[LVN_CLASS_COUNT]);

/* The temperature that makes the labels most likely, logit = scale * cosine / temperature (Guo 2017). Searched in
 * 0.002 to 10 by golden section; the negative log-likelihood is convex in 1/temperature. */
double lvn_calibrate_temperature(const double (*cosine)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                                 double scale);

/* Expected calibration error of the top class over 15 equal bins. */
double lvn_calibrate_ece(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count);

/* Area under the ROC curve of `score` for is_positive, by ranks with ties at their middle; NAN when a side is empty or
 * without memory. */
double lvn_calibrate_auc(const double *score, const bool *is_positive, size_t count);

#ifdef __cplusplus
}
#endif
#endif
