/* One phantom study on disk: DICOM series, ROI object and truth. */
#ifndef LVN_CLI_PHANTOM_STUDY_H
#define LVN_CLI_PHANTOM_STUDY_H

#include "base/error.h"
#include "model/image/vocabulary.h"
#include "model/phantom/phantom.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_cli_phantom_roi { LVN_PHANTOM_ROI_RTSTRUCT, LVN_PHANTOM_ROI_SEG, LVN_PHANTOM_ROI_SR };

struct lvn_cli_phantom_study {
  struct lvn_phantom_options options;
  enum lvn_cli_phantom_roi roi;
  enum lvn_phase roi_phase;
  unsigned threads;
  const char *patient_id; /* borrowed; NULL: PHANTOM-<seed> */
  const char *patient_name;
};

/* What a list of cases needs to know. */
struct lvn_cli_phantom_written {
  size_t lesion_count;
  enum lvn_class lesion_class[LVN_PHANTOM_LESIONS_MAX];
  size_t lesion_slices[LVN_PHANTOM_LESIONS_MAX]; /* slices of the ROI's phase that the lesion touches */
  char roi_file[64];                             /* within the folder */
};

/* Writes FOLDER/{nc,art,pv,dl}/<n>.dcm, FOLDER/roi/<kind>.dcm, FOLDER/truth.json and FOLDER/truth_mask_<lesion>.nrrd
 * (mask on the ROI's phase, cut to its box). All UIDs follow from the options, so the same options give the same
 * files. */
LVN_MUST_CHECK bool lvn_cli_phantom_study_write(const char *folder, const struct lvn_cli_phantom_study *study,
                                                struct lvn_cli_phantom_written *ret_written, struct lvn_error *err);

/* 85 cases with the class counts, slices and folds of the MPCT-FLLs data set below `folder`, and cases.csv. `study`
 * gives what is common; its seed is the first. */
LVN_MUST_CHECK bool lvn_cli_phantom_cohort_write(const char *folder, const struct lvn_cli_phantom_study *study,
                                                 struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
