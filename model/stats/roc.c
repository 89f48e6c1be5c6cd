#include "model/stats/roc.h"

#include "base/memory.h"
#include "model/stats/distribution.h"

#include <math.h>
#include <stdlib.h>

struct ranked {
  double score;
  size_t index;
};

static int compare_ranked(const void *left, const void *right) {
  const struct ranked *l = left;
  const struct ranked *r = right;
  if (l->score != r->score) {
    return l->score < r->score ? -1 : 1;
  }
  return l->index < r->index ? -1 : l->index > r->index;
}

bool lvn_stats_order(const double *score, size_t count, size_t *ret_order, struct lvn_error *err) {
  LVN_AUTOFREE struct ranked *ranked = lvn_alloc(count, sizeof *ranked, err);
  if (ranked == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    ranked[i] = (struct ranked){.score = score[i], .index = i};
  }
  qsort(ranked, count, sizeof *ranked, compare_ranked);
  for (size_t i = 0; i < count; i++) {
    ret_order[i] = ranked[i].index;
  }
  return true;
}

double lvn_stats_auc_weighted(const double *score, const bool *is_positive, const double *weight, const size_t *order,
                              size_t count) {
  double negatives = 0.0;
  double positives = 0.0;
  double pairs = 0.0;
  for (size_t first = 0; first < count;) {
    double tied_negatives = 0.0;
    double tied_positives = 0.0;
    size_t next = first;
    for (; next < count && score[order[next]] == score[order[first]]; next++) {
      double w = weight == NULL ? 1.0 : weight[order[next]];
      tied_positives += is_positive[order[next]] ? w : 0.0;
      tied_negatives += is_positive[order[next]] ? 0.0 : w;
    }
    pairs += tied_positives * (negatives + 0.5 * tied_negatives);
    negatives += tied_negatives;
    positives += tied_positives;
    first = next;
  }
  return positives > 0.0 && negatives > 0.0 ? pairs / (positives * negatives) : NAN;
}

bool lvn_stats_auc(const double *score, const bool *is_positive, size_t count, double *ret_auc, struct lvn_error *err) {
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  if (order == NULL || !lvn_stats_order(score, count, order, err)) {
    return false;
  }
  *ret_auc = lvn_stats_auc_weighted(score, is_positive, NULL, order, count);
  return true;
}

bool lvn_stats_roc(const double *score, const bool *is_positive, size_t count, struct lvn_roc_point *ret_points,
                   size_t *ret_point_count, struct lvn_error *err) {
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  size_t positives = 0;
  if (order == NULL || !lvn_stats_order(score, count, order, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    positives += is_positive[i];
  }
  if (positives == 0 || positives == count) {
    return lvn_error_set(err, LVN_ERROR_DATA, "a ROC curve needs cases on both sides");
  }
  double p = (double)positives;
  double n = (double)(count - positives);
  size_t points = 0;
  size_t hits = 0;
  ret_points[points++] = (struct lvn_roc_point){0.0, 0.0, INFINITY};
  for (size_t i = count; i-- > 0;) {
    hits += is_positive[order[i]];
    if (i == 0 || score[order[i - 1]] != score[order[i]]) {
      ret_points[points++] = (struct lvn_roc_point){(double)(count - i - hits) / n, (double)hits / p, score[order[i]]};
    }
  }
  *ret_point_count = points;
  return true;
}

/* Midranks, from 1, of the cases with is_positive == side among themselves, or of all cases (side < 0). */
static void midranks(const double *score, const bool *is_positive, size_t count, int side, const size_t *order,
                     double *ret_rank) {
  size_t seen = 0;
  for (size_t first = 0; first < count;) {
    size_t next = first;
    size_t tied = 0;
    for (; next < count && score[order[next]] == score[order[first]]; next++) {
      tied += side < 0 || (int)is_positive[order[next]] == side;
    }
    for (size_t i = first; i < next; i++) {
      if (side < 0 || (int)is_positive[order[i]] == side) {
        ret_rank[order[i]] = (double)seen + 0.5 * ((double)tied + 1.0);
      }
    }
    seen += tied;
    first = next;
  }
}

/* Placement of each case among the other side: its share of the cases that it beats. Returns the area. */
static bool placements(const double *score, const bool *is_positive, size_t count, double positives, double *ret_value,
                       double *ret_auc, struct lvn_error *err) {
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  LVN_AUTOFREE double *all = lvn_alloc(count, sizeof *all, err);
  LVN_AUTOFREE double *own = lvn_alloc(count, sizeof *own, err);
  if (order == NULL || all == NULL || own == NULL || !lvn_stats_order(score, count, order, err)) {
    return false;
  }
  double negatives = (double)count - positives;
  double sum = 0.0;
  midranks(score, is_positive, count, -1, order, all);
  midranks(score, is_positive, count, 0, order, own);
  midranks(score, is_positive, count, 1, order, own);
  for (size_t i = 0; i < count; i++) {
    double beaten = all[i] - own[i];
    ret_value[i] = is_positive[i] ? beaten / negatives : 1.0 - beaten / positives;
    sum += is_positive[i] ? ret_value[i] : 0.0;
  }
  *ret_auc = sum / positives;
  return true;
}

static double covariance_of_areas(const double *a, const double *b, double auc_a, double auc_b, const bool *is_positive,
                                  size_t count, double positives) {
  double sum[2] = {0.0, 0.0};
  double negatives = (double)count - positives;
  for (size_t i = 0; i < count; i++) {
    sum[is_positive[i]] += (a[i] - auc_a) * (b[i] - auc_b);
  }
  return sum[1] / (positives - 1.0) / positives + sum[0] / (negatives - 1.0) / negatives;
}

bool lvn_stats_delong(const double *score_a, const double *score_b, const bool *is_positive, size_t count,
                      struct lvn_delong *ret_delong, struct lvn_error *err) {
  LVN_AUTOFREE double *a = lvn_alloc(count, sizeof *a, err);
  LVN_AUTOFREE double *b = lvn_alloc(count, sizeof *b, err);
  struct lvn_delong result = {0};
  double positives = 0.0;
  for (size_t i = 0; i < count; i++) {
    positives += is_positive[i] ? 1.0 : 0.0;
  }
  if (positives < 2.0 || (double)count - positives < 2.0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "DeLong's test needs two cases on each side");
  }
  if (a == NULL || b == NULL || !placements(score_a, is_positive, count, positives, a, &result.auc_a, err) ||
      !placements(score_b, is_positive, count, positives, b, &result.auc_b, err)) {
    return false;
  }
  result.variance_a = covariance_of_areas(a, a, result.auc_a, result.auc_a, is_positive, count, positives);
  result.variance_b = covariance_of_areas(b, b, result.auc_b, result.auc_b, is_positive, count, positives);
  result.covariance = covariance_of_areas(a, b, result.auc_a, result.auc_b, is_positive, count, positives);
  double variance = result.variance_a + result.variance_b - 2.0 * result.covariance;
  double difference = result.auc_a - result.auc_b;
  /* Scores that rank alike leave only rounding in both. */
  bool is_same = fabs(difference) < 1e-14;
  result.z = is_same ? 0.0 : difference / sqrt(fmax(variance, 0.0));
  result.p = lvn_stats_normal_two_sided(result.z);
  *ret_delong = result;
  return true;
}
