/* The choice of one key of a recipe within a training set (nested cross-validation): every value is trained and tested
 * over inner folds of the training set's own patients; the held-out fold's are in none of them. */
#ifndef LVN_MODEL_TUNING_H
#define LVN_MODEL_TUNING_H

#include "model/train/run.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TUNING_FILE "tuning.json"

/* `options->recipe` with the best value; what was tried goes to OUTPUT.tuning/tuning.json, beside the inner folds'
 * predictions, which a later call of the same recipe and data does not make again; `run` trains and tests one of them.
 * `folds` and `held_out` are the outer ones; NULL: the data sets' own. Without a tuning.key it is a copy. */
LVN_MUST_CHECK bool lvn_train_tune(const struct lvn_train_options *options, const struct lvn_folds *folds,
                                   unsigned held_out, lvn_train_fold_runner run, struct lvn_recipe *ret_recipe,
                                   struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
