/* From aligned phases and a lesion mask to the network's input: the one path from volumes to crops, used by the node,
 * by `livervlm analyze` and by the trainer. Square box on the lesion, side = margin x largest in-plane extent, at least
 * min_side_mm, the same physical box in every phase and slice; each phase interpolated once, trilinearly, from its
 * original voxels at the box's 224 x 224 sample points; -1000 HU where there is no measurement; area-averaged only when
 * the box has more source pixels than samples. */
#ifndef LVN_MODEL_CROP_H
#define LVN_MODEL_CROP_H

#include "base/error.h"
#include "model/image/grid.h"
#include "model/image/transform.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CROP_SIDE 224

struct lvn_crop_options {
  double margin;       /* 1.4 */
  double min_side_mm;  /* 32 */
  uint32_t max_slices; /* 5: evenly spread over the lesion's slices, largest areas kept first */
};
void lvn_crop_options_default(struct lvn_crop_options *ret_options);

struct lvn_crop_phase { /* borrowed; volume NULL when the phase is missing */
  const struct lvn_volume *volume;
  const struct lvn_transform *from_fixed; /* fixed space to this phase's space */
};

struct lvn_crop_slice {
  uint32_t fixed_slice_index; /* of the fixed grid's axis 2 */
  double mask_area_mm2;
  int16_t *hounsfield; /* [LVN_PHASE_NETWORK_COUNT][224][224], NC, ART, PV; missing phases all -1000 */
  int16_t *delayed;    /* [224][224], NULL without lvn_crop_add_delayed(): for training alone */
  uint8_t *mask;       /* [224][224], the lesion on the same sample points */
};

/* Owned. slices[key_slice] has the largest mask area. */
struct lvn_crop {
  double side_mm;
  double sample_spacing_mm;
  /* The box in the fixed grid: pixel index (fractional, axis 0 and 1) of sample (0,0)'s centre, and the step per
   * sample. */
  double first_index[2];
  double step_index[2];
  bool phase_present[LVN_PHASE_NETWORK_COUNT];
  bool delayed_present; /* every slice has `delayed` */
  size_t slice_count;
  size_t key_slice;
  struct lvn_crop_slice *slices;
};

LVN_MUST_CHECK bool lvn_crop_make(const struct lvn_grid *fixed_grid, const struct lvn_mask *lesion,
                                  const struct lvn_crop_phase phases[LVN_PHASE_NETWORK_COUNT],
                                  const struct lvn_crop_options *options, struct lvn_crop *ret_crop,
                                  struct lvn_error *err);
/* The same box and slices of the delayed phase, which is none of the network's three, into a crop that
 * lvn_crop_make() made on this grid. */
LVN_MUST_CHECK bool lvn_crop_add_delayed(const struct lvn_grid *fixed_grid, const struct lvn_crop_phase *phase,
                                         struct lvn_crop *crop, struct lvn_error *err);
void lvn_crop_drop_delayed(struct lvn_crop *crop);
void lvn_crop_clear(struct lvn_crop *crop);

#ifdef __cplusplus
}
#endif
#endif
