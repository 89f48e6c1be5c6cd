/* The same pixels under another name, and phases that only look alike. */
#include "dicom/read/same_images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

#define SIDE 64

static double gauss(uint32_t *state) {
  double sum = -6.0;
  for (int i = 0; i < 12; i++) {
    *state = *state * 1664525U + 1013904223U;
    sum += (double)(*state >> 8) / 16777216.0;
  }
  return sum;
}

/* A body with a liver; `table_mm` moves the whole of it. */
static struct lvn_volume paint(double liver_hu, double noise_hu, uint32_t seed, double table_mm) {
  struct lvn_error err;
  struct lvn_volume volume;
  const struct lvn_grid grid = {.size = {SIDE, SIDE, 10},
                                .spacing_mm = {5, 5, 5},
                                .origin_mm = {-160, -160, table_mm},
                                .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  assert_true(lvn_volume_create(&grid, &volume, &err));
  for (size_t i = 0; i < (size_t)SIDE * SIDE * 10; i++) {
    double x = (double)(i % SIDE) - 32;
    double y = (double)(i / SIDE % SIDE) - 32;
    double z = (double)(i / SIDE / SIDE);
    double hu = hypot(x, y) < 26 + 0.3 * z ? (hypot(x + 10, y) < 9 ? liver_hu : 50) : -1000;
    volume.hounsfield[i] = (int16_t)lround(hu + noise_hu * gauss(&seed));
  }
  return volume;
}

static bool are_same(const struct lvn_volume *a, const struct lvn_volume *b) {
  struct lvn_error err;
  const struct lvn_volume *volumes[2] = {a, b};
  size_t first[2] = {9, 9};
  assert_true(lvn_same_images_find(volumes, 2, first, &err));
  assert_int_equal(first[0], 0);
  return first[1] == 0;
}

static void test_same_images__copies_are_found(void **unused) {
  (void)unused;
  struct lvn_volume original = paint(60, 12, 1, 0);
  struct lvn_volume copy = paint(60, 12, 1, 0);
  struct lvn_volume moved = paint(60, 12, 1, -300); /* another table position */
  assert_true(are_same(&original, &copy));
  assert_true(are_same(&original, &moved));
  for (size_t i = 0; i < (size_t)SIDE * SIDE * 10; i++) {
    copy.hounsfield[i] = (int16_t)(copy.hounsfield[i] + (int)(i * 7 % 9) - 4); /* lossy compression */
    moved.hounsfield[i] = (int16_t)(moved.hounsfield[i] + 24);                 /* intercept -1000 for -1024 */
  }
  assert_true(are_same(&original, &copy));
  assert_true(are_same(&original, &moved));
  /* a part of it, in the other order */
  struct lvn_volume part = paint(60, 12, 1, 0);
  part.grid.size[2] = 6;
  for (size_t z = 0; z < 6; z++) {
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
      part.hounsfield[z * SIDE * SIDE + i] = original.hounsfield[(8 - z) * SIDE * SIDE + i];
    }
  }
  assert_true(are_same(&original, &part));
  assert_true(are_same(&part, &original));
  lvn_volume_clear(&original);
  lvn_volume_clear(&copy);
  lvn_volume_clear(&moved);
  lvn_volume_clear(&part);
}

static void test_same_images__other_scans_are_not(void **unused) {
  (void)unused;
  const double noises[] = {0, 2, 10, 40};
  for (size_t n = 0; n < 4; n++) {
    struct lvn_volume native = paint(60, noises[n], 1, 0);
    struct lvn_volume portal = paint(110, noises[n], 2, 0);
    struct lvn_volume again = paint(60, noises[n], 3, 0);
    assert_false(are_same(&native, &portal));
    assert_true(noises[n] == 0 || !are_same(&native, &again));
    lvn_volume_clear(&native);
    lvn_volume_clear(&portal);
    lvn_volume_clear(&again);
  }
}

static void test_same_images__each_names_the_first(void **unused) {
  (void)unused;
  struct lvn_error err;
  struct lvn_volume a = paint(60, 10, 1, 0);
  struct lvn_volume b = paint(120, 10, 2, 0);
  const struct lvn_volume *volumes[5] = {&a, &b, &a, &b, &a};
  size_t first[5];
  assert_true(lvn_same_images_find(volumes, 5, first, &err));
  const size_t wanted[5] = {0, 1, 0, 1, 0};
  assert_memory_equal(first, wanted, sizeof wanted);
  lvn_volume_clear(&a);
  lvn_volume_clear(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_images__copies_are_found),
      cmocka_unit_test(test_same_images__other_scans_are_not),
      cmocka_unit_test(test_same_images__each_names_the_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
