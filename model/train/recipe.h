/* How a model is trained: one INI file, every key optional. One table of keys (recipe_keys.c) drives the parser, the
 * sample and the text that a package keeps. `[recipe] mode` chooses the defaults: "paper" is the Liver-VLM paper
 * (Appl. Sci. 2025, 15(23), 12578) where it speaks, "recommended" what a small data set is better served with. */
#ifndef LVN_MODEL_RECIPE_H
#define LVN_MODEL_RECIPE_H

#include "base/error.h"
#include "model/image/crop.h"
#include "model/image/vocabulary.h"

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_RECIPE_STAGES_MAX 8
#define LVN_RECIPE_TEXT_BYTES 256
#define LVN_RECIPE_TUNING_MAX 16

enum lvn_recipe_mode { LVN_RECIPE_PAPER, LVN_RECIPE_RECOMMENDED };
enum lvn_recipe_head { LVN_HEAD_COSINE, LVN_HEAD_FC };
enum lvn_recipe_prompts { LVN_PROMPTS_ENRICHED, LVN_PROMPTS_SIMPLE };
enum lvn_recipe_scale { LVN_SCALE_FIXED, LVN_SCALE_LEARNABLE };
enum lvn_recipe_normalisation { LVN_NORMALISE_SCALAR, LVN_NORMALISE_IMAGENET };
enum lvn_recipe_task { LVN_PRETRAIN_NONE, LVN_PRETRAIN_PHASE_SHUFFLE, LVN_PRETRAIN_SIMSIAM };
enum lvn_recipe_optimiser { LVN_OPTIMISER_ADAM, LVN_OPTIMISER_ADAMW, LVN_OPTIMISER_SGD };
enum lvn_recipe_schedule { LVN_SCHEDULE_CONSTANT, LVN_SCHEDULE_COSINE };
enum lvn_recipe_permutations { LVN_PERMUTATIONS_NATURAL, LVN_PERMUTATIONS_RANDOM, LVN_PERMUTATIONS_ALL };
enum lvn_recipe_samples { LVN_SAMPLES_SLICES, LVN_SAMPLES_LESIONS, LVN_SAMPLES_PATIENTS };
enum lvn_recipe_device { LVN_DEVICE_AUTO, LVN_DEVICE_CPU, LVN_DEVICE_CUDA };
enum lvn_recipe_precision { LVN_PRECISION_SINGLE, LVN_PRECISION_BF16 };

struct lvn_recipe_stage {
  unsigned epochs;
  unsigned side; /* pixels of the network's input: 224, or less to save time; the last stage should be 224 */
};

/* One optimisation: pretraining or training. */
struct lvn_recipe_fit {
  size_t stage_count;
  struct lvn_recipe_stage stages[LVN_RECIPE_STAGES_MAX];
  unsigned batch;
  enum lvn_recipe_optimiser optimiser;
  double learning_rate;
  double weight_decay; /* not on batch normalisation, biases and the scale */
  unsigned warmup_epochs;
  enum lvn_recipe_schedule schedule;
  double ema; /* of the weights that are kept; 0: none */
};

struct lvn_recipe {
  enum lvn_recipe_mode mode;
  /* [package] */
  char name[64];
  char version[32];
  char trained_on[LVN_RECIPE_TEXT_BYTES];
  char licence[64];
  /* [network] */
  char classes[LVN_CLASSES_TEXT_BYTES]; /* lvn_recipe_classes() */
  char encoder[32];
  unsigned joint_size;
  enum lvn_recipe_head head;
  enum lvn_recipe_prompts prompts;
  enum lvn_recipe_scale scale_mode;
  double scale;
  double scale_max;
  char weights[LVN_RECIPE_TEXT_BYTES]; /* of the image encoder, to start from; empty: random */
  enum lvn_recipe_normalisation normalisation;
  /* [pretraining] */
  enum lvn_recipe_task task;
  struct lvn_recipe_fit pretraining;
  double pretraining_gain;
  double pretraining_offset_hu;
  /* [training] */
  struct lvn_recipe_fit training;
  enum lvn_recipe_samples samples;
  bool balance_classes;
  /* [augmentation] */
  enum lvn_recipe_permutations permutations;
  double permutation_share;
  double phase_dropout;
  double fourth_phase;
  bool flip;
  double rotate_degrees;
  double zoom;
  double shift;
  double gain;
  double offset_hu;
  /* [input] */
  bool use_incomplete;
  double window_low_hu;
  double window_high_hu;
  struct lvn_crop_options crop; /* not a key: how the data set was made */
  /* [validation] */
  unsigned validation_fold; /* lesions of this fold are never trained on; temperature and limits come from them */
  unsigned folds;
  double abstain_margin;
  double least_diameter_mm;
  double least_pixels_across;
  double abstain_quantile; /* of the held-out lesions' feature distance */
  /* [measurements] */
  unsigned measurement_rounds; /* of trees over them; 0: none */
  /* [outliers] */
  double outlier_weight;
  double outlier_share;
  char outlier_unseen[LVN_RECIPE_TEXT_BYTES]; /* kinds (subtypes) that are left out; separated by '|' */
  char outlier_scores[LVN_RECIPE_TEXT_BYTES]; /* rules to choose from; separated by '|' */
  /* [tuning] */
  char tuning_key[64];                       /* "section.key"; empty: nothing is chosen */
  char tuning_values[LVN_RECIPE_TEXT_BYTES]; /* separated by '|' */
  unsigned tuning_folds;
  /* [acceptance] */
  double accept_macro_auc;
  double accept_accuracy;
  double accept_hcc_sensitivity;
  double accept_ece;
  /* [run] */
  enum lvn_recipe_device device;
  enum lvn_recipe_precision precision;
  bool deterministic;
  unsigned seed;
  unsigned threads; /* 0: all cores */
  unsigned checkpoint_seconds;
};

void lvn_recipe_default(enum lvn_recipe_mode mode, struct lvn_recipe *ret_recipe);
/* LVN_ERROR_USAGE with "FILE:LINE: what is wrong" for an unknown key or section, or a value out of range. */
LVN_MUST_CHECK bool lvn_recipe_read(const char *path, struct lvn_recipe *ret_recipe, struct lvn_error *err);
/* As lvn_recipe_read(), of text in memory; `name` stands in errors. */
LVN_MUST_CHECK bool lvn_recipe_parse(const char *text, size_t bytes, const char *name, struct lvn_recipe *ret_recipe,
                                     struct lvn_error *err);
/* One key, "section.key", as a file would set it. Does not check keys against each other: lvn_recipe_check(). */
LVN_MUST_CHECK bool lvn_recipe_set(struct lvn_recipe *recipe, const char *name, const char *value,
                                   struct lvn_error *err);
LVN_MUST_CHECK bool lvn_recipe_check(const struct lvn_recipe *recipe, struct lvn_error *err);
/* Every key with its value, as a recipe file; lvn_free() it. What lvn_recipe_parse() reads from it is the same recipe.
 */
LVN_MUST_CHECK char *lvn_recipe_to_text(const struct lvn_recipe *recipe, struct lvn_error *err);
/* Value `index` of a list separated by '|', without the blanks about it; false when there are not so many. */
bool lvn_recipe_list_value(const char *list, size_t index, char ret_value[LVN_RECIPE_TEXT_BYTES]);
/* What the model shall tell apart; lesions of other diseases are outliers to it. Of a checked recipe. */
unsigned lvn_recipe_classes(const struct lvn_recipe *recipe);
unsigned lvn_recipe_epochs(const struct lvn_recipe_fit *fit);
/* The commented sample: every key with its meaning, source, range and default in this mode. */
void lvn_recipe_write_sample(enum lvn_recipe_mode mode, FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
