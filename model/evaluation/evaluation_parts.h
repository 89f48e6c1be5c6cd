/* The parts of lvn_evaluation_run(). Inside of model/evaluation. */
#ifndef LVN_MODEL_EVALUATION_PARTS_H
#define LVN_MODEL_EVALUATION_PARTS_H

#include "model/evaluation/evaluation.h"
#include "model/evaluation/levels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What every part looks at. */
struct lvn_evaluation_input {
  const struct lvn_case_predictions *answers;
  const struct lvn_evaluation_options *options;
  struct lvn_level_cases cases[LVN_LEVEL_COUNT];
  unsigned folds[LVN_FOLDS_MAX];
  size_t fold_count;
};

LVN_MUST_CHECK bool lvn_evaluation_levels(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                                          struct lvn_error *err);
LVN_MUST_CHECK bool lvn_evaluation_folds(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                                         struct lvn_error *err);
LVN_MUST_CHECK bool lvn_evaluation_subgroups(const struct lvn_evaluation_input *input,
                                             struct lvn_evaluation *evaluation, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_evaluation_calibration(const struct lvn_evaluation_input *input,
                                               struct lvn_evaluation *evaluation, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_evaluation_conformal(const struct lvn_evaluation_input *input,
                                             struct lvn_evaluation *evaluation, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_evaluation_unlike(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                                          struct lvn_error *err);
/* ROC, risk-coverage, decision curve. */
LVN_MUST_CHECK bool lvn_evaluation_curves(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                                          struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
