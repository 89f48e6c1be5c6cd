/* An evaluation as files:
 *   evaluation.json  every figure, its interval and how it was made
 *   evaluation.txt   the figures that matter first, for a terminal
 *   figures.csv      level, figure, class, value, interval, kind of interval
 *   lesions.csv      one row per lesion: truth, answer, probabilities, distance, abstention
 *   slices.csv       one row per slice
 *   outliers.csv     one row per lesion that is none of the classes, where the data set has any */
#ifndef LVN_MODEL_EVALUATION_WRITE_H
#define LVN_MODEL_EVALUATION_WRITE_H

#include "model/evaluation/evaluation.h"
#include "model/network/package.h"

#include <jansson.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the files, and the report, are about. All borrowed. */
struct lvn_evaluation_subject {
  const struct lvn_case_predictions *answers;
  const struct lvn_evaluation *evaluation;
  const struct lvn_dataset *dataset;
  const struct lvn_package *packages; /* one, or one per fold in a cross-validation */
  size_t package_count;
  const char *device;
  bool permutation_ensemble;
  const struct lvn_comparison *comparison; /* NULL: no other model was measured */
  const struct lvn_package *other;
  size_t seen_in_training; /* lesions of these answers that a package was trained on, by their pixels */
};

/* `folder` is made. */
LVN_MUST_CHECK bool lvn_evaluation_write(const struct lvn_evaluation_subject *subject, const char *folder,
                                         struct lvn_error *err);

/* Names of the figures as keys, in the order of struct lvn_figures: "accuracy", …, "recall_CYST", …, "auc_HEM". */
const char *lvn_figure_name(size_t figure);
size_t lvn_figure_next(unsigned classes, size_t figure); /* skips those of other classes; LVN_FIGURE_COUNT at the end */
double lvn_figure_get(const struct lvn_figures *figures, size_t figure);
/* "0.912", and "-" for a figure that nothing was counted for (NAN). Returns ret_text. */
#define LVN_FIGURE_TEXT_BYTES 32
const char *lvn_figure_text(double value, int decimals, char ret_text[LVN_FIGURE_TEXT_BYTES]);

/* Inside of model/evaluation. */
/* How many of what is no class got no answer, by kind; NULL without any. */
json_t *lvn_evaluation_outliers_json(const struct lvn_case_predictions *answers);
void lvn_evaluation_print_outliers(FILE *stream, const struct lvn_case_predictions *answers);
LVN_MUST_CHECK bool lvn_evaluation_write_json(const struct lvn_evaluation_subject *subject, const char *path,
                                              struct lvn_error *err);
LVN_MUST_CHECK bool lvn_evaluation_write_tables(const struct lvn_evaluation_subject *subject, const char *folder,
                                                struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
