#include "model/dataset/folds.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct patient {
  char key[LVN_DATASET_KEY_BYTES];
  size_t lesions[LVN_DATASET_LABEL_COUNT];
  size_t total;
  unsigned fold;
  uint64_t order; /* random */
};

struct patients {
  struct patient *items;
  size_t count;
  size_t capacity;
};

/* Vigna's splitmix64: small, and the same everywhere. */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

static int compare_keys(const void *a, const void *b) {
  return strcmp(((const struct patient *)a)->key, ((const struct patient *)b)->key);
}

static enum lvn_class class_of(const struct patient *patient) {
  size_t best = 0;
  for (size_t c = 1; c < LVN_DATASET_LABEL_COUNT; c++) {
    best = patient->lesions[c] > patient->lesions[best] ? c : best;
  }
  return (enum lvn_class)best;
}

/* By class, then at random. */
static int compare_order(const void *a, const void *b) {
  const struct patient *x = a;
  const struct patient *y = b;
  if (class_of(x) != class_of(y)) {
    return (int)class_of(x) - (int)class_of(y);
  }
  return x->order < y->order ? -1 : x->order > y->order;
}

static bool add_lesion(struct patients *patients, const struct lvn_dataset_lesion *lesion, struct lvn_error *err) {
  if (!lvn_grow(&patients->items, &patients->capacity, patients->count, sizeof *patients->items,
                LVN_DATASET_LESIONS_MAX, err)) {
    return false;
  }
  struct patient *patient = &patients->items[patients->count++];
  *patient = (struct patient){.total = 1, .fold = lesion->fold};
  patient->lesions[lesion->lesion_class] = 1;
  (void)lvn_copy(patient->key, sizeof patient->key, lesion->patient_key);
  return true;
}

/* Lesions, sorted by patient, become patients. */
static bool merge(struct patients *patients, bool keep_folds, struct lvn_error *err) {
  size_t used = 0;
  if (patients->items == NULL) {
    return true;
  }
  qsort(patients->items, patients->count, sizeof *patients->items, compare_keys);
  for (size_t i = 0; i < patients->count; i++) {
    struct patient *next = &patients->items[i];
    struct patient *last = used > 0 ? &patients->items[used - 1] : NULL;
    if (last == NULL || strcmp(last->key, next->key) != 0) {
      patients->items[used++] = *next;
      continue;
    }
    if (keep_folds && last->fold != next->fold) {
      return lvn_error_set(err, LVN_ERROR_DATA, "patient '%s' is in folds %u and %u", next->key, last->fold,
                           next->fold);
    }
    for (size_t c = 0; c < LVN_DATASET_LABEL_COUNT; c++) {
      last->lesions[c] += next->lesions[c];
    }
    last->total += next->total;
  }
  patients->count = used;
  return true;
}

static bool read_lesions(const char *const *folders, size_t folder_count, struct patients *patients,
                         struct lvn_error *err) {
  for (size_t f = 0; f < folder_count; f++) {
    struct lvn_dataset *dataset = NULL;
    bool good = lvn_dataset_open(folders[f], &dataset, err);
    for (size_t i = 0; good && i < lvn_dataset_count(dataset); i++) {
      good = add_lesion(patients, lvn_dataset_get(dataset, i), err);
    }
    lvn_dataset_close(dataset);
    if (!good) {
      return false;
    }
  }
  return patients->count > 0 || lvn_error_set(err, LVN_ERROR_DATA, "the data set has no lesions");
}

/* Each patient into the fold with the fewest of its class, then the fewest lesions. */
static void deal(struct patients *patients, unsigned fold_count, uint64_t seed) {
  size_t of_class[LVN_TRAIN_FOLDS_MAX][LVN_DATASET_LABEL_COUNT] = {{0}};
  size_t lesions[LVN_TRAIN_FOLDS_MAX] = {0};
  for (size_t i = 0; i < patients->count; i++) {
    patients->items[i].order = next_random(&seed);
  }
  qsort(patients->items, patients->count, sizeof *patients->items, compare_order);
  for (size_t i = 0; i < patients->count; i++) {
    struct patient *patient = &patients->items[i];
    enum lvn_class own = class_of(patient);
    unsigned best = 0;
    for (unsigned f = 1; f < fold_count; f++) {
      bool fewer = of_class[f][own] < of_class[best][own];
      bool same = of_class[f][own] == of_class[best][own];
      best = fewer || (same && lesions[f] < lesions[best]) ? f : best;
    }
    patient->fold = best;
    of_class[best][own]++;
    lesions[best] += patient->total;
  }
  qsort(patients->items, patients->count, sizeof *patients->items, compare_keys);
}

static bool note_fold(struct lvn_folds *folds, unsigned fold, struct lvn_error *err) {
  size_t at = 0;
  while (at < folds->fold_count && folds->numbers[at] < fold) {
    at++;
  }
  if (at < folds->fold_count && folds->numbers[at] == fold) {
    return true;
  }
  if (folds->fold_count == LVN_TRAIN_FOLDS_MAX) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the data set has more than %d folds", LVN_TRAIN_FOLDS_MAX);
  }
  memmove(&folds->numbers[at + 1], &folds->numbers[at], (folds->fold_count - at) * sizeof folds->numbers[0]);
  folds->numbers[at] = fold;
  folds->fold_count++;
  return true;
}

static bool take(const struct patients *patients, struct lvn_folds *folds, struct lvn_error *err) {
  for (size_t i = 0; i < patients->count; i++) {
    const struct patient *patient = &patients->items[i];
    if (!note_fold(folds, patient->fold, err) ||
        !lvn_grow(&folds->patients, &folds->patient_capacity, folds->patient_count, sizeof *folds->patients,
                  LVN_DATASET_LESIONS_MAX, err)) {
      return false;
    }
    struct lvn_folds_patient *entry = &folds->patients[folds->patient_count++];
    (void)lvn_copy(entry->patient_key, sizeof entry->patient_key, patient->key);
    entry->fold = patient->fold;
  }
  return folds->fold_count > 1 || lvn_error_set(err, LVN_ERROR_DATA,
                                                "a cross-validation needs two folds or more; the "
                                                "data set has one: set validation.folds");
}

static bool deal_and_take(struct patients *patients, unsigned fold_count, uint64_t seed, struct lvn_folds *ret_folds,
                          struct lvn_error *err) {
  struct lvn_folds folds = {0};
  if (fold_count > 0) {
    if (patients->count < fold_count || fold_count > LVN_TRAIN_FOLDS_MAX) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "%zu patients cannot be dealt out to %u folds", patients->count,
                           fold_count);
    }
    deal(patients, fold_count, seed);
  }
  if (!take(patients, &folds, err)) {
    lvn_folds_clear(&folds);
    return false;
  }
  *ret_folds = folds;
  return true;
}

bool lvn_folds_make(const char *const *folders, size_t folder_count, unsigned fold_count, uint64_t seed,
                    struct lvn_folds *ret_folds, struct lvn_error *err) {
  struct patients patients = {0};
  bool good = read_lesions(folders, folder_count, &patients, err) && merge(&patients, fold_count == 0, err) &&
              deal_and_take(&patients, fold_count, seed, ret_folds, err);
  lvn_free(patients.items);
  return good;
}

bool lvn_folds_make_inner(const char *const *folders, size_t folder_count, const struct lvn_folds *outer,
                          unsigned held_out, unsigned fold_count, uint64_t seed, struct lvn_folds *ret_folds,
                          struct lvn_error *err) {
  struct patients patients = {0};
  bool good = read_lesions(folders, folder_count, &patients, err);
  size_t kept = 0;
  for (size_t i = 0; good && i < patients.count; i++) {
    struct patient *patient = &patients.items[i];
    bool known = outer == NULL || lvn_folds_find(outer, patient->key, &patient->fold);
    if (known && patient->fold != held_out) {
      patients.items[kept++] = *patient;
    }
  }
  patients.count = kept;
  good = good && merge(&patients, false, err) && deal_and_take(&patients, fold_count, seed, ret_folds, err);
  lvn_free(patients.items);
  return good;
}

bool lvn_folds_find(const struct lvn_folds *folds, const char *patient_key, unsigned *ret_fold) {
  size_t low = 0;
  size_t high = folds->patient_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(folds->patients[middle].patient_key, patient_key);
    if (order == 0) {
      *ret_fold = folds->patients[middle].fold;
      return true;
    }
    low = order < 0 ? middle + 1 : low;
    high = order < 0 ? high : middle;
  }
  return false;
}

void lvn_folds_clear(struct lvn_folds *folds) {
  lvn_free(folds->patients);
  *folds = (struct lvn_folds){0};
}
