/* What a fold's model said of each slice that it had not seen: predictions.csv, one line per slice,
 *   fold,patient,lesion,slice,is_key,class,CYST,FNH,HCC,HEM
 * The class is the truth, the last columns are the logits of the model's classes (softmax of them gives probabilities).
 * Lines of a lesion lie together.
 */
#ifndef LVN_MODEL_DATASET_PREDICTIONS_H
#define LVN_MODEL_DATASET_PREDICTIONS_H

#include "base/error.h"
#include "model/dataset/dataset.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PREDICTIONS_FILE "predictions.csv"

struct lvn_slice_prediction {
  unsigned fold;
  char patient_key[LVN_DATASET_KEY_BYTES];
  char lesion_key[LVN_DATASET_KEY_BYTES];
  unsigned slice;
  bool is_key;
  enum lvn_class truth;
  double logit[LVN_CLASS_COUNT]; /* -INFINITY: none of the model's classes */
};

/* Owned; lvn_predictions_clear() it. */
struct lvn_predictions {
  unsigned classes; /* of the models; 0: nothing was added or read yet */
  struct lvn_slice_prediction *items;
  size_t count;
  size_t capacity;
};

LVN_MUST_CHECK bool lvn_predictions_add(struct lvn_predictions *predictions, const struct lvn_slice_prediction *item,
                                        struct lvn_error *err);
LVN_MUST_CHECK bool lvn_predictions_write(const struct lvn_predictions *predictions, const char *path,
                                          struct lvn_error *err);
/* Appends the file's lines; LVN_ERROR_DATA when they are of other classes than those that are there. */
LVN_MUST_CHECK bool lvn_predictions_read(const char *path, struct lvn_predictions *predictions, struct lvn_error *err);
void lvn_predictions_clear(struct lvn_predictions *predictions);

#ifdef __cplusplus
}
#endif
#endif
