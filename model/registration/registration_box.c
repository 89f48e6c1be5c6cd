#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <string.h>

/* Fat to contrast-filled vessels: bone and gas beyond say nothing about the liver and would rule the descriptors. */
#define LOW_HU (-160)
#define HIGH_HU 260

/* Part of a volume, averaged over whole voxels along its own axes so that thinning out does not alias. */
struct pooled {
  int64_t size[3];
  double first[3]; /* volume index of pooled voxel 0's centre */
  int64_t factor[3];
  float *value;
  float *valid;
};

static void pooled_clear(struct pooled *pooled) {
  lvn_free(pooled->value);
  lvn_free(pooled->valid);
}

/* Volume indices [first, last) that the box and a margin touch. False when it lies wholly outside. */
static bool box_range(const struct lvn_grid *grid, const struct lvn_reg_box *box, int64_t first[3], int64_t last[3]) {
  double low[3] = {HUGE_VAL, HUGE_VAL, HUGE_VAL};
  double high[3] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
  for (unsigned corner = 0; corner < 8; corner++) {
    double lps[3];
    double index[3];
    for (unsigned a = 0; a < 3; a++) {
      double extent_mm = (double)(box->size[a] - 1) * box->spacing_mm;
      lps[a] = box->origin_mm[a] + ((corner >> a & 1U) != 0 ? extent_mm : 0.0);
    }
    lvn_grid_to_index(grid, lps, index);
    for (int a = 0; a < 3; a++) {
      low[a] = fmin(low[a], index[a]);
      high[a] = fmax(high[a], index[a]);
    }
  }
  for (int a = 0; a < 3; a++) {
    double margin = box->spacing_mm / grid->spacing_mm[a] + 1.0;
    if (!(high[a] + margin >= 0.0 && low[a] - margin <= (double)grid->size[a] - 1.0)) {
      return false;
    }
    first[a] = (int64_t)fmax(0.0, floor(low[a] - margin));
    last[a] = (int64_t)fmin((double)grid->size[a], ceil(high[a] + margin) + 1.0);
  }
  return true;
}

/* Of the rows that one pooled row is made of: sum and count down each of the volume's columns. */
static void add_row(const int16_t *row, int64_t columns, int32_t *sum, int32_t *count) {
  for (int64_t x = 0; x < columns; x++) {
    int32_t measured = row[x] != LVN_HU_PADDING;
    int32_t hu = row[x] < LOW_HU ? LOW_HU : (row[x] > HIGH_HU ? HIGH_HU : row[x]);
    sum[x] += hu * measured;
    count[x] += measured;
  }
}

/* `sums` holds two integers for each column that is pooled. */
static void pool_row(const struct lvn_volume *volume, const int64_t first[3], const struct pooled *pooled, int64_t py,
                     int64_t pz, int32_t *sums, float *value, float *valid) {
  const uint32_t *size = volume->grid.size;
  int64_t columns = pooled->size[0] * pooled->factor[0];
  int32_t *counts = sums + columns;
  float whole = (float)(pooled->factor[0] * pooled->factor[1] * pooled->factor[2]);
  memset(sums, 0, 2 * (size_t)columns * sizeof *sums);
  for (int64_t z = pz * pooled->factor[2]; z < (pz + 1) * pooled->factor[2]; z++) {
    for (int64_t y = py * pooled->factor[1]; y < (py + 1) * pooled->factor[1]; y++) {
      add_row(volume->hounsfield + ((size_t)(first[2] + z) * size[1] + (size_t)(first[1] + y)) * size[0] +
                  (size_t)first[0],
              columns, sums, counts);
    }
  }
  for (int64_t px = 0; px < pooled->size[0]; px++) {
    int32_t sum = 0;
    int32_t count = 0;
    for (int64_t x = px * pooled->factor[0]; x < (px + 1) * pooled->factor[0]; x++) {
      sum += sums[x];
      count += counts[x];
    }
    bool enough = 2.0F * (float)count >= whole;
    value[px] = enough ? (float)sum / (float)count : 0.0F;
    valid[px] = enough ? 1.0F : 0.0F;
  }
}

static bool pool(const struct lvn_volume *volume, const int64_t first[3], const int64_t last[3], double spacing_mm,
                 struct pooled *pooled, struct lvn_error *err) {
  size_t count = 1;
  for (int a = 0; a < 3; a++) {
    int64_t length = last[a] - first[a];
    int64_t factor = (int64_t)floor(spacing_mm / volume->grid.spacing_mm[a] + 0.25);
    pooled->factor[a] = factor < 1 ? 1 : (factor > length ? length : factor);
    pooled->size[a] = length / pooled->factor[a];
    pooled->first[a] = (double)first[a] + ((double)pooled->factor[a] - 1.0) / 2.0;
    count *= (size_t)pooled->size[a];
  }
  pooled->value = lvn_alloc(count, sizeof *pooled->value, err);
  pooled->valid = pooled->value == NULL ? NULL : lvn_alloc(count, sizeof *pooled->valid, err);
  LVN_AUTOFREE int32_t *sums =
      pooled->valid == NULL ? NULL : lvn_alloc((size_t)(pooled->size[0] * pooled->factor[0]), 2 * sizeof *sums, err);
  if (sums == NULL) {
    return false;
  }
  for (int64_t z = 0; z < pooled->size[2]; z++) {
    for (int64_t y = 0; y < pooled->size[1]; y++) {
      size_t offset = ((size_t)z * (size_t)pooled->size[1] + (size_t)y) * (size_t)pooled->size[0];
      pool_row(volume, first, pooled, y, z, sums, pooled->value + offset, pooled->valid + offset);
    }
  }
  return true;
}

/* Trilinear at a pooled index; neighbours without measurement are left out. False when half the weight is missing. */
static bool sample(const struct pooled *pooled, const double index[3], float *ret_value) {
  double base[3];
  double sum = 0.0;
  double weight_sum = 0.0;
  for (int a = 0; a < 3; a++) {
    base[a] = floor(index[a]);
    if (base[a] < -1.0 || base[a] >= (double)pooled->size[a]) {
      return false;
    }
  }
  for (unsigned corner = 0; corner < 8; corner++) {
    double weight = 1.0;
    int64_t offset = 0;
    int64_t stride = 1;
    for (unsigned a = 0; a < 3; a++) {
      int64_t upper = (int64_t)(corner >> a & 1U);
      int64_t at = (int64_t)base[a] + upper;
      double fraction = index[a] - base[a];
      weight *= at < 0 || at >= pooled->size[a] ? 0.0 : (upper != 0 ? fraction : 1.0 - fraction);
      offset += (at < 0 ? 0 : (at >= pooled->size[a] ? pooled->size[a] - 1 : at)) * stride;
      stride *= pooled->size[a];
    }
    weight *= (double)pooled->valid[offset];
    weight_sum += weight;
    sum += weight * (double)pooled->value[offset];
  }
  if (weight_sum < 0.5) {
    return false;
  }
  *ret_value = (float)(sum / weight_sum);
  return true;
}

static void fill_box(const struct lvn_grid *grid, const struct pooled *pooled, struct lvn_reg_box *box) {
  double origin[3];
  double step[3][3]; /* change of the pooled index per box voxel along x, y, z */
  lvn_grid_to_index(grid, box->origin_mm, origin);
  for (int a = 0; a < 3; a++) {
    double factor = (double)pooled->factor[a];
    origin[a] = (origin[a] - pooled->first[a]) / factor;
    for (int xyz = 0; xyz < 3; xyz++) {
      step[xyz][a] = grid->direction[a][xyz] * box->spacing_mm / (grid->spacing_mm[a] * factor);
    }
  }
  size_t i = 0;
  for (int64_t z = 0; z < box->size[2]; z++) {
    bool any = false;
    for (int64_t y = 0; y < box->size[1]; y++) {
      for (int64_t x = 0; x < box->size[0]; x++, i++) {
        double index[3];
        for (int a = 0; a < 3; a++) {
          index[a] = origin[a] + (double)x * step[0][a] + (double)y * step[1][a] + (double)z * step[2][a];
        }
        if (sample(pooled, index, &box->value[i])) {
          box->valid[i] = 1.0F;
          any = true;
        }
      }
    }
    if (any) {
      double z_mm = box->origin_mm[2] + (double)z * box->spacing_mm;
      box->valid_low_mm = fmin(box->valid_low_mm, z_mm);
      box->valid_high_mm = fmax(box->valid_high_mm, z_mm);
    }
  }
}

bool lvn_reg_box_make(const struct lvn_volume *volume, const double centre_mm[3], const double half_mm[3],
                      double spacing_mm, struct lvn_reg_box *ret_box, struct lvn_error *err) {
  struct lvn_reg_box box = {.spacing_mm = spacing_mm, .valid_low_mm = HUGE_VAL, .valid_high_mm = -HUGE_VAL};
  LVN_CLEANUP(pooled_clear) struct pooled pooled = {0};
  int64_t first[3];
  int64_t last[3];
  size_t count = 1;
  for (int a = 0; a < 3; a++) {
    box.size[a] = 2 * (int64_t)llround(half_mm[a] / spacing_mm) + 1;
    box.origin_mm[a] = centre_mm[a] - spacing_mm * (double)(box.size[a] - 1) / 2.0;
    count *= (size_t)box.size[a];
  }
  box.value = lvn_alloc(count, sizeof *box.value, err);
  box.valid = box.value == NULL ? NULL : lvn_alloc(count, sizeof *box.valid, err);
  bool done = box.valid != NULL;
  if (done && box_range(&volume->grid, &box, first, last)) {
    done = pool(volume, first, last, spacing_mm, &pooled, err);
    if (done) {
      fill_box(&volume->grid, &pooled, &box);
    }
  }
  if (!done) {
    lvn_reg_box_clear(&box);
    return false;
  }
  *ret_box = box;
  return true;
}

void lvn_reg_box_clear(struct lvn_reg_box *box) {
  lvn_free(box->value);
  lvn_free(box->valid);
  *box = (struct lvn_reg_box){0};
}
