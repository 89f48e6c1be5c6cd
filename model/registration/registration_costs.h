/* What the comparison of two boxes leaves: costs of whole-voxel shifts, block by block. Shared by the comparison
 * (registration_match.c) and the fit (registration_fit.c) alone. */
#ifndef LVN_MODEL_REGISTRATION_COSTS_H
#define LVN_MODEL_REGISTRATION_COSTS_H

#include "model/registration/registration_internal.h"

#define LVN_REG_SIDE (2 * LVN_REG_SHIFT_REACH + 1)
#define LVN_REG_BLOCK_COUNT (LVN_REG_BLOCKS * LVN_REG_BLOCKS * LVN_REG_BLOCKS)

typedef float lvn_reg_vec4 __attribute__((vector_size(16)));

struct lvn_reg_block {
  lvn_reg_vec4 cost[LVN_REG_SHIFTS];
  float covered[LVN_REG_SHIFTS];
  double weight;
  double position_mm[3]; /* sum of weight times place */
};

struct lvn_reg_costs {
  struct lvn_reg_block blocks[LVN_REG_BLOCK_COUNT];
  double centre_mm[3];
  double spacing_mm;
  bool planar;
};

static inline double lvn_reg_block_cost(const struct lvn_reg_block *block, int shift) {
  lvn_reg_vec4 sum = block->cost[shift];
  return ((double)sum[0] + (double)sum[1] + (double)sum[2] + (double)sum[3]) / (double)block->covered[shift];
}

#endif
