#include "model/train/calibrate.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

#define LOWEST 0.002
#define HIGHEST 10.0
#define STEPS_MAX 200
#define LEAST_PROBABILITY 1e-300 /* so that the logarithm of a rounded 0 stays finite */

void lvn_calibrate_softmax(const double cosine[LVN_CLASS_COUNT], double factor,
                           double ret_probability[LVN_CLASS_COUNT]) {
  double top = cosine[0];
  double sum = 0.0;
  for (int c = 1; c < LVN_CLASS_COUNT; c++) {
    top = fmax(top, cosine[c]);
  }
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    ret_probability[c] = exp(factor * (cosine[c] - top));
    sum += ret_probability[c];
  }
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    ret_probability[c] /= sum;
  }
}

/* First and second derivative of the mean negative log-likelihood by factor = scale / temperature. */
static void likelihood_slope(const double (*cosine)[LVN_CLASS_COUNT], const size_t *label, size_t count, double factor,
                             double *ret_slope, double *ret_curvature) {
  *ret_slope = 0.0;
  *ret_curvature = 0.0;
  for (size_t i = 0; i < count; i++) {
    double probability[LVN_CLASS_COUNT];
    double mean = 0.0;
    double square = 0.0;
    lvn_calibrate_softmax(cosine[i], factor, probability);
    for (int c = 0; c < LVN_CLASS_COUNT; c++) {
      double at = isfinite(cosine[i][c]) ? cosine[i][c] : 0.0; /* no class of this model: probability 0 */
      mean += probability[c] * at;
      square += probability[c] * at * at;
    }
    *ret_slope += (mean - cosine[i][label[i]]) / (double)count;
    *ret_curvature += (square - mean * mean) / (double)count;
  }
}

double lvn_calibrate_temperature(const double (*cosine)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                                 double scale) {
  double low = scale / HIGHEST;
  double high = scale / LOWEST;
  double factor = scale;
  double slope = 0.0;
  double curvature = 0.0;
  likelihood_slope(cosine, label, count, high, &slope, &curvature);
  if (slope <= 0.0) { /* exactly 0 where the other classes' probabilities are rounded away */
    return LOWEST;
  }
  likelihood_slope(cosine, label, count, low, &slope, &curvature);
  if (slope > 0.0) {
    return HIGHEST;
  }
  for (int step = 0; step < STEPS_MAX && high - low > 1e-15 * high; step++) {
    likelihood_slope(cosine, label, count, factor, &slope, &curvature);
    low = slope <= 0.0 ? factor : low;
    high = slope >= 0.0 ? factor : high;
    double next = curvature > 0.0 ? factor - slope / curvature : NAN;
    /* Both bounds span orders of magnitude: halve the logarithm where Newton leaves them. */
    next = next > low && next < high ? next : sqrt(low * high);
    if (fabs(next - factor) <= 1e-15 * factor) {
      break;
    }
    factor = next;
  }
  return scale / factor;
}

static int compare_doubles(const void *left, const void *right) {
  const double *a = left;
  const double *b = right;
  return (*a > *b) - (*a < *b);
}

double lvn_calibrate_conformal(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                               double coverage) {
  struct lvn_error err = {0};
  /* The product may miss an integer by rounding alone. */
  size_t rank = (size_t)ceil((double)(count + 1) * coverage - 1e-9);
  LVN_AUTOFREE double *score = lvn_alloc(count, sizeof *score, &err);
  if (score == NULL || rank == 0 || rank > count) {
    return NAN;
  }
  for (size_t i = 0; i < count; i++) {
    score[i] = 1.0 - probability[i][label[i]];
  }
  qsort(score, count, sizeof *score, compare_doubles);
  return score[rank - 1];
}

static size_t top_of(const double probability[LVN_CLASS_COUNT]) {
  size_t top = 0;
  for (size_t c = 1; c < LVN_CLASS_COUNT; c++) {
    top = probability[c] > probability[top] ? c : top;
  }
  return top;
}

void lvn_calibrate_reliability(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                               size_t bin_count, struct lvn_reliability_bin *ret_bins) {
  for (size_t b = 0; b < bin_count; b++) {
    ret_bins[b] = (struct lvn_reliability_bin){0};
  }
  for (size_t i = 0; i < count; i++) {
    size_t top = top_of(probability[i]);
    double bin = ceil(probability[i][top] * (double)bin_count) - 1.0;
    struct lvn_reliability_bin *target = &ret_bins[(size_t)fmax(0.0, fmin(bin, (double)bin_count - 1.0))];
    target->count++;
    target->confidence += probability[i][top];
    target->accuracy += top == label[i] ? 1.0 : 0.0;
  }
  for (size_t b = 0; b < bin_count; b++) {
    ret_bins[b].confidence = ret_bins[b].count == 0 ? NAN : ret_bins[b].confidence / (double)ret_bins[b].count;
    ret_bins[b].accuracy = ret_bins[b].count == 0 ? NAN : ret_bins[b].accuracy / (double)ret_bins[b].count;
  }
}

double lvn_calibrate_ece(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count) {
  struct lvn_reliability_bin bins[LVN_CALIBRATE_BINS];
  double error = 0.0;
  lvn_calibrate_reliability(probability, label, count, LVN_CALIBRATE_BINS, bins);
  for (size_t b = 0; b < LVN_CALIBRATE_BINS; b++) {
    error += bins[b].count == 0 ? 0.0 : fabs(bins[b].confidence - bins[b].accuracy) * (double)bins[b].count;
  }
  return count == 0 ? NAN : error / (double)count;
}

struct answer {
  double confidence;
  double is_right;
};

static int compare_answers(const void *left, const void *right) {
  const struct answer *l = left;
  const struct answer *r = right;
  if (l->confidence != r->confidence) {
    return l->confidence < r->confidence ? -1 : 1;
  }
  return l->is_right < r->is_right ? -1 : l->is_right > r->is_right;
}

double lvn_calibrate_adaptive_ece(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct answer *answers = lvn_alloc(count, sizeof *answers, &err);
  size_t bin_count = count < LVN_CALIBRATE_BINS ? count : LVN_CALIBRATE_BINS;
  double error = 0.0;
  if (answers == NULL || count == 0) {
    return NAN;
  }
  for (size_t i = 0; i < count; i++) {
    size_t top = top_of(probability[i]);
    answers[i] = (struct answer){probability[i][top], top == label[i] ? 1.0 : 0.0};
  }
  qsort(answers, count, sizeof *answers, compare_answers);
  for (size_t b = 0; b < bin_count; b++) {
    double gap = 0.0;
    for (size_t i = b * count / bin_count; i < (b + 1) * count / bin_count; i++) {
      gap += answers[i].confidence - answers[i].is_right;
    }
    error += fabs(gap);
  }
  return error / (double)count;
}

double lvn_calibrate_brier(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count) {
  double sum = 0.0;
  for (size_t i = 0; i < count; i++) {
    for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
      double miss = probability[i][c] - (c == label[i] ? 1.0 : 0.0);
      sum += miss * miss;
    }
  }
  return count == 0 ? NAN : sum / (double)count;
}

double lvn_calibrate_log_loss(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count) {
  double sum = 0.0;
  for (size_t i = 0; i < count; i++) {
    sum -= log(fmax(probability[i][label[i]], LEAST_PROBABILITY));
  }
  return count == 0 ? NAN : sum / (double)count;
}
