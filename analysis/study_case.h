/* A case's own data: what its parts fill, and what is made of it. A case owns everything in it. */
#ifndef LVN_ANALYSIS_STUDY_CASE_H
#define LVN_ANALYSIS_STUDY_CASE_H

#include "analysis/findings/findings.h"
#include "analysis/measure.h"
#include "dicom/read/phase.h"
#include "dicom/read/roi.h"
#include "dicom/read/study.h"
#include "model/image/crop.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"
#include "model/registration/registration.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CASE_STACKS_MAX 24 /* that are looked at for the phases; a study may have more */

/* Why a stack that could be a phase is not looked at. */
enum lvn_case_skip {
  LVN_CASE_SKIP_NONE = 0,
  LVN_CASE_SKIP_SURPLUS,   /* better stacks of the same scans reach the limits */
  LVN_CASE_SKIP_TOO_LARGE, /* to be a liver CT */
  LVN_CASE_SKIP_RESERVE    /* the others show every phase, see reserve_reason */
};

struct lvn_case_stack {
  const struct lvn_stack *stack; /* borrowed from the study */
  bool loaded;                   /* volume and image are filled */
  struct lvn_volume volume;      /* owned */
  struct lvn_phase_image image;
  bool is_candidate; /* took part in phase recognition */
  enum lvn_case_skip skip;
  struct lvn_phase_verdict verdict;
};

struct lvn_case_lesion {
  const struct lvn_roi *roi; /* borrowed from rois */
  struct lvn_measure measure;
  /* Per phase: which stack, and how it was aligned to the ROI's stack. The delayed one's registration is NULL unless it
   * was asked for and is there. */
  size_t stack_index[LVN_PHASE_COUNT];
  bool is_reference[LVN_PHASE_COUNT];
  struct lvn_transform *registration[LVN_PHASE_COUNT];
  struct lvn_registration_quality quality[LVN_PHASE_COUNT];
  struct lvn_propagated_mask propagated[LVN_PHASE_COUNT]; /* owned; the ROI in that phase's own images */
  double mean_hu[LVN_PHASE_COUNT];  /* inside the ROI, over the crop's slices; NAN when there is no measurement */
  double liver_hu[LVN_PHASE_COUNT]; /* of the liver about it */
  struct lvn_crop crop;
};

struct lvn_case {
  struct lvn_study *study;
  size_t stack_count;
  struct lvn_case_stack *stacks;       /* owned, in the study's order */
  size_t phase_stack[LVN_PHASE_COUNT]; /* chosen stack per phase, SIZE_MAX when missing */
  struct lvn_roi_list rois;
  char roi_note[LVN_TEXT_BYTES];
  size_t lesion_count;
  struct lvn_case_lesion *lesions;
  struct lvn_findings_timings timings; /* as far as the case goes */
};

#ifdef __cplusplus
}
#endif
#endif
