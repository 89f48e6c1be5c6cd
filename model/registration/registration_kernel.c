/* One pass over a slice of the fixed box: energy, gradient and Gauss-Newton matrix of the affine parameters. Twelve
 * channels are three vectors of four floats, so that the compiler needs no licence to reorder sums. */
#include "model/registration/registration_internal.h"

#include <math.h>
#include <string.h>

typedef float vec4 __attribute__((vector_size(16)));

#define GROUPS (LVN_REG_CHANNELS / 4)
#define HELD_OUT_BLOCK 4 /* voxels; larger than a descriptor's correlation length */

static bool takes_part(enum lvn_reg_part part, int64_t x, int64_t y, int64_t z) {
  bool held_out = (x / HELD_OUT_BLOCK + y / HELD_OUT_BLOCK + z / HELD_OUT_BLOCK) % 3 == 0;
  return part == LVN_REG_ALL || held_out == (part == LVN_REG_HELD_OUT);
}

/* Where the moving descriptor is read: offset of the lower corner and fractions. False outside or without data. */
static bool locate(const struct lvn_reg_features *moving, const double y_mm[3], int64_t *ret_offset, float t[3]) {
  int64_t base[3];
  for (int a = 0; a < 3; a++) {
    double index = (y_mm[a] - moving->origin_mm[a]) / moving->spacing_mm;
    if (!(index >= 0.0 && index < (double)(moving->size[a] - 1))) {
      return false;
    }
    base[a] = (int64_t)index;
    t[a] = (float)(index - (double)base[a]);
  }
  int64_t row = moving->size[0];
  int64_t slice = row * moving->size[1];
  int64_t offset = (base[2] * moving->size[1] + base[1]) * row + base[0];
  const float *w = moving->weight + offset;
  if (w[0] * w[1] * w[row] * w[row + 1] * w[slice] * w[slice + 1] * w[slice + row] * w[slice + row + 1] <= 0.0F) {
    return false;
  }
  *ret_offset = offset;
  return true;
}

struct point {
  vec4 f[GROUPS];
  vec4 m[GROUPS];
  vec4 gx[GROUPS];
  vec4 gy[GROUPS];
  vec4 gz[GROUPS];
};

static vec4 load(const float *data) {
  vec4 value;
  memcpy(&value, data, sizeof value);
  return value;
}

static void interpolate(const struct lvn_reg_features *moving, int64_t offset, const float t[3], struct point *point) {
  int64_t sy = moving->size[0] * LVN_REG_CHANNELS;
  int64_t sz = sy * moving->size[1];
  const float *corner = moving->data + offset * LVN_REG_CHANNELS;
  for (int g = 0; g < GROUPS; g++, corner += 4) {
    vec4 a000 = load(corner);
    vec4 a010 = load(corner + sy);
    vec4 a001 = load(corner + sz);
    vec4 a011 = load(corner + sz + sy);
    vec4 d00 = load(corner + LVN_REG_CHANNELS) - a000;
    vec4 d10 = load(corner + sy + LVN_REG_CHANNELS) - a010;
    vec4 d01 = load(corner + sz + LVN_REG_CHANNELS) - a001;
    vec4 d11 = load(corner + sz + sy + LVN_REG_CHANNELS) - a011;
    vec4 x00 = a000 + t[0] * d00;
    vec4 x10 = a010 + t[0] * d10;
    vec4 x01 = a001 + t[0] * d01;
    vec4 x11 = a011 + t[0] * d11;
    vec4 y0 = x00 + t[1] * (x10 - x00);
    vec4 y1 = x01 + t[1] * (x11 - x01);
    vec4 dx0 = d00 + t[1] * (d10 - d00);
    vec4 dx1 = d01 + t[1] * (d11 - d01);
    point->m[g] = y0 + t[2] * (y1 - y0);
    point->gx[g] = dx0 + t[2] * (dx1 - dx0);
    point->gy[g] = (x10 - x00) + t[2] * ((x11 - x01) - (x10 - x00));
    point->gz[g] = y1 - y0;
  }
}

static double dot(const vec4 *a, const vec4 *b) {
  vec4 sum = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  return (double)(sum[0] + sum[1] + sum[2] + sum[3]);
}

/* Moments are kept as structure tensor times products of (1, X, Y, Z) and spread into the matrix once per slice. */
struct moments {
  double tensor[6][4][4];
  double force[3][4];
};

static void add_derivatives(const struct point *point, const vec4 *residual, double weight, const double basis[4],
                            struct moments *moments) {
  const vec4 *g[3] = {point->gx, point->gy, point->gz};
  int pair = 0;
  for (int a = 0; a < 3; a++) {
    double force = weight * dot(g[a], residual);
    for (int k = 0; k < 4; k++) {
      moments->force[a][k] += force * basis[k];
    }
    for (int b = a; b < 3; b++, pair++) {
      double value = weight * dot(g[a], g[b]);
      for (int k = 0; k < 4; k++) {
        for (int l = k; l < 4; l++) {
          moments->tensor[pair][k][l] += value * basis[k] * basis[l];
        }
      }
    }
  }
}

/* Parameter of axis a and basis k: translations first, then the linear part row by row. */
static int parameter(int a, int k) {
  return k == 0 ? a : 3 + 3 * a + (k - 1);
}

static void spread_moments(const struct moments *moments, double spacing_mm, struct lvn_reg_sums *sums) {
  int pair = 0;
  for (int a = 0; a < 3; a++) {
    for (int k = 0; k < 4; k++) {
      sums->gradient[parameter(a, k)] = moments->force[a][k] / spacing_mm;
    }
    for (int b = a; b < 3; b++, pair++) {
      for (int k = 0; k < 4; k++) {
        for (int l = 0; l < 4; l++) {
          double value = moments->tensor[pair][k < l ? k : l][k < l ? l : k] / (spacing_mm * spacing_mm);
          sums->hessian[parameter(a, k)][parameter(b, l)] = value;
          sums->hessian[parameter(b, l)][parameter(a, k)] = value;
        }
      }
    }
  }
}

static void add_values(const struct point *point, double weight, struct lvn_reg_sums *sums) {
  for (int c = 0; c < LVN_REG_CHANNELS; c++) {
    sums->f[c] += weight * (double)point->f[c / 4][c % 4];
    sums->m[c] += weight * (double)point->m[c / 4][c % 4];
  }
  sums->ff += weight * dot(point->f, point->f);
  sums->mm += weight * dot(point->m, point->m);
  sums->fm += weight * dot(point->f, point->m);
}

void lvn_reg_sum_slice(const struct lvn_reg_features *fixed, const struct lvn_reg_features *moving,
                       const struct lvn_reg_transform *transform, enum lvn_reg_part part, bool with_derivatives,
                       int64_t z, struct lvn_reg_sums *ret_sums) {
  struct moments moments = {0};
  *ret_sums = (struct lvn_reg_sums){0};
  for (int64_t y = 0; y < fixed->size[1]; y++) {
    for (int64_t x = 0; x < fixed->size[0]; x++) {
      int64_t i = (z * fixed->size[1] + y) * fixed->size[0] + x;
      const int64_t at[3] = {x, y, z};
      double weight = (double)fixed->weight[i];
      double x_mm[3];
      double y_mm[3];
      double basis[4] = {1.0, 0.0, 0.0, 0.0};
      struct point point;
      vec4 residual[GROUPS];
      int64_t offset = 0;
      float t[3];
      if (weight <= 0.0 || !takes_part(part, x, y, z)) {
        continue;
      }
      for (int a = 0; a < 3; a++) {
        x_mm[a] = fixed->origin_mm[a] + (double)at[a] * fixed->spacing_mm;
        basis[a + 1] = (x_mm[a] - transform->centre_mm[a]) / LVN_REG_SCALE_MM;
      }
      lvn_reg_transform_apply(transform, x_mm, y_mm);
      if (!locate(moving, y_mm, &offset, t)) {
        continue;
      }
      interpolate(moving, offset, t, &point);
      for (int g = 0; g < GROUPS; g++) {
        point.f[g] = load(fixed->data + i * LVN_REG_CHANNELS + 4 * g);
        residual[g] = point.m[g] - point.f[g];
      }
      ret_sums->weight += weight;
      ret_sums->energy += weight * dot(residual, residual);
      if (with_derivatives) {
        add_derivatives(&point, residual, weight, basis, &moments);
      } else {
        add_values(&point, weight, ret_sums);
      }
    }
  }
  spread_moments(&moments, moving->spacing_mm, ret_sums);
}

void lvn_reg_sums_add(struct lvn_reg_sums *total, const struct lvn_reg_sums *slice) {
  total->weight += slice->weight;
  total->energy += slice->energy;
  total->ff += slice->ff;
  total->mm += slice->mm;
  total->fm += slice->fm;
  for (int i = 0; i < LVN_REG_PARAMETERS; i++) {
    total->gradient[i] += slice->gradient[i];
    for (int j = 0; j < LVN_REG_PARAMETERS; j++) {
      total->hessian[i][j] += slice->hessian[i][j];
    }
  }
  for (int c = 0; c < LVN_REG_CHANNELS; c++) {
    total->f[c] += slice->f[c];
    total->m[c] += slice->m[c];
  }
}

double lvn_reg_sums_correlation(const struct lvn_reg_sums *sums) {
  if (sums->weight <= 0.0) {
    return 0.0;
  }
  double ff = sums->ff;
  double mm = sums->mm;
  double fm = sums->fm;
  for (int c = 0; c < LVN_REG_CHANNELS; c++) {
    ff -= sums->f[c] * sums->f[c] / sums->weight;
    mm -= sums->m[c] * sums->m[c] / sums->weight;
    fm -= sums->f[c] * sums->m[c] / sums->weight;
  }
  double norm = sqrt(fmax(ff, 0.0) * fmax(mm, 0.0));
  return norm <= 1e-9 * sums->weight ? 0.0 : fmin(1.0, fmax(0.0, fm / norm));
}

bool lvn_reg_solve(double matrix[LVN_REG_PARAMETERS][LVN_REG_PARAMETERS], double vector[LVN_REG_PARAMETERS],
                   int count) {
  for (int i = 0; i < count; i++) {
    for (int j = 0; j <= i; j++) {
      double sum = matrix[i][j];
      for (int k = 0; k < j; k++) {
        sum -= matrix[i][k] * matrix[j][k];
      }
      if (i == j && !(sum > 0.0)) {
        return false;
      }
      matrix[i][j] = i == j ? sqrt(sum) : sum / matrix[j][j];
    }
  }
  for (int i = 0; i < count; i++) {
    for (int k = 0; k < i; k++) {
      vector[i] -= matrix[i][k] * vector[k];
    }
    vector[i] /= matrix[i][i];
  }
  for (int i = count - 1; i >= 0; i--) {
    for (int k = i + 1; k < count; k++) {
      vector[i] -= matrix[k][i] * vector[k];
    }
    vector[i] /= matrix[i][i];
  }
  return true;
}
