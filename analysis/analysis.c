#include "analysis/analysis.h"

#include "analysis/case.h"
#include "analysis/findings_fill.h"
#include "analysis/illustrate.h"
#include "analysis/predict.h"
#include "analysis/results.h"
#include "base/memory.h"

#include <string.h>

static bool find(struct lvn_classifier *classifier, const struct lvn_analysis_request *request,
                 const struct lvn_case *study_case, struct lvn_findings *findings, struct lvn_error *err) {
  const struct lvn_classifier_info *info = lvn_classifier_get_info(classifier);
  lvn_findings_fill_model(info, &findings->model);
  if (findings->outcome != LVN_ANALYSIS_DONE) {
    return true;
  }
  if (!lvn_predict_lesions(classifier, study_case, findings, err) ||
      !lvn_illustrate_lesions(study_case, info, findings, err)) {
    return false;
  }
  if (request->shadow != NULL) {
    lvn_predict_shadow(request->shadow, study_case, findings);
  }
  return true;
}

static bool write_results(const struct lvn_analysis_request *request, struct lvn_findings *findings,
                          struct lvn_analysis_result *ret_result, struct lvn_error *err) {
  const struct lvn_result_request result_request = {.folder = request->output_folder,
                                                    .job_key = request->job_key,
                                                    .wall_ms = request->wall_ms,
                                                    .replaced_key = request->replaced_key,
                                                    .replaced_wall_ms = request->replaced_wall_ms,
                                                    .ae_title = request->ae_title,
                                                    .station_name = request->station_name,
                                                    .objects = request->objects,
                                                    .software_version = LVN_VERSION};
  if (!lvn_results_write(lvn_result_writers, lvn_result_writer_count, findings, &result_request, err) ||
      !lvn_results_write(request->more_writers, request->more_writer_count, findings, &result_request, err)) {
    return false;
  }
  if (findings->object_count > LVN_ANALYSIS_OBJECTS_MAX) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "%zu result objects are too many", findings->object_count);
  }
  ret_result->object_count = findings->object_count;
  if (findings->object_count > 0) {
    memcpy(ret_result->objects, findings->objects, findings->object_count * sizeof *findings->objects);
  }
  return true;
}

bool lvn_analysis_run(struct lvn_classifier *classifier, const struct lvn_analysis_request *request,
                      struct lvn_analysis_result *ret_result, struct lvn_error *err) {
  struct lvn_case_options options;
  struct lvn_findings findings = {0};
  *ret_result = (struct lvn_analysis_result){0};
  lvn_case_options_default(&options);
  options.delayed = true;
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
              lvn_findings_fill(study_case, ret_result->outcome, ret_result->status_message, &findings, err) &&
              find(classifier, request, study_case, &findings, err) &&
              write_results(request, &findings, ret_result, err);
  lvn_findings_clear(&findings);
  lvn_case_clear(study_case);
  lvn_free(study_case);
  return good;
}
