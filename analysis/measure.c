#include "analysis/measure.h"

#include <math.h>
#include <string.h>

/* Directions tried for the longest caliper: every 2 degrees. The error of the length is below 0.1 %. */
#define CALIPER_DIRECTIONS 90

/* Extent of a slice's mask along a direction of the slice plane, measured over the pixels' corners. */
static double caliper_mm(const struct lvn_mask *mask, uint32_t slice, double angle) {
  const uint32_t width = mask->size[0];
  const uint8_t *inside = lvn_mask_get_slice(mask, slice);
  double along_x = cos(angle) * mask->grid.spacing_mm[0];
  double along_y = sin(angle) * mask->grid.spacing_mm[1];
  double reach = 0.5 * (fabs(along_x) + fabs(along_y));
  double low = INFINITY;
  double high = -INFINITY;
  for (uint32_t y = 0; inside != NULL && y < mask->size[1]; y++) {
    /* Only a row's outermost pixels can be extreme. */
    const uint8_t *row = inside + (size_t)y * width;
    const uint8_t *ends[2] = {memchr(row, 1, width), memrchr(row, 1, width)};
    for (int end = 0; ends[0] != NULL && end < 2; end++) {
      double position = along_x * (double)(ends[end] - row + mask->first[0]) + along_y * (y + mask->first[1]);
      low = fmin(low, position - reach);
      high = fmax(high, position + reach);
    }
  }
  return high > low ? high - low : 0.0;
}

void lvn_measure_diameters(const struct lvn_mask *mask, uint32_t slice, double *ret_long_mm, double *ret_short_mm) {
  double longest = 0.0;
  double longest_angle = 0.0;
  for (int i = 0; i < CALIPER_DIRECTIONS; i++) {
    double angle = M_PI * i / CALIPER_DIRECTIONS;
    double extent = caliper_mm(mask, slice, angle);
    if (extent > longest) {
      longest = extent;
      longest_angle = angle;
    }
  }
  *ret_long_mm = longest;
  *ret_short_mm = longest > 0.0 ? caliper_mm(mask, slice, longest_angle + M_PI / 2.0) : 0.0;
}

uint32_t lvn_measure_largest_slice(const struct lvn_mask *mask) {
  size_t best_area = 0;
  uint32_t best = 0;
  for (uint32_t z = mask->first[2]; z < mask->first[2] + mask->size[2]; z++) {
    size_t area = lvn_mask_count_slice(mask, z);
    if (area > best_area) {
      best_area = area;
      best = z;
    }
  }
  return best;
}

void lvn_measure_lesion(const struct lvn_mask *mask, struct lvn_measure *ret_measure) {
  const double *spacing = mask->grid.spacing_mm;
  struct lvn_measure measure = {0};
  size_t count = lvn_mask_measure(mask, measure.first_voxel, measure.last_voxel, measure.centroid_mm);
  measure.volume_ml = (double)count * spacing[0] * spacing[1] * spacing[2] / 1000.0;
  const uint32_t largest = lvn_measure_largest_slice(mask);
  measure.by_area_mm = sqrt(4.0 / M_PI * (double)lvn_mask_count_slice(mask, largest) * spacing[0] * spacing[1]);
  lvn_measure_diameters(mask, largest, &measure.long_axis_mm, &measure.short_axis_mm);
  *ret_measure = measure;
}

void lvn_measure_mean_hu(const struct lvn_crop *crop, double ret_mean_hu[LVN_PHASE_NETWORK_COUNT]) {
  const size_t plane = (size_t)LVN_CROP_SIDE * LVN_CROP_SIDE;
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    double sum = 0.0;
    size_t count = 0;
    for (size_t s = 0; crop->phase_present[phase] && s < crop->slice_count; s++) {
      const int16_t *hu = crop->slices[s].hounsfield + phase * plane;
      for (size_t i = 0; i < plane; i++) {
        /* -1000 is the crop's fill where there is no measurement; no lesion is as dark. */
        if (crop->slices[s].mask[i] != 0 && hu[i] > -1000) {
          sum += hu[i];
          count++;
        }
      }
    }
    ret_mean_hu[phase] = count > 0 ? sum / (double)count : (double)NAN;
  }
}
