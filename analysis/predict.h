/* What the models say of a case's lesions, and what the node itself has against believing them. */
#ifndef LVN_ANALYSIS_PREDICT_H
#define LVN_ANALYSIS_PREDICT_H

#include "analysis/findings/findings.h"
#include "analysis/study_case.h"
#include "model/network/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills each lesion's prediction, surroundings and doubt, and the heat map of what has a class. */
LVN_MUST_CHECK bool lvn_predict_lesions(struct lvn_classifier *classifier, const struct lvn_case *study_case,
                                        struct lvn_findings *findings, struct lvn_error *err);
/* The same lesions through a second model, each with a crop as that one's package wants it, into findings->shadow. A
 * failure is told there and logged; nothing else depends on it. After lvn_predict_lesions(). */
void lvn_predict_shadow(struct lvn_classifier *shadow, const struct lvn_case *study_case,
                        struct lvn_findings *findings);

#ifdef __cplusplus
}
#endif
#endif
