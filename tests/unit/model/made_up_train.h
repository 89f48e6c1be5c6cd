/* The least that trains, on the made-up lesions. After cmocka.h. */
#ifndef LVN_TESTS_MADE_UP_TRAIN_H
#define LVN_TESTS_MADE_UP_TRAIN_H

#include "model/dataset/folds.h"
#include "model/train/trainer.h"

#include "tests/unit/model/made_up.h"

/* One epoch at 32 pixels, in NC, ART, PV alone, without pretraining. */
static inline void made_up_recipe(struct lvn_recipe *recipe) {
  lvn_recipe_default(LVN_RECIPE_PAPER, recipe);
  recipe->task = LVN_PRETRAIN_NONE;
  recipe->training.stages[0] = (struct lvn_recipe_stage){.epochs = 1, .side = 32};
  recipe->training.batch = 4;
  recipe->joint_size = 64;
  recipe->permutations = LVN_PERMUTATIONS_NATURAL;
  recipe->threads = 1;
}

/* Ten epochs at 64 pixels, enough to lower the loss. */
static inline void made_up_longer_recipe(struct lvn_recipe *recipe) {
  lvn_recipe_default(LVN_RECIPE_RECOMMENDED, recipe);
  recipe->task = LVN_PRETRAIN_NONE;
  recipe->training.stages[0] = (struct lvn_recipe_stage){.epochs = 10, .side = 64};
  recipe->training.batch = 6;
  recipe->training.warmup_epochs = 0;
  recipe->training.learning_rate = 2e-3;
  recipe->training.ema = 0.5;
  recipe->pretraining.stages[0] = (struct lvn_recipe_stage){.epochs = 1, .side = 32};
  recipe->pretraining.batch = 6;
  recipe->joint_size = 64;
  recipe->permutations = LVN_PERMUTATIONS_NATURAL;
  recipe->scale = 5.0;
  recipe->threads = 1;
}

struct made_up_run {
  char dataset[PATH_BYTES];
  char output[PATH_BYTES];
  char text[PATH_BYTES];
  const char *folders[1];
  struct lvn_train_options options; /* points into this struct */
};

/* Of a data set, an output folder and prompt embeddings by their names under `root`. */
static inline void made_up_run(const char *root, const char *dataset, const char *output, const char *text,
                               const struct lvn_recipe *recipe, struct made_up_run *run) {
  run->folders[0] = made_up_path(root, dataset, run->dataset);
  run->options = (struct lvn_train_options){.dataset_folders = run->folders,
                                            .dataset_count = 1,
                                            .output_folder = made_up_path(root, output, run->output),
                                            .text_path = made_up_path(root, text, run->text),
                                            .recipe = recipe};
}

/* Fold `number` of `fold_count` that are made, or of the data set's own where that is 0. */
static inline bool made_up_train_fold(const struct lvn_train_options *options, unsigned number, unsigned fold_count,
                                      struct lvn_train_summary *summary, struct lvn_error *err) {
  struct lvn_folds folds = {0};
  const struct lvn_train_fold fold = {.fold = number, .folds = &folds};
  if (!lvn_folds_make(options->dataset_folders, options->dataset_count, fold_count, 1, &folds, err)) {
    return false;
  }
  bool good = lvn_train_fold_run(options, &fold, summary, err);
  lvn_folds_clear(&folds);
  return good;
}

#endif
