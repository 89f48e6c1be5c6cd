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

static void test_measure__pixels_of_the_box(void **state) {
  struct lvn_mask mask = make_mask(0.7, 0.7);
  uint32_t across[2];
  (void)state;
  for (size_t i = 0; i < 5; i++) {
    mask.inside[20 + i + 64 * (30 + i / 2)] = 1;
  }
  lvn_measure_pixels(&mask, 0, across);
  assert_int_equal(across[0], 5);
  assert_int_equal(across[1], 3);
  lvn_measure_pixels(&mask, 1, across);
  assert_int_equal(across[0], 0);
  lvn_mask_clear(&mask);
}

/* ---- a crop of one slice with a square lesion in its middle, 0.25 mm a sample ---- */

#define SIDE LVN_CROP_SIDE
#define SAMPLES ((size_t)SIDE * SIDE)

static int16_t hounsfield[LVN_PHASE_NETWORK_COUNT * SAMPLES];
static int16_t delayed[SAMPLES];
static uint8_t inside[SAMPLES];
static float heat[SAMPLES];
static struct lvn_crop_slice slice = {.hounsfield = hounsfield, .delayed = delayed, .mask = inside};

static struct lvn_crop make_crop(void) {
  for (size_t i = 0; i < SAMPLES; i++) {
    size_t x = i % SIDE;
    size_t y = i / SIDE;
    inside[i] = x >= 92 && x < 132 && y >= 92 && y < 132;
    for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      hounsfield[phase * SAMPLES + i] = (int16_t)(inside[i] ? 40 + 10 * phase : 60 + 20 * phase);
    }
    delayed[i] = inside[i] ? 90 : 95;
    heat[i] = 0.0F;
  }
  return (struct lvn_crop){.side_mm = 56.0,
                           .sample_spacing_mm = 0.25,
                           .phase_present = {true, true, true},
                           .delayed_present = true,
                           .slice_count = 1,
                           .slices = &slice};
}

static void test_measure__lesion_and_liver_in_each_phase(void **state) {
  struct lvn_crop crop = make_crop();
  struct lvn_error err = {0};
  double lesion[LVN_PHASE_COUNT];
  double liver[LVN_PHASE_COUNT];
  static const double expected[LVN_PHASE_COUNT] = {60, 80, 100, 95};
  (void)state;
  for (size_t i = 0; i < SAMPLES;
       i++) { /* fat beyond the left edge, a vessel, and a bright rim that belongs to neither */
    size_t x = i % SIDE;
    size_t y = i / SIDE;
    bool is_rim = !inside[i] && x >= 88 && x < 136 && y >= 88 && y < 136;
    if (x < 80 || is_rim || (y > 140 && y < 146)) {
      for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        hounsfield[phase * SAMPLES + i] = x < 80 ? -100 : 150;
      }
    }
  }
  lvn_measure_mean_hu(&crop, lesion);
  assert_true(lvn_measure_liver_hu(&crop, liver, &err));
  assert_float_equal(lesion[LVN_PHASE_PV], 60.0, 1e-9);
  assert_float_equal(lesion[LVN_PHASE_DL], 90.0, 1e-9);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    assert_float_equal(liver[phase], expected[phase], 0.5);
  }
  crop.delayed_present = false;
  crop.phase_present[LVN_PHASE_ART] = false;
  lvn_measure_mean_hu(&crop, lesion);
  assert_true(lvn_measure_liver_hu(&crop, liver, &err));
  assert_true(isnan(lesion[LVN_PHASE_DL]) && isnan(liver[LVN_PHASE_DL]) && isnan(liver[LVN_PHASE_ART]));
  for (size_t i = 0; i < SAMPLES; i++) {
    hounsfield[i] = inside[i] ? 40 : -100; /* nothing but fat about it */
  }
  assert_true(lvn_measure_liver_hu(&crop, liver, &err));
  assert_true(isnan(liver[LVN_PHASE_NC]));
}

static void test_measure__share_of_the_map_about_the_outline(void **state) {
  struct lvn_crop crop = make_crop();
  struct lvn_error err = {0};
  double share = 0.0;
  (void)state;
  assert_true(lvn_measure_map_share(&crop, heat, &share, &err));
  assert_true(isnan(share));
  heat[112 * SIDE + 112] = 3.0F; /* in the middle */
  heat[112 * SIDE + 145] = 2.0F; /* 14 samples off the outline, under half a cell of 32 */
  heat[20 * SIDE + 20] = 5.0F;   /* a corner */
  heat[200 * SIDE + 20] = -9.0F; /* against the class: no part of the map */
  assert_true(lvn_measure_map_share(&crop, heat, &share, &err));
  assert_float_equal(share, 0.5, 1e-6);
  heat[112 * SIDE + 145] = 0.0F;
  heat[112 * SIDE + 149] = 2.0F; /* 18 samples off */
  assert_true(lvn_measure_map_share(&crop, heat, &share, &err));
  assert_float_equal(share, 0.3, 1e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_measure__edges_of_the_picture),
      cmocka_unit_test(test_measure__diameters_of_a_turned_ellipse),
      cmocka_unit_test(test_measure__one_pixel_has_its_diagonal),
      cmocka_unit_test(test_measure__pixels_of_the_box),
      cmocka_unit_test(test_measure__lesion_and_liver_in_each_phase),
      cmocka_unit_test(test_measure__share_of_the_map_about_the_outline),
      cmocka_unit_test(test_measure__volume_counts_all_slices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
