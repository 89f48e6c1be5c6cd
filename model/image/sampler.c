#include "model/image/sampler.h"

#include <math.h>
#include <stddef.h>

#define CHECK_POINTS 5
/* A map whose index deviates less than this from an affine one over the plane is walked by constant steps. A hundredth
 * of a voxel moves a 500 HU edge by 5 HU at most. */
#define AFFINE_TOLERANCE_VOXELS 0.01

struct walker {
  const struct lvn_sample_plane *plane;
  const struct lvn_volume *volume;
  const struct lvn_transform *from_fixed;
  double origin[3]; /* moving index of sample (0,0) */
  double step[2][3];
  bool is_affine;
};

static void moving_index(const struct walker *walker, double column, double row, double ret_index[3]) {
  const struct lvn_sample_plane *plane = walker->plane;
  double fixed[3] = {plane->first_index[0] + column * plane->step_index[0],
                     plane->first_index[1] + row * plane->step_index[1], plane->slice_index};
  double fixed_mm[3];
  double moving_mm[3];
  lvn_grid_to_patient(plane->fixed_grid, fixed, fixed_mm);
  lvn_transform_map(walker->from_fixed, fixed_mm, moving_mm);
  lvn_grid_to_index(&walker->volume->grid, moving_mm, ret_index);
}

static void walker_start(struct walker *walker) {
  double last = (double)walker->plane->count - 1.0;
  double right[3];
  double below[3];
  moving_index(walker, 0.0, 0.0, walker->origin);
  moving_index(walker, last, 0.0, right);
  moving_index(walker, 0.0, last, below);
  for (int axis = 0; axis < 3; axis++) {
    walker->step[0][axis] = (right[axis] - walker->origin[axis]) / last;
    walker->step[1][axis] = (below[axis] - walker->origin[axis]) / last;
  }
  walker->is_affine = true;
  for (int point = 0; point < CHECK_POINTS * CHECK_POINTS && walker->is_affine; point++) {
    double column = last * (point % CHECK_POINTS) / (CHECK_POINTS - 1);
    double row = last * (int)(point / CHECK_POINTS) / (CHECK_POINTS - 1);
    double index[3];
    moving_index(walker, column, row, index);
    for (int axis = 0; axis < 3; axis++) {
      double affine = walker->origin[axis] + column * walker->step[0][axis] + row * walker->step[1][axis];
      /* Written so that NAN counts as not affine. */
      walker->is_affine = walker->is_affine && fabs(index[axis] - affine) < AFFINE_TOLERANCE_VOXELS;
    }
  }
}

/* lvn_volume_sample() by index. The common case, eight measured neighbours, stays here; the rest goes there. */
static float sample_index(const struct lvn_volume *volume, const double index[3]) {
  const uint32_t *size = volume->grid.size;
  double mm[3];
  if (index[0] >= 0.0 && index[1] >= 0.0 && index[2] >= 0.0 && index[0] < (double)size[0] - 1.0 &&
      index[1] < (double)size[1] - 1.0 && index[2] < (double)size[2] - 1.0) {
    size_t i = (size_t)index[0];
    size_t j = (size_t)index[1];
    size_t k = (size_t)index[2];
    float x = (float)(index[0] - (double)i);
    float y = (float)(index[1] - (double)j);
    float z = (float)(index[2] - (double)k);
    size_t row = size[0];
    size_t slice = row * size[1];
    const int16_t *v = volume->hounsfield + k * slice + j * row + i;
    const int16_t corner[8] = {v[0],     v[1],         v[row],         v[row + 1],
                               v[slice], v[slice + 1], v[slice + row], v[slice + row + 1]};
    bool measured = true;
    for (int c = 0; c < 8; c++) {
      measured = measured && corner[c] != LVN_HU_PADDING;
    }
    if (measured) {
      float top = (corner[0] + x * (float)(corner[1] - corner[0])) * (1.0F - y) +
                  (corner[2] + x * (float)(corner[3] - corner[2])) * y;
      float bottom = (corner[4] + x * (float)(corner[5] - corner[4])) * (1.0F - y) +
                     (corner[6] + x * (float)(corner[7] - corner[6])) * y;
      return top + z * (bottom - top);
    }
  }
  lvn_grid_to_patient(&volume->grid, index, mm);
  return lvn_volume_sample(volume, mm);
}

static void index_at(const struct walker *walker, double column, double row, double ret_index[3]) {
  if (!walker->is_affine) {
    moving_index(walker, column, row, ret_index);
    return;
  }
  for (int axis = 0; axis < 3; axis++) {
    ret_index[axis] = walker->origin[axis] + column * walker->step[0][axis] + row * walker->step[1][axis];
  }
}

static int16_t round_hu(float value) {
  if (!(value > (float)LVN_HU_PADDING)) {
    return LVN_CROP_PADDING_HU;
  }
  return value >= (float)INT16_MAX ? INT16_MAX : (int16_t)lrintf(value);
}

/* Mean of parts x parts sub-samples that fill the sample's square. */
static int16_t average(const struct walker *walker, uint32_t column, uint32_t row, int parts) {
  float sum = 0.0F;
  int measured = 0;
  for (int part = 0; part < parts * parts; part++) {
    double index[3];
    double dx = ((part % parts) + 0.5) / parts - 0.5;
    double dy = ((int)(part / parts) + 0.5) / parts - 0.5;
    index_at(walker, column + dx, row + dy, index);
    float value = sample_index(walker->volume, index);
    if (value > (float)LVN_HU_PADDING) {
      sum += value;
      measured++;
    }
  }
  return measured * 2 < parts * parts ? LVN_CROP_PADDING_HU : round_hu(sum / (float)measured);
}

void lvn_sample_plane(const struct lvn_sample_plane *plane, const struct lvn_volume *volume,
                      const struct lvn_transform *from_fixed, int16_t *hounsfield) {
  struct walker walker = {.plane = plane, .volume = volume, .from_fixed = from_fixed};
  double finest_mm = fmin(volume->grid.spacing_mm[0], volume->grid.spacing_mm[1]);
  int parts = (int)ceil(plane->spacing_mm / finest_mm - 1e-6);
  walker_start(&walker);
  for (uint32_t row = 0; row < plane->count; row++) {
    int16_t *line = hounsfield + (size_t)row * plane->count;
    for (uint32_t column = 0; column < plane->count; column++) {
      if (parts > 1) {
        line[column] = average(&walker, column, row, parts);
      } else {
        double index[3];
        index_at(&walker, column, row, index);
        line[column] = round_hu(sample_index(volume, index));
      }
    }
  }
}
