#include "analysis/capture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIDE LVN_CAPTURE_SIDE
/* Where the tiles lie: three columns, two rows, 320 pixels each. */
#define TILE 320
#define TILE_STEP 336
#define FIRST_COLUMN 24
#define FIRST_ROW 96
#define SECOND_ROW 522
#define PANEL_LEFT 1040
#define PANEL_RIGHT 1440

static int16_t hounsfield[LVN_PHASE_COUNT][SIDE * SIDE];
static uint8_t mask[SIDE * SIDE];
static float heat[SIDE * SIDE];

static struct lvn_capture_request make_request(void) {
  struct lvn_capture_request request = {.mask = mask,
                                        .heat = heat,
                                        .pixel_samples = 2.0,
                                        .sample_spacing_mm = 0.25,
                                        .window_low_hu = -100.0,
                                        .window_high_hu = 250.0,
                                        .has_probability = true,
                                        .classes = LVN_CLASSES_PAPER,
                                        .probability = {0.1, 0.2, 0.6, 0.1},
                                        .top_class = LVN_CLASS_HCC,
                                        .lesion_label = "Lesion 1 of 1",
                                        .size_text = "20 x 18 mm",
                                        .model_name = "demo",
                                        .model_version = "1.0.0"};
  for (int k = 0; k < LVN_PHASE_NETWORK_COUNT; k++) {
    request.phases[k] = (struct lvn_capture_phase){.hounsfield = hounsfield[k],
                                                   .title = "Phase",
                                                   .detail = "series 1",
                                                   .mean_hu = 50.0,
                                                   .from_plain_hu = NAN,
                                                   .against_liver_hu = -7.0};
    for (int i = 0; i < SIDE * SIDE; i++) {
      hounsfield[k][i] = (int16_t)(-100 + 100 * k); /* black, then lighter */
    }
  }
  for (int row = 0; row < SIDE; row++) {
    for (int column = 0; column < SIDE; column++) {
      mask[row * SIDE + column] = row >= 80 && row < 140 && column >= 60 && column < 150;
      heat[row * SIDE + column] = column < SIDE / 2 ? 0.0F : 1.0F;
    }
  }
  return request;
}

static void render(const struct lvn_capture_request *request, struct lvn_picture *ret_picture) {
  struct lvn_error error = {0};
  if (!lvn_capture_render(request, ret_picture, &error)) {
    fail_msg("%s", error.message);
  }
  assert_int_equal(ret_picture->width,
                   request->phases[LVN_PHASE_DL].title != NULL ? LVN_CAPTURE_DELAYED_WIDTH : LVN_CAPTURE_WIDTH);
  assert_int_equal(ret_picture->height, LVN_CAPTURE_HEIGHT);
}

static const uint8_t *pixel(const struct lvn_picture *picture, int x, int y) {
  return picture->rgb + 3 * ((size_t)y * picture->width + (size_t)x);
}

/* Pixel that shows the centre of a crop's sample. */
static const uint8_t *sample(const struct lvn_picture *picture, int tile, int top, double column, double row) {
  return pixel(picture, FIRST_COLUMN + tile * TILE_STEP + (int)(column * TILE / SIDE), top + (int)(row * TILE / SIDE));
}

static bool is_outline(const uint8_t *rgb) {
  return rgb[0] < 150 && rgb[1] > 150 && rgb[2] > 150 && rgb[1] > rgb[0] + 60;
}

static void test_capture__window_is_the_networks(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  render(&request, &picture);
  for (int k = 0; k < LVN_PHASE_NETWORK_COUNT; k++) {
    int expected = (int)lround(255 * (100.0 * k) / 350);
    const uint8_t *rgb = sample(&picture, k, FIRST_ROW, 200, 30);
    assert_in_range(rgb[0], (unsigned)(expected > 2 ? expected - 2 : 0), (unsigned)expected + 2);
    assert_int_equal(rgb[0], rgb[1]);
    assert_int_equal(rgb[0], rgb[2]);
  }
  lvn_picture_clear(&picture);
}

/* Another package's window: what was black becomes grey. */
static void test_capture__another_window(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  request.window_low_hu = -200.0;
  request.window_high_hu = 200.0;
  render(&request, &picture);
  for (int k = 0; k < LVN_PHASE_NETWORK_COUNT; k++) {
    unsigned expected = (unsigned)lround(255 * (100.0 + 100.0 * k) / 400);
    assert_in_range(sample(&picture, k, FIRST_ROW, 200, 30)[0], expected - 2, expected + 2);
  }
  lvn_picture_clear(&picture);
}

static void test_capture__edges_are_marked_in_the_first_row(void **state) {
  (void)state;
  struct lvn_picture plain = {0};
  struct lvn_picture marked = {0};
  struct lvn_capture_request request = make_request();
  render(&request, &plain);
  request.left_edge = 'R';
  request.top_edge = 'A';
  render(&request, &marked);
  for (int k = 0; k < LVN_PHASE_NETWORK_COUNT; k++) {
    int left = FIRST_COLUMN + k * TILE_STEP;
    size_t at_left = 0;
    size_t at_top = 0;
    for (int y = 0; y < TILE; y++) {
      for (int x = 0; x < TILE; x++) {
        bool differs = memcmp(pixel(&plain, left + x, FIRST_ROW + y), pixel(&marked, left + x, FIRST_ROW + y), 3) != 0;
        at_left += differs && x < 30 && abs(y - TILE / 2) < 15;
        at_top += differs && y < 30 && abs(x - TILE / 2) < 15;
        assert_false(differs && x >= 30 && y >= 30);
      }
    }
    assert_true(at_left > 20 && at_top > 20);
  }
  lvn_picture_clear(&plain);
  lvn_picture_clear(&marked);
}

static void test_capture__outline_stands_on_the_masks_border(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  render(&request, &picture);
  for (int k = 0; k < LVN_PHASE_NETWORK_COUNT; k++) {
    for (int row = 90; row < 130; row += 10) {
      assert_true(is_outline(sample(&picture, k, FIRST_ROW, 60, row)));
      assert_true(is_outline(sample(&picture, k, SECOND_ROW, 150, row)));
      assert_false(is_outline(sample(&picture, k, FIRST_ROW, 100, row)));
      assert_false(is_outline(sample(&picture, k, FIRST_ROW, 40, row)));
    }
  }
  lvn_picture_clear(&picture);
}

static void test_capture__heat_only_in_the_second_row_and_where_it_is(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  render(&request, &picture);
  const uint8_t *cold = sample(&picture, 1, SECOND_ROW, 20, 20);
  const uint8_t *hot = sample(&picture, 1, SECOND_ROW, 200, 20);
  const uint8_t *above = sample(&picture, 1, FIRST_ROW, 200, 20);
  assert_int_equal(cold[0], cold[2]);
  assert_true(hot[0] > hot[2] + 40);
  assert_int_equal(above[0], above[2]);
  lvn_picture_clear(&picture);
}

static void test_capture__heat_is_drawn_up_to_its_own_maximum(void **state) {
  (void)state;
  struct lvn_picture whole = {0};
  struct lvn_picture faint = {0};
  struct lvn_capture_request request = make_request();
  render(&request, &whole);
  for (size_t i = 0; i < sizeof heat / sizeof heat[0]; i++) {
    heat[i] *= 0.25F;
  }
  render(&request, &faint);
  assert_memory_equal(sample(&whole, 1, SECOND_ROW, 200, 20), sample(&faint, 1, SECOND_ROW, 200, 20), 3);
  for (size_t i = 0; i < sizeof heat / sizeof heat[0]; i++) {
    heat[i] = 0.0F;
  }
  lvn_picture_clear(&faint);
  render(&request, &faint);
  const uint8_t *none = sample(&faint, 1, SECOND_ROW, 200, 20);
  assert_int_equal(none[0], none[2]);
  lvn_picture_clear(&whole);
  lvn_picture_clear(&faint);
}

static void test_capture__unusable_phase_has_no_heat(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  request.phases[1].is_unusable = true;
  render(&request, &picture);
  const uint8_t *hot = sample(&picture, 1, SECOND_ROW, 200, 20);
  assert_true(hot[0] < hot[2] + 10);
  lvn_picture_clear(&picture);
}

/* Widths of the bars, read from the picture's panel, stand in the relation of the probabilities. */
static void test_capture__bars_have_the_probabilities_length(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  size_t longest = 0;
  render(&request, &picture);
  for (int y = FIRST_ROW; y < SECOND_ROW + TILE; y++) {
    size_t run = 0;
    for (int x = PANEL_LEFT; x < PANEL_RIGHT; x++) {
      const uint8_t *rgb = pixel(&picture, x, y);
      run += rgb[2] > 200 && rgb[0] < 130; /* the top class's blue */
    }
    longest = run > longest ? run : longest;
  }
  assert_in_range(longest, (size_t)(368 * 0.6) - 3, (size_t)(368 * 0.6) + 3);
  lvn_picture_clear(&picture);
}

static size_t differing_pixels(const struct lvn_picture *a, const struct lvn_picture *b, int left, int right, int top,
                               int bottom) {
  size_t count = 0;
  for (int y = top; y < bottom; y++) {
    for (int x = left; x < right; x++) {
      count += memcmp(pixel(a, x, y), pixel(b, x, y), 3) != 0;
    }
  }
  return count;
}

static void test_capture__long_and_foreign_texts_stay_in_their_boxes(void **state) {
  (void)state;
  static char text[3000];
  struct lvn_picture plain = {0};
  struct lvn_picture full = {0};
  struct lvn_capture_request request = make_request();
  request.abstained = true;
  request.abstention_reason = "Short.";
  render(&request, &plain);
  for (size_t i = 0; i + 1 < sizeof text; i++) {
    text[i] = i % 13 == 12 ? ' ' : i % 29 == 0 ? '\xff' : 'W'; /* invalid UTF-8 among it */
  }
  request.abstention_reason = text;
  request.phases[0].detail = text;
  request.lesion_label = text;
  request.size_text = text;
  request.conformal_text = text;
  request.outlier_text = text;
  request.map_text = text;
  request.map_is_elsewhere = true;
  request.small_text = text;
  request.locator = (struct lvn_capture_locator){
      .image = {hounsfield[2], SIDE, SIDE, 0.8, 0.8}, .first = {50, 50}, .last = {80, 90}, .text = text};
  render(&request, &full);
  /* Between the tiles, between tiles and panel, right of the panel, in the tiles. */
  assert_int_equal(
      differing_pixels(&plain, &full, FIRST_COLUMN + TILE + 1, FIRST_COLUMN + TILE_STEP, FIRST_ROW, SECOND_ROW - 30),
      0);
  assert_int_equal(differing_pixels(&plain, &full, 1018, PANEL_LEFT, FIRST_ROW, SECOND_ROW + TILE + 8), 0);
  assert_int_equal(differing_pixels(&plain, &full, PANEL_RIGHT, LVN_CAPTURE_WIDTH, 0, 900), 0);
  assert_int_equal(differing_pixels(&plain, &full, PANEL_LEFT, LVN_CAPTURE_WIDTH, SECOND_ROW + TILE, 932), 0);
  assert_int_equal(differing_pixels(&plain, &full, 24, 1016, FIRST_ROW, FIRST_ROW + TILE), 0);
  assert_int_equal(differing_pixels(&plain, &full, 24, 1016, SECOND_ROW, SECOND_ROW + TILE), 0);
  assert_int_equal(differing_pixels(&plain, &full, 728, LVN_CAPTURE_WIDTH, 0, 60), 0); /* the research notice */
  assert_true(differing_pixels(&plain, &full, PANEL_LEFT, PANEL_RIGHT, FIRST_ROW, SECOND_ROW) > 500);
  lvn_picture_clear(&plain);
  lvn_picture_clear(&full);
}

static void test_capture__same_request_same_pixels(void **state) {
  (void)state;
  struct lvn_picture one = {0};
  struct lvn_picture two = {0};
  struct lvn_capture_request request = make_request();
  render(&request, &one);
  render(&request, &two);
  assert_memory_equal(one.rgb, two.rgb, (size_t)3 * LVN_CAPTURE_WIDTH * LVN_CAPTURE_HEIGHT);
  lvn_picture_clear(&one);
  lvn_picture_clear(&two);
}

static void test_capture__missing_phases_and_network_still_draw(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  request.phases[0].hounsfield = NULL;
  request.phases[0].detail = NULL;
  request.heat = NULL;
  request.has_probability = false;
  request.abstained = true;
  request.abstention_reason = NULL;
  render(&request, &picture);
  lvn_picture_clear(&picture);
}

static size_t amber_pixels(const struct lvn_picture *picture, int left, int right, int top, int bottom) {
  size_t count = 0;
  for (int y = top; y < bottom; y++) {
    for (int x = left; x < right; x++) {
      const uint8_t *rgb = pixel(picture, x, y);
      count += rgb[0] > 220 && rgb[1] > 140 && rgb[1] < 215 && rgb[2] < 110;
    }
  }
  return count;
}

/* Both by the maps and beside the answer. */
static void test_capture__map_that_points_elsewhere_is_a_warning(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  const int below = SECOND_ROW + TILE;
  memset(heat, 0, sizeof heat);
  request.map_text = "12 % of the map in or next to the outline";
  render(&request, &picture);
  assert_int_equal(amber_pixels(&picture, FIRST_COLUMN, 700, below, below + 30), 0);
  assert_int_equal(amber_pixels(&picture, PANEL_LEFT, PANEL_RIGHT, FIRST_ROW, below), 0);
  lvn_picture_clear(&picture);
  request.map_is_elsewhere = true;
  render(&request, &picture);
  assert_true(amber_pixels(&picture, FIRST_COLUMN, 700, below, below + 30) > 200);
  assert_true(amber_pixels(&picture, PANEL_LEFT, PANEL_RIGHT, FIRST_ROW, below) > 200);
  lvn_picture_clear(&picture);
}

static void test_capture__delayed_phase_is_a_fourth_tile_without_a_map(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  for (int i = 0; i < SIDE * SIDE; i++) {
    hounsfield[LVN_PHASE_DL][i] = 200;
  }
  request.phases[LVN_PHASE_DL] = (struct lvn_capture_phase){
      .hounsfield = hounsfield[LVN_PHASE_DL], .title = "Delayed", .mean_hu = 200.0, .from_plain_hu = NAN};
  render(&request, &picture);
  unsigned expected = (unsigned)lround(255 * 300.0 / 350);
  assert_in_range(sample(&picture, 3, FIRST_ROW, 200, 30)[0], expected - 2, expected + 2);
  assert_true(is_outline(sample(&picture, 3, FIRST_ROW, 60, 100)));
  const uint8_t *below = sample(&picture, 3, SECOND_ROW, 200, 20);
  assert_true(below[0] < 60 && below[2] < 60);
  lvn_picture_clear(&picture);
}

/* A frame of the outline's colour about the lesion, at its place in the slice. */
static void test_capture__locator_boxes_the_lesion(void **state) {
  (void)state;
  struct lvn_picture picture = {0};
  struct lvn_capture_request request = make_request();
  int edges[4] = {INT32_MAX, INT32_MAX, 0, 0};
  request.locator = (struct lvn_capture_locator){
      .image = {hounsfield[0], SIDE, SIDE, 0.8, 0.8}, .first = {56, 112}, .last = {84, 140}};
  render(&request, &picture);
  for (int y = SECOND_ROW; y < SECOND_ROW + TILE; y++) {
    for (int x = PANEL_LEFT; x < PANEL_RIGHT; x++) {
      if (is_outline(pixel(&picture, x, y))) {
        edges[0] = x < edges[0] ? x : edges[0];
        edges[1] = y < edges[1] ? y : edges[1];
        edges[2] = x > edges[2] ? x : edges[2];
        edges[3] = y > edges[3] ? y : edges[3];
      }
    }
  }
  /* The slice is a square in the middle of the panel, which ends 16 pixels above its bottom. */
  double width = edges[2] - edges[0] + 1 - 10;
  double slice = width * SIDE / 28;
  assert_in_range((size_t)slice, 200, 310);
  double left = 0.5 * (PANEL_LEFT + PANEL_RIGHT - slice);
  double top = SECOND_ROW + TILE - 16 - slice;
  assert_true(fabs(edges[0] - (left + slice / 4 - 5)) < 3);
  assert_true(fabs(edges[1] - (top + slice / 2 - 5)) < 3);
  lvn_picture_clear(&picture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_capture__edges_are_marked_in_the_first_row),
      cmocka_unit_test(test_capture__window_is_the_networks),
      cmocka_unit_test(test_capture__another_window),
      cmocka_unit_test(test_capture__outline_stands_on_the_masks_border),
      cmocka_unit_test(test_capture__heat_only_in_the_second_row_and_where_it_is),
      cmocka_unit_test(test_capture__heat_is_drawn_up_to_its_own_maximum),
      cmocka_unit_test(test_capture__unusable_phase_has_no_heat),
      cmocka_unit_test(test_capture__bars_have_the_probabilities_length),
      cmocka_unit_test(test_capture__long_and_foreign_texts_stay_in_their_boxes),
      cmocka_unit_test(test_capture__map_that_points_elsewhere_is_a_warning),
      cmocka_unit_test(test_capture__delayed_phase_is_a_fourth_tile_without_a_map),
      cmocka_unit_test(test_capture__locator_boxes_the_lesion),
      cmocka_unit_test(test_capture__same_request_same_pixels),
      cmocka_unit_test(test_capture__missing_phases_and_network_still_draw),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
