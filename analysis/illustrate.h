/* The secondary captures' pictures. */
#ifndef LVN_ANALYSIS_ILLUSTRATE_H
#define LVN_ANALYSIS_ILLUSTRATE_H

#include "analysis/findings/findings.h"
#include "analysis/study_case.h"
#include "model/network/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Draws each lesion's capture from its findings, over the samples of its crop, and the overview of many lesions. After
 * lvn_predict_lesions(). */
LVN_MUST_CHECK bool lvn_illustrate_lesions(const struct lvn_case *study_case, const struct lvn_classifier_info *info,
                                           struct lvn_findings *findings, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
