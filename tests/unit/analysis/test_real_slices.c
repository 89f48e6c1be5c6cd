/* Three real abdominal slices, deformed by a known field and with contrast agent in the liver: alignment finds the
 * field where the liver is. tests/data/README.md says where the slices come from. */
#include "base/memory.h"
#include "dicom/read/roi.h"
#include "dicom/read/study.h"
#include "model/registration/registration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DATA LVN_TEST_DATA "/ct_liver_3slices/"
#define RADIUS_MM 12.0
#define NEAR_MM 25.0

static struct lvn_study *study;
static struct lvn_volume fixed;
static struct lvn_roi_list rois;

static int setup(void **state) {
  static const char *const paths[] = {DATA "01.dcm", DATA "02.dcm", DATA "03.dcm", DATA "liver.dcm"};
  struct lvn_error err = {0};
  char note[LVN_TEXT_BYTES];
  (void)state;
  if (!lvn_study_open(paths, 4, &study, &err) || !lvn_study_load_volume(study, 0, &fixed, &err) ||
      !lvn_roi_read_any(study, 0, &rois, note, &err) || rois.count == 0) {
    print_error("%s\n", err.message);
    return -1;
  }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  lvn_roi_list_clear(&rois);
  lvn_volume_clear(&fixed);
  lvn_study_close(study);
  return 0;
}

/* Where a point of the moving phase comes from: a shift and a bend of 1 mm, in the plane. */
static void come_from(const double moving_mm[3], const double shift_mm[2], double ret_fixed_mm[3]) {
  ret_fixed_mm[0] = moving_mm[0] - shift_mm[0] - sin(moving_mm[1] * 2.0 * M_PI / 120.0);
  ret_fixed_mm[1] = moving_mm[1] - shift_mm[1] - sin(moving_mm[0] * 2.0 * M_PI / 150.0);
  ret_fixed_mm[2] = moving_mm[2];
}

static void go_to(const double fixed_mm[3], const double shift_mm[2], double ret_moving_mm[3]) {
  double moving_mm[3] = {fixed_mm[0] + shift_mm[0], fixed_mm[1] + shift_mm[1], fixed_mm[2]};
  for (int round = 0; round < 50; round++) {
    double back_mm[3];
    come_from(moving_mm, shift_mm, back_mm);
    moving_mm[0] += fixed_mm[0] - back_mm[0];
    moving_mm[1] += fixed_mm[1] - back_mm[1];
  }
  memcpy(ret_moving_mm, moving_mm, sizeof moving_mm);
}

/* Vessels and parenchyma take up contrast agent unlike; fat and air do not. */
static int16_t enhance(float hu) {
  double gain = hu < 0.0F ? 0.0 : (hu < 120.0F ? 40.0 + 0.35 * (double)hu : 82.0 - 0.5 * ((double)hu - 120.0));
  return hu <= (float)LVN_HU_PADDING ? LVN_HU_PADDING : (int16_t)lround((double)hu + gain);
}

static struct lvn_volume deform(const double shift_mm[2]) {
  struct lvn_error err = {0};
  struct lvn_volume moving;
  assert_true(lvn_volume_create(&fixed.grid, &moving, &err));
  const uint32_t *size = fixed.grid.size;
  size_t i = 0;
  for (uint32_t z = 0; z < size[2]; z++) {
    for (uint32_t y = 0; y < size[1]; y++) {
      for (uint32_t x = 0; x < size[0]; x++, i++) {
        const double index[3] = {x, y, z};
        double moving_mm[3];
        double fixed_mm[3];
        lvn_grid_to_patient(&moving.grid, index, moving_mm);
        come_from(moving_mm, shift_mm, fixed_mm);
        moving.hounsfield[i] = enhance(lvn_volume_sample(&fixed, fixed_mm));
      }
    }
  }
  return moving;
}

static bool is_near(const double a_mm[3], const double b_mm[3], double reach_mm) {
  return hypot(a_mm[0] - b_mm[0], a_mm[1] - b_mm[1]) <= reach_mm;
}

/* A disc in the middle of the liver's largest run, as a lesion would be drawn. */
static struct lvn_mask draw_lesion(double ret_centre_mm[3]) {
  struct lvn_error err = {0};
  struct lvn_mask lesion;
  const struct lvn_mask *liver = &rois.items[0].mask;
  assert_true(lvn_mask_measure(liver, NULL, NULL, ret_centre_mm) > 0);
  assert_true(lvn_mask_create(&fixed.grid, &lesion, &err));
  for (size_t i = 0; i < (size_t)fixed.grid.size[0] * fixed.grid.size[1] * fixed.grid.size[2]; i++) {
    const double index[3] = {(double)(i % fixed.grid.size[0]), (double)(i / fixed.grid.size[0] % fixed.grid.size[1]),
                             (double)(i / ((size_t)fixed.grid.size[0] * fixed.grid.size[1]))};
    double at_mm[3];
    lvn_grid_to_patient(&fixed.grid, index, at_mm);
    lesion.inside[i] = is_near(at_mm, ret_centre_mm, RADIUS_MM) &&
                       lvn_mask_contains(liver, (int64_t)index[0], (int64_t)index[1], (int64_t)index[2]);
  }
  assert_true(lvn_mask_measure(&lesion, NULL, NULL, ret_centre_mm) > 0);
  return lesion;
}

/* Mean error, in voxels, over the liver within 25 mm of the lesion; ret_centre_voxels: at the lesion. */
static double measure(const struct lvn_transform *registration, const double centre_mm[3], const double shift_mm[2],
                      double *ret_centre_voxels) {
  const struct lvn_mask *liver = &rois.items[0].mask;
  double sum = 0.0;
  size_t count = 0;
  double truth_mm[3];
  double found_mm[3];
  for (size_t i = 0; i < (size_t)fixed.grid.size[0] * fixed.grid.size[1] * fixed.grid.size[2]; i++) {
    const double index[3] = {(double)(i % fixed.grid.size[0]), (double)(i / fixed.grid.size[0] % fixed.grid.size[1]),
                             (double)(i / ((size_t)fixed.grid.size[0] * fixed.grid.size[1]))};
    double at_mm[3];
    lvn_grid_to_patient(&fixed.grid, index, at_mm);
    if (lvn_mask_contains(liver, (int64_t)index[0], (int64_t)index[1], (int64_t)index[2]) &&
        is_near(at_mm, centre_mm, NEAR_MM)) {
      go_to(at_mm, shift_mm, truth_mm);
      lvn_transform_map(registration, at_mm, found_mm);
      sum += hypot(truth_mm[0] - found_mm[0], truth_mm[1] - found_mm[1]);
      count++;
    }
  }
  go_to(centre_mm, shift_mm, truth_mm);
  lvn_transform_map(registration, centre_mm, found_mm);
  *ret_centre_voxels = hypot(truth_mm[0] - found_mm[0], truth_mm[1] - found_mm[1]) / fixed.grid.spacing_mm[0];
  return sum / (double)count / fixed.grid.spacing_mm[0];
}

static void test_real_slices__a_known_field_is_found(void **unused) {
  static const double shifts_mm[3][2] = {{0.0, 0.0}, {6.0, -4.0}, {-9.0, 7.0}};
  (void)unused;
  double centre_mm[3];
  struct lvn_mask lesion = draw_lesion(centre_mm);
  struct lvn_registration_options options;
  lvn_registration_options_default(&options);
  for (int i = 0; i < 3; i++) {
    struct lvn_error err = {0};
    struct lvn_transform *registration = NULL;
    struct lvn_registration_quality quality;
    struct lvn_volume moving = deform(shifts_mm[i]);
    double centre_voxels = NAN;
    assert_true(lvn_registration_run(&fixed, &lesion, &moving, &options, &registration, &quality, &err));
    double mean_voxels = measure(registration, centre_mm, shifts_mm[i], &centre_voxels);
    print_message("shift %.0f %.0f mm: %s, error %.2f voxels at the lesion, %.2f near it, usable %d %s\n",
                  shifts_mm[i][0], shifts_mm[i][1], quality.model, centre_voxels, mean_voxels, quality.usable,
                  quality.reason);
    assert_true(quality.usable);
    assert_true(centre_voxels < 1.0);
    assert_true(mean_voxels < 1.0);
    lvn_transform_destroy(registration);
    lvn_volume_clear(&moving);
  }
  lvn_mask_clear(&lesion);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_slices__a_known_field_is_found)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
