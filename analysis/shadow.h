/* A second model beside the one in use: it answers the same lesions, its answers are stored and never sent. */
#ifndef LVN_ANALYSIS_SHADOW_H
#define LVN_ANALYSIS_SHADOW_H

#include "analysis/analysis.h"
#include "analysis/case.h"
#include "analysis/outcome.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SHADOW_FILE "shadow.json"

/* Writes shadow.json into request->output_folder: both models by digest, and for each lesion what each of them said. A
 * failure is written there too, and logged; nothing else depends on it. `outcomes` are the answers of the model in use,
 * one for each lesion. */
void lvn_shadow_run(struct lvn_classifier *shadow, const struct lvn_case *study_case,
                    const struct lvn_lesion_outcome *outcomes, const struct lvn_classifier_info *info,
                    const struct lvn_analysis_request *request);

#ifdef __cplusplus
}
#endif
#endif
