/* shadow.json: what a second model said beside the one in use. */
#include "analysis/findings_json.h"
#include "analysis/results.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/tensor/json.h"

static json_t *model_json(const struct lvn_findings_model *model) {
  return json_pack("{s:s,s:s,s:s}", "name", model->name, "version", model->version, "manifest_sha256",
                   model->manifest_sha256);
}

static json_t *prediction_json(const struct lvn_findings_prediction *prediction) {
  json_t *top = prediction->has_probability ? json_string(lvn_class_name(prediction->top_class)) : json_null();
  return json_pack("{s:o,s:o,s:b,s:s}", "top_class", top, "probability", lvn_findings_json_probability(prediction),
                   "abstained", prediction->abstained, "abstention_reason", prediction->abstention_reason);
}

static bool write_shadow(const struct lvn_findings *findings, const struct lvn_result_request *request,
                         struct lvn_error *err) {
  const struct lvn_findings_shadow *shadow = &findings->shadow;
  char path[LVN_PATH_BYTES];
  json_t *lesions = json_array();
  for (size_t i = 0; i < shadow->prediction_count; i++) {
    (void)json_array_append_new(lesions, json_pack("{s:s,s:o,s:o}", "tracking_uid", findings->lesions[i].tracking_uid,
                                                   "current", prediction_json(&findings->lesions[i].prediction),
                                                   "shadow", prediction_json(&shadow->predictions[i])));
  }
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *whole =
      json_pack("{s:i,s:o,s:o,s:o,s:s,s:f}", "schema", 1, "current", model_json(&findings->model), "shadow",
                model_json(&shadow->model), "lesions", lesions, "failure", shadow->failure, "seconds", shadow->seconds);
  return whole == NULL ? lvn_error_set(err, LVN_ERROR_INTERNAL, "the predictions cannot be encoded")
                       : lvn_path_join(path, request->folder, LVN_SHADOW_FILE, err) && lvn_json_write(path, whole, err);
}

bool lvn_result_write_shadow(struct lvn_findings *findings, const struct lvn_result_request *request,
                             struct lvn_error *err) {
  if (findings->shadow.is_present && !write_shadow(findings, request, err)) {
    lvn_log_error(LVN_LOG_WARNING, "shadow-not-written", err, "%s", "results=unaffected");
    *err = (struct lvn_error){0};
  }
  return true;
}
