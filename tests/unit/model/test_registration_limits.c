/* What alignment refuses, leaves out of account, or carries over only in part. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/registration_scene.h"

/* Padding inside the box: were it taken as a value, the false edge at -32768 HU would rule everything. */
static void test_registration__padding_is_no_value(void **unused) {
  (void)unused;
  struct scene scene;
  const double shift[3] = {-6, 4, 8};
  make_scene(5, &scene);
  struct shot moving_shot = plain;
  moving_shot.phase = 1;
  memcpy(moving_shot.shift_mm, shift, sizeof shift);
  struct lvn_volume fixed = take(&scene, &plain);
  struct lvn_volume moving = take(&scene, &moving_shot);
  uint32_t n = fixed.grid.size[0];
  for (size_t i = 0; i < (size_t)n * n * fixed.grid.size[2]; i++) {
    double x = (double)(i % n) * plain.spacing_mm - 210;
    fixed.hounsfield[i] = x < -105 ? LVN_HU_PADDING : fixed.hounsfield[i];
    moving.hounsfield[i] = x > -15 ? LVN_HU_PADDING : moving.hounsfield[i];
  }
  struct outcome outcome = align(&fixed, &moving, lesion_centre, shift);
  assert_true(outcome.quality.usable);
  assert_true(outcome.error_mm < 2.0);
  lvn_volume_clear(&fixed);
  lvn_volume_clear(&moving);
}

static void refuse(const struct lvn_volume *fixed, const struct lvn_volume *moving, const char *what) {
  const double none[3] = {0, 0, 0};
  struct outcome outcome = align(fixed, moving, lesion_centre, none);
  print_message("  %s: %s\n", what, outcome.quality.reason);
  assert_false(outcome.quality.usable);
  assert_true(strlen(outcome.quality.reason) > 20);
}

static void test_registration__refuses_what_cannot_be_aligned(void **unused) {
  (void)unused;
  struct scene scene;
  struct scene other;
  make_scene(8, &scene);
  struct lvn_volume fixed = take(&scene, &plain);
  for (uint64_t seed = 20; seed < 23; seed++) {
    make_scene(seed, &other);
    struct shot shot = plain;
    shot.phase = 1;
    struct lvn_volume moving = take(&other, &shot);
    refuse(&fixed, &moving, "other patient");
    lvn_volume_clear(&moving);
  }
  struct shot shot = plain;
  shot.phase = 1;
  shot.upside_down = true;
  struct lvn_volume flipped = take(&scene, &shot);
  refuse(&fixed, &flipped, "upside down");
  uint64_t state = 3;
  for (size_t i = 0; i < (size_t)flipped.grid.size[0] * flipped.grid.size[1] * flipped.grid.size[2]; i++) {
    flipped.hounsfield[i] = (int16_t)lround(between(&state, -100, 200));
  }
  refuse(&fixed, &flipped, "noise");
  lvn_volume_clear(&flipped);
  shot.upside_down = false;
  shot.z_first_mm = 400;
  struct lvn_volume elsewhere = take(&scene, &shot);
  refuse(&fixed, &elsewhere, "no overlap");
  for (size_t i = 0; i < (size_t)elsewhere.grid.size[0] * elsewhere.grid.size[1] * elsewhere.grid.size[2]; i++) {
    elsewhere.hounsfield[i] = LVN_HU_PADDING;
  }
  elsewhere.grid.origin_mm[2] = -60;
  refuse(&fixed, &elsewhere, "only padding");
  lvn_volume_clear(&elsewhere);
  lvn_volume_clear(&fixed);
}

/* A lesion drawn in one phase, on another grid of another phase, and half of it below that one's last slice. */
static void test_registration__carries_the_lesion(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct lvn_transform *registration = NULL;
  struct lvn_propagated_mask propagated;
  const double shift_mm[3] = {7.0, -5.0, 12.0};
  const struct lvn_grid fixed_grid = {.size = {60, 60, 12},
                                      .spacing_mm = {1.5, 1.5, 5.0},
                                      .origin_mm = {-100.0, -50.0, -30.0},
                                      .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  struct lvn_grid moving_grid = {.size = {200, 200, 70},
                                 .spacing_mm = {0.7, 0.7, 1.0},
                                 .origin_mm = {-120.0, -60.0, -20.0},
                                 .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  const struct lvn_volume frame = {.grid = fixed_grid};
  struct lvn_mask lesion = lesion_at(&frame, lesion_centre, 11.0);
  double centre_mm[3];
  double propagated_mm[3];
  size_t voxels = lvn_mask_measure(&lesion, NULL, NULL, centre_mm);
  assert_true(lvn_transform_translation(shift_mm, &registration, &err));
  assert_true(lvn_registration_propagate(registration, &lesion, &moving_grid, &propagated, &err));
  assert_false(propagated.is_cut);
  double volume = (double)lvn_mask_measure(&propagated.mask, NULL, NULL, propagated_mm) * 0.7 * 0.7 * 1.0;
  assert_true(fabs(volume / ((double)voxels * 1.5 * 1.5 * 5.0) - 1.0) < 0.03);
  for (int a = 0; a < 3; a++) {
    assert_true(fabs(propagated_mm[a] - centre_mm[a] - shift_mm[a]) < 0.3);
    double first_mm = moving_grid.origin_mm[a] + propagated.first[a] * moving_grid.spacing_mm[a];
    assert_true(fabs(first_mm - propagated.mask.grid.origin_mm[a]) < 1e-9);
  }
  lvn_propagated_mask_clear(&propagated);
  moving_grid.size[2] = (uint32_t)(centre_mm[2] + shift_mm[2] + 20.0);
  assert_true(lvn_registration_propagate(registration, &lesion, &moving_grid, &propagated, &err));
  assert_true(propagated.is_cut);
  assert_true(lvn_mask_measure(&propagated.mask, NULL, NULL, NULL) > 0);
  lvn_propagated_mask_clear(&propagated);
  moving_grid.origin_mm[2] = 500.0;
  assert_true(lvn_registration_propagate(registration, &lesion, &moving_grid, &propagated, &err));
  assert_true(propagated.is_cut);
  assert_null(propagated.mask.inside);
  lvn_propagated_mask_clear(&propagated);
  lvn_transform_destroy(registration);
  lvn_mask_clear(&lesion);
}

static void test_registration__empty_lesion(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct scene scene;
  struct lvn_registration_options options;
  struct lvn_transform *registration = NULL;
  struct lvn_registration_quality quality;
  struct lvn_mask nothing;
  make_scene(9, &scene);
  struct shot shot = plain;
  shot.slices = 4;
  struct lvn_volume fixed = take(&scene, &shot);
  lvn_registration_options_default(&options);
  assert_true(lvn_mask_create(&fixed.grid, &nothing, &err));
  assert_true(lvn_registration_run(&fixed, &nothing, &fixed, &options, &registration, &quality, &err));
  assert_false(quality.usable);
  lvn_transform_destroy(registration);
  registration = NULL;
  options.device = "no such device";
  nothing.inside[0] = 1;
  assert_false(lvn_registration_run(&fixed, &nothing, &fixed, &options, &registration, &quality, &err));
  assert_int_equal(err.code, LVN_ERROR_ENGINE);
  assert_null(registration);
  lvn_mask_clear(&nothing);
  lvn_volume_clear(&fixed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registration__padding_is_no_value),
      cmocka_unit_test(test_registration__refuses_what_cannot_be_aligned),
      cmocka_unit_test(test_registration__carries_the_lesion),
      cmocka_unit_test(test_registration__empty_lesion),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
