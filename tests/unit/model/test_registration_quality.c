/* The decision and the estimate from given figures, and the comparison of bodies. */
#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

/* The middle of what pairs of one patient's phases show on phantoms. */
static const struct lvn_reg_evidence good = {.similarity = 0.88,
                                             .similarity_before = 0.7,
                                             .peak = 3.0,
                                             .overlap = 1.0,
                                             .inverse_consistency_mm = 0.5,
                                             .model_spread_mm = 1.2,
                                             .body = 0.95,
                                             .detail = 0.7,
                                             .agreement = 0.85,
                                             .contrast = 0.5,
                                             .slice_mm = 5.0};

static struct lvn_registration_quality judge(const struct lvn_reg_evidence *evidence) {
  struct lvn_registration_quality quality = {0};
  lvn_reg_judge(evidence, 6.0, &quality);
  assert_true(quality.usable == (quality.reason[0] == '\0'));
  return quality;
}

static void test_registration_quality__believes_the_ordinary(void **unused) {
  (void)unused;
  struct lvn_registration_quality quality = judge(&good);
  assert_true(quality.usable);
  assert_true(quality.estimated_error_mm > 1.0 && quality.estimated_error_mm < 3.0);
  /* A flat search, as thick slices without contrast agent give, refuses nothing by itself. */
  struct lvn_reg_evidence flat = good;
  flat.peak = 1.5;
  flat.similarity = 0.84;
  assert_true(judge(&flat).usable);
  struct lvn_reg_evidence contrast_everywhere = good; /* arterial phase: half of the neighbourhood looks different */
  contrast_everywhere.similarity = 0.6;
  contrast_everywhere.agreement = 0.6;
  assert_true(judge(&contrast_everywhere).usable);
}

static void test_registration_quality__refuses(void **unused) {
  (void)unused;
  struct lvn_reg_evidence bad[7];
  for (size_t i = 0; i < 7; i++) {
    bad[i] = good;
  }
  bad[0].overlap = 0.0;
  bad[1].overlap = 0.2;
  bad[2].inverse_consistency_mm = 18.0;
  bad[3].inverse_consistency_mm = NAN;
  bad[4].body = 0.7;
  bad[5].agreement = 0.05;
  bad[5].similarity = 0.4;
  bad[6].at_border = true;
  bad[6].agreement = 0.3;
  for (size_t i = 0; i < 7; i++) {
    struct lvn_registration_quality quality = judge(&bad[i]);
    assert_false(quality.usable);
    assert_true(strlen(quality.reason) > 20);
    assert_true(isnan(quality.estimated_error_mm));
  }
}

static void test_registration_quality__estimate_follows_the_figures(void **unused) {
  (void)unused;
  double before = judge(&good).estimated_error_mm;
  struct lvn_reg_evidence worse = good;
  worse.agreement = 0.5;
  assert_true(judge(&worse).estimated_error_mm > 1.2 * before);
  worse = good;
  worse.inverse_consistency_mm = 3.0;
  assert_true(judge(&worse).estimated_error_mm > 1.2 * before);
  worse = good;
  worse.model_spread_mm = 4.0;
  assert_true(judge(&worse).estimated_error_mm > 1.2 * before);
  worse = good;
  worse.planar = true;
  assert_true(judge(&worse).estimated_error_mm > 1.9 + before);
  struct lvn_registration_quality quality = {0};
  lvn_reg_judge(&good, 1.0, &quality);
  assert_false(quality.usable);
  assert_non_null(strstr(quality.reason, "above the limit of 1.0 mm"));
}

/* A cylinder of soft tissue in a coat of fat, in air. */
static struct lvn_volume make_body(double radius_mm, double coat_mm, double shift_mm, int16_t inside_hu) {
  struct lvn_error err = {0};
  struct lvn_volume volume;
  const struct lvn_grid grid = {.size = {96, 96, 24},
                                .spacing_mm = {4.0, 4.0, 5.0},
                                .origin_mm = {-190.0, -190.0, -60.0},
                                .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  assert_true(lvn_volume_create(&grid, &volume, &err));
  for (size_t i = 0; i < 96U * 96U * 24U; i++) {
    double x = (double)(i % 96) * 4.0 - 190.0 - shift_mm;
    double y = (double)(i / 96 % 96) * 4.0 - 190.0;
    double r = hypot(x / 1.4, y);
    volume.hounsfield[i] = r < radius_mm - coat_mm ? inside_hu : (r < radius_mm ? -100 : -1000);
  }
  return volume;
}

static double similarity(const struct lvn_volume *fixed, const struct lvn_volume *moving) {
  const double centre[3] = {-50.0, 0.0, 0.0};
  struct lvn_error err = {0};
  double value = NAN;
  assert_true(lvn_reg_compare_bodies(fixed, moving, centre, &value, &err));
  assert_true(value >= 0.0 && value <= 1.0 + 1e-9);
  return value;
}

static void test_registration_quality__bodies(void **unused) {
  (void)unused;
  struct lvn_volume body = make_body(110, 20, 0, 50);
  struct lvn_volume later = make_body(110, 20, 8, 140); /* contrast agent, and moved on the table */
  struct lvn_volume lean = make_body(110, 6, 0, 50);
  struct lvn_volume slim = make_body(85, 20, 0, 50);
  assert_true(similarity(&body, &body) > 0.9999);
  assert_true(similarity(&body, &later) > 0.98);
  assert_true(similarity(&body, &lean) < 0.95);
  assert_true(similarity(&body, &slim) < 0.85);
  for (size_t i = 0; i < 96U * 96U * 24U; i++) {
    lean.hounsfield[i] = LVN_HU_PADDING;
  }
  assert_true(similarity(&body, &lean) == 0.0);
  slim.grid.origin_mm[2] = 900.0;
  assert_true(similarity(&body, &slim) == 0.0);
  lvn_volume_clear(&body);
  lvn_volume_clear(&later);
  lvn_volume_clear(&lean);
  lvn_volume_clear(&slim);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registration_quality__believes_the_ordinary),
      cmocka_unit_test(test_registration_quality__refuses),
      cmocka_unit_test(test_registration_quality__estimate_follows_the_figures),
      cmocka_unit_test(test_registration_quality__bodies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
