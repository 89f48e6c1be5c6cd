/* Numbers that are HU, and the mistakes that make them something else; on painted bodies and on real slices. */
#include "base/memory.h"
#include "dicom/read/hounsfield.h"
#include "dicom/read/study.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#define SIDE 96
#define SLICES 6
#define COUNT ((size_t)SIDE * SIDE * SLICES)

struct patient {
  double width_mm; /* of the body, in a field of view of 400 mm */
  double fat_mm;   /* beneath the skin */
  double liver_hu;
  double noise_hu;
  double background_hu; /* about the body; HUGE_VAL is padding */
  double zoom;          /* 1: the whole field of view; 3: its middle third */
  bool metal;
  bool lung;
  bool clipped; /* to what 12 bits hold */
};

static double gauss(uint32_t *state) {
  double sum = -6.0;
  for (int i = 0; i < 12; i++) {
    *state = *state * 1664525U + 1013904223U;
    sum += (double)(*state >> 8) / 16777216.0;
  }
  return sum;
}

static double hu_at(const struct patient *p, double x, double y) {
  double half = 0.5 * p->width_mm;
  double inner = half - p->fat_mm;
  double hu = hypot(x / half, y / (0.7 * half)) < 1 ? -102 : p->background_hu;
  hu = hypot(x / inner, y / (0.65 * inner)) < 1 ? 55 : hu;
  hu = hypot((x + 0.4 * inner) / (0.5 * inner), (y + 0.05 * inner) / (0.45 * inner)) < 1 ? p->liver_hu : hu;
  hu = p->lung && hypot((x - 0.4 * inner) / (0.45 * inner), y / (0.5 * inner)) < 1 ? -850 : hu;
  hu = hypot(x, y - 0.4 * inner) < 0.15 * inner ? 220 : hu;
  hu = fabs(hypot(x, y - 0.4 * inner) / (0.15 * inner) - 1.0) < 0.15 ? 600 : hu;
  return p->metal && hypot(x - 0.1 * inner, y - 0.5 * inner) < 0.06 * inner ? 2900 : hu;
}

static struct lvn_volume paint(const struct patient *patient) {
  struct lvn_error err;
  struct lvn_volume volume;
  const struct lvn_grid grid = {
      .size = {SIDE, SIDE, SLICES}, .spacing_mm = {4, 4, 5}, .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  uint32_t state = 5;
  assert_true(lvn_volume_create(&grid, &volume, &err));
  for (size_t i = 0; i < COUNT; i++) {
    double step = 400.0 / SIDE / patient->zoom;
    double hu =
        hu_at(patient, ((double)(i % SIDE) - SIDE / 2.0) * step, ((double)(i / SIDE % SIDE) - SIDE / 2.0) * step);
    hu += isfinite(hu) && hu > -1100 ? patient->noise_hu * gauss(&state) : 0.0;
    hu = patient->clipped ? fmax(hu, -1024) : hu;
    volume.hounsfield[i] = isfinite(hu) ? (int16_t)lround(fmin(fmax(hu, -1500), 3071)) : LVN_HU_PADDING;
  }
  return volume;
}

static struct patient usual(void) {
  return (struct patient){.width_mm = 320,
                          .fat_mm = 20,
                          .liver_hu = 60,
                          .noise_hu = 12,
                          .background_hu = -1000,
                          .zoom = 1,
                          .clipped = true};
}

static const char *doubt_of(const struct lvn_volume *volume) {
  static char doubt[LVN_HOUNSFIELD_TEXT_BYTES];
  struct lvn_error err;
  assert_true(lvn_hounsfield_check(volume, doubt, &err));
  return doubt;
}

static void expect_good(const struct patient *patient, const char *what) {
  struct lvn_volume volume = paint(patient);
  if (doubt_of(&volume)[0] != '\0') {
    fail_msg("%s: %s", what, doubt_of(&volume));
  }
  lvn_volume_clear(&volume);
}

static void test_hounsfield__bodies_of_all_kinds_pass(void **unused) {
  (void)unused;
  struct patient p = usual();
  expect_good(&p, "usual");
  p.liver_hu = 130;
  expect_good(&p, "enhanced");
  p = usual();
  p.width_mm = 110;
  p.fat_mm = 4;
  expect_good(&p, "child in a wide field of view");
  p.noise_hu = 45;
  expect_good(&p, "child at low dose");
  p = usual();
  p.width_mm = 460;
  p.fat_mm = 70;
  p.noise_hu = 40;
  expect_good(&p, "obese and cut off");
  p.metal = true;
  expect_good(&p, "with metal");
  p = usual();
  p.zoom = 3;
  expect_good(&p, "cropped to the liver, without air");
  p.metal = true;
  expect_good(&p, "cropped, with metal");
  p = usual();
  p.background_hu = HUGE_VAL;
  expect_good(&p, "padding about the body");
  p.background_hu = -1500;
  p.clipped = false;
  expect_good(&p, "another filler about the body");
  p = usual();
  p.lung = true;
  expect_good(&p, "with lung");
  p = usual();
  p.noise_hu = 0;
  expect_good(&p, "without noise");
  p.background_hu = -1024;
  expect_good(&p, "clipped at 12 bits");
  p = usual();
  p.fat_mm = 0.5;
  p.noise_hu = 60;
  expect_good(&p, "thin, sharp kernel");
}

static void expect_doubt(struct lvn_volume *volume, double slope, double intercept, const char *part) {
  struct lvn_volume changed;
  struct lvn_error err;
  assert_true(lvn_volume_create(&volume->grid, &changed, &err));
  for (size_t i = 0; i < COUNT; i++) {
    double hu = volume->hounsfield[i] == LVN_HU_PADDING ? -HUGE_VAL : volume->hounsfield[i] * slope + intercept;
    changed.hounsfield[i] = hu < -2000 ? LVN_HU_PADDING : (int16_t)lround(fmin(hu, 32767));
  }
  if (strstr(doubt_of(&changed), part) == NULL || doubt_of(&changed)[0] == '\0') {
    fail_msg("times %g and %+g: '%s' instead of '%s'", slope, intercept, doubt_of(&changed), part);
  }
  lvn_volume_clear(&changed);
}

static void test_hounsfield__wrong_scales_are_doubted(void **unused) {
  (void)unused;
  struct patient patients[4] = {usual(), usual(), usual(), usual()};
  patients[1].width_mm = 150; /* a child */
  patients[2].zoom = 3;       /* cropped */
  patients[3].liver_hu = 125;
  patients[3].noise_hu = 35;
  for (size_t i = 0; i < 4; i++) {
    struct lvn_volume volume = paint(&patients[i]);
    expect_doubt(&volume, 1, 1024, "denser than bone");
    expect_doubt(&volume, 1, 1000, "denser than bone");
    expect_doubt(&volume, 1, 8192, "denser than bone");
    expect_doubt(&volume, 1, -1024, "");
    expect_doubt(&volume, 1, 31744, "denser than bone");
    expect_doubt(&volume, 10, 0, "");
    expect_doubt(&volume, 0.01, 0, "");
    expect_doubt(&volume, 0, 40, "are exactly 40");
    if (i != 2) { /* air tells */
      expect_doubt(&volume, 0.5, 0, "its air would be at");
      expect_doubt(&volume, -1, 0, "denser than bone");
      expect_doubt(&volume, 1, 350, "");
    }
    if (i == 0) { /* so does fat, where there is some */
      expect_doubt(&volume, 2, 0, "its fat would be at");
    }
    lvn_volume_clear(&volume);
  }
}

static void test_hounsfield__one_slice_of_another_scale(void **unused) {
  (void)unused;
  struct patient p = usual();
  for (int kind = 0; kind < 4; kind++) {
    struct lvn_volume volume = paint(&p);
    size_t z = kind == 3 ? SLICES - 1 : 2;
    for (size_t i = z * SIDE * SIDE; i < (z + 1) * SIDE * SIDE; i++) {
      double hu = volume.hounsfield[i];
      hu = kind == 0 || kind == 3 ? hu + 1024 : (kind == 1 ? hu - 1024 : 10 * hu);
      volume.hounsfield[i] = hu < -2000 ? LVN_HU_PADDING : (int16_t)lround(hu);
    }
    if (strstr(doubt_of(&volume), "does not fit its neighbours") == NULL) {
      fail_msg("kind %d: '%s'", kind, doubt_of(&volume));
    }
    lvn_volume_clear(&volume);
  }
}

static void test_hounsfield__nothing_or_a_background(void **unused) {
  (void)unused;
  struct patient p = usual();
  struct lvn_volume volume = paint(&p);
  for (size_t i = 0; i < COUNT; i++) {
    volume.hounsfield[i] = volume.hounsfield[i] < -300 ? 0 : volume.hounsfield[i];
  }
  assert_non_null(strstr(doubt_of(&volume), "are exactly 0"));
  for (size_t i = 0; i < COUNT; i++) {
    volume.hounsfield[i] = LVN_HU_PADDING;
  }
  assert_string_equal(doubt_of(&volume), "nearly all of its pixels are padding");
  lvn_volume_clear(&volume);
}

static void test_hounsfield__real_slices_pass(void **unused) {
  (void)unused;
  struct lvn_error err;
  const char *const liver[] = {LVN_TEST_DATA "/ct_liver_3slices/01.dcm", LVN_TEST_DATA "/ct_liver_3slices/02.dcm",
                               LVN_TEST_DATA "/ct_liver_3slices/03.dcm"};
  struct lvn_study *study = NULL;
  assert_true(lvn_study_open(liver, 3, &study, &err));
  size_t looked_at = 0;
  for (size_t i = 0; i < lvn_study_get_stack_count(study); i++) {
    struct lvn_volume volume;
    if (lvn_study_get_stack(study, i)->exclusion == LVN_EXCLUSION_NONE) {
      assert_true(lvn_study_load_volume(study, i, &volume, &err));
      assert_string_equal(doubt_of(&volume), "");
      lvn_volume_clear(&volume);
      looked_at++;
    }
  }
  assert_true(looked_at > 0);
  lvn_study_close(study);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hounsfield__bodies_of_all_kinds_pass),
      cmocka_unit_test(test_hounsfield__wrong_scales_are_doubted),
      cmocka_unit_test(test_hounsfield__one_slice_of_another_scale),
      cmocka_unit_test(test_hounsfield__nothing_or_a_background),
      cmocka_unit_test(test_hounsfield__real_slices_pass),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
