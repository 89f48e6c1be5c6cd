/* What a training run is asked for and what it tells. Source: Liver-VLM paper sections 3.1-3.4. */
#ifndef LVN_MODEL_TRAIN_RUN_H
#define LVN_MODEL_TRAIN_RUN_H

#include "base/error.h"
#include "model/dataset/folds.h"
#include "model/train/recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_train_epoch {
  const char *task; /* "phase shuffle", "simsiam", "training" */
  unsigned epoch;   /* from 1 */
  unsigned epoch_count;
  unsigned side;
  double loss;
  double learning_rate;
  double images_per_second;
  double images_per_cpu_second; /* of all threads: what a busy machine does not blur */
  double validation; /* accuracy on key slices of the held-out fold with the weights that would be kept; of simsiam the
                        spread of its outputs; NAN when there is none */
};

struct lvn_train_options {
  const char *const *dataset_folders;
  size_t dataset_count;
  const char *const *unlabelled_folders; /* more data for pretraining; their patients must be others */
  size_t unlabelled_count;
  const char *output_folder; /* OUTPUT.checkpoint and OUTPUT.pretraining.checkpoint beside it serve `resume` until it is
                                complete */
  const char *text_path;     /* embeddings as lvn_text_encoder_write_prompts() makes them, or a package's weights */
  const char *init_path; /* a package, or a file of encoder weights, to start from in place of the recipe's; or NULL */
  const char *pretrained_path; /* the encoder after pretraining is kept here and taken from here when it is that of the
                                  same recipe and data; NULL: not kept */
  const struct lvn_recipe *recipe;
  bool resume; /* go on from the checkpoints of the same recipe and data; without one start anew */
  void (*progress)(const struct lvn_train_epoch *epoch, void *context); /* NULL for none */
  void *context;
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
  char outlier_score[64]; /* the chosen rule */
  size_t held_out_outliers;
  double outlier_auc;    /* of held-out outliers against held-out lesions of the classes; NAN without any */
  double outliers_found; /* share of them beyond the limit */
};

/* Another data set of the same patients (misregistered crops, say) to answer, too. */
struct lvn_train_test {
  const char *name; /* its predictions go to predictions-NAME.csv */
  const char *folder;
};

struct lvn_train_fold {
  unsigned fold;
  const struct lvn_folds *folds;
  const struct lvn_train_test *tests;
  size_t test_count;
};
/* As lvn_train_fold_run(). */
typedef bool (*lvn_train_fold_runner)(const struct lvn_train_options *options, const struct lvn_train_fold *fold,
                                      struct lvn_train_summary *ret_summary, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
