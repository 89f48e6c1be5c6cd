#include "daemon/base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>

struct lvn_registration {
  struct lvn_reg_transform transform;
};

void lvn_reg_transform_identity(const double centre_mm[3], struct lvn_reg_transform *ret_transform) {
  *ret_transform = (struct lvn_reg_transform){.reach_mm = 60.0};
  for (int a = 0; a < 3; a++) {
    ret_transform->centre_mm[a] = centre_mm[a];
  }
}

void lvn_reg_transform_apply(const struct lvn_reg_transform *transform, const double x_mm[3], double ret_y_mm[3]) {
  double offset[3];
  double length = 0.0;
  for (int a = 0; a < 3; a++) {
    offset[a] = x_mm[a] - transform->centre_mm[a];
    length += offset[a] * offset[a];
  }
  length = sqrt(length);
  double shorten = length > transform->reach_mm ? transform->reach_mm / length : 1.0;
  for (int a = 0; a < 3; a++) {
    double moved = x_mm[a] + transform->shift_mm[a];
    for (int b = 0; b < 3; b++) {
      moved += transform->linear[a][b] * offset[b] * shorten;
    }
    ret_y_mm[a] = moved;
  }
}

bool lvn_reg_wrap(const struct lvn_reg_transform *transform, struct lvn_registration **ret_registration,
                  struct lvn_error *err) {
  struct lvn_registration *registration = lvn_alloc(1, sizeof *registration, err);
  if (registration == NULL) {
    return false;
  }
  registration->transform = *transform;
  *ret_registration = registration;
  return true;
}

bool lvn_registration_identity(struct lvn_registration **ret_registration, struct lvn_error *err) {
  const double centre_mm[3] = {0.0, 0.0, 0.0};
  struct lvn_reg_transform transform;
  lvn_reg_transform_identity(centre_mm, &transform);
  return lvn_reg_wrap(&transform, ret_registration, err);
}

bool lvn_registration_translation(const double shift_mm[3], struct lvn_registration **ret_registration,
                                  struct lvn_error *err) {
  const double centre_mm[3] = {0.0, 0.0, 0.0};
  struct lvn_reg_transform transform;
  lvn_reg_transform_identity(centre_mm, &transform);
  for (int a = 0; a < 3; a++) {
    transform.shift_mm[a] = shift_mm[a];
  }
  return lvn_reg_wrap(&transform, ret_registration, err);
}

void lvn_registration_map(const struct lvn_registration *registration, const double fixed_mm[3],
                          double ret_moving_mm[3]) {
  lvn_reg_transform_apply(&registration->transform, fixed_mm, ret_moving_mm);
}

void lvn_registration_destroy(struct lvn_registration *registration) {
  lvn_free(registration);
}

void lvn_registration_options_default(struct lvn_registration_options *ret_options) {
  *ret_options =
      (struct lvn_registration_options){.device = "cpu", .search_mm = {24.0, 24.0, 44.0}, .max_error_mm = 6.0};
}
