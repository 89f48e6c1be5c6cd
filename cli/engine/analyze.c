/* livervlm analyze: the node's whole analysis of a folder of DICOM files, without network or daemon. */
#include "analysis/analysis.h"
#include "analysis/intake.h"
#include "analysis/results.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/engine/commands.h"
#include "cli/engine/default_package.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

struct analyze_options {
  const char *input;
  const char *output;
  const char *model;
  const char *device;
  const char *objects;
  unsigned threads;
  bool permutation_ensemble;
  bool json;
  struct lvn_option_list rois;
};

/* One study's results in `folder`; prints one line or, for --json, appends to `report`. */
static bool analyze_study(struct lvn_classifier *classifier, const struct lvn_intake_study *study, const char *folder,
                          const struct analyze_options *options, json_t *report, bool *ret_all_done,
                          struct lvn_error *err) {
  const struct lvn_classifier_info *info = lvn_classifier_get_info(classifier);
  char job_key[LVN_SHA256_TEXT_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  LVN_AUTOFREE struct lvn_analysis_result *result = lvn_alloc(1, sizeof *result, err);
  lvn_sha256_to_text(info->manifest_sha256, digest);
  if (result == NULL || !lvn_file_make_folder(folder, 0700, err) || !lvn_intake_job_key(study, digest, job_key, err)) {
    return false;
  }
  const struct lvn_analysis_request request = {.paths = (const char *const *)study->paths,
                                               .path_count = study->path_count,
                                               .output_folder = folder,
                                               .job_key = job_key,
                                               .wall_ms = lvn_clock_wall_ms(),
                                               .ae_title = "LIVERVLM",
                                               .station_name = "analyze",
                                               .objects = options->objects};
  if (!lvn_analysis_run(classifier, &request, result, err)) {
    return false;
  }
  *ret_all_done = *ret_all_done && result->outcome == LVN_ANALYSIS_DONE;
  if (options->json) {
    (void)json_array_append_new(
        report, json_pack("{s:s,s:s,s:s,s:s,s:I}", "study_instance_uid", study->study_instance_uid, "outcome",
                          lvn_analysis_outcome_name(result->outcome), "status_message", result->status_message,
                          "folder", folder, "objects", (json_int_t)result->object_count));
  } else {
    (void)printf("%s: %s%s%s (%zu objects) in %s\n", study->study_instance_uid,
                 lvn_analysis_outcome_name(result->outcome), result->status_message[0] != '\0' ? ": " : "",
                 result->status_message, result->object_count, folder);
  }
  return true;
}

static bool analyze_all(struct lvn_classifier *classifier, const struct lvn_intake *intake,
                        const struct analyze_options *options, bool *ret_all_done, struct lvn_error *err) {
  json_t *report = json_array();
  bool good = true;
  for (size_t i = 0; good && i < intake->study_count; i++) {
    char folder[LVN_PATH_BYTES];
    /* One study writes into the folder itself; several into one folder each, named by the study's UID. */
    (void)lvn_copy(folder, sizeof folder, options->output);
    if (intake->study_count > 1) {
      good = lvn_path_join(folder, options->output, intake->studies[i].study_instance_uid, err);
    }
    good = good && analyze_study(classifier, &intake->studies[i], folder, options, report, ret_all_done, err);
  }
  if (good && options->json) {
    (void)json_dumpf(report, stdout, JSON_INDENT(2));
    (void)printf("\n");
  }
  json_decref(report);
  return good;
}

static bool collect_input(const struct analyze_options *options, struct lvn_intake *intake, struct lvn_error *err) {
  if (!lvn_intake_add(intake, options->input, err)) {
    return false;
  }
  for (size_t i = 0; i < options->rois.count; i++) {
    if (!lvn_intake_add(intake, options->rois.values[i], err)) {
      return false;
    }
  }
  if (intake->study_count == 0 && intake->unreadable_count > 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s", intake->unreadable);
  }
  if (intake->unreadable_count > 0) {
    (void)fprintf(stderr, "livervlm analyze: %zu files that cannot be read were left out, among them %s\n",
                  intake->unreadable_count, intake->unreadable);
  }
  return intake->study_count > 0 || lvn_error_set(err, LVN_ERROR_DATA, "'%s' holds no DICOM file (%zu other files)",
                                                  options->input, intake->other_count);
}

static int run(const struct lvn_usage *usage, struct analyze_options *options) {
  LVN_CLEANUP(lvn_intake_clear) struct lvn_intake intake = {0};
  struct lvn_classifier *classifier = NULL;
  struct lvn_error err = {0};
  char package[LVN_PATH_BYTES];
  bool all_done = true;
  bool good = lvn_results_check_kinds(options->objects, &err);
  good = good && (options->model != NULL || lvn_cli_default_package(package, &err));
  const struct lvn_classifier_options classifier_options = {.package_folder =
                                                                options->model != NULL ? options->model : package,
                                                            .device = options->device,
                                                            .threads = options->threads,
                                                            .permutation_ensemble = options->permutation_ensemble};
  good = good && collect_input(options, &intake, &err) && lvn_classifier_open(&classifier_options, &classifier, &err) &&
         analyze_all(classifier, &intake, options, &all_done, &err);
  lvn_classifier_close(classifier);
  if (!good) {
    return lvn_options_fail(usage->command, &err);
  }
  return all_done ? LVN_EXIT_OK : LVN_EXIT_FAILED;
}

int lvn_cli_analyze(int argc, char **argv) {
  struct analyze_options chosen = {.device = "auto"};
  const struct lvn_option options[] = {
      {"input", "DIR", LVN_OPTION_TEXT, &chosen.input, "DICOM files of one or more studies", true, 0, 0},
      {"roi", "FILE", LVN_OPTION_LIST, &chosen.rois, "a further ROI object (RTSTRUCT, SEG, SR)", false, 0, 0},
      {"output", "DIR", LVN_OPTION_TEXT, &chosen.output, "where analysis.json, SR and captures go", true, 0, 0},
      {"model", "PKG", LVN_OPTION_TEXT, &chosen.model, "model package (default: the one shipped)", false, 0, 0},
      {"result-objects", "LIST", LVN_OPTION_TEXT, &chosen.objects,
       "of sr, sc, seg, seg_phases, kos, pdf, gsps and pmap, comma-separated (default: sr,sc)", false, 0, 0},
      {"device", "auto|cpu|cuda", LVN_OPTION_CHOICE, &chosen.device, "where the network runs", false, 0, 0},
      {"threads", "N", LVN_OPTION_UINT, &chosen.threads, "0: all cores", false, 0, 256},
      {"order-ensemble", NULL, LVN_OPTION_FLAG, &chosen.permutation_ensemble, "mean over the six phase orders", false,
       0, 0},
      {"json", NULL, LVN_OPTION_FLAG, &chosen.json, "print the outcomes as JSON", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "analyze",
      .summary = "Analyse studies from files exactly as the node does, without network or daemon.",
      .details =
          "Exit status 0: every study was analysed; 1: one is waiting for a phase or ROI, was refused, or failed.",
      .examples = "livervlm analyze --input study --output results\n"
                  "livervlm analyze --input images --roi roi.dcm --output results --json",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  return code == LVN_OPTIONS_RUN ? run(&usage, &chosen) : code;
}
