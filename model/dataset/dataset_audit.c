#include "model/dataset/dataset_audit.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define FOLDS_LISTED_MAX (sizeof((struct lvn_dataset_audit *)0)->folds / sizeof(unsigned))
#define FINDINGS_MAX 1000000U
#define KEY_BYTES LVN_DATASET_KEY_BYTES

_Static_assert(KEY_BYTES >= LVN_SHA256_BYTES, "a digest fits where a key does");

/* One thing that lesions may share, and the lesion that has it; sorted, equals lie together. */
struct token {
  uint8_t bytes[KEY_BYTES];
  size_t lesion;
};

const char *lvn_dataset_finding_name(enum lvn_dataset_finding_kind kind) {
  static const char *const names[LVN_FINDING_KIND_COUNT] = {[LVN_FINDING_PATIENT_IN_TWO_FOLDS] = "patient-in-two-folds",
                                                            [LVN_FINDING_SAME_LESION] = "same-lesion-twice",
                                                            [LVN_FINDING_SAME_IMAGE] = "same-image-two-patients",
                                                            [LVN_FINDING_SAME_ID] = "same-id-twice"};
  return names[kind];
}

static int compare_tokens(const void *left, const void *right) {
  const struct token *a = left;
  const struct token *b = right;
  int order = memcmp(a->bytes, b->bytes, sizeof a->bytes);
  return order != 0 ? order : (a->lesion > b->lesion) - (a->lesion < b->lesion);
}

static bool add_finding(struct lvn_dataset_audit *audit, size_t *capacity, const struct lvn_dataset_finding *finding,
                        struct lvn_error *err) {
  if (!lvn_grow(&audit->findings, capacity, audit->finding_count, sizeof *audit->findings, FINDINGS_MAX, err)) {
    return false;
  }
  audit->findings[audit->finding_count++] = *finding;
  audit->leak_count += finding->is_leak;
  return true;
}

/* Is what these two lesions share a fault? */
static bool is_fault(enum lvn_dataset_finding_kind kind, const struct lvn_dataset_lesion *first,
                     const struct lvn_dataset_lesion *second) {
  switch (kind) {
  case LVN_FINDING_PATIENT_IN_TWO_FOLDS:
    return first->fold != second->fold;
  case LVN_FINDING_SAME_IMAGE:
    return strcmp(first->patient_key, second->patient_key) != 0;
  default:
    return true;
  }
}

static bool compare_neighbours(const struct lvn_dataset *dataset, enum lvn_dataset_finding_kind kind,
                               struct token *tokens, size_t count, struct lvn_dataset_audit *audit, size_t *capacity,
                               struct lvn_error *err) {
  size_t last_first = SIZE_MAX;
  size_t last_second = SIZE_MAX;
  qsort(tokens, count, sizeof *tokens, compare_tokens);
  for (size_t i = 1; i < count; i++) {
    size_t a = tokens[i - 1].lesion;
    size_t b = tokens[i].lesion;
    /* Two lesions share many images: one finding says it. */
    if (a == b || (a == last_first && b == last_second) ||
        memcmp(tokens[i - 1].bytes, tokens[i].bytes, sizeof tokens[i].bytes) != 0) {
      continue;
    }
    const struct lvn_dataset_lesion *first = lvn_dataset_get(dataset, a);
    const struct lvn_dataset_lesion *second = lvn_dataset_get(dataset, b);
    /* Two data sets may use the same names. */
    bool may_be = kind != LVN_FINDING_SAME_ID || lvn_dataset_folder(dataset, a) == lvn_dataset_folder(dataset, b);
    if (may_be && is_fault(kind, first, second)) {
      const struct lvn_dataset_finding finding = {
          .kind = kind, .first = a, .second = b, .is_leak = first->fold != second->fold};
      if (!add_finding(audit, capacity, &finding, err)) {
        return false;
      }
      last_first = a;
      last_second = b;
    }
  }
  return true;
}

static size_t count_tokens(const struct lvn_dataset *dataset, enum lvn_dataset_finding_kind kind) {
  size_t total = 0;
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    size_t images = 0;
    (void)lvn_dataset_images(dataset, i, &images);
    total += kind == LVN_FINDING_SAME_IMAGE ? images : 1;
  }
  return total;
}

static size_t fill_tokens(const struct lvn_dataset *dataset, enum lvn_dataset_finding_kind kind, struct token *tokens) {
  static const uint8_t none[LVN_SHA256_BYTES] = {0};
  size_t count = 0;
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, i);
    size_t images = 0;
    const uint8_t *sha256 = lvn_dataset_images(dataset, i, &images);
    switch (kind) {
    case LVN_FINDING_SAME_IMAGE:
      for (size_t k = 0; k < images; k++) {
        tokens[count].lesion = i;
        memcpy(tokens[count++].bytes, sha256 + k * LVN_SHA256_BYTES, LVN_SHA256_BYTES);
      }
      break;
    case LVN_FINDING_SAME_LESION:
      if (memcmp(lesion->pixel_sha256, none, sizeof none) != 0) {
        tokens[count].lesion = i;
        memcpy(tokens[count++].bytes, lesion->pixel_sha256, LVN_SHA256_BYTES);
      }
      break;
    default:
      tokens[count].lesion = i;
      (void)lvn_copy((char *)tokens[count++].bytes, KEY_BYTES,
                     kind == LVN_FINDING_SAME_ID ? lesion->lesion_id : lesion->patient_key);
    }
  }
  return count;
}

/* Patients, and the classes that each has. Needs tokens sorted by patient. */
static void count_patients(const struct lvn_dataset *dataset, const struct token *tokens, size_t count,
                           struct lvn_dataset_audit *audit) {
  for (size_t begin = 0, end = 0; begin < count; begin = end) {
    bool has[LVN_DATASET_LABEL_COUNT] = {false};
    for (end = begin; end < count && memcmp(tokens[begin].bytes, tokens[end].bytes, KEY_BYTES) == 0; end++) {
      has[lvn_dataset_get(dataset, tokens[end].lesion)->lesion_class] = true;
    }
    audit->patient_count++;
    for (int c = 0; c < LVN_DATASET_LABEL_COUNT; c++) {
      audit->patients[c] += has[c];
    }
  }
}

static int compare_folds(const void *left, const void *right) {
  const unsigned *a = left;
  const unsigned *b = right;
  return (*a > *b) - (*a < *b);
}

static size_t place_of_fold(const struct lvn_dataset_audit *audit, unsigned fold) {
  size_t i = 0;
  while (i < audit->fold_count && audit->folds[i] != fold) {
    i++;
  }
  return i;
}

static void count_lesions(const struct lvn_dataset *dataset, struct lvn_dataset_audit *audit) {
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, i);
    audit->class_count += lesion->lesion_class < LVN_CLASS_COUNT && audit->lesions[lesion->lesion_class] == 0;
    audit->lesions[lesion->lesion_class]++;
    audit->slices[lesion->lesion_class] += lesion->slice_count;
    if (place_of_fold(audit, lesion->fold) == audit->fold_count && audit->fold_count < FOLDS_LISTED_MAX) {
      audit->folds[audit->fold_count++] = lesion->fold;
    }
  }
  qsort(audit->folds, audit->fold_count, sizeof audit->folds[0], compare_folds);
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, i);
    size_t place = place_of_fold(audit, lesion->fold);
    if (place < audit->fold_count) {
      audit->by_fold[place][lesion->lesion_class]++;
    }
  }
}

bool lvn_dataset_audit_run(const struct lvn_dataset *dataset, struct lvn_dataset_audit *ret_audit,
                           struct lvn_error *err) {
  struct lvn_dataset_audit audit = {0};
  size_t capacity = 0;
  count_lesions(dataset, &audit);
  for (int kind = 0; kind < LVN_FINDING_KIND_COUNT; kind++) {
    LVN_AUTOFREE struct token *tokens =
        lvn_alloc(count_tokens(dataset, (enum lvn_dataset_finding_kind)kind), sizeof *tokens, err);
    size_t count = tokens == NULL ? 0 : fill_tokens(dataset, (enum lvn_dataset_finding_kind)kind, tokens);
    if (tokens == NULL ||
        !compare_neighbours(dataset, (enum lvn_dataset_finding_kind)kind, tokens, count, &audit, &capacity, err)) {
      lvn_dataset_audit_clear(&audit);
      return false;
    }
    if (kind == LVN_FINDING_PATIENT_IN_TWO_FOLDS) {
      count_patients(dataset, tokens, count, &audit);
    }
  }
  *ret_audit = audit;
  return true;
}

void lvn_dataset_audit_clear(struct lvn_dataset_audit *audit) {
  lvn_free(audit->findings);
  *audit = (struct lvn_dataset_audit){0};
}

/* `needed`: classes without which there is no training. */
static bool judge_classes(const size_t lesions[LVN_DATASET_LABEL_COUNT], unsigned needed, struct lvn_error *err) {
  size_t total = 0;
  size_t classes = 0;
  int last = 0;
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    total += lesions[c];
    classes += lesions[c] > 0;
    last = lesions[c] > 0 ? c : last;
  }
  if (total + lesions[LVN_CLASS_OUTLIER] == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the data set is empty");
  }
  if (classes == 1) {
    return lvn_error_set(err, LVN_ERROR_DATA, "all %zu lesions of the data set are %s: nothing can be learnt", total,
                         lvn_class_name((enum lvn_class)last));
  }
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    if (lvn_classes_have(needed, c) && lesions[c] == 0) {
      return lvn_error_set(err, LVN_ERROR_DATA, "there is no lesion of class %s to train on",
                           lvn_class_name((enum lvn_class)c));
    }
  }
  return true;
}

static bool judge_findings(const struct lvn_dataset *dataset, const struct lvn_dataset_audit *audit,
                           bool folds_are_made, struct lvn_error *err) {
  for (size_t i = 0; i < audit->finding_count; i++) {
    const struct lvn_dataset_finding *finding = &audit->findings[i];
    const struct lvn_dataset_lesion *first = lvn_dataset_get(dataset, finding->first);
    const struct lvn_dataset_lesion *second = lvn_dataset_get(dataset, finding->second);
    if (folds_are_made && strcmp(first->patient_key, second->patient_key) != 0) {
      return lvn_error_set(err, LVN_ERROR_DATA, "two patients share what they cannot: %s, lesions '%s' and '%s'",
                           lvn_dataset_finding_name(finding->kind), first->lesion_id, second->lesion_id);
    }
    if (!folds_are_made && finding->is_leak) {
      return lvn_error_set(err, LVN_ERROR_DATA, "leak between folds %u and %u: %s, lesions '%s' and '%s'", first->fold,
                           second->fold, lvn_dataset_finding_name(finding->kind), first->lesion_id, second->lesion_id);
    }
  }
  return true;
}

bool lvn_dataset_check_trainable(const struct lvn_dataset *dataset, struct lvn_error *err) {
  struct lvn_dataset_audit audit;
  if (!lvn_dataset_audit_run(dataset, &audit, err)) {
    return false;
  }
  bool good = judge_classes(audit.lesions, 0, err) && judge_findings(dataset, &audit, false, err);
  lvn_dataset_audit_clear(&audit);
  return good;
}

bool lvn_datasets_check_trainable(const char *const *folders, size_t folder_count, unsigned classes,
                                  bool folds_are_made, struct lvn_error *err) {
  struct lvn_dataset *dataset = NULL;
  struct lvn_dataset_audit audit = {0};
  bool good = lvn_dataset_open_all(folders, folder_count, &dataset, err) &&
              lvn_dataset_audit_run(dataset, &audit, err) && judge_findings(dataset, &audit, folds_are_made, err) &&
              judge_classes(audit.lesions, classes, err);
  lvn_dataset_audit_clear(&audit);
  lvn_dataset_close(dataset);
  return good;
}
