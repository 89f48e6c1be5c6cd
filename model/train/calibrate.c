#include "model/train/calibrate.h"

#include "daemon/base/memory.h"

#include <math.h>
#include <stdlib.h>

#define BINS 15U
#define LOWEST 0.002
#define HIGHEST 10.0
#define GOLDEN 0.6180339887498949
#define STEPS 80

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

static double likelihood_loss(const double (*cosine)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                              double factor) {
  double loss = 0.0;
  for (size_t i = 0; i < count; i++) {
    double probability[LVN_CLASS_COUNT];
    lvn_calibrate_softmax(cosine[i], factor, probability);
    loss -= log(fmax(probability[label[i]], 1e-300));
  }
  return loss;
}

double lvn_calibrate_temperature(const double (*cosine)[LVN_CLASS_COUNT], const size_t *label, size_t count,
                                 double scale) {
  double low = log(LOWEST);
  double high = log(HIGHEST);
  double left = high - GOLDEN * (high - low);
  double right = low + GOLDEN * (high - low);
  double left_loss = likelihood_loss(cosine, label, count, scale / exp(left));
  double right_loss = likelihood_loss(cosine, label, count, scale / exp(right));
  for (int step = 0; step < STEPS; step++) {
    if (left_loss < right_loss) {
      high = right;
      right = left;
      right_loss = left_loss;
      left = high - GOLDEN * (high - low);
      left_loss = likelihood_loss(cosine, label, count, scale / exp(left));
    } else {
      low = left;
      left = right;
      left_loss = right_loss;
      right = low + GOLDEN * (high - low);
      right_loss = likelihood_loss(cosine, label, count, scale / exp(right));
    }
  }
  return exp(0.5 * (low + high));
}

double lvn_calibrate_ece(const double (*probability)[LVN_CLASS_COUNT], const size_t *label, size_t count) {
  double confidence[BINS] = {0.0};
  double correct[BINS] = {0.0};
  for (size_t i = 0; i < count; i++) {
    size_t top = 0;
    for (size_t c = 1; c < LVN_CLASS_COUNT; c++) {
      top = probability[i][c] > probability[i][top] ? c : top;
    }
    size_t bin = (size_t)fmin(probability[i][top] * BINS, BINS - 1.0);
    confidence[bin] += probability[i][top];
    correct[bin] += top == label[i] ? 1.0 : 0.0;
  }
  double error = 0.0;
  for (size_t bin = 0; bin < BINS; bin++) {
    error += fabs(confidence[bin] - correct[bin]);
  }
  return count == 0 ? NAN : error / (double)count;
}

struct ranked {
  double score;
  bool is_positive;
};

static int compare_ranked(const void *left, const void *right) {
  double l = ((const struct ranked *)left)->score;
  double r = ((const struct ranked *)right)->score;
  return l < r ? -1 : l > r;
}

double lvn_calibrate_auc(const double *score, const bool *is_positive, size_t count) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct ranked *ranked = lvn_alloc(count, sizeof *ranked, &err);
  double rank_sum = 0.0;
  size_t positives = 0;
  if (ranked == NULL) {
    return NAN;
  }
  for (size_t i = 0; i < count; i++) {
    ranked[i] = (struct ranked){.score = score[i], .is_positive = is_positive[i]};
    positives += is_positive[i];
  }
  if (positives == 0 || positives == count) {
    return NAN;
  }
  qsort(ranked, count, sizeof *ranked, compare_ranked);
  for (size_t first = 0; first < count;) {
    size_t last = first;
    while (last + 1 < count && ranked[last + 1].score == ranked[first].score) {
      last++;
    }
    for (size_t i = first; i <= last; i++) {
      rank_sum += ranked[i].is_positive ? 0.5 * (double)(first + last) + 1.0 : 0.0;
    }
    first = last + 1;
  }
  double p = (double)positives;
  return (rank_sum - 0.5 * p * (p + 1.0)) / (p * (double)(count - positives));
}
