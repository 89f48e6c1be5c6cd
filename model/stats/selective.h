/* What confidence is worth: the error that is left when the least certain cases are handed to a person, and the net
 * benefit of acting on a probability. */
#ifndef LVN_MODEL_STATS_SELECTIVE_H
#define LVN_MODEL_STATS_SELECTIVE_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ret_risk[k-1]: share of errors among the k most confident cases; cases of equal confidence share their errors evenly,
 * so their order does not matter. ret_aurc: the mean of them, the area under the risk-coverage curve (Geifman 2017). */
LVN_MUST_CHECK bool lvn_stats_risk_coverage(const double *confidence, const bool *is_wrong, size_t count,
                                            double *ret_risk, double *ret_aurc, struct lvn_error *err);

/* Vickers 2006: true positives minus false positives, the latter weighted by the odds of `threshold`, per case. A case
 * is acted on when its probability is at least the threshold, which lies inside 0..1. */
double lvn_stats_net_benefit(const double *probability, const bool *is_positive, size_t count, double threshold);
/* Of acting on everyone. (Of acting on nobody it is 0.) */
double lvn_stats_net_benefit_all(const bool *is_positive, size_t count, double threshold);

#ifdef __cplusplus
}
#endif
#endif
