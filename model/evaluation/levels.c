#include "model/evaluation/levels.h"

#include "base/memory.h"
#include "model/train/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_PROBABILITY 1e-300 /* so that a geometric mean survives a rounded 0 */

const char *lvn_level_name(enum lvn_level level) {
  static const char *const names[LVN_LEVEL_COUNT] = {"slice", "lesion", "patient"};
  return names[level];
}

static int compare_keys(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Number of each lesion's patient among the sorted pseudonyms. */
static bool number_patients(const struct lvn_case_predictions *answers, size_t *ret_patient, size_t *ret_count,
                            struct lvn_error *err) {
  size_t count = answers->lesion_count;
  LVN_AUTOFREE const char **keys = lvn_alloc(count, sizeof *keys, err);
  if (keys == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    keys[i] = answers->lesions[i].patient_key;
  }
  qsort(keys, count, sizeof *keys, compare_keys);
  size_t distinct = 0;
  for (size_t i = 0; i < count; i++) {
    if (distinct == 0 || strcmp(keys[distinct - 1], keys[i]) != 0) {
      keys[distinct++] = keys[i];
    }
  }
  for (size_t i = 0; i < count; i++) {
    const char *key = answers->lesions[i].patient_key;
    const char **found = bsearch(&key, keys, distinct, sizeof *keys, compare_keys);
    ret_patient[i] = found == NULL ? 0 : (size_t)(found - keys);
  }
  *ret_count = distinct;
  return true;
}

static bool allocate(struct lvn_level_cases *cases, size_t count, struct lvn_error *err) {
  cases->count = count;
  cases->label = lvn_alloc(count, sizeof *cases->label, err);
  cases->probability = lvn_alloc(count, sizeof *cases->probability, err);
  cases->patient = lvn_alloc(count, sizeof *cases->patient, err);
  cases->fold = lvn_alloc(count, sizeof *cases->fold, err);
  return cases->label != NULL && cases->probability != NULL && cases->patient != NULL && cases->fold != NULL;
}

static void set_sample(struct lvn_level_cases *cases, size_t patient_count) {
  cases->sample = (struct lvn_sample){.count = cases->count,
                                      .classes = cases->classes,
                                      .label = cases->label,
                                      .probability = (const double(*)[LVN_CLASS_COUNT])cases->probability,
                                      .patient = cases->patient,
                                      .patient_count = patient_count};
}

static void set_case(struct lvn_level_cases *cases, size_t at, const struct lvn_case_prediction *answer,
                     const double probability[LVN_CLASS_COUNT], size_t patient) {
  cases->label[at] = (size_t)answer->truth;
  cases->patient[at] = patient;
  cases->fold[at] = answer->fold;
  memcpy(cases->probability[at], probability, sizeof cases->probability[at]);
}

/* Lesions of one class in one patient become one case. */
static void merge_patients(const struct lvn_case_predictions *answers, const size_t *patient, size_t *place,
                           struct lvn_level_cases *cases) {
  cases->count = 0;
  for (size_t i = 0; i < answers->lesion_count; i++) {
    const struct lvn_case_prediction *answer = &answers->lesions[i];
    size_t key = patient[i] * LVN_CLASS_COUNT + (size_t)answer->truth;
    if (place[key] == 0) {
      const double zero[LVN_CLASS_COUNT] = {0.0};
      set_case(cases, cases->count, answer, zero, patient[i]);
      place[key] = ++cases->count;
    }
    for (unsigned c = lvn_classes_first(answers->classes); c < LVN_CLASS_COUNT;
         c = lvn_classes_next(answers->classes, c)) {
      cases->probability[place[key] - 1][c] += log(fmax(answer->probability[c], LEAST_PROBABILITY));
    }
  }
}

static void normalise_patients(const struct lvn_case_predictions *answers, const size_t *patient, const size_t *place,
                               size_t *members, struct lvn_level_cases *cases) {
  for (size_t i = 0; i < answers->lesion_count; i++) {
    members[place[patient[i] * LVN_CLASS_COUNT + (size_t)answers->lesions[i].truth] - 1]++;
  }
  for (size_t i = 0; i < cases->count; i++) {
    double mean[LVN_CLASS_COUNT];
    for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
      mean[c] = !lvn_classes_have(answers->classes, c) ? -INFINITY : cases->probability[i][c] / (double)members[i];
    }
    lvn_calibrate_softmax(mean, 1.0, cases->probability[i]);
  }
}

static bool build_patients(const struct lvn_case_predictions *answers, const size_t *patient, size_t patient_count,
                           struct lvn_level_cases *cases, struct lvn_error *err) {
  LVN_AUTOFREE size_t *place = lvn_alloc(patient_count * LVN_CLASS_COUNT, sizeof *place, err);
  LVN_AUTOFREE size_t *members = lvn_alloc(answers->lesion_count, sizeof *members, err);
  if (place == NULL || members == NULL || !allocate(cases, answers->lesion_count, err)) {
    return false;
  }
  merge_patients(answers, patient, place, cases);
  normalise_patients(answers, patient, place, members, cases);
  return true;
}

bool lvn_levels_build(const struct lvn_case_predictions *answers, enum lvn_level level,
                      struct lvn_level_cases *ret_cases, struct lvn_error *err) {
  LVN_AUTOFREE size_t *patient = lvn_alloc(answers->lesion_count, sizeof *patient, err);
  size_t patient_count = 0;
  if (patient == NULL || !number_patients(answers, patient, &patient_count, err)) {
    return false;
  }
  *ret_cases = (struct lvn_level_cases){.classes = answers->classes};
  if (level == LVN_LEVEL_PATIENT) {
    if (!build_patients(answers, patient, patient_count, ret_cases, err)) {
      return false;
    }
  } else {
    bool is_slice = level == LVN_LEVEL_SLICE;
    if (!allocate(ret_cases, is_slice ? answers->slice_count : answers->lesion_count, err)) {
      return false;
    }
    for (size_t i = 0; i < ret_cases->count; i++) {
      size_t lesion = is_slice ? answers->slices[i].lesion : i;
      set_case(ret_cases, i, &answers->lesions[lesion],
               is_slice ? answers->slices[i].probability : answers->lesions[i].probability, patient[lesion]);
    }
  }
  set_sample(ret_cases, patient_count);
  return true;
}

bool lvn_levels_select(const struct lvn_level_cases *cases, const bool *keep, struct lvn_level_cases *ret_part,
                       struct lvn_error *err) {
  *ret_part = (struct lvn_level_cases){.classes = cases->classes};
  if (!allocate(ret_part, cases->count, err)) {
    return false;
  }
  ret_part->count = 0;
  for (size_t i = 0; i < cases->count; i++) {
    if (keep[i]) {
      size_t at = ret_part->count++;
      ret_part->label[at] = cases->label[i];
      ret_part->patient[at] = cases->patient[i];
      ret_part->fold[at] = cases->fold[i];
      memcpy(ret_part->probability[at], cases->probability[i], sizeof ret_part->probability[at]);
    }
  }
  set_sample(ret_part, cases->sample.patient_count);
  return true;
}

void lvn_levels_clear(struct lvn_level_cases *cases) {
  lvn_free(cases->label);
  lvn_free(cases->probability);
  lvn_free(cases->patient);
  lvn_free(cases->fold);
  *cases = (struct lvn_level_cases){0};
}

static int compare_folds(const void *left, const void *right) {
  unsigned l = *(const unsigned *)left;
  unsigned r = *(const unsigned *)right;
  return l < r ? -1 : l > r;
}

bool lvn_levels_folds(const struct lvn_case_predictions *answers, unsigned ret_folds[LVN_FOLDS_MAX], size_t *ret_count,
                      struct lvn_error *err) {
  size_t count = 0;
  for (size_t i = 0; i < answers->lesion_count; i++) {
    size_t at = 0;
    while (at < count && ret_folds[at] != answers->lesions[i].fold) {
      at++;
    }
    if (at == count) {
      if (count == LVN_FOLDS_MAX) {
        return lvn_error_set(err, LVN_ERROR_DATA, "more than %d folds", LVN_FOLDS_MAX);
      }
      ret_folds[count++] = answers->lesions[i].fold;
    }
  }
  qsort(ret_folds, count, sizeof *ret_folds, compare_folds);
  *ret_count = count;
  return true;
}

size_t lvn_levels_parts(const struct lvn_level_cases *cases, const unsigned *folds, size_t fold_count,
                        size_t *ret_part) {
  size_t highest = 0;
  for (size_t i = 0; i < cases->count; i++) {
    size_t part = cases->patient[i] % 2;
    for (size_t f = 0; fold_count > 1 && f < fold_count; f++) {
      part = folds[f] == cases->fold[i] ? f : part;
    }
    ret_part[i] = part;
    highest = part > highest ? part : highest;
  }
  return cases->count == 0 ? 0 : highest + 1;
}
