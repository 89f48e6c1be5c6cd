/* What the network said about a case's lesions, with the node's own reasons to abstain, and the result objects made of
 * it. */
#ifndef LVN_ANALYSIS_OUTCOME_H
#define LVN_ANALYSIS_OUTCOME_H

#include "analysis/analysis.h"
#include "analysis/case.h"
#include "analysis/roi_gate.h"
#include "model/network/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_lesion_outcome {
  bool has_probability; /* false: a phase could not be aligned, or is missing: the network's answer must not be believed
                         */
  struct lvn_prediction prediction; /* owned; abstained and its reason include the node's own */
  struct lvn_roi_gate gate;
  struct lvn_picture capture; /* owned */
};

struct lvn_outcome_timings {
  double network_seconds;
  double render_seconds;
  double write_seconds;
};

/* The letter of the side of the patient towards which `direction` points (PS3.3 C.7.6.1.1.1: x to the left, y to the
 * back, z to the head), or of the opposite one. */
char lvn_outcome_edge(const double direction[3], bool opposite);

/* The secondary capture's picture of one lesion, into outcome->capture. */
LVN_MUST_CHECK bool lvn_outcome_render(const struct lvn_case *study_case, size_t lesion_index,
                                       struct lvn_lesion_outcome *outcome, const struct lvn_classifier_info *info,
                                       struct lvn_error *err);

/* Renders the secondary capture of each lesion, writes SR and captures into request->output_folder and lists them in
 * `ret_result`. */
LVN_MUST_CHECK bool lvn_outcome_write(const struct lvn_case *study_case, struct lvn_lesion_outcome *outcomes,
                                      const struct lvn_classifier_info *info,
                                      const struct lvn_analysis_request *request, struct lvn_outcome_timings *timings,
                                      struct lvn_analysis_result *ret_result, struct lvn_error *err);

/* analysis.json (schema: docs/analysis-json.md). `outcomes` may be NULL when the network did not run. */
LVN_MUST_CHECK bool lvn_outcome_write_json(const struct lvn_case *study_case, const struct lvn_lesion_outcome *outcomes,
                                           const struct lvn_classifier_info *info,
                                           const struct lvn_analysis_request *request,
                                           const struct lvn_outcome_timings *timings,
                                           const struct lvn_analysis_result *result, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
