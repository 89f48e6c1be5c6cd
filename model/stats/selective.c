#include "model/stats/selective.h"

#include "base/memory.h"
#include "model/stats/roc.h"

#include <math.h>

bool lvn_stats_risk_coverage(const double *confidence, const bool *is_wrong, size_t count, double *ret_risk,
                             double *ret_aurc, struct lvn_error *err) {
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  if (order == NULL || !lvn_stats_order(confidence, count, order, err)) {
    return false;
  }
  double wrong = 0.0;
  double area = 0.0;
  for (size_t end = count; end > 0;) {
    size_t start = end;
    double tied_wrong = 0.0;
    while (start > 0 && confidence[order[start - 1]] == confidence[order[end - 1]]) {
      tied_wrong += is_wrong[order[--start]] ? 1.0 : 0.0;
    }
    double share = tied_wrong / (double)(end - start);
    for (size_t i = end; i-- > start;) {
      size_t taken = count - i;
      double risk = (wrong + share * (double)(end - i)) / (double)taken;
      ret_risk[taken - 1] = risk;
      area += risk;
    }
    wrong += tied_wrong;
    end = start;
  }
  *ret_aurc = count == 0 ? NAN : area / (double)count;
  return true;
}

double lvn_stats_net_benefit(const double *probability, const bool *is_positive, size_t count, double threshold) {
  double benefit = 0.0;
  for (size_t i = 0; i < count; i++) {
    if (probability[i] >= threshold) {
      benefit += is_positive[i] ? 1.0 : -threshold / (1.0 - threshold);
    }
  }
  return benefit / (double)count;
}

double lvn_stats_net_benefit_all(const bool *is_positive, size_t count, double threshold) {
  double benefit = 0.0;
  for (size_t i = 0; i < count; i++) {
    benefit += is_positive[i] ? 1.0 : -threshold / (1.0 - threshold);
  }
  return benefit / (double)count;
}
