#include "model/image/grid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct lvn_grid oblique = {.size = {5, 4, 3},
                                        .spacing_mm = {0.5, 0.5, 3.0},
                                        .origin_mm = {-10.0, 20.0, 30.0},
                                        .direction = {{0.0, 1.0, 0.0}, {0.0, 0.0, -1.0}, {-1.0, 0.0, 0.0}}};

static void test_grid__index_and_patient_are_inverse(void **state) {
  const double index[3] = {1.25, 2.5, 0.75};
  double patient[3];
  double back[3];
  (void)state;
  lvn_grid_to_patient(&oblique, index, patient);
  assert_float_equal(patient[0], -10.0 - 2.25, 1e-12);
  assert_float_equal(patient[1], 20.0 + 0.625, 1e-12);
  assert_float_equal(patient[2], 30.0 - 1.25, 1e-12);
  lvn_grid_to_index(&oblique, patient, back);
  for (int axis = 0; axis < 3; axis++) {
    assert_float_equal(back[axis], index[axis], 1e-12);
  }
}

static void test_grid__same_within_a_hundredth_of_the_spacing(void **state) {
  struct lvn_grid other = oblique;
  (void)state;
  other.origin_mm[0] += 0.004;
  assert_true(lvn_grid_is_same(&oblique, &other));
  other.origin_mm[0] += 0.004;
  assert_false(lvn_grid_is_same(&oblique, &other));
  other = oblique;
  other.spacing_mm[2] = 3.01; /* agrees at the origin, not at the far corner */
  assert_false(lvn_grid_is_same(&oblique, &other));
}

static void test_grid__voxel_count_refuses_empty_and_huge(void **state) {
  struct lvn_error err = {0};
  struct lvn_grid grid = oblique;
  size_t count = 0;
  (void)state;
  assert_true(lvn_grid_voxel_count(&grid, &count, &err));
  assert_int_equal(count, 60);
  grid.size[1] = 0;
  assert_false(lvn_grid_voxel_count(&grid, &count, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  grid = (struct lvn_grid){.size = {UINT32_MAX, UINT32_MAX, UINT32_MAX}};
  assert_false(lvn_grid_voxel_count(&grid, &count, &err));
}

static void test_volume__sample_leaves_padding_out(void **state) {
  struct lvn_error err = {0};
  struct lvn_volume volume;
  struct lvn_grid grid = {
      .size = {2, 1, 1}, .spacing_mm = {1.0, 1.0, 1.0}, .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  const double middle[3] = {0.5, 0.0, 0.0};
  const double near_left[3] = {0.25, 0.0, 0.0};
  const double far_off[3] = {1.8, 0.0, 0.0};
  (void)state;
  assert_true(lvn_volume_create(&grid, &volume, &err));
  assert_float_equal(lvn_volume_sample(&volume, middle), LVN_HU_PADDING, 0.0);
  volume.hounsfield[0] = 100;
  assert_float_equal(lvn_volume_sample(&volume, near_left), 100.0, 1e-4);
  volume.hounsfield[1] = 200;
  assert_float_equal(lvn_volume_sample(&volume, near_left), 125.0, 1e-4);
  assert_float_equal(lvn_volume_sample(&volume, far_off), LVN_HU_PADDING, 0.0);
  lvn_volume_clear(&volume);
}

static void test_mask__measure_gives_box_and_centroid(void **state) {
  struct lvn_error err = {0};
  struct lvn_mask mask;
  uint32_t first[3];
  uint32_t last[3];
  double centroid[3];
  double expected[3];
  const double index[3] = {1.5, 2.0, 1.0};
  (void)state;
  assert_true(lvn_mask_create(&oblique, &mask, &err));
  assert_int_equal(lvn_mask_measure(&mask, first, last, centroid), 0);
  mask.inside[1 + 5 * (2 + 4 * 1)] = 1;
  mask.inside[2 + 5 * (2 + 4 * 1)] = 1;
  assert_int_equal(lvn_mask_measure(&mask, first, last, centroid), 2);
  assert_int_equal(first[0], 1);
  assert_int_equal(last[0], 2);
  assert_int_equal(first[2], 1);
  lvn_grid_to_patient(&oblique, index, expected);
  for (int xyz = 0; xyz < 3; xyz++) {
    assert_float_equal(centroid[xyz], expected[xyz], 1e-12);
  }
  lvn_mask_clear(&mask);
}

static void test_mask__box_stands_for_the_whole_grid(void **state) {
  const uint32_t from[3] = {1, 2, 1};
  const uint32_t size[3] = {3, 2, 1};
  const uint32_t too_many[3] = {3, 3, 1};
  struct lvn_error err = {0};
  struct lvn_mask box;
  struct lvn_mask whole;
  uint32_t first[2][3];
  uint32_t last[2][3];
  double centroid[2][3];
  (void)state;
  assert_false(lvn_mask_create_box(&oblique, from, too_many, &box, &err));
  assert_true(lvn_mask_create_box(&oblique, from, size, &box, &err));
  assert_true(lvn_mask_create(&oblique, &whole, &err));
  box.inside[0] = box.inside[2] = box.inside[4] = 1; /* (1,2,1), (3,2,1) and (2,3,1) */
  whole.inside[1 + 5 * (2 + 4 * 1)] = whole.inside[3 + 5 * (2 + 4 * 1)] = whole.inside[2 + 5 * (3 + 4 * 1)] = 1;
  for (int64_t z = -1; z < 4; z++) {
    for (int64_t y = -1; y < 6; y++) {
      for (int64_t x = -1; x < 7; x++) {
        assert_int_equal(lvn_mask_contains(&box, x, y, z), lvn_mask_contains(&whole, x, y, z));
      }
    }
  }
  assert_int_equal(lvn_mask_measure(&box, first[0], last[0], centroid[0]), 3);
  assert_int_equal(lvn_mask_measure(&whole, first[1], last[1], centroid[1]), 3);
  assert_memory_equal(first[0], first[1], sizeof first[0]);
  assert_memory_equal(last[0], last[1], sizeof last[0]);
  assert_memory_equal(centroid[0], centroid[1], sizeof centroid[0]);
  assert_int_equal(lvn_mask_count_slice(&box, 1), 3);
  assert_int_equal(lvn_mask_count_slice(&box, 0), 0);
  assert_null(lvn_mask_get_slice(&box, 2));
  lvn_mask_clear(&box);
  lvn_mask_clear(&whole);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_grid__index_and_patient_are_inverse),
      cmocka_unit_test(test_grid__same_within_a_hundredth_of_the_spacing),
      cmocka_unit_test(test_grid__voxel_count_refuses_empty_and_huge),
      cmocka_unit_test(test_volume__sample_leaves_padding_out),
      cmocka_unit_test(test_mask__measure_gives_box_and_centroid),
      cmocka_unit_test(test_mask__box_stands_for_the_whole_grid),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
