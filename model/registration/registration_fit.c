/* Sub-voxel alignment from whole-voxel shifts only. Descriptors read between voxels are smoother, hence seem more
 * alike, and pull every interpolating search towards half-voxel positions; here one displacement, of more or fewer
 * parameters, is fitted to the quadratics through the blocks' costs. */
#include "base/memory.h"
#include "model/registration/registration_costs.h"

#include <math.h>
#include <string.h>

#define QUADRATIC_TERMS 10
#define FIT_ROUNDS 10
#define PARAMETERS (3 * LVN_TRANSFORM_BASIS)

/* Cholesky. False when the matrix is not positive. */
static bool solve(double *matrix, double *vector, int count) {
  for (int i = 0; i < count; i++) {
    for (int j = 0; j <= i; j++) {
      double sum = matrix[i * count + j];
      for (int k = 0; k < j; k++) {
        sum -= matrix[i * count + k] * matrix[j * count + k];
      }
      if (i == j && !(sum > 1e-12)) {
        return false;
      }
      matrix[i * count + j] = i == j ? sqrt(sum) : sum / matrix[j * count + j];
    }
  }
  for (int i = 0; i < count; i++) {
    for (int k = 0; k < i; k++) {
      vector[i] -= matrix[i * count + k] * vector[k];
    }
    vector[i] /= matrix[i * count + i];
  }
  for (int i = count - 1; i >= 0; i--) {
    for (int k = i + 1; k < count; k++) {
      vector[i] -= matrix[k * count + i] * vector[k];
    }
    vector[i] /= matrix[i * count + i];
  }
  return true;
}

struct quadratic {
  double value;
  double gradient[3];
  double hessian[3][3];
};

/* Least squares through the costs near `at` (voxels). False where too few shifts are covered. */
static bool fit_quadratic(const struct lvn_reg_block *block, const double at[3], bool planar,
                          struct quadratic *ret_fit) {
  double matrix[QUADRATIC_TERMS * QUADRATIC_TERMS] = {0};
  double vector[QUADRATIC_TERMS] = {0};
  int terms = planar ? 6 : QUADRATIC_TERMS;
  for (int shift = 0; shift < LVN_REG_SHIFTS; shift++) {
    const int index[3] = {shift % LVN_REG_SIDE, shift / LVN_REG_SIDE % LVN_REG_SIDE,
                          shift / (LVN_REG_SIDE * LVN_REG_SIDE)};
    double d[3];
    double r2 = 0.0;
    for (int a = 0; a < 3; a++) {
      d[a] = (double)(index[a] - LVN_REG_SHIFT_REACH) - at[a];
      r2 += d[a] * d[a];
    }
    if (r2 > 6.0 || (double)block->covered[shift] < 0.5 * block->weight) {
      continue;
    }
    double weight = exp(-0.5 * r2);
    double cost = lvn_reg_block_cost(block, shift);
    const double term[QUADRATIC_TERMS] = {
        1.0,         d[0],       d[1], 0.5 * d[0] * d[0], 0.5 * d[1] * d[1], d[0] * d[1], d[2], 0.5 * d[2] * d[2],
        d[0] * d[2], d[1] * d[2]};
    for (int i = 0; i < terms; i++) {
      for (int j = 0; j <= i; j++) {
        matrix[i * terms + j] += weight * term[i] * term[j];
      }
      vector[i] += weight * term[i] * cost;
    }
  }
  if (!solve(matrix, vector, terms)) {
    return false;
  }
  const double *v = vector;
  *ret_fit = (struct quadratic){v[0], {v[1], v[2], v[6]}, {{v[3], v[5], v[8]}, {v[5], v[4], v[9]}, {v[8], v[9], v[7]}}};
  return true;
}

/* Parameter 3 k + a is what basis function k, 1 at the most at LVN_TRANSFORM_SCALE_MM, moves along axis a, in mm. */
struct system {
  double matrix[PARAMETERS * PARAMETERS];
  double vector[PARAMETERS];
  double value;
  double weight;
};

static void add_block(const struct lvn_reg_block *block, const double *parameters, int functions, double spacing_mm,
                      bool planar, struct system *system) {
  double offset_mm[3];
  double basis[LVN_TRANSFORM_BASIS];
  double at[3];
  struct quadratic fit;
  for (int a = 0; a < 3; a++) {
    offset_mm[a] = block->position_mm[a] / block->weight;
  }
  lvn_transform_basis(offset_mm, basis);
  for (int a = 0; a < 3; a++) {
    at[a] = 0.0;
    for (int k = 0; k < LVN_TRANSFORM_BASIS; k++) {
      at[a] += basis[k] * parameters[3 * k + a] / spacing_mm;
    }
    at[a] = fmin(LVN_REG_SHIFT_REACH - 0.5, fmax(-(LVN_REG_SHIFT_REACH - 0.5), at[a]));
  }
  if (!fit_quadratic(block, at, planar, &fit)) {
    return;
  }
  system->weight += block->weight;
  system->value += block->weight * fit.value;
  for (int i = 0; i < 3 * functions; i++) {
    double slope = block->weight * basis[i / 3] / spacing_mm;
    system->vector[i] -= slope * fit.gradient[i % 3];
    for (int j = 0; j < 3 * functions; j++) {
      system->matrix[i * PARAMETERS + j] += slope * basis[j / 3] * fit.hessian[i % 3][j % 3] / spacing_mm;
    }
  }
}

/* Neighbouring blocks are of different parts, as on a chess-board. */
static bool is_in(int block, enum lvn_reg_part part) {
  int colour = block + block / LVN_REG_BLOCKS + block / (LVN_REG_BLOCKS * LVN_REG_BLOCKS);
  return part == LVN_REG_ALL || colour % 2 == (part == LVN_REG_ODD);
}

static void build_system(const struct lvn_reg_costs *costs, const double *parameters, int functions,
                         enum lvn_reg_part part, double prior, struct system *system) {
  *system = (struct system){0};
  for (int b = 0; b < LVN_REG_BLOCK_COUNT; b++) {
    if (costs->blocks[b].weight > 0.0 && is_in(b, part)) {
      add_block(&costs->blocks[b], parameters, functions, costs->spacing_mm, costs->planar, system);
    }
  }
  if (system->weight <= 0.0) {
    return;
  }
  for (int i = 0; i < 3 * functions; i++) {
    for (int j = 0; j < 3 * functions; j++) {
      system->matrix[i * PARAMETERS + j] /= system->weight;
    }
    system->vector[i] /= system->weight;
    if (i >= 3) {
      system->matrix[i * (PARAMETERS + 1)] += 2.0 * prior;
      system->vector[i] -= 2.0 * prior * parameters[i];
    }
  }
  system->value /= system->weight;
}

/* One damped Newton step of the first `count` parameters; damping grows until the system is positive. */
static bool step(const struct system *system, int count, double *parameters, double *ret_length_mm) {
  double trace = 0.0;
  for (int i = 0; i < count; i++) {
    trace += fabs(system->matrix[i * (PARAMETERS + 1)]) / count;
  }
  for (double damping = 1e-3; damping < 1e3; damping *= 4.0) {
    double matrix[PARAMETERS * PARAMETERS] = {0};
    double vector[PARAMETERS] = {0};
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < count; j++) {
        matrix[i * count + j] = system->matrix[i * PARAMETERS + j];
      }
      matrix[i * count + i] += damping * trace + 1e-9;
      vector[i] = system->vector[i];
    }
    if (!solve(matrix, vector, count)) {
      continue;
    }
    *ret_length_mm = 0.0;
    for (int i = 0; i < count; i++) {
      *ret_length_mm = fmax(*ret_length_mm, fabs(vector[i]));
    }
    double shorten = fmin(1.0, 2.0 / fmax(*ret_length_mm, 1e-9)); /* the quadratics hold for a voxel or so */
    for (int i = 0; i < count; i++) {
      parameters[i] += shorten * vector[i];
    }
    return true;
  }
  return false;
}

static void to_parameters(const struct lvn_transform *transform, double parameters[PARAMETERS]) {
  memcpy(parameters, transform->shift_mm, sizeof transform->shift_mm);
  memcpy(parameters + 3, transform->curve_mm, sizeof transform->curve_mm);
}

bool lvn_reg_costs_fit(const struct lvn_reg_costs *costs, enum lvn_reg_model model, enum lvn_reg_part part,
                       double prior, struct lvn_transform *transform) {
  static const int functions_of[] = {
      [LVN_REG_TRANSLATION] = 1, [LVN_REG_AFFINE] = LVN_REG_AFFINE_BASIS, [LVN_REG_CURVED] = LVN_TRANSFORM_BASIS};
  double parameters[PARAMETERS];
  double length_mm = HUGE_VAL;
  int functions = functions_of[model];
  struct system system;
  struct lvn_transform fitted = *transform;
  to_parameters(transform, parameters);
  for (int round = 0; round < FIT_ROUNDS && length_mm > 0.01; round++) {
    build_system(costs, parameters, functions, part, prior, &system);
    if (system.weight <= 0.0 || !step(&system, costs->planar ? 2 : 3 * functions, parameters, &length_mm)) {
      return false;
    }
  }
  for (int a = 0; a < 3; a++) {
    if (!(fabs(parameters[a]) <= LVN_REG_SHIFT_REACH * costs->spacing_mm)) {
      return false;
    }
  }
  memcpy(fitted.shift_mm, parameters, sizeof fitted.shift_mm);
  memcpy(fitted.curve_mm, parameters + 3, sizeof fitted.curve_mm);
  if (lvn_transform_least_determinant(&fitted) < LVN_REG_LEAST_DETERMINANT) {
    return false;
  }
  *transform = fitted;
  return true;
}

double lvn_reg_costs_value(const struct lvn_reg_costs *costs, const struct lvn_transform *transform,
                           enum lvn_reg_part part) {
  double parameters[PARAMETERS];
  struct system system;
  for (int a = 0; a < 3; a++) {
    if (!(fabs(transform->shift_mm[a]) <= LVN_REG_SHIFT_REACH * costs->spacing_mm)) {
      return HUGE_VAL;
    }
  }
  to_parameters(transform, parameters);
  build_system(costs, parameters, 0, part, 0.0, &system);
  return system.weight > 0.0 ? system.value : HUGE_VAL;
}
