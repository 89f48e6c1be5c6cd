/* Which patient is tested in which fold of a cross-validation: the data set's own folds, or made ones. The patient is
 * the unit: slices and lesions of one never lie on both sides. */
#ifndef LVN_MODEL_DATASET_FOLDS_H
#define LVN_MODEL_DATASET_FOLDS_H

#include "base/error.h"
#include "model/dataset/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TRAIN_FOLDS_MAX 100

struct lvn_folds_patient {
  char patient_key[LVN_DATASET_KEY_BYTES];
  unsigned fold;
};

/* Owned; lvn_folds_clear() it. Immutable once made. */
struct lvn_folds {
  struct lvn_folds_patient *patients; /* sorted by key */
  size_t patient_count;
  size_t patient_capacity;
  unsigned numbers[LVN_TRAIN_FOLDS_MAX]; /* of the folds that occur, ascending */
  size_t fold_count;
};

/* `fold_count` 0 takes the data sets' own folds: LVN_ERROR_DATA when a patient is in two of them. Otherwise that many
 * are made: patients of each class are dealt out evenly, the smallest fold first, in an order that `seed` gives. */
LVN_MUST_CHECK bool lvn_folds_make(const char *const *folders, size_t folder_count, unsigned fold_count, uint64_t seed,
                                   struct lvn_folds *ret_folds, struct lvn_error *err);
/* Made folds, numbered from 0, of the patients that are not tested in fold `held_out` of `outer` (NULL: of the data
 * sets' own): a choice among them has not seen the others. */
LVN_MUST_CHECK bool lvn_folds_make_inner(const char *const *folders, size_t folder_count, const struct lvn_folds *outer,
                                         unsigned held_out, unsigned fold_count, uint64_t seed,
                                         struct lvn_folds *ret_folds, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_folds_find(const struct lvn_folds *folds, const char *patient_key, unsigned *ret_fold);
void lvn_folds_clear(struct lvn_folds *folds);

#ifdef __cplusplus
}
#endif
#endif
