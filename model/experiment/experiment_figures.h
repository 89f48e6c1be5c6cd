/* The figures of one row of an experiment, from its folds' predictions. Inside of model/experiment. */
#ifndef LVN_MODEL_EXPERIMENT_EXPERIMENT_FIGURES_H
#define LVN_MODEL_EXPERIMENT_EXPERIMENT_FIGURES_H

#include "model/dataset/predictions.h"
#include "model/experiment/experiment.h"
#include "model/stats/compare.h"
#include "model/stats/figures.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Cases with owned arrays; `sample` borrows them. Lesions are in the order of their keys, so that two rows compare. */
struct lvn_experiment_cases {
  size_t *label;
  size_t *patient;
  double (*probability)[LVN_CLASS_COUNT];
  struct lvn_sample sample;
};

struct lvn_experiment_figures {
  bool is_complete; /* every fold has predictions; else nothing below is filled */
  struct lvn_predictions predictions;
  size_t fold_count;
  double fold_accuracy[LVN_TRAIN_FOLDS_MAX]; /* per slice */
  /* Per slice, over folds, +- population deviation: the paper's way. */
  struct lvn_spread accuracy;
  struct lvn_spread macro_auc;
  struct lvn_spread recall[LVN_CLASS_COUNT];
  /* Per lesion, all folds together, patients drawn: mean of the slices' log-probabilities. */
  struct lvn_experiment_cases lesions;
  struct lvn_figures lesion;
  struct lvn_figure_intervals interval;
};

LVN_MUST_CHECK bool lvn_experiment_figures(const struct lvn_experiment_row *row, const char *output_folder,
                                           const struct lvn_folds *folds, struct lvn_experiment_figures *ret_figures,
                                           struct lvn_error *err);
void lvn_experiment_figures_clear(struct lvn_experiment_figures *figures);

extern const struct lvn_bootstrap_options lvn_experiment_bootstrap;

#ifdef __cplusplus
}
#endif
#endif
