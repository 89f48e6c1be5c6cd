/* What is measured in a lesion, and trees that learn from it. */
#include "base/memory.h"
#include "model/image/measurements.h"
#include "model/train/boost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SIDE LVN_CROP_SIDE
#define SAMPLES ((size_t)SIDE * SIDE)
#define RADIUS 80.0
#define assert_near(found, expected, tolerance) assert_true(fabs((double)(found) - (double)(expected)) <= (tolerance))

static int16_t pixels[3 * SAMPLES];
static uint8_t mask[SAMPLES];

/* A disc in liver: HU of liver, of the disc and of its rim (the outer 30 %), by phase. */
static struct lvn_crop draw(const int liver[3], const int core[3], const int rim[3], struct lvn_crop_slice *slice) {
  for (size_t i = 0; i < SAMPLES; i++) {
    size_t row = i / SIDE;
    double r = hypot((double)(i % SIDE) - 111.5, (double)row - 111.5);
    mask[i] = r <= RADIUS;
    for (size_t phase = 0; phase < 3; phase++) {
      const int *hu = r > RADIUS ? liver : r > 0.7 * RADIUS ? rim : core;
      pixels[phase * SAMPLES + i] = (int16_t)hu[phase];
    }
  }
  *slice = (struct lvn_crop_slice){.hounsfield = pixels, .mask = mask};
  return (struct lvn_crop){.side_mm = 56.0,
                           .sample_spacing_mm = 0.25,
                           .phase_present = {true, true, true},
                           .slice_count = 1,
                           .slices = slice};
}

static float value_of(const float *values, const char *name) {
  for (size_t i = 0; i < LVN_MEASUREMENT_COUNT; i++) {
    if (strcmp(lvn_measurement_name(i), name) == 0) {
      return values[i];
    }
  }
  fail_msg("no measurement '%s'", name);
  return NAN;
}

static void test_measurements__rim_enhancement(void **state) {
  float values[LVN_MEASUREMENT_COUNT];
  struct lvn_crop_slice slice;
  struct lvn_error err = {0};
  (void)state;
  const struct lvn_crop crop =
      draw((const int[]){55, 75, 110}, (const int[]){40, 45, 60}, (const int[]){45, 105, 90}, &slice);
  assert_true(lvn_measurements_take(&crop, values, &err));
  assert_near(value_of(values, "core-ART"), -30.0, 0.5);
  assert_near(value_of(values, "rim-ART"), 30.0, 4.0);
  assert_near(value_of(values, "rim-core-ART"), 60.0, 4.0);
  assert_near(value_of(values, "rim-PV"), -20.0, 2.0);
  assert_near(value_of(values, "liver-NC"), 55.0, 0.5);
  assert_near(value_of(values, "liver-rise-PV"), 55.0, 0.5);
  assert_near(value_of(values, "core-PV-of-liver"), 20.0 / 55.0, 0.01);
  assert_near(value_of(values, "size"), log(2.0 * 20.0), 0.15); /* 80 samples of 0.25 mm; places have a width */
  assert_near(value_of(values, "sectors-ART"), 0.0, 3.0);
  assert_true(value_of(values, "depth-ART") < -0.7F); /* darker inwards */
}

/* A scanner that reads 10 HU too much moves what is absolute alone. */
static void test_measurements__offset_moves_absolute_figures_alone(void **state) {
  float plain[LVN_MEASUREMENT_COUNT];
  float moved[LVN_MEASUREMENT_COUNT];
  struct lvn_crop_slice slice;
  struct lvn_error err = {0};
  size_t differ = 0;
  (void)state;
  struct lvn_crop crop =
      draw((const int[]){55, 75, 110}, (const int[]){60, 120, 100}, (const int[]){60, 120, 100}, &slice);
  assert_true(lvn_measurements_take(&crop, plain, &err));
  for (size_t i = 0; i < 3 * SAMPLES; i++) {
    pixels[i] = (int16_t)(pixels[i] + 10);
  }
  assert_true(lvn_measurements_take(&crop, moved, &err));
  for (size_t i = 0; i < LVN_MEASUREMENT_COUNT; i++) {
    differ += fabs((double)moved[i] - (double)plain[i]) > 1e-3;
  }
  assert_int_equal(differ, 4); /* liver-NC, hu-NC, hu-ART, hu-PV */
}

static void test_measurements__any_outline_gives_finite_figures(void **state) {
  float values[LVN_MEASUREMENT_COUNT];
  struct lvn_crop_slice slice;
  struct lvn_error err = {0};
  (void)state;
  struct lvn_crop crop = draw((const int[]){0, 0, 0}, (const int[]){0, 0, 0}, (const int[]){0, 0, 0}, &slice);
  for (int kind = 0; kind < 3; kind++) {
    memset(mask, kind == 1, sizeof mask); /* nothing, everything, one sample */
    mask[0] = kind == 2;
    assert_true(lvn_measurements_take(&crop, values, &err));
    for (size_t i = 0; i < LVN_MEASUREMENT_COUNT; i++) {
      assert_true(isfinite(values[i]));
    }
  }
}

#define ROWS 600

/* Two labels by the product of two measurements' signs, which no single split tells apart. */
static void test_boost__learns_an_interaction_and_repeats(void **state) {
  static float rows[ROWS][LVN_MEASUREMENT_COUNT];
  static size_t label[ROWS];
  const struct lvn_boost_options options = {60, 0.1, 0.5, 5, 7};
  struct lvn_trees trees;
  struct lvn_trees again;
  struct lvn_error err = {0};
  unsigned state_of = 1;
  size_t right = 0;
  (void)state;
  for (size_t i = 0; i < ROWS; i++) {
    for (size_t f = 0; f < LVN_MEASUREMENT_COUNT; f++) {
      state_of = state_of * 1664525U + 1013904223U;
      rows[i][f] = (float)(state_of >> 8U) / 8388608.0F - 1.0F;
    }
    label[i] = (rows[i][3] > 0.2F) != (rows[i][50] > -0.1F);
  }
  assert_true(lvn_boost_fit(rows, label, ROWS / 2, 2, &options, &trees, &err));
  assert_true(lvn_boost_fit(rows, label, ROWS / 2, 2, &options, &again, &err));
  assert_memory_equal(trees.leaf, again.leaf, trees.tree_count * LVN_TREES_LEAVES * sizeof *trees.leaf);
  assert_true(lvn_trees_check(&trees, &err));
  for (size_t i = ROWS / 2; i < ROWS; i++) {
    double probability[2];
    lvn_trees_run(&trees, rows[i], probability);
    assert_near(probability[0] + probability[1], 1.0, 1e-12);
    right += (probability[1] > 0.5) == (label[i] == 1);
  }
  assert_true(right > ROWS / 2 * 85 / 100);
  trees.feature[0] = LVN_MEASUREMENT_COUNT;
  assert_false(lvn_trees_check(&trees, &err));
  lvn_trees_clear(&trees);
  lvn_trees_clear(&again);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_measurements__rim_enhancement),
      cmocka_unit_test(test_measurements__offset_moves_absolute_figures_alone),
      cmocka_unit_test(test_measurements__any_outline_gives_finite_figures),
      cmocka_unit_test(test_boost__learns_an_interaction_and_repeats),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
