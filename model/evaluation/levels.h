/* The same answers as cases per slice, lesion and patient, ready for the statistics. Inside of model/evaluation. */
#ifndef LVN_MODEL_EVALUATION_LEVELS_H
#define LVN_MODEL_EVALUATION_LEVELS_H

#include "model/evaluation/case_predictions.h"
#include "model/stats/figures.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_FOLDS_MAX 100

/* Per patient: the lesions of one class in one patient are one case, its probabilities the renormalised geometric mean
 * of theirs. A patient with lesions of two classes is two cases, which the bootstrap draws together. */
enum lvn_level { LVN_LEVEL_SLICE = 0, LVN_LEVEL_LESION, LVN_LEVEL_PATIENT, LVN_LEVEL_COUNT };
const char *lvn_level_name(enum lvn_level level); /* "slice", "lesion", "patient" */

/* Owned arrays; `sample` borrows them. */
struct lvn_level_cases {
  unsigned classes;
  size_t count;
  size_t *label;
  double (*probability)[LVN_CLASS_COUNT];
  size_t *patient; /* numbered by the sorted pseudonyms, so that the same lesions give the same numbers */
  unsigned *fold;
  struct lvn_sample sample;
};

LVN_MUST_CHECK bool lvn_levels_build(const struct lvn_case_predictions *answers, enum lvn_level level,
                                     struct lvn_level_cases *ret_cases, struct lvn_error *err);
void lvn_levels_clear(struct lvn_level_cases *cases);

/* The cases with keep[i]; `ret_part` owns its arrays. */
LVN_MUST_CHECK bool lvn_levels_select(const struct lvn_level_cases *cases, const bool *keep,
                                      struct lvn_level_cases *ret_part, struct lvn_error *err);

/* Folds that occur, ascending; LVN_ERROR_DATA when there are more than LVN_FOLDS_MAX. */
LVN_MUST_CHECK bool lvn_levels_folds(const struct lvn_case_predictions *answers, unsigned ret_folds[LVN_FOLDS_MAX],
                                     size_t *ret_count, struct lvn_error *err);

/* Parts for cross-fitting, by patient: the folds where there are several, else two halves by the patient's number.
 * Returns the number of parts; `ret_part` per case. */
size_t lvn_levels_parts(const struct lvn_level_cases *cases, const unsigned *folds, size_t fold_count,
                        size_t *ret_part);

#ifdef __cplusplus
}
#endif
#endif
