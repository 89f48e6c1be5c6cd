/* Alignment on analytic scenes: ellipsoids and vessels whose grey values change between the phases, moved by a known
 * amount. Truth is exact because every volume is sampled from the scene, never from another volume. */
#include "daemon/base/memory.h"
#include "model/phantom/phantom.h"
#include "model/registration/registration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TUBES 14
#define BLOBS 10

struct blob {
  double centre[3];
  double radius[3];
  double hu[2]; /* in the two phases */
};

struct tube {
  double from[3];
  double to[3];
  double radius;
  double hu[2];
};

struct scene {
  uint64_t seed;
  struct blob blobs[BLOBS];
  struct tube tubes[TUBES];
};

static double draw(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (double)(*state >> 11) / (double)(UINT64_C(1) << 53);
}

static double between(uint64_t *state, double low, double high) {
  return low + (high - low) * draw(state);
}

/* A liver-like ellipsoid about (-60, 0, 0) with vessels, blobs and a lesion at its centre. */
static void make_scene(uint64_t seed, struct scene *scene) {
  uint64_t state = seed * 977 + 13;
  *scene = (struct scene){.seed = seed};
  scene->blobs[0] = (struct blob){{0, 10, 0}, {165, 115, 1e4}, {45, 50}};
  scene->blobs[1] = (struct blob){{-60, 0, 0}, {75, 70, 70}, {58, 108}};
  scene->blobs[2] = (struct blob){{-62, 4, 2}, {9, 9, 9}, {35, 160}};
  for (int i = 3; i < BLOBS; i++) {
    struct blob *blob = &scene->blobs[i];
    for (int a = 0; a < 3; a++) {
      blob->centre[a] = between(&state, -75, 75) + (a == 0 ? -30 : 0);
      blob->radius[a] = between(&state, 7, 22);
    }
    blob->hu[0] = between(&state, -80, 70);
    blob->hu[1] = blob->hu[0] + between(&state, 0, 90);
  }
  for (int i = 0; i < TUBES; i++) {
    struct tube *tube = &scene->tubes[i];
    for (int a = 0; a < 3; a++) {
      tube->from[a] = between(&state, -70, 70) + (a == 0 ? -60 : 0);
      tube->to[a] = between(&state, -70, 70) + (a == 0 ? -60 : 0);
    }
    tube->radius = between(&state, 2.5, 7);
    tube->hu[0] = between(&state, 38, 46);
    tube->hu[1] = between(&state, 150, 210);
  }
}

static double scene_hu(const struct scene *scene, const double p[3], int phase) {
  double hu = -1000.0;
  for (int i = 0; i < BLOBS; i++) {
    const struct blob *blob = &scene->blobs[i];
    double r2 = 0.0;
    for (int a = 0; a < 3; a++) {
      double d = (p[a] - blob->centre[a]) / blob->radius[a];
      r2 += d * d;
    }
    hu = r2 < 1.0 && (i < 3 || hu > -500.0) ? blob->hu[phase] : hu;
  }
  for (int i = 0; i < TUBES; i++) {
    const struct tube *tube = &scene->tubes[i];
    double along = 0.0;
    double length2 = 0.0;
    double d2 = 0.0;
    for (int a = 0; a < 3; a++) {
      double edge = tube->to[a] - tube->from[a];
      along += (p[a] - tube->from[a]) * edge;
      length2 += edge * edge;
    }
    along = fmin(1.0, fmax(0.0, along / length2));
    for (int a = 0; a < 3; a++) {
      double d = p[a] - tube->from[a] - along * (tube->to[a] - tube->from[a]);
      d2 += d * d;
    }
    hu = d2 < tube->radius * tube->radius && hu > -500.0 ? tube->hu[phase] : hu;
  }
  return hu;
}

struct shot {
  double z_first_mm;
  uint32_t slices;
  double spacing_mm;
  double thickness_mm;
  double shift_mm[3];
  double noise_hu;
  int phase;
  bool upside_down;
};

/* Slices average three planes across their thickness, as a scanner does. */
static struct lvn_volume take(const struct scene *scene, const struct shot *shot) {
  struct lvn_error err = {0};
  struct lvn_volume volume;
  uint32_t n = (uint32_t)lround(300.0 / shot->spacing_mm);
  struct lvn_grid grid = {.size = {n, n, shot->slices},
                          .spacing_mm = {shot->spacing_mm, shot->spacing_mm, shot->thickness_mm},
                          .origin_mm = {-210.0, -150.0, shot->z_first_mm},
                          .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  uint64_t state = scene->seed * 31 + (uint64_t)shot->phase + 7;
  assert_true(lvn_volume_create(&grid, &volume, &err));
  size_t i = 0;
  for (uint32_t z = 0; z < shot->slices; z++) {
    for (uint32_t y = 0; y < n; y++) {
      for (uint32_t x = 0; x < n; x++, i++) {
        double sum = 0.0;
        for (int sub = -1; sub <= 1; sub++) {
          const double index[3] = {x, y, z + sub / 3.0};
          double p[3];
          lvn_grid_to_patient(&grid, index, p);
          for (int a = 0; a < 3; a++) {
            p[a] -= shot->shift_mm[a];
          }
          p[2] = shot->upside_down ? -p[2] : p[2];
          p[1] = shot->upside_down ? -p[1] : p[1];
          sum += scene_hu(scene, p, shot->phase) / 3.0;
        }
        double noise = draw(&state) + draw(&state) + draw(&state) + draw(&state) - 2.0; /* variance 1/3 */
        volume.hounsfield[i] = (int16_t)lround(sum + noise * sqrt(3.0) * shot->noise_hu);
      }
    }
  }
  return volume;
}

static struct lvn_mask lesion_at(const struct lvn_volume *volume, const double centre[3], double radius) {
  struct lvn_error err = {0};
  struct lvn_mask mask;
  assert_true(lvn_mask_create(&volume->grid, &mask, &err));
  size_t i = 0;
  for (uint32_t z = 0; z < mask.grid.size[2]; z++) {
    for (uint32_t y = 0; y < mask.grid.size[1]; y++) {
      for (uint32_t x = 0; x < mask.grid.size[0]; x++, i++) {
        const double index[3] = {x, y, z};
        double p[3];
        lvn_grid_to_patient(&mask.grid, index, p);
        double dz = fmax(0.0, fabs(p[2] - centre[2]) - 0.5 * mask.grid.spacing_mm[2]);
        mask.inside[i] = hypot(hypot(p[0] - centre[0], p[1] - centre[1]), dz) <= radius;
      }
    }
  }
  return mask;
}

struct outcome {
  struct lvn_registration_quality quality;
  double error_mm; /* at the lesion's centre */
};

static struct outcome align(const struct lvn_volume *fixed, const struct lvn_volume *moving, const double centre[3],
                            const double truth_mm[3]) {
  struct lvn_error err = {0};
  struct lvn_registration_options options;
  struct lvn_registration *registration = NULL;
  struct outcome outcome = {0};
  struct lvn_mask lesion = lesion_at(fixed, centre, 9.0);
  double middle[3];
  double mapped[3];
  lvn_registration_options_default(&options);
  assert_true(lvn_mask_measure(&lesion, NULL, NULL, middle) > 0);
  assert_true(lvn_registration_run(fixed, &lesion, moving, &options, &registration, &outcome.quality, &err));
  lvn_registration_map(registration, middle, mapped);
  for (int a = 0; a < 3; a++) {
    double d = mapped[a] - middle[a] - truth_mm[a];
    outcome.error_mm += d * d;
  }
  outcome.error_mm = sqrt(outcome.error_mm);
  for (int corner = 0; corner < 8; corner++) {
    const double at[3] = {middle[0] + (corner & 1 ? 30 : -30), middle[1] + (corner & 2 ? 30 : -30),
                          middle[2] + (corner & 4 ? 30 : -30)};
    double there[3];
    double home[3];
    lvn_registration_map(registration, at, there);
    lvn_registration_unmap(registration, there, home);
    assert_true(fabs(home[0] - at[0]) + fabs(home[1] - at[1]) + fabs(home[2] - at[2]) < 0.01);
  }
  print_message("%s usable=%d error %.2f mm (estimated %.2f) similarity %.2f -> %.2f inverse %.2f mm %.2f s %s\n",
                outcome.quality.model, outcome.quality.usable, outcome.error_mm, outcome.quality.estimated_error_mm,
                outcome.quality.similarity_before, outcome.quality.similarity, outcome.quality.inverse_consistency_mm,
                outcome.quality.seconds, outcome.quality.reason);
  lvn_registration_destroy(registration);
  lvn_mask_clear(&lesion);
  return outcome;
}

static const double lesion_centre[3] = {-62, 4, 2};
static const struct shot plain = {
    .z_first_mm = -60, .slices = 25, .spacing_mm = 1.8, .thickness_mm = 5, .noise_hu = 12, .phase = 0};

static void test_registration__identity(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct lvn_registration *registration = NULL;
  const double point[3] = {3.5, -7, 1e3};
  double mapped[3];
  assert_true(lvn_registration_identity(&registration, &err));
  lvn_registration_map(registration, point, mapped);
  assert_memory_equal(point, mapped, sizeof point);
  lvn_registration_destroy(registration);
  lvn_registration_destroy(NULL);
}

static void test_registration__finds_known_shifts(void **unused) {
  (void)unused;
  const double shifts[4][3] = {{0, 0, 0}, {4, -7, 12}, {-3, 5, -26}, {9.3, 2.1, 18.7}};
  for (uint64_t seed = 1; seed <= 4; seed++) {
    struct scene scene;
    make_scene(seed, &scene);
    struct shot fixed_shot = plain;
    struct shot moving_shot = plain;
    moving_shot.phase = 1;
    moving_shot.z_first_mm = -83;
    moving_shot.slices = 33;
    memcpy(moving_shot.shift_mm, shifts[seed - 1], sizeof moving_shot.shift_mm);
    struct lvn_volume fixed = take(&scene, &fixed_shot);
    struct lvn_volume moving = take(&scene, &moving_shot);
    struct outcome outcome = align(&fixed, &moving, lesion_centre, shifts[seed - 1]);
    assert_true(outcome.quality.usable);
    assert_string_equal(outcome.quality.reason, "");
    assert_true(outcome.error_mm < 1.8);
    assert_true(outcome.quality.similarity >= outcome.quality.similarity_before - 0.02);
    assert_true(outcome.quality.estimated_error_mm > 0.5 && outcome.quality.estimated_error_mm < 6.0);
    lvn_volume_clear(&fixed);
    lvn_volume_clear(&moving);
  }
}

/* Padding inside the box: were it taken as a value, the false edge at -32768 HU would rule everything. */
static void test_registration__padding_is_no_value(void **unused) {
  (void)unused;
  struct scene scene;
  const double shift[3] = {-6, 4, 8};
  make_scene(5, &scene);
  struct shot moving_shot = plain;
  moving_shot.phase = 1;
  memcpy(moving_shot.shift_mm, shift, sizeof shift);
  struct lvn_volume fixed = take(&scene, &plain);
  struct lvn_volume moving = take(&scene, &moving_shot);
  uint32_t n = fixed.grid.size[0];
  for (size_t i = 0; i < (size_t)n * n * fixed.grid.size[2]; i++) {
    double x = (double)(i % n) * plain.spacing_mm - 210;
    fixed.hounsfield[i] = x < -105 ? LVN_HU_PADDING : fixed.hounsfield[i];
    moving.hounsfield[i] = x > -15 ? LVN_HU_PADDING : moving.hounsfield[i];
  }
  struct outcome outcome = align(&fixed, &moving, lesion_centre, shift);
  assert_true(outcome.quality.usable);
  assert_true(outcome.error_mm < 2.0);
  lvn_volume_clear(&fixed);
  lvn_volume_clear(&moving);
}

static void test_registration__three_slices(void **unused) {
  (void)unused;
  struct scene scene;
  const double shift[3] = {7, -5, 0};
  make_scene(6, &scene);
  struct shot fixed_shot = plain;
  fixed_shot.z_first_mm = -3;
  fixed_shot.slices = 3;
  fixed_shot.noise_hu = 8;
  struct shot moving_shot = fixed_shot;
  moving_shot.phase = 1;
  memcpy(moving_shot.shift_mm, shift, sizeof shift);
  struct lvn_volume fixed = take(&scene, &fixed_shot);
  struct lvn_volume moving = take(&scene, &moving_shot);
  struct outcome outcome = align(&fixed, &moving, lesion_centre, shift);
  assert_true(outcome.error_mm < 3.0 || !outcome.quality.usable);
  assert_true(outcome.quality.usable);
  assert_true(outcome.quality.estimated_error_mm > 2.0);
  lvn_volume_clear(&fixed);
  lvn_volume_clear(&moving);
}

static void test_registration__one_slice_never_crashes(void **unused) {
  (void)unused;
  struct scene scene;
  const double none[3] = {0, 0, 0};
  make_scene(7, &scene);
  struct shot shot = plain;
  shot.z_first_mm = 2;
  shot.slices = 1;
  struct lvn_volume fixed = take(&scene, &shot);
  shot.phase = 1;
  struct lvn_volume moving = take(&scene, &shot);
  struct outcome outcome = align(&fixed, &moving, lesion_centre, none);
  assert_true(outcome.error_mm < 4.0 || !outcome.quality.usable);
  lvn_volume_clear(&fixed);
  lvn_volume_clear(&moving);
}

static void refuse(const struct lvn_volume *fixed, const struct lvn_volume *moving, const char *what) {
  const double none[3] = {0, 0, 0};
  struct outcome outcome = align(fixed, moving, lesion_centre, none);
  print_message("  %s: %s\n", what, outcome.quality.reason);
  assert_false(outcome.quality.usable);
  assert_true(strlen(outcome.quality.reason) > 20);
}

static void test_registration__refuses_what_cannot_be_aligned(void **unused) {
  (void)unused;
  struct scene scene;
  struct scene other;
  make_scene(8, &scene);
  struct lvn_volume fixed = take(&scene, &plain);
  for (uint64_t seed = 20; seed < 23; seed++) {
    make_scene(seed, &other);
    struct shot shot = plain;
    shot.phase = 1;
    struct lvn_volume moving = take(&other, &shot);
    refuse(&fixed, &moving, "other patient");
    lvn_volume_clear(&moving);
  }
  struct shot shot = plain;
  shot.phase = 1;
  shot.upside_down = true;
  struct lvn_volume flipped = take(&scene, &shot);
  refuse(&fixed, &flipped, "upside down");
  uint64_t state = 3;
  for (size_t i = 0; i < (size_t)flipped.grid.size[0] * flipped.grid.size[1] * flipped.grid.size[2]; i++) {
    flipped.hounsfield[i] = (int16_t)lround(between(&state, -100, 200));
  }
  refuse(&fixed, &flipped, "noise");
  lvn_volume_clear(&flipped);
  shot.upside_down = false;
  shot.z_first_mm = 400;
  struct lvn_volume elsewhere = take(&scene, &shot);
  refuse(&fixed, &elsewhere, "no overlap");
  for (size_t i = 0; i < (size_t)elsewhere.grid.size[0] * elsewhere.grid.size[1] * elsewhere.grid.size[2]; i++) {
    elsewhere.hounsfield[i] = LVN_HU_PADDING;
  }
  elsewhere.grid.origin_mm[2] = -60;
  refuse(&fixed, &elsewhere, "only padding");
  lvn_volume_clear(&elsewhere);
  lvn_volume_clear(&fixed);
}

/* An arterial phase in thick slices: the liver has hardly a vessel to see, and ribs and spine, which stay, are the
 * strongest edges of the neighbourhood. */
static void test_registration__liver_alone_has_a_vote(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct lvn_phantom phantom;
  struct lvn_phantom_options options;
  struct lvn_registration_options how;
  struct lvn_registration_quality quality;
  struct lvn_registration *registration = NULL;
  double error_mm = 0.0;
  lvn_phantom_options_default(&options);
  options.seed = 7401;
  options.matrix = 256;
  options.coverage_mm = 130.0;
  options.slice_thickness_mm = 5.0;
  options.motion_scale = 1.3;
  options.lesion_count = 1;
  options.lesion_class[0] = LVN_CLASS_FNH;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    options.has_phase[phase] = phase == LVN_PHASE_PV || phase == LVN_PHASE_ART;
  }
  assert_true(lvn_phantom_make(&options, 2, &phantom, &err));
  const struct lvn_phantom_lesion *lesion = &phantom.lesions[0];
  lvn_registration_options_default(&how);
  assert_true(lvn_registration_run(&phantom.volume[LVN_PHASE_PV], &lesion->mask[LVN_PHASE_PV],
                                   &phantom.volume[LVN_PHASE_ART], &how, &registration, &quality, &err));
  for (int a = 0; a < 3; a++) {
    double truth_mm = lesion->displacement_mm[LVN_PHASE_ART][a] - lesion->displacement_mm[LVN_PHASE_PV][a];
    error_mm += (quality.displacement_mm[a] - truth_mm) * (quality.displacement_mm[a] - truth_mm);
  }
  print_message("%s usable=%d error %.2f mm %s\n", quality.model, quality.usable, sqrt(error_mm), quality.reason);
  assert_true(quality.usable);
  assert_true(sqrt(error_mm) < 2.5);
  lvn_registration_destroy(registration);
  lvn_phantom_clear(&phantom);
}

static void test_registration__nothing_moved(void **unused) {
  (void)unused;
  struct scene scene;
  const double none[3] = {0, 0, 0};
  double worst = 0.0;
  for (uint64_t seed = 31; seed < 35; seed++) {
    make_scene(seed, &scene);
    struct shot shot = plain;
    struct lvn_volume fixed = take(&scene, &shot);
    shot.phase = 1;
    struct lvn_volume moving = take(&scene, &shot);
    struct outcome outcome = align(&fixed, &moving, lesion_centre, none);
    assert_true(outcome.quality.usable);
    worst = fmax(worst, outcome.error_mm);
    lvn_volume_clear(&fixed);
    lvn_volume_clear(&moving);
  }
  assert_true(worst < 0.3);
}

/* A lesion drawn in one phase, on another grid of another phase, and half of it below that one's last slice. */
static void test_registration__carries_the_lesion(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct lvn_registration *registration = NULL;
  struct lvn_carried_mask carried;
  const double shift_mm[3] = {7.0, -5.0, 12.0};
  const struct lvn_grid fixed_grid = {.size = {60, 60, 12},
                                      .spacing_mm = {1.5, 1.5, 5.0},
                                      .origin_mm = {-100.0, -50.0, -30.0},
                                      .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  struct lvn_grid moving_grid = {.size = {200, 200, 70},
                                 .spacing_mm = {0.7, 0.7, 1.0},
                                 .origin_mm = {-120.0, -60.0, -20.0},
                                 .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  const struct lvn_volume frame = {.grid = fixed_grid};
  struct lvn_mask lesion = lesion_at(&frame, lesion_centre, 11.0);
  double centre_mm[3];
  double carried_mm[3];
  size_t voxels = lvn_mask_measure(&lesion, NULL, NULL, centre_mm);
  assert_true(lvn_registration_translation(shift_mm, &registration, &err));
  assert_true(lvn_registration_carry(registration, &lesion, &moving_grid, &carried, &err));
  assert_false(carried.is_cut);
  double volume = (double)lvn_mask_measure(&carried.mask, NULL, NULL, carried_mm) * 0.7 * 0.7 * 1.0;
  assert_true(fabs(volume / ((double)voxels * 1.5 * 1.5 * 5.0) - 1.0) < 0.03);
  for (int a = 0; a < 3; a++) {
    assert_true(fabs(carried_mm[a] - centre_mm[a] - shift_mm[a]) < 0.3);
    double first_mm = moving_grid.origin_mm[a] + carried.first[a] * moving_grid.spacing_mm[a];
    assert_true(fabs(first_mm - carried.mask.grid.origin_mm[a]) < 1e-9);
  }
  lvn_carried_mask_clear(&carried);
  moving_grid.size[2] = (uint32_t)(centre_mm[2] + shift_mm[2] + 20.0);
  assert_true(lvn_registration_carry(registration, &lesion, &moving_grid, &carried, &err));
  assert_true(carried.is_cut);
  assert_true(lvn_mask_measure(&carried.mask, NULL, NULL, NULL) > 0);
  lvn_carried_mask_clear(&carried);
  moving_grid.origin_mm[2] = 500.0;
  assert_true(lvn_registration_carry(registration, &lesion, &moving_grid, &carried, &err));
  assert_true(carried.is_cut);
  assert_null(carried.mask.inside);
  lvn_carried_mask_clear(&carried);
  lvn_registration_destroy(registration);
  lvn_mask_clear(&lesion);
}

static void test_registration__empty_lesion(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct scene scene;
  struct lvn_registration_options options;
  struct lvn_registration *registration = NULL;
  struct lvn_registration_quality quality;
  struct lvn_mask nothing;
  make_scene(9, &scene);
  struct shot shot = plain;
  shot.slices = 4;
  struct lvn_volume fixed = take(&scene, &shot);
  lvn_registration_options_default(&options);
  assert_true(lvn_mask_create(&fixed.grid, &nothing, &err));
  assert_true(lvn_registration_run(&fixed, &nothing, &fixed, &options, &registration, &quality, &err));
  assert_false(quality.usable);
  lvn_registration_destroy(registration);
  registration = NULL;
  options.device = "no such device";
  nothing.inside[0] = 1;
  assert_false(lvn_registration_run(&fixed, &nothing, &fixed, &options, &registration, &quality, &err));
  assert_int_equal(err.code, LVN_ERROR_ENGINE);
  assert_null(registration);
  lvn_mask_clear(&nothing);
  lvn_volume_clear(&fixed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registration__identity),
      cmocka_unit_test(test_registration__finds_known_shifts),
      cmocka_unit_test(test_registration__padding_is_no_value),
      cmocka_unit_test(test_registration__three_slices),
      cmocka_unit_test(test_registration__one_slice_never_crashes),
      cmocka_unit_test(test_registration__refuses_what_cannot_be_aligned),
      cmocka_unit_test(test_registration__liver_alone_has_a_vote),
      cmocka_unit_test(test_registration__nothing_moved),
      cmocka_unit_test(test_registration__carries_the_lesion),
      cmocka_unit_test(test_registration__empty_lesion),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
