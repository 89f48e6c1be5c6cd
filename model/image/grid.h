/* Voxel grids in patient space, and the plain images that travel between the rooms: volumes in HU, masks, RGB pictures.
 * Patient coordinates are DICOM's: millimetres, LPS (x to the Left, y to the Posterior, z to the Superior; PS3.3
 * C.7.6.2.1.1). A voxel's coordinate is that of its centre. */
#ifndef LVN_MODEL_IMAGE_GRID_H
#define LVN_MODEL_IMAGE_GRID_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Axis 0 runs along a row (columns), 1 down the rows, 2 through the slices. Right-angled: the three directions are
 * orthonormal and axis 2 = axis 0 x axis 1, so a tilted or flipped acquisition is resampled or refused before. */
struct lvn_grid {
  uint32_t size[3];
  double spacing_mm[3];
  double origin_mm[3];    /* centre of voxel (0,0,0) */
  double direction[3][3]; /* direction[axis][xyz], unit vectors */
};

/* Voxel index (fractional) to patient mm and back. */
void lvn_grid_to_patient(const struct lvn_grid *grid, const double index[3], double ret_lps_mm[3]);
void lvn_grid_to_index(const struct lvn_grid *grid, const double lps_mm[3], double ret_index[3]);
/* Product of the sizes. LVN_ERROR_DATA when 0 or above 2^31. */
LVN_MUST_CHECK bool lvn_grid_voxel_count(const struct lvn_grid *grid, size_t *ret_count, struct lvn_error *err);
/* Same size and, within a hundredth of the spacing at every corner, the same place. */
LVN_MUST_CHECK bool lvn_grid_is_same(const struct lvn_grid *left, const struct lvn_grid *right);

/* Outside the reconstruction circle, missing, or outside the volume: never a measurement. */
#define LVN_HU_PADDING INT16_MIN

/* Owned voxels, x innermost, in Hounsfield units; LVN_HU_PADDING where there is no measurement. */
struct lvn_volume {
  struct lvn_grid grid;
  int16_t *hounsfield;
};
/* Fills with LVN_HU_PADDING. */
LVN_MUST_CHECK bool lvn_volume_create(const struct lvn_grid *grid, struct lvn_volume *ret_volume,
                                      struct lvn_error *err);
void lvn_volume_clear(struct lvn_volume *volume);
/* Trilinear value at a patient position. Neighbours that are padding or outside are left out and the weights of the
 * rest renormalised; LVN_HU_PADDING when less than half the weight remains. A single-slice volume counts within half
 * its spacing. */
float lvn_volume_sample(const struct lvn_volume *volume, const double lps_mm[3]);

/* Voxels of a grid, kept in a box of it: all else is outside. Owned, 1 inside and 0 outside, x innermost. */
struct lvn_mask {
  struct lvn_grid grid;
  uint32_t first[3]; /* the box's first voxel on the grid */
  uint32_t size[3];  /* of the box */
  uint8_t *inside;   /* of the box's voxels */
};
/* A box of the whole grid. */
LVN_MUST_CHECK bool lvn_mask_create(const struct lvn_grid *grid, struct lvn_mask *ret_mask, struct lvn_error *err);
/* LVN_ERROR_INTERNAL when the box is empty or leaves the grid. */
LVN_MUST_CHECK bool lvn_mask_create_box(const struct lvn_grid *grid, const uint32_t first[3], const uint32_t size[3],
                                        struct lvn_mask *ret_mask, struct lvn_error *err);
/* Of a voxel of the grid, which may lie anywhere. */
LVN_MUST_CHECK bool lvn_mask_contains(const struct lvn_mask *mask, int64_t x, int64_t y, int64_t z);
/* The box's pixels in a slice of the grid; NULL outside of the box. */
const uint8_t *lvn_mask_get_slice(const struct lvn_mask *mask, uint32_t slice);
/* Voxels inside in a slice of the grid. */
size_t lvn_mask_count_slice(const struct lvn_mask *mask, uint32_t slice);
void lvn_mask_clear(struct lvn_mask *mask);
/* Number of voxels inside, their bounding box (inclusive indices of the grid) and centroid in patient mm. The last two
 * are filled only when the count is not 0. Each ret_ may be NULL. */
size_t lvn_mask_measure(const struct lvn_mask *mask, uint32_t ret_first[3], uint32_t ret_last[3],
                        double ret_centroid_mm[3]);

/* Owned, 3 bytes a pixel, rows without padding, top left first. */
struct lvn_picture {
  uint32_t width;
  uint32_t height;
  uint8_t *rgb;
};
LVN_MUST_CHECK bool lvn_picture_create(uint32_t width, uint32_t height, struct lvn_picture *ret_picture,
                                       struct lvn_error *err);
void lvn_picture_clear(struct lvn_picture *picture);

#ifdef __cplusplus
}
#endif
#endif
