#include "analysis/shadow.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "model/tensor/json.h"

#include <string.h>

static json_t *model_json(const struct lvn_classifier_info *info) {
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(info->manifest_sha256, digest);
  return json_pack("{s:s,s:s,s:s}", "name", info->name, "version", info->version, "manifest_sha256", digest);
}

static json_t *answer_json(const struct lvn_prediction *prediction, bool has_probability) {
  json_t *probability = json_object();
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    (void)json_object_set_new(probability, lvn_class_name((enum lvn_class)c),
                              has_probability ? json_real(prediction->probability[c]) : json_null());
  }
  json_t *top = has_probability ? json_string(lvn_class_name(prediction->top_class)) : json_null();
  return json_pack("{s:o,s:o,s:b,s:s}", "top_class", top, "probability", probability, "abstained",
                   prediction->abstained, "abstention_reason", prediction->abstention_reason);
}

/* The same lesion through the second model: its own crop, and the same distrust of a phase that was not aligned or a
 * region that shows no lesion. */
static bool answer(struct lvn_classifier *shadow, const struct lvn_case *study_case, size_t index,
                   const struct lvn_lesion_outcome *outcome, json_t *lesions, struct lvn_error *err) {
  LVN_CLEANUP(lvn_crop_clear) struct lvn_crop crop = {0};
  LVN_CLEANUP(lvn_prediction_clear) struct lvn_prediction prediction = {0};
  if (!lvn_case_crop(study_case, index, &lvn_classifier_get_info(shadow)->crop, &crop, err) ||
      !lvn_classifier_run(shadow, &crop, &prediction, err)) {
    return lvn_error_prefix(err, "lesion %zu", index + 1);
  }
  if (!outcome->has_probability || lvn_roi_gate_reason(&outcome->gate) != NULL) {
    prediction.abstained = true;
    (void)lvn_copy(prediction.abstention_reason, sizeof prediction.abstention_reason,
                   outcome->prediction.abstention_reason);
  }
  json_t *entry = json_pack("{s:s,s:o,s:o}", "tracking_uid", study_case->lesions[index].roi->tracking_uid, "current",
                            answer_json(&outcome->prediction, outcome->has_probability), "shadow",
                            answer_json(&prediction, outcome->has_probability));
  return json_array_append_new(lesions, entry) == 0 ||
         lvn_error_set(err, LVN_ERROR_INTERNAL, "an answer cannot be encoded");
}

static bool write_file(json_t *whole, const struct lvn_analysis_request *request, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  return lvn_path_join(path, request->output_folder, LVN_SHADOW_FILE, err) && lvn_json_write(path, whole, err);
}

void lvn_shadow_run(struct lvn_classifier *shadow, const struct lvn_case *study_case,
                    const struct lvn_lesion_outcome *outcomes, const struct lvn_classifier_info *info,
                    const struct lvn_analysis_request *request) {
  struct lvn_error err = {0};
  struct lvn_error write_err = {0};
  double since = lvn_clock_monotonic_seconds();
  json_t *lesions = json_array();
  bool good = true;
  for (size_t i = 0; good && i < study_case->lesion_count; i++) {
    good = answer(shadow, study_case, i, &outcomes[i], lesions, &err);
  }
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *whole = json_pack("{s:i,s:o,s:o,s:o,s:s,s:f}", "schema", 1, "current", model_json(info), "shadow",
                            model_json(lvn_classifier_get_info(shadow)), "lesions", lesions, "failure",
                            good ? "" : err.message, "seconds", lvn_clock_monotonic_seconds() - since);
  if (whole == NULL || !write_file(whole, request, &write_err)) {
    lvn_log_error(LVN_LOG_WARNING, "shadow-not-written", &write_err, "%s", "results=unaffected");
  }
  if (!good) {
    lvn_log_error(LVN_LOG_WARNING, "shadow-failed", &err, "%s", "results=unaffected");
  }
}
