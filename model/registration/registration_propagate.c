/* The lesion's mask in another phase: each voxel there asks where it comes from, so that the mask has no gaps. */
#include "base/memory.h"
#include "model/registration/registration.h"

#include <math.h>

/* Moving indices that the mask's voxels reach, with a voxel to spare on each side; false when all lie off the grid. */
static bool find_box(const struct lvn_transform *registration, const struct lvn_mask *lesion,
                     const struct lvn_grid *moving, double low[3], double high[3]) {
  const uint32_t *size = lesion->size;
  bool any = false;
  for (int a = 0; a < 3; a++) {
    low[a] = HUGE_VAL;
    high[a] = -HUGE_VAL;
  }
  for (size_t i = 0; i < (size_t)size[0] * size[1] * size[2]; i++) {
    if (lesion->inside[i] == 0) {
      continue;
    }
    const size_t slice = (size_t)size[0] * size[1];
    const size_t voxel[3] = {i % size[0], i % slice / size[0], i / slice};
    const double at[3] = {(double)(lesion->first[0] + voxel[0]), (double)(lesion->first[1] + voxel[1]),
                          (double)(lesion->first[2] + voxel[2])};
    double fixed_mm[3];
    double moving_mm[3];
    double index[3];
    lvn_grid_to_patient(&lesion->grid, at, fixed_mm);
    lvn_transform_map(registration, fixed_mm, moving_mm);
    lvn_grid_to_index(moving, moving_mm, index);
    for (int a = 0; a < 3; a++) {
      double spare = 1.0 + lesion->grid.spacing_mm[a] / moving->spacing_mm[a];
      low[a] = fmin(low[a], floor(index[a] - spare));
      high[a] = fmax(high[a], ceil(index[a] + spare));
    }
    any = true;
  }
  for (int a = 0; a < 3; a++) {
    any = any && high[a] >= 0.0 && low[a] <= (double)moving->size[a] - 1.0;
  }
  return any;
}

static bool comes_from(const struct lvn_transform *registration, const struct lvn_mask *lesion,
                       const double moving_mm[3]) {
  double fixed_mm[3];
  double index[3];
  lvn_transform_unmap(registration, moving_mm, fixed_mm);
  lvn_grid_to_index(&lesion->grid, fixed_mm, index);
  for (int a = 0; a < 3; a++) {
    index[a] = floor(index[a] + 0.5);
    if (!(index[a] >= 0.0 && index[a] < (double)lesion->grid.size[a])) {
      return false;
    }
  }
  return lvn_mask_contains(lesion, (int64_t)index[0], (int64_t)index[1], (int64_t)index[2]);
}

static void fill_box(const struct lvn_transform *registration, const struct lvn_mask *lesion, struct lvn_mask *part) {
  const uint32_t *size = part->grid.size;
  size_t i = 0;
  for (uint32_t z = 0; z < size[2]; z++) {
    for (uint32_t y = 0; y < size[1]; y++) {
      for (uint32_t x = 0; x < size[0]; x++, i++) {
        const double index[3] = {x, y, z};
        double moving_mm[3];
        lvn_grid_to_patient(&part->grid, index, moving_mm);
        part->inside[i] = comes_from(registration, lesion, moving_mm);
      }
    }
  }
}

bool lvn_registration_propagate(const struct lvn_transform *registration, const struct lvn_mask *lesion,
                                const struct lvn_grid *moving, struct lvn_propagated_mask *ret_propagated,
                                struct lvn_error *err) {
  struct lvn_propagated_mask propagated = {.is_cut = true};
  struct lvn_grid grid = *moving;
  double low[3];
  double high[3];
  if (!find_box(registration, lesion, moving, low, high)) {
    *ret_propagated = propagated;
    return true;
  }
  propagated.is_cut = false;
  for (int a = 0; a < 3; a++) {
    double last = (double)moving->size[a] - 1.0;
    double spare = 1.0 + lesion->grid.spacing_mm[a] / moving->spacing_mm[a];
    propagated.is_cut = propagated.is_cut || low[a] + spare < -0.5 || high[a] - spare > last + 0.5;
    propagated.first[a] = (uint32_t)fmax(0.0, low[a]);
    grid.size[a] = (uint32_t)fmin(last, high[a]) - propagated.first[a] + 1U;
  }
  lvn_grid_to_patient(moving, (const double[]){propagated.first[0], propagated.first[1], propagated.first[2]},
                      grid.origin_mm);
  if (!lvn_mask_create(&grid, &propagated.mask, err)) {
    return false;
  }
  fill_box(registration, lesion, &propagated.mask);
  *ret_propagated = propagated;
  return true;
}

void lvn_propagated_mask_clear(struct lvn_propagated_mask *propagated) {
  lvn_mask_clear(&propagated->mask);
  *propagated = (struct lvn_propagated_mask){0};
}
