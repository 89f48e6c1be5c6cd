/* Analytic scenes: ellipsoids and vessels whose grey values change between the phases, moved by a known amount. Truth
 * is exact because every volume is sampled from the scene, never from another volume. After cmocka.h. */
#ifndef LVN_TESTS_REGISTRATION_SCENE_H
#define LVN_TESTS_REGISTRATION_SCENE_H

#include "model/registration/registration.h"

#include <math.h>
#include <stdio.h>

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

static inline double draw(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (double)(*state >> 11) / (double)(UINT64_C(1) << 53);
}

static inline double between(uint64_t *state, double low, double high) {
  return low + (high - low) * draw(state);
}

/* A liver-like ellipsoid about (-60, 0, 0) with vessels, blobs and a lesion at its centre. */
static inline void make_scene(uint64_t seed, struct scene *scene) {
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

static inline double scene_hu(const struct scene *scene, const double p[3], int phase) {
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
static inline struct lvn_volume take(const struct scene *scene, const struct shot *shot) {
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

static inline struct lvn_mask lesion_at(const struct lvn_volume *volume, const double centre[3], double radius) {
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

static inline struct outcome align(const struct lvn_volume *fixed, const struct lvn_volume *moving,
                                   const double centre[3], const double truth_mm[3]) {
  struct lvn_error err = {0};
  struct lvn_registration_options options;
  struct lvn_transform *registration = NULL;
  struct outcome outcome = {0};
  struct lvn_mask lesion = lesion_at(fixed, centre, 9.0);
  double middle[3];
  double mapped[3];
  lvn_registration_options_default(&options);
  assert_true(lvn_mask_measure(&lesion, NULL, NULL, middle) > 0);
  assert_true(lvn_registration_run(fixed, &lesion, moving, &options, &registration, &outcome.quality, &err));
  lvn_transform_map(registration, middle, mapped);
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
    lvn_transform_map(registration, at, there);
    lvn_transform_unmap(registration, there, home);
    assert_true(fabs(home[0] - at[0]) + fabs(home[1] - at[1]) + fabs(home[2] - at[2]) < 0.01);
  }
  print_message("%s usable=%d error %.2f mm (estimated %.2f) similarity %.2f -> %.2f inverse %.2f mm %.2f s %s\n",
                outcome.quality.model, outcome.quality.usable, outcome.error_mm, outcome.quality.estimated_error_mm,
                outcome.quality.similarity_before, outcome.quality.similarity, outcome.quality.inverse_consistency_mm,
                outcome.quality.seconds, outcome.quality.reason);
  lvn_transform_destroy(registration);
  lvn_mask_clear(&lesion);
  return outcome;
}

static const double lesion_centre[3] = {-62, 4, 2};
static const struct shot plain = {
    .z_first_mm = -60, .slices = 25, .spacing_mm = 1.8, .thickness_mm = 5, .noise_hu = 12, .phase = 0};

#endif
