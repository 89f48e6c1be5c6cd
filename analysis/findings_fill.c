#include "analysis/findings_fill.h"

#include "analysis/candidates.h"
#include "analysis/measure.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* The image of a stack's slice, which is cut to the stack's range. */
static struct lvn_findings_image image_of(const struct lvn_stack *stack, size_t slice) {
  size_t at = slice < stack->slice_count ? slice : stack->slice_count - 1;
  const struct lvn_slice *image = &stack->slices[at];
  return (struct lvn_findings_image){.sop_class_uid = image->sop_class_uid,
                                     .sop_instance_uid = image->sop_instance_uid,
                                     .series_instance_uid = stack->series_instance_uid,
                                     .frame_number = image->frame_number,
                                     .instance_number = image->instance_number,
                                     .slice = at};
}

static bool fill_frames(const struct lvn_stack *stack, struct lvn_findings_series *series, struct lvn_error *err) {
  series->frames = lvn_alloc(stack->slice_count, sizeof *series->frames, err);
  for (size_t i = 0; series->frames != NULL && i < stack->slice_count; i++) {
    const struct lvn_slice *slice = &stack->slices[i];
    series->frames[i] = (struct lvn_findings_frame){.image = image_of(stack, i),
                                                    .rescale_slope = slice->rescale_slope,
                                                    .rescale_intercept = slice->rescale_intercept};
    memcpy(series->frames[i].position_mm, slice->position_mm, sizeof slice->position_mm);
    series->frame_count = i + 1;
  }
  return series->frames != NULL;
}

static bool fill_series(const struct lvn_case_stack *entry, struct lvn_findings_series *series, struct lvn_error *err) {
  const struct lvn_stack *stack = entry->stack;
  const struct lvn_phase_verdict *verdict = &entry->verdict;
  *series = (struct lvn_findings_series){.series_instance_uid = stack->series_instance_uid,
                                         .series_number = stack->series_number,
                                         .description = stack->series_description,
                                         .exclusion = lvn_candidates_exclusion(entry),
                                         .geometry_problem = stack->geometry_problem,
                                         .geometry_note = stack->geometry_note,
                                         .grid = &stack->grid,
                                         .slice_thickness_mm = stack->slice_thickness_mm,
                                         .frame_of_reference_uid = stack->frame_of_reference_uid,
                                         .is_candidate = entry->is_candidate,
                                         .phase = verdict->phase,
                                         .is_chosen = verdict->chosen};
  memcpy(series->probability, verdict->probability, sizeof series->probability);
  series->evidence = lvn_alloc(verdict->evidence_count, sizeof *series->evidence, err);
  for (size_t i = 0; series->evidence != NULL && i < verdict->evidence_count; i++) {
    series->evidence[i].text = verdict->evidence[i].text;
    memcpy(series->evidence[i].weight, verdict->evidence[i].weight, sizeof series->evidence[i].weight);
    series->evidence_count = i + 1;
  }
  return series->evidence != NULL && fill_frames(stack, series, err);
}

/* The slice of a phase's stack that shows the lesion's centre, as it lies on slice `fixed_slice` of the ROI's stack. */
static size_t slice_in_phase(const struct lvn_case *c, const struct lvn_case_lesion *lesion, int phase,
                             uint32_t fixed_slice) {
  const struct lvn_grid *fixed = &lesion->roi->mask.grid;
  const struct lvn_stack *stack = c->stacks[lesion->stack_index[phase]].stack;
  double index[3];
  double fixed_mm[3];
  double moving_mm[3];
  lvn_grid_to_index(fixed, lesion->measure.centroid_mm, index);
  index[2] = fixed_slice;
  lvn_grid_to_patient(fixed, index, fixed_mm);
  lvn_transform_map(lesion->registration[phase], fixed_mm, moving_mm);
  lvn_grid_to_index(&stack->grid, moving_mm, index);
  double nearest = round(index[2]);
  return nearest > 0.0 ? (size_t)fmin(nearest, (double)(stack->slice_count - 1)) : 0;
}

static bool fill_slices(const struct lvn_case *c, const struct lvn_case_lesion *source,
                        struct lvn_findings_lesion *lesion, struct lvn_error *err) {
  lesion->slices = lvn_alloc(source->crop.slice_count, sizeof *lesion->slices, err);
  if (lesion->slices == NULL) {
    return false;
  }
  for (size_t s = 0; s < source->crop.slice_count; s++) {
    uint32_t fixed_slice = source->crop.slices[s].fixed_slice_index;
    lesion->slices[s].drawn = image_of(c->stacks[lesion->series].stack, fixed_slice);
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      if (source->registration[phase] != NULL) {
        lesion->slices[s].phases[phase] =
            image_of(c->stacks[source->stack_index[phase]].stack, slice_in_phase(c, source, phase, fixed_slice));
      }
    }
  }
  lesion->slice_count = source->crop.slice_count;
  lesion->key_slice = source->crop.key_slice;
  lesion->crop_side_mm = source->crop.side_mm;
  lesion->heat_side = LVN_CROP_SIDE;
  memcpy(lesion->heat_first_index, source->crop.first_index, sizeof lesion->heat_first_index);
  memcpy(lesion->heat_step_index, source->crop.step_index, sizeof lesion->heat_step_index);
  return lesion->slice_count == 0 ||
         lvn_contour_trace(&source->roi->mask, source->crop.slices[lesion->key_slice].fixed_slice_index,
                           &lesion->contours, err);
}

static struct lvn_findings_alignment alignment_of(const struct lvn_registration_quality *quality) {
  struct lvn_findings_alignment alignment = {.is_usable = quality->usable,
                                             .reason = quality->reason,
                                             .model = quality->model != NULL ? quality->model : "none",
                                             .similarity = quality->similarity,
                                             .similarity_before = quality->similarity_before,
                                             .inverse_consistency_mm = quality->inverse_consistency_mm,
                                             .estimated_error_mm = quality->estimated_error_mm,
                                             .seconds = quality->seconds};
  memcpy(alignment.displacement_mm, quality->displacement_mm, sizeof alignment.displacement_mm);
  return alignment;
}

static bool fill_place(const struct lvn_stack *stack, const struct lvn_propagated_mask *propagated,
                       struct lvn_findings_place *place, struct lvn_error *err) {
  const struct lvn_mask *mask = &propagated->mask;
  const double *spacing = mask->grid.spacing_mm;
  size_t voxels = mask->inside == NULL ? 0 : lvn_mask_measure(mask, place->first, place->last, place->centroid_mm);
  if (voxels == 0) {
    return true;
  }
  uint32_t key = lvn_measure_largest_slice(mask);
  place->is_found = true;
  place->is_cut = propagated->is_cut;
  place->region.mask = mask;
  memcpy(place->region.first, propagated->first, sizeof place->region.first);
  place->volume_ml = (double)voxels * spacing[0] * spacing[1] * spacing[2] / 1000.0;
  for (int axis = 0; axis < 3; axis++) {
    place->first[axis] += propagated->first[axis];
    place->last[axis] += propagated->first[axis];
  }
  if (propagated->first[2] + key < stack->slice_count) {
    place->key_sop_instance_uid = stack->slices[propagated->first[2] + key].sop_instance_uid;
  }
  if (!lvn_contour_trace(mask, key, &place->contours, err)) {
    return false;
  }
  for (size_t i = 0; i < place->contours.count; i++) {
    for (size_t p = 0; p < place->contours.items[i].count; p++) {
      place->contours.items[i].points[p].column += propagated->first[0];
      place->contours.items[i].points[p].row += propagated->first[1];
    }
  }
  return true;
}

/* NULL: the object is a file named by hand that lies in no series of the study. */
static const char *series_of_object(const struct lvn_study *study, const char *sop_instance_uid) {
  for (size_t i = 0; i < lvn_study_get_object_count(study); i++) {
    const struct lvn_other_object *object = lvn_study_get_object(study, i);
    if (strcmp(object->sop_instance_uid, sop_instance_uid) == 0) {
      return object->series_instance_uid;
    }
  }
  return NULL;
}

static bool fill_lesion(const struct lvn_case *c, const struct lvn_case_lesion *source,
                        struct lvn_findings_lesion *lesion, struct lvn_error *err) {
  const struct lvn_roi *roi = source->roi;
  *lesion = (struct lvn_findings_lesion){
      .tracking_id = roi->tracking_id,
      .tracking_uid = roi->tracking_uid,
      .roi = {.sop_class_uid = roi->source_sop_class_uid,
              .sop_instance_uid = roi->source_sop_instance_uid,
              .series_instance_uid = series_of_object(c->study, roi->source_sop_instance_uid)},
      .series = roi->stack_index,
      .drawn = {.mask = &roi->mask},
      .long_axis_mm = source->measure.long_axis_mm,
      .short_axis_mm = source->measure.short_axis_mm,
      .volume_ml = source->measure.volume_ml};
  memcpy(lesion->centroid_mm, source->measure.centroid_mm, sizeof lesion->centroid_mm);
  lvn_measure_pixels(&roi->mask, lvn_measure_largest_slice(&roi->mask), lesion->pixels_across);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    struct lvn_findings_lesion_phase *target = &lesion->phases[phase];
    bool is_absent = phase >= LVN_PHASE_NETWORK_COUNT && source->registration[phase] == NULL;
    target->series = is_absent ? SIZE_MAX : source->stack_index[phase];
    target->is_reference = source->is_reference[phase];
    /* Where a phase is not aligned, the outline lies on something else. */
    target->mean_hu = source->quality[phase].usable ? source->mean_hu[phase] : (double)NAN;
    target->liver_hu = source->quality[phase].usable ? source->liver_hu[phase] : (double)NAN;
    target->alignment = alignment_of(&source->quality[phase]);
    if (!is_absent && !fill_place(c->stacks[target->series].stack, &source->propagated[phase], &target->place, err)) {
      return false;
    }
  }
  return fill_slices(c, source, lesion, err);
}

void lvn_findings_fill_model(const struct lvn_classifier_info *info, struct lvn_findings_model *ret_model) {
  *ret_model = (struct lvn_findings_model){.name = info->name,
                                           .version = info->version,
                                           .device_uid = info->device_uid,
                                           .device = info->device,
                                           .trained_on = info->trained_on,
                                           .weighs_measurements = info->weighs_measurements,
                                           .crop_margin = info->crop.margin,
                                           .crop_min_side_mm = info->crop.min_side_mm,
                                           .window_low_hu = info->window_low_hu,
                                           .window_high_hu = info->window_high_hu};
  lvn_sha256_to_text(info->manifest_sha256, ret_model->manifest_sha256);
}

static bool fill_all(const struct lvn_case *c, struct lvn_findings *findings, struct lvn_error *err) {
  findings->series = lvn_alloc(c->stack_count, sizeof *findings->series, err);
  findings->lesions = lvn_alloc(c->lesion_count, sizeof *findings->lesions, err);
  if (findings->series == NULL || findings->lesions == NULL) {
    return false;
  }
  /* Counted first, so that clearing frees a half-filled one. */
  for (size_t i = 0; i < c->stack_count; i++) {
    findings->series_count = i + 1;
    if (!fill_series(&c->stacks[i], &findings->series[i], err)) {
      return false;
    }
  }
  for (size_t i = 0; i < c->lesion_count; i++) {
    findings->lesion_count = i + 1;
    if (!fill_lesion(c, &c->lesions[i], &findings->lesions[i], err)) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
  }
  return true;
}

bool lvn_findings_fill(const struct lvn_case *study_case, enum lvn_analysis_outcome outcome, const char *status_message,
                       struct lvn_findings *ret_findings, struct lvn_error *err) {
  const struct lvn_study *study = study_case->study;
  *ret_findings = (struct lvn_findings){.study_instance_uid = study != NULL ? lvn_study_get_uid(study) : "",
                                        .template_path = study != NULL ? lvn_study_get_template_path(study) : NULL,
                                        .outcome = outcome,
                                        .status_message = status_message,
                                        .roi_note = study_case->roi_note,
                                        .timings = study_case->timings};
  if (!fill_all(study_case, ret_findings, err)) {
    lvn_findings_clear(ret_findings);
    return false;
  }
  return true;
}
