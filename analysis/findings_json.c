#include "analysis/findings_json.h"

#include <math.h>

json_t *lvn_findings_json_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *lvn_findings_json_numbers(const double *values, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    (void)json_array_append_new(array, lvn_findings_json_number(values[i]));
  }
  return array;
}

json_t *lvn_findings_json_text(const char *value) {
  json_t *string = json_string(value);
  return string != NULL ? string : json_string("(not valid UTF-8)");
}

json_t *lvn_findings_json_phases(const double values[LVN_PHASE_COUNT]) {
  json_t *object = json_object();
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    (void)json_object_set_new(object, lvn_phase_name((enum lvn_phase)phase), lvn_findings_json_number(values[phase]));
  }
  return object;
}

json_t *lvn_findings_json_probability(const struct lvn_findings_prediction *prediction) {
  json_t *object = json_object();
  for (unsigned c = lvn_classes_first(prediction->classes); c < LVN_CLASS_COUNT;
       c = lvn_classes_next(prediction->classes, c)) {
    (void)json_object_set_new(object, lvn_class_name((enum lvn_class)c),
                              prediction->has_probability ? lvn_findings_json_number(prediction->probability[c])
                                                          : json_null());
  }
  return object;
}

void lvn_findings_json_put_alignment(json_t *object, const struct lvn_findings_lesion_phase *phase) {
  const struct lvn_findings_alignment *alignment = &phase->alignment;
  (void)json_object_set_new(object, "is_reference", json_boolean(phase->is_reference));
  (void)json_object_set_new(object, "usable", json_boolean(alignment->is_usable));
  (void)json_object_set_new(object, "model", json_string(alignment->model));
  (void)json_object_set_new(object, "displacement_mm", lvn_findings_json_numbers(alignment->displacement_mm, 3));
  (void)json_object_set_new(object, "estimated_error_mm", lvn_findings_json_number(alignment->estimated_error_mm));
  (void)json_object_set_new(object, "similarity", lvn_findings_json_number(alignment->similarity));
  (void)json_object_set_new(object, "similarity_before", lvn_findings_json_number(alignment->similarity_before));
  (void)json_object_set_new(object, "inverse_consistency_mm",
                            lvn_findings_json_number(alignment->inverse_consistency_mm));
}
