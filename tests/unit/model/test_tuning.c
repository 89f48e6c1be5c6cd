/* Nested tuning: the choice is made by the training patients alone. */
#include "base/file.h"
#include "model/dataset/predictions.h"
#include "model/network/package.h"
#include "model/tensor/json.h"
#include "model/train/tuning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/made_up_train.h"

#define HELD_OUT 2U

static char root[SCRATCH_BYTES];

static void change_fold(unsigned fold, struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  if (lesion->fold == fold) {
    lesion->lesion_class = (enum lvn_class)((lesion->lesion_class + 1) % LVN_CLASS_PAPER_COUNT);
    for (size_t i = 0; i < 3 * SAMPLES; i++) {
      crop->slices[0].hounsfield[i] = (int16_t)(crop->slices[0].hounsfield[i] / 2);
    }
  }
}

static void change_held_out(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  change_fold(HELD_OUT, lesion, crop);
}

static void change_training(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  change_fold(HELD_OUT + 1, lesion, crop);
}

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(root);
  made_up_dataset(root, "plain", NULL);
  made_up_dataset(root, "held-out", change_held_out);
  made_up_dataset(root, "training", change_training);
  made_up_text(root, "text.safetensors", 6, 6, 0.0);
  return 0;
}

static void tuned_recipe(struct lvn_recipe *recipe) {
  struct lvn_error err = {0};
  made_up_recipe(recipe);
  recipe->validation_fold = HELD_OUT;
  recipe->tuning_folds = 2;
  (void)lvn_copy(recipe->tuning_key, sizeof recipe->tuning_key, "network.scale");
  (void)lvn_copy(recipe->tuning_values, sizeof recipe->tuning_values, "1 | 5");
  assert_true(lvn_recipe_check(recipe, &err));
}

/* The record of the choice in fold HELD_OUT; lvn_free() it. */
static char *tune(const char *dataset, const char *output) {
  char path[PATH_BYTES];
  char name[128];
  struct made_up_run run;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  uint8_t *text = NULL;
  size_t bytes = 0;
  tuned_recipe(&recipe);
  made_up_run(root, dataset, output, "text.safetensors", &recipe, &run);
  if (!made_up_train_fold(&run.options, HELD_OUT, 0, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  (void)snprintf(name, sizeof name, "%s.tuning/%s", output, LVN_TUNING_FILE);
  assert_true(lvn_file_read(made_up_path(root, name, path), 1U << 20U, &text, &bytes, &err));
  return (char *)text;
}

static void test_tuning__does_not_see_the_held_out_fold(void **state) {
  (void)state;
  LVN_AUTOFREE char *plain = tune("plain", "a");
  LVN_AUTOFREE char *held_out = tune("held-out", "b");
  LVN_AUTOFREE char *training = tune("training", "c");
  assert_string_equal(plain, held_out); /* losses to the last digit */
  assert_string_not_equal(plain, training);
  assert_non_null(strstr(plain, "\"chosen\""));
}

/* Patients 4 and 5 are those of fold 2. */
static void test_tuning__tests_every_other_patient_once_a_value(void **state) {
  struct lvn_error err = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names files = {0};
  char path[PATH_BYTES];
  size_t lesions = 0;
  (void)state;
  assert_true(lvn_file_walk(made_up_path(root, "a.tuning", path), 1000, &files, &err));
  for (size_t i = 0; i < files.count; i++) {
    struct lvn_predictions predictions = {0};
    if (strstr(files.names[i], LVN_PREDICTIONS_FILE) == NULL) {
      continue;
    }
    assert_true(lvn_predictions_read(files.names[i], &predictions, &err));
    for (size_t k = 0; k < predictions.count; k++) {
      assert_string_not_equal(predictions.items[k].patient_key, "patient-4");
      assert_string_not_equal(predictions.items[k].patient_key, "patient-5");
      lesions += predictions.items[k].is_key;
    }
    lvn_predictions_clear(&predictions);
  }
  assert_int_equal(lesions, 2 * (LESIONS - 4));
}

static void test_tuning__stands_in_the_package(void **state) {
  struct made_up_run run;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  (void)state;
  tuned_recipe(&recipe);
  made_up_run(root, "plain", "package", "text.safetensors", &recipe, &run);
  if (!lvn_train_run(&run.options, &summary, &err) || !lvn_package_open(run.output, &package, &err)) {
    fail_msg("%s", err.message);
  }
  const json_t *tuning = json_object_get(json_object_get(package.manifest, "training"), "tuning");
  const char *chosen = json_string_value(json_object_get(tuning, "chosen"));
  assert_non_null(chosen);
  assert_int_equal(json_array_size(json_object_get(tuning, "tried")), 2);
  assert_int_equal(json_integer_value(json_object_get(tuning, "patients")), 6);
  assert_true(package.recipe.scale == strtod(chosen, NULL));
  assert_int_equal(json_array_size(json_object_get(json_object_get(package.manifest, "training"), "history")), 1);
  lvn_package_clear(&package);
}

static void expect_refusal(const char *key, const char *values, const char *words) {
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  tuned_recipe(&recipe);
  (void)lvn_copy(recipe.tuning_key, sizeof recipe.tuning_key, key);
  (void)lvn_copy(recipe.tuning_values, sizeof recipe.tuning_values, values);
  assert_false(lvn_recipe_check(&recipe, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  if (strstr(err.message, words) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, words);
  }
}

static void test_tuning__refuses_what_cannot_be_chosen(void **state) {
  (void)state;
  expect_refusal("", "1|2", "of no key");
  expect_refusal("network.scale", "1", "1 values");
  expect_refusal("network.scale", "1|", "1 values");
  expect_refusal("network.scale", "1|1000", "network.scale");
  expect_refusal("network.hat", "1|2", "unknown key");
  expect_refusal("run.seed", "1|2", "not for the data to choose");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tuning__does_not_see_the_held_out_fold),
      cmocka_unit_test(test_tuning__tests_every_other_patient_once_a_value),
      cmocka_unit_test(test_tuning__stands_in_the_package),
      cmocka_unit_test(test_tuning__refuses_what_cannot_be_chosen),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
