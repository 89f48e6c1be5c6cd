/* What training makes: a package that the classifier answers with, that refuses every change, and that can be signed.
 */
#include "base/file.h"
#include "base/memory.h"
#include "model/network/classifier.h"
#include "model/network/package.h"
#include "model/tensor/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/model/made_up_train.h"

#define assert_near(found, expected, tolerance) assert_true(fabs((double)(found) - (double)(expected)) <= (tolerance))

static char root[SCRATCH_BYTES];

static int set_up(void **state) {
  struct made_up_run run;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  (void)state;
  (void)scratch_make(root);
  made_up_longer_recipe(&recipe);
  made_up_dataset(root, "data", NULL);
  made_up_text(root, "text.safetensors", 6, 6, 0.0);
  made_up_run(root, "data", "package", "text.safetensors", &recipe, &run);
  if (!lvn_train_run(&run.options, &summary, &err)) {
    print_error("%s\n", err.message);
    return -1;
  }
  return 0;
}

static struct lvn_classifier *open_classifier(bool ensemble) {
  char path[PATH_BYTES];
  struct lvn_classifier *classifier = NULL;
  struct lvn_error err = {0};
  const struct lvn_classifier_options options = {.package_folder = made_up_path(root, "package", path),
                                                 .device = "cpu",
                                                 .threads = 1,
                                                 .permutation_ensemble = ensemble};
  if (!lvn_classifier_open(&options, &classifier, &err)) {
    fail_msg("%s", err.message);
  }
  return classifier;
}

static void test_classifier__is_deterministic_and_sums_to_one(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_crop crop;
  made_up_crop(&crop, 2, 77);
  for (int ensemble = 0; ensemble < 2; ensemble++) {
    struct lvn_classifier *classifier = open_classifier(ensemble == 1);
    struct lvn_prediction first = {0};
    struct lvn_prediction second = {0};
    assert_true(lvn_classifier_run(classifier, &crop, &first, &err));
    assert_true(lvn_classifier_run(classifier, &crop, &second, &err));
    double sum = 0.0;
    float top = 0.0F;
    for (int c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
      sum += first.probability[c];
      assert_true(first.probability[c] == second.probability[c]);
      assert_true(fabs(first.cosine[c]) <= 1.0 + 1e-6);
      assert_memory_equal(first.heat[c], second.heat[c], SAMPLES * sizeof(float));
      for (size_t i = 0; i < SAMPLES; i++) {
        assert_true(first.heat[c][i] >= 0.0F && first.heat[c][i] <= 1.0F);
        top = fmaxf(top, first.heat[c][i]);
      }
    }
    assert_near(sum, 1.0, 1e-9);
    assert_near(top, 1.0, 1e-6);
    assert_true(isfinite(first.feature_distance));
    lvn_prediction_clear(&first);
    lvn_prediction_clear(&second);
    lvn_classifier_close(classifier);
  }
  lvn_crop_clear(&crop);
}

static void test_classifier__abstains_without_a_phase(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_crop crop;
  struct lvn_prediction prediction = {0};
  struct lvn_classifier *classifier = open_classifier(false);
  made_up_crop(&crop, 0, 3);
  crop.phase_present[LVN_PHASE_ART] = false;
  assert_true(lvn_classifier_run(classifier, &crop, &prediction, &err));
  assert_true(prediction.abstained);
  assert_string_equal(prediction.abstention_reason, "The arterial phase is missing.");
  lvn_prediction_clear(&prediction);
  lvn_crop_clear(&crop);
  lvn_classifier_close(classifier);
}

static void flip_byte(const char *path, long at) {
  FILE *file = fopen(path, "r+be");
  assert_non_null(file);
  assert_int_equal(fseek(file, at, SEEK_SET), 0);
  int byte = fgetc(file);
  assert_int_equal(fseek(file, at, SEEK_SET), 0);
  assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
  assert_int_equal(fclose(file), 0);
}

static void test_package__refuses_what_was_changed(void **state) {
  (void)state;
  static const char *const names[] = {LVN_PACKAGE_WEIGHTS, LVN_PACKAGE_VECTORS, LVN_PACKAGE_CARD};
  char folder[PATH_BYTES];
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  made_up_path(root, "package", folder);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[PATH_BYTES + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    flip_byte(path, 300);
    assert_false(lvn_package_open(folder, &package, &err));
    assert_int_equal(err.code, LVN_ERROR_DATA);
    assert_non_null(strstr(err.message, names[i]));
    flip_byte(path, 300);
    assert_true(lvn_package_open(folder, &package, &err));
    lvn_package_clear(&package);
  }
  char extra[PATH_BYTES + 64];
  (void)snprintf(extra, sizeof extra, "%s/extra", folder);
  assert_true(lvn_file_replace(extra, "x", 1, 0644, &err));
  assert_false(lvn_package_open(folder, &package, &err));
  assert_int_equal(unlink(extra), 0);
}

static double map_share_limit(const char *folder, json_t *manifest, json_t *explanation) {
  char path[PATH_BYTES];
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  made_up_path(root, "package/manifest.json", path);
  if (explanation == NULL) {
    (void)json_object_del(manifest, "explanation");
  } else {
    (void)json_object_set_new(manifest, "explanation", explanation);
  }
  assert_true(lvn_json_write(path, manifest, &err));
  assert_true(lvn_package_open(folder, &package, &err));
  double limit = package.recipe.map_share_limit;
  lvn_package_clear(&package);
  return limit;
}

/* Of the package where it has one, else the default, which new packages say. */
static void test_package__says_when_a_map_points_elsewhere(void **state) {
  (void)state;
  char folder[PATH_BYTES];
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  made_up_path(root, "package", folder);
  assert_true(lvn_package_open(folder, &package, &err));
  json_t *made = json_deep_copy(json_object_get(package.manifest, "explanation"));
  assert_near(json_number_value(json_object_get(made, "map_share_limit")), 0.35, 1e-12);
  assert_near(package.recipe.map_share_limit, 0.35, 1e-12);
  assert_near(map_share_limit(folder, package.manifest, json_pack("{s:f}", "map_share_limit", 0.6)), 0.6, 1e-12);
  assert_near(map_share_limit(folder, package.manifest, NULL), 0.35, 1e-12);
  assert_near(map_share_limit(folder, package.manifest, json_pack("{s:f}", "map_share_limit", 35.0)), 0.35, 1e-12);
  assert_near(map_share_limit(folder, package.manifest, made), 0.35, 1e-12);
  lvn_package_clear(&package);
}

static const char private_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                                  "-----END PRIVATE KEY-----\n"; /* RFC 8032 7.1, test 1 */
static const char public_key[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                                 "-----END PUBLIC KEY-----\n";
static const char other_key[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
                                "-----END PUBLIC KEY-----\n"; /* test 2 */

static void test_package__signature_is_of_the_key_and_the_manifest(void **state) {
  (void)state;
  char folder[PATH_BYTES];
  char key[PATH_BYTES];
  char public[PATH_BYTES];
  char other[PATH_BYTES];
  char manifest[PATH_BYTES];
  struct lvn_error err = {0};
  made_up_path(root, "package", folder);
  assert_true(lvn_file_replace(made_up_path(root, "key.pem", key), private_key, strlen(private_key), 0600, &err));
  assert_true(lvn_file_replace(made_up_path(root, "public.pem", public), public_key, strlen(public_key), 0644, &err));
  assert_true(lvn_file_replace(made_up_path(root, "other.pem", other), other_key, strlen(other_key), 0644, &err));
  assert_false(lvn_package_verify_signature(folder, public, &err));
  if (!lvn_package_sign(folder, key, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_package_verify_signature(folder, public, &err));
  assert_false(lvn_package_verify_signature(folder, other, &err));
  flip_byte(made_up_path(root, "package/manifest.json", manifest), 40);
  assert_false(lvn_package_verify_signature(folder, public, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  flip_byte(manifest, 40);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_classifier__is_deterministic_and_sums_to_one),
      cmocka_unit_test(test_classifier__abstains_without_a_phase),
      cmocka_unit_test(test_package__refuses_what_was_changed),
      cmocka_unit_test(test_package__says_when_a_map_points_elsewhere),
      cmocka_unit_test(test_package__signature_is_of_the_key_and_the_manifest),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
