/* The aorta in several series of one patient who breathes: painted bodies with what lies about a real aorta. */
#include "base/memory.h"
#include "dicom/read/phase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

struct body {
  double aorta_hu;
  double shift_mm[2]; /* of all that breathes, against the spine */
  double radius_mm;
  double noise_hu;  /* standard deviation */
  double marrow_hu; /* of the vertebrae */
  double kidney_hu;
  double muscle_hu;
  double lordosis_mm; /* by which the aorta comes forward from the top to the bottom */
  bool calcified;
  bool stent;
  unsigned seed;
};

#define COLUMNS 180
#define ROWS 140
#define SLICES 14

static double gauss(uint32_t *state) {
  double sum = -6.0;
  for (int i = 0; i < 12; i++) {
    *state = *state * 1664525U + 1013904223U;
    sum += (double)(*state >> 8) / 16777216.0;
  }
  return sum;
}

static double tissue_at(const struct body *b, double x, double y, double z) {
  double bend = b->lordosis_mm * z / 80.0;
  double aorta_x = 13 + b->shift_mm[0];
  double aorta_y = 22 - bend + b->shift_mm[1];
  double spine_y = 58 - 0.8 * bend;
  double hu = hypot(x / 150, y / 105) < 1 ? -105 : -1000;
  double r = hypot(x - aorta_x, y - aorta_y);
  hu = hypot(x / 132, (y - 4) / 84) < 1 ? b->muscle_hu : hu;                                /* viscera */
  hu = hypot((x - 8) / 46, (y - 24 + bend) / 26) < 1 ? -100 : hu;                           /* retroperitoneal fat */
  hu = hypot((x + 12) / 7, (y - 26 + bend) / 16) < 1 ? b->muscle_hu + 8 : hu;               /* crus */
  hu = hypot(x + 26, y - 18 + bend) < fmin(11, b->radius_mm) ? 0.6 * b->aorta_hu + 20 : hu; /* inferior vena cava */
  for (int side = -1; side <= 1; side += 2) {
    hu = hypot(x - 34 * side, y - 66) < 17 ? b->muscle_hu + 6 : hu; /* psoas and back */
    hu = hypot((x - 66 * side) / 22, (y - 38) / 28) < 1 ? b->kidney_hu : hu;
    hu = hypot(x - 108 * side, y - 52) < 6 ? 700 : hu; /* rib */
  }
  double to_spine = hypot(x / 1.15, y - spine_y);
  hu = to_spine < 20 ? (to_spine < 17.5 ? b->marrow_hu : 480) : hu;
  for (int side = -1; side <= 1; side += 2) {
    hu = hypot(x - 14 * side, y - spine_y - 20) < 6 ? 420 : hu; /* pedicle */
  }
  hu = hypot(x / 5, (y - spine_y - 38) / 12) < 1 ? 400 : hu; /* spinous process */
  if (r < b->radius_mm + 1.5) {
    bool plaque = b->calcified && x > aorta_x && y > aorta_y;
    hu = r < b->radius_mm ? b->aorta_hu : (b->stent ? 1100 : (plaque ? 650 : 45));
  }
  return hu;
}

static struct lvn_volume paint(const struct body *body) {
  struct lvn_error err = {0};
  struct lvn_volume volume;
  struct lvn_grid grid = {.size = {COLUMNS, ROWS, SLICES},
                          .spacing_mm = {1.8, 1.8, 6},
                          .origin_mm = {-162, -126, 0},
                          .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  uint32_t state = body->seed + 1;
  assert_true(lvn_volume_create(&grid, &volume, &err));
  for (size_t i = 0; i < (size_t)COLUMNS * ROWS * SLICES; i++) {
    const double index[3] = {(double)(i % COLUMNS), (double)(i / COLUMNS % ROWS), (double)(i / COLUMNS / ROWS)};
    double at[3];
    lvn_grid_to_patient(&grid, index, at);
    double hu = tissue_at(body, at[0], at[1], at[2]);
    volume.hounsfield[i] = (int16_t)lround(fmax(-1024, hu + (hu > -900 ? body->noise_hu * gauss(&state) : 0.0)));
  }
  return volume;
}

static struct body body_with(double aorta_hu, double kidney_hu) {
  return (struct body){.aorta_hu = aorta_hu,
                       .radius_mm = 10,
                       .noise_hu = 8,
                       .marrow_hu = 190,
                       .kidney_hu = kidney_hu,
                       .muscle_hu = 52,
                       .lordosis_mm = 18,
                       .seed = (unsigned)aorta_hu};
}

struct trial {
  struct body bodies[3]; /* NC, ART, PV */
  struct lvn_phase_image alone[3];
  struct lvn_phase_image images[3];
  struct lvn_phase_verdict verdicts[3];
  char sentence[LVN_TEXT_BYTES];
};

static void measure(struct trial *trial) {
  struct lvn_error err = {0};
  struct lvn_volume volumes[3];
  const struct lvn_volume *pointers[3];
  for (size_t i = 0; i < 3; i++) {
    volumes[i] = paint(&trial->bodies[i]);
    pointers[i] = &volumes[i];
    assert_true(lvn_phase_measure_image(&volumes[i], &trial->alone[i], &err));
    trial->images[i] = trial->alone[i];
  }
  assert_true(lvn_phase_agree_on_aorta(pointers, trial->images, 3, &err));
  for (size_t i = 0; i < 3; i++) {
    lvn_volume_clear(&volumes[i]);
  }
}

static void recognise(struct trial *trial, const char *const descriptions[3]) {
  struct lvn_error err = {0};
  struct lvn_stack stacks[3];
  struct lvn_phase_candidate candidates[3];
  for (size_t i = 0; i < 3; i++) {
    stacks[i] = (struct lvn_stack){.series_number = (int)i + 2,
                                   .acquisition_seconds = 36000.0 + (i == 0 ? -200 : (i == 1 ? 30 : 65)),
                                   .contrast_start_seconds = -1,
                                   .acquisition_number = -1,
                                   .slice_thickness_mm = 5,
                                   .slice_count = SLICES};
    assert_true(lvn_copy(stacks[i].series_description, sizeof stacks[i].series_description, descriptions[i]));
    candidates[i] = (struct lvn_phase_candidate){.stack = &stacks[i], .image = &trial->images[i]};
  }
  assert_true(lvn_phase_recognise(candidates, 3, "", trial->verdicts, trial->sentence, &err));
}

static void expect_phases(struct trial *trial, const char *what) {
  static const char *const labels[3] = {"nativ", "arteriell", "portalvenoes"};
  recognise(trial, labels);
  for (int i = 0; i < 3; i++) {
    if (trial->verdicts[i].phase != (enum lvn_phase)i) {
      fail_msg("%s: %s (aortas %.0f %.0f %.0f HU)", what, trial->sentence, trial->images[0].aorta_hu,
               trial->images[1].aorta_hu, trial->images[2].aorta_hu);
    }
  }
}

static struct trial usual(void) {
  return (struct trial){.bodies = {body_with(44, 32), body_with(310, 150), body_with(165, 190)}};
}

static void test_phase_agree__moved_aorta_is_measured(void **unused) {
  (void)unused;
  const double shifts[][2] = {{2, 0}, {-4, 3}, {0, -6}, {6, -5}, {-7, -5}, {9, 0}, {0, -9}};
  for (size_t s = 0; s < sizeof shifts / sizeof shifts[0]; s++) {
    struct trial trial = usual();
    trial.bodies[2].shift_mm[0] = shifts[s][0];
    trial.bodies[2].shift_mm[1] = shifts[s][1];
    trial.bodies[0].shift_mm[1] = -0.5 * shifts[s][0];
    measure(&trial);
    if (!trial.images[2].aorta_found || fabs(trial.images[2].aorta_hu - 165) > 20) {
      fail_msg("shift %.0f %.0f: %s %.0f HU", shifts[s][0], shifts[s][1],
               trial.images[2].aorta_found ? "found" : "not found", trial.images[2].aorta_hu);
    }
    expect_phases(&trial, "shifted");
  }
}

/* The reported kind: the series' own image was lost, and the place of another is off by less than a vessel's width. */
static void test_phase_agree__search_about_a_place_handed_on(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  for (int way = 0; way < 8; way++) {
    struct body body = body_with(167, 190);
    struct lvn_volume volume = paint(&body);
    const struct lvn_volume *volumes[2] = {NULL, &volume};
    double off = 9.0;
    struct lvn_phase_image images[2] = {{.aorta_found = true, .aorta_hu = 300, .elsewhere_hu = NAN},
                                        {.aorta_hu = NAN, .elsewhere_hu = NAN}};
    images[0].aorta_track_count = 2;
    for (int i = 0; i < 2; i++) {
      images[0].aorta_track_mm[i][0] = 13 + off * cos(way * M_PI / 4);
      images[0].aorta_track_mm[i][1] = 22 - 18.0 * i + off * sin(way * M_PI / 4);
      images[0].aorta_track_mm[i][2] = 80.0 * i;
    }
    assert_true(lvn_phase_agree_on_aorta(volumes, images, 2, &err));
    if (!images[1].aorta_found || fabs(images[1].aorta_hu - 167) > 20) {
      fail_msg("off by %.0f mm to %d: %.0f HU", off, way, images[1].aorta_hu);
    }
    assert_true(images[1].aorta_by_position);
    lvn_volume_clear(&volume);
  }
}

static void test_phase_agree__other_vessels_and_noise(void **unused) {
  (void)unused;
  for (int kind = 0; kind < 12; kind++) {
    struct trial trial = usual();
    char what[32];
    for (int i = 0; i < 3; i++) {
      struct body *body = &trial.bodies[i];
      body->radius_mm = kind == 0 ? 6.5 : (kind == 1 ? 14 : (kind == 2 ? 19 : 10));
      body->calcified = kind == 3 || kind == 9;
      body->stent = kind == 4;
      body->noise_hu = kind == 5 || kind == 9 ? 30 : (kind == 6 ? 0 : 8);
      body->marrow_hu = kind == 7 || kind == 9 ? 320 : (kind == 8 ? 95 : 190);
      body->kidney_hu += kind == 10 ? 60 : 0;
      body->muscle_hu = kind == 11 ? 66 : 52;
      body->shift_mm[0] = i == 2 ? 4 : 0;
      body->shift_mm[1] = i == 2 ? -3 : 0;
    }
    measure(&trial);
    assert_true(snprintf(what, sizeof what, "kind %d", kind) > 0);
    expect_phases(&trial, what);
    /* the image is right or silent; what contradicts it weighs half */
    for (int i = 0; i < 3; i++) {
      bool right = fabs(trial.images[i].aorta_hu - trial.bodies[i].aorta_hu) < 0.2 * trial.bodies[i].aorta_hu + 20;
      if (trial.images[i].aorta_found && !right && !trial.images[i].aorta_by_position) {
        fail_msg("%s: series %d shows %.0f HU, painted %.0f", what, i, trial.images[i].aorta_hu,
                 trial.bodies[i].aorta_hu);
      }
    }
  }
}

/* Labels stay, and images that contradict them are still believed where they speak for themselves. */
static void test_phase_agree__position_alone_overrules_no_label(void **unused) {
  (void)unused;
  struct trial trial = usual();
  measure(&trial);
  trial.images[2].aorta_by_position = true;
  trial.images[2].aorta_hu = 41;
  expect_phases(&trial, "41 HU by position");
  trial.images[2].aorta_by_position = false;
  static const char *const labels[3] = {"nativ", "arteriell", "portalvenoes"};
  recognise(&trial, labels);
  assert_int_equal(trial.verdicts[2].phase, LVN_PHASE_NONE);
}

static void test_phase_agree__swapped_labels_are_seen(void **unused) {
  (void)unused;
  static const char *const labels[3] = {"arteriell", "nativ", "portalvenoes"};
  struct trial trial = usual();
  measure(&trial);
  recognise(&trial, labels);
  assert_true(trial.verdicts[0].phase != LVN_PHASE_ART && trial.verdicts[1].phase != LVN_PHASE_NC);
  assert_true(trial.sentence[0] != '\0');
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_phase_agree__moved_aorta_is_measured),
      cmocka_unit_test(test_phase_agree__search_about_a_place_handed_on),
      cmocka_unit_test(test_phase_agree__other_vessels_and_noise),
      cmocka_unit_test(test_phase_agree__position_alone_overrules_no_label),
      cmocka_unit_test(test_phase_agree__swapped_labels_are_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
