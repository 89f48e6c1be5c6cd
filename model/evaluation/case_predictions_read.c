/* Answers from a cross-validation's predictions.csv: every lesion by the model that had not seen its patient. */
#include "base/memory.h"
#include "model/evaluation/case_predictions_parts.h"
#include "model/train/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The lines of one lesion. */
struct group {
  size_t first;
  size_t count;
  size_t lesion; /* of the data set */
  double mean[LVN_CLASS_COUNT];
};

struct reading {
  const struct lvn_predictions *predictions;
  const struct lvn_dataset *dataset;
  struct group *groups;
  size_t group_count;
  struct lvn_error *err;
};

struct name {
  const char *id;
  size_t lesion;
};

static int compare_names(const void *left, const void *right) {
  return strcmp(((const struct name *)left)->id, ((const struct name *)right)->id);
}

static void make_groups(struct reading *reading) {
  const struct lvn_predictions *p = reading->predictions;
  for (size_t i = 0; i < p->count;) {
    struct group *group = &reading->groups[reading->group_count++];
    *group = (struct group){.first = i};
    for (; i < p->count && strcmp(p->items[i].lesion_key, p->items[group->first].lesion_key) == 0; i++) {
      group->count++;
      for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
        group->mean[c] += p->items[i].logit[c];
      }
    }
    for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
      group->mean[c] /= (double)group->count;
    }
  }
}

static bool check_group(const struct reading *reading, const struct group *group) {
  const struct lvn_slice_prediction *first = &reading->predictions->items[group->first];
  const struct lvn_dataset_lesion *lesion = lvn_dataset_get(reading->dataset, group->lesion);
  if (first->truth != lesion->lesion_class || strcmp(first->patient_key, lesion->patient_key) != 0) {
    return lvn_error_set(reading->err, LVN_ERROR_DATA, "lesion '%s' has another class or patient in the data set",
                         first->lesion_key);
  }
  bool in_order = true;
  for (size_t s = 0; s < group->count; s++) {
    in_order = in_order && first[s].slice == s;
  }
  if (!in_order) {
    return lvn_error_set(reading->err, LVN_ERROR_DATA, "the slices of lesion '%s' are not in order", first->lesion_key);
  }
  return group->count == lesion->slice_count ||
         lvn_error_set(reading->err, LVN_ERROR_DATA, "lesion '%s' has %zu slices in the data set, %zu predictions",
                       first->lesion_key, lesion->slice_count, group->count);
}

static bool find_lesions(struct reading *reading) {
  size_t count = lvn_dataset_count(reading->dataset);
  LVN_AUTOFREE struct name *names = lvn_alloc(count, sizeof *names, reading->err);
  LVN_AUTOFREE bool *seen = lvn_alloc(count, sizeof *seen, reading->err);
  if (names == NULL || seen == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    names[i] = (struct name){lvn_dataset_get(reading->dataset, i)->lesion_id, i};
  }
  qsort(names, count, sizeof *names, compare_names);
  for (size_t g = 0; g < reading->group_count; g++) {
    struct group *group = &reading->groups[g];
    const struct name wanted = {reading->predictions->items[group->first].lesion_key, 0};
    const struct name *found = bsearch(&wanted, names, count, sizeof *names, compare_names);
    if (found == NULL) {
      return lvn_error_set(reading->err, LVN_ERROR_DATA, "the data set has no lesion '%s'", wanted.id);
    }
    if (seen[found->lesion]) {
      return lvn_error_set(reading->err, LVN_ERROR_DATA, "lesion '%s' was answered twice", wanted.id);
    }
    seen[found->lesion] = true;
    group->lesion = found->lesion;
    if (!check_group(reading, group)) {
      return false;
    }
  }
  return true;
}

/* The temperature for one fold's lesions, fitted on those of the others; 1 where there are none. */
static bool fit_temperature(const struct reading *reading, unsigned fold, double *ret_temperature) {
  LVN_AUTOFREE double(*logit)[LVN_CLASS_COUNT] = lvn_alloc(reading->group_count, sizeof *logit, reading->err);
  LVN_AUTOFREE size_t *label = lvn_alloc(reading->group_count, sizeof *label, reading->err);
  size_t count = 0;
  if (logit == NULL || label == NULL) {
    return false;
  }
  for (size_t g = 0; g < reading->group_count; g++) {
    const struct lvn_slice_prediction *first = &reading->predictions->items[reading->groups[g].first];
    if (first->fold != fold) {
      memcpy(logit[count], reading->groups[g].mean, sizeof logit[count]);
      label[count++] = (size_t)first->truth;
    }
  }
  *ret_temperature =
      count == 0 ? 1.0 : lvn_calibrate_temperature((const double(*)[LVN_CLASS_COUNT])logit, label, count, 1.0);
  return true;
}

static void fill_prediction(const struct reading *reading, const struct group *group, double temperature,
                            struct lvn_prediction *prediction) {
  double second = 0.0;
  memcpy(prediction->cosine, group->mean, sizeof prediction->cosine);
  lvn_calibrate_softmax(group->mean, 1.0 / temperature, prediction->probability);
  for (int c = 1; c < LVN_CLASS_COUNT; c++) {
    if (prediction->probability[c] > prediction->probability[prediction->top_class]) {
      prediction->top_class = (enum lvn_class)c;
    }
  }
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    second = (enum lvn_class)c == prediction->top_class ? second : fmax(second, prediction->probability[c]);
  }
  prediction->margin = prediction->probability[prediction->top_class] - second;
  prediction->feature_distance = NAN;
  prediction->permutation_disagreement = NAN;
  for (size_t s = 0; s < prediction->slice_count; s++) {
    lvn_calibrate_softmax(reading->predictions->items[group->first + s].logit, 1.0 / temperature,
                          prediction->slice_probability[s]);
  }
}

static bool add_group(const struct reading *reading, const struct group *group, double temperature,
                      struct lvn_case_predictions *answers) {
  struct lvn_prediction prediction = {.slice_count = group->count};
  struct lvn_crop crop = {0};
  unsigned fold = reading->predictions->items[group->first].fold;
  prediction.slice_probability = lvn_alloc(group->count, sizeof *prediction.slice_probability, reading->err);
  bool good =
      prediction.slice_probability != NULL && lvn_dataset_load(reading->dataset, group->lesion, &crop, reading->err);
  if (good) {
    fill_prediction(reading, group, temperature, &prediction);
    good = lvn_case_predictions_add(answers, lvn_dataset_get(reading->dataset, group->lesion), fold, &crop, &prediction,
                                    reading->err);
  }
  lvn_prediction_clear(&prediction);
  lvn_crop_clear(&crop);
  return good;
}

bool lvn_case_predictions_take_predictions(struct lvn_case_predictions *answers,
                                           const struct lvn_predictions *predictions, const struct lvn_dataset *dataset,
                                           struct lvn_error *err) {
  LVN_AUTOFREE struct group *groups = lvn_alloc(predictions->count, sizeof *groups, err);
  struct reading reading = {.predictions = predictions, .dataset = dataset, .groups = groups, .err = err};
  double temperature = 1.0;
  if (groups == NULL) {
    return false;
  }
  if (predictions->count == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there are no predictions");
  }
  answers->classes = predictions->classes;
  make_groups(&reading);
  if (!find_lesions(&reading)) {
    return false;
  }
  for (size_t g = 0; g < reading.group_count; g++) {
    unsigned fold = predictions->items[groups[g].first].fold;
    bool is_new = g == 0 || fold != predictions->items[groups[g - 1].first].fold;
    if ((is_new && !fit_temperature(&reading, fold, &temperature)) ||
        !add_group(&reading, &groups[g], temperature, answers)) {
      return false;
    }
  }
  return true;
}
