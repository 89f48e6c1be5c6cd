#include "analysis/findings/findings.h"
#include "analysis/measure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct lvn_mask make_mask(double spacing_x_mm, double spacing_y_mm) {
  struct lvn_error err = {0};
  struct lvn_mask mask;
  const struct lvn_grid grid = {.size = {64, 64, 3},
                                .spacing_mm = {spacing_x_mm, spacing_y_mm, 5.0},
                                .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  assert_true(lvn_mask_create(&grid, &mask, &err));
  return mask;
}

static void fill_ellipse(struct lvn_mask *mask, uint32_t slice, double half_x_mm, double half_y_mm, double angle) {
  for (uint32_t y = 0; y < 64; y++) {
    for (uint32_t x = 0; x < 64; x++) {
      double dx = (x - 31.5) * mask->grid.spacing_mm[0];
      double dy = (y - 31.5) * mask->grid.spacing_mm[1];
      double u = (dx * cos(angle) + dy * sin(angle)) / half_x_mm;
      double v = (-dx * sin(angle) + dy * cos(angle)) / half_y_mm;
      if (u * u + v * v < 1.0) {
        mask->inside[x + 64U * (y + 64U * slice)] = 1;
      }
    }
  }
}

static void test_measure__diameters_of_a_turned_ellipse(void **state) {
  struct lvn_mask mask = make_mask(0.7, 0.7);
  double long_mm = 0.0;
  double short_mm = 0.0;
  (void)state;
  fill_ellipse(&mask, 1, 15.0, 8.0, 0.5);
  lvn_measure_diameters(&mask, 1, &long_mm, &short_mm);
  /* A caliper over pixel edges reads up to one pixel's diagonal more than the shape. */
  assert_in_range((unsigned)(long_mm * 100), 2950, 3110);
  assert_in_range((unsigned)(short_mm * 100), 1550, 1720);
  lvn_measure_diameters(&mask, 0, &long_mm, &short_mm);
  assert_float_equal((float)long_mm, 0.0F, 0.0F);
  lvn_mask_clear(&mask);
}

static void test_measure__one_pixel_has_its_diagonal(void **state) {
  struct lvn_mask mask = make_mask(0.6, 0.8);
  double long_mm = 0.0;
  double short_mm = 0.0;
  (void)state;
  mask.inside[10 + 64 * 10] = 1;
  lvn_measure_diameters(&mask, 0, &long_mm, &short_mm);
  assert_float_equal((float)long_mm, 1.0F, 0.001F);
  lvn_mask_clear(&mask);
}

static void test_measure__volume_counts_all_slices(void **state) {
  struct lvn_mask mask = make_mask(1.0, 1.0);
  struct lvn_measure measure;
  (void)state;
  memset(mask.inside + 64 * 64, 0, 64 * 64);
  fill_ellipse(&mask, 0, 5.0, 5.0, 0.0);
  fill_ellipse(&mask, 1, 12.0, 12.0, 0.0);
  size_t count = lvn_mask_measure(&mask, NULL, NULL, NULL);
  lvn_measure_lesion(&mask, &measure);
  assert_float_equal((float)measure.volume_ml, (float)count * 5.0F / 1000.0F, 1e-6F);
  assert_true(measure.long_axis_mm > 23.0); /* of the larger slice */
  assert_int_equal(measure.last_voxel[2], 1);
  lvn_mask_clear(&mask);
}

static void test_measure__edges_of_the_picture(void **state) {
  static const struct {
    double direction[3];
    char along;
    char opposite;
  } rows[] = {{{1, 0, 0}, 'L', 'R'},      {{-0.99, 0.1, 0.1}, 'R', 'L'}, {{0, 1, 0}, 'P', 'A'},
              {{0.1, -0.9, 0}, 'A', 'P'}, {{0, 0, 1}, 'H', 'F'},         {{0, 0.3, -0.9}, 'F', 'H'}};
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal(lvn_findings_edge(rows[i].direction, false), rows[i].along);
    assert_int_equal(lvn_findings_edge(rows[i].direction, true), rows[i].opposite);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_measure__edges_of_the_picture),
      cmocka_unit_test(test_measure__diameters_of_a_turned_ellipse),
      cmocka_unit_test(test_measure__one_pixel_has_its_diagonal),
      cmocka_unit_test(test_measure__volume_counts_all_slices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
