/* One fold of a cross-validation: who is held out, and what the model says of them. */
#include "base/file.h"
#include "model/dataset/predictions.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/made_up_train.h"

static char root[SCRATCH_BYTES];

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(root);
  made_up_dataset(root, "data", NULL);
  made_up_text(root, "text.safetensors", 6, 6, 0.0);
  return 0;
}

static bool run_fold(const char *output, const struct lvn_recipe *recipe, struct lvn_predictions *predictions,
                     struct lvn_error *err) {
  char pretrained[PATH_BYTES];
  char path[LVN_PATH_BYTES];
  struct made_up_run run;
  struct lvn_train_summary summary;
  made_up_run(root, "data", output, "text.safetensors", recipe, &run);
  run.options.pretrained_path = made_up_path(root, "encoder.safetensors", pretrained);
  return made_up_train_fold(&run.options, 1, 2, &summary, err) &&
         lvn_path_join(path, run.output, LVN_PREDICTIONS_FILE, err) && lvn_predictions_read(path, predictions, err);
}

static void test_train__predicts_every_slice_of_a_fold(void **state) {
  (void)state;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  struct lvn_predictions cosine = {0};
  struct lvn_predictions linear = {0};
  char path[PATH_BYTES];
  made_up_longer_recipe(&recipe);
  recipe.task = LVN_PRETRAIN_SIMSIAM;
  recipe.pretraining.stages[0].epochs = 1;
  recipe.training.stages[0] = (struct lvn_recipe_stage){.epochs = 1, .side = 32};
  recipe.permutations = LVN_PERMUTATIONS_ALL;
  if (!run_fold("fold", &recipe, &cosine, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_file_exists(made_up_path(root, "encoder.safetensors", path)));
  recipe.head = LVN_HEAD_FC; /* takes the same encoder from the file */
  if (!run_fold("foldfc", &recipe, &linear, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(cosine.count > 0);
  assert_int_equal(cosine.count, linear.count);
  for (size_t i = 0; i < cosine.count; i++) {
    assert_string_equal(cosine.items[i].lesion_key, linear.items[i].lesion_key);
    assert_int_equal(cosine.items[i].fold, 1);
    assert_true(fabs(cosine.items[i].logit[0]) <= recipe.scale * (1.0 + 1e-6));
  }
  lvn_predictions_clear(&cosine);
  lvn_predictions_clear(&linear);
}

static void test_folds__keep_patients_together_and_classes_even(void **state) {
  (void)state;
  char data[PATH_BYTES];
  const char *folders[] = {made_up_path(root, "data", data)};
  struct lvn_folds folds = {0};
  struct lvn_error err = {0};
  size_t counts[4] = {0};
  assert_true(lvn_folds_make(folders, 1, 4, 7, &folds, &err));
  assert_int_equal(folds.patient_count, LESIONS / 2);
  assert_int_equal(folds.fold_count, 4);
  for (size_t i = 0; i < folds.patient_count; i++) {
    counts[folds.patients[i].fold]++;
  }
  for (size_t f = 0; f < 4; f++) {
    assert_int_equal(counts[f], 2);
  }
  unsigned fold = 9;
  assert_true(lvn_folds_find(&folds, "patient-3", &fold) && fold < 4);
  assert_false(lvn_folds_find(&folds, "patient-99", &fold));
  lvn_folds_clear(&folds);
  assert_false(lvn_folds_make(folders, 1, 50, 7, &folds, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_train__predicts_every_slice_of_a_fold),
      cmocka_unit_test(test_folds__keep_patients_together_and_classes_even),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
