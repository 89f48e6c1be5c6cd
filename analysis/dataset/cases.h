/* The list of cases that a data set is built from: a CSV file (RFC 4180), one row for each lesion.
 *   study          folder of the study, from the list's own folder on; or study_uid, a study that the node holds
 *   roi            ROI object: a file, from the list's own folder on; or a SOP instance UID within the study
 *   class          CYST, FNH, HCC, HEM or a long name
 *   patient_key    what tells patients apart; only a keyed digest of it leaves this module
 *   lesion         which region of the ROI object, from 1 on; needed where it holds several
 *   fold, subtype, reference_standard   optional
 * Faults that the list alone shows are found here, before any work. */
#ifndef LVN_ANALYSIS_DATASET_CASES_H
#define LVN_ANALYSIS_DATASET_CASES_H

#include "base/error.h"
#include "model/dataset/dataset.h"
#include "model/image/vocabulary.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CASES_MAX 100000
#define LVN_CASES_FIELD_BYTES 1024 /* with the NUL */
#define LVN_CASES_NO_FOLD UINT32_MAX

struct lvn_case_row {
  size_t row; /* as a spreadsheet counts: the header is row 1 */
  char *study;
  bool study_is_uid;
  char *roi;
  char *patient_key;
  unsigned lesion; /* from 1 on; 0: not said */
  enum lvn_class lesion_class;
  unsigned fold; /* or LVN_CASES_NO_FOLD in every row */
  char subtype[LVN_DATASET_WORD_BYTES];
  char reference_standard[LVN_DATASET_WORD_BYTES];
};

struct lvn_cases {
  struct lvn_case_row *rows; /* owned */
  size_t count;
  bool has_folds;
};

/* LVN_ERROR_USAGE "row 7: …" for the first fault: an unknown, doubled or missing column, broken quoting, a missing or
 * unknown class, a lesion named twice, a patient in two folds, folds in some rows only, one class only. The text never
 * quotes a patient key. */
LVN_MUST_CHECK bool lvn_cases_read(const char *path, struct lvn_cases *ret_cases, struct lvn_error *err);
/* The same from memory, for tests and fuzzing. */
LVN_MUST_CHECK bool lvn_cases_parse(const char *text, size_t bytes, struct lvn_cases *ret_cases, struct lvn_error *err);
void lvn_cases_clear(struct lvn_cases *cases);

#ifdef __cplusplus
}
#endif
#endif
