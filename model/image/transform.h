/* A smooth map from the patient space of one phase to that of another: a shift, and about a centre a linear and a
 * quadratic part. Registration finds it, crops and masks go through it. Patient coordinates (LPS), millimetres. */
#ifndef LVN_MODEL_IMAGE_TRANSFORM_H
#define LVN_MODEL_IMAGE_TRANSFORM_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TRANSFORM_SCALE_MM 40.0 /* what is not plain shift is measured as displacement at this distance */
#define LVN_TRANSFORM_LINEAR_REACH_MM 60.0
#define LVN_TRANSFORM_BASIS 10 /* 1, x, y, z, xx, yy, zz, xy, yz, zx */

/* y = x + shift + sum over k of curve_k basis_k(x - centre). What was measured in the neighbourhood is not
 * extrapolated: basis functions stay what they are at LVN_TRANSFORM_LINEAR_REACH_MM and, of the second degree, at
 * LVN_TRANSFORM_SCALE_MM. */
struct lvn_transform {
  double centre_mm[3];
  double shift_mm[3];
  double curve_mm[LVN_TRANSFORM_BASIS - 1][3];
};
void lvn_transform_about(const double centre_mm[3], struct lvn_transform *ret_transform);
void lvn_transform_basis(const double offset_mm[3], double ret_basis[LVN_TRANSFORM_BASIS]);
/* Of the map's derivative at x; at most 0 where it folds. */
double lvn_transform_determinant(const struct lvn_transform *transform, const double x_mm[3]);
/* The least one on a lattice of the neighbourhood. */
double lvn_transform_least_determinant(const struct lvn_transform *transform);

/* A map of its own on the heap, for holders of one per phase; lvn_transform_destroy() it. */
LVN_MUST_CHECK bool lvn_transform_create(const struct lvn_transform *transform, struct lvn_transform **ret_transform,
                                         struct lvn_error *err);
void lvn_transform_destroy(struct lvn_transform *transform); /* NULL is allowed */
/* Of a phase to itself. */
LVN_MUST_CHECK bool lvn_transform_identity(struct lvn_transform **ret_transform, struct lvn_error *err);
/* A known displacement, patient mm: moving = fixed + shift. */
LVN_MUST_CHECK bool lvn_transform_translation(const double shift_mm[3], struct lvn_transform **ret_transform,
                                              struct lvn_error *err);

/* Where in the moving phase is this point of the fixed phase? Both patient mm. Cheap; any point. */
void lvn_transform_map(const struct lvn_transform *transform, const double fixed_mm[3], double ret_moving_mm[3]);
/* The inverse of lvn_transform_map(), by iteration, to a ten-thousandth of a millimetre. */
void lvn_transform_unmap(const struct lvn_transform *transform, const double moving_mm[3], double ret_fixed_mm[3]);

#ifdef __cplusplus
}
#endif
#endif
