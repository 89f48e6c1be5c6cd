/* One study made ready for the network: phases chosen, ROIs read, phases aligned about each lesion, crops made. This is
 * the one path from DICOM to crops; the node, `livervlm analyze` and `livervlm dataset build` all use it. A case owns
 * everything in it and belongs to one thread at a time. */
#ifndef LVN_ANALYSIS_CASE_H
#define LVN_ANALYSIS_CASE_H

#include "analysis/analysis.h"
#include "base/error.h"
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
  uint32_t first_voxel[3];
  uint32_t last_voxel[3];
  double centroid_mm[3];
  double volume_ml;
  double long_axis_mm;
  double short_axis_mm;
  /* Per phase: which stack, and how it was aligned to the ROI's stack. The delayed one's registration is NULL unless it
   * was asked for and is there. */
  size_t stack_index[LVN_PHASE_COUNT];
  bool is_reference[LVN_PHASE_COUNT];
  struct lvn_transform *registration[LVN_PHASE_COUNT];
  struct lvn_registration_quality quality[LVN_PHASE_COUNT];
  struct lvn_propagated_mask propagated[LVN_PHASE_COUNT]; /* owned; the ROI in that phase's own images */
  double
      mean_hu[LVN_PHASE_NETWORK_COUNT]; /* inside the ROI, over the crop's slices; NAN when there is no measurement */
  struct lvn_crop crop;
};

struct lvn_case_timings {
  double read_seconds;
  double decode_seconds;
  double phase_seconds;
  double roi_seconds;
  double registration_seconds;
  double crop_seconds;
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
  struct lvn_case_timings timings;
};

struct lvn_case_options {
  struct lvn_crop_options crop;
  struct lvn_registration_options registration;
  bool align;   /* false: the phases are taken as they lie (the paper's misregistered mode) */
  bool delayed; /* the crop has the delayed phase, too, where the study has one: for data sets, not for the node */
};
void lvn_case_options_default(struct lvn_case_options *ret_options);

/* True with an outcome and, when it is not DONE, a sentence for a radiographer; `ret_case` is filled as far as it went
 * and must be cleared in both cases. False: an error that is not the study's fault. */
LVN_MUST_CHECK bool lvn_case_open(const char *const *paths, size_t path_count, const struct lvn_case_options *options,
                                  struct lvn_case *ret_case, enum lvn_analysis_outcome *ret_outcome,
                                  char ret_message[512], struct lvn_error *err);
/* A further crop of a prepared lesion, as another model's package wants it; lvn_crop_clear() it. */
LVN_MUST_CHECK bool lvn_case_crop(const struct lvn_case *study_case, size_t lesion_index,
                                  const struct lvn_crop_options *options, struct lvn_crop *ret_crop,
                                  struct lvn_error *err);
/* "none" or why a stack takes no part: lvn_exclusion_name(), "surplus" or "too large". */
const char *lvn_case_exclusion(const struct lvn_case_stack *entry);
void lvn_case_clear(struct lvn_case *study_case);

#ifdef __cplusplus
}
#endif
#endif
