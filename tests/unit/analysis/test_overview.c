#include "analysis/overview.h"
#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LESIONS_MAX 63
#define SIDE LVN_CAPTURE_SIDE

static int16_t hounsfield[SIDE * SIDE];
static uint8_t mask[SIDE * SIDE];
static struct lvn_findings_lesion lesions[LESIONS_MAX];
static struct lvn_capture_request requests[LESIONS_MAX];

static struct lvn_findings make_findings(size_t count) {
  memset(mask + SIDE * (SIDE / 3), 1, (size_t)SIDE * SIDE / 3);
  for (size_t i = 0; i < count; i++) {
    lesions[i] = (struct lvn_findings_lesion){.short_axis_mm = 20.0,
                                              .pixels_across = {20, 20},
                                              .prediction = {.has_probability = true,
                                                             .probability = {0.01, 0.01, 0.97, 0.01},
                                                             .top_class = LVN_CLASS_HCC,
                                                             .conformal_coverage = 0.9,
                                                             .conformal_set = 1U << LVN_CLASS_HCC,
                                                             .map_share = 0.9,
                                                             .map_share_limit = 0.3}};
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      lesions[i].phases[phase] =
          (struct lvn_findings_lesion_phase){.mean_hu = 100.0, .liver_hu = 90.0, .alignment.is_usable = true};
    }
    requests[i] = (struct lvn_capture_request){
        .mask = mask,
        .pixel_samples = 2.0,
        .window_low_hu = -100.0,
        .window_high_hu = 250.0,
        .size_text = "20 x 20 mm, 4.2 ml",
        .locator = {
            .image = {hounsfield, SIDE, SIDE, 0.8, 0.8}, .first = {10, 10}, .last = {50, 50}, .text = "Series 4"}};
    requests[i].phases[LVN_PHASE_PV] = (struct lvn_capture_phase){.hounsfield = hounsfield, .is_reference = true};
  }
  return (struct lvn_findings){
      .lesions = lesions, .lesion_count = count, .model = {.name = "demo", .version = "1", .trained_on = "phantoms"}};
}

static void render(const struct lvn_findings *findings, struct lvn_picture *ret_picture) {
  struct lvn_error err = {0};
  if (!lvn_overview_render(findings, requests, ret_picture, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(ret_picture->width, LVN_CAPTURE_WIDTH);
}

/* Rows of the picture in which a pixel of the column range differs. */
static size_t differing_rows(const struct lvn_picture *a, const struct lvn_picture *b, uint32_t *ret_first,
                             uint32_t *ret_last) {
  size_t count = 0;
  for (uint32_t y = 0; y < a->height; y++) {
    if (memcmp(a->rgb + (size_t)3 * y * a->width, b->rgb + (size_t)3 * y * a->width, (size_t)3 * a->width) != 0) {
      *ret_first = count == 0 ? y : *ret_first;
      *ret_last = y;
      count++;
    }
  }
  return count;
}

/* What is said of one lesion stands in its row and nowhere else, with pictures and without. */
static void test_overview__each_lesion_has_its_row(void **state) {
  static const size_t counts[] = {3, 8, 9, LESIONS_MAX};
  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    struct lvn_picture plain = {0};
    struct lvn_picture changed = {0};
    uint32_t first = 0;
    uint32_t last = 0;
    struct lvn_findings findings = make_findings(counts[i]);
    double row = counts[i] <= 8 ? 128.0 : 46.0;
    double top = 112.0 + row * ((double)counts[i] - 2.0);
    render(&findings, &plain);
    struct lvn_findings_lesion *lesion = &lesions[counts[i] - 2];
    lesion->prediction.abstained = true;
    (void)lvn_copy(lesion->prediction.abstention_reason, sizeof lesion->prediction.abstention_reason,
                   "The two most likely classes are too close to be told apart.");
    lesion->prediction.map_share = 0.1;
    lesion->short_axis_mm = 5.0;
    lesion->phases[LVN_PHASE_DL].series = SIZE_MAX;
    lesion->phases[LVN_PHASE_PV].mean_hu = -30.0;
    render(&findings, &changed);
    assert_true(differing_rows(&plain, &changed, &first, &last) > 10);
    assert_true((double)first >= top && (double)last < top + row);
    lvn_picture_clear(&plain);
    lvn_picture_clear(&changed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_overview__each_lesion_has_its_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
