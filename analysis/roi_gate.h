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
};

/* The crop that lvn_roi_gate_judge() wants of a region of this largest extent in the slice plane. */
void lvn_roi_gate_crop_options(double extent_mm, struct lvn_crop_options *ret_options);
/* The region against a ring about it in the same slices, over all phases together. */
LVN_MUST_CHECK bool lvn_roi_gate_judge(const struct lvn_crop *crop, struct lvn_roi_gate *ret_gate,
                                       struct lvn_error *err);
/* Why the region has no class, one sentence; NULL: nothing speaks against one. */
const char *lvn_roi_gate_reason(const struct lvn_roi_gate *gate);

#ifdef __cplusplus
}
#endif
#endif
