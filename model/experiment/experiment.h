/* A table of recipes over the same folds: the ablations of the Liver-VLM paper on the data at hand. An INI file,
 *   [base]                 what all rows share: "section.key = value" over the recipe that the experiment starts from
 *   [test NAME]            dataset = DIR: another data set of the same patients to answer, too
 *   [row NAME]             title, tables = 3, 9 (numbers of the paper's tables), test = NAME of a [test], and
 *                          "section.key = value" over the base
 * Paths are relative to the file's folder. A row whose network.weights file is not there is listed as not run. */
#ifndef LVN_MODEL_EXPERIMENT_EXPERIMENT_H
#define LVN_MODEL_EXPERIMENT_EXPERIMENT_H

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "model/dataset/folds.h"
#include "model/train/trainer.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_EXPERIMENT_ROWS_MAX 64
#define LVN_EXPERIMENT_TESTS_MAX 8
#define LVN_EXPERIMENT_NAME_BYTES 48
#define LVN_EXPERIMENT_TABLE_FIRST 3
#define LVN_EXPERIMENT_TABLE_LAST 9

struct lvn_experiment_test {
  char name[LVN_EXPERIMENT_NAME_BYTES];
  char folder[LVN_PATH_BYTES];
};

struct lvn_experiment_row {
  char name[LVN_EXPERIMENT_NAME_BYTES];
  char title[128];
  unsigned tables;                      /* bit n: table n of the paper */
  char test[LVN_EXPERIMENT_NAME_BYTES]; /* of a struct lvn_experiment_test; empty: the data set itself */
  struct lvn_recipe recipe;
  bool is_missing; /* its weights are not there */
  /* SHA-256 of the recipe's text: rows of one digest are one run. */
  char digest[LVN_SHA256_TEXT_BYTES];
};

/* Immutable once read; lvn_free() it. */
struct lvn_experiment {
  size_t row_count;
  struct lvn_experiment_row rows[LVN_EXPERIMENT_ROWS_MAX];
  size_t test_count;
  struct lvn_experiment_test tests[LVN_EXPERIMENT_TESTS_MAX];
};

/* LVN_ERROR_USAGE with "FILE:LINE: …". */
LVN_MUST_CHECK bool lvn_experiment_read(const char *path, const struct lvn_recipe *base,
                                        struct lvn_experiment **ret_experiment, struct lvn_error *err);
/* An experiment of this one recipe. */
LVN_MUST_CHECK bool lvn_experiment_of_recipe(const struct lvn_recipe *recipe, struct lvn_experiment **ret_experiment,
                                             struct lvn_error *err);

/* Trains every fold of every run that has no predictions yet: OUTPUT/runs/<digest>/fold-N. `options` gives data sets,
 * text, progress (its context becomes a label, const char *) and the output folder; its recipe and resume are not used:
 * a run always goes on from its checkpoints. `jobs` processes at a time. A fold that fails does not stop the others:
 * false at the end, with the first one's reason. */
LVN_MUST_CHECK bool lvn_experiment_run(const struct lvn_experiment *experiment, const struct lvn_train_options *options,
                                       const struct lvn_folds *folds, unsigned jobs, struct lvn_error *err);

/* OUTPUT/experiment.txt (also to `stream`), experiment.json and predictions-<row>.csv of the rows that are complete. */
LVN_MUST_CHECK bool lvn_experiment_report(const struct lvn_experiment *experiment, const char *output_folder,
                                          const struct lvn_folds *folds, FILE *stream, struct lvn_error *err);

/* OUTPUT/runs/<first 16 of digest>/fold-N */
LVN_MUST_CHECK bool lvn_experiment_fold_folder(const struct lvn_experiment_row *row, const char *output_folder,
                                               unsigned fold, char ret_path[LVN_PATH_BYTES], struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
