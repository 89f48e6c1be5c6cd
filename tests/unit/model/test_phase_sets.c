/* Variable phase sets: lesions with a missing phase, or with the delayed one, are trained on beside the prompt that
 * names the phases that are shown. */
#include "model/network/classifier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/made_up_train.h"

static char root[SCRATCH_BYTES];

/* Lesion 13 (fold 3) has no arterial phase, lesion 2 (fold 0, held out) no portal-venous one. */
static void take_phases(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  if (strcmp(lesion->lesion_id, "lesion-13") == 0) {
    crop->phase_present[LVN_PHASE_ART] = false;
  } else if (strcmp(lesion->lesion_id, "lesion-2") == 0) {
    crop->phase_present[LVN_PHASE_PV] = false;
  }
}

/* The same, and other values where there is no arterial phase: nobody may look at them. */
static void take_phases_and_scribble(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  take_phases(lesion, crop);
  for (size_t s = 0; strcmp(lesion->lesion_id, "lesion-13") == 0 && s < crop->slice_count; s++) {
    for (size_t i = 0; i < SAMPLES; i++) {
      crop->slices[s].hounsfield[LVN_PHASE_ART * SAMPLES + i] = (int16_t)(i % 200);
    }
  }
}

/* Both lesions of patient 6 (fold 3), one of them without an arterial phase, have the delayed one. */
static void add_delayed(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop, int hounsfield) {
  struct lvn_error err = {0};
  take_phases(lesion, crop);
  if (strcmp(lesion->patient_key, "patient-6") != 0) {
    return;
  }
  for (size_t s = 0; s < crop->slice_count; s++) {
    crop->slices[s].delayed = lvn_alloc(SAMPLES, sizeof(int16_t), &err);
    assert_non_null(crop->slices[s].delayed);
    for (size_t i = 0; i < SAMPLES; i++) {
      crop->slices[s].delayed[i] = (int16_t)(hounsfield + (crop->slices[s].mask[i] != 0 ? 60 : 0));
    }
  }
  crop->delayed_present = true;
}

static void add_dark(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  add_delayed(lesion, crop, 20);
}

static void add_bright(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  add_delayed(lesion, crop, 150);
}

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(root);
  made_up_dataset(root, "data", take_phases);
  made_up_dataset(root, "scribbled", take_phases_and_scribble);
  made_up_dataset(root, "dark", add_dark);
  made_up_dataset(root, "bright", add_bright);
  made_up_text(root, "orders", 6, 6, 0.0);
  made_up_text(root, "text", 15, 6, 0.0);
  made_up_text(root, "other-text", 15, 6, 0.5);
  made_up_text(root, "text-of-four", 40, 15, 0.0);
  made_up_text(root, "other-text-of-four", 40, 15, 0.5);
  return 0;
}

static bool run_fold(const char *dataset, const char *text, bool use_incomplete, double fourth_phase,
                     struct lvn_train_summary *summary, struct lvn_error *err) {
  static unsigned runs;
  char name[32];
  struct lvn_recipe recipe;
  struct made_up_run run;
  (void)snprintf(name, sizeof name, "run-%u", runs++);
  made_up_recipe(&recipe);
  recipe.use_incomplete = use_incomplete;
  recipe.fourth_phase = fourth_phase;
  made_up_run(root, dataset, name, text, &recipe, &run);
  return made_up_train_fold(&run.options, 0, 0, summary, err);
}

static struct lvn_train_summary train(const char *dataset, const char *text, bool use_incomplete, double fourth_phase) {
  struct lvn_train_summary summary = {0};
  struct lvn_error err = {0};
  if (!run_fold(dataset, text, use_incomplete, fourth_phase, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  return summary;
}

static void expect_refusal(const char *dataset, const char *text, bool use_incomplete, double fourth_phase,
                           const char *words) {
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  assert_false(run_fold(dataset, text, use_incomplete, fourth_phase, &summary, &err));
  if (strstr(err.message, words) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, words);
  }
}

static void test_incomplete__lesions_are_used_when_asked_for(void **state) {
  (void)state;
  assert_int_equal(train("data", "text", false, 0.0).training_lesions, LESIONS - 4 - 1);
  const struct lvn_train_summary used = train("data", "text", true, 0.0);
  assert_int_equal(used.training_lesions, LESIONS - 4);
  assert_int_equal(used.held_out_lesions, 3); /* the node abstains without a phase: nothing to measure */
}

static void test_incomplete__the_prompt_names_the_phases_that_are_there(void **state) {
  (void)state;
  const double plain = train("data", "text", true, 0.0).last_loss;
  assert_true(plain == train("scribbled", "text", true, 0.0).last_loss);
  assert_true(plain != train("data", "other-text", true, 0.0).last_loss);
  assert_true(train("data", "text", false, 0.0).last_loss == train("data", "other-text", false, 0.0).last_loss);
}

static void test_incomplete__needs_prompts_that_name_fewer_phases(void **state) {
  (void)state;
  expect_refusal("data", "orders", true, 0.0, "name no missing phases: make them anew by text-encoder embed");
}

static void test_fourth_phase__is_shown_beside_prompts_that_name_it(void **state) {
  (void)state;
  const double dark = train("dark", "text-of-four", true, 0.8).last_loss;
  assert_true(dark == train("dark", "text-of-four", true, 0.8).last_loss);
  assert_true(dark != train("bright", "text-of-four", true, 0.8).last_loss);
  assert_true(dark != train("dark", "other-text-of-four", true, 0.8).last_loss);
  assert_int_equal(train("dark", "text-of-four", false, 0.8).training_lesions, LESIONS - 4 - 1);
}

/* Without the key the pixels and the prompts that there are beside it are of no account, to the last digit. */
static void test_fourth_phase__is_nothing_unless_asked_for(void **state) {
  (void)state;
  const double plain = train("data", "text", true, 0.0).last_loss;
  assert_true(plain == train("bright", "text", true, 0.0).last_loss);
  assert_true(plain == train("bright", "other-text-of-four", true, 0.0).last_loss);
}

static void test_fourth_phase__says_what_it_needs(void **state) {
  (void)state;
  expect_refusal("dark", "text", true, 0.5, "name no delayed phase: make them anew by text-encoder embed");
  expect_refusal("data", "text-of-four", true, 0.5, "no training lesion has the delayed phase");
}

/* The package answers NC, ART, PV as any other, and its prompts serve to go on from. */
static void test_fourth_phase__makes_a_package_like_any_other(void **state) {
  struct lvn_recipe recipe;
  struct made_up_run run;
  struct lvn_train_summary summary;
  struct lvn_classifier *classifier = NULL;
  struct lvn_prediction prediction = {0};
  struct lvn_crop crop;
  struct lvn_error err = {0};
  (void)state;
  made_up_recipe(&recipe);
  recipe.fourth_phase = 0.5;
  made_up_run(root, "dark", "package", "text-of-four", &recipe, &run);
  const struct lvn_classifier_options options = {.package_folder = run.output, .device = "cpu", .threads = 1};
  if (!lvn_train_run(&run.options, &summary, &err) || !lvn_classifier_open(&options, &classifier, &err)) {
    fail_msg("%s", err.message);
  }
  made_up_crop(&crop, 1, 3);
  assert_true(lvn_classifier_run(classifier, &crop, &prediction, &err));
  assert_true(isfinite(prediction.feature_distance));
  lvn_prediction_clear(&prediction);
  lvn_crop_clear(&crop);
  lvn_classifier_close(classifier);
  assert_int_equal(train("dark", "package/weights.safetensors", true, 0.5).training_lesions, LESIONS - 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_incomplete__lesions_are_used_when_asked_for),
      cmocka_unit_test(test_incomplete__the_prompt_names_the_phases_that_are_there),
      cmocka_unit_test(test_incomplete__needs_prompts_that_name_fewer_phases),
      cmocka_unit_test(test_fourth_phase__is_shown_beside_prompts_that_name_it),
      cmocka_unit_test(test_fourth_phase__is_nothing_unless_asked_for),
      cmocka_unit_test(test_fourth_phase__says_what_it_needs),
      cmocka_unit_test(test_fourth_phase__makes_a_package_like_any_other),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
