/* Training with outliers, and never on what is tested: by pixels, whatever they are called, through --init as well. */
#include "base/memory.h"
#include "model/network/classifier.h"
#include "model/network/lineage.h"
#include "model/network/package.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/made_up_train.h"

static char root[SCRATCH_BYTES];

static unsigned number_of(const struct lvn_dataset_lesion *lesion) {
  return (unsigned)strtoul(lesion->lesion_id + strlen("lesion-"), NULL, 10);
}

/* The second lesion of each fold, and the fourth of two, are none of the classes: stripes where discs are. */
static void mix_outliers(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  unsigned number = number_of(lesion);
  if (number % 4 != 1 && number != 3 && number != 7) {
    lesion->lesion_class = (enum lvn_class)(number / 4 % 4 == 0 ? number % 4 : (number + number / 4) % 4);
    return;
  }
  lesion->lesion_class = LVN_CLASS_OUTLIER;
  (void)lvn_copy(lesion->subtype, sizeof lesion->subtype, number % 4 == 1 ? "striped" : "blank");
  for (size_t s = 0; s < crop->slice_count; s++) {
    for (size_t i = 0; i < 3 * SAMPLES; i++) {
      crop->slices[s].hounsfield[i] = (int16_t)(i / 224 % 32 < 16 ? 200 + (int)number : 0);
    }
  }
}

static void test_outliers__are_learnt_from_and_packaged(void **state) {
  struct lvn_recipe recipe;
  struct made_up_run run;
  struct lvn_train_summary summary = {0};
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  (void)state;
  made_up_recipe(&recipe);
  recipe.outlier_weight = 0.5;
  recipe.abstain_quantile = 0.75;
  (void)lvn_copy(recipe.outlier_unseen, sizeof recipe.outlier_unseen, "blank | other");
  made_up_dataset(root, "mixed", mix_outliers);
  made_up_run(root, "mixed", "with-outliers", "text.safetensors", &recipe, &run);
  if (!lvn_train_run(&run.options, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(summary.training_lesions, 8);
  assert_int_equal(summary.held_out_lesions, 2);
  assert_int_equal(summary.held_out_outliers, 1); /* the blank one is unseen */
  assert_true(summary.outlier_auc >= 0.0 && summary.outlier_auc <= 1.0);
  assert_true(lvn_package_open(run.output, &package, &err));
  assert_true(fabs(package.recipe.outlier.false_alarm_rate - 0.25) < 1e-12);
  const json_t *training = json_object_get(package.manifest, "training");
  assert_int_equal(json_array_size(json_object_get(training, "outlier_scores")), 6);
  /* Eight lesions of the classes and three others; 16 digits each. */
  assert_int_equal(json_string_length(json_object_get(training, "trained_pixels")), 11 * 16);
  assert_int_equal(json_string_length(json_object_get(training, "held_out_pixels")), 3 * 16);
  assert_true(json_is_true(json_object_get(training, "lineage_is_known")));
  lvn_package_clear(&package);
}

static struct lvn_prediction answer_of(const char *folder) {
  const struct lvn_classifier_options options = {.package_folder = folder, .device = "cpu", .threads = 1};
  struct lvn_classifier *classifier = NULL;
  struct lvn_prediction prediction = {0};
  struct lvn_crop crop = {0};
  struct lvn_error err = {0};
  made_up_crop(&crop, 2, 5);
  if (!lvn_classifier_open(&options, &classifier, &err) || !lvn_classifier_run(classifier, &crop, &prediction, &err)) {
    fail_msg("%s", err.message);
  }
  lvn_crop_clear(&crop);
  lvn_classifier_close(classifier);
  return prediction;
}

/* Trees and limits for weights that stay as they are. FNH is none of the model's classes: places are not classes. */
static void test_outliers__measurements_are_added_to_kept_weights(void **state) {
  struct lvn_recipe recipe;
  struct made_up_run run;
  struct made_up_run next;
  struct lvn_train_summary summary = {0};
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  char start[PATH_BYTES];
  (void)state;
  made_up_recipe(&recipe);
  recipe.outlier_weight = 0.5;
  (void)lvn_copy(recipe.classes, sizeof recipe.classes, "CYST, HCC, HEM");
  made_up_dataset(root, "measured", mix_outliers);
  made_up_run(root, "measured", "unmeasured", "text.safetensors", &recipe, &run);
  if (!lvn_train_run(&run.options, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  recipe.measurement_rounds = 2;
  recipe.training.stage_count = 0;
  made_up_run(root, "measured", "with-trees", "text.safetensors", &recipe, &next);
  assert_false(lvn_train_run(&next.options, &summary, &err));
  assert_non_null(strstr(err.message, "keeps the weights of --init"));
  next.options.init_path = made_up_path(root, "unmeasured", start);
  if (!lvn_train_run(&next.options, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_package_open(next.output, &package, &err));
  const json_t *training = json_object_get(package.manifest, "training");
  assert_int_equal(json_array_size(json_object_get(training, "outlier_scores")), 9); /* three with measurements */
  LVN_CLEANUP(lvn_prediction_clear) struct lvn_prediction before = answer_of(run.output);
  LVN_CLEANUP(lvn_prediction_clear) struct lvn_prediction after = answer_of(next.output);
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    if (lvn_classes_have(package.recipe.classes, c)) {
      assert_true(fabs(before.cosine[c] - after.cosine[c]) < 1e-6);
      assert_true(after.probability[c] > 0.0);
    } else {
      assert_true(after.probability[c] == 0.0);
    }
  }
  assert_int_equal(package.recipe.classes, 1U << LVN_CLASS_CYST | 1U << LVN_CLASS_HCC | 1U << LVN_CLASS_HEM);
  lvn_package_clear(&package);
}

static void test_outliers__rules_are_read_and_refused(void **state) {
  (void)state;
  struct lvn_outlier_rule rule;
  assert_true(lvn_outlier_rule_parse("confidence+relative", &rule));
  assert_int_equal(rule.term_count, 2);
  assert_int_equal(rule.parts[1].term, LVN_OUTLIER_RELATIVE);
  assert_false(lvn_outlier_rule_parse("confidence+", &rule));
  assert_false(lvn_outlier_rule_parse("conf", &rule));
  assert_false(lvn_outlier_rule_parse("flips+flips+flips+flips+flips", &rule));
}

/* The pixels of a held-out lesion under another patient's name. */
static void copy_pixels(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  unsigned number = number_of(lesion);
  if (number == 9) {
    lvn_crop_clear(crop);
    made_up_crop(crop, 1, 1);
  }
}

static void test_lineage__same_pixels_under_another_name_are_refused(void **state) {
  struct lvn_recipe recipe;
  struct made_up_run run;
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  (void)state;
  made_up_recipe(&recipe);
  made_up_dataset(root, "copied", copy_pixels);
  made_up_run(root, "copied", "of-copied", "text.safetensors", &recipe, &run);
  assert_false(lvn_train_run(&run.options, &summary, &err));
  assert_non_null(strstr(err.message, "same-lesion-twice"));
  /* The folds of a cross-validation look by themselves. */
  assert_false(made_up_train_fold(&run.options, 0, 0, &summary, &err));
  assert_non_null(strstr(err.message, "show the same pixels"));
}

static void test_lineage__start_must_not_know_what_is_held_out(void **state) {
  struct lvn_recipe recipe;
  struct made_up_run run;
  struct made_up_run next;
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  struct lvn_package package = {0};
  struct lvn_lineage seen = {0};
  bool known = false;
  char start[PATH_BYTES];
  (void)state;
  made_up_recipe(&recipe);
  recipe.validation_fold = 1;
  made_up_dataset(root, "plain", NULL);
  made_up_run(root, "plain", "start", "text.safetensors", &recipe, &run);
  if (!lvn_train_run(&run.options, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  recipe.validation_fold = 0;
  made_up_run(root, "plain", "next", "text.safetensors", &recipe, &next);
  next.options.init_path = made_up_path(root, "start", start);
  assert_false(lvn_train_run(&next.options, &summary, &err));
  assert_non_null(strstr(err.message, "was trained on what is held out here: 4 lesions"));
  assert_false(made_up_train_fold(&next.options, 2, 0, &summary, &err));
  assert_non_null(strstr(err.message, "was trained on what is held out here"));
  /* The fold that the start held out, too: allowed, and inherited. */
  recipe.validation_fold = 1;
  if (!lvn_train_run(&next.options, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_package_open(next.output, &package, &err));
  assert_true(lvn_lineage_of_manifest(package.manifest, true, &seen, &known, &err));
  assert_true(known);
  LVN_AUTOFREE char *text = lvn_lineage_to_text(&seen, &err);
  assert_int_equal(strlen(text), LESIONS * 16);
  lvn_lineage_clear(&seen);
  lvn_package_clear(&package);
}

static void test_lineage__text_is_sorted_and_checked(void **state) {
  struct lvn_lineage list = {0};
  struct lvn_lineage other = {0};
  struct lvn_error err = {0};
  uint8_t digest[LVN_SHA256_BYTES] = {0xff, 1, 2, 3, 4, 5, 6, 7, 8};
  (void)state;
  assert_true(lvn_lineage_add(&list, digest, &err));
  digest[0] = 0;
  assert_true(lvn_lineage_add(&list, digest, &err));
  assert_true(lvn_lineage_add(&list, digest, &err));
  LVN_AUTOFREE char *text = lvn_lineage_to_text(&list, &err);
  assert_string_equal(text, "0001020304050607ff01020304050607");
  assert_true(lvn_lineage_add_text(&other, text + 16, &err));
  assert_int_equal(lvn_lineage_shared(&list, &other), 1);
  assert_false(lvn_lineage_has(&other, digest));
  assert_false(lvn_lineage_add_text(&other, "0001", &err));
  assert_false(lvn_lineage_add_text(&other, "000102030405060x", &err));
  lvn_lineage_clear(&list);
  lvn_lineage_clear(&other);
}

static int make_root(void **state) {
  (void)state;
  (void)scratch_make(root);
  made_up_text(root, "text.safetensors", 6, 6, 0.0);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_outliers__are_learnt_from_and_packaged),
      cmocka_unit_test(test_outliers__measurements_are_added_to_kept_weights),
      cmocka_unit_test(test_outliers__rules_are_read_and_refused),
      cmocka_unit_test(test_lineage__same_pixels_under_another_name_are_refused),
      cmocka_unit_test(test_lineage__start_must_not_know_what_is_held_out),
      cmocka_unit_test(test_lineage__text_is_sorted_and_checked),
  };
  return cmocka_run_group_tests(tests, make_root, NULL);
}
