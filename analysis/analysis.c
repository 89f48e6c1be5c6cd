#include "analysis/analysis.h"

#include "analysis/case.h"
#include "analysis/outcome.h"
#include "analysis/roi_gate.h"
#include "analysis/shadow.h"
#include "base/clock.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *lvn_analysis_outcome_name(enum lvn_analysis_outcome outcome) {
  static const char *const names[] = {
      [LVN_ANALYSIS_DONE] = "done", [LVN_ANALYSIS_WAITING] = "waiting", [LVN_ANALYSIS_REFUSED] = "refused"};
  return names[outcome];
}

static void outcomes_destroy(struct lvn_lesion_outcome *outcomes, size_t count) {
  for (size_t i = 0; outcomes != NULL && i < count; i++) {
    lvn_prediction_clear(&outcomes[i].prediction);
    lvn_picture_clear(&outcomes[i].capture);
  }
  lvn_free(outcomes);
}

/* A phase whose alignment is not trusted makes the crop worthless, whatever the network says of it. */
static void distrust_unaligned(const struct lvn_case_lesion *lesion, struct lvn_lesion_outcome *outcome) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    const struct lvn_registration_quality *quality = &lesion->quality[phase];
    if (!quality->usable) {
      outcome->has_probability = false;
      outcome->prediction.abstained = true;
      (void)snprintf(outcome->prediction.abstention_reason, sizeof outcome->prediction.abstention_reason,
                     "%s phase not aligned: %.120s", lvn_phase_long_name((enum lvn_phase)phase), quality->reason);
      return;
    }
  }
}

/* A region that shows no lesion has no class, whatever the network says; its numbers are kept. */
static bool look_for_lesion(const struct lvn_case *study_case, size_t index, struct lvn_lesion_outcome *outcome,
                            struct lvn_error *err) {
  const struct lvn_case_lesion *lesion = &study_case->lesions[index];
  LVN_CLEANUP(lvn_crop_clear) struct lvn_crop crop = {0};
  struct lvn_crop_options options;
  double extent_mm = 0.0;
  for (int axis = 0; axis < 2; axis++) {
    extent_mm = fmax(extent_mm, (lesion->last_voxel[axis] - lesion->first_voxel[axis] + 1U) *
                                    lesion->roi->mask.grid.spacing_mm[axis]);
  }
  lvn_roi_gate_crop_options(extent_mm, &options);
  if (!lvn_case_crop(study_case, index, &options, &crop, err) || !lvn_roi_gate_judge(&crop, &outcome->gate, err)) {
    return false;
  }
  const char *reason = lvn_roi_gate_reason(&outcome->gate);
  if (reason != NULL) {
    outcome->prediction.abstained = true;
    (void)lvn_copy(outcome->prediction.abstention_reason, sizeof outcome->prediction.abstention_reason, reason);
  }
  return true;
}

static bool classify(struct lvn_classifier *classifier, const struct lvn_case *study_case,
                     struct lvn_lesion_outcome *outcomes, struct lvn_error *err) {
  for (size_t i = 0; i < study_case->lesion_count; i++) {
    if (!lvn_classifier_run(classifier, &study_case->lesions[i].crop, &outcomes[i].prediction, err)) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
    outcomes[i].has_probability = true;
    for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      outcomes[i].has_probability = outcomes[i].has_probability && study_case->lesions[i].crop.phase_present[phase];
    }
    /* The gravest reason is told last: phases that are not aligned cannot be compared either. */
    if (!look_for_lesion(study_case, i, &outcomes[i], err)) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
    distrust_unaligned(&study_case->lesions[i], &outcomes[i]);
  }
  return true;
}

static bool run_case(struct lvn_classifier *classifier, const struct lvn_analysis_request *request,
                     struct lvn_case *study_case, struct lvn_analysis_result *ret_result, struct lvn_error *err) {
  const struct lvn_classifier_info *info = lvn_classifier_get_info(classifier);
  struct lvn_outcome_timings timings = {0};
  struct lvn_lesion_outcome *outcomes = NULL;
  bool good = true;
  if (ret_result->outcome == LVN_ANALYSIS_DONE) {
    double since = lvn_clock_monotonic_seconds();
    outcomes = lvn_alloc(study_case->lesion_count, sizeof *outcomes, err);
    good = outcomes != NULL && classify(classifier, study_case, outcomes, err);
    timings.network_seconds = lvn_clock_monotonic_seconds() - since;
    good = good && lvn_outcome_write(study_case, outcomes, info, request, &timings, ret_result, err);
  }
  good = good && lvn_outcome_write_json(study_case, outcomes, info, request, &timings, ret_result, err);
  if (good && request->shadow != NULL && outcomes != NULL) {
    lvn_shadow_run(request->shadow, study_case, outcomes, info, request);
  }
  outcomes_destroy(outcomes, study_case->lesion_count);
  return good;
}

bool lvn_analysis_run(struct lvn_classifier *classifier, const struct lvn_analysis_request *request,
                      struct lvn_analysis_result *ret_result, struct lvn_error *err) {
  struct lvn_case_options options;
  *ret_result = (struct lvn_analysis_result){0};
  lvn_case_options_default(&options);
  options.crop = lvn_classifier_get_info(classifier)->crop;
  options.registration.device = strncmp(lvn_classifier_get_info(classifier)->device, "cuda", 4) == 0 ? "cuda" : "cpu";
  if (request->max_registration_error_mm > 0.0) {
    options.registration.max_error_mm = request->max_registration_error_mm;
  }
  /* A case is too large for a stack frame of a worker that bounds its stack. */
  struct lvn_case *study_case = lvn_alloc(1, sizeof *study_case, err);
  if (study_case == NULL) {
    return false;
  }
  bool good = lvn_case_open(request->paths, request->path_count, &options, study_case, &ret_result->outcome,
                            ret_result->status_message, err) &&
              run_case(classifier, request, study_case, ret_result, err);
  lvn_case_clear(study_case);
  lvn_free(study_case);
  return good;
}
