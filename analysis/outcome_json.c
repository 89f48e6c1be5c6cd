#include "analysis/outcome.h"

#include "analysis/measure.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "model/image/contour.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

/* JSON has no NaN: what was not measured is null. */
static json_t *number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *numbers(const double *values, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    (void)json_array_append_new(array, number(values[i]));
  }
  return array;
}

/* jansson refuses invalid UTF-8, which an object may well hold. */
static json_t *text(const char *value) {
  json_t *string = json_string(value);
  return string != NULL ? string : json_string("(not valid UTF-8)");
}

static json_t *evidence_json(const struct lvn_phase_verdict *verdict) {
  json_t *array = json_array();
  for (size_t i = 0; i < verdict->evidence_count; i++) {
    json_t *weights = json_object();
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      (void)json_object_set_new(weights, lvn_phase_name((enum lvn_phase)phase),
                                number(verdict->evidence[i].weight[phase]));
    }
    (void)json_array_append_new(
        array, json_pack("{s:o,s:o}", "text", text(verdict->evidence[i].text), "log_likelihood_ratio", weights));
  }
  return array;
}

static json_t *stack_json(const struct lvn_case_stack *entry) {
  const struct lvn_stack *stack = entry->stack;
  json_t *object = json_pack(
      "{s:s,s:i,s:o,s:s,s:o,s:o,s:[iii],s:[fff]}", "series_instance_uid", stack->series_instance_uid, "series_number",
      stack->series_number, "series_description", text(stack->series_description), "exclusion",
      lvn_case_exclusion(entry), "geometry_problem", text(stack->geometry_problem), "geometry_note",
      text(stack->geometry_note), "size", (int)stack->grid.size[0], (int)stack->grid.size[1], (int)stack->grid.size[2],
      "spacing_mm", stack->grid.spacing_mm[0], stack->grid.spacing_mm[1], stack->grid.spacing_mm[2]);
  if (entry->is_candidate) {
    json_t *probability = json_object();
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      (void)json_object_set_new(probability, lvn_phase_name((enum lvn_phase)phase),
                                number(entry->verdict.probability[phase]));
    }
    (void)json_object_set_new(object, "phase", json_string(lvn_phase_name(entry->verdict.phase)));
    (void)json_object_set_new(object, "chosen", json_boolean(entry->verdict.chosen));
    (void)json_object_set_new(object, "phase_probability", probability);
    (void)json_object_set_new(object, "evidence", evidence_json(&entry->verdict));
  }
  return object;
}

/* In columns and rows of the image, whose first pixel's centre is (0,0); null when there is none. */
static json_t *contours_json(const struct lvn_propagated_mask *propagated, uint32_t slice) {
  LVN_CLEANUP(lvn_contour_list_clear) struct lvn_contour_list list = {0};
  struct lvn_error ignored = {0};
  if (!lvn_contour_trace(&propagated->mask, slice, &list, &ignored)) {
    return json_null();
  }
  json_t *contours = json_array();
  for (size_t i = 0; i < list.count; i++) {
    json_t *points = json_array();
    for (size_t p = 0; p < list.items[i].count; p++) {
      (void)json_array_append_new(
          points, json_pack("[ff]", (double)propagated->first[0] + (double)list.items[i].points[p].column - 0.5,
                            (double)propagated->first[1] + (double)list.items[i].points[p].row - 0.5));
    }
    (void)json_array_append_new(contours, points);
  }
  return contours;
}

/* Where the lesion is in the phase's own images. */
static json_t *propagated_json(const struct lvn_stack *stack, const struct lvn_propagated_mask *propagated) {
  uint32_t first[3];
  uint32_t last[3];
  double centroid_mm[3];
  size_t voxels = propagated->mask.inside == NULL ? 0 : lvn_mask_measure(&propagated->mask, first, last, centroid_mm);
  if (voxels == 0) {
    return json_null();
  }
  const struct lvn_grid *grid = &propagated->mask.grid;
  uint32_t key = lvn_measure_largest_slice(&propagated->mask);
  json_t *object = json_pack("{s:[iii],s:[iii],s:b,s:o,s:f,s:o}", "first", (int)(propagated->first[0] + first[0]),
                             (int)(propagated->first[1] + first[1]), (int)(propagated->first[2] + first[2]), "last",
                             (int)(propagated->first[0] + last[0]), (int)(propagated->first[1] + last[1]),
                             (int)(propagated->first[2] + last[2]), "is_cut", propagated->is_cut, "centroid_mm",
                             numbers(centroid_mm, 3), "volume_ml",
                             (double)voxels * grid->spacing_mm[0] * grid->spacing_mm[1] * grid->spacing_mm[2] / 1000.0,
                             "key_contours", contours_json(propagated, key));
  if (propagated->first[2] + key < stack->slice_count) {
    (void)json_object_set_new(object, "key_sop_instance_uid",
                              json_string(stack->slices[propagated->first[2] + key].sop_instance_uid));
  }
  return object;
}

static json_t *registration_json(const struct lvn_case *study_case, const struct lvn_case_lesion *lesion, int phase) {
  const struct lvn_registration_quality *q = &lesion->quality[phase];
  const struct lvn_stack *stack = study_case->stacks[lesion->stack_index[phase]].stack;
  return json_pack("{s:s,s:s,s:b,s:b,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "phase",
                   lvn_phase_name((enum lvn_phase)phase), "series_instance_uid", stack->series_instance_uid,
                   "is_reference", lesion->is_reference[phase], "usable", q->usable, "reason", q->reason, "model",
                   q->model != NULL ? q->model : "none", "displacement_mm", numbers(q->displacement_mm, 3),
                   "estimated_error_mm", number(q->estimated_error_mm), "similarity", number(q->similarity),
                   "similarity_before", number(q->similarity_before), "inverse_consistency_mm",
                   number(q->inverse_consistency_mm), "seconds", number(q->seconds), "lesion",
                   propagated_json(stack, &lesion->propagated[phase]));
}

static json_t *prediction_json(const struct lvn_lesion_outcome *outcome) {
  const struct lvn_prediction *p = &outcome->prediction;
  json_t *object = json_object();
  if (outcome->has_probability) {
    json_t *probability = json_object();
    for (int k = 0; k < LVN_CLASS_COUNT; k++) {
      (void)json_object_set_new(probability, lvn_class_name((enum lvn_class)k), number(p->probability[k]));
    }
    (void)json_object_set_new(object, "probability", probability);
    (void)json_object_set_new(object, "cosine", numbers(p->cosine, LVN_CLASS_COUNT));
    (void)json_object_set_new(object, "top_class", json_string(lvn_class_name(p->top_class)));
    (void)json_object_set_new(object, "margin", number(p->margin));
    (void)json_object_set_new(object, "feature_distance", number(p->feature_distance));
    (void)json_object_set_new(object, "order_disagreement", number(p->order_disagreement));
  }
  if (outcome->gate.is_judged) {
    (void)json_object_set_new(object, "surroundings",
                              json_pack("{s:o,s:o,s:o}", "contrast_hu", number(outcome->gate.contrast_hu), "odd_share",
                                        number(outcome->gate.odd_share), "fat_share", number(outcome->gate.fat_share)));
  }
  (void)json_object_set_new(object, "abstained", json_boolean(p->abstained));
  (void)json_object_set_new(object, "abstention_reason", text(p->abstention_reason));
  return object;
}

static json_t *lesion_json(const struct lvn_case *study_case, const struct lvn_case_lesion *lesion,
                           const struct lvn_lesion_outcome *outcome) {
  const struct lvn_roi *roi = lesion->roi;
  const struct lvn_stack *stack = study_case->stacks[roi->stack_index].stack;
  json_t *registrations = json_array();
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    (void)json_array_append_new(registrations, registration_json(study_case, lesion, phase));
  }
  json_t *object =
      json_pack("{s:o,s:s,s:{s:s,s:s,s:s},s:o,s:f,s:f,s:f,s:o,s:o}", "tracking_id", text(roi->tracking_id),
                "tracking_uid", roi->tracking_uid, "roi", "sop_instance_uid", roi->source_sop_instance_uid,
                "sop_class_uid", roi->source_sop_class_uid, "series_instance_uid", stack->series_instance_uid,
                "centroid_mm", numbers(lesion->centroid_mm, 3), "long_axis_mm", lesion->long_axis_mm, "short_axis_mm",
                lesion->short_axis_mm, "volume_ml", lesion->volume_ml, "mean_hu",
                numbers(lesion->mean_hu, LVN_PHASE_NETWORK_COUNT), "registration", registrations);
  if (lesion->crop.slice_count > 0) {
    uint32_t key = lesion->crop.slices[lesion->crop.key_slice].fixed_slice_index;
    json_t *crop = json_pack("{s:f,s:i,s:i}", "side_mm", lesion->crop.side_mm, "slices", (int)lesion->crop.slice_count,
                             "key_slice_index", (int)key);
    if (key < stack->slice_count) {
      (void)json_object_set_new(crop, "key_sop_instance_uid", json_string(stack->slices[key].sop_instance_uid));
    }
    (void)json_object_set_new(object, "crop", crop);
  }
  if (outcome != NULL) {
    (void)json_object_set_new(object, "prediction", prediction_json(outcome));
  }
  return object;
}

static json_t *model_json(const struct lvn_classifier_info *info) {
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(info->manifest_sha256, digest);
  return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "name", info->name, "version", info->version, "manifest_sha256", digest,
                   "device_uid", info->device_uid, "device", info->device, "trained_on", info->trained_on);
}

static json_t *timings_json(const struct lvn_case_timings *t, const struct lvn_outcome_timings *o) {
  return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "read", t->read_seconds, "decode", t->decode_seconds,
                   "phase", t->phase_seconds, "roi", t->roi_seconds, "registration", t->registration_seconds, "crop",
                   t->crop_seconds, "network", o->network_seconds, "render", o->render_seconds, "write",
                   o->write_seconds);
}

static json_t *objects_json(const struct lvn_analysis_result *result) {
  json_t *array = json_array();
  for (size_t i = 0; i < result->object_count; i++) {
    const char *slash = strrchr(result->objects[i].path, '/');
    (void)json_array_append_new(
        array, json_pack("{s:s,s:s,s:s}", "file", slash != NULL ? slash + 1 : result->objects[i].path, "sop_class_uid",
                         result->objects[i].sop_class_uid, "sop_instance_uid", result->objects[i].sop_instance_uid));
  }
  return array;
}

static json_t *whole_json(const struct lvn_case *study_case, const struct lvn_lesion_outcome *outcomes,
                          const struct lvn_classifier_info *info, const struct lvn_analysis_request *request,
                          const struct lvn_outcome_timings *timings, const struct lvn_analysis_result *result) {
  char when[LVN_TIME_TEXT_BYTES];
  json_t *series = json_array();
  json_t *lesions = json_array();
  for (size_t i = 0; i < study_case->stack_count; i++) {
    (void)json_array_append_new(series, stack_json(&study_case->stacks[i]));
  }
  for (size_t i = 0; i < study_case->lesion_count; i++) {
    (void)json_array_append_new(
        lesions, lesion_json(study_case, &study_case->lesions[i], outcomes != NULL ? &outcomes[i] : NULL));
  }
  lvn_clock_format_utc(request->wall_ms, when);
  return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "schema", 1, "study_instance_uid",
                   study_case->study != NULL ? lvn_study_get_uid(study_case->study) : "", "created", when, "outcome",
                   lvn_analysis_outcome_name(result->outcome), "status_message", result->status_message, "notice",
                   LVN_RESEARCH_NOTICE, "model", model_json(info), "series", series, "lesions", lesions, "roi_note",
                   text(study_case->roi_note), "timings_seconds", timings_json(&study_case->timings, timings),
                   "objects", objects_json(result));
}

bool lvn_outcome_write_json(const struct lvn_case *study_case, const struct lvn_lesion_outcome *outcomes,
                            const struct lvn_classifier_info *info, const struct lvn_analysis_request *request,
                            const struct lvn_outcome_timings *timings, const struct lvn_analysis_result *result,
                            struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, request->output_folder, "analysis.json", err)) {
    return false;
  }
  json_t *whole = whole_json(study_case, outcomes, info, request, timings, result);
  char *encoded = whole == NULL ? NULL : json_dumps(whole, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  json_decref(whole);
  if (encoded == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for analysis.json");
  }
  bool good = lvn_file_replace(path, encoded, strlen(encoded), 0600, err);
  lvn_free(encoded); /* jansson allocates by malloc unless told otherwise */
  return good;
}
