/* Inside of model/evaluation. */
#ifndef LVN_MODEL_EVALUATION_CASE_PREDICTIONS_PARTS_H
#define LVN_MODEL_EVALUATION_CASE_PREDICTIONS_PARTS_H

#include "model/evaluation/case_predictions.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One lesion more, answered as one of `fold`. Takes the pictures out of crop and prediction. */
LVN_MUST_CHECK bool lvn_case_predictions_add(struct lvn_case_predictions *answers,
                                             const struct lvn_dataset_lesion *lesion, unsigned fold,
                                             struct lvn_crop *crop, struct lvn_prediction *prediction,
                                             struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
