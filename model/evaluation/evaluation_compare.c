#include "base/memory.h"
#include "model/evaluation/evaluation.h"
#include "model/evaluation/levels.h"

#include <math.h>
#include <string.h>

static bool same_lesions(const struct lvn_case_predictions *a, const struct lvn_case_predictions *b,
                         struct lvn_error *err) {
  bool same = a->classes == b->classes && a->lesion_count == b->lesion_count && a->lesion_count > 0 &&
              a->slice_count == b->slice_count;
  for (size_t i = 0; same && i < a->lesion_count; i++) {
    same = strcmp(a->lesions[i].lesion_id, b->lesions[i].lesion_id) == 0 && a->lesions[i].truth == b->lesions[i].truth;
  }
  return same || lvn_error_set(err, LVN_ERROR_DATA, "the two models did not answer the same lesions");
}

static bool compare_lesions(const struct lvn_level_cases *a, const struct lvn_level_cases *b,
                            const struct lvn_evaluation_options *options, struct lvn_comparison *comparison,
                            struct lvn_error *err) {
  const struct lvn_bootstrap_options bootstrap = {
      .resamples = options->resamples, .seed = options->seed, .level = LVN_STATS_LEVEL};
  struct lvn_figures of_a;
  struct lvn_figures of_b;
  double left[LVN_FIGURE_COUNT];
  double right[LVN_FIGURE_COUNT];
  if (!lvn_stats_figures(&a->sample, &of_a, err) || !lvn_stats_figures(&b->sample, &of_b, err)) {
    return false;
  }
  memcpy(left, &of_a, sizeof left);
  memcpy(right, &of_b, sizeof right);
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f++) {
    left[f] -= right[f];
  }
  memcpy(&comparison->difference, left, sizeof left);
  return lvn_stats_bootstrap_difference(&a->sample, &b->sample, &bootstrap, &comparison->bootstrap,
                                        &comparison->bootstrap_p, err);
}

static bool compare_areas(const struct lvn_level_cases *a, const struct lvn_level_cases *b,
                          struct lvn_comparison *comparison, struct lvn_error *err) {
  LVN_AUTOFREE double *left = lvn_alloc(a->count, sizeof *left, err);
  LVN_AUTOFREE double *right = lvn_alloc(a->count, sizeof *right, err);
  LVN_AUTOFREE bool *is_member = lvn_alloc(a->count, sizeof *is_member, err);
  double p[LVN_CLASS_COUNT];
  if (left == NULL || right == NULL || is_member == NULL) {
    return false;
  }
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    struct lvn_error too_few = {0};
    if (!lvn_classes_have(a->classes, (unsigned)c)) {
      comparison->delong[c] = (struct lvn_delong){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
      p[c] = NAN;
      continue;
    }
    for (size_t i = 0; i < a->count; i++) {
      left[i] = a->probability[i][c];
      right[i] = b->probability[i][c];
      is_member[i] = a->label[i] == c;
    }
    if (!lvn_stats_delong(left, right, is_member, a->count, &comparison->delong[c], &too_few)) {
      if (too_few.code != LVN_ERROR_DATA) {
        *err = too_few;
        return false;
      }
      comparison->delong[c] = (struct lvn_delong){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    }
    p[c] = comparison->delong[c].p;
  }
  return lvn_stats_holm(p, LVN_CLASS_COUNT, comparison->delong_holm, err);
}

static double fold_accuracy(const struct lvn_level_cases *cases, unsigned fold) {
  double right = 0.0;
  double count = 0.0;
  for (size_t i = 0; i < cases->count; i++) {
    if (cases->fold[i] == fold) {
      count += 1.0;
      right += (size_t)lvn_stats_top_class(cases->probability[i]) == cases->label[i] ? 1.0 : 0.0;
    }
  }
  return right / count;
}

static bool compare_folds(const struct lvn_case_predictions *answers, const struct lvn_level_cases *a,
                          const struct lvn_level_cases *b, struct lvn_comparison *comparison, struct lvn_error *err) {
  unsigned folds[LVN_FOLDS_MAX];
  double left[LVN_FOLDS_MAX];
  double right[LVN_FOLDS_MAX];
  size_t count = 0;
  if (!lvn_levels_folds(answers, folds, &count, err)) {
    return false;
  }
  for (size_t f = 0; f < count; f++) {
    left[f] = fold_accuracy(a, folds[f]);
    right[f] = fold_accuracy(b, folds[f]);
  }
  comparison->fold_count = count;
  comparison->paired_t = lvn_stats_paired_t(left, right, count);
  comparison->corrected_t = lvn_stats_corrected_t(left, right, count, count < 2 ? NAN : 1.0 / (double)(count - 1));
  return true;
}

bool lvn_evaluation_compare(const struct lvn_case_predictions *a, const struct lvn_case_predictions *b,
                            const struct lvn_evaluation_options *options, struct lvn_comparison *ret_comparison,
                            struct lvn_error *err) {
  struct lvn_comparison comparison = {0};
  if (!same_lesions(a, b, err)) {
    return false;
  }
  for (int level = 0; level < LVN_LEVEL_COUNT; level++) {
    LVN_CLEANUP(lvn_levels_clear) struct lvn_level_cases left = {0};
    LVN_CLEANUP(lvn_levels_clear) struct lvn_level_cases right = {0};
    bool good = lvn_levels_build(a, (enum lvn_level)level, &left, err) &&
                lvn_levels_build(b, (enum lvn_level)level, &right, err);
    good = good && (level != LVN_LEVEL_LESION || compare_lesions(&left, &right, options, &comparison, err)) &&
           (level != LVN_LEVEL_PATIENT || compare_areas(&left, &right, &comparison, err)) &&
           (level != LVN_LEVEL_SLICE || compare_folds(a, &left, &right, &comparison, err));
    if (!good) {
      return false;
    }
  }
  *ret_comparison = comparison;
  return true;
}
