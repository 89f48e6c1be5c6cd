/* Lesion ROIs drawn by a radiologist: RTSTRUCT, SEG, Label Map SEG, TID 1500 SR with SCOORD or SCOORD3D, each turned
 * into a mask on the grid of the stack it was drawn on. Pixel coordinates of SCOORD and GSPS have (0,0) at the top-left
 * corner of the top-left pixel (PS3.3 C.18.6.1.2); RTSTRUCT and SCOORD3D are millimetres at pixel centres. */
#ifndef LVN_DICOM_READ_ROI_H
#define LVN_DICOM_READ_ROI_H

#include "base/error.h"
#include "base/sha256.h"
#include "dicom/read/study.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_ROI_MAX_PER_STUDY 32

struct lvn_roi {
  char label[LVN_TEXT_BYTES];       /* as drawn; may hold anything, never logged */
  char tracking_id[LVN_TEXT_BYTES]; /* of the source, or made: "Lesion 1" */
  char tracking_uid[LVN_UID_BYTES]; /* of the source, or derived from its SOP instance UID and number */
  char source_sop_instance_uid[LVN_UID_BYTES];
  char source_sop_class_uid[LVN_UID_BYTES];
  enum lvn_object_kind source_kind;
  size_t stack_index;   /* drawn on this stack */
  struct lvn_mask mask; /* on that stack's grid, in the box of its voxels; owned, at least one inside */
};

struct lvn_roi_list {
  struct lvn_roi *items; /* owned */
  size_t count;
  char waiting[LVN_TEXT_BYTES]; /* what the study must wait for ("for the series that ROI 1 was drawn on"), however many
                                   items there are; "" for nothing */
};

/* Read every lesion ROI of one object of the study. What its name, type or codes say to be an organ, a target's margin
 * or a helper, what is no region (lengths, points, text boxes), and what is drawn on another study is left out, not
 * decoded, and named in ret_note; a contour that cannot be used (wrong point count, another frame of reference) is an
 * error naming it, never silently bent. What was drawn on a series that is absent, and several regions that nothing
 * marks as lesions, are waited for. An object without any lesion ROI gives an empty list and a note. `ret_note` is
 * whole sentences, always terminated. Only stacks with aside == NONE are candidates. */
LVN_MUST_CHECK bool lvn_roi_read(const struct lvn_study *study, size_t object_index, struct lvn_roi_list *ret_rois,
                                 char ret_note[LVN_TEXT_BYTES], struct lvn_error *err);

/* The same without leaving out organs: for commissioning and tests with segmented organs. */
LVN_MUST_CHECK bool lvn_roi_read_any(const struct lvn_study *study, size_t object_index, struct lvn_roi_list *ret_rois,
                                     char ret_note[LVN_TEXT_BYTES], struct lvn_error *err);

/* The ROIs of a whole study. An object replaces those that it names as its predecessors; of regions of one tracking
 * UID, or of different objects that overlap by more than half, the newest is kept. At most LVN_ROI_MAX_PER_STUDY after
 * all that. */
LVN_MUST_CHECK bool lvn_roi_read_all(const struct lvn_study *study, struct lvn_roi_list *ret_rois,
                                     char ret_note[LVN_TEXT_BYTES], struct lvn_error *err);
void lvn_roi_list_clear(struct lvn_roi_list *rois);

#ifdef __cplusplus
}
#endif
#endif
