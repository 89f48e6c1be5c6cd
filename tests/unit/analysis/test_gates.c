#include "analysis/gates.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* An HCC of 30 mm in a normal liver; every case below changes what it needs to. */
static struct lvn_gate_facts a_lesion(void) {
  return (struct lvn_gate_facts){.long_axis_mm = 30.0,
                                 .by_area_mm = 28.0,
                                 .pixels_across = 40.0,
                                 .least_diameter_mm = 8.0,
                                 .least_pixels_across = 6.0,
                                 .mean_hu = {48.0, 115.0, 95.0},
                                 .aorta_hu = {42.0, 310.0, 165.0},
                                 .same_share = {0.03, 0.02, 0.05},
                                 .surroundings = {.is_judged = true,
                                                  .is_lesion = true,
                                                  .contrast_hu = 40.0,
                                                  .odd_share = 0.6,
                                                  .liver_share = 0.9,
                                                  .rise_hu = 62.0,
                                                  .fall_hu = -35.0}};
}

/* The gates that close, as bits. */
static unsigned closed(const struct lvn_gate_facts *facts) {
  unsigned bits = 0;
  for (int gate = 0; gate < LVN_GATE_COUNT; gate++) {
    char sentence[LVN_GATE_SENTENCE_BYTES];
    bool closes = lvn_gate_closes((enum lvn_gate)gate, facts, sentence);
    size_t length = strlen(sentence);
    assert_int_equal(closes, length > 0);
    assert_true(!closes || (sentence[length - 1] == '.' && length < LVN_GATE_SENTENCE_BYTES - 1)); /* not cut */
    bits |= closes ? 1U << (unsigned)gate : 0U;
  }
  return bits;
}

static void expect(const struct lvn_gate_facts *facts, enum lvn_gate gate, const char *what) {
  unsigned found = closed(facts);
  unsigned wanted = gate == LVN_GATE_COUNT ? 0U : 1U << (unsigned)gate;
  if (found != wanted) {
    fail_msg("%s: gates %x close, not %x", what, found, wanted);
  }
}

static void test_gates__each_closes_for_its_own(void **state) {
  (void)state;
  struct lvn_gate_facts f = a_lesion();
  expect(&f, LVN_GATE_COUNT, "a lesion");
  f.mean_hu[LVN_PHASE_ART] = -640.0;
  expect(&f, LVN_GATE_RANGE, "lung in one phase");
  f.mean_hu[LVN_PHASE_ART] = 2300.0;
  expect(&f, LVN_GATE_RANGE, "metal");
  f.mean_hu[LVN_PHASE_ART] = NAN;
  expect(&f, LVN_GATE_RANGE, "off the images");
  f = a_lesion();
  f.same_share[2] = 0.97;
  expect(&f, LVN_GATE_SAME_IMAGES, "arterial sent twice");
  f = a_lesion();
  f.aorta_hu[LVN_PHASE_ART] = f.aorta_hu[LVN_PHASE_PV] = 44.0;
  expect(&f, LVN_GATE_ENHANCEMENT, "no contrast agent at all");
  f = a_lesion();
  f.aorta_hu[LVN_PHASE_NC] = 165.0;
  f.aorta_hu[LVN_PHASE_PV] = 42.0;
  expect(&f, LVN_GATE_ENHANCEMENT, "non-contrast and portal-venous swapped");
  f = a_lesion();
  f.surroundings.rise_hu = 2.0;
  expect(&f, LVN_GATE_ENHANCEMENT, "nothing about it enhances");
  f = a_lesion();
  f.surroundings.fall_hu = 20.0;
  expect(&f, LVN_GATE_ENHANCEMENT, "arterial and portal-venous swapped");
  f = a_lesion();
  f.surroundings.fat_share = 0.4;
  expect(&f, LVN_GATE_FAT, "half in fat");
  f = a_lesion();
  f.surroundings.liver_share = 0.01;
  expect(&f, LVN_GATE_NO_LIVER, "in the kidney's fat");
  f = a_lesion();
  f.surroundings.is_lesion = false;
  expect(&f, LVN_GATE_NO_LESION, "normal liver");
  f = a_lesion();
  f.long_axis_mm = 7.9;
  expect(&f, LVN_GATE_SMALL, "under the floor");
  f = a_lesion();
  f.long_axis_mm = 8.6, f.by_area_mm = 6.7;
  expect(&f, LVN_GATE_SMALL, "5 mm, drawn wide, on coarse pixels");
  f = a_lesion();
  f.pixels_across = 5.5;
  expect(&f, LVN_GATE_SMALL, "few pixels");
  f = a_lesion();
  f.least_diameter_mm = 35.0;
  expect(&f, LVN_GATE_SMALL, "under the package's own floor");
}

/* What real scans hold, and no gate may turn away. */
static void test_gates__leave_real_scans_alone(void **state) {
  (void)state;
  struct lvn_gate_facts f = a_lesion();
  f.mean_hu[0] = 640.0, f.mean_hu[1] = 650.0, f.mean_hu[2] = 655.0;
  expect(&f, LVN_GATE_COUNT, "lipiodol");
  f = a_lesion();
  f.mean_hu[0] = -12.0, f.mean_hu[1] = -8.0, f.mean_hu[2] = -10.0;
  expect(&f, LVN_GATE_COUNT, "a cyst off by the scanner's calibration");
  f = a_lesion();
  f.same_share[0] = f.same_share[1] = f.same_share[2] = 0.35;
  expect(&f, LVN_GATE_COUNT, "a cyst after denoising");
  f = a_lesion();
  f.aorta_hu[LVN_PHASE_ART] = 60.0;
  expect(&f, LVN_GATE_COUNT, "very early: the aorta of one phase is not enhanced yet, or was not found well");
  f = a_lesion();
  f.surroundings.rise_hu = 18.0, f.surroundings.fall_hu = -6.0, f.surroundings.liver_share = 0.6;
  expect(&f, LVN_GATE_COUNT, "little contrast agent, cirrhosis");
  f = a_lesion();
  f.surroundings.liver_share = 0.12, f.surroundings.fat_share = 0.2;
  expect(&f, LVN_GATE_COUNT, "hangs on the edge, drawn wide");
  f = a_lesion();
  f.long_axis_mm = 8.2, f.by_area_mm = 7.4, f.pixels_across = 6.1;
  expect(&f, LVN_GATE_COUNT, "small, thick pixels");
  f = a_lesion();
  f.aorta_hu[0] = f.aorta_hu[1] = f.aorta_hu[2] = NAN;
  f.same_share[0] = f.same_share[1] = f.same_share[2] = NAN;
  f.surroundings = (struct lvn_roi_gate){.is_lesion = true, .liver_share = NAN, .rise_hu = NAN, .fall_hu = NAN};
  expect(&f, LVN_GATE_COUNT, "what is not known turns nothing away");
}

static void test_gates__codes_are_words_of_their_own(void **state) {
  (void)state;
  for (int gate = 0; gate < LVN_GATE_COUNT; gate++) {
    const char *code = lvn_gate_code((enum lvn_gate)gate);
    assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
    for (int other = 0; other < gate; other++) {
      assert_string_not_equal(code, lvn_gate_code((enum lvn_gate)other));
    }
  }
}

/* Arrays: noise of its own in each phase, then one phase in place of another; air is the same everywhere. */
static void test_gates__same_share_of_a_crop(void **state) {
  (void)state;
  const size_t plane = (size_t)LVN_CROP_SIDE * LVN_CROP_SIDE;
  struct lvn_error err = {0};
  struct lvn_crop crop = {.slice_count = 1};
  double share[LVN_PHASE_NETWORK_COUNT];
  uint32_t random = 1;
  crop.slices = lvn_alloc(1, sizeof *crop.slices, &err);
  int16_t *hu = crop.slices[0].hounsfield = lvn_alloc(LVN_PHASE_NETWORK_COUNT * plane, sizeof *hu, &err);
  for (size_t i = 0; i < LVN_PHASE_NETWORK_COUNT * plane; i++) {
    random = random * 1664525U + 1013904223U;
    hu[i] = i % plane < plane / 2 ? (int16_t)-1000 : (int16_t)(40 + (int)(random >> 16U) % 30);
  }
  lvn_gates_same_share(&crop, share);
  for (int pair = 0; pair < LVN_PHASE_NETWORK_COUNT; pair++) {
    assert_true(fabs(share[pair] - 0.1) < 0.02); /* 3 of 30 values */
  }
  memcpy(hu + 2 * plane, hu + plane, plane * sizeof *hu);
  lvn_gates_same_share(&crop, share);
  assert_true(share[0] < 0.2 && share[1] < 0.2 && share[2] > 0.999);
  for (size_t i = 0; i < plane; i++) {
    hu[i] = -1000;
  }
  lvn_gates_same_share(&crop, share);
  assert_true(isnan(share[0]) && isnan(share[1]) && share[2] > 0.999);
  lvn_crop_clear(&crop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gates__each_closes_for_its_own), cmocka_unit_test(test_gates__leave_real_scans_alone),
      cmocka_unit_test(test_gates__codes_are_words_of_their_own), cmocka_unit_test(test_gates__same_share_of_a_crop)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
