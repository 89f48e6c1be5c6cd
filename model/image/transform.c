#include "model/image/transform.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define UNMAP_ROUNDS 30
#define UNMAP_MM 1e-4

void lvn_transform_about(const double centre_mm[3], struct lvn_transform *ret_transform) {
  *ret_transform = (struct lvn_transform){0};
  memcpy(ret_transform->centre_mm, centre_mm, sizeof ret_transform->centre_mm);
}

void lvn_transform_basis(const double offset_mm[3], double ret_basis[LVN_TRANSFORM_BASIS]) {
  double u[3];
  double length_mm = sqrt(offset_mm[0] * offset_mm[0] + offset_mm[1] * offset_mm[1] + offset_mm[2] * offset_mm[2]);
  double linear = length_mm > LVN_TRANSFORM_LINEAR_REACH_MM ? LVN_TRANSFORM_LINEAR_REACH_MM / length_mm : 1.0;
  double curved = length_mm > LVN_TRANSFORM_SCALE_MM ? LVN_TRANSFORM_SCALE_MM / length_mm : 1.0;
  ret_basis[0] = 1.0;
  for (int a = 0; a < 3; a++) {
    ret_basis[1 + a] = offset_mm[a] * linear / LVN_TRANSFORM_SCALE_MM;
    u[a] = offset_mm[a] * curved / LVN_TRANSFORM_SCALE_MM;
  }
  for (int a = 0; a < 3; a++) {
    ret_basis[4 + a] = u[a] * u[a];
    ret_basis[7 + a] = u[a] * u[(a + 1) % 3];
  }
}

void lvn_transform_map(const struct lvn_transform *transform, const double x_mm[3], double ret_y_mm[3]) {
  double offset_mm[3];
  double basis[LVN_TRANSFORM_BASIS];
  for (int a = 0; a < 3; a++) {
    offset_mm[a] = x_mm[a] - transform->centre_mm[a];
  }
  lvn_transform_basis(offset_mm, basis);
  for (int a = 0; a < 3; a++) {
    double moved = x_mm[a] + transform->shift_mm[a];
    for (int k = 1; k < LVN_TRANSFORM_BASIS; k++) {
      moved += transform->curve_mm[k - 1][a] * basis[k];
    }
    ret_y_mm[a] = moved;
  }
}

double lvn_transform_determinant(const struct lvn_transform *transform, const double x_mm[3]) {
  double m[3]
          [3]; /* by differences over 1 mm: the parts are polynomials of the second degree, for which they are exact */
  for (int b = 0; b < 3; b++) {
    double low[3] = {x_mm[0], x_mm[1], x_mm[2]};
    double high[3] = {x_mm[0], x_mm[1], x_mm[2]};
    double y_low[3];
    double y_high[3];
    low[b] -= 0.5;
    high[b] += 0.5;
    lvn_transform_map(transform, low, y_low);
    lvn_transform_map(transform, high, y_high);
    for (int a = 0; a < 3; a++) {
      m[a][b] = y_high[a] - y_low[a];
    }
  }
  return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
         m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

double lvn_transform_least_determinant(const struct lvn_transform *transform) {
  double least = HUGE_VAL;
  for (int place = 0; place < 125; place++) {
    const int step[3] = {place % 5 - 2, place / 5 % 5 - 2, place / 25 - 2};
    double x_mm[3];
    for (int a = 0; a < 3; a++) {
      x_mm[a] = transform->centre_mm[a] + LVN_TRANSFORM_SCALE_MM / 2.0 * step[a];
    }
    least = fmin(least, lvn_transform_determinant(transform, x_mm));
  }
  return least;
}

bool lvn_transform_create(const struct lvn_transform *transform, struct lvn_transform **ret_transform,
                          struct lvn_error *err) {
  struct lvn_transform *made = lvn_alloc(1, sizeof *made, err);
  if (made == NULL) {
    return false;
  }
  *made = *transform;
  *ret_transform = made;
  return true;
}

bool lvn_transform_identity(struct lvn_transform **ret_registration, struct lvn_error *err) {
  const double none_mm[3] = {0.0, 0.0, 0.0};
  return lvn_transform_translation(none_mm, ret_registration, err);
}

bool lvn_transform_translation(const double shift_mm[3], struct lvn_transform **ret_registration,
                               struct lvn_error *err) {
  const double centre_mm[3] = {0.0, 0.0, 0.0};
  struct lvn_transform transform;
  lvn_transform_about(centre_mm, &transform);
  memcpy(transform.shift_mm, shift_mm, sizeof transform.shift_mm);
  return lvn_transform_create(&transform, ret_registration, err);
}

void lvn_transform_unmap(const struct lvn_transform *transform, const double moving_mm[3], double ret_fixed_mm[3]) {
  const double *shift_mm = transform->shift_mm;
  double fixed_mm[3] = {moving_mm[0] - shift_mm[0], moving_mm[1] - shift_mm[1], moving_mm[2] - shift_mm[2]};
  double off_mm = HUGE_VAL;
  /* Each round is nearer where the displacement changes by less than a millimetre per millimetre; found ones change by
   * a few hundredths. */
  for (int round = 0; round < UNMAP_ROUNDS && off_mm > UNMAP_MM; round++) {
    double mapped_mm[3];
    lvn_transform_map(transform, fixed_mm, mapped_mm);
    off_mm = 0.0;
    for (int a = 0; a < 3; a++) {
      fixed_mm[a] += moving_mm[a] - mapped_mm[a];
      off_mm = fmax(off_mm, fabs(moving_mm[a] - mapped_mm[a]));
    }
  }
  memcpy(ret_fixed_mm, fixed_mm, sizeof fixed_mm);
}

void lvn_transform_destroy(struct lvn_transform *transform) {
  lvn_free(transform);
}
