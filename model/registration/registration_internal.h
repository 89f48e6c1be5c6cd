/* The parts of the alignment that are plain C: boxes cut from volumes, the transform, and the sums of one Gauss-Newton
 * step. libtorch's 3-D grid_sample has no vector path on the CPU (tens of milliseconds where one pass here takes one),
 * so the inner loop lives here and serves both devices; descriptors and correlation are tensors.
 * Boxes are aligned to the patient axes, isotropic, x innermost. */
#ifndef LVN_MODEL_REGISTRATION_INTERNAL_H
#define LVN_MODEL_REGISTRATION_INTERNAL_H

#include "daemon/base/error.h"
#include "daemon/base/grid.h"
#include "model/registration/registration.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_REG_CHANNELS 12   /* pairs of the six neighbours at a right angle (MIND-SSC) */
#define LVN_REG_PARAMETERS 12 /* translation, then the 3 x 3 linear part */
#define LVN_REG_SCALE_MM 40.0 /* the linear part is measured as displacement at this distance */

/* `value` is clamped HU, 0 where `valid` is 0. Owned. */
struct lvn_reg_box {
  int64_t size[3];
  double spacing_mm;
  double origin_mm[3]; /* patient position of voxel (0,0,0) */
  float *value;
  float *valid;        /* 1 or 0 */
  double valid_low_mm; /* patient z between which slices have measurements; low > high when there is none */
  double valid_high_mm;
};

/* Resample `volume` to a box of half extents `half_mm` about `centre_mm`, averaged before it is thinned out. Padding
 * and what lies outside enter with no weight. */
LVN_MUST_CHECK bool lvn_reg_box_make(const struct lvn_volume *volume, const double centre_mm[3],
                                     const double half_mm[3], double spacing_mm, struct lvn_reg_box *ret_box,
                                     struct lvn_error *err);
void lvn_reg_box_clear(struct lvn_reg_box *box);

/* y = centre + shift + x' + linear x', x' = x - centre shortened to `reach_mm`: what was measured in
 * the neighbourhood is not extrapolated. */
struct lvn_reg_transform {
  double centre_mm[3];
  double shift_mm[3];
  double linear[3][3]; /* displacement per mm */
  double reach_mm;
};
void lvn_reg_transform_identity(const double centre_mm[3], struct lvn_reg_transform *ret_transform);
void lvn_reg_transform_apply(const struct lvn_reg_transform *transform, const double x_mm[3], double ret_y_mm[3]);
LVN_MUST_CHECK bool lvn_reg_wrap(const struct lvn_reg_transform *transform, struct lvn_registration **ret_registration,
                                 struct lvn_error *err);

/* Descriptors of one box: channel-last, 12 floats a voxel, 16-byte aligned. Borrowed. */
struct lvn_reg_features {
  const float *data;
  const float *weight; /* fixed: importance; moving: 1 where the descriptor is made of measurements only, else 0 */
  int64_t size[3];
  double spacing_mm;
  double origin_mm[3];
};

/* Which voxels take part: fitting and judging on different ones tells a better model from a more flexible one. */
enum lvn_reg_part { LVN_REG_ALL, LVN_REG_FIT, LVN_REG_HELD_OUT };

/* Sums of one slice of the fixed box for E = sum w |m(y(x)) - f(x)|^2. */
struct lvn_reg_sums {
  double weight;
  double energy;
  double gradient[LVN_REG_PARAMETERS];
  double hessian[LVN_REG_PARAMETERS][LVN_REG_PARAMETERS];
  /* for the correlation of the descriptors about their channel means */
  double f[LVN_REG_CHANNELS];
  double m[LVN_REG_CHANNELS];
  double ff;
  double mm;
  double fm;
};
void lvn_reg_sum_slice(const struct lvn_reg_features *fixed, const struct lvn_reg_features *moving,
                       const struct lvn_reg_transform *transform, enum lvn_reg_part part, bool with_derivatives,
                       int64_t z, struct lvn_reg_sums *ret_sums);
void lvn_reg_sums_add(struct lvn_reg_sums *total, const struct lvn_reg_sums *slice);
/* Correlation of the descriptors about their channel means, 0..1. */
double lvn_reg_sums_correlation(const struct lvn_reg_sums *sums);
/* Solve the symmetric positive system of the first `count` parameters. False when it is singular. */
LVN_MUST_CHECK bool lvn_reg_solve(double matrix[LVN_REG_PARAMETERS][LVN_REG_PARAMETERS],
                                  double vector[LVN_REG_PARAMETERS], int count);

/* What the decision is made from. */
struct lvn_reg_evidence {
  double similarity; /* correlation after alignment */
  double similarity_before;
  double peak;                   /* how far the best shift stands out: (median - best) / spread of the other shifts */
  double overlap;                /* share of the neighbourhood's weight that the moving phase covers */
  double inverse_consistency_mm; /* NAN when the way back could not be run */
  double model_spread_mm;        /* largest distance between the models' answers at the lesion */
  bool at_border;                /* the best shift lies at the border of the search */
  bool planar;                   /* too few slices for a search across them */
};
/* Fill estimated_error_mm, usable and reason. */
void lvn_reg_judge(const struct lvn_reg_evidence *evidence, double max_error_mm,
                   struct lvn_registration_quality *quality);

#ifdef __cplusplus
}
#endif
#endif
