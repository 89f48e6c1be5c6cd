#include "analysis/predict.h"

#include "analysis/case.h"
#include "analysis/findings_fill.h"
#include "analysis/gates.h"
#include "analysis/measure.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(LVN_GATE_COUNT <= LVN_FINDINGS_GATES_MAX, "every gate's code has room");

/* A phase whose alignment is not trusted makes the crop worthless; NULL when there is none. */
static const struct lvn_findings_alignment *find_unaligned(const struct lvn_findings_lesion *lesion, int *ret_phase) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    if (!lesion->phases[phase].alignment.is_usable) {
      *ret_phase = phase;
      return &lesion->phases[phase].alignment;
    }
  }
  return NULL;
}

static void gather_facts(const struct lvn_case *study_case, const struct lvn_case_lesion *source,
                         const struct lvn_classifier_info *info, const struct lvn_crop *crop,
                         struct lvn_gate_facts *facts) {
  const double *spacing = source->roi->mask.grid.spacing_mm;
  *facts = (struct lvn_gate_facts){.long_axis_mm = source->measure.long_axis_mm,
                                   .by_area_mm = source->measure.by_area_mm,
                                   .pixels_across = source->measure.long_axis_mm / fmax(spacing[0], spacing[1]),
                                   .least_diameter_mm = info->least_diameter_mm,
                                   .least_pixels_across = info->least_pixels_across};
  memcpy(facts->mean_hu, source->mean_hu, sizeof facts->mean_hu);
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    const struct lvn_phase_image *image = &study_case->stacks[source->stack_index[phase]].image;
    facts->aorta_hu[phase] = image->aorta_found && !image->aorta_by_position ? image->aorta_hu : (double)NAN;
  }
  lvn_gates_same_share(crop, facts->same_share);
}

/* A region that the gates turn away has no class; a model's numbers are kept. */
static bool ask_gates(const struct lvn_case *study_case, size_t index, const struct lvn_classifier_info *info,
                      struct lvn_findings_lesion *lesion, struct lvn_error *err) {
  const struct lvn_case_lesion *source = &study_case->lesions[index];
  LVN_CLEANUP(lvn_crop_clear) struct lvn_crop crop = {0};
  struct lvn_crop_options options;
  struct lvn_gate_facts facts;
  double extent_mm = 0.0;
  for (int axis = 0; axis < 2; axis++) {
    extent_mm = fmax(extent_mm, (source->measure.last_voxel[axis] - source->measure.first_voxel[axis] + 1U) *
                                    source->roi->mask.grid.spacing_mm[axis]);
  }
  lvn_roi_gate_crop_options(extent_mm, &options);
  if (!lvn_case_crop(study_case, index, &options, &crop, err)) {
    return false;
  }
  gather_facts(study_case, source, info, &crop, &facts);
  if (!lvn_roi_gate_judge(&crop, &facts.surroundings, err)) {
    return false;
  }
  const struct lvn_roi_gate *around = &facts.surroundings;
  lesion->surroundings = (struct lvn_findings_surroundings){.is_judged = around->is_judged,
                                                            .contrast_hu = around->contrast_hu,
                                                            .odd_share = around->odd_share,
                                                            .fat_share = around->fat_share,
                                                            .liver_share = around->liver_share,
                                                            .rise_hu = around->rise_hu,
                                                            .fall_hu = around->fall_hu};
  for (int gate = 0; gate < LVN_GATE_COUNT; gate++) {
    char sentence[LVN_GATE_SENTENCE_BYTES];
    if (lvn_gate_closes((enum lvn_gate)gate, &facts, sentence)) {
      lesion->gates[lesion->gate_count++] = lvn_gate_code((enum lvn_gate)gate);
      if (lesion->doubt[0] == '\0') {
        (void)lvn_copy(lesion->doubt, sizeof lesion->doubt, sentence);
        lesion->doubt_code = lvn_gate_code((enum lvn_gate)gate);
      }
    }
  }
  return true;
}

static bool doubt_lesion(const struct lvn_case *study_case, size_t index, const struct lvn_classifier_info *info,
                         struct lvn_findings_lesion *lesion, struct lvn_error *err) {
  int phase = 0;
  if (!ask_gates(study_case, index, info, lesion, err)) {
    return false;
  }
  /* The graver reason: phases that are not aligned cannot be compared either. */
  const struct lvn_findings_alignment *unaligned = find_unaligned(lesion, &phase);
  if (unaligned != NULL) {
    (void)snprintf(lesion->doubt, sizeof lesion->doubt, "The %s phase is not aligned: %.100s.",
                   lvn_phase_long_name((enum lvn_phase)phase), unaligned->reason);
    lesion->doubt_code = "not_aligned";
  }
  return true;
}

/* One model's answer for one crop, as far as it can be believed. */
static bool predict(struct lvn_classifier *classifier, const struct lvn_crop *crop,
                    const struct lvn_findings_lesion *lesion, struct lvn_prediction *ret_raw,
                    struct lvn_findings_prediction *ret_prediction, struct lvn_error *err) {
  int ignored = 0;
  if (!lvn_classifier_run(classifier, crop, ret_raw, err)) {
    return false;
  }
  *ret_prediction = (struct lvn_findings_prediction){.classes = lvn_classifier_get_info(classifier)->classes,
                                                     .has_probability = find_unaligned(lesion, &ignored) == NULL,
                                                     .top_class = ret_raw->top_class,
                                                     .margin = ret_raw->margin,
                                                     .feature_distance = ret_raw->feature_distance,
                                                     .permutation_disagreement = ret_raw->permutation_disagreement,
                                                     .outlier_score = ret_raw->outlier_score,
                                                     .outlier_limit = ret_raw->outlier_limit,
                                                     .outlier_alarm_rate = ret_raw->outlier_alarm_rate,
                                                     .conformal_set = ret_raw->conformal_set,
                                                     .conformal_coverage = ret_raw->conformal_coverage,
                                                     .map_share = NAN,
                                                     .abstained = ret_raw->abstained || lesion->doubt[0] != '\0'};
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    ret_prediction->has_probability = ret_prediction->has_probability && crop->phase_present[phase];
  }
  memcpy(ret_prediction->probability, ret_raw->probability, sizeof ret_prediction->probability);
  memcpy(ret_prediction->cosine, ret_raw->cosine, sizeof ret_prediction->cosine);
  ret_prediction->abstention_code = lesion->doubt_code != NULL ? lesion->doubt_code : ret_raw->abstention_code;
  (void)lvn_copy(ret_prediction->abstention_reason, sizeof ret_prediction->abstention_reason,
                 lesion->doubt[0] != '\0' ? lesion->doubt : ret_raw->abstention_reason);
  return true;
}

bool lvn_predict_lesions(struct lvn_classifier *classifier, const struct lvn_case *study_case,
                         struct lvn_findings *findings, struct lvn_error *err) {
  double since = lvn_clock_monotonic_seconds();
  for (size_t i = 0; i < findings->lesion_count; i++) {
    struct lvn_findings_lesion *lesion = &findings->lesions[i];
    LVN_CLEANUP(lvn_prediction_clear) struct lvn_prediction raw = {0};
    if (!doubt_lesion(study_case, i, lvn_classifier_get_info(classifier), lesion, err) ||
        !predict(classifier, &study_case->lesions[i].crop, lesion, &raw, &lesion->prediction, err)) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
    lesion->prediction.map_share_limit = lvn_classifier_get_info(classifier)->map_share_limit;
    if (lesion->prediction.has_probability) {
      lesion->heat = raw.heat[raw.top_class];
      raw.heat[raw.top_class] = NULL;
      if (!lvn_measure_map_share(&study_case->lesions[i].crop, lesion->heat, &lesion->prediction.map_share, err)) {
        return lvn_error_prefix(err, "lesion %zu", i + 1);
      }
    }
  }
  findings->timings.network = lvn_clock_monotonic_seconds() - since;
  return true;
}

static bool predict_shadow_lesion(struct lvn_classifier *shadow, const struct lvn_case *study_case, size_t index,
                                  struct lvn_findings *findings, struct lvn_error *err) {
  LVN_CLEANUP(lvn_crop_clear) struct lvn_crop crop = {0};
  LVN_CLEANUP(lvn_prediction_clear) struct lvn_prediction raw = {0};
  return (lvn_case_crop(study_case, index, &lvn_classifier_get_info(shadow)->crop, &crop, err) &&
          predict(shadow, &crop, &findings->lesions[index], &raw, &findings->shadow.predictions[index], err)) ||
         lvn_error_prefix(err, "lesion %zu", index + 1);
}

void lvn_predict_shadow(struct lvn_classifier *shadow, const struct lvn_case *study_case,
                        struct lvn_findings *findings) {
  struct lvn_findings_shadow *target = &findings->shadow;
  struct lvn_error err = {0};
  double since = lvn_clock_monotonic_seconds();
  *target = (struct lvn_findings_shadow){.is_present = true};
  lvn_findings_fill_model(lvn_classifier_get_info(shadow), &target->model);
  target->predictions = lvn_alloc(findings->lesion_count, sizeof *target->predictions, &err);
  bool good = target->predictions != NULL;
  for (size_t i = 0; good && i < findings->lesion_count; i++) {
    good = predict_shadow_lesion(shadow, study_case, i, findings, &err);
    target->prediction_count += good;
  }
  target->seconds = lvn_clock_monotonic_seconds() - since;
  if (!good) {
    (void)lvn_copy(target->failure, sizeof target->failure, err.message);
    lvn_log_error(LVN_LOG_WARNING, "shadow-failed", &err, "%s", "results=unaffected");
  }
}
