/* What is measured on a lesion's mask and crop: size, diameters, mean HU. */
#ifndef LVN_ANALYSIS_MEASURE_H
#define LVN_ANALYSIS_MEASURE_H

#include "model/image/crop.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_measure {
  uint32_t first_voxel[3]; /* of the box that holds it, both inclusive */
  uint32_t last_voxel[3];
  double centroid_mm[3];
  double volume_ml;
  double long_axis_mm; /* on the slice of largest area */
  double short_axis_mm;
  double by_area_mm; /* diameter of a disc of that slice's area */
};
void lvn_measure_lesion(const struct lvn_mask *mask, struct lvn_measure *ret_measure);

/* Longest diameter within one slice of the mask, and the longest perpendicular to it, in mm between pixel-edge extents
 * (as a caliper reads it). Both 0 when the slice is empty. */
void lvn_measure_diameters(const struct lvn_mask *mask, uint32_t slice, double *ret_long_mm, double *ret_short_mm);

/* Mean over the crop's slices of the samples inside the ROI that are measurements; NAN when there are none. */
void lvn_measure_mean_hu(const struct lvn_crop *crop, double ret_mean_hu[LVN_PHASE_COUNT]);
/* Median over the crop's slices of the liver in a ring about the ROI, which leaves out fat, air, bone and contrast in
 * vessels; NAN when too little of the ring is left. */
LVN_MUST_CHECK bool lvn_measure_liver_hu(const struct lvn_crop *crop, double ret_liver_hu[LVN_PHASE_COUNT],
                                         struct lvn_error *err);
/* Share of a map of the crop's key slice that lies inside the ROI or within half a cell of the network's 7 x 7 of it,
 * which is what the map can tell apart; NAN for a map without positive value. */
LVN_MUST_CHECK bool lvn_measure_map_share(const struct lvn_crop *crop, const float *heat, double *ret_share,
                                          struct lvn_error *err);

/* Columns and rows of the box of a slice's mask; 0 when it is empty. */
void lvn_measure_pixels(const struct lvn_mask *mask, uint32_t slice, uint32_t ret_across[2]);

/* The slice of largest area; the first of equals. */
uint32_t lvn_measure_largest_slice(const struct lvn_mask *mask);

#ifdef __cplusplus
}
#endif
#endif
