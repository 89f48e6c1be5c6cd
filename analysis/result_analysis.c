/* analysis.json: everything that was found, and on what evidence. */
#include "analysis/findings/words.h"
#include "analysis/findings_json.h"
#include "analysis/results.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

static json_t *evidence_json(const struct lvn_findings_series *series) {
  json_t *array = json_array();
  for (size_t i = 0; i < series->evidence_count; i++) {
    (void)json_array_append_new(array, json_pack("{s:o,s:o}", "text", lvn_findings_json_text(series->evidence[i].text),
                                                 "log_likelihood_ratio",
                                                 lvn_findings_json_phases(series->evidence[i].weight)));
  }
  return array;
}

static json_t *series_json(const struct lvn_findings_series *series) {
  const struct lvn_grid *grid = series->grid;
  json_t *object = json_pack(
      "{s:s,s:i,s:o,s:s,s:o,s:o,s:[iii],s:[fff]}", "series_instance_uid", series->series_instance_uid, "series_number",
      series->series_number, "series_description", lvn_findings_json_text(series->description), "exclusion",
      series->exclusion, "geometry_problem", lvn_findings_json_text(series->geometry_problem), "geometry_note",
      lvn_findings_json_text(series->geometry_note), "size", (int)grid->size[0], (int)grid->size[1], (int)grid->size[2],
      "spacing_mm", grid->spacing_mm[0], grid->spacing_mm[1], grid->spacing_mm[2]);
  if (series->is_candidate) {
    (void)json_object_set_new(object, "phase", json_string(lvn_phase_name(series->phase)));
    (void)json_object_set_new(object, "chosen", json_boolean(series->is_chosen));
    (void)json_object_set_new(object, "phase_probability", lvn_findings_json_phases(series->probability));
    (void)json_object_set_new(object, "evidence", evidence_json(series));
  }
  return object;
}

/* In columns and rows of the image, whose first pixel's centre is (0,0). */
static json_t *contours_json(const struct lvn_contour_list *list) {
  json_t *contours = json_array();
  for (size_t i = 0; i < list->count; i++) {
    json_t *points = json_array();
    for (size_t p = 0; p < list->items[i].count; p++) {
      (void)json_array_append_new(points, json_pack("[ff]", (double)list->items[i].points[p].column - 0.5,
                                                    (double)list->items[i].points[p].row - 0.5));
    }
    (void)json_array_append_new(contours, points);
  }
  return contours;
}

static json_t *place_json(const struct lvn_findings_place *place) {
  if (!place->is_found) {
    return json_null();
  }
  json_t *object =
      json_pack("{s:[iii],s:[iii],s:b,s:o,s:f,s:o}", "first", (int)place->first[0], (int)place->first[1],
                (int)place->first[2], "last", (int)place->last[0], (int)place->last[1], (int)place->last[2], "is_cut",
                place->is_cut, "centroid_mm", lvn_findings_json_numbers(place->centroid_mm, 3), "volume_ml",
                place->volume_ml, "key_contours", contours_json(&place->contours));
  if (place->key_sop_instance_uid != NULL) {
    (void)json_object_set_new(object, "key_sop_instance_uid", json_string(place->key_sop_instance_uid));
  }
  return object;
}

static json_t *registration_json(const struct lvn_findings *findings, const struct lvn_findings_lesion *lesion,
                                 int phase) {
  const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
  json_t *object = json_pack("{s:s,s:s}", "phase", lvn_phase_name((enum lvn_phase)phase), "series_instance_uid",
                             findings->series[shown->series].series_instance_uid);
  lvn_findings_json_put_alignment(object, shown);
  (void)json_object_set_new(object, "reason", lvn_findings_json_text(shown->alignment.reason));
  (void)json_object_set_new(object, "seconds", lvn_findings_json_number(shown->alignment.seconds));
  (void)json_object_set_new(object, "lesion", place_json(&shown->place));
  return object;
}

/* The classes that cannot be excluded; null without sets. */
static json_t *conformal_json(const struct lvn_findings_prediction *p) {
  json_t *classes = json_array();
  char words[LVN_WORDS_BYTES];
  if (!isfinite(p->conformal_coverage)) {
    json_decref(classes);
    return json_null();
  }
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    if (((p->conformal_set >> c) & 1U) != 0) {
      (void)json_array_append_new(classes, json_string(lvn_class_name((enum lvn_class)c)));
    }
  }
  lvn_words_conformal(p, words);
  return json_pack("{s:f,s:o,s:s}", "coverage", p->conformal_coverage, "classes", classes, "text", words);
}

static json_t *outlier_json(const struct lvn_findings_prediction *p) {
  return json_pack("{s:o,s:o,s:o}", "score", lvn_findings_json_number(p->outlier_score), "limit",
                   lvn_findings_json_number(p->outlier_limit), "false_alarm_rate",
                   lvn_findings_json_number(p->outlier_alarm_rate));
}

static json_t *map_json(const struct lvn_findings_lesion *lesion) {
  const struct lvn_findings_prediction *p = &lesion->prediction;
  return json_pack("{s:o,s:o,s:b}", "share", lvn_findings_json_number(p->map_share), "limit",
                   lvn_findings_json_number(p->map_share_limit), "is_elsewhere", lvn_findings_map_is_elsewhere(lesion));
}

/* By phase name, of the phases that the lesion was compared in. */
static json_t *attenuation_json(const struct lvn_findings_lesion *lesion) {
  json_t *object = json_object();
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
    double change = phase == LVN_PHASE_NC ? (double)NAN : shown->mean_hu - lesion->phases[LVN_PHASE_NC].mean_hu;
    if (lvn_findings_has_phase(lesion, (enum lvn_phase)phase)) {
      (void)json_object_set_new(object, lvn_phase_name((enum lvn_phase)phase),
                                json_pack("{s:o,s:o,s:o,s:o}", "lesion", lvn_findings_json_number(shown->mean_hu),
                                          "liver", lvn_findings_json_number(shown->liver_hu), "lesion_minus_liver",
                                          lvn_findings_json_number(shown->mean_hu - shown->liver_hu),
                                          "change_from_non_contrast", lvn_findings_json_number(change)));
    }
  }
  return object;
}

/* In the order of the classes under "probability". */
static json_t *cosine_json(const struct lvn_findings_prediction *p) {
  json_t *array = json_array();
  for (unsigned c = lvn_classes_first(p->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(p->classes, c)) {
    (void)json_array_append_new(array, lvn_findings_json_number(p->cosine[c]));
  }
  return array;
}

static json_t *gates_json(const struct lvn_findings_lesion *lesion) {
  json_t *array = json_array();
  for (size_t i = 0; i < lesion->gate_count; i++) {
    (void)json_array_append_new(array, json_string(lesion->gates[i]));
  }
  return array;
}

static json_t *prediction_json(const struct lvn_findings_lesion *lesion) {
  const struct lvn_findings_prediction *p = &lesion->prediction;
  const struct lvn_findings_surroundings *around = &lesion->surroundings;
  json_t *object = json_object();
  if (p->has_probability) {
    (void)json_object_set_new(object, "probability", lvn_findings_json_probability(p));
    (void)json_object_set_new(object, "cosine", cosine_json(p));
    (void)json_object_set_new(object, "top_class", json_string(lvn_class_name(p->top_class)));
    (void)json_object_set_new(object, "margin", lvn_findings_json_number(p->margin));
    (void)json_object_set_new(object, "feature_distance", lvn_findings_json_number(p->feature_distance));
    (void)json_object_set_new(object, "order_disagreement", lvn_findings_json_number(p->permutation_disagreement));
    (void)json_object_set_new(object, "conformal", conformal_json(p));
    (void)json_object_set_new(object, "outlier", outlier_json(p));
    (void)json_object_set_new(object, "map", map_json(lesion));
  }
  if (around->is_judged) {
    (void)json_object_set_new(
        object, "surroundings",
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "contrast_hu", lvn_findings_json_number(around->contrast_hu),
                  "odd_share", lvn_findings_json_number(around->odd_share), "fat_share",
                  lvn_findings_json_number(around->fat_share), "liver_share",
                  lvn_findings_json_number(around->liver_share), "rise_hu", lvn_findings_json_number(around->rise_hu),
                  "fall_hu", lvn_findings_json_number(around->fall_hu)));
  }
  (void)json_object_set_new(object, "abstained", json_boolean(p->abstained));
  (void)json_object_set_new(object, "abstention_reason", lvn_findings_json_text(p->abstention_reason));
  (void)json_object_set_new(object, "abstention_code",
                            p->abstention_code == NULL ? json_null() : json_string(p->abstention_code));
  (void)json_object_set_new(object, "gates", gates_json(lesion));
  return object;
}

static json_t *lesion_json(const struct lvn_findings *findings, const struct lvn_findings_lesion *lesion) {
  const struct lvn_findings_slice *key = lvn_findings_key(lesion);
  double mean_hu[LVN_PHASE_NETWORK_COUNT];
  json_t *registrations = json_array();
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (phase < LVN_PHASE_NETWORK_COUNT) {
      mean_hu[phase] = lesion->phases[phase].mean_hu;
    }
    if (lvn_findings_has_phase(lesion, (enum lvn_phase)phase)) {
      (void)json_array_append_new(registrations, registration_json(findings, lesion, phase));
    }
  }
  json_t *object = json_pack(
      "{s:o,s:s,s:{s:s,s:s,s:s},s:o,s:f,s:f,s:f,s:o,s:o}", "tracking_id", lvn_findings_json_text(lesion->tracking_id),
      "tracking_uid", lesion->tracking_uid, "roi", "sop_instance_uid", lesion->roi.sop_instance_uid, "sop_class_uid",
      lesion->roi.sop_class_uid, "series_instance_uid", findings->series[lesion->series].series_instance_uid,
      "centroid_mm", lvn_findings_json_numbers(lesion->centroid_mm, 3), "long_axis_mm", lesion->long_axis_mm,
      "short_axis_mm", lesion->short_axis_mm, "volume_ml", lesion->volume_ml, "mean_hu",
      lvn_findings_json_numbers(mean_hu, LVN_PHASE_NETWORK_COUNT), "registration", registrations);
  (void)json_object_set_new(object, "attenuation_hu", attenuation_json(lesion));
  (void)json_object_set_new(object, "pixels_across",
                            json_pack("[ii]", (int)lesion->pixels_across[0], (int)lesion->pixels_across[1]));
  (void)json_object_set_new(object, "is_small", json_boolean(lvn_findings_is_small(lesion)));
  if (key != NULL) {
    (void)json_object_set_new(object, "crop",
                              json_pack("{s:f,s:i,s:i,s:s}", "side_mm", lesion->crop_side_mm, "slices",
                                        (int)lesion->slice_count, "key_slice_index", (int)key->drawn.slice,
                                        "key_sop_instance_uid", key->drawn.sop_instance_uid));
  }
  if (findings->outcome == LVN_ANALYSIS_DONE) {
    (void)json_object_set_new(object, "prediction", prediction_json(lesion));
  }
  return object;
}

static json_t *model_json(const struct lvn_findings_model *model) {
  return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b}", "name", model->name, "version", model->version, "manifest_sha256",
                   model->manifest_sha256, "device_uid", model->device_uid, "device", model->device, "trained_on",
                   model->trained_on, "weighs_measurements", (int)model->weighs_measurements);
}

static json_t *timings_json(const struct lvn_findings_timings *t) {
  return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "read", t->read, "decode", t->decode, "phase", t->phase,
                   "roi", t->roi, "registration", t->registration, "crop", t->crop, "network", t->network, "render",
                   t->render, "write", t->write);
}

static json_t *objects_json(const struct lvn_findings *findings) {
  json_t *array = json_array();
  for (size_t i = 0; i < findings->object_count; i++) {
    const struct lvn_result_object *object = &findings->objects[i];
    const char *slash = strrchr(object->path, '/');
    (void)json_array_append_new(array, json_pack("{s:s,s:s,s:s}", "file", slash != NULL ? slash + 1 : object->path,
                                                 "sop_class_uid", object->sop_class_uid, "sop_instance_uid",
                                                 object->sop_instance_uid));
  }
  return array;
}

static json_t *whole_json(const struct lvn_findings *findings, const struct lvn_result_request *request) {
  char when[LVN_TIME_TEXT_BYTES];
  json_t *series = json_array();
  json_t *lesions = json_array();
  for (size_t i = 0; i < findings->series_count; i++) {
    (void)json_array_append_new(series, series_json(&findings->series[i]));
  }
  for (size_t i = 0; i < findings->lesion_count; i++) {
    (void)json_array_append_new(lesions, lesion_json(findings, &findings->lesions[i]));
  }
  lvn_clock_format_utc(request->wall_ms, when);
  return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "schema", 1, "study_instance_uid",
                   findings->study_instance_uid, "created", when, "outcome",
                   lvn_analysis_outcome_name(findings->outcome), "status_message", findings->status_message, "notice",
                   LVN_RESEARCH_NOTICE, "model", model_json(&findings->model), "series", series, "lesions", lesions,
                   "roi_note", lvn_findings_json_text(findings->roi_note), "timings_seconds",
                   timings_json(&findings->timings), "objects", objects_json(findings), "objects_not_made",
                   lvn_findings_json_text(findings->not_made));
}

bool lvn_result_write_analysis(struct lvn_findings *findings, const struct lvn_result_request *request,
                               struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, request->folder, "analysis.json", err)) {
    return false;
  }
  json_t *whole = whole_json(findings, request);
  char *encoded = whole == NULL ? NULL : json_dumps(whole, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  json_decref(whole);
  if (encoded == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for analysis.json");
  }
  bool good = lvn_file_replace(path, encoded, strlen(encoded), 0600, err);
  lvn_free(encoded); /* jansson allocates by malloc unless told otherwise */
  return good;
}
