/* What `livervlm train` was asked for. Inside of cli. */
#ifndef LVN_CLI_ENGINE_TRAIN_H
#define LVN_CLI_ENGINE_TRAIN_H

#include "cli/options.h"
#include "model/train/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_cli_train {
  struct lvn_train_options options;
  struct lvn_option_list datasets;
  struct lvn_option_list unlabelled;
  struct lvn_option_list settings;
  const char *recipe_path;
  const char *experiment_path;
  bool cross_validate;
  unsigned jobs;
};

/* A cross-validation or a experiment; `recipe` is what its rows start from. */
LVN_MUST_CHECK bool lvn_cli_train_many(const struct lvn_cli_train *request, const struct lvn_recipe *recipe,
                                       struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
