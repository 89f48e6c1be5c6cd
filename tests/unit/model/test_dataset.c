/* The data set: what is written is what is read, and what is wrong with one is found. */
#include "base/file.h"
#include "base/memory.h"
#include "model/dataset/dataset.h"
#include "model/dataset/dataset_audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/made_up.h"

static char root[SCRATCH_BYTES];

static int make_root(void **state) {
  (void)state;
  (void)scratch_make(root);
  return 0;
}

static void fill_crop(struct lvn_crop *crop, int value) {
  struct lvn_error err = {0};
  *crop = (struct lvn_crop){.side_mm = 40.0, .slice_count = 1, .phase_present = {true, true, true}};
  crop->slices = lvn_alloc(1, sizeof *crop->slices, &err);
  assert_non_null(crop->slices);
  crop->slices[0].hounsfield = lvn_alloc(LVN_PHASE_NETWORK_COUNT * SAMPLES, sizeof(int16_t), &err);
  crop->slices[0].mask = lvn_alloc(SAMPLES, 1, &err);
  assert_true(crop->slices[0].hounsfield != NULL && crop->slices[0].mask != NULL);
  for (size_t i = 0; i < LVN_PHASE_NETWORK_COUNT * SAMPLES; i++) {
    crop->slices[0].hounsfield[i] = (int16_t)(value + (int)(i % 7));
  }
  memset(crop->slices[0].mask + SAMPLES / 2, 1, 100);
}

struct sample {
  const char *lesion;
  const char *patient;
  enum lvn_class lesion_class;
  unsigned fold;
  int value;          /* of the pixels: the same value, the same crop */
  const char *images; /* one letter for each source image */
};

static json_t *facts_of(const struct sample *sample) {
  json_t *images = json_array();
  for (const char *letter = sample->images; *letter != '\0'; letter++) {
    char digest[LVN_SHA256_TEXT_BYTES];
    memset(digest, *letter, sizeof digest - 1);
    digest[sizeof digest - 1] = '\0';
    (void)json_array_append_new(images, json_pack("{s:s}", "pixel_sha256", digest));
  }
  return json_pack("{s:o}", "images", images);
}

static struct lvn_dataset *make(const char *name, const struct sample *samples, size_t count) {
  struct lvn_error err = {0};
  char folder[LVN_PATH_BYTES];
  struct lvn_dataset_writer *writer = NULL;
  struct lvn_dataset *dataset = NULL;
  assert_true(lvn_path_join(folder, root, name, &err));
  assert_true(lvn_dataset_writer_open(folder, "made up", &writer, &err));
  for (size_t i = 0; i < count; i++) {
    struct lvn_dataset_lesion lesion = {.lesion_class = samples[i].lesion_class,
                                        .fold = samples[i].fold,
                                        .reference_standard = "histology",
                                        .long_axis_mm = 12.5,
                                        .slice_thickness_mm = 5.0};
    struct lvn_crop crop;
    json_t *entry = NULL;
    json_t *facts = facts_of(&samples[i]);
    (void)lvn_copy(lesion.lesion_id, sizeof lesion.lesion_id, samples[i].lesion);
    (void)lvn_copy(lesion.patient_key, sizeof lesion.patient_key, samples[i].patient);
    fill_crop(&crop, samples[i].value);
    assert_true(lvn_dataset_store(folder, &lesion, &crop, facts, &entry, &err));
    assert_true(lvn_dataset_writer_append(writer, entry, &err));
    json_decref(facts);
    lvn_crop_clear(&crop);
  }
  assert_true(lvn_dataset_writer_close(writer, &err));
  assert_true(lvn_dataset_open(folder, &dataset, &err));
  return dataset;
}

static void test_dataset__reads_what_was_stored(void **state) {
  static const struct sample samples[] = {{"L1", "P1", LVN_CLASS_FNH, 3, 40, "ab"},
                                          {"L2", "P2", LVN_CLASS_HCC, 0, 50, ""}};
  struct lvn_error err = {0};
  struct lvn_crop crop = {0};
  size_t images = 0;
  (void)state;
  struct lvn_dataset *dataset = make("whole", samples, 2);
  const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, 0);
  assert_int_equal(lvn_dataset_count(dataset), 2);
  assert_string_equal(lesion->reference_standard, "histology");
  assert_true(lesion->long_axis_mm == 12.5 && lesion->slice_thickness_mm == 5.0);
  assert_int_equal(lesion->fold, 3);
  assert_int_equal(lvn_dataset_images(dataset, 0, &images)[32], 0xbb);
  assert_int_equal(images, 2);
  (void)lvn_dataset_images(dataset, 1, &images);
  assert_int_equal(images, 0);
  assert_true(lvn_dataset_load(dataset, 0, &crop, &err));
  assert_int_equal(crop.slices[0].hounsfield[1], 41);
  lvn_crop_clear(&crop);
  assert_true(lvn_dataset_check_trainable(dataset, &err));
  lvn_dataset_close(dataset);
}

static void test_dataset__keeps_pixels_and_masks(void **state) {
  (void)state;
  char path[PATH_BYTES];
  struct lvn_dataset *dataset = NULL;
  struct lvn_error err = {0};
  struct lvn_crop expected;
  struct lvn_crop found;
  made_up_dataset(root, "made-up", NULL);
  assert_true(lvn_dataset_open(made_up_path(root, "made-up", path), &dataset, &err));
  assert_int_equal(lvn_dataset_count(dataset), LESIONS);
  const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, 5);
  assert_string_equal(lesion->lesion_id, "lesion-5");
  assert_string_equal(lesion->patient_key, "patient-2");
  assert_int_equal(lesion->lesion_class, 1);
  assert_int_equal(lesion->slice_count, 2);
  assert_true(fabs(lesion->mean_hu[0] - 180.0) < 2.0);
  made_up_crop(&expected, 1, 5);
  assert_true(lvn_dataset_load(dataset, 5, &found, &err));
  assert_memory_equal(found.slices[1].hounsfield, expected.slices[1].hounsfield, 3 * SAMPLES * sizeof(int16_t));
  assert_memory_equal(found.slices[1].mask, expected.slices[1].mask, SAMPLES);
  lvn_crop_clear(&expected);
  lvn_crop_clear(&found);
  lvn_dataset_close(dataset);
}

static void add_delayed(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  struct lvn_error err = {0};
  for (size_t s = 0; strcmp(lesion->lesion_id, "lesion-5") == 0 && s < crop->slice_count; s++) {
    crop->slices[s].delayed = lvn_alloc(SAMPLES, sizeof(int16_t), &err);
    assert_non_null(crop->slices[s].delayed);
    for (size_t i = 0; i < SAMPLES; i++) {
      crop->slices[s].delayed[i] = (int16_t)(crop->slices[s].mask[i] != 0 ? 70 + (int)s : (int)(i % 50));
    }
    crop->delayed_present = true;
  }
}

/* Where a lesion has it; the others, and the digest that tells doubles, are as in a data set without. */
static void test_dataset__keeps_the_delayed_phase(void **state) {
  char path[PATH_BYTES];
  struct lvn_dataset *dataset = NULL;
  struct lvn_dataset *plain = NULL;
  struct lvn_error err = {0};
  struct lvn_crop crop = {0};
  (void)state;
  made_up_dataset(root, "delayed", add_delayed);
  made_up_dataset(root, "without", NULL);
  assert_true(lvn_dataset_open(made_up_path(root, "delayed", path), &dataset, &err));
  assert_true(lvn_dataset_open(made_up_path(root, "without", path), &plain, &err));
  const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, 5);
  assert_true(lesion->delayed_present && !lvn_dataset_get(dataset, 4)->delayed_present);
  assert_true(fabs(lesion->delayed_mean_hu - 70.5) < 1e-9);
  assert_memory_equal(lesion->pixel_sha256, lvn_dataset_get(plain, 5)->pixel_sha256, LVN_SHA256_BYTES);
  assert_memory_not_equal(lesion->sha256, lvn_dataset_get(plain, 5)->sha256, LVN_SHA256_BYTES);
  assert_memory_equal(lvn_dataset_get(dataset, 4)->sha256, lvn_dataset_get(plain, 4)->sha256, LVN_SHA256_BYTES);
  assert_true(lvn_dataset_load(dataset, 5, &crop, &err));
  assert_true(crop.delayed_present);
  assert_int_equal(crop.slices[1].delayed[SAMPLES / 2 + LVN_CROP_SIDE / 2], 71);
  assert_int_equal(crop.slices[1].delayed[33], 33);
  lvn_crop_clear(&crop);
  assert_true(lvn_dataset_load(dataset, 4, &crop, &err));
  assert_false(crop.delayed_present);
  assert_null(crop.slices[0].delayed);
  lvn_crop_clear(&crop);
  lvn_dataset_close(plain);
  lvn_dataset_close(dataset);
}

static void test_audit__finds_doubles_and_leaks(void **state) {
  static const struct sample samples[] = {
      {"L1", "P1", LVN_CLASS_CYST, 0, 10, "ab"}, {"L2", "P1", LVN_CLASS_HCC, 1, 20, "bc"}, /* patient in two folds */
      {"L3", "P2", LVN_CLASS_HCC, 1, 30, "de"},  {"L4", "P3", LVN_CLASS_HCC, 1, 40, "de"}, /* image of two patients */
      {"L5", "P4", LVN_CLASS_HEM, 2, 50, "f"},   {"L6", "P5", LVN_CLASS_HEM, 0, 50, "1"},  /* same crop, leak */
      {"L7", "P6", LVN_CLASS_HEM, 2, 60, ""},    {"L8", "P6", LVN_CLASS_FNH, 2, 70, ""},   /* nothing wrong */
  };
  struct lvn_error err = {0};
  struct lvn_dataset_audit audit;
  (void)state;
  struct lvn_dataset *dataset = make("faults", samples, sizeof samples / sizeof samples[0]);
  assert_true(lvn_dataset_audit_run(dataset, &audit, &err));
  assert_int_equal(audit.patient_count, 6);
  assert_int_equal(audit.class_count, 4);
  assert_int_equal(audit.fold_count, 3);
  assert_int_equal(audit.lesions[LVN_CLASS_HCC], 3);
  assert_int_equal(audit.patients[LVN_CLASS_HEM], 3);
  assert_int_equal(audit.by_fold[2][LVN_CLASS_HEM], 2);
  assert_int_equal(audit.finding_count, 3);
  assert_int_equal(audit.leak_count, 2);
  assert_int_equal(audit.findings[0].kind, LVN_FINDING_PATIENT_IN_TWO_FOLDS);
  assert_int_equal(audit.findings[1].kind, LVN_FINDING_SAME_LESION);
  assert_true(audit.findings[1].is_leak);
  assert_int_equal(audit.findings[2].kind, LVN_FINDING_SAME_IMAGE);
  assert_false(audit.findings[2].is_leak);
  assert_int_equal(audit.findings[2].first, 2);
  assert_int_equal(audit.findings[2].second, 3);
  assert_false(lvn_dataset_check_trainable(dataset, &err));
  assert_non_null(strstr(err.message, "leak between folds 0 and 1: patient-in-two-folds, lesions 'L1' and 'L2'"));
  lvn_dataset_audit_clear(&audit);
  lvn_dataset_close(dataset);
}

static void test_audit__one_class_cannot_be_learnt(void **state) {
  static const struct sample samples[] = {{"L1", "P1", LVN_CLASS_HCC, 0, 10, ""},
                                          {"L2", "P2", LVN_CLASS_HCC, 1, 20, ""}};
  struct lvn_error err = {0};
  (void)state;
  struct lvn_dataset *dataset = make("one-class", samples, 2);
  assert_false(lvn_dataset_check_trainable(dataset, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_non_null(strstr(err.message, "all 2 lesions of the data set are HCC"));
  lvn_dataset_close(dataset);
}

/* What two data sets share is a leak as within one; their names alone are not. */
static void test_audit__looks_across_data_sets(void **state) {
  static const struct sample left[] = {{"L1", "P1", LVN_CLASS_FNH, 0, 40, "a"}, {"L2", "P2", LVN_CLASS_HCC, 1, 50, ""}};
  static const struct sample right[] = {{"L1", "P8", LVN_CLASS_FNH, 1, 40, ""},
                                        {"L9", "P9", LVN_CLASS_OUTLIER, 1, 60, ""}};
  char first[LVN_PATH_BYTES];
  char second[LVN_PATH_BYTES];
  const char *const folders[] = {first, second};
  struct lvn_dataset *dataset = NULL;
  struct lvn_dataset_audit audit = {0};
  struct lvn_crop crop = {0};
  struct lvn_error err = {0};
  (void)state;
  lvn_dataset_close(make("left", left, 2));
  lvn_dataset_close(make("right", right, 2));
  assert_true(lvn_path_join(first, root, "left", &err) && lvn_path_join(second, root, "right", &err));
  assert_true(lvn_dataset_open_all(folders, 2, &dataset, &err));
  assert_true(lvn_dataset_audit_run(dataset, &audit, &err));
  assert_int_equal(audit.lesions[LVN_CLASS_OUTLIER], 1);
  assert_int_equal(audit.class_count, 2);
  assert_int_equal(audit.finding_count, 1);
  assert_int_equal(audit.findings[0].kind, LVN_FINDING_SAME_LESION);
  assert_true(audit.findings[0].is_leak);
  assert_true(lvn_dataset_load(dataset, 3, &crop, &err)); /* out of its own folder */
  assert_int_equal(crop.slices[0].hounsfield[1], 61);
  assert_int_equal(lvn_dataset_get(dataset, 3)->lesion_class, LVN_CLASS_OUTLIER);
  assert_false(lvn_datasets_check_trainable(folders, 2, LVN_CLASSES_PAPER, false, &err));
  assert_non_null(strstr(err.message, "same-lesion-twice"));
  lvn_crop_clear(&crop);
  lvn_dataset_audit_clear(&audit);
  lvn_dataset_close(dataset);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dataset__reads_what_was_stored),    cmocka_unit_test(test_dataset__keeps_pixels_and_masks),
      cmocka_unit_test(test_dataset__keeps_the_delayed_phase),  cmocka_unit_test(test_audit__finds_doubles_and_leaks),
      cmocka_unit_test(test_audit__one_class_cannot_be_learnt), cmocka_unit_test(test_audit__looks_across_data_sets),
  };
  return cmocka_run_group_tests(tests, make_root, NULL);
}
