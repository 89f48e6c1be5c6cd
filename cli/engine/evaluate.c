/* livervlm evaluate: how one model, or the models of a cross-validation, do on a data set. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/engine/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "model/dataset/predictions.h"
#include "model/evaluation/evaluation_write.h"
#include "model/evaluation/rules.h"
#include "model/network/lineage.h"
#include "model/report/report.h"
#include "model/train/recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request {
  const char *dataset;
  const char *baseline;
  const char *output;
  struct lvn_option_list models;
  struct lvn_option_list others;
  const char *predictions; /* in place of models */
  const char *other_predictions;
  const char *device;
  unsigned threads;
  unsigned resamples;
  uint64_t seed;
  int fold; /* LVN_CASE_PREDICTIONS_EVERY_FOLD, or the only one */
  unsigned wanted_fold;
  bool permutation_ensemble;
};

/* One side of a comparison: a model, or one per fold, and what they said. */
struct side {
  size_t count;
  struct lvn_package packages[LVN_FOLDS_MAX];
  char device[32];
  struct lvn_case_predictions answers;
  size_t seen; /* lesions that the package which answers them was trained on */
};

static void side_clear(struct side *side) {
  for (size_t i = 0; i < side->count; i++) {
    lvn_package_clear(&side->packages[i]);
  }
  lvn_case_predictions_clear(&side->answers);
}

static struct lvn_progress progress;

static void show_progress(size_t done, size_t total) {
  if (done <= 1) { /* of each model that answers */
    progress = lvn_progress_begin("evaluate", "lesions");
  }
  lvn_progress_show(&progress, done, total, NULL);
}

static bool open_package(const char *folder, struct side *side, struct lvn_error *err) {
  if (!lvn_package_open(folder, &side->packages[side->count], err)) {
    return false;
  }
  side->count++;
  return true;
}

/* By pixels, and those of the images that they were cut from. */
static bool count_seen(const struct lvn_package *package, int fold, const struct lvn_dataset *dataset, size_t *ret_seen,
                       struct lvn_error *err) {
  LVN_CLEANUP(lvn_lineage_clear) struct lvn_lineage lineage = {0};
  bool known = false;
  *ret_seen = 0;
  if (!lvn_lineage_of_manifest(package->manifest, false, &lineage, &known, err)) {
    return false;
  }
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    size_t images = 0;
    const uint8_t *image = lvn_dataset_images(dataset, i, &images);
    bool seen = lvn_lineage_has(&lineage, lvn_dataset_pixels(dataset, i));
    for (size_t k = 0; !seen && k < images; k++) {
      seen = lvn_lineage_has(&lineage, image + k * LVN_SHA256_BYTES);
    }
    *ret_seen +=
        seen && (fold == LVN_CASE_PREDICTIONS_EVERY_FOLD || lvn_dataset_get(dataset, i)->fold == (unsigned)fold);
  }
  return true;
}

static bool answer(const struct request *request, const char *folder, const struct lvn_package *package, int fold,
                   const struct lvn_dataset *dataset, struct side *side, struct lvn_error *err) {
  size_t seen = 0;
  if (!count_seen(package, fold, dataset, &seen, err)) {
    return false;
  }
  side->seen += seen;
  if (seen > 0) {
    (void)fprintf(stderr, "warning: '%s' was trained on %zu of these lesions: its figures on them mean nothing\n",
                  folder, seen);
  }
  const struct lvn_classifier_options options = {.package_folder = folder,
                                                 .device = request->device,
                                                 .threads = request->threads,
                                                 .permutation_ensemble = request->permutation_ensemble};
  struct lvn_classifier *classifier = NULL;
  bool good = lvn_classifier_open(&options, &classifier, err);
  if (good) {
    (void)lvn_copy(side->device, sizeof side->device, lvn_classifier_get_info(classifier)->device);
    good = lvn_case_predictions_run(&side->answers, classifier, dataset, fold, show_progress, err);
  }
  lvn_classifier_close(classifier);
  return good;
}

/* The fold that the package's training left out; -1 when its manifest holds no recipe. A recipe that cannot be read is
 * an error: figures must not depend on whether a leak could be looked for. */
static bool held_out_fold(const struct lvn_package *package, const char *path, int *ret_fold, struct lvn_error *err) {
  const json_t *held = json_object_get(json_object_get(package->manifest, "training"), "recipe");
  const char *text = json_string_value(held);
  struct lvn_recipe recipe;
  char name[256];
  *ret_fold = -1;
  if (held == NULL) {
    return true;
  }
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.200s': the manifest's training.recipe is not a recipe file's text",
                         path);
  }
  (void)snprintf(name, sizeof name, "'%.200s', training.recipe of the manifest", path);
  if (!lvn_recipe_parse(text, strlen(text), name, &recipe, err)) {
    return false;
  }
  *ret_fold = (int)recipe.validation_fold;
  return true;
}

/* Model i answers the i-th fold in ascending order. A model that was trained on those lesions would give figures that
 * mean nothing. */
static bool answer_folds(const struct request *request, const struct lvn_option_list *models,
                         const struct lvn_dataset *dataset, struct side *side, struct lvn_error *err) {
  unsigned folds[LVN_FOLDS_MAX];
  size_t count = 0;
  for (unsigned fold = 0; fold <= 1000 && count < LVN_FOLDS_MAX; fold++) {
    bool occurs = false;
    for (size_t i = 0; !occurs && i < lvn_dataset_count(dataset); i++) {
      occurs = lvn_dataset_get(dataset, i)->fold == fold;
    }
    if (occurs) {
      folds[count++] = fold;
    }
  }
  if (count != models->count) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "%zu models for %zu folds: give one model, or one per fold",
                         models->count, count);
  }
  for (size_t i = 0; i < count; i++) {
    if (!open_package(models->values[i], side, err)) {
      return false;
    }
    int held_out = -1;
    if (!held_out_fold(&side->packages[i], models->values[i], &held_out, err)) {
      return false;
    }
    if (held_out >= 0 && (unsigned)held_out != folds[i]) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "'%.200s' held out fold %d in training, not fold %u that it answers",
                           models->values[i], held_out, folds[i]);
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (!answer(request, models->values[i], &side->packages[i], (int)folds[i], dataset, side, err)) {
      return false;
    }
  }
  return true;
}

/* What a cross-validation's models said; they are kept nowhere, so that no package stands behind it. */
static bool take_predictions(const char *path, const struct lvn_dataset *dataset, struct side *side,
                             struct lvn_error *err) {
  struct lvn_predictions predictions = {0};
  struct lvn_package *package = &side->packages[side->count++];
  const char *slash = strrchr(path, '/');
  (void)lvn_copy(package->name, sizeof package->name, "cross-validation");
  (void)lvn_copy(package->version, sizeof package->version, slash == NULL ? path : slash + 1);
  (void)lvn_copy(package->trained_on, sizeof package->trained_on, lvn_dataset_source(dataset));
  (void)lvn_copy(side->device, sizeof side->device, "that of the cross-validation");
  lvn_package_recipe_default(&package->recipe);
  bool good = lvn_predictions_read(path, &predictions, err) &&
              (lvn_case_predictions_take_predictions(&side->answers, &predictions, dataset, err) ||
               lvn_error_prefix(err, "'%.200s'", path));
  lvn_predictions_clear(&predictions);
  return good;
}

static bool answer_side(const struct request *request, const struct lvn_option_list *models, const char *predictions,
                        const struct lvn_dataset *dataset, struct side *side, struct lvn_error *err) {
  if (predictions != NULL) {
    return take_predictions(predictions, dataset, side, err);
  }
  return models->count == 1
             ? open_package(models->values[0], side, err) &&
                   answer(request, models->values[0], &side->packages[0], request->fold, dataset, side, err)
             : answer_folds(request, models, dataset, side, err);
}

static bool fit_baseline(const char *folder, const struct lvn_dataset *dataset, struct lvn_nearest_mean *rule,
                         struct lvn_error *err) {
  struct lvn_dataset *baseline = NULL;
  if (!lvn_dataset_open(folder, &baseline, err)) {
    return false;
  }
  bool same = memcmp(lvn_dataset_sha256(baseline), lvn_dataset_sha256(dataset), LVN_SHA256_BYTES) == 0;
  lvn_rules_fit_nearest_mean(baseline, rule);
  lvn_dataset_close(baseline);
  return !same ||
         lvn_error_set(err, LVN_ERROR_USAGE, "the nearest-mean rule must not be fitted on the data it is tested on");
}

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

static bool measure(const struct request *request, const struct lvn_dataset *dataset, struct side *side,
                    struct side *other, struct lvn_evaluation *evaluation, struct lvn_error *err) {
  struct lvn_nearest_mean rule;
  struct lvn_comparison comparison;
  struct lvn_evaluation_options options = {
      .resamples = request->resamples, .seed = request->seed, .feature_distance_limit = INFINITY};
  bool has_other = request->others.count > 0 || request->other_predictions != NULL;
  if (!answer_side(request, &request->models, request->predictions, dataset, side, err) ||
      (request->baseline != NULL && !fit_baseline(request->baseline, dataset, &rule, err)) ||
      (has_other && !answer_side(request, &request->others, request->other_predictions, dataset, other, err))) {
    return false;
  }
  options.nearest_mean = request->baseline == NULL ? NULL : &rule;
  if (side->count == 1 && request->predictions == NULL) {
    options.feature_distance_limit = side->packages[0].recipe.max_feature_distance;
  }
  if (!lvn_evaluation_run(&side->answers, &options, evaluation, err) ||
      (other->count > 0 && !lvn_evaluation_compare(&side->answers, &other->answers, &options, &comparison, err))) {
    return false;
  }
  const struct lvn_evaluation_subject subject = {.answers = &side->answers,
                                                 .evaluation = evaluation,
                                                 .dataset = dataset,
                                                 .packages = side->packages,
                                                 .package_count = side->count,
                                                 .device = side->device,
                                                 .permutation_ensemble = request->permutation_ensemble,
                                                 .comparison = other->count > 0 ? &comparison : NULL,
                                                 .other = &other->packages[0],
                                                 .seen_in_training = side->seen};
  return lvn_evaluation_write(&subject, request->output, err) && lvn_report_write(&subject, request->output, err);
}

static bool evaluate(const struct request *request, struct lvn_error *err) {
  struct lvn_dataset *dataset = NULL;
  LVN_CLEANUP(side_clear) struct side side = {0};
  LVN_CLEANUP(side_clear) struct side other = {0};
  LVN_CLEANUP(lvn_evaluation_clear) struct lvn_evaluation evaluation = {0};
  bool good = lvn_dataset_open(request->dataset, &dataset, err) &&
              measure(request, dataset, &side, &other, &evaluation, err) && print_report(request->output, err);
  lvn_dataset_close(dataset);
  return good;
}

int lvn_cli_evaluate(int argc, char **argv) {
  struct request request = {
      .device = "auto", .resamples = 2000, .seed = 1, .fold = LVN_CASE_PREDICTIONS_EVERY_FOLD, .wanted_fold = 1001};
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      {"dataset", "DIR", LVN_OPTION_TEXT, &request.dataset, "lesions to answer", true, 0, 0},
      {"model", "PKG", LVN_OPTION_LIST, &request.models,
       "model package; several: a cross-validation, the i-th answers the i-th fold", false, 0, 0},
      {"predictions", "CSV", LVN_OPTION_TEXT, &request.predictions,
       "in place of --model: what the models of train --cross-validate or --experiment said", false, 0, 0},
      {"output", "DIR", LVN_OPTION_TEXT, &request.output, "folder for the report, the figures and the tables", true, 0,
       0},
      {"against", "PKG", LVN_OPTION_LIST, &request.others,
       "measure this model too (or one per fold) and test the difference", false, 0, 0},
      {"against-predictions", "CSV", LVN_OPTION_TEXT, &request.other_predictions,
       "the same of another cross-validation's predictions", false, 0, 0},
      {"baseline-dataset", "DIR", LVN_OPTION_TEXT, &request.baseline,
       "fit the nearest-mean rule on this data set and show it beside", false, 0, 0},
      {"fold", "N", LVN_OPTION_UINT, &request.wanted_fold, "answer the lesions of this fold only (default: all)", false,
       0, 1000},
      {"resamples", "N", LVN_OPTION_UINT, &request.resamples, "of the bootstrap over patients (2000)", false, 1,
       1000000},
      {"seed", "N", LVN_OPTION_UINT64, &request.seed, "of the bootstrap (1)", false, 0, 0},
      {"device", "auto|cpu|cuda", LVN_OPTION_CHOICE, &request.device, "where the network runs (auto)", false, 0, 0},
      {"threads", "N", LVN_OPTION_UINT, &request.threads, "0: all cores (default)", false, 0, 1024},
      {"order-ensemble", NULL, LVN_OPTION_FLAG, &request.permutation_ensemble,
       "answer by all six phase orders, six times the work", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "evaluate",
                                  .summary = "Measure a model on a data set: accuracy, recall, AUC with intervals, "
                                             "calibration, conformal sets, what mean HU alone would have said.",
                                  .examples = "livervlm evaluate --dataset set --model package --output evaluation",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (request.wanted_fold <= 1000) {
    request.fold = (int)request.wanted_fold;
  }
  if ((request.models.count > 0) == (request.predictions != NULL) ||
      (request.others.count > 0 && request.other_predictions != NULL)) {
    return lvn_options_complain(&usage, "either --model or --predictions is needed, and one of each at most");
  }
  if (request.fold >= 0 && (request.predictions != NULL || request.other_predictions != NULL)) {
    return lvn_options_complain(&usage, "--fold goes with --model");
  }
  if (request.models.count > LVN_FOLDS_MAX || request.others.count > LVN_FOLDS_MAX ||
      (request.fold >= 0 && request.models.count > 1)) {
    return lvn_options_complain(&usage, "--fold goes with one model, and there are at most %d", LVN_FOLDS_MAX);
  }
  return evaluate(&request, &err) ? LVN_EXIT_OK : lvn_options_refuse(usage.command, &err);
}
