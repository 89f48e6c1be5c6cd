#include "model/train/evaluate.h"

#include "daemon/base/clock.h"
#include "daemon/base/memory.h"
#include "model/train/calibrate.h"

#include <math.h>
#include <string.h>

#define CYST_HU 20.0
#define WASHOUT_HU (-5.0)
#define HYPERVASCULAR_HU 50.0

enum lvn_class lvn_evaluate_threshold_rule(const double mean_hu[LVN_PHASE_NETWORK_COUNT]) {
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

struct nearest_mean {
  double mean[LVN_CLASS_COUNT][LVN_PHASE_NETWORK_COUNT];
  double deviation[LVN_PHASE_NETWORK_COUNT];
};

static bool is_measured(const struct lvn_dataset_lesion *lesion) {
  return isfinite(lesion->mean_hu[0]) && isfinite(lesion->mean_hu[1]) && isfinite(lesion->mean_hu[2]);
}

static void fit_nearest_mean(const struct lvn_dataset *dataset, struct nearest_mean *rule) {
  size_t count[LVN_CLASS_COUNT] = {0};
  size_t total = 0;
  *rule = (struct nearest_mean){0};
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
      const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, i);
      if (!is_measured(lesion)) {
        continue;
      }
      count[lesion->lesion_class] += pass == 0;
      total += pass == 0;
      for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        double *mean = &rule->mean[lesion->lesion_class][phase];
        *mean += pass == 0 ? lesion->mean_hu[phase] : 0.0;
        rule->deviation[phase] += pass == 0 ? 0.0 : (lesion->mean_hu[phase] - *mean) * (lesion->mean_hu[phase] - *mean);
      }
    }
    for (int c = 0; c < LVN_CLASS_COUNT && pass == 0; c++) {
      for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        rule->mean[c][phase] /= (double)(count[c] > 0 ? count[c] : 1);
      }
    }
  }
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    rule->deviation[phase] = fmax(1.0, sqrt(rule->deviation[phase] / (double)(total > 0 ? total : 1)));
  }
}

static enum lvn_class apply_nearest_mean(const struct nearest_mean *rule, const double mean_hu[]) {
  int best = 0;
  double best_distance = INFINITY;
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
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

struct answers {
  size_t count;
  double (*probability)[LVN_CLASS_COUNT];
  size_t *label;
  double *score;
  bool *is_positive;
};

static bool run_lesion(struct lvn_classifier *classifier, const struct lvn_dataset *dataset, size_t index,
                       struct answers *answers, struct lvn_evaluation *evaluation, struct lvn_error *err) {
  const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, index);
  struct lvn_crop crop = {0};
  struct lvn_prediction prediction = {0};
  if (!lvn_dataset_load(dataset, index, &crop, err)) {
    return false;
  }
  double start = lvn_clock_monotonic_seconds();
  bool good = lvn_classifier_run(classifier, &crop, &prediction, err);
  evaluation->seconds += lvn_clock_monotonic_seconds() - start;
  lvn_crop_clear(&crop);
  if (!good) {
    return false;
  }
  memcpy(answers->probability[index], prediction.probability, sizeof prediction.probability);
  answers->label[index] = lesion->lesion_class;
  evaluation->confusion[lesion->lesion_class][prediction.top_class]++;
  evaluation->abstained[lesion->lesion_class] += prediction.abstained;
  evaluation->abstained_wrong += prediction.abstained && prediction.top_class != lesion->lesion_class;
  lvn_prediction_clear(&prediction);
  return true;
}

static void summarise(struct answers *answers, struct lvn_evaluation *evaluation) {
  double n = (double)answers->count;
  double right = 0.0;
  double abstained = 0.0;
  evaluation->macro_auc = 0.0;
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    double members = 0.0;
    for (size_t other = 0; other < LVN_CLASS_COUNT; other++) {
      members += (double)evaluation->confusion[c][other];
    }
    right += (double)evaluation->confusion[c][c];
    abstained += (double)evaluation->abstained[c];
    evaluation->recall[c] = members > 0.0 ? (double)evaluation->confusion[c][c] / members : NAN;
    for (size_t i = 0; i < answers->count; i++) {
      answers->score[i] = answers->probability[i][c];
      answers->is_positive[i] = answers->label[i] == c;
    }
    evaluation->auc[c] = lvn_calibrate_auc(answers->score, answers->is_positive, answers->count);
    evaluation->macro_auc += evaluation->auc[c] / LVN_CLASS_COUNT;
  }
  double p = right / n;
  const double z = 1.959964;
  double centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
  double half = z * sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n)) / (1.0 + z * z / n);
  evaluation->accuracy = p;
  evaluation->accuracy_low = centre - half;
  evaluation->accuracy_high = centre + half;
  evaluation->accuracy_answered =
      n > abstained ? (right - (abstained - (double)evaluation->abstained_wrong)) / (n - abstained) : NAN;
  evaluation->ece =
      lvn_calibrate_ece((const double(*)[LVN_CLASS_COUNT])answers->probability, answers->label, answers->count);
}

static void run_rules(const struct lvn_dataset *dataset, const struct lvn_dataset *baseline,
                      struct lvn_evaluation *evaluation) {
  struct nearest_mean rule;
  size_t threshold_right = 0;
  size_t nearest_right = 0;
  if (baseline != NULL) {
    fit_nearest_mean(baseline, &rule);
  }
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, i);
    threshold_right += lvn_evaluate_threshold_rule(lesion->mean_hu) == lesion->lesion_class;
    nearest_right += baseline != NULL && apply_nearest_mean(&rule, lesion->mean_hu) == lesion->lesion_class;
  }
  evaluation->threshold_accuracy = (double)threshold_right / (double)evaluation->lesion_count;
  evaluation->nearest_mean_accuracy = baseline == NULL ? NAN : (double)nearest_right / (double)evaluation->lesion_count;
}

bool lvn_evaluate_run(struct lvn_classifier *classifier, const struct lvn_dataset *dataset,
                      const struct lvn_dataset *baseline, struct lvn_evaluation *ret_evaluation,
                      struct lvn_error *err) {
  size_t count = lvn_dataset_count(dataset);
  struct lvn_evaluation evaluation = {.lesion_count = count};
  if (count == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the data set is empty");
  }
  if (baseline != NULL && memcmp(lvn_dataset_sha256(baseline), lvn_dataset_sha256(dataset), LVN_SHA256_BYTES) == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "the nearest-mean rule must not be fitted on the data it is tested on");
  }
  LVN_AUTOFREE double(*probability)[LVN_CLASS_COUNT] = lvn_alloc(count, sizeof *probability, err);
  LVN_AUTOFREE size_t *label = lvn_alloc(count, sizeof *label, err);
  LVN_AUTOFREE double *score = lvn_alloc(count, sizeof *score, err);
  LVN_AUTOFREE bool *is_positive = lvn_alloc(count, sizeof *is_positive, err);
  if (probability == NULL || label == NULL || score == NULL || is_positive == NULL) {
    return false;
  }
  struct answers answers = {
      .count = count, .probability = probability, .label = label, .score = score, .is_positive = is_positive};
  for (size_t i = 0; i < count; i++) {
    if (!run_lesion(classifier, dataset, i, &answers, &evaluation, err)) {
      return false;
    }
  }
  summarise(&answers, &evaluation);
  run_rules(dataset, baseline, &evaluation);
  *ret_evaluation = evaluation;
  return true;
}
