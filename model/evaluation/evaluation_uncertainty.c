/* Calibration, conformal sets, distance from what was seen, and the curves. */
#include "base/memory.h"
#include "model/evaluation/evaluation_parts.h"
#include "model/stats/conformal.h"
#include "model/stats/mahalanobis.h"
#include "model/stats/selective.h"

#include <math.h>
#include <string.h>

#define LEAST_PROBABILITY 1e-300
#define SHRINKAGE 0.1 /* as the trainer's own feature statistics */

static void log_of(unsigned classes, const double probability[LVN_CLASS_COUNT], double ret_log[LVN_CLASS_COUNT]) {
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    ret_log[c] = lvn_classes_have(classes, c) ? log(fmax(probability[c], LEAST_PROBABILITY)) : -INFINITY;
  }
}

/* The factor on the temperature that fits the cases outside `part` (SIZE_MAX: all), from their log-probabilities, which
 * are the logits but for a constant. 1 without such cases. */
static bool fit_factor(const struct lvn_level_cases *cases, const size_t *part, size_t left_out, double *ret_factor,
                       struct lvn_error *err) {
  LVN_AUTOFREE double(*logit)[LVN_CLASS_COUNT] = lvn_alloc(cases->count, sizeof *logit, err);
  LVN_AUTOFREE size_t *label = lvn_alloc(cases->count, sizeof *label, err);
  size_t count = 0;
  if (logit == NULL || label == NULL) {
    return false;
  }
  for (size_t i = 0; i < cases->count; i++) {
    if (part[i] != left_out) {
      log_of(cases->classes, cases->probability[i], logit[count]);
      label[count++] = cases->label[i];
    }
  }
  *ret_factor =
      count == 0 ? 1.0 : lvn_calibrate_temperature((const double(*)[LVN_CLASS_COUNT])logit, label, count, 1.0);
  return true;
}

static bool recalibrate(const struct lvn_level_cases *cases, const size_t *part, size_t part_count, double *ret_ece,
                        struct lvn_error *err) {
  LVN_AUTOFREE double(*probability)[LVN_CLASS_COUNT] = lvn_alloc(cases->count, sizeof *probability, err);
  if (probability == NULL) {
    return false;
  }
  for (size_t p = 0; p < part_count; p++) {
    double factor = 1.0;
    if (!fit_factor(cases, part, p, &factor, err)) {
      return false;
    }
    for (size_t i = 0; i < cases->count; i++) {
      if (part[i] == p) {
        double logit[LVN_CLASS_COUNT];
        log_of(cases->classes, cases->probability[i], logit);
        lvn_calibrate_softmax(logit, 1.0 / factor, probability[i]);
      }
    }
  }
  *ret_ece = lvn_calibrate_ece((const double(*)[LVN_CLASS_COUNT])probability, cases->label, cases->count);
  return true;
}

bool lvn_evaluation_calibration(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                                struct lvn_error *err) {
  const struct lvn_level_cases *cases = &input->cases[LVN_LEVEL_LESION];
  LVN_AUTOFREE size_t *part = lvn_alloc(cases->count, sizeof *part, err);
  if (part == NULL) {
    return false;
  }
  size_t parts = lvn_levels_parts(cases, input->folds, input->fold_count, part);
  lvn_calibrate_reliability(cases->sample.probability, cases->label, cases->count, LVN_CALIBRATE_BINS,
                            evaluation->reliability);
  evaluation->recalibrated_ece = NAN;
  return fit_factor(cases, part, SIZE_MAX, &evaluation->own_temperature_factor, err) &&
         (parts < 2 || recalibrate(cases, part, parts, &evaluation->recalibrated_ece, err));
}

/* Limits of one part's cases from all the others. */
static bool conformal_part(const struct lvn_level_cases *cases, const size_t *part, size_t of,
                           struct lvn_conformal_result *result, size_t *ret_calibration, struct lvn_error *err) {
  LVN_AUTOFREE bool *keep = lvn_alloc(cases->count, sizeof *keep, err);
  LVN_CLEANUP(lvn_levels_clear) struct lvn_level_cases others = {0};
  double limit = 0.0;
  if (keep == NULL) {
    return false;
  }
  for (size_t i = 0; i < cases->count; i++) {
    keep[i] = part[i] != of;
  }
  if (!lvn_levels_select(cases, keep, &others, err) ||
      !lvn_conformal_limit(others.sample.probability, others.label, others.count, result->alpha, &limit, err)) {
    return false;
  }
  *ret_calibration = others.count;
  for (size_t i = 0; i < cases->count; i++) {
    if (part[i] == of) {
      unsigned set = cases->classes & lvn_conformal_set(cases->probability[i], limit);
      int members = __builtin_popcount(set);
      result->count++;
      result->covered += (set >> cases->label[i]) & 1U;
      result->mean_set_size += members;
      result->empty += members == 0;
      result->single += members == 1;
    }
  }
  return true;
}

bool lvn_evaluation_conformal(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                              struct lvn_error *err) {
  static const double alphas[LVN_CONFORMAL_COUNT] = {0.05, 0.1, 0.2};
  const struct lvn_level_cases *cases = &input->cases[LVN_LEVEL_PATIENT];
  LVN_AUTOFREE size_t *part = lvn_alloc(cases->count, sizeof *part, err);
  if (part == NULL) {
    return false;
  }
  size_t parts = lvn_levels_parts(cases, input->folds, input->fold_count, part);
  for (size_t a = 0; a < LVN_CONFORMAL_COUNT; a++) {
    struct lvn_conformal_result *result = &evaluation->conformal[a];
    size_t fewest = SIZE_MAX;
    *result = (struct lvn_conformal_result){.alpha = alphas[a]};
    for (size_t p = 0; p < parts; p++) {
      size_t calibration = 0;
      if (!conformal_part(cases, part, p, result, &calibration, err)) {
        return false;
      }
      fewest = calibration < fewest ? calibration : fewest;
    }
    result->mean_set_size /= (double)(result->count > 0 ? result->count : 1);
    result->achieved = lvn_stats_clopper_pearson(result->covered, result->count, LVN_STATS_LEVEL);
    result->expected = lvn_conformal_expected_coverage(fewest, alphas[a], LVN_STATS_LEVEL);
  }
  return true;
}

/* Each part scored by a fit on the other parts' lesions of all classes but `unseen`; area for unseen against the rest.
 */
static bool unseen_class(const struct lvn_evaluation_input *input, const size_t *part, size_t part_count, size_t unseen,
                         double *ret_auc, struct lvn_error *err) {
  const struct lvn_case_predictions *answers = input->answers;
  const size_t *label = input->cases[LVN_LEVEL_LESION].label;
  size_t count = answers->lesion_count;
  LVN_AUTOFREE bool *is_used = lvn_alloc(count, sizeof *is_used, err);
  LVN_AUTOFREE bool *is_unseen = lvn_alloc(count, sizeof *is_unseen, err);
  LVN_AUTOFREE double *distance = lvn_alloc(count, sizeof *distance, err);
  if (is_used == NULL || is_unseen == NULL || distance == NULL) {
    return false;
  }
  for (size_t p = 0; p < part_count; p++) {
    struct lvn_mahalanobis *fit = NULL;
    struct lvn_error no_fit = {0};
    for (size_t i = 0; i < count; i++) {
      is_used[i] = part[i] != p && label[i] != unseen;
      is_unseen[i] = label[i] == unseen;
    }
    if (!lvn_mahalanobis_fit(answers->features, label, is_used, count, answers->feature_count, SHRINKAGE, &fit,
                             &no_fit)) {
      *ret_auc = NAN; /* too few or constant features */
      return no_fit.code == LVN_ERROR_DATA || lvn_error_set(err, no_fit.code, "%s", no_fit.message);
    }
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
      good = part[i] != p ||
             lvn_mahalanobis_score(fit, answers->features + i * answers->feature_count, 1, &distance[i], err);
    }
    lvn_mahalanobis_destroy(fit);
    if (!good) {
      return false;
    }
  }
  return lvn_stats_auc(distance, is_unseen, count, ret_auc, err);
}

static bool wrong_by_distance(const struct lvn_case_predictions *answers, double *ret_auc, struct lvn_error *err) {
  LVN_AUTOFREE double *distance = lvn_alloc(answers->lesion_count, sizeof *distance, err);
  LVN_AUTOFREE bool *is_wrong = lvn_alloc(answers->lesion_count, sizeof *is_wrong, err);
  if (distance == NULL || is_wrong == NULL) {
    return false;
  }
  for (size_t i = 0; i < answers->lesion_count; i++) {
    distance[i] = answers->lesions[i].feature_distance;
    if (isnan(distance[i])) {
      *ret_auc = NAN; /* answers without features */
      return true;
    }
    is_wrong[i] = answers->lesions[i].top_class != answers->lesions[i].truth;
  }
  return lvn_stats_auc(distance, is_wrong, answers->lesion_count, ret_auc, err);
}

bool lvn_evaluation_unlike(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                           struct lvn_error *err) {
  const struct lvn_case_predictions *answers = input->answers;
  const struct lvn_level_cases *cases = &input->cases[LVN_LEVEL_LESION];
  struct lvn_unlike_result *result = &evaluation->unlike;
  LVN_AUTOFREE size_t *part = lvn_alloc(cases->count, sizeof *part, err);
  if (part == NULL) {
    return false;
  }
  size_t parts = lvn_levels_parts(cases, input->folds, input->fold_count, part);
  result->limit = input->options->feature_distance_limit;
  for (size_t i = 0; i < answers->lesion_count; i++) {
    result->beyond += answers->lesions[i].feature_distance > result->limit;
  }
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    result->unseen_class_auc[c] = NAN;
    if (parts > 1 && answers->feature_count > 0 && lvn_classes_have(answers->classes, (unsigned)c) &&
        !unseen_class(input, part, parts, c, &result->unseen_class_auc[c], err)) {
      return false;
    }
  }
  return wrong_by_distance(answers, &result->wrong_auc, err);
}

static bool fill_roc(const struct lvn_level_cases *cases, double *score, bool *is_positive,
                     struct lvn_evaluation *evaluation, struct lvn_error *err) {
  for (unsigned c = lvn_classes_first(cases->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(cases->classes, c)) {
    struct lvn_roc_curve *curve = &evaluation->roc[c];
    size_t positives = 0;
    for (size_t i = 0; i < cases->count; i++) {
      score[i] = cases->probability[i][c];
      is_positive[i] = cases->label[i] == c;
      positives += is_positive[i];
    }
    if (positives == 0 || positives == cases->count) {
      continue;
    }
    curve->points = lvn_alloc(cases->count + 1, sizeof *curve->points, err);
    if (curve->points == NULL || !lvn_stats_roc(score, is_positive, cases->count, curve->points, &curve->count, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_evaluation_curves(const struct lvn_evaluation_input *input, struct lvn_evaluation *evaluation,
                           struct lvn_error *err) {
  const struct lvn_level_cases *cases = &input->cases[LVN_LEVEL_LESION];
  LVN_AUTOFREE double *score = lvn_alloc(cases->count, sizeof *score, err);
  LVN_AUTOFREE bool *flag = lvn_alloc(cases->count, sizeof *flag, err);
  evaluation->risk = lvn_alloc(cases->count, sizeof *evaluation->risk, err);
  if (score == NULL || flag == NULL || evaluation->risk == NULL || !fill_roc(cases, score, flag, evaluation, err)) {
    return false;
  }
  for (size_t i = 0; i < cases->count; i++) {
    score[i] = cases->probability[i][LVN_CLASS_HCC];
    flag[i] = cases->label[i] == LVN_CLASS_HCC;
  }
  for (size_t k = 0; k < LVN_DECISION_POINTS; k++) {
    double threshold = (double)(k + 1) / (LVN_DECISION_POINTS + 1);
    evaluation->decision[k] =
        (struct lvn_decision_point){.threshold = threshold,
                                    .model = lvn_stats_net_benefit(score, flag, cases->count, threshold),
                                    .all = lvn_stats_net_benefit_all(flag, cases->count, threshold)};
  }
  for (size_t i = 0; i < cases->count; i++) {
    enum lvn_class top = lvn_stats_top_class(cases->probability[i]);
    score[i] = cases->probability[i][top];
    flag[i] = top != cases->label[i];
  }
  return lvn_stats_risk_coverage(score, flag, cases->count, evaluation->risk, &evaluation->aurc, err);
}
