/* livervlm train: a model package, a cross-validation or an experiment from a data set. */
#include "cli/engine/train.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/engine/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "model/report/history.h"
#include "model/train/recipe.h"
#include "model/train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEMPERATURE_MAX 9.99 /* lvn_calibrate_temperature() goes to 10 */

/* Of the process, which trains one model. */
static struct lvn_history *history;
static double epoch_started_seconds;

static const char *name_validation(const struct lvn_train_epoch *epoch) {
  if (strcmp(epoch->task, "training") == 0) {
    return "held-out accuracy";
  }
  return strcmp(epoch->task, "simsiam") == 0 ? "spread of its outputs" : "held-out orders told";
}

static void show_epoch(const struct lvn_train_epoch *epoch, void *context) {
  struct lvn_error err = {0};
  char spent[LVN_PROGRESS_TIME_BYTES];
  char left[LVN_PROGRESS_TIME_BYTES];
  const char *label = context;
  bool is_training = strcmp(epoch->task, "training") == 0;
  double seconds = lvn_clock_monotonic_seconds() - epoch_started_seconds;
  epoch_started_seconds += seconds;
  lvn_progress_format_time(seconds, spent);
  lvn_progress_format_time(seconds * (epoch->epoch_count - epoch->epoch), left);
  (void)printf("%s%s%s%s%s epoch %u of %u: loss %.4f, learning rate %.2e, ", label != NULL ? label : "",
               label != NULL ? ": " : "", is_training ? "" : "pretraining (", epoch->task, is_training ? "" : ")",
               epoch->epoch, epoch->epoch_count, epoch->loss, epoch->learning_rate);
  if (isfinite(epoch->validation)) {
    (void)printf("%s %.3f, ", name_validation(epoch), epoch->validation);
  }
  (void)printf("%u pixels, images/s %.1f, per CPU second %.1f, took %s, %s left of it\n", epoch->side,
               epoch->images_per_second, epoch->images_per_cpu_second, spent, left);
  (void)fflush(stdout);
  struct lvn_history_epoch row = {.number = epoch->epoch,
                                  .side = epoch->side,
                                  .loss = epoch->loss,
                                  .learning_rate = epoch->learning_rate,
                                  .validation = epoch->validation,
                                  .images_per_second = epoch->images_per_second,
                                  .seconds = seconds};
  (void)lvn_copy(row.task, sizeof row.task, epoch->task);
  if (history != NULL && !lvn_history_add(history, &row, &err)) {
    (void)fprintf(stderr, "livervlm train: %s\n", err.message); /* the training is worth more than its picture */
  }
}

/* The embeddings that come with the program: installed beside it, or in the source tree that it was built in. */
static bool find_text(char ret_path[LVN_PATH_BYTES]) {
  static const char *const places[] = {"../share/livervlm/text/prompts-minilm-l6.safetensors",
                                       "../../../model/text/embeddings/prompts-minilm-l6.safetensors"};
  char program[LVN_PATH_BYTES];
  struct lvn_error err = {0};
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) {
    return false;
  }
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (slash != NULL) {
    *slash = '\0';
  }
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    if (lvn_path_join(ret_path, program, places[i], &err) && lvn_file_exists(ret_path)) {
      return true;
    }
  }
  return false;
}

/* "section.key=value" over the recipe. */
static bool apply_settings(struct lvn_recipe *recipe, const struct lvn_option_list *settings, struct lvn_error *err) {
  for (size_t i = 0; i < settings->count; i++) {
    char name[128];
    const char *equals = strchr(settings->values[i], '=');
    size_t length = equals == NULL ? 0 : (size_t)(equals - settings->values[i]);
    if (length == 0 || length >= sizeof name) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "--set '%.60s' is not section.key=value", settings->values[i]);
    }
    memcpy(name, settings->values[i], length);
    name[length] = '\0';
    if (!lvn_recipe_set(recipe, name, equals + 1, err)) {
      return false;
    }
  }
  return lvn_recipe_check(recipe, err);
}

/* What the figures mean, where a newcomer would think that something is broken. */
static void say_what_it_learnt(const struct lvn_train_summary *summary, unsigned classes) {
  const double chance = 1.0 / (double)lvn_classes_count(classes);
  const double count = (double)summary->held_out_lesions;
  /* above what guessing reaches in 95 of 100 cases */
  const double beyond = chance + 1.645 * sqrt(chance * (1.0 - chance) / fmax(count, 1.0));
  if (summary->held_out_lesions == 0) {
    return;
  }
  if (summary->held_out_accuracy <= beyond) {
    (void)printf(
        "This is no better than guessing (%.2f of %zu lesions by chance): the model has learnt nothing yet. It "
        "needs more epochs, more cases or weights to start from.\n",
        chance, summary->held_out_lesions);
  } else if (summary->last_loss > 0.7 * summary->first_loss) {
    (void)printf("The model is undertrained: its loss fell from %.2f to %.2f only. More epochs will change it.\n",
                 summary->first_loss, summary->last_loss);
  }
  if (summary->temperature >= TEMPERATURE_MAX) {
    (void)printf("The temperature is at its limit: the probabilities are close to even, and say nothing.\n");
  }
}

static bool train_package(const struct lvn_train_options *options, struct lvn_error *err) {
  struct lvn_train_summary summary = {0};
  if (!lvn_history_create(options->output_folder, options->resume, &history, err)) {
    return false;
  }
  bool good = lvn_train_run(options, &summary, err);
  lvn_history_destroy(history);
  history = NULL;
  if (!good) {
    return false;
  }
  (void)printf("lesions trained on %zu, held out %zu\nimages/s %.1f\nheld-out accuracy %.4f, temperature %.4f, "
               "calibration error %.4f\n",
               summary.training_lesions, summary.held_out_lesions, summary.images_per_second, summary.held_out_accuracy,
               summary.temperature, summary.held_out_ece);
  if (summary.held_out_outliers > 0) {
    (void)printf("outlier score %s: AUC %.3f, %.3f of %zu held-out outliers found\n", summary.outlier_score,
                 summary.outlier_auc, summary.outliers_found, summary.held_out_outliers);
  }
  say_what_it_learnt(&summary, lvn_recipe_classes(options->recipe));
  return true;
}

static int train(const char *command, struct lvn_cli_train *request) {
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  char text_path[LVN_PATH_BYTES];
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  if ((request->recipe_path != NULL && !lvn_recipe_read(request->recipe_path, &recipe, &err)) ||
      !apply_settings(&recipe, &request->settings, &err)) {
    return lvn_options_refuse(command, &err);
  }
  if (request->options.text_path == NULL) {
    if (!find_text(text_path)) {
      (void)lvn_error_set(&err, LVN_ERROR_USAGE, "no prompt embeddings are installed: give --text");
      return lvn_options_refuse(command, &err);
    }
    request->options.text_path = text_path;
  }
  request->options.dataset_folders = request->datasets.values;
  request->options.dataset_count = request->datasets.count;
  request->options.unlabelled_folders = request->unlabelled.values;
  request->options.unlabelled_count = request->unlabelled.count;
  request->options.recipe = &recipe;
  request->options.progress = show_epoch;
  epoch_started_seconds = lvn_clock_monotonic_seconds();
  bool many = request->cross_validate || request->experiment_path != NULL;
  bool good = many ? lvn_cli_train_many(request, &recipe, &err) : train_package(&request->options, &err);
  request->options.recipe = NULL; /* both end here */
  request->options.text_path = NULL;
  return good ? LVN_EXIT_OK : lvn_options_refuse(command, &err);
}

static const char details[] =
    "With --cross-validate it trains once per fold and keeps what each model says of the fold that it has not seen, "
    "in\n"
    "PKG/predictions.csv, with the figures per slice, lesion and patient. With --experiment FILE it does so for every "
    "row "
    "of\n"
    "the file and prints the paper's tables; rows that share a recipe share the work. Both go on where they were\n"
    "stopped when they are started again.";

int lvn_cli_train(int argc, char **argv) {
  struct lvn_cli_train request = {.jobs = 1};
  const char *sample = NULL;
  struct lvn_train_options *run = &request.options;
  const struct lvn_option options[] = {
      {"dataset", "DIR", LVN_OPTION_LIST, &request.datasets, "data set to learn from; may be given several times",
       false, 0, 0},
      {"unlabelled", "DIR", LVN_OPTION_LIST, &request.unlabelled,
       "data set of other patients for pretraining alone; may be given several times", false, 0, 0},
      {"output", "PKG", LVN_OPTION_TEXT, &run->output_folder, "folder of the new model package, or of the results",
       false, 0, 0},
      {"recipe", "FILE", LVN_OPTION_TEXT, &request.recipe_path, "INI file; without one the paper's recipe", false, 0,
       0},
      {"set", "KEY=VALUE", LVN_OPTION_LIST, &request.settings,
       "section.key=value in place of the recipe's; may be given several times", false, 0, 0},
      {"recipe-sample", "paper|recommended", LVN_OPTION_CHOICE, &sample,
       "print a recipe with every key, its meaning, source and default", false, 0, 0},
      {"text", "FILE", LVN_OPTION_TEXT, &run->text_path,
       "prompt embeddings by text-encoder embed (default: those installed)", false, 0, 0},
      {"init", "PATH", LVN_OPTION_TEXT, &run->init_path,
       "start from the weights of this package, or of the image encoder in this file", false, 0, 0},
      {"resume", NULL, LVN_OPTION_FLAG, &run->resume, "go on from PKG.checkpoint", false, 0, 0},
      {"cross-validate", NULL, LVN_OPTION_FLAG, &request.cross_validate, "train and test once per fold", false, 0, 0},
      {"experiment", "FILE", LVN_OPTION_TEXT, &request.experiment_path, "cross-validate every row of an experiment",
       false, 0, 0},
      {"jobs", "N", LVN_OPTION_UINT, &request.jobs, "folds at a time (1)", false, 1, 64},
  };
  const struct lvn_usage usage = {.command = "train",
                                  .summary = "Train Liver-VLM on lesion crops and seal it as a model package. Needs "
                                             "--dataset and --output.",
                                  .details = details,
                                  .examples = "livervlm train --dataset set --output package",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (sample != NULL) {
    lvn_recipe_write_sample(strcmp(sample, "paper") == 0 ? LVN_RECIPE_PAPER : LVN_RECIPE_RECOMMENDED, stdout);
    return LVN_EXIT_OK;
  }
  if (request.datasets.count == 0 || run->output_folder == NULL) {
    return lvn_options_complain(&usage, "--dataset and --output are needed");
  }
  return train(usage.command, &request);
}
