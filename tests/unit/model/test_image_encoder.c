/* A new image encoder is one row of the table: the toy's is trained, packaged, run and explained. */
#include "base/memory.h"
#include "model/network/classifier.h"
#include "model/network/package.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/made_up_train.h"
#include "tests/unit/model/toy_encoder.h"

static char root[SCRATCH_BYTES];

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(root);
  toy_encoder_add();
  return 0;
}

static void test_image_encoder__a_row_of_the_table_is_all_it_takes(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_recipe recipe;
  struct made_up_run run;
  struct lvn_train_summary summary = {0};
  made_up_longer_recipe(&recipe);
  (void)lvn_copy(recipe.encoder, sizeof recipe.encoder, "patches");
  assert_true(lvn_recipe_check(&recipe, &err));
  made_up_dataset(root, "data", NULL);
  made_up_text(root, "text.safetensors", 6, 6, 0.0);
  made_up_run(root, "data", "package", "text.safetensors", &recipe, &run);
  if (!lvn_train_run(&run.options, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(summary.last_loss < summary.first_loss);

  struct lvn_package package = {0};
  assert_true(lvn_package_open(run.output, &package, &err));
  assert_string_equal(package.recipe.encoder, "patches");
  lvn_package_clear(&package);

  struct lvn_classifier *classifier = NULL;
  const struct lvn_classifier_options options = {.package_folder = run.output, .device = "cpu", .threads = 1};
  if (!lvn_classifier_open(&options, &classifier, &err)) { /* runs the test vectors, too */
    fail_msg("%s", err.message);
  }
  assert_true(toy_encoder_folded > 0);
  struct lvn_crop crop;
  struct lvn_prediction prediction = {0};
  made_up_crop(&crop, 2, 77);
  assert_true(lvn_classifier_run(classifier, &crop, &prediction, &err));
  assert_true(toy_encoder_explained > 0);
  double sum = 0.0;
  float top = 0.0F;
  for (int c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    sum += prediction.probability[c];
    for (size_t i = 0; i < SAMPLES; i++) {
      top = fmaxf(top, prediction.heat[c][i]);
    }
  }
  assert_true(fabs(sum - 1.0) < 1e-9 && fabsf(top - 1.0F) < 1e-6F);
  lvn_prediction_clear(&prediction);
  lvn_crop_clear(&crop);
  lvn_classifier_close(classifier);
}

static void test_image_encoder__an_unknown_name_is_refused(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_recipe recipe;
  struct made_up_run run;
  struct lvn_train_summary summary = {0};
  made_up_longer_recipe(&recipe);
  (void)lvn_copy(recipe.encoder, sizeof recipe.encoder, "resnet19");
  made_up_run(root, "data", "unknown", "text.safetensors", &recipe, &run);
  assert_false(lvn_train_run(&run.options, &summary, &err));
  assert_non_null(strstr(err.message, "'resnet19' is no image encoder of this program (resnet18, resnet50, patches)"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_image_encoder__a_row_of_the_table_is_all_it_takes),
      cmocka_unit_test(test_image_encoder__an_unknown_name_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
