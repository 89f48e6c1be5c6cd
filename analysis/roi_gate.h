/* Is there anything in the outline? The network knows lesions only and gives healthy liver a class as well, so that a
 * region is compared with the tissue about it before an answer is believed. Pure arithmetic on a crop. */
#ifndef LVN_ANALYSIS_ROI_GATE_H
#define LVN_ANALYSIS_ROI_GATE_H

#include "base/error.h"
#include "model/image/crop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_roi_gate {
  bool is_judged;     /* false: too little of the region or of what surrounds it to compare them */
  bool is_lesion;     /* true where it is not judged */
  double contrast_hu; /* between the region and what is most like it in the ring: root of the sum over the phases */
  double odd_share;   /* of the region: places without their like in the ring */
  double fat_share;   /* of the region: places of fat or air in all phases */
  /* Of the ring's places that are neither fat nor air in any phase; NAN where the ring holds too few of them. */
  double liver_share; /* of all the ring's places: those with HU and a rise from phase to phase as liver may have */
  double rise_hu;     /* portal-venous less non-contrast: nine in ten places have less */
  double fall_hu;     /* arterial less portal-venous: nine in ten places have more */
};

/* The crop that lvn_roi_gate_judge() wants of a region of this largest extent in the slice plane. */
void lvn_roi_gate_crop_options(double extent_mm, struct lvn_crop_options *ret_options);
/* The region against a ring about it in the same slices, over all phases together. */
LVN_MUST_CHECK bool lvn_roi_gate_judge(const struct lvn_crop *crop, struct lvn_roi_gate *ret_gate,
                                       struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
