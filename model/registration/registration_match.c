/* Sub-voxel alignment from whole-voxel shifts only. Descriptors read between voxels are smoother, hence seem more
 * alike, and pull every interpolating search towards half-voxel positions; here each block of the neighbourhood is
 * compared at whole shifts, and one affine displacement is fitted to the quadratics through the blocks' costs. */
#include "daemon/base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <string.h>

typedef float vec4 __attribute__((vector_size(16)));

#define GROUPS (LVN_REG_CHANNELS / 4)
#define SIDE (2 * LVN_REG_SHIFT_REACH + 1)
#define QUADRATIC_TERMS 10
#define FIT_ROUNDS 10

struct block {
  vec4 cost[LVN_REG_SHIFTS];
  float covered[LVN_REG_SHIFTS];
  double weight;
  double position_mm[3]; /* sum, then mean, of weight times place */
};

struct lvn_reg_costs {
  struct block blocks[LVN_REG_BLOCKS * LVN_REG_BLOCKS * LVN_REG_BLOCKS];
  double centre_mm[3];
  double spacing_mm;
  bool planar;
};

static vec4 load(const float *data) {
  vec4 value;
  memcpy(&value, data, sizeof value);
  return value;
}

static double total(vec4 value) {
  return (double)value[0] + (double)value[1] + (double)value[2] + (double)value[3];
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
                      float weight, bool planar, struct block *block) {
  const float *f = fixed->data + voxel * LVN_REG_CHANNELS;
  vec4 f0 = load(f);
  vec4 f1 = load(f + 4);
  vec4 f2 = load(f + 8);
  int low = planar ? 0 : -LVN_REG_SHIFT_REACH;
  for (int dz = low; dz <= -low; dz++) {
    for (int dy = -LVN_REG_SHIFT_REACH; dy <= LVN_REG_SHIFT_REACH; dy++) {
      int64_t at = voxel + (dz * moving->size[1] + dy) * moving->size[0] - LVN_REG_SHIFT_REACH;
      int shift = ((dz + LVN_REG_SHIFT_REACH) * SIDE + dy + LVN_REG_SHIFT_REACH) * SIDE;
      const float *m = moving->data + at * LVN_REG_CHANNELS;
      for (int dx = 0; dx < SIDE; dx++, m += LVN_REG_CHANNELS) {
        float share = weight * moving->valid[at + dx];
        vec4 d0 = load(m) - f0;
        vec4 d1 = load(m + 4) - f1;
        vec4 d2 = load(m + 8) - f2;
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
        struct block *block = &costs->blocks[block_index];
        add_voxel(fixed, moving, voxel, (float)weight, costs->planar, block);
        block->weight += weight;
        for (int a = 0; a < 3; a++) {
          block->position_mm[a] += weight * from_centre_mm[a];
        }
      }
    }
  }
}

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
static bool fit_quadratic(const struct block *block, const double at[3], bool planar, struct quadratic *ret_fit) {
  double matrix[QUADRATIC_TERMS * QUADRATIC_TERMS] = {0};
  double vector[QUADRATIC_TERMS] = {0};
  int terms = planar ? 6 : QUADRATIC_TERMS;
  double full = block->weight;
  for (int shift = 0; shift < LVN_REG_SHIFTS; shift++) {
    const int index[3] = {shift % SIDE, shift / SIDE % SIDE, shift / (SIDE * SIDE)};
    double d[3];
    double r2 = 0.0;
    for (int a = 0; a < 3; a++) {
      d[a] = (double)(index[a] - LVN_REG_SHIFT_REACH) - at[a];
      r2 += d[a] * d[a];
    }
    if (r2 > 6.0 || (double)block->covered[shift] < 0.5 * full) {
      continue;
    }
    double weight = exp(-0.5 * r2);
    double cost = total(block->cost[shift]) / (double)block->covered[shift];
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

/* Parameters: translation in mm, then the linear part row by row, as displacement at LVN_REG_SCALE_MM. */
struct system {
  double matrix[LVN_REG_PARAMETERS * LVN_REG_PARAMETERS];
  double vector[LVN_REG_PARAMETERS];
  double value;
  double weight;
};

static void add_block(const struct block *block, const double parameters[LVN_REG_PARAMETERS], double spacing_mm,
                      bool planar, struct system *system) {
  double basis[4] = {1.0};
  double at[3];
  struct quadratic fit;
  for (int a = 0; a < 3; a++) {
    basis[a + 1] = block->position_mm[a] / block->weight / LVN_REG_SCALE_MM;
  }
  for (int a = 0; a < 3; a++) {
    at[a] = 0.0;
    for (int k = 0; k < 4; k++) {
      at[a] += basis[k] * parameters[k == 0 ? a : 2 + 3 * a + k] / spacing_mm;
    }
    at[a] = fmin(LVN_REG_SHIFT_REACH - 0.5, fmax(-(LVN_REG_SHIFT_REACH - 0.5), at[a]));
  }
  if (!fit_quadratic(block, at, planar, &fit)) {
    return;
  }
  system->weight += block->weight;
  system->value += block->weight * fit.value;
  for (int a = 0; a < 3; a++) {
    for (int k = 0; k < 4; k++) {
      int i = k == 0 ? a : 2 + 3 * a + k;
      system->vector[i] -= block->weight * basis[k] * fit.gradient[a] / spacing_mm;
      for (int b = 0; b < 3; b++) {
        for (int l = 0; l < 4; l++) {
          system->matrix[i * LVN_REG_PARAMETERS + (l == 0 ? b : 2 + 3 * b + l)] +=
              block->weight * basis[k] * basis[l] * fit.hessian[a][b] / (spacing_mm * spacing_mm);
        }
      }
    }
  }
}

static void build_system(const struct lvn_reg_costs *costs, const double parameters[LVN_REG_PARAMETERS], double prior,
                         struct system *system) {
  *system = (struct system){0};
  for (size_t b = 0; b < sizeof costs->blocks / sizeof costs->blocks[0]; b++) {
    if (costs->blocks[b].weight > 0.0) {
      add_block(&costs->blocks[b], parameters, costs->spacing_mm, costs->planar, system);
    }
  }
  if (system->weight <= 0.0) {
    return;
  }
  for (int i = 0; i < LVN_REG_PARAMETERS; i++) {
    for (int j = 0; j < LVN_REG_PARAMETERS; j++) {
      system->matrix[i * LVN_REG_PARAMETERS + j] /= system->weight;
    }
    system->vector[i] /= system->weight;
    if (i >= 3) {
      system->matrix[i * (LVN_REG_PARAMETERS + 1)] += 2.0 * prior;
      system->vector[i] -= 2.0 * prior * parameters[i];
    }
  }
  system->value /= system->weight;
}

/* One damped Newton step of the first `count` parameters; damping grows until the system is positive. */
static bool step(const struct system *system, int count, double parameters[LVN_REG_PARAMETERS], double *ret_length_mm) {
  double trace = 0.0;
  for (int i = 0; i < count; i++) {
    trace += fabs(system->matrix[i * (LVN_REG_PARAMETERS + 1)]) / count;
  }
  for (double damping = 1e-3; damping < 1e3; damping *= 4.0) {
    double matrix[LVN_REG_PARAMETERS * LVN_REG_PARAMETERS] = {0};
    double vector[LVN_REG_PARAMETERS] = {0};
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < count; j++) {
        matrix[i * count + j] = system->matrix[i * LVN_REG_PARAMETERS + j];
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

bool lvn_reg_costs_fit(const struct lvn_reg_costs *costs, enum lvn_reg_model model, double prior,
                       struct lvn_reg_transform *transform, double *ret_cost) {
  double parameters[LVN_REG_PARAMETERS] = {0};
  double length_mm = HUGE_VAL;
  int count = costs->planar ? 2 : (model == LVN_REG_TRANSLATION ? 3 : LVN_REG_PARAMETERS);
  struct system system;
  for (int a = 0; a < 3; a++) {
    parameters[a] = transform->shift_mm[a];
    for (int b = 0; b < 3; b++) {
      parameters[3 + 3 * a + b] = transform->linear[a][b] * LVN_REG_SCALE_MM;
    }
  }
  for (int round = 0; round < FIT_ROUNDS && length_mm > 0.01; round++) {
    build_system(costs, parameters, prior, &system);
    if (system.weight <= 0.0 || !step(&system, count, parameters, &length_mm)) {
      return false;
    }
  }
  build_system(costs, parameters, prior, &system);
  *ret_cost = system.value;
  for (int a = 0; a < 3; a++) {
    if (fabs(parameters[a]) > LVN_REG_SHIFT_REACH * costs->spacing_mm) {
      return false;
    }
    transform->shift_mm[a] = parameters[a];
    for (int b = 0; b < 3; b++) {
      transform->linear[a][b] = parameters[3 + 3 * a + b] / LVN_REG_SCALE_MM;
    }
  }
  return true;
}

#define AGREE_VOXELS 1.6 /* of a whole shift: by chance 5 % of the shifts in reach lie as near */

/* What one block says by itself, against where the transform puts it (`at`, voxels). */
struct opinion {
  double mean; /* cost of the shifts in reach */
  double best;
  double there; /* cost at the shift nearest to `at` */
  bool agrees;
};

static bool ask_block(const struct block *block, const double at[3], int axes, struct opinion *ret_opinion) {
  struct opinion out = {.best = HUGE_VAL};
  double count = 0.0;
  double nearest = HUGE_VAL;
  for (int shift = 0; shift < LVN_REG_SHIFTS; shift++) {
    const int index[3] = {shift % SIDE, shift / SIDE % SIDE, shift / (SIDE * SIDE)};
    double d2 = 0.0;
    if (!((double)block->covered[shift] >= 0.5 * block->weight)) {
      continue;
    }
    for (int a = 0; a < axes && a < 3; a++) {
      double d = (double)(index[a] - LVN_REG_SHIFT_REACH) - at[a];
      d2 += d * d;
    }
    double cost = total(block->cost[shift]) / (double)block->covered[shift];
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
  return count >= SIDE * SIDE / 2.0;
}

void lvn_reg_costs_ask(const struct lvn_reg_costs *costs, const struct lvn_reg_transform *transform,
                       double *ret_agreement, double *ret_contrast) {
  double weight_sum = 0.0;
  double agreed = 0.0;
  double mean_sum = 0.0;
  double there_sum = 0.0;
  for (size_t b = 0; b < sizeof costs->blocks / sizeof costs->blocks[0]; b++) {
    const struct block *block = &costs->blocks[b];
    struct opinion opinion;
    double at[3];
    if (!(block->weight > 0.0)) {
      continue;
    }
    for (int a = 0; a < 3; a++) {
      at[a] = transform->shift_mm[a];
      for (int k = 0; k < 3; k++) {
        at[a] += transform->linear[a][k] * block->position_mm[k] / block->weight;
      }
      at[a] /= costs->spacing_mm;
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

struct sums {
  double weight;
  double f[LVN_REG_CHANNELS];
  double m[LVN_REG_CHANNELS];
  double ff;
  double mm;
  double fm;
};

static void add_pair(const float *f, const float *m, double weight, struct sums *sums) {
  sums->weight += weight;
  for (int c = 0; c < LVN_REG_CHANNELS; c++) {
    double wf = weight * (double)f[c];
    double wm = weight * (double)m[c];
    sums->f[c] += wf;
    sums->m[c] += wm;
    sums->ff += wf * (double)f[c];
    sums->mm += wm * (double)m[c];
    sums->fm += wf * (double)m[c];
  }
}

static double correlation_of(struct sums *sums) {
  if (sums->weight <= 0.0) {
    return 0.0;
  }
  for (int c = 0; c < LVN_REG_CHANNELS; c++) {
    sums->ff -= sums->f[c] * sums->f[c] / sums->weight;
    sums->mm -= sums->m[c] * sums->m[c] / sums->weight;
    sums->fm -= sums->f[c] * sums->m[c] / sums->weight;
  }
  double norm = sqrt(fmax(sums->ff, 0.0) * fmax(sums->mm, 0.0));
  return norm <= 1e-9 * sums->weight ? 0.0 : fmin(1.0, fmax(0.0, sums->fm / norm));
}

/* The nearest voxel, not a value between: interpolation alone would raise the likeness. */
static int64_t nearest(const struct lvn_reg_features *features, const double at_mm[3]) {
  int64_t voxel = 0;
  for (int a = 2; a >= 0; a--) {
    double index = floor((at_mm[a] - features->origin_mm[a]) / features->spacing_mm + 0.5);
    if (!(index >= 0.0 && index < (double)features->size[a])) {
      return -1;
    }
    voxel = voxel * features->size[a] + (int64_t)index;
  }
  return features->valid[voxel] > 0.0F ? voxel : -1;
}

double lvn_reg_correlation(const struct lvn_reg_features *fixed, const struct lvn_reg_features *moving,
                           const struct lvn_reg_transform *transform, double sigma_mm) {
  struct sums sums = {0};
  int64_t voxels = fixed->size[0] * fixed->size[1] * fixed->size[2];
  for (int64_t i = 0; i < voxels; i++) {
    const int64_t at[3] = {i % fixed->size[0], i / fixed->size[0] % fixed->size[1],
                           i / (fixed->size[0] * fixed->size[1])};
    double x_mm[3];
    double y_mm[3];
    double from_centre_mm[3];
    if (fixed->gate[i] <= 0.0F || (at[0] + at[1] + at[2]) % 2 != 0) {
      continue;
    }
    for (int a = 0; a < 3; a++) {
      x_mm[a] = fixed->origin_mm[a] + (double)at[a] * fixed->spacing_mm;
      from_centre_mm[a] = x_mm[a] - transform->centre_mm[a];
    }
    double weight = lvn_reg_importance(fixed, i, from_centre_mm, sigma_mm);
    lvn_reg_transform_apply(transform, x_mm, y_mm);
    int64_t there = weight > 1e-3 ? nearest(moving, y_mm) : -1;
    if (there >= 0) {
      add_pair(fixed->data + i * LVN_REG_CHANNELS, moving->data + there * LVN_REG_CHANNELS, weight, &sums);
    }
  }
  return correlation_of(&sums);
}
