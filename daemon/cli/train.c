/* livervlm train: a model package from a data set. */
#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/options.h"
#include "model/train/recipe.h"
#include "model/train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void show_epoch(const struct lvn_train_epoch *epoch) {
  (void)printf("epoch %u/%u side %u loss %.4f rate %.2e held-out accuracy %.3f images/s %.1f\n", epoch->epoch,
               epoch->epoch_count, epoch->side, epoch->loss, epoch->learning_rate, epoch->validation_accuracy,
               epoch->images_per_second);
  (void)fflush(stdout);
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

static int train(const char *command, struct lvn_train_options *options, const char *recipe_path) {
  struct lvn_recipe recipe;
  struct lvn_train_summary summary = {0};
  struct lvn_error err = {0};
  char text_path[LVN_PATH_BYTES];
  lvn_recipe_default(&recipe);
  if (recipe_path != NULL && !lvn_recipe_read(recipe_path, &recipe, &err)) {
    return lvn_options_fail(command, &err);
  }
  if (options->text_path == NULL) {
    if (!find_text(text_path)) {
      (void)lvn_error_set(&err, LVN_ERROR_USAGE, "no prompt embeddings are installed: give --text");
      return lvn_options_fail(command, &err);
    }
    options->text_path = text_path;
  }
  options->recipe = &recipe;
  options->progress = show_epoch;
  if (!lvn_train_run(options, &summary, &err)) {
    return lvn_options_fail(command, &err);
  }
  (void)printf("lesions trained on %zu, held out %zu\nimages/s %.1f\nheld-out accuracy %.4f, temperature %.4f, "
               "calibration error %.4f\n",
               summary.training_lesions, summary.held_out_lesions, summary.images_per_second, summary.held_out_accuracy,
               summary.temperature, summary.held_out_ece);
  return LVN_EXIT_OK;
}

int lvn_cli_train(int argc, char **argv) {
  struct lvn_option_list datasets = {.count = 0};
  struct lvn_train_options run = {0};
  const char *recipe_path = NULL;
  bool recipe_help = false;
  const struct lvn_option options[] = {
      {"dataset", "DIR", LVN_OPTION_LIST, &datasets, "data set to learn from; may be given several times", false, 0, 0},
      {"output", "PKG", LVN_OPTION_TEXT, &run.output_folder, "folder of the new model package", false, 0, 0},
      {"recipe", "FILE", LVN_OPTION_TEXT, &recipe_path, "JSON file; keys that are absent have their default", false, 0,
       0},
      {"recipe-help", NULL, LVN_OPTION_FLAG, &recipe_help, "show the keys of a recipe", false, 0, 0},
      {"text", "FILE", LVN_OPTION_TEXT, &run.text_path,
       "prompt embeddings by text-encoder embed (default: those installed)", false, 0, 0},
      {"init", "PKG", LVN_OPTION_TEXT, &run.init_folder, "start from the weights of this package or checkpoint", false,
       0, 0},
      {"resume", NULL, LVN_OPTION_FLAG, &run.resume, "go on from PKG.checkpoint", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "train",
                                  .summary = "Train Liver-VLM on lesion crops and seal it as a model package. Needs "
                                             "--dataset and --output.",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (recipe_help) {
    lvn_recipe_describe(stdout);
    return LVN_EXIT_OK;
  }
  if (datasets.count == 0 || run.output_folder == NULL) {
    return lvn_options_complain(&usage, "--dataset and --output are needed");
  }
  run.dataset_folders = datasets.values;
  run.dataset_count = datasets.count;
  return train(usage.command, &run, recipe_path);
}
