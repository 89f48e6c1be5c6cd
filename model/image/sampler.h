/* One slice of a crop out of one phase: HU at the samples of a plane that a registration carries into the phase. Used
 * by crop.c alone. */
#ifndef LVN_MODEL_SAMPLER_H
#define LVN_MODEL_SAMPLER_H

#include "model/image/grid.h"
#include "model/image/transform.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CROP_PADDING_HU (-1000)

/* Sample (column, row) of `count` x `count` lies at fixed index (first + column * step, first + row * step, slice). */
struct lvn_sample_plane {
  const struct lvn_grid *fixed_grid;
  double first_index[2];
  double step_index[2];
  double slice_index;
  double spacing_mm; /* between samples */
  uint32_t count;
};

/* Fills hounsfield[count][count]. Trilinear from the original voxels with lvn_volume_sample()'s rule for missing
 * neighbours, LVN_CROP_PADDING_HU where that gives no measurement; the mean of k x k sub-samples where the phase's
 * pixels are smaller than the sample spacing. */
void lvn_sample_plane(const struct lvn_sample_plane *plane, const struct lvn_volume *volume,
                      const struct lvn_transform *from_fixed, int16_t *hounsfield);

#ifdef __cplusplus
}
#endif
#endif
