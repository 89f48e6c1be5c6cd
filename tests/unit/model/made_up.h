/* Sixteen made-up lesions of eight patients in four folds, and prompt embeddings. After cmocka.h. */
#ifndef LVN_TESTS_MADE_UP_H
#define LVN_TESTS_MADE_UP_H

#include "base/memory.h"
#include "model/dataset/dataset.h"
#include "model/tensor/safetensors.h"
#include "model/text/prompts.h"

#include <math.h>
#include <stdio.h>

#include "tests/unit/scratch.h"

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)
#define HIDDEN 16U
#define LESIONS 16U
#define PATH_BYTES 512

static inline const char *made_up_path(const char *root, const char *name, char path[PATH_BYTES]) {
  (void)snprintf(path, PATH_BYTES, "%s/%s", root, name);
  return path;
}

/* A disc whose HU per phase tells the class. */
static inline void made_up_crop(struct lvn_crop *crop, int lesion_class, unsigned seed) {
  static const int16_t contrast[LVN_CLASS_PAPER_COUNT][3] = {
      {-90, -90, -90}, {100, 20, 20}, {20, 120, -60}, {-60, -20, 150}};
  struct lvn_error err = {0};
  *crop = (struct lvn_crop){.side_mm = 40, .sample_spacing_mm = 40.0 / 224, .phase_present = {true, true, true}};
  crop->slice_count = 1 + seed % 2;
  crop->slices = lvn_alloc(crop->slice_count, sizeof *crop->slices, &err);
  assert_non_null(crop->slices);
  for (size_t s = 0; s < crop->slice_count; s++) {
    crop->slices[s].hounsfield = lvn_alloc(3 * SAMPLES, sizeof(int16_t), &err);
    crop->slices[s].mask = lvn_alloc(SAMPLES, 1, &err);
    assert_true(crop->slices[s].hounsfield != NULL && crop->slices[s].mask != NULL);
    for (size_t i = 0; i < SAMPLES; i++) {
      double x = (double)(i % LVN_CROP_SIDE) - 112.0;
      double y = (double)(i / LVN_CROP_SIDE) - 112.0;
      bool inside = x * x + y * y < 70.0 * 70.0;
      crop->slices[s].mask[i] = inside;
      for (size_t phase = 0; phase < 3; phase++) {
        int noise = (int)((i * 2654435761U + seed * 97U + phase * 31U) % 17U) - 8;
        crop->slices[s].hounsfield[phase * SAMPLES + i] =
            (int16_t)(80 + noise + (inside ? contrast[lesion_class][phase] : 0));
      }
    }
  }
}

/* `change` (or NULL) may alter a lesion or its pixels before they are written. */
static inline void made_up_dataset(const char *root, const char *name,
                                   void (*change)(struct lvn_dataset_lesion *, struct lvn_crop *)) {
  char path[PATH_BYTES];
  struct lvn_error err = {0};
  struct lvn_dataset_writer *writer = NULL;
  assert_true(lvn_dataset_writer_open(made_up_path(root, name, path), "made up", &writer, &err));
  for (unsigned i = 0; i < LESIONS; i++) {
    struct lvn_dataset_lesion lesion = {.lesion_class = (enum lvn_class)(i % 4), .fold = i / 4};
    struct lvn_crop crop;
    (void)snprintf(lesion.lesion_id, sizeof lesion.lesion_id, "lesion-%u", i);
    (void)snprintf(lesion.patient_key, sizeof lesion.patient_key, "patient-%u", i / 2);
    made_up_crop(&crop, (int)(i % 4), i);
    if (change != NULL) {
      change(&lesion, &crop);
    }
    assert_true(lvn_dataset_writer_add(writer, &lesion, &crop, &err));
    lvn_crop_clear(&crop);
  }
  assert_true(lvn_dataset_writer_close(writer, &err));
}

/* Prompt embeddings of `sequences` phase sequences; those from `first` on are others where `shift` is another. */
static inline void made_up_text(const char *root, const char *name, size_t sequences, size_t first, double shift) {
  char path[PATH_BYTES];
  struct lvn_error err = {0};
  float values[LVN_SEQUENCE_COUNT * LVN_CLASS_PAPER_COUNT * HIDDEN];
  const size_t count = sequences * LVN_CLASS_PAPER_COUNT * HIDDEN;
  assert_true(count <= sizeof values / sizeof values[0]);
  for (size_t i = 0; i < count; i++) {
    values[i] = (float)sin(1.7 * (double)i + (i < first * LVN_CLASS_PAPER_COUNT * HIDDEN ? 0.0 : shift));
  }
  const struct lvn_tensor tensor = {.name = "enriched",
                                    .dtype = LVN_DTYPE_F32,
                                    .rank = 3,
                                    .shape = {sequences, LVN_CLASS_PAPER_COUNT, HIDDEN},
                                    .element_count = count,
                                    .data = values};
  assert_true(lvn_safetensors_write(made_up_path(root, name, path), &tensor, 1, NULL, 0, &err));
}

#endif
