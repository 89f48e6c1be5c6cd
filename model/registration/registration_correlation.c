/* How alike two boxes of descriptors are under a transform. */
#include "model/registration/registration_internal.h"

#include <math.h>

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
                           const struct lvn_transform *transform, double sigma_mm) {
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
    lvn_transform_map(transform, x_mm, y_mm);
    int64_t there = weight > 1e-3 ? nearest(moving, y_mm) : -1;
    if (there >= 0) {
      add_pair(fixed->data + i * LVN_REG_CHANNELS, moving->data + there * LVN_REG_CHANNELS, weight, &sums);
    }
  }
  return correlation_of(&sums);
}
