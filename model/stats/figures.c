#include "model/stats/figures.h"

#include "base/memory.h"
#include "model/stats/roc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct lvn_figures) == LVN_FIGURE_COUNT * sizeof(double), "figures are an array of doubles");

enum lvn_class lvn_stats_top_class(const double probability[LVN_CLASS_COUNT]) {
  int top = 0;
  for (int c = 1; c < LVN_CLASS_COUNT; c++) {
    top = probability[c] > probability[top] ? c : top;
  }
  return (enum lvn_class)top;
}

void lvn_stats_confusion(const struct lvn_sample *cases, size_t ret_confusion[LVN_CLASS_COUNT][LVN_CLASS_COUNT]) {
  memset(ret_confusion, 0, LVN_CLASS_COUNT * sizeof *ret_confusion);
  for (size_t i = 0; i < cases->count; i++) {
    ret_confusion[cases->label[i]][lvn_stats_top_class(cases->probability[i])]++;
  }
}

/* What does not change from resample to resample: scores and their order per class. */
struct prepared {
  const struct lvn_sample *cases;
  unsigned classes;
  double *score[LVN_CLASS_COUNT];
  bool *is_member[LVN_CLASS_COUNT];
  size_t *order[LVN_CLASS_COUNT];
};

static void prepared_clear(struct prepared *prepared) {
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    lvn_free(prepared->score[c]);
    lvn_free(prepared->is_member[c]);
    lvn_free(prepared->order[c]);
  }
}

static bool prepare(const struct lvn_sample *cases, struct prepared *ret_prepared, struct lvn_error *err) {
  const unsigned classes = cases->classes == 0 ? LVN_CLASSES_PAPER : cases->classes;
  ret_prepared->cases = cases;
  ret_prepared->classes = classes;
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    double *score = ret_prepared->score[c] = lvn_alloc(cases->count, sizeof *score, err);
    bool *is_member = ret_prepared->is_member[c] = lvn_alloc(cases->count, sizeof *is_member, err);
    size_t *order = ret_prepared->order[c] = lvn_alloc(cases->count, sizeof *order, err);
    if (score == NULL || is_member == NULL || order == NULL) {
      return false;
    }
    for (size_t i = 0; i < cases->count; i++) {
      score[i] = cases->probability[i][c];
      is_member[i] = cases->label[i] == c;
    }
    if (!lvn_stats_order(score, cases->count, order, err)) {
      return false;
    }
  }
  return true;
}

static void measure(const struct prepared *prepared, const double *weight, struct lvn_figures *ret_figures) {
  const struct lvn_sample *cases = prepared->cases;
  struct lvn_figures figures = {0};
  const double class_count = (double)lvn_classes_count(prepared->classes);
  double members[LVN_CLASS_COUNT] = {0.0};
  double right[LVN_CLASS_COUNT] = {0.0};
  double all_members = 0.0;
  double all_right = 0.0;
  double classes = 0.0;
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    figures.recall[c] = figures.auc[c] = NAN;
  }
  for (size_t i = 0; i < cases->count; i++) {
    double w = weight == NULL ? 1.0 : weight[i];
    members[cases->label[i]] += w;
    right[cases->label[i]] += lvn_stats_top_class(cases->probability[i]) == cases->label[i] ? w : 0.0;
  }
  for (unsigned c = lvn_classes_first(prepared->classes); c < LVN_CLASS_COUNT;
       c = lvn_classes_next(prepared->classes, c)) {
    figures.recall[c] = members[c] > 0.0 ? right[c] / members[c] : NAN;
    figures.auc[c] =
        lvn_stats_auc_weighted(prepared->score[c], prepared->is_member[c], weight, prepared->order[c], cases->count);
    figures.macro_auc += figures.auc[c] / class_count;
    figures.balanced_accuracy += members[c] > 0.0 ? figures.recall[c] : 0.0;
    classes += members[c] > 0.0 ? 1.0 : 0.0;
    all_members += members[c];
    all_right += right[c];
  }
  figures.accuracy = all_right / all_members;
  figures.balanced_accuracy /= classes;
  *ret_figures = figures;
}

bool lvn_stats_figures(const struct lvn_sample *cases, struct lvn_figures *ret_figures, struct lvn_error *err) {
  LVN_CLEANUP(prepared_clear) struct prepared prepared = {0};
  if (!prepare(cases, &prepared, err)) {
    return false;
  }
  measure(&prepared, NULL, ret_figures);
  return true;
}

/* Vigna's splitmix64: small, and the same in every language that checks this. */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

/* How often each case is in a sample of as many patients as there are, drawn with replacement. */
static void draw(const struct lvn_sample *cases, uint64_t *state, double *times, double *ret_weight) {
  memset(times, 0, cases->patient_count * sizeof *times);
  for (size_t i = 0; i < cases->patient_count; i++) {
    times[((next_random(state) >> 32U) * cases->patient_count) >> 32U] += 1.0;
  }
  for (size_t i = 0; i < cases->count; i++) {
    ret_weight[i] = times[cases->patient[i]];
  }
}

static int compare_doubles(const void *left, const void *right) {
  double l = *(const double *)left;
  double r = *(const double *)right;
  return l < r ? -1 : l > r;
}

/* Quantile of sorted values with linear interpolation (Hyndman and Fan's type 7). */
static double sorted_quantile(const double *sorted, size_t count, double probability) {
  double at = probability * (double)(count - 1);
  size_t below = (size_t)at;
  size_t above = below + 1 < count ? below + 1 : below;
  return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

/* Intervals, and shares on either side of 0, of one figure over the resamples: values[resample][figure]. */
static void summarise_figure(const double *values, size_t resamples, size_t figure, double level, double *scratch,
                             struct lvn_figure_intervals *intervals, struct lvn_figures *ret_p) {
  size_t count = 0;
  size_t at_most_zero = 0;
  size_t at_least_zero = 0;
  for (size_t r = 0; r < resamples; r++) {
    double value = values[r * LVN_FIGURE_COUNT + figure];
    if (!isnan(value)) {
      scratch[count++] = value;
      at_most_zero += value <= 0.0;
      at_least_zero += value >= 0.0;
    }
  }
  qsort(scratch, count, sizeof *scratch, compare_doubles);
  double *low = (double *)(void *)&intervals->low + figure;
  double *high = (double *)(void *)&intervals->high + figure;
  double *defined = (double *)(void *)&intervals->defined + figure;
  *low = count == 0 ? NAN : sorted_quantile(scratch, count, 0.5 * (1.0 - level));
  *high = count == 0 ? NAN : sorted_quantile(scratch, count, 0.5 * (1.0 + level));
  *defined = (double)count / (double)resamples;
  if (ret_p != NULL) {
    double fewer = (double)(at_most_zero < at_least_zero ? at_most_zero : at_least_zero);
    *((double *)(void *)ret_p + figure) = count == 0 ? NAN : fmin(1.0, 2.0 * (fewer + 1.0) / ((double)count + 1.0));
  }
}

static bool resample(const struct prepared *a, const struct prepared *b, const struct lvn_bootstrap_options *options,
                     struct lvn_figure_intervals *ret_intervals, struct lvn_figures *ret_p, struct lvn_error *err) {
  const struct lvn_sample *cases = a->cases;
  LVN_AUTOFREE double *values = lvn_alloc(options->resamples, sizeof(struct lvn_figures), err);
  LVN_AUTOFREE double *scratch = lvn_alloc(options->resamples, sizeof *scratch, err);
  LVN_AUTOFREE double *times = lvn_alloc(cases->patient_count, sizeof *times, err);
  LVN_AUTOFREE double *weight = lvn_alloc(cases->count, sizeof *weight, err);
  uint64_t state = options->seed;
  if (values == NULL || scratch == NULL || times == NULL || weight == NULL) {
    return false;
  }
  for (size_t r = 0; r < options->resamples; r++) {
    struct lvn_figures figures;
    struct lvn_figures other;
    double *row = values + r * LVN_FIGURE_COUNT;
    draw(cases, &state, times, weight);
    measure(a, weight, &figures);
    memcpy(row, &figures, sizeof figures);
    if (b != NULL) {
      double subtracted[LVN_FIGURE_COUNT];
      measure(b, weight, &other);
      memcpy(subtracted, &other, sizeof other);
      for (size_t f = 0; f < LVN_FIGURE_COUNT; f++) {
        row[f] -= subtracted[f];
      }
    }
  }
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f++) {
    summarise_figure(values, options->resamples, f, options->level, scratch, ret_intervals, ret_p);
  }
  return true;
}

static bool check_cases(const struct lvn_sample *cases, const struct lvn_bootstrap_options *options,
                        struct lvn_error *err) {
  bool good =
      cases->count > 0 && cases->patient_count > 0 && cases->patient_count <= UINT32_MAX && options->resamples > 0;
  return good || lvn_error_set(err, LVN_ERROR_DATA, "nothing to resample");
}

bool lvn_stats_bootstrap(const struct lvn_sample *cases, const struct lvn_bootstrap_options *options,
                         struct lvn_figure_intervals *ret_intervals, struct lvn_error *err) {
  LVN_CLEANUP(prepared_clear) struct prepared prepared = {0};
  return check_cases(cases, options, err) && prepare(cases, &prepared, err) &&
         resample(&prepared, NULL, options, ret_intervals, NULL, err);
}

bool lvn_stats_bootstrap_difference(const struct lvn_sample *a, const struct lvn_sample *b,
                                    const struct lvn_bootstrap_options *options,
                                    struct lvn_figure_intervals *ret_intervals, struct lvn_figures *ret_p,
                                    struct lvn_error *err) {
  LVN_CLEANUP(prepared_clear) struct prepared prepared_a = {0};
  LVN_CLEANUP(prepared_clear) struct prepared prepared_b = {0};
  if (a->count != b->count || memcmp(a->label, b->label, a->count * sizeof *a->label) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the two models did not answer the same cases");
  }
  return check_cases(a, options, err) && prepare(a, &prepared_a, err) && prepare(b, &prepared_b, err) &&
         resample(&prepared_a, &prepared_b, options, ret_intervals, ret_p, err);
}
