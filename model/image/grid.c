#include "model/image/grid.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

void lvn_grid_to_patient(const struct lvn_grid *grid, const double index[3], double ret_lps_mm[3]) {
  for (int xyz = 0; xyz < 3; xyz++) {
    double sum = grid->origin_mm[xyz];
    for (int axis = 0; axis < 3; axis++) {
      sum += grid->direction[axis][xyz] * grid->spacing_mm[axis] * index[axis];
    }
    ret_lps_mm[xyz] = sum;
  }
}

void lvn_grid_to_index(const struct lvn_grid *grid, const double lps_mm[3], double ret_index[3]) {
  for (int axis = 0; axis < 3; axis++) {
    double sum = 0.0;
    for (int xyz = 0; xyz < 3; xyz++) {
      sum += grid->direction[axis][xyz] * (lps_mm[xyz] - grid->origin_mm[xyz]);
    }
    ret_index[axis] = sum / grid->spacing_mm[axis];
  }
}

bool lvn_grid_voxel_count(const struct lvn_grid *grid, size_t *ret_count, struct lvn_error *err) {
  uint64_t count = (uint64_t)grid->size[0] * grid->size[1];
  if (__builtin_mul_overflow(count, (uint64_t)grid->size[2], &count) || count == 0 || count > (UINT64_C(1) << 31)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "a grid of %u x %u x %u voxels is not supported", grid->size[0],
                         grid->size[1], grid->size[2]);
  }
  *ret_count = (size_t)count;
  return true;
}

bool lvn_grid_is_same(const struct lvn_grid *left, const struct lvn_grid *right) {
  double tolerance_mm = 0.01 * fmin(left->spacing_mm[0], fmin(left->spacing_mm[1], left->spacing_mm[2]));
  if (memcmp(left->size, right->size, sizeof left->size) != 0) {
    return false;
  }
  for (unsigned corner = 0; corner < 8; corner++) {
    double index[3];
    double a[3];
    double b[3];
    for (unsigned axis = 0; axis < 3; axis++) {
      index[axis] = (corner >> axis & 1U) != 0 ? (double)(left->size[axis] - 1) : 0.0;
    }
    lvn_grid_to_patient(left, index, a);
    lvn_grid_to_patient(right, index, b);
    for (int xyz = 0; xyz < 3; xyz++) {
      if (!(fabs(a[xyz] - b[xyz]) <= tolerance_mm)) {
        return false;
      }
    }
  }
  return true;
}

bool lvn_volume_create(const struct lvn_grid *grid, struct lvn_volume *ret_volume, struct lvn_error *err) {
  size_t count = 0;
  if (!lvn_grid_voxel_count(grid, &count, err)) {
    return false;
  }
  int16_t *voxels = lvn_alloc(count, sizeof *voxels, err);
  if (voxels == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    voxels[i] = LVN_HU_PADDING;
  }
  *ret_volume = (struct lvn_volume){.grid = *grid, .hounsfield = voxels};
  return true;
}

void lvn_volume_clear(struct lvn_volume *volume) {
  lvn_free(volume->hounsfield);
  *volume = (struct lvn_volume){0};
}

float lvn_volume_sample(const struct lvn_volume *volume, const double lps_mm[3]) {
  const uint32_t *size = volume->grid.size;
  double index[3];
  double base[3];
  double sum = 0.0;
  double weight_sum = 0.0;
  lvn_grid_to_index(&volume->grid, lps_mm, index);
  for (int axis = 0; axis < 3; axis++) {
    base[axis] = floor(index[axis]);
    if (!(base[axis] >= -1.0 && base[axis] <= (double)size[axis])) {
      return LVN_HU_PADDING;
    }
  }
  for (unsigned corner = 0; corner < 8; corner++) {
    double weight = 1.0;
    size_t offset = 0;
    size_t stride = 1;
    bool outside = false;
    for (unsigned axis = 0; axis < 3; axis++) {
      unsigned upper = corner >> axis & 1U;
      double fraction = index[axis] - base[axis];
      double position = base[axis] + upper;
      weight *= upper != 0 ? fraction : 1.0 - fraction;
      outside = outside || position < 0.0 || position >= (double)size[axis];
      offset += outside ? 0 : stride * (size_t)position;
      stride *= size[axis];
    }
    if (outside || weight == 0.0 || volume->hounsfield[offset] == LVN_HU_PADDING) {
      continue;
    }
    sum += weight * volume->hounsfield[offset];
    weight_sum += weight;
  }
  return weight_sum >= 0.5 ? (float)(sum / weight_sum) : (float)LVN_HU_PADDING;
}

bool lvn_mask_create_box(const struct lvn_grid *grid, const uint32_t first[3], const uint32_t size[3],
                         struct lvn_mask *ret_mask, struct lvn_error *err) {
  struct lvn_mask mask = {.grid = *grid};
  size_t count = 0;
  if (!lvn_grid_voxel_count(grid, &count, err)) {
    return false;
  }
  count = 1;
  for (int axis = 0; axis < 3; axis++) {
    if (size[axis] == 0 || first[axis] >= grid->size[axis] || size[axis] > grid->size[axis] - first[axis]) {
      return lvn_error_set(err, LVN_ERROR_INTERNAL, "a box of %u voxels from voxel %u does not fit %u", size[axis],
                           first[axis], grid->size[axis]);
    }
    mask.first[axis] = first[axis];
    mask.size[axis] = size[axis];
    count *= size[axis];
  }
  mask.inside = lvn_alloc(count, 1, err);
  if (mask.inside == NULL) {
    return false;
  }
  *ret_mask = mask;
  return true;
}

bool lvn_mask_create(const struct lvn_grid *grid, struct lvn_mask *ret_mask, struct lvn_error *err) {
  size_t count = 0;
  return lvn_grid_voxel_count(grid, &count, err) &&
         lvn_mask_create_box(grid, (const uint32_t[3]){0, 0, 0}, grid->size, ret_mask, err);
}

bool lvn_mask_contains(const struct lvn_mask *mask, int64_t x, int64_t y, int64_t z) {
  const int64_t at[3] = {x, y, z};
  size_t offset = 0;
  for (int axis = 2; axis >= 0; axis--) {
    int64_t within = at[axis] - mask->first[axis];
    if (within < 0 || within >= mask->size[axis]) {
      return false;
    }
    offset = offset * mask->size[axis] + (size_t)within;
  }
  return mask->inside[offset] != 0;
}

const uint8_t *lvn_mask_get_slice(const struct lvn_mask *mask, uint32_t slice) {
  if (slice < mask->first[2] || slice - mask->first[2] >= mask->size[2]) {
    return NULL;
  }
  return mask->inside + (size_t)(slice - mask->first[2]) * mask->size[0] * mask->size[1];
}

size_t lvn_mask_count_slice(const struct lvn_mask *mask, uint32_t slice) {
  const uint8_t *inside = lvn_mask_get_slice(mask, slice);
  size_t pixels = (size_t)mask->size[0] * mask->size[1];
  size_t count = 0;
  for (size_t i = 0; inside != NULL && i < pixels; i++) {
    count += inside[i] != 0;
  }
  return count;
}

void lvn_mask_clear(struct lvn_mask *mask) {
  lvn_free(mask->inside);
  *mask = (struct lvn_mask){0};
}

size_t lvn_mask_measure(const struct lvn_mask *mask, uint32_t ret_first[3], uint32_t ret_last[3],
                        double ret_centroid_mm[3]) {
  uint32_t first[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
  uint32_t last[3] = {0, 0, 0};
  double sum[3] = {0.0, 0.0, 0.0};
  size_t count = 0;
  const uint8_t *voxel = mask->inside;
  for (uint32_t z = 0; z < mask->size[2]; z++) {
    for (uint32_t y = 0; y < mask->size[1]; y++) {
      for (uint32_t x = 0; x < mask->size[0]; x++) {
        const uint32_t at[3] = {mask->first[0] + x, mask->first[1] + y, mask->first[2] + z};
        if (*voxel++ == 0) {
          continue;
        }
        count++;
        for (int axis = 0; axis < 3; axis++) {
          first[axis] = at[axis] < first[axis] ? at[axis] : first[axis];
          last[axis] = at[axis] > last[axis] ? at[axis] : last[axis];
          sum[axis] += at[axis];
        }
      }
    }
  }
  if (count == 0) {
    return 0;
  }
  if (ret_first != NULL) {
    memcpy(ret_first, first, sizeof first);
  }
  if (ret_last != NULL) {
    memcpy(ret_last, last, sizeof last);
  }
  if (ret_centroid_mm != NULL) {
    double index[3] = {sum[0] / (double)count, sum[1] / (double)count, sum[2] / (double)count};
    lvn_grid_to_patient(&mask->grid, index, ret_centroid_mm);
  }
  return count;
}

bool lvn_picture_create(uint32_t width, uint32_t height, struct lvn_picture *ret_picture, struct lvn_error *err) {
  uint8_t *rgb = NULL;
  if (width == 0 || height == 0 || width > 16384 || height > 16384) {
    return lvn_error_set(err, LVN_ERROR_DATA, "a picture of %u x %u pixels is not supported", width, height);
  }
  rgb = lvn_alloc((size_t)width * height, 3, err);
  if (rgb == NULL) {
    return false;
  }
  *ret_picture = (struct lvn_picture){.width = width, .height = height, .rgb = rgb};
  return true;
}

void lvn_picture_clear(struct lvn_picture *picture) {
  lvn_free(picture->rgb);
  *picture = (struct lvn_picture){0};
}
