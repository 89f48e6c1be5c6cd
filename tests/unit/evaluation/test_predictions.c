/* A cross-validation's predictions become answers: whose temperature is whose, and what is refused. */
#include "base/file.h"
#include "base/memory.h"
#include "model/evaluation/case_predictions.h"
#include "model/train/calibrate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)
#define LESIONS 8U
#define SLICES 2U

static char root[SCRATCH_BYTES];
static struct lvn_dataset *dataset;

static void fill_crop(struct lvn_crop *crop, unsigned value) {
  struct lvn_error err = {0};
  *crop = (struct lvn_crop){.side_mm = 40.0, .slice_count = SLICES, .phase_present = {true, true, true}};
  crop->slices = lvn_alloc(SLICES, sizeof *crop->slices, &err);
  assert_non_null(crop->slices);
  for (size_t s = 0; s < SLICES; s++) {
    crop->slices[s].hounsfield = lvn_alloc(LVN_PHASE_NETWORK_COUNT * SAMPLES, sizeof(int16_t), &err);
    crop->slices[s].mask = lvn_alloc(SAMPLES, 1, &err);
    assert_true(crop->slices[s].hounsfield != NULL && crop->slices[s].mask != NULL);
    for (size_t i = 0; i < LVN_PHASE_NETWORK_COUNT * SAMPLES; i++) {
      crop->slices[s].hounsfield[i] = (int16_t)(value + i % 7);
    }
    memset(crop->slices[s].mask + SAMPLES / 2, 1, 100);
  }
}

static int set_up(void **state) {
  (void)state;
  struct lvn_error err = {0};
  char folder[LVN_PATH_BYTES];
  struct lvn_dataset_writer *writer = NULL;
  (void)scratch_make(root);
  if (!lvn_path_join(folder, root, "data", &err) || !lvn_dataset_writer_open(folder, "made up", &writer, &err)) {
    return -1;
  }
  for (unsigned i = 0; i < LESIONS; i++) {
    struct lvn_dataset_lesion lesion = {
        .lesion_class = (enum lvn_class)(i % LVN_CLASS_PAPER_COUNT), .fold = 7, .long_axis_mm = 10.0 + i};
    struct lvn_crop crop;
    (void)snprintf(lesion.lesion_id, sizeof lesion.lesion_id, "L%u", i);
    (void)snprintf(lesion.patient_key, sizeof lesion.patient_key, "P%u", i);
    fill_crop(&crop, i);
    assert_true(lvn_dataset_writer_add(writer, &lesion, &crop, &err));
    lvn_crop_clear(&crop);
  }
  return lvn_dataset_writer_close(writer, &err) && lvn_dataset_open(folder, &dataset, &err) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  lvn_dataset_close(dataset);
  return 0;
}

/* Fold 1 is right and sure, fold 2 half wrong. */
static void fill_logit(unsigned lesion, unsigned slice, double ret_logit[LVN_CLASS_COUNT]) {
  unsigned truth = lesion % LVN_CLASS_PAPER_COUNT;
  unsigned said = lesion >= LESIONS / 2 && lesion % 2 == 1 ? (truth + 1) % LVN_CLASS_PAPER_COUNT : truth;
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    ret_logit[c] = c >= LVN_CLASS_PAPER_COUNT ? -INFINITY : 0.1 * c + (c == said ? 0.8 + 0.1 * slice : 0.0);
  }
}

static void make_predictions(struct lvn_predictions *predictions) {
  struct lvn_error err = {0};
  *predictions = (struct lvn_predictions){.classes = LVN_CLASSES_PAPER};
  for (unsigned i = 0; i < LESIONS; i++) {
    for (unsigned s = 0; s < SLICES; s++) {
      struct lvn_slice_prediction item = {.fold = 1 + i / (LESIONS / 2),
                                          .slice = s,
                                          .is_key = s == 0,
                                          .truth = (enum lvn_class)(i % LVN_CLASS_PAPER_COUNT)};
      (void)snprintf(item.lesion_key, sizeof item.lesion_key, "L%u", i);
      (void)snprintf(item.patient_key, sizeof item.patient_key, "P%u", i);
      fill_logit(i, s, item.logit);
      assert_true(lvn_predictions_add(predictions, &item, &err));
    }
  }
}

static double temperature_of(unsigned first_lesion) {
  double logit[LESIONS / 2][LVN_CLASS_COUNT] = {{0}};
  size_t label[LESIONS / 2];
  for (unsigned i = 0; i < LESIONS / 2; i++) {
    label[i] = (first_lesion + i) % LVN_CLASS_PAPER_COUNT;
    for (unsigned s = 0; s < SLICES; s++) {
      double slice[LVN_CLASS_COUNT];
      fill_logit(first_lesion + i, s, slice);
      for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
        logit[i][c] += slice[c] / SLICES;
      }
    }
  }
  return lvn_calibrate_temperature((const double(*)[LVN_CLASS_COUNT])logit, label, LESIONS / 2, 1.0);
}

static void test_predictions__are_calibrated_by_the_other_folds(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_predictions predictions;
  struct lvn_case_predictions answers = {0};
  make_predictions(&predictions);
  if (!lvn_case_predictions_take_predictions(&answers, &predictions, dataset, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(answers.lesion_count, LESIONS);
  assert_int_equal(answers.slice_count, LESIONS * SLICES);
  assert_int_equal(answers.feature_count, 0);
  assert_int_equal(answers.wrong_count, 2);
  double sure = temperature_of(0);
  double unsure = temperature_of(LESIONS / 2);
  assert_true(sure < unsure);
  for (unsigned i = 0; i < LESIONS; i++) {
    const struct lvn_case_prediction *answer = &answers.lesions[i];
    double logit[LVN_CLASS_COUNT];
    double expected[LVN_CLASS_COUNT];
    double other = i < LESIONS / 2 ? unsure : sure;
    fill_logit(i, 1, logit);
    lvn_calibrate_softmax(logit, 1.0 / other, expected);
    assert_int_equal(answer->fold, 1 + i / (LESIONS / 2)); /* the file's, not the data set's */
    assert_false(answer->abstained);
    assert_true(isnan(answer->feature_distance));
    assert_true(fabs(answer->long_axis_mm - (10.0 + i)) < 1e-9);
    for (size_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
      assert_true(fabs(answers.slices[i * SLICES + 1].probability[c] - expected[c]) < 1e-12);
    }
  }
  lvn_case_predictions_clear(&answers);
  lvn_predictions_clear(&predictions);
}

static void expect_refusal(struct lvn_predictions *predictions, const char *words) {
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = {0};
  assert_false(lvn_case_predictions_take_predictions(&answers, predictions, dataset, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  if (strstr(err.message, words) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, words);
  }
  lvn_case_predictions_clear(&answers);
  lvn_predictions_clear(predictions);
}

static void test_predictions__of_other_lesions_are_refused(void **state) {
  (void)state;
  struct lvn_predictions predictions;
  make_predictions(&predictions);
  (void)lvn_copy(predictions.items[0].lesion_key, sizeof predictions.items[0].lesion_key, "elsewhere");
  expect_refusal(&predictions, "no lesion 'elsewhere'");
  make_predictions(&predictions);
  predictions.items[2].truth = LVN_CLASS_HEM;
  expect_refusal(&predictions, "another class");
  make_predictions(&predictions);
  predictions.count--;
  expect_refusal(&predictions, "2 slices in the data set, 1 predictions");
  make_predictions(&predictions);
  predictions.items[1].slice = 0;
  expect_refusal(&predictions, "not in order");
  make_predictions(&predictions);
  predictions.items[LESIONS * SLICES - 2] = predictions.items[0];
  predictions.items[LESIONS * SLICES - 1] = predictions.items[1];
  expect_refusal(&predictions, "answered twice");
  make_predictions(&predictions);
  predictions.count = 0;
  expect_refusal(&predictions, "no predictions");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_predictions__are_calibrated_by_the_other_folds),
      cmocka_unit_test(test_predictions__of_other_lesions_are_refused),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
