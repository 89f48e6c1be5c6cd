/* Cross-validation and experiments of `livervlm train`. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/engine/train.h"
#include "model/dataset/dataset_audit.h"
#include "model/experiment/experiment.h"

#include <stdio.h>

bool lvn_cli_train_many(const struct lvn_cli_train *request, const struct lvn_recipe *recipe, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_experiment *experiment = NULL;
  struct lvn_folds folds = {0};
  const struct lvn_train_options *options = &request->options;
  bool good = request->experiment_path != NULL ? lvn_experiment_read(request->experiment_path, recipe, &experiment, err)
                                               : lvn_experiment_of_recipe(recipe, &experiment, err);
  if (!good ||
      !lvn_datasets_check_trainable(options->dataset_folders, options->dataset_count,
                                    lvn_recipe_classes(&experiment->rows[0].recipe),
                                    experiment->rows[0].recipe.folds > 0, err) ||
      !lvn_folds_make(options->dataset_folders, options->dataset_count, experiment->rows[0].recipe.folds,
                      experiment->rows[0].recipe.seed, &folds, err)) {
    return false;
  }
  (void)printf("%zu rows, %zu folds of %zu patients\n", experiment->row_count, folds.fold_count, folds.patient_count);
  good = lvn_file_make_folder(options->output_folder, 0755, err) &&
         lvn_experiment_run(experiment, options, &folds, request->jobs, err);
  struct lvn_error report_err = {0};
  /* Also after a failure: what is complete can be read. */
  bool reported = lvn_experiment_report(experiment, options->output_folder, &folds, stdout, &report_err);
  if (good && !reported) {
    *err = report_err;
    good = false;
  }
  lvn_folds_clear(&folds);
  return good;
}
