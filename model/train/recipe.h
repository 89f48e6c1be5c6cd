/* How a model is trained: a JSON file, each key optional. An unknown key or a value out of range is LVN_ERROR_USAGE.
 * Defaults: Liver-VLM paper section 3.4 where it speaks, else what its review recommends (AdamW with warm-up and
 * cosine decay, EMA, one random phase order per sample and epoch, geometric augmentation alike for all phases). */
#ifndef LVN_MODEL_RECIPE_H
#define LVN_MODEL_RECIPE_H

#include "daemon/base/error.h"
#include "model/image/crop.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_RECIPE_STAGES_MAX 8

struct lvn_recipe_stage {
  unsigned epochs;
  unsigned side; /* pixels of the network's input: 224, or less to save time; the last stage should be 224 */
};

struct lvn_recipe {
  char name[64];
  char version[32];
  char trained_on[256];
  char licence[64];
  unsigned trunk_depth;
  unsigned joint_size;
  size_t stage_count;
  struct lvn_recipe_stage stages[LVN_RECIPE_STAGES_MAX];
  unsigned batch;
  double learning_rate;
  double weight_decay; /* not on batch normalisation and biases */
  unsigned warmup_epochs;
  double ema;            /* of the weights that are kept; 0: none */
  double scale;          /* logit = scale * cosine */
  bool enriched_prompts; /* false: the simple prompts, the same for every order */
  double order_share;    /* of the samples, drawn each epoch, that get a random phase order with that order's prompts */
  bool flip;
  double rotate_degrees;
  double zoom;              /* 0.1: 0.9 to 1.1 */
  double shift;             /* of the side */
  double gain;              /* per phase, 0.1: 0.9 to 1.1 */
  double offset_hu;         /* per phase */
  unsigned validation_fold; /* lesions of this fold are never trained on; temperature and limits come from them */
  unsigned seed;
  unsigned threads; /* 0: all cores */
  struct lvn_crop_options crop;
  double window_low_hu;
  double window_high_hu;
  double abstain_margin;
  double abstain_quantile; /* of the held-out lesions' feature distance */
};

void lvn_recipe_default(struct lvn_recipe *ret_recipe);
LVN_MUST_CHECK bool lvn_recipe_read(const char *path, struct lvn_recipe *ret_recipe, struct lvn_error *err);
/* Every key with its value, as a recipe file has it; NULL without memory. */
json_t *lvn_recipe_to_json(const struct lvn_recipe *recipe);
unsigned lvn_recipe_epochs(const struct lvn_recipe *recipe);
/* Every key with its default and meaning, for --help. */
void lvn_recipe_describe(FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
