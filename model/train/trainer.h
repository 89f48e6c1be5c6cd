/* Trains Liver-VLM as a recipe says: pretraining of the image encoder, then image encoder, FC_I and FC_T against frozen
 * prompt embeddings. Either to a sealed model package, or to the predictions of one fold of a cross-validation. The
 * torch side is trainer_torch.cc. Source: Liver-VLM paper sections 3.1-3.4. */
#ifndef LVN_MODEL_TRAINER_H
#define LVN_MODEL_TRAINER_H

#include "model/train/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* To a sealed package in output_folder; lesions of recipe->validation_fold are held out. */
LVN_MUST_CHECK bool lvn_train_run(const struct lvn_train_options *options, struct lvn_train_summary *ret_summary,
                                  struct lvn_error *err);

/* Trains on all folds but one and writes that one's logits, every slice, to OUTPUT/predictions.csv
 * (model/dataset/predictions.h), at last: where it is, the fold is done. The epochs go to
 * OUTPUT/training.csv. The recipe may have any head. */
LVN_MUST_CHECK bool lvn_train_fold_run(const struct lvn_train_options *options, const struct lvn_train_fold *fold,
                                       struct lvn_train_summary *ret_summary, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
