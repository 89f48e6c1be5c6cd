/* From a case to findings. */
#ifndef LVN_ANALYSIS_FINDINGS_FILL_H
#define LVN_ANALYSIS_FINDINGS_FILL_H

#include "analysis/findings/findings.h"
#include "analysis/study_case.h"
#include "model/network/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All that the case says by itself: series, lesions, alignment. Predictions and pictures are added by predict.h and
 * illustrate.h. `ret_findings` borrows from the case and from `status_message`; lvn_findings_clear() it. */
LVN_MUST_CHECK bool lvn_findings_fill(const struct lvn_case *study_case, enum lvn_analysis_outcome outcome,
                                      const char *status_message, struct lvn_findings *ret_findings,
                                      struct lvn_error *err);
void lvn_findings_fill_model(const struct lvn_classifier_info *info, struct lvn_findings_model *ret_model);

#ifdef __cplusplus
}
#endif
#endif
