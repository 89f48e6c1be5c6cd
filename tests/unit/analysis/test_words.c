#include "analysis/findings/words.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct lvn_findings_lesion make_lesion(void) {
  struct lvn_findings_lesion lesion = {.short_axis_mm = 20.0,
                                       .pixels_across = {30, 31},
                                       .prediction = {.has_probability = true,
                                                      .probability = {0.004, 0.3, 0.695, 0.001},
                                                      .top_class = LVN_CLASS_HCC,
                                                      .outlier_score = 1.25,
                                                      .outlier_limit = 3.0,
                                                      .outlier_alarm_rate = NAN,
                                                      .conformal_coverage = 0.9,
                                                      .map_share = 0.61,
                                                      .map_share_limit = 0.3}};
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    lesion.phases[phase].mean_hu = 48.0 + 63.0 * phase;
    lesion.phases[phase].liver_hu = phase == LVN_PHASE_PV ? (double)NAN : phase == LVN_PHASE_NC ? 51.0 : 111.3;
    lesion.phases[phase].alignment.is_usable = true;
  }
  lesion.phases[LVN_PHASE_DL].series = SIZE_MAX;
  return lesion;
}

static void check_percent(double share, const char *expected) {
  char text[LVN_WORDS_BYTES];
  lvn_words_percent(share, text);
  assert_string_equal(text, expected);
}

/* Calibration carries no decimals, and nothing is certain. */
static void test_words__percent_has_open_ends(void **state) {
  (void)state;
  check_percent(1.0, "> 99 %");
  check_percent(0.9901, "> 99 %");
  check_percent(0.99, "99 %");
  check_percent(0.874, "87 %");
  check_percent(0.01, "1 %");
  check_percent(0.0099, "< 1 %");
  check_percent(0.0, "< 1 %");
}

static void test_words__one_word_for_each_outcome(void **state) {
  struct lvn_findings_prediction prediction = make_lesion().prediction;
  (void)state;
  assert_string_equal(lvn_words_answer(&prediction), "Hepatocellular carcinoma");
  prediction.abstained = true;
  assert_string_equal(lvn_words_answer(&prediction), "Indeterminate");
  prediction.abstained = false;
  prediction.has_probability = false;
  assert_string_equal(lvn_words_answer(&prediction), "Indeterminate");
}

static void check_conformal(unsigned set, const char *expected) {
  struct lvn_findings_prediction prediction = make_lesion().prediction;
  char text[LVN_WORDS_BYTES];
  prediction.conformal_set = set;
  lvn_words_conformal(&prediction, text);
  assert_string_equal(text, expected);
}

static void test_words__sets_of_classes(void **state) {
  struct lvn_findings_prediction prediction = make_lesion().prediction;
  char text[LVN_WORDS_BYTES];
  (void)state;
  check_conformal(1U << LVN_CLASS_HCC, "90 %: HCC");
  check_conformal(1U << LVN_CLASS_HCC | 1U << LVN_CLASS_FNH, "90 %: FNH or HCC");
  check_conformal(0xF, "90 %: CYST, FNH, HCC or HEM");
  check_conformal(0, "90 %: none of the classes; it may be another kind of lesion");
  prediction.conformal_coverage = NAN; /* the package has no sets */
  lvn_words_conformal(&prediction, text);
  assert_string_equal(text, "");
}

static void test_words__attenuation_with_its_changes(void **state) {
  struct lvn_findings_lesion lesion = make_lesion();
  char text[LVN_WORDS_BYTES];
  (void)state;
  lvn_words_attenuation(&lesion, LVN_PHASE_NC, text);
  assert_string_equal(text, "48 HU, -3 against liver");
  lvn_words_attenuation(&lesion, LVN_PHASE_ART, text);
  assert_string_equal(text, "111 HU, +63 from non-contrast, +0 against liver");
  lvn_words_attenuation(&lesion, LVN_PHASE_PV, text);
  assert_string_equal(text, "174 HU, +126 from non-contrast");
  lvn_words_attenuation(&lesion, LVN_PHASE_DL, text);
  assert_string_equal(text, "");
}

static void test_words__alignment(void **state) {
  struct lvn_findings_lesion lesion = make_lesion();
  char text[LVN_WORDS_BYTES];
  (void)state;
  lesion.phases[LVN_PHASE_ART].alignment = (struct lvn_findings_alignment){
      .is_usable = true, .displacement_mm = {3.0, 4.0, 28.5}, .estimated_error_mm = 1.12};
  lvn_words_alignment(&lesion, LVN_PHASE_ART, text);
  assert_string_equal(text, "aligned by 29 mm, est. error 1.1 mm");
  lesion.phases[LVN_PHASE_ART].alignment.is_usable = false;
  lesion.phases[LVN_PHASE_ART].alignment.reason = "the anatomy was not recognised";
  lvn_words_alignment(&lesion, LVN_PHASE_ART, text);
  assert_string_equal(text, "NOT ALIGNED: the anatomy was not recognised");
  lesion.phases[LVN_PHASE_PV].is_reference = true;
  lvn_words_alignment(&lesion, LVN_PHASE_PV, text);
  assert_string_equal(text, "the ROI was drawn here");
}

static void test_words__maps_and_small_lesions(void **state) {
  struct lvn_findings_lesion lesion = make_lesion();
  char text[LVN_WORDS_BYTES];
  (void)state;
  lvn_words_map(&lesion, text);
  assert_string_equal(text, "61 % of the map in or next to the outline");
  lesion.prediction.map_share = 0.2999;
  assert_true(lvn_findings_map_is_elsewhere(&lesion));
  lvn_words_map(&lesion, text);
  assert_string_equal(text, "The map points elsewhere: only 30 % of it in or next to the outline (limit 30 %)");
  lesion.prediction.map_share = NAN;
  assert_false(lvn_findings_map_is_elsewhere(&lesion));
  lvn_words_map(&lesion, text);
  assert_string_equal(text, "");
  lvn_words_small(&lesion, text);
  assert_string_equal(text, "");
  lesion.pixels_across[1] = 9;
  lvn_words_small(&lesion, text);
  assert_string_equal(text, "Small lesion, 30 x 9 pixels: read with care");
  lesion.pixels_across[1] = 10;
  lesion.short_axis_mm = 9.9;
  assert_true(lvn_findings_is_small(&lesion));
}

static void test_words__outlier(void **state) {
  struct lvn_findings_prediction prediction = make_lesion().prediction;
  char text[LVN_WORDS_BYTES];
  (void)state;
  lvn_words_outlier(&prediction, text);
  assert_string_equal(text, "Outlier score 1.2, limit 3.0");
  prediction.outlier_alarm_rate = 0.05;
  lvn_words_outlier(&prediction, text);
  assert_string_equal(text, "Outlier score 1.2, limit 3.0; 5 % of lesions of the classes exceed it");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words__percent_has_open_ends),
      cmocka_unit_test(test_words__one_word_for_each_outcome),
      cmocka_unit_test(test_words__sets_of_classes),
      cmocka_unit_test(test_words__attenuation_with_its_changes),
      cmocka_unit_test(test_words__alignment),
      cmocka_unit_test(test_words__maps_and_small_lesions),
      cmocka_unit_test(test_words__outlier),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
