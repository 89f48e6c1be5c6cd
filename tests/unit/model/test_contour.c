#include "base/memory.h"
#include "model/image/contour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIDE 32

static void make_mask(struct lvn_mask *ret_mask) {
  struct lvn_error error = {0};
  struct lvn_grid grid = {{SIDE, SIDE, 2}, {1, 1, 1}, {0, 0, 0}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  assert_true(lvn_mask_create(&grid, ret_mask, &error));
}

/* Even-odd rule at a pixel's centre, counted along the row to the left. */
static bool covers(const struct lvn_contour *contour, int column, int row) {
  bool is_inside = false;
  for (size_t i = 0; i < contour->count; i++) {
    const struct lvn_contour_point *a = &contour->points[i];
    const struct lvn_contour_point *b = &contour->points[(i + 1) % contour->count];
    assert_true(a->column == b->column || a->row == b->row);
    uint32_t low = a->row < b->row ? a->row : b->row;
    uint32_t high = a->row < b->row ? b->row : a->row;
    if (a->column == b->column && (uint32_t)row >= low && (uint32_t)row < high && a->column <= (uint32_t)column) {
      is_inside = !is_inside;
    }
  }
  return is_inside;
}

/* Each inside pixel is covered by exactly one outline, the others by none. Returns the number of outlines. */
static size_t check_fills_back(const struct lvn_mask *mask, uint32_t slice) {
  struct lvn_error error = {0};
  struct lvn_contour_list list = {0};
  assert_true(lvn_contour_trace(mask, slice, &list, &error));
  for (int row = 0; row < SIDE; row++) {
    for (int column = 0; column < SIDE; column++) {
      size_t covering = 0;
      for (size_t k = 0; k < list.count; k++) {
        covering += covers(&list.items[k], column, row);
      }
      assert_int_equal(covering, mask->inside[(slice * SIDE + (uint32_t)row) * SIDE + (uint32_t)column]);
    }
  }
  size_t count = list.count;
  lvn_contour_list_clear(&list);
  return count;
}

static void set(struct lvn_mask *mask, int column, int row, uint8_t value) {
  mask->inside[row * SIDE + column] = value;
}

static void test_contour__one_pixel_is_a_square(void **state) {
  (void)state;
  struct lvn_mask mask = {0};
  struct lvn_error error = {0};
  struct lvn_contour_list list = {0};
  make_mask(&mask);
  set(&mask, 3, 5, 1);
  assert_true(lvn_contour_trace(&mask, 0, &list, &error));
  assert_int_equal(list.count, 1);
  assert_int_equal(list.items[0].count, 4);
  assert_int_equal(list.items[0].points[0].column, 3);
  assert_int_equal(list.items[0].points[0].row, 5);
  assert_int_equal(list.items[0].points[2].column, 4);
  assert_int_equal(list.items[0].points[2].row, 6);
  lvn_contour_list_clear(&list);
  lvn_mask_clear(&mask);
}

static void test_contour__empty_slice_has_none(void **state) {
  (void)state;
  struct lvn_mask mask = {0};
  make_mask(&mask);
  set(&mask, 3, 5, 1);
  assert_int_equal(check_fills_back(&mask, 1), 0);
  lvn_mask_clear(&mask);
}

static void test_contour__whole_slice_and_border(void **state) {
  (void)state;
  struct lvn_mask mask = {0};
  make_mask(&mask);
  memset(mask.inside, 1, SIDE * SIDE);
  assert_int_equal(check_fills_back(&mask, 0), 1);
  lvn_mask_clear(&mask);
}

static void test_contour__corner_contact_makes_two_regions(void **state) {
  (void)state;
  struct lvn_mask mask = {0};
  make_mask(&mask);
  set(&mask, 3, 3, 1);
  set(&mask, 4, 4, 1);
  assert_int_equal(check_fills_back(&mask, 0), 2);
  lvn_mask_clear(&mask);
}

static void test_contour__holes_are_keyholes_of_one_outline(void **state) {
  (void)state;
  struct lvn_mask mask = {0};
  make_mask(&mask);
  for (int row = 4; row < 28; row++) {
    for (int column = 4; column < 28; column++) {
      set(&mask, column, row, 1);
    }
  }
  for (int row = 8; row < 16; row++) { /* a ring with an island: a second region */
    for (int column = 8; column < 16; column++) {
      set(&mask, column, row, (uint8_t)(row >= 10 && row < 12 && column >= 10 && column < 12));
    }
  }
  set(&mask, 20, 12, 0); /* its keyhole runs to the first hole, not to the outline */
  set(&mask, 21, 13, 0); /* touches the former at a corner: one hole */
  set(&mask, 20, 20, 0);
  assert_int_equal(check_fills_back(&mask, 0), 2);
  lvn_mask_clear(&mask);
}

static void test_contour__random_masks_fill_back(void **state) {
  (void)state;
  struct lvn_mask mask = {0};
  uint32_t seed = 12345;
  make_mask(&mask);
  for (int round = 0; round < 300; round++) {
    uint32_t density = (uint32_t)(round % 10) * 25 + 12;
    for (int i = 0; i < SIDE * SIDE; i++) {
      seed = seed * 1664525U + 1013904223U;
      mask.inside[i] = (seed >> 24) < density;
    }
    (void)check_fills_back(&mask, 0);
  }
  lvn_mask_clear(&mask);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_contour__one_pixel_is_a_square),
      cmocka_unit_test(test_contour__empty_slice_has_none),
      cmocka_unit_test(test_contour__whole_slice_and_border),
      cmocka_unit_test(test_contour__corner_contact_makes_two_regions),
      cmocka_unit_test(test_contour__holes_are_keyholes_of_one_outline),
      cmocka_unit_test(test_contour__random_masks_fill_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
