/* Data set, trainer, package and classifier together, on a dozen made-up lesions. */
#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "model/network/classifier.h"
#include "model/network/package.h"
#include "model/train/folds.h"
#include "model/train/predictions.h"
#include "model/train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/model/made_up.h"

#define assert_near(found, expected, tolerance) assert_true(fabs((double)(found) - (double)(expected)) <= (tolerance))

static char root[] = "/tmp/lvn_train_XXXXXX";
static double first_epoch_loss;
static double last_epoch_loss;
static unsigned epochs_seen;

static void see_epoch(const struct lvn_train_epoch *epoch, void *context) {
  (void)context;
  epochs_seen++;
  first_epoch_loss = epoch->epoch == 1 ? epoch->loss : first_epoch_loss;
  last_epoch_loss = epoch->loss;
}

/* Killed for good: no handler, no flush. */
static void stop_at(const struct lvn_train_epoch *epoch, void *context) {
  const unsigned *last = context;
  if (epoch->epoch == *last && strcmp(epoch->task, "training") == 0) {
    (void)kill(getpid(), SIGKILL);
  }
}

static void small_recipe(struct lvn_recipe *recipe) {
  lvn_recipe_default(LVN_RECIPE_RECOMMENDED, recipe);
  recipe->task = LVN_PRETRAIN_NONE;
  recipe->training.stages[0] = (struct lvn_recipe_stage){.epochs = 10, .side = 64};
  recipe->training.batch = 6;
  recipe->training.warmup_epochs = 0;
  recipe->training.learning_rate = 2e-3;
  recipe->training.ema = 0.5;
  recipe->pretraining.stages[0] = (struct lvn_recipe_stage){.epochs = 1, .side = 32};
  recipe->pretraining.batch = 6;
  recipe->joint_size = 64;
  recipe->orders = LVN_ORDERS_NATURAL;
  recipe->scale = 5.0;
  recipe->threads = 1;
}

struct run {
  const char *package;
  const struct lvn_recipe *recipe;
  bool resume;
  void (*progress)(const struct lvn_train_epoch *, void *);
  void *context;
};

static bool train(const struct run *run, struct lvn_train_summary *summary, struct lvn_error *err) {
  char data[PATH_BYTES];
  char text[PATH_BYTES];
  char output[PATH_BYTES];
  const char *folders[] = {made_up_path(root, "data", data)};
  struct lvn_train_options options = {.dataset_folders = folders,
                                      .dataset_count = 1,
                                      .output_folder = made_up_path(root, run->package, output),
                                      .text_path = made_up_path(root, "text.safetensors", text),
                                      .recipe = run->recipe,
                                      .resume = run->resume,
                                      .progress = run->progress,
                                      .context = run->context};
  return lvn_train_run(&options, summary, err);
}

static int set_up(void **state) {
  (void)state;
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  if (mkdtemp(root) == NULL) {
    return -1;
  }
  struct lvn_recipe recipe;
  small_recipe(&recipe);
  made_up_dataset(root, "data", NULL);
  made_up_text(root, "text.safetensors", 6, 0.0);
  if (!train(&(struct run){"package", &recipe, false, see_epoch, NULL}, &summary, &err)) {
    print_error("%s\n", err.message);
    return -1;
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  struct lvn_file_names paths = {0};
  struct lvn_error err = {0};
  if (lvn_file_walk(root, 10000, &paths, &err)) {
    for (size_t i = 0; i < paths.count; i++) {
      (void)unlink(paths.names[i]);
    }
  }
  lvn_file_names_clear(&paths);
  static const char *const folders[] = {"data/lesions", "data", "package", "again", "steps",
                                        "stepsagain",   "fold", "foldfc",  ""};
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
    char path[PATH_BYTES];
    (void)rmdir(made_up_path(root, folders[i], path));
  }
  return 0;
}

static void test_dataset__round_trip(void **state) {
  (void)state;
  char path[PATH_BYTES];
  struct lvn_dataset *dataset = NULL;
  struct lvn_error err = {0};
  struct lvn_crop expected;
  struct lvn_crop found;
  assert_true(lvn_dataset_open(made_up_path(root, "data", path), &dataset, &err));
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

static void test_train__lowers_the_loss(void **state) {
  (void)state;
  assert_true(epochs_seen >= 10);
  assert_true(last_epoch_loss < 0.9 * first_epoch_loss);
}

static struct lvn_classifier *open_classifier(bool ensemble) {
  char path[PATH_BYTES];
  struct lvn_classifier *classifier = NULL;
  struct lvn_error err = {0};
  const struct lvn_classifier_options options = {
      .package_folder = made_up_path(root, "package", path), .device = "cpu", .threads = 1, .order_ensemble = ensemble};
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
    for (int c = 0; c < LVN_CLASS_COUNT; c++) {
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

/* A run that is killed and resumed makes the same weights as one that was not. */
/* Trains in a child that is killed in the middle, then goes on; the package's weights are `ret_sha256`. */
static void train_with_a_kill(const char *package, const struct lvn_recipe *recipe, unsigned epoch,
                              uint8_t ret_sha256[LVN_SHA256_BYTES]) {
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  char path[PATH_BYTES];
  char name[128];
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    (void)train(&(struct run){package, recipe, false, stop_at, &epoch}, &summary, &err);
    _exit(1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  (void)snprintf(name, sizeof name, "%s.checkpoint", package);
  assert_true(lvn_file_exists(made_up_path(root, name, path)));
  if (!train(&(struct run){package, recipe, true, see_epoch, NULL}, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_false(lvn_file_exists(made_up_path(root, name, path)));
  (void)snprintf(name, sizeof name, "%s/weights.safetensors", package);
  assert_true(lvn_sha256_of_file(made_up_path(root, name, path), ret_sha256, &err));
}

/* What a package's manifest tells of its epochs; json_decref() it. */
static json_t *history_of(const char *name) {
  char path[PATH_BYTES];
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  assert_true(lvn_package_open(made_up_path(root, name, path), &package, &err));
  json_t *history = json_incref(json_object_get(json_object_get(package.manifest, "training"), "history"));
  lvn_package_clear(&package);
  return history;
}

static void test_train__resumes_to_the_same_weights(void **state) {
  (void)state;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  char path[PATH_BYTES];
  uint8_t whole[LVN_SHA256_BYTES];
  uint8_t resumed[LVN_SHA256_BYTES];
  small_recipe(&recipe);
  train_with_a_kill("again", &recipe, 3, resumed);
  assert_true(lvn_sha256_of_file(made_up_path(root, "package/weights.safetensors", path), whole, &err));
  assert_memory_equal(whole, resumed, sizeof whole);
  json_t *unbroken = history_of("package");
  json_t *broken = history_of("again");
  assert_int_equal(json_array_size(unbroken), 10);
  assert_true(json_equal(unbroken, broken));
  json_decref(unbroken);
  json_decref(broken);
  assert_false(train(&(struct run){"again", &recipe, true, see_epoch, NULL}, &summary, &err));
  assert_int_equal(err.code, LVN_ERROR_CONFLICT);
}

static unsigned steps_before_the_kill;

/* The checkpoint after every step is replaced by a rename: its inode tells how many there were. A thread of the process
 * itself would be stopped by the kill, so another process watches. */
static void kill_at_a_step(const char *package, const struct lvn_recipe *recipe, unsigned after) {
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  char name[128];
  char path[PATH_BYTES];
  struct stat found;
  ino_t last = 0;
  int status = 0;
  (void)snprintf(name, sizeof name, "%s.checkpoint", package);
  (void)made_up_path(root, name, path);
  pid_t child = fork();
  if (child == 0) {
    (void)train(&(struct run){package, recipe, false, NULL, NULL}, &summary, &err);
    _exit(1);
  }
  for (steps_before_the_kill = 0; steps_before_the_kill < after;) {
    if (stat(path, &found) == 0 && found.st_ino != last) {
      last = found.st_ino;
      steps_before_the_kill++;
    }
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    lvn_clock_sleep_seconds(0.005); /* shorter than the writing of a checkpoint */
  }
  (void)kill(child, SIGKILL);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
}

/* Pretraining, jitter, dropout of phases, average and a learnable scale: whatever holds state. */
static void test_train__resumes_within_an_epoch(void **state) {
  (void)state;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  char path[PATH_BYTES];
  uint8_t whole[LVN_SHA256_BYTES];
  uint8_t resumed[LVN_SHA256_BYTES];
  small_recipe(&recipe);
  recipe.task = LVN_PRETRAIN_PHASE_SHUFFLE;
  recipe.training.stages[0] = (struct lvn_recipe_stage){.epochs = 4, .side = 32};
  recipe.orders = LVN_ORDERS_RANDOM;
  recipe.scale_mode = LVN_SCALE_LEARNABLE;
  recipe.checkpoint_seconds = 0;
  if (!train(&(struct run){"steps", &recipe, false, NULL, NULL}, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  uint8_t drawn = 0; /* of eight steps; the watcher may miss some */
  assert_true(lvn_file_random(&drawn, sizeof drawn, &err));
  print_message("killed after checkpoint %u\n", 1U + drawn % 4U);
  kill_at_a_step("stepsagain", &recipe, 1U + drawn % 4U);
  if (!train(&(struct run){"stepsagain", &recipe, true, NULL, NULL}, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_sha256_of_file(made_up_path(root, "steps/weights.safetensors", path), whole, &err));
  assert_true(lvn_sha256_of_file(made_up_path(root, "stepsagain/weights.safetensors", path), resumed, &err));
  assert_memory_equal(whole, resumed, sizeof whole);
}

static bool run_fold(const char *output, const struct lvn_recipe *recipe, struct lvn_predictions *predictions,
                     struct lvn_error *err) {
  char data[PATH_BYTES];
  char text[PATH_BYTES];
  char folder[PATH_BYTES];
  char path[LVN_PATH_BYTES];
  char pretrained[PATH_BYTES];
  const char *folders[] = {made_up_path(root, "data", data)};
  struct lvn_train_summary summary;
  struct lvn_folds folds = {0};
  const struct lvn_train_fold fold = {.fold = 1, .folds = &folds};
  const struct lvn_train_options options = {.dataset_folders = folders,
                                            .dataset_count = 1,
                                            .output_folder = made_up_path(root, output, folder),
                                            .text_path = made_up_path(root, "text.safetensors", text),
                                            .pretrained_path = made_up_path(root, "trunk.safetensors", pretrained),
                                            .recipe = recipe};
  if (!lvn_folds_make(folders, 1, 2, 1, &folds, err)) {
    return false;
  }
  bool good = lvn_train_fold_run(&options, &fold, &summary, err) &&
              lvn_path_join(path, folder, LVN_PREDICTIONS_FILE, err) && lvn_predictions_read(path, predictions, err);
  lvn_folds_clear(&folds);
  return good;
}

static void test_train__predicts_every_slice_of_a_fold(void **state) {
  (void)state;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  struct lvn_predictions cosine = {0};
  struct lvn_predictions linear = {0};
  char path[PATH_BYTES];
  small_recipe(&recipe);
  recipe.task = LVN_PRETRAIN_SIMSIAM;
  recipe.pretraining.stages[0].epochs = 1;
  recipe.training.stages[0] = (struct lvn_recipe_stage){.epochs = 1, .side = 32};
  recipe.orders = LVN_ORDERS_ALL;
  if (!run_fold("fold", &recipe, &cosine, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_file_exists(made_up_path(root, "trunk.safetensors", path)));
  recipe.head = LVN_HEAD_FC; /* takes the same trunk from the file */
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

static void test_train__says_why_it_cannot(void **state) {
  (void)state;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  small_recipe(&recipe);
  recipe.validation_fold = 77;
  assert_false(train(&(struct run){"never", &recipe, false, NULL, NULL}, &summary, &err));
  assert_non_null(strstr(err.message, "held-out fold"));
  small_recipe(&recipe);
  recipe.head = LVN_HEAD_FC;
  assert_false(train(&(struct run){"never", &recipe, false, NULL, NULL}, &summary, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  small_recipe(&recipe);
  recipe.phase_dropout = 0.5; /* the made-up prompts name no missing phase */
  assert_false(train(&(struct run){"never", &recipe, false, NULL, NULL}, &summary, &err));
  assert_non_null(strstr(err.message, "missing phases"));
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
      cmocka_unit_test(test_dataset__round_trip),
      cmocka_unit_test(test_train__lowers_the_loss),
      cmocka_unit_test(test_classifier__is_deterministic_and_sums_to_one),
      cmocka_unit_test(test_classifier__abstains_without_a_phase),
      cmocka_unit_test(test_package__refuses_what_was_changed),
      cmocka_unit_test(test_package__signature_is_of_the_key_and_the_manifest),
      cmocka_unit_test(test_train__resumes_to_the_same_weights),
      cmocka_unit_test(test_train__resumes_within_an_epoch),
      cmocka_unit_test(test_train__predicts_every_slice_of_a_fold),
      cmocka_unit_test(test_train__says_why_it_cannot),
      cmocka_unit_test(test_folds__keep_patients_together_and_classes_even),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
