/* From cosines to probabilities that mean what they say, and figures of how well. Per lesion; plain C. */
#ifndef LVN_MODEL_CALIBRATE_H
#define LVN_MODEL_CALIBRATE_H

#include "base/error.h"
#include "model/image/vocabulary.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax of factor * cosine. */
void lvn_calibrate_softmax(const double cosine[LVN_CLASS_COUNT], double factor,
                           double ret_probability[LVN_CLASS_COUNT]);

/* The temperature that makes the labels most likely, logit = scale * cosine / temperature (Guo 2017), within 0.002 to
 * 10. The negative log-likelihood is convex in 1/temperature: its derivative's root, by Newton's method kept in
 * brackets. Cases that any temperature separates give the lowest. */
double lvn_calibrate_temperature(const double (*cosine)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                                 double scale);

/* Split conformal (Vovk 2005): a class is plausible where 1 - probability is at most the limit; the truth is, in
 * `coverage` of new cases like these. NAN when there are too few cases to say so, or no memory. */
double lvn_calibrate_conformal(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                               double coverage);

/* Reliability diagram of the top class: `bin_count` equal bins (lower bound, upper bound] of its probability, as
 * Guo 2017 has it. */
struct lvn_reliability_bin {
  size_t count;
  double confidence; /* mean; NAN in an empty bin */
  double accuracy;   /* NAN in an empty bin */
};
void lvn_calibrate_reliability(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                               size_t bin_count, struct lvn_reliability_bin *ret_bins);

#define LVN_CALIBRATE_BINS 15
/* Expected calibration error: |accuracy - confidence| over LVN_CALIBRATE_BINS bins, weighted by their cases. */
double lvn_calibrate_ece(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count);
/* The same over bins of equally many cases (Nguyen 2015), at most LVN_CALIBRATE_BINS of at least one case; NAN without
 * memory or cases. */
double lvn_calibrate_adaptive_ece(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count);
/* Brier's score over the classes (0 to 2) and the mean negative log-likelihood; NAN without cases. */
double lvn_calibrate_brier(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count);
double lvn_calibrate_log_loss(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count);

#ifdef __cplusplus
}
#endif
#endif
