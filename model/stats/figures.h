/* Figures of a four-class answer (accuracy, recall, area under the curve) and their bootstrap over patients. */
#ifndef LVN_MODEL_STATS_FIGURES_H
#define LVN_MODEL_STATS_FIGURES_H

#include "base/error.h"
#include "model/image/vocabulary.h"
#include "model/stats/distribution.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Cases (slices, lesions or patients) with the patient each belongs to. All borrowed. */
struct lvn_sample {
  size_t count;
  unsigned classes;    /* that the answers are of; 0: the paper's four */
  const size_t *label; /* one of them */
  const double (*probability)[LVN_CLASS_COUNT];
  const size_t *patient; /* 0 .. patient_count - 1: what is drawn by the bootstrap */
  size_t patient_count;
};

/* The members lie one after another, so that the struct is also LVN_FIGURE_COUNT doubles. NAN: not defined, since a
 * class has no case (or no other class has one). */
struct lvn_figures {
  double accuracy;
  double balanced_accuracy; /* mean recall of the classes that occur */
  double macro_auc;         /* mean over the classes, one against the rest; NAN when one is not defined */
  double recall[LVN_CLASS_COUNT];
  double auc[LVN_CLASS_COUNT];
};
#define LVN_FIGURE_COUNT (3 + 2 * LVN_CLASS_COUNT)

/* The class of the highest probability; the first of equals. */
enum lvn_class lvn_stats_top_class(const double probability[LVN_CLASS_COUNT]);

void lvn_stats_confusion(const struct lvn_sample *cases, size_t ret_confusion[LVN_CLASS_COUNT][LVN_CLASS_COUNT]);

LVN_MUST_CHECK bool lvn_stats_figures(const struct lvn_sample *cases, struct lvn_figures *ret_figures,
                                      struct lvn_error *err);

struct lvn_bootstrap_options {
  size_t resamples; /* 2000 */
  uint64_t seed;    /* same seed, same cases: same intervals, on every machine */
  double level;
};

/* Percentile intervals: patients are drawn with replacement, with all their cases. A resample in which a figure is not
 * defined is left out of that figure's interval. */
struct lvn_figure_intervals {
  struct lvn_figures low;
  struct lvn_figures high;
  struct lvn_figures defined; /* share of the resamples */
};
LVN_MUST_CHECK bool lvn_stats_bootstrap(const struct lvn_sample *cases, const struct lvn_bootstrap_options *options,
                                        struct lvn_figure_intervals *ret_intervals, struct lvn_error *err);

/* The same for a - b, both on the same resamples. `a` and `b` are the same cases in the same order with the answers of
 * two models. `ret_p`: two-sided, twice the smaller share of resamples at or beyond 0, never 0 itself. */
LVN_MUST_CHECK bool lvn_stats_bootstrap_difference(const struct lvn_sample *a, const struct lvn_sample *b,
                                                   const struct lvn_bootstrap_options *options,
                                                   struct lvn_figure_intervals *ret_intervals,
                                                   struct lvn_figures *ret_p, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
