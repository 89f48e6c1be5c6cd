/* The liver slides along the abdominal wall: ribs, muscle and spine stay where they were and would hold the alignment
 * of what lies near them (globally smooth fields are wrong at the wall: PMC4112204). Two layers explain a
 * neighbourhood: each voxel moves with the lesion or has stayed. The shift that explains most when every voxel may
 * choose is the moving layer's; voxels that staying explains better lose their vote. */
#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIDE (2 * LVN_REG_SHIFT_REACH + 1)
#define THINNING 2
#define CELL 4               /* voxels */
#define LEAST_OFFSET_MM 3.0  /* nearer, the search's own shift is as good, and nothing has slid */
#define LEAST_MOVED_MM 2.5   /* less apart, the layers cannot be told from one another, nor need they be */
#define STAYING_COST 0.2     /* or noise would choose; of 12, the most that descriptors can differ by */
#define STAYING_MARGIN 0.05F /* by which staying must explain a voxel's surroundings better */

typedef float vec4 __attribute__((vector_size(16)));

static vec4 load(const float *from) {
  vec4 value;
  memcpy(&value, from, sizeof value);
  return value;
}

static float cost_between(const float *f, const float *m) {
  vec4 d0 = load(f) - load(m);
  vec4 d1 = load(f + 4) - load(m + 4);
  vec4 d2 = load(f + 8) - load(m + 8);
  vec4 cost = d0 * d0 + d1 * d1 + d2 * d2;
  return cost[0] + cost[1] + cost[2] + cost[3];
}

/* Of the voxel at `at` plus `shift`; HUGE_VALF when that was not measured. */
static float cost_at(const struct lvn_reg_features *fixed, const struct lvn_reg_features *moving, const int64_t at[3],
                     const int64_t shift[3]) {
  int64_t here = 0;
  int64_t there = 0;
  for (int a = 2; a >= 0; a--) {
    int64_t index = at[a] + shift[a];
    if (index < 0 || index >= moving->size[a]) {
      return HUGE_VALF;
    }
    here = here * fixed->size[a] + at[a];
    there = there * moving->size[a] + index;
  }
  return moving->valid[there] <= 0.0F
             ? HUGE_VALF
             : cost_between(fixed->data + here * LVN_REG_CHANNELS, moving->data + there * LVN_REG_CHANNELS);
}

static int64_t index_of(const struct lvn_reg_features *features, const int64_t at[3]) {
  return (at[2] * features->size[1] + at[1]) * features->size[0] + at[0];
}

/* What is asked: all shifts about `base`, in voxels; `still` is the shift of what has stayed. */
struct question {
  const struct lvn_reg_features *fixed;
  const struct lvn_reg_features *moving;
  int64_t base[3];
  int64_t still[3];
  int64_t half; /* voxels about the fixed box's centre that have a vote */
  double sigma_mm;
  int reach_z;
};

/* Costs over the shifts, sums and their weights. */
struct tally {
  double cost[LVN_REG_SHIFTS];
  double covered[LVN_REG_SHIFTS];
  double stayed;
  double stayed_covered;
  double weight;
};

/* Every shift along x about `shift`; `middle`: the index of that in the tally. */
static void add_row(const struct question *ask, const int64_t at[3], const int64_t shift[3], double weight, int middle,
                    struct tally *cell) {
  const struct lvn_reg_features *moving = ask->moving;
  const int64_t there[3] = {at[0] + shift[0], at[1] + shift[1], at[2] + shift[2]};
  if (there[1] < 0 || there[1] >= moving->size[1] || there[2] < 0 || there[2] >= moving->size[2]) {
    return;
  }
  const float *f = ask->fixed->data + index_of(ask->fixed, at) * LVN_REG_CHANNELS;
  int64_t low = there[0] < LVN_REG_SHIFT_REACH ? -there[0] : -LVN_REG_SHIFT_REACH;
  int64_t high =
      there[0] + LVN_REG_SHIFT_REACH >= moving->size[0] ? moving->size[0] - 1 - there[0] : LVN_REG_SHIFT_REACH;
  int64_t voxel = index_of(moving, there);
  for (int64_t dx = low; dx <= high; dx++) {
    if (moving->valid[voxel + dx] > 0.0F) {
      cell->cost[middle + dx] += weight * (double)cost_between(f, moving->data + (voxel + dx) * LVN_REG_CHANNELS);
      cell->covered[middle + dx] += weight;
    }
  }
}

static void add_voxel(const struct question *ask, const int64_t at[3], double weight, struct tally *cell) {
  float stayed = cost_at(ask->fixed, ask->moving, at, ask->still);
  cell->weight += weight;
  if (isfinite(stayed)) {
    cell->stayed += weight * (double)stayed;
    cell->stayed_covered += weight;
  }
  for (int dz = -ask->reach_z; dz <= ask->reach_z; dz++) {
    for (int dy = -LVN_REG_SHIFT_REACH; dy <= LVN_REG_SHIFT_REACH; dy++) {
      const int64_t shift[3] = {ask->base[0], ask->base[1] + dy, ask->base[2] + dz};
      add_row(ask, at, shift, weight,
              ((dz + LVN_REG_SHIFT_REACH) * SIDE + dy + LVN_REG_SHIFT_REACH) * SIDE + LVN_REG_SHIFT_REACH, cell);
    }
  }
}

/* The choice between the layers is a cell's, not a voxel's: in flat tissue the smaller of two noises would always be
 * less than either, and any shift better than none. */
static void add_cell(const struct tally *cell, struct tally *tally) {
  double most =
      cell->stayed_covered > 0.5 * cell->weight ? cell->stayed / cell->stayed_covered + STAYING_COST : HUGE_VAL;
  tally->weight += cell->weight;
  for (int i = 0; i < LVN_REG_SHIFTS; i++) {
    if (cell->covered[i] > 0.0) {
      tally->cost[i] += cell->covered[i] * fmin(cell->cost[i] / cell->covered[i], most);
      tally->covered[i] += cell->covered[i];
    }
  }
}

static void ask_cell(const struct question *ask, const int64_t first[3], struct tally *tally) {
  struct tally cell = {0};
  int64_t at[3];
  for (at[2] = first[2]; at[2] < (first[2] + CELL); at[2] += (ask->reach_z > 0 ? THINNING : 1)) {
    for (at[1] = first[1]; at[1] < first[1] + CELL; at[1] += THINNING) {
      for (at[0] = first[0]; at[0] < first[0] + CELL; at[0] += THINNING) {
        double from_mm[3];
        bool is_inside = true;
        for (int a = 0; a < 3; a++) {
          int64_t middle = ask->fixed->size[a] / 2;
          from_mm[a] = (double)(at[a] - middle) * ask->fixed->spacing_mm;
          is_inside = is_inside && at[a] >= 0 && at[a] < ask->fixed->size[a];
        }
        double weight =
            is_inside ? lvn_reg_importance(ask->fixed, index_of(ask->fixed, at), from_mm, ask->sigma_mm) : 0.0;
        if (weight > 0.02) {
          add_voxel(ask, at, weight, &cell);
        }
      }
    }
  }
  add_cell(&cell, tally);
}

static bool is_border(int shift, int reach_z) {
  const int from[3] = {shift % SIDE - LVN_REG_SHIFT_REACH, shift / SIDE % SIDE - LVN_REG_SHIFT_REACH,
                       shift / (SIDE * SIDE) - LVN_REG_SHIFT_REACH};
  return abs(from[0]) == LVN_REG_SHIFT_REACH || abs(from[1]) == LVN_REG_SHIFT_REACH ||
         (reach_z > 0 && abs(from[2]) == reach_z);
}

/* The moving layer's best whole shift, in voxels. */
static void find_shift(const struct question *ask, int64_t ret_shift[3]) {
  struct tally tally = {0};
  double best = HUGE_VAL;
  int64_t low[3];
  int64_t first[3];
  for (int a = 0; a < 3; a++) {
    low[a] = ask->fixed->size[a] / 2 - ask->half;
  }
  for (first[2] = low[2]; first[2] <= low[2] + 2 * ask->half; first[2] += CELL) {
    for (first[1] = low[1]; first[1] <= low[1] + 2 * ask->half; first[1] += CELL) {
      for (first[0] = low[0]; first[0] <= low[0] + 2 * ask->half; first[0] += CELL) {
        ask_cell(ask, first, &tally);
      }
    }
  }
  memcpy(ret_shift, ask->base, sizeof ask->base);
  for (int i = 0; i < LVN_REG_SHIFTS; i++) {
    if (is_border(i, ask->reach_z)) {
      continue; /* no minimum can be told there */
    }
    if (tally.covered[i] > 0.5 * tally.weight && tally.cost[i] / tally.covered[i] < best) {
      best = tally.cost[i] / tally.covered[i];
      ret_shift[0] = ask->base[0] + i % SIDE - LVN_REG_SHIFT_REACH;
      ret_shift[1] = ask->base[1] + i / SIDE % SIDE - LVN_REG_SHIFT_REACH;
      ret_shift[2] = ask->base[2] + i / (SIDE * SIDE) - LVN_REG_SHIFT_REACH;
    }
  }
}

/* gain: by how much `shift` explains a voxel better than `still`; 0 where that cannot be told. */
static void compare_layers(const struct lvn_reg_features *fixed, const struct lvn_reg_features *moving,
                           const int64_t still[3], const int64_t shift[3], float *gain) {
  int64_t at[3];
  for (at[2] = 0; at[2] < fixed->size[2]; at[2]++) {
    for (at[1] = 0; at[1] < fixed->size[1]; at[1]++) {
      for (at[0] = 0; at[0] < fixed->size[0]; at[0]++) {
        int64_t voxel = index_of(fixed, at);
        float stayed = fixed->valid[voxel] > 0.0F ? cost_at(fixed, moving, at, still) : HUGE_VALF;
        float moved = cost_at(fixed, moving, at, shift);
        gain[voxel] = isfinite(stayed) && isfinite(moved) ? stayed - moved : 0.0F;
      }
    }
  }
}

bool lvn_reg_drop_static(struct lvn_reg_features *fixed, const struct lvn_reg_features *moving,
                         const double offset_mm[3], double sigma_mm, bool planar, double ret_shift_mm[3],
                         struct lvn_error *err) {
  struct question ask = {.fixed = fixed,
                         .moving = moving,
                         .half = fixed->size[0] / 2 - LVN_REG_SHIFT_REACH,
                         .sigma_mm = sigma_mm,
                         .reach_z = planar ? 0 : LVN_REG_SHIFT_REACH};
  int64_t shift[3];
  double moved_mm = 0.0;
  size_t voxels = (size_t)(fixed->size[0] * fixed->size[1] * fixed->size[2]);
  LVN_AUTOFREE float *gain = lvn_alloc(voxels, sizeof *gain, err);
  LVN_AUTOFREE float *previous = lvn_alloc((size_t)(fixed->size[0] * fixed->size[1]), sizeof *previous, err);
  if (gain == NULL || previous == NULL) {
    return false;
  }
  for (int a = 0; a < 3; a++) {
    ask.still[a] = (int64_t)llround(-offset_mm[a] / fixed->spacing_mm);
  }
  double offset2 = offset_mm[0] * offset_mm[0] + offset_mm[1] * offset_mm[1] + offset_mm[2] * offset_mm[2];
  memcpy(ret_shift_mm, (const double[3]){0.0, 0.0, 0.0}, 3 * sizeof *ret_shift_mm);
  if (offset2 < LEAST_OFFSET_MM * LEAST_OFFSET_MM) {
    return true;
  }
  find_shift(&ask, shift);
  for (int a = 0; a < 3; a++) {
    ret_shift_mm[a] = (double)shift[a] * fixed->spacing_mm;
    moved_mm += (ret_shift_mm[a] + offset_mm[a]) * (ret_shift_mm[a] + offset_mm[a]);
  }
  if (sqrt(moved_mm) < LEAST_MOVED_MM) {
    return true;
  }
  compare_layers(fixed, moving, ask.still, shift, gain);
  lvn_reg_blur(gain, fixed->size, planar, previous);
  lvn_reg_blur(gain, fixed->size, planar, previous);
  for (size_t i = 0; i < voxels; i++) {
    if (gain[i] < -STAYING_MARGIN) {
      fixed->gate[i] = 0.0F;
    }
  }
  return true;
}
