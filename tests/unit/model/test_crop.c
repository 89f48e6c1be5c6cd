#include "base/memory.h"
#include "model/image/crop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(found, expected, tolerance) assert_true(fabs((double)(found) - (double)(expected)) <= (tolerance))

#define SIDE LVN_CROP_SIDE

static struct lvn_grid make_grid(uint32_t columns, uint32_t slices, double pixel_mm, double slice_mm) {
  return (struct lvn_grid){.size = {columns, columns, slices},
                           .spacing_mm = {pixel_mm, pixel_mm, slice_mm},
                           .origin_mm = {-50.0, -40.0, 10.0},
                           .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
}

/* HU is a plane through patient space, so that trilinear values are exact anywhere. */
static double plane_hu(const double mm[3]) {
  return 40.0 + 0.7 * mm[0] - 0.4 * mm[1] + 1.3 * mm[2];
}

static void fill_plane(struct lvn_volume *volume) {
  size_t at = 0;
  for (uint32_t k = 0; k < volume->grid.size[2]; k++) {
    for (uint32_t j = 0; j < volume->grid.size[1]; j++) {
      for (uint32_t i = 0; i < volume->grid.size[0]; i++) {
        double mm[3];
        const double index[3] = {i, j, k};
        lvn_grid_to_patient(&volume->grid, index, mm);
        volume->hounsfield[at++] = (int16_t)lround(plane_hu(mm));
      }
    }
  }
}

static void fill_box(struct lvn_mask *mask, const uint32_t first[3], const uint32_t last[3]) {
  for (uint32_t k = first[2]; k <= last[2]; k++) {
    for (uint32_t j = first[1]; j <= last[1]; j++) {
      for (uint32_t i = first[0]; i <= last[0]; i++) {
        mask->inside[((size_t)k * mask->grid.size[1] + j) * mask->grid.size[0] + i] = 1;
      }
    }
  }
}

struct fixture {
  struct lvn_volume volume;
  struct lvn_mask mask;
  struct lvn_transform *registration;
  struct lvn_crop crop;
};

static void set_up(struct fixture *f, const struct lvn_grid *grid, const double shift_mm[3]) {
  struct lvn_error err = {0};
  *f = (struct fixture){0};
  assert_true(lvn_volume_create(grid, &f->volume, &err));
  assert_true(lvn_mask_create(grid, &f->mask, &err));
  assert_true(lvn_transform_translation(shift_mm, &f->registration, &err));
  fill_plane(&f->volume);
}

static void tear_down(struct fixture *f) {
  lvn_crop_clear(&f->crop);
  lvn_volume_clear(&f->volume);
  lvn_mask_clear(&f->mask);
  lvn_transform_destroy(f->registration);
}

static void make(struct fixture *f, bool with_third) {
  struct lvn_error err = {0};
  struct lvn_crop_options options;
  struct lvn_crop_phase phases[LVN_PHASE_NETWORK_COUNT] = {
      {&f->volume, f->registration}, {&f->volume, f->registration}, {with_third ? &f->volume : NULL, f->registration}};
  lvn_crop_options_default(&options);
  assert_true(lvn_crop_make(&f->volume.grid, &f->mask, phases, &options, &f->crop, &err));
}

static void test_crop__places_the_box_and_reads_the_plane(void **state) {
  (void)state;
  const struct lvn_grid grid = make_grid(160, 12, 0.7, 5.0);
  const double shift[3] = {2.5, -1.5, 4.0};
  const uint32_t first[3] = {50, 60, 4};
  const uint32_t last[3] = {109, 99, 6};
  struct fixture f;
  set_up(&f, &grid, shift);
  fill_box(&f.mask, first, last);
  make(&f, true);
  assert_near(f.crop.side_mm, 1.4 * 60 * 0.7, 1e-9);
  assert_near(f.crop.first_index[0] + 0.5 * (SIDE - 1) * f.crop.step_index[0], 79.5, 1e-9);
  assert_near(f.crop.first_index[1] + 0.5 * (SIDE - 1) * f.crop.step_index[1], 79.5, 1e-9);
  assert_int_equal(f.crop.slice_count, 3);
  for (size_t s = 0; s < f.crop.slice_count; s++) {
    assert_int_equal(f.crop.slices[s].fixed_slice_index, 4 + s);
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i += 37) {
      const double index[3] = {f.crop.first_index[0] + (double)(i % SIDE) * f.crop.step_index[0],
                               f.crop.first_index[1] + (double)(i / SIDE) * f.crop.step_index[1], 4.0 + (double)s};
      double mm[3];
      lvn_grid_to_patient(&grid, index, mm);
      for (int a = 0; a < 3; a++) {
        mm[a] += shift[a];
      }
      assert_true(fabs(f.crop.slices[s].hounsfield[i] - plane_hu(mm)) <= 1.01);
    }
  }
  tear_down(&f);
}

static void test_crop__pads_outside_and_for_a_missing_phase(void **state) {
  (void)state;
  const struct lvn_grid grid = make_grid(100, 8, 0.7, 5.0);
  const double shift[3] = {0, 0, 0};
  const uint32_t first[3] = {0, 40, 3};
  const uint32_t last[3] = {5, 45, 3};
  struct fixture f;
  set_up(&f, &grid, shift);
  fill_box(&f.mask, first, last);
  make(&f, false);
  assert_near(f.crop.side_mm, 32.0, 1e-9);
  const int16_t *nc = f.crop.slices[0].hounsfield;
  const int16_t *pv = nc + 2 * SIDE * SIDE;
  assert_true(f.crop.phase_present[0] && f.crop.phase_present[1] && !f.crop.phase_present[2]);
  assert_int_equal(nc[112 * SIDE], -1000); /* left of column 0 */
  assert_true(nc[112 * SIDE + 112] > -200);
  for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
    assert_int_equal(pv[i], -1000);
  }
  size_t inside = 0;
  for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
    inside += f.crop.slices[0].mask[i];
  }
  double area_mm2 = (double)inside * f.crop.sample_spacing_mm * f.crop.sample_spacing_mm;
  assert_true(fabs(area_mm2 - f.crop.slices[0].mask_area_mm2) < 0.05 * f.crop.slices[0].mask_area_mm2);
  tear_down(&f);
}

static void test_crop__spreads_slices_and_keeps_the_largest(void **state) {
  (void)state;
  const struct lvn_grid grid = make_grid(64, 30, 1.0, 2.0);
  const double shift[3] = {0, 0, 0};
  struct fixture f;
  set_up(&f, &grid, shift);
  for (uint32_t k = 3; k <= 22; k++) {
    uint32_t half = k == 17 ? 9 : 5;
    fill_box(&f.mask, (uint32_t[]){32 - half, 32 - half, k}, (uint32_t[]){32 + half, 32 + half, k});
  }
  make(&f, true);
  assert_int_equal(f.crop.slice_count, 5);
  assert_int_equal(f.crop.slices[f.crop.key_slice].fixed_slice_index, 17);
  for (size_t i = 1; i < 5; i++) {
    assert_true(f.crop.slices[i].fixed_slice_index > f.crop.slices[i - 1].fixed_slice_index);
  }
  assert_true(f.crop.slices[4].fixed_slice_index - f.crop.slices[0].fixed_slice_index >= 12);
  tear_down(&f);
}

static void test_crop__averages_when_pixels_are_finer_than_samples(void **state) {
  (void)state;
  const struct lvn_grid grid = make_grid(400, 1, 0.5, 5.0);
  const double shift[3] = {0, 0, 0};
  struct fixture f;
  set_up(&f, &grid, shift);
  for (size_t i = 0; i < (size_t)400 * 400; i++) {
    f.volume.hounsfield[i] = (int16_t)((i % 2) != 0 ? 200 : 0);
  }
  fill_box(&f.mask, (uint32_t[]){60, 60, 0}, (uint32_t[]){339, 339, 0});
  make(&f, true);
  double low = 1e9;
  double high = -1e9;
  for (size_t column = 20; column < 200; column++) {
    low = fmin(low, f.crop.slices[0].hounsfield[112 * SIDE + column]);
    high = fmax(high, f.crop.slices[0].hounsfield[112 * SIDE + column]);
  }
  assert_true(f.crop.step_index[0] > 1.5);
  assert_true(low >= 50 && high <= 150); /* point sampling would reach 0 and 200 */
  tear_down(&f);
}

static void test_crop__refuses_an_empty_mask(void **state) {
  (void)state;
  const struct lvn_grid grid = make_grid(20, 2, 1.0, 5.0);
  const double shift[3] = {0, 0, 0};
  struct lvn_error err = {0};
  struct lvn_crop_options options;
  struct lvn_crop crop = {0};
  struct fixture f;
  const struct lvn_crop_phase none[LVN_PHASE_NETWORK_COUNT] = {{0}};
  set_up(&f, &grid, shift);
  lvn_crop_options_default(&options);
  assert_false(lvn_crop_make(&grid, &f.mask, none, &options, &crop, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  tear_down(&f);
}

static void test_crop__delayed_phase_is_on_the_same_points(void **state) {
  (void)state;
  const struct lvn_grid grid = make_grid(160, 12, 0.7, 5.0);
  const double shift[3] = {2.5, -1.5, 4.0};
  struct lvn_error err = {0};
  struct fixture f;
  set_up(&f, &grid, shift);
  fill_box(&f.mask, (uint32_t[]){50, 60, 4}, (uint32_t[]){109, 99, 6});
  make(&f, true);
  assert_false(f.crop.delayed_present);
  const struct lvn_crop_phase phase = {&f.volume, f.registration};
  for (int again = 0; again < 2; again++) {
    assert_true(lvn_crop_add_delayed(&grid, &phase, &f.crop, &err));
    assert_true(f.crop.delayed_present);
    for (size_t s = 0; s < f.crop.slice_count; s++) {
      assert_memory_equal(f.crop.slices[s].delayed, f.crop.slices[s].hounsfield, sizeof(int16_t) * (size_t)SIDE * SIDE);
    }
  }
  lvn_crop_drop_delayed(&f.crop);
  assert_false(f.crop.delayed_present);
  assert_null(f.crop.slices[0].delayed);
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_crop__places_the_box_and_reads_the_plane),
      cmocka_unit_test(test_crop__pads_outside_and_for_a_missing_phase),
      cmocka_unit_test(test_crop__spreads_slices_and_keeps_the_largest),
      cmocka_unit_test(test_crop__averages_when_pixels_are_finer_than_samples),
      cmocka_unit_test(test_crop__delayed_phase_is_on_the_same_points),
      cmocka_unit_test(test_crop__refuses_an_empty_mask),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
