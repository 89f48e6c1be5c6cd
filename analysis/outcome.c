#include "analysis/outcome.h"

#include "analysis/references.h"
#include "base/clock.h"
#include "base/memory.h"
#include "dicom/write/result.h"
#include "model/image/contour.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(((struct lvn_analysis_result *)0)->objects) /
                       sizeof(((struct lvn_analysis_result *)0)->objects[0]) >=
                   LVN_RESULT_OBJECTS_MAX,
               "every result object has a place in the analysis result");

#define EVIDENCE_TEXT_BYTES 512
#define PARAMETERS_BYTES 256

/* All that a result request borrows, kept together for one clean-up. */
struct request_parts {
  struct lvn_result_phase *phases;
  char (*phase_evidence)[EVIDENCE_TEXT_BYTES];
  size_t phase_count;
  struct lvn_reference_set evidence;
  struct lvn_result_reference *roi_objects;
  size_t roi_object_count;
  struct lvn_result_lesion *lesions;
  char (*parameters)[PARAMETERS_BYTES]; /* per lesion */
  struct lvn_result_contour **contours; /* per lesion */
  size_t *contour_counts;
  size_t lesion_count;
};

static void parts_clear(struct request_parts *parts) {
  for (size_t i = 0; i < parts->lesion_count; i++) {
    for (size_t k = 0; parts->contours != NULL && parts->contours[i] != NULL && k < parts->contour_counts[i]; k++) {
      /* The points were allocated here; the request only borrows them as const. */
      lvn_free((void *)(uintptr_t)parts->contours[i][k].column_row);
    }
    if (parts->contours != NULL) {
      lvn_free(parts->contours[i]);
    }
  }
  lvn_free(parts->contours);
  lvn_free(parts->contour_counts);
  lvn_free(parts->lesions);
  lvn_free(parts->parameters);
  lvn_free(parts->phases);
  lvn_free(parts->phase_evidence);
  lvn_free(parts->roi_objects);
  lvn_reference_set_clear(&parts->evidence);
}

static void join_evidence(const struct lvn_phase_verdict *verdict, char text[EVIDENCE_TEXT_BYTES]) {
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < verdict->evidence_count; i++) {
    int length =
        snprintf(text + used, EVIDENCE_TEXT_BYTES - used, "%s%s", i == 0 ? "" : "; ", verdict->evidence[i].text);
    if (length < 0 || (size_t)length >= EVIDENCE_TEXT_BYTES - used) {
      return;
    }
    used += (size_t)length;
  }
}

static bool is_phase_known(const struct request_parts *parts, enum lvn_phase phase, const char *series_uid) {
  for (size_t i = 0; i < parts->phase_count; i++) {
    if (parts->phases[i].phase == phase && strcmp(parts->phases[i].series_instance_uid, series_uid) == 0) {
      return true;
    }
  }
  return false;
}

/* Phase by phase, each series that a lesion was compared in: a lesion that was drawn on another series of a phase than
 * the chosen one uses its own. */
static bool fill_phases(const struct lvn_case *c, struct request_parts *parts, struct lvn_error *err) {
  const size_t most = c->lesion_count * LVN_PHASE_NETWORK_COUNT;
  parts->phases = lvn_alloc(most, sizeof *parts->phases, err);
  parts->phase_evidence = lvn_alloc(most, sizeof *parts->phase_evidence, err);
  if (parts->phases == NULL || parts->phase_evidence == NULL) {
    return false;
  }
  for (size_t at = 0; at < most; at++) {
    const int phase = (int)(at / c->lesion_count);
    const struct lvn_case_lesion *lesion = &c->lesions[at % c->lesion_count];
    const struct lvn_case_stack *entry = &c->stacks[lesion->stack_index[phase]];
    if (is_phase_known(parts, (enum lvn_phase)phase, entry->stack->series_instance_uid)) {
      continue;
    }
    char *evidence = parts->phase_evidence[parts->phase_count];
    uint32_t key = lesion->crop.slices[lesion->crop.key_slice].fixed_slice_index;
    join_evidence(&entry->verdict, evidence);
    parts->phases[parts->phase_count++] = (struct lvn_result_phase){
        .phase = (enum lvn_phase)phase,
        .series_instance_uid = entry->stack->series_instance_uid,
        .key_image = lvn_reference_of(entry->stack, lvn_reference_slice(c, lesion, phase, key)),
        .series_number = entry->stack->series_number,
        .evidence = evidence};
  }
  return true;
}

/* Outline of the lesion on its key slice, as closed SCOORD polylines. */
static bool fill_contours(const struct lvn_case_lesion *lesion, size_t index, struct request_parts *parts,
                          struct lvn_error *err) {
  LVN_CLEANUP(lvn_contour_list_clear) struct lvn_contour_list list = {0};
  uint32_t key = lesion->crop.slices[lesion->crop.key_slice].fixed_slice_index;
  if (!lvn_contour_trace(&lesion->roi->mask, key, &list, err)) {
    return false;
  }
  parts->contours[index] = lvn_alloc(list.count, sizeof *parts->contours[index], err);
  if (parts->contours[index] == NULL) {
    return false;
  }
  for (size_t k = 0; k < list.count; k++) {
    size_t count = list.items[k].count;
    float *points = lvn_alloc(2 * (count + 1), sizeof *points, err);
    if (points == NULL) {
      return false;
    }
    for (size_t i = 0; i <= count; i++) {
      points[2 * i] = (float)list.items[k].points[i % count].column;
      points[2 * i + 1] = (float)list.items[k].points[i % count].row;
    }
    parts->contours[index][k] = (struct lvn_result_contour){.column_row = points, .point_count = count + 1};
    parts->contour_counts[index] = k + 1;
  }
  return true;
}

static void fill_registration(const struct lvn_case_lesion *lesion, struct lvn_result_lesion *target) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    const struct lvn_registration_quality *q = &lesion->quality[phase];
    const double *d = q->displacement_mm;
    target->registration[phase].is_reference = lesion->is_reference[phase];
    target->registration[phase].usable = q->usable;
    target->registration[phase].estimated_error_mm = q->estimated_error_mm;
    target->registration[phase].displacement_mm = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    target->registration[phase].similarity = q->similarity;
    target->mean_hu[phase] = lesion->mean_hu[phase];
  }
}

static int series_number_of(const struct lvn_case *c, const struct lvn_case_lesion *lesion, enum lvn_phase phase) {
  return c->stacks[lesion->stack_index[phase]].stack->series_number;
}

/* Which series this lesion was compared in, as text and as images. */
static void fill_sources(const struct lvn_case *c, size_t index, const struct lvn_classifier_info *info,
                         struct request_parts *parts) {
  const struct lvn_case_lesion *lesion = &c->lesions[index];
  uint32_t key = lesion->crop.slices[lesion->crop.key_slice].fixed_slice_index;
  (void)snprintf(parts->parameters[index], PARAMETERS_BYTES,
                 "NC series %d, ART series %d, PV series %d; ROI crop margin %.2f, at least %.0f mm, %ux%u",
                 series_number_of(c, lesion, LVN_PHASE_NC), series_number_of(c, lesion, LVN_PHASE_ART),
                 series_number_of(c, lesion, LVN_PHASE_PV), info->crop.margin, info->crop.min_side_mm, LVN_CROP_SIDE,
                 LVN_CROP_SIDE);
  parts->lesions[index].algorithm_parameters = parts->parameters[index];
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    const struct lvn_stack *stack = c->stacks[lesion->stack_index[phase]].stack;
    parts->lesions[index].source[phase] =
        (struct lvn_result_source){.series_number = stack->series_number,
                                   .image = lvn_reference_of(stack, lvn_reference_slice(c, lesion, phase, key))};
  }
}

static bool fill_lesion(const struct lvn_case *c, size_t index, const struct lvn_lesion_outcome *outcome,
                        const struct lvn_classifier_info *info, struct request_parts *parts, struct lvn_error *err) {
  const struct lvn_case_lesion *lesion = &c->lesions[index];
  const struct lvn_stack *stack = c->stacks[lesion->roi->stack_index].stack;
  struct lvn_result_lesion *target = &parts->lesions[index];
  if (!fill_contours(lesion, index, parts, err)) {
    return false;
  }
  *target = (struct lvn_result_lesion){
      .tracking_id = lesion->roi->tracking_id,
      .tracking_uid = lesion->roi->tracking_uid,
      .right_edge = lvn_outcome_edge(stack->grid.direction[0], false),
      .lower_edge = lvn_outcome_edge(stack->grid.direction[1], false),
      .image = lvn_reference_of(stack, lesion->crop.slices[lesion->crop.key_slice].fixed_slice_index),
      .contours = parts->contours[index],
      .contour_count = parts->contour_counts[index],
      .has_probability = outcome->has_probability,
      .top_class = outcome->prediction.top_class,
      .abstained = outcome->prediction.abstained,
      .abstention_reason = outcome->prediction.abstained ? outcome->prediction.abstention_reason : NULL,
      .long_axis_mm = lesion->long_axis_mm,
      .short_axis_mm = lesion->short_axis_mm,
      .volume_ml = lesion->volume_ml,
      .capture = &outcome->capture};
  memcpy(target->probability, outcome->prediction.probability, sizeof target->probability);
  fill_registration(lesion, target);
  fill_sources(c, index, info, parts);
  return true;
}

static const char *series_of_object(const struct lvn_case *c, const char *sop_instance_uid) {
  for (size_t i = 0; i < lvn_study_get_object_count(c->study); i++) {
    const struct lvn_other_object *object = lvn_study_get_object(c->study, i);
    if (strcmp(object->sop_instance_uid, sop_instance_uid) == 0) {
      return object->series_instance_uid;
    }
  }
  return NULL;
}

/* The objects that the lesions were drawn in. A file that was named by hand and lies in no series is left out. */
static void fill_roi_objects(const struct lvn_case *c, struct request_parts *parts) {
  for (size_t i = 0; i < c->lesion_count; i++) {
    const struct lvn_roi *roi = c->lesions[i].roi;
    const char *series = series_of_object(c, roi->source_sop_instance_uid);
    if (series != NULL) {
      parts->roi_objects[parts->roi_object_count++] =
          (struct lvn_result_reference){.sop_class_uid = roi->source_sop_class_uid,
                                        .sop_instance_uid = roi->source_sop_instance_uid,
                                        .series_instance_uid = series};
    }
  }
}

static bool fill_parts(const struct lvn_case *c, const struct lvn_lesion_outcome *outcomes,
                       const struct lvn_classifier_info *info, struct request_parts *parts, struct lvn_error *err) {
  parts->lesion_count = c->lesion_count;
  parts->lesions = lvn_alloc(c->lesion_count, sizeof *parts->lesions, err);
  parts->parameters = lvn_alloc(c->lesion_count, sizeof *parts->parameters, err);
  parts->contours = lvn_alloc(c->lesion_count, sizeof *parts->contours, err);
  parts->contour_counts = lvn_alloc(c->lesion_count, sizeof *parts->contour_counts, err);
  parts->roi_objects = lvn_alloc(c->lesion_count, sizeof *parts->roi_objects, err);
  if (parts->lesions == NULL || parts->parameters == NULL || parts->contours == NULL || parts->contour_counts == NULL ||
      parts->roi_objects == NULL || !fill_phases(c, parts, err)) {
    return false;
  }
  fill_roi_objects(c, parts);
  for (size_t i = 0; i < c->lesion_count; i++) {
    if (!fill_lesion(c, i, &outcomes[i], info, parts, err)) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
  }
  return lvn_reference_set_collect(c, &parts->evidence, err);
}

static bool write_objects(const struct lvn_case *c, const struct request_parts *parts,
                          const struct lvn_classifier_info *info, const struct lvn_analysis_request *request,
                          struct lvn_analysis_result *ret_result, struct lvn_error *err) {
  const struct lvn_result_request result_request = {.template_path = lvn_study_get_template_path(c->study),
                                                    .job_key = request->job_key,
                                                    .wall_ms = request->wall_ms,
                                                    .replaced_key = request->replaced_key,
                                                    .replaced_wall_ms = request->replaced_wall_ms,
                                                    .device = {.ae_title = request->ae_title,
                                                               .station_name = request->station_name,
                                                               .model_name = info->name,
                                                               .model_version = info->version,
                                                               .device_uid = info->device_uid,
                                                               .software_version = LVN_VERSION},
                                                    .phases = parts->phases,
                                                    .phase_count = parts->phase_count,
                                                    .evidence = parts->evidence.items,
                                                    .evidence_count = parts->evidence.count,
                                                    .lesions = parts->lesions,
                                                    .lesion_count = parts->lesion_count,
                                                    .study_note = c->roi_note[0] != '\0' ? c->roi_note : NULL,
                                                    .roi_objects = parts->roi_objects,
                                                    .roi_object_count = parts->roi_object_count};
  LVN_AUTOFREE struct lvn_result_object *objects = lvn_alloc(LVN_RESULT_OBJECTS_MAX, sizeof *objects, err);
  size_t count = 0;
  if (objects == NULL || !lvn_result_write(&result_request, request->output_folder, objects, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    (void)lvn_copy(ret_result->objects[i].path, sizeof ret_result->objects[i].path, objects[i].path);
    (void)lvn_copy(ret_result->objects[i].sop_class_uid, LVN_UID_BYTES, objects[i].sop_class_uid);
    (void)lvn_copy(ret_result->objects[i].sop_instance_uid, LVN_UID_BYTES, objects[i].sop_instance_uid);
  }
  ret_result->object_count = count;
  return true;
}

bool lvn_outcome_write(const struct lvn_case *study_case, struct lvn_lesion_outcome *outcomes,
                       const struct lvn_classifier_info *info, const struct lvn_analysis_request *request,
                       struct lvn_outcome_timings *timings, struct lvn_analysis_result *ret_result,
                       struct lvn_error *err) {
  struct request_parts parts = {0};
  double start = lvn_clock_monotonic_seconds();
  for (size_t i = 0; i < study_case->lesion_count; i++) {
    if (!lvn_outcome_render(study_case, i, &outcomes[i], info, err)) {
      return lvn_error_prefix(err, "secondary capture of lesion %zu", i + 1);
    }
  }
  double rendered = lvn_clock_monotonic_seconds();
  timings->render_seconds = rendered - start;
  bool good = fill_parts(study_case, outcomes, info, &parts, err) &&
              write_objects(study_case, &parts, info, request, ret_result, err);
  parts_clear(&parts);
  timings->write_seconds = lvn_clock_monotonic_seconds() - rendered;
  return good;
}
