/* Inside of model/evaluation. */
#ifndef LVN_MODEL_EVALUATION_ANSWERS_PARTS_H
#define LVN_MODEL_EVALUATION_ANSWERS_PARTS_H

#include "model/evaluation/answers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One lesion more, answered as one of `fold`. Takes the pictures out of crop and prediction. */
LVN_MUST_CHECK bool lvn_answers_add(struct lvn_answers *answers, const struct lvn_dataset_lesion *lesion, unsigned fold,
                                    struct lvn_crop *crop, struct lvn_prediction *prediction, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
