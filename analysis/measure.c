#include "analysis/measure.h"

#include "base/memory.h"
#include "model/image/sampler.h"

#include <math.h>
#include <string.h>

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)

/* The ring that stands for the liver: off the lesion's rim and its partial volume, near enough to be the same liver. */
#define RING_FIRST_MM 2.0
#define RING_LAST_MM 12.0
/* Liver in any phase, fatty and iron-laden too; the median leaves vessels out. */
#define LIVER_LOW_HU (-20)
#define LIVER_HIGH_HU 220
#define RING_SHARE_MIN 0.3
/* Half a cell of the network's last maps, of which the Grad-CAM map is an enlargement. */
#define MAP_MARGIN (LVN_CROP_SIDE / 14.0F)

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

void lvn_measure_pixels(const struct lvn_mask *mask, uint32_t slice, uint32_t ret_across[2]) {
  const uint8_t *inside = lvn_mask_get_slice(mask, slice);
  uint32_t first[2] = {UINT32_MAX, UINT32_MAX};
  uint32_t last[2] = {0, 0};
  for (uint32_t y = 0; inside != NULL && y < mask->size[1]; y++) {
    for (uint32_t x = 0; x < mask->size[0]; x++) {
      if (inside[(size_t)y * mask->size[0] + x] != 0) {
        first[0] = x < first[0] ? x : first[0];
        first[1] = y < first[1] ? y : first[1];
        last[0] = x > last[0] ? x : last[0];
        last[1] = y;
      }
    }
  }
  for (int axis = 0; axis < 2; axis++) {
    ret_across[axis] = first[axis] == UINT32_MAX ? 0 : last[axis] - first[axis] + 1;
  }
}

/* Of a phase in a slice; NULL where the crop has none. */
static const int16_t *samples_of(const struct lvn_crop *crop, size_t slice, size_t phase) {
  if (phase == LVN_PHASE_DL) {
    return crop->delayed_present ? crop->slices[slice].delayed : NULL;
  }
  return crop->phase_present[phase] ? crop->slices[slice].hounsfield + phase * SAMPLES : NULL;
}

void lvn_measure_mean_hu(const struct lvn_crop *crop, double ret_mean_hu[LVN_PHASE_COUNT]) {
  for (size_t phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    double sum = 0.0;
    size_t count = 0;
    for (size_t s = 0; s < crop->slice_count; s++) {
      const int16_t *hu = samples_of(crop, s, phase);
      for (size_t i = 0; hu != NULL && i < SAMPLES; i++) {
        if (crop->slices[s].mask[i] != 0 && hu[i] > LVN_CROP_PADDING_HU) {
          sum += hu[i];
          count++;
        }
      }
    }
    ret_mean_hu[phase] = count > 0 ? sum / (double)count : (double)NAN;
  }
}

static void nearer(float *distance, size_t from, size_t to, float step) {
  distance[to] = fminf(distance[to], distance[from] + step);
}

/* Samples from the nearest one inside the mask, by two passes of chamfer steps: at most 8 % long. */
static void fill_distance(const uint8_t *mask, float distance[SAMPLES]) {
  const size_t side = LVN_CROP_SIDE;
  for (size_t i = 0; i < SAMPLES; i++) {
    distance[i] = mask[i] != 0 ? 0.0F : 4.0F * LVN_CROP_SIDE;
  }
  for (size_t at = 0; at < 2 * SAMPLES; at++) {
    bool back = at >= SAMPLES;
    size_t i = back ? 2 * SAMPLES - 1 - at : at;
    size_t column = i % side;
    size_t row = i / side;
    size_t behind = back ? i + side : i - side;
    bool has_row = back ? row + 1 < side : row > 0;
    if (back ? column + 1 < side : column > 0) {
      nearer(distance, back ? i + 1 : i - 1, i, 1.0F);
    }
    if (has_row) {
      nearer(distance, behind, i, 1.0F);
    }
    if (has_row && column > 0) {
      nearer(distance, behind - 1, i, (float)M_SQRT2);
    }
    if (has_row && column + 1 < side) {
      nearer(distance, behind + 1, i, (float)M_SQRT2);
    }
  }
}

/* Counts, by HU, the samples of a phase in the ring; returns how many samples the ring has. */
static size_t count_ring(const struct lvn_crop *crop, size_t slice, size_t phase, const float distance[SAMPLES],
                         uint32_t histogram[LIVER_HIGH_HU - LIVER_LOW_HU + 1]) {
  const int16_t *hu = samples_of(crop, slice, phase);
  const float first = (float)(RING_FIRST_MM / crop->sample_spacing_mm);
  const float last = (float)(RING_LAST_MM / crop->sample_spacing_mm);
  size_t count = 0;
  for (size_t i = 0; hu != NULL && i < SAMPLES; i++) {
    if (distance[i] >= first && distance[i] <= last) {
      count++;
      if (hu[i] >= LIVER_LOW_HU && hu[i] <= LIVER_HIGH_HU) {
        histogram[hu[i] - LIVER_LOW_HU]++;
      }
    }
  }
  return count;
}

static double median_of(const uint32_t histogram[LIVER_HIGH_HU - LIVER_LOW_HU + 1], size_t ring) {
  size_t count = 0;
  for (size_t i = 0; i <= LIVER_HIGH_HU - LIVER_LOW_HU; i++) {
    count += histogram[i];
  }
  if ((double)count < RING_SHARE_MIN * (double)ring || count == 0) {
    return (double)NAN;
  }
  size_t at = 0;
  for (size_t below = histogram[0]; 2 * below < count; below += histogram[at]) {
    at++;
  }
  return LIVER_LOW_HU + (double)at;
}

bool lvn_measure_liver_hu(const struct lvn_crop *crop, double ret_liver_hu[LVN_PHASE_COUNT], struct lvn_error *err) {
  LVN_AUTOFREE float *distance = lvn_alloc(SAMPLES, sizeof *distance, err);
  uint32_t histogram[LVN_PHASE_COUNT][LIVER_HIGH_HU - LIVER_LOW_HU + 1] = {0};
  size_t ring[LVN_PHASE_COUNT] = {0};
  if (distance == NULL) {
    return false;
  }
  for (size_t s = 0; s < crop->slice_count; s++) {
    fill_distance(crop->slices[s].mask, distance);
    for (size_t phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      ring[phase] += count_ring(crop, s, phase, distance, histogram[phase]);
    }
  }
  for (size_t phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    ret_liver_hu[phase] = median_of(histogram[phase], ring[phase]);
  }
  return true;
}

bool lvn_measure_map_share(const struct lvn_crop *crop, const float *heat, double *ret_share, struct lvn_error *err) {
  LVN_AUTOFREE float *distance = lvn_alloc(SAMPLES, sizeof *distance, err);
  double inside = 0.0;
  double all = 0.0;
  if (distance == NULL) {
    return false;
  }
  fill_distance(crop->slices[crop->key_slice].mask, distance);
  for (size_t i = 0; i < SAMPLES; i++) {
    double value = heat[i] > 0.0F ? (double)heat[i] : 0.0;
    all += value;
    inside += distance[i] <= MAP_MARGIN ? value : 0.0;
  }
  *ret_share = all > 0.0 ? inside / all : (double)NAN;
  return true;
}
