/* livervlm evaluate: how a model does on a data set. */
#include "model/train/evaluate.h"
#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/options.h"

#include <stdio.h>

struct request {
  const char *dataset;
  const char *baseline;
  const char *output;
  struct lvn_classifier_options classifier;
};

static bool print_report(const char *folder, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *text = NULL;
  size_t bytes = 0;
  if (!lvn_path_join(path, folder, "evaluation.txt", err) || !lvn_file_read(path, 1U << 20U, &text, &bytes, err)) {
    return false;
  }
  (void)fwrite(text, 1, bytes, stdout);
  return true;
}

static bool evaluate(const struct request *request, struct lvn_error *err) {
  struct lvn_dataset *dataset = NULL;
  struct lvn_dataset *baseline = NULL;
  struct lvn_classifier *classifier = NULL;
  struct lvn_evaluation evaluation;
  bool good = lvn_dataset_open(request->dataset, &dataset, err) &&
              (request->baseline == NULL || lvn_dataset_open(request->baseline, &baseline, err)) &&
              lvn_classifier_open(&request->classifier, &classifier, err) &&
              lvn_evaluate_run(classifier, dataset, baseline, &evaluation, err) &&
              lvn_evaluate_write(&evaluation, lvn_classifier_get_info(classifier), dataset, request->output, err) &&
              print_report(request->output, err);
  lvn_classifier_close(classifier);
  lvn_dataset_close(baseline);
  lvn_dataset_close(dataset);
  return good;
}

int lvn_cli_evaluate(int argc, char **argv) {
  struct request request = {.classifier = {.device = "auto"}};
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      {"dataset", "DIR", LVN_OPTION_TEXT, &request.dataset, "lesions to answer", true, 0, 0},
      {"model", "PKG", LVN_OPTION_TEXT, &request.classifier.package_folder, "model package", true, 0, 0},
      {"output", "DIR", LVN_OPTION_TEXT, &request.output, "folder for evaluation.json and evaluation.txt", true, 0, 0},
      {"baseline-dataset", "DIR", LVN_OPTION_TEXT, &request.baseline,
       "fit the nearest-mean rule on this data set and show it beside", false, 0, 0},
      {"device", "auto|cpu|cuda", LVN_OPTION_CHOICE, &request.classifier.device, "where the network runs (auto)", false,
       0, 0},
      {"threads", "N", LVN_OPTION_UINT, &request.classifier.threads, "0: all cores (default)", false, 0, 1024},
      {"order-ensemble", NULL, LVN_OPTION_FLAG, &request.classifier.order_ensemble,
       "answer by all six phase orders, six times the work", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "evaluate",
                                  .summary = "Measure a model on a data set: accuracy, recall, AUC, calibration, and "
                                             "what mean HU alone would have said.",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  return evaluate(&request, &err) ? LVN_EXIT_OK : lvn_options_fail(usage.command, &err);
}
