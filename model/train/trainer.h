/* Trains Liver-VLM: image trunk, FC_I and FC_T against frozen prompt embeddings, cross-entropy over the cosines of each
 * sample's own phase order; then calibrates on the held-out fold and seals a model package. The torch side is
 * trainer_torch.cc. Source: Liver-VLM paper sections 3.1-3.4. */
#ifndef LVN_MODEL_TRAINER_H
#define LVN_MODEL_TRAINER_H

#include "daemon/base/error.h"
#include "model/train/recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_train_epoch {
  unsigned epoch; /* from 1 */
  unsigned epoch_count;
  unsigned side;
  double loss;
  double learning_rate;
  double images_per_second;
  double validation_accuracy; /* key slices of the held-out fold, averaged weights; NAN when it was not measured */
};

struct lvn_train_options {
  const char *const *dataset_folders;
  size_t dataset_count;
  const char *output_folder; /* the package; OUTPUT.checkpoint beside it serves --resume until it is sealed */
  const char *text_path;     /* embeddings as lvn_text_encoder_write_prompts() makes them, or a package's weights */
  const char *init_folder;   /* a package or a checkpoint whose weights to start from; NULL: random ones */
  const struct lvn_recipe *recipe;
  bool resume; /* go on from the checkpoint of the same recipe and data; without one start anew */
  void (*progress)(const struct lvn_train_epoch *epoch); /* NULL for none */
};

struct lvn_train_summary {
  size_t training_lesions;
  size_t held_out_lesions;
  double first_loss;
  double last_loss;
  double images_per_second;
  double held_out_accuracy; /* per lesion, at full size, the packaged weights */
  double held_out_ece;      /* after the temperature, which was fitted on the same lesions */
  double temperature;
};

LVN_MUST_CHECK bool lvn_train_run(const struct lvn_train_options *options, struct lvn_train_summary *ret_summary,
                                  struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
