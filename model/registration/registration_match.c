/* Each block of the neighbourhood is compared at whole shifts, and asked what it thinks of a transform. */
#include "base/memory.h"
#include "model/registration/registration_costs.h"

#include <math.h>
#include <string.h>

static lvn_reg_vec4 load(const float *data) {
  lvn_reg_vec4 value;
  memcpy(&value, data, sizeof value);
  return value;
}

double lvn_reg_importance(const struct lvn_reg_features *features, int64_t voxel, const double from_centre_mm[3],
                          double sigma_mm) {
  double r2 = from_centre_mm[0] * from_centre_mm[0] + from_centre_mm[1] * from_centre_mm[1] +
              from_centre_mm[2] * from_centre_mm[2];
  return features->gate[voxel] <= 0.0F ? 0.0 : exp(-0.5 * r2 / (sigma_mm * sigma_mm));
}

bool lvn_reg_costs_create(const double centre_mm[3], double spacing_mm, bool planar, struct lvn_reg_costs **ret_costs,
                          struct lvn_error *err) {
  struct lvn_reg_costs *costs = lvn_alloc(1, sizeof *costs, err);
  if (costs == NULL) {
    return false;
  }
  memcpy(costs->centre_mm, centre_mm, sizeof costs->centre_mm);
  costs->spacing_mm = spacing_mm;
  costs->planar = planar;
  *ret_costs = costs;
  return true;
}

void lvn_reg_costs_destroy(struct lvn_reg_costs *costs) {
  lvn_free(costs);
}

/* One fixed voxel against every whole shift within reach. */
static void add_voxel(const struct lvn_reg_features *fixed, const struct lvn_reg_features *moving, int64_t voxel,
                      float weight, bool planar, struct lvn_reg_block *block) {
  const float *f = fixed->data + voxel * LVN_REG_CHANNELS;
  lvn_reg_vec4 f0 = load(f);
  lvn_reg_vec4 f1 = load(f + 4);
  lvn_reg_vec4 f2 = load(f + 8);
  int low = planar ? 0 : -LVN_REG_SHIFT_REACH;
  for (int dz = low; dz <= -low; dz++) {
    for (int dy = -LVN_REG_SHIFT_REACH; dy <= LVN_REG_SHIFT_REACH; dy++) {
      int64_t at = voxel + (dz * moving->size[1] + dy) * moving->size[0] - LVN_REG_SHIFT_REACH;
      int shift = ((dz + LVN_REG_SHIFT_REACH) * LVN_REG_SIDE + dy + LVN_REG_SHIFT_REACH) * LVN_REG_SIDE;
      const float *m = moving->data + at * LVN_REG_CHANNELS;
      for (int dx = 0; dx < LVN_REG_SIDE; dx++, m += LVN_REG_CHANNELS) {
        float share = weight * moving->valid[at + dx];
        lvn_reg_vec4 d0 = load(m) - f0;
        lvn_reg_vec4 d1 = load(m + 4) - f1;
        lvn_reg_vec4 d2 = load(m + 8) - f2;
        block->cost[shift + dx] += share * (d0 * d0 + d1 * d1 + d2 * d2);
        block->covered[shift + dx] += share;
      }
    }
  }
}

void lvn_reg_costs_add_layer(struct lvn_reg_costs *costs, const struct lvn_reg_features *fixed,
                             const struct lvn_reg_features *moving, double sigma_mm, int layer) {
  int64_t inner[3];
  for (int a = 0; a < 3; a++) {
    inner[a] = fixed->size[a] - 2 * LVN_REG_SHIFT_REACH;
  }
  for (int64_t z = 0; z < inner[2]; z++) {
    if (z * LVN_REG_BLOCKS / inner[2] != layer) {
      continue;
    }
    for (int64_t y = 0; y < inner[1]; y++) {
      /* Descriptors are blurred: every other voxel, as on a chess-board, tells all. */
      for (int64_t x = (y + z) % 2; x < inner[0]; x += 2) {
        int64_t voxel = ((z + LVN_REG_SHIFT_REACH) * fixed->size[1] + y + LVN_REG_SHIFT_REACH) * fixed->size[0] + x +
                        LVN_REG_SHIFT_REACH;
        const int64_t at[3] = {x, y, z};
        double from_centre_mm[3];
        int64_t block_index = layer;
        for (int a = 2; a >= 0; a--) {
          from_centre_mm[a] = ((double)at[a] - (double)(inner[a] - 1) / 2.0) * fixed->spacing_mm;
          block_index = a == 2 ? layer : block_index * LVN_REG_BLOCKS + at[a] * LVN_REG_BLOCKS / inner[a];
        }
        double weight = lvn_reg_importance(fixed, voxel, from_centre_mm, sigma_mm);
        if (weight <= 0.0) {
          continue;
        }
        struct lvn_reg_block *block = &costs->blocks[block_index];
        add_voxel(fixed, moving, voxel, (float)weight, costs->planar, block);
        block->weight += weight;
        for (int a = 0; a < 3; a++) {
          block->position_mm[a] += weight * from_centre_mm[a];
        }
      }
    }
  }
}

#define AGREE_VOXELS 1.6 /* of a whole shift: by chance 5 % of the shifts in reach lie as near */

/* What one block says by itself, against where the transform puts it (`at`, voxels). */
struct opinion {
  double mean; /* cost of the shifts in reach */
  double best;
  double there; /* cost at the shift nearest to `at` */
  bool agrees;
};

static bool ask_block(const struct lvn_reg_block *block, const double at[3], int axes, struct opinion *ret_opinion) {
  struct opinion out = {.best = HUGE_VAL};
  double count = 0.0;
  double nearest = HUGE_VAL;
  for (int shift = 0; shift < LVN_REG_SHIFTS; shift++) {
    const int index[3] = {shift % LVN_REG_SIDE, shift / LVN_REG_SIDE % LVN_REG_SIDE,
                          shift / (LVN_REG_SIDE * LVN_REG_SIDE)};
    double d2 = 0.0;
    if (!((double)block->covered[shift] >= 0.5 * block->weight)) {
      continue;
    }
    for (int a = 0; a < axes && a < 3; a++) {
      double d = (double)(index[a] - LVN_REG_SHIFT_REACH) - at[a];
      d2 += d * d;
    }
    double cost = lvn_reg_block_cost(block, shift);
    out.mean += cost;
    count += 1.0;
    if (cost < out.best) {
      out.best = cost;
      out.agrees = d2 <= AGREE_VOXELS * AGREE_VOXELS;
    }
    if (d2 < nearest) {
      nearest = d2;
      out.there = cost;
    }
  }
  out.mean /= fmax(1.0, count);
  *ret_opinion = out;
  return count >= LVN_REG_SIDE * LVN_REG_SIDE / 2.0;
}

void lvn_reg_costs_ask(const struct lvn_reg_costs *costs, const struct lvn_transform *transform, double *ret_agreement,
                       double *ret_contrast) {
  double weight_sum = 0.0;
  double agreed = 0.0;
  double mean_sum = 0.0;
  double there_sum = 0.0;
  for (size_t b = 0; b < LVN_REG_BLOCK_COUNT; b++) {
    const struct lvn_reg_block *block = &costs->blocks[b];
    struct opinion opinion;
    double at[3];
    if (!(block->weight > 0.0)) {
      continue;
    }
    double place_mm[3];
    for (int a = 0; a < 3; a++) {
      place_mm[a] = transform->centre_mm[a] + block->position_mm[a] / block->weight;
    }
    lvn_transform_map(transform, place_mm, at);
    for (int a = 0; a < 3; a++) {
      at[a] = (at[a] - place_mm[a]) / costs->spacing_mm;
    }
    if (ask_block(block, at, costs->planar ? 2 : 3, &opinion)) {
      /* Flat blocks have no opinion. */
      double weight = block->weight * (opinion.mean - opinion.best);
      weight_sum += weight;
      agreed += opinion.agrees ? weight : 0.0;
      mean_sum += block->weight * opinion.mean;
      there_sum += block->weight * opinion.there;
    }
  }
  *ret_agreement = weight_sum > 0.0 ? agreed / weight_sum : 0.0;
  *ret_contrast = mean_sum > 0.0 ? 1.0 - there_sum / mean_sum : 0.0;
}
