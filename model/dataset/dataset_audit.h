/* What is wrong with a data set before anything is learnt from it: a patient on both sides of a split, the same pixels
 * twice, a class that is missing. */
#ifndef LVN_MODEL_DATASET_DATASET_AUDIT_H
#define LVN_MODEL_DATASET_DATASET_AUDIT_H

#include "base/error.h"
#include "model/dataset/dataset.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_dataset_finding_kind {
  LVN_FINDING_PATIENT_IN_TWO_FOLDS, /* leak */
  LVN_FINDING_SAME_LESION,          /* the same crop twice: counted twice, and a leak where the folds differ */
  LVN_FINDING_SAME_IMAGE,           /* one image under two patients: one of the two names is wrong */
  LVN_FINDING_SAME_ID,              /* two lesions of one name */
  LVN_FINDING_KIND_COUNT
};
const char *lvn_dataset_finding_name(enum lvn_dataset_finding_kind kind); /* "patient-in-two-folds", … */

struct lvn_dataset_finding {
  enum lvn_dataset_finding_kind kind;
  size_t first; /* indices of the lesions */
  size_t second;
  bool is_leak; /* the two are in different folds */
};

struct lvn_dataset_audit {
  size_t patient_count;
  size_t fold_count;  /* different folds */
  unsigned folds[64]; /* their numbers, ascending; more than 64 are not listed */
  size_t lesions[LVN_DATASET_LABEL_COUNT];
  size_t slices[LVN_DATASET_LABEL_COUNT];
  size_t patients[LVN_DATASET_LABEL_COUNT];
  size_t by_fold[64][LVN_DATASET_LABEL_COUNT]; /* lesions */
  size_t class_count;                          /* classes with a lesion */
  size_t finding_count;
  size_t leak_count;
  struct lvn_dataset_finding *findings; /* owned; one for each pair of neighbours of a group of equals */
};

/* By manifest alone: no pixel is read. lvn_dataset_audit_clear() it. */
LVN_MUST_CHECK bool lvn_dataset_audit_run(const struct lvn_dataset *dataset, struct lvn_dataset_audit *ret_audit,
                                          struct lvn_error *err);
void lvn_dataset_audit_clear(struct lvn_dataset_audit *audit);

/* Can a classifier be trained on it? LVN_ERROR_DATA in one sentence: empty, one class only, or a leak. */
LVN_MUST_CHECK bool lvn_dataset_check_trainable(const struct lvn_dataset *dataset, struct lvn_error *err);
/* The same of what is trained on together; a class may then be in one of them alone, but none may be missing. With
 * `folds_are_made` patients are dealt out anew: their folds here do not matter, but one image under two patients could
 * come to lie on both sides. */
LVN_MUST_CHECK bool lvn_datasets_check_trainable(const char *const *folders, size_t folder_count, unsigned classes,
                                                 bool folds_are_made, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
