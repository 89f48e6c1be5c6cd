#include "model/evaluation/rules.h"

#include <math.h>

#define CYST_HU 20.0
#define WASHOUT_HU (-5.0)
#define HYPERVASCULAR_HU 50.0

enum lvn_class lvn_rules_threshold(const double mean_hu[LVN_PHASE_NETWORK_COUNT]) {
  double nc = mean_hu[LVN_PHASE_NC];
  double art = mean_hu[LVN_PHASE_ART];
  double pv = mean_hu[LVN_PHASE_PV];
  if (nc < CYST_HU && art < CYST_HU + 10.0 && pv < CYST_HU + 10.0) {
    return LVN_CLASS_CYST;
  }
  if (pv - art < WASHOUT_HU) {
    return LVN_CLASS_HCC;
  }
  return art - nc > HYPERVASCULAR_HU ? LVN_CLASS_FNH : LVN_CLASS_HEM;
}

static bool is_measured(const struct lvn_dataset_lesion *lesion) {
  return lesion->lesion_class != LVN_CLASS_OUTLIER && isfinite(lesion->mean_hu[0]) && isfinite(lesion->mean_hu[1]) &&
         isfinite(lesion->mean_hu[2]);
}

void lvn_rules_fit_nearest_mean(const struct lvn_dataset *dataset, struct lvn_nearest_mean *ret_rule) {
  size_t count[LVN_CLASS_COUNT] = {0};
  size_t total = 0;
  *ret_rule = (struct lvn_nearest_mean){0};
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
      const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, i);
      if (!is_measured(lesion)) {
        continue;
      }
      count[lesion->lesion_class] += pass == 0;
      ret_rule->classes |= 1U << (unsigned)lesion->lesion_class;
      total += pass == 0;
      for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        double *mean = &ret_rule->mean[lesion->lesion_class][phase];
        *mean += pass == 0 ? lesion->mean_hu[phase] : 0.0;
        ret_rule->deviation[phase] +=
            pass == 0 ? 0.0 : (lesion->mean_hu[phase] - *mean) * (lesion->mean_hu[phase] - *mean);
      }
    }
    for (int c = 0; c < LVN_CLASS_COUNT && pass == 0; c++) {
      for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        ret_rule->mean[c][phase] /= (double)(count[c] > 0 ? count[c] : 1);
      }
    }
  }
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    ret_rule->deviation[phase] = fmax(1.0, sqrt(ret_rule->deviation[phase] / (double)(total > 0 ? total : 1)));
  }
}

enum lvn_class lvn_rules_nearest_mean(const struct lvn_nearest_mean *rule,
                                      const double mean_hu[LVN_PHASE_NETWORK_COUNT]) {
  unsigned best = 0;
  double best_distance = INFINITY;
  for (unsigned c = lvn_classes_first(rule->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(rule->classes, c)) {
    double distance = 0.0;
    for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      double delta = (mean_hu[phase] - rule->mean[c][phase]) / rule->deviation[phase];
      distance += delta * delta;
    }
    if (distance < best_distance) {
      best = c;
      best_distance = distance;
    }
  }
  return (enum lvn_class)best;
}
