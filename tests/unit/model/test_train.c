/* Training on a dozen made-up lesions: it learns, and a run that was killed goes on as if it had not stopped. */
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "model/network/package.h"
#include "model/train/trainer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/model/made_up_train.h"

static char root[SCRATCH_BYTES];
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

struct run {
  const char *package;
  const struct lvn_recipe *recipe;
  bool resume;
  void (*progress)(const struct lvn_train_epoch *, void *);
  void *context;
  const char *init; /* a package under the scratch folder, or NULL */
};

static bool train(const struct run *run, struct lvn_train_summary *summary, struct lvn_error *err) {
  struct made_up_run made_up;
  made_up_run(root, "data", run->package, "text.safetensors", run->recipe, &made_up);
  made_up.options.resume = run->resume;
  made_up.options.progress = run->progress;
  made_up.options.context = run->context;
  char init[PATH_BYTES];
  made_up.options.init_path = run->init == NULL ? NULL : made_up_path(root, run->init, init);
  return lvn_train_run(&made_up.options, summary, err);
}

static int set_up(void **state) {
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  struct lvn_recipe recipe;
  (void)state;
  (void)scratch_make(root);
  made_up_longer_recipe(&recipe);
  made_up_dataset(root, "data", NULL);
  made_up_text(root, "text.safetensors", 6, 6, 0.0);
  if (!train(&(struct run){"package", &recipe, false, see_epoch, NULL, NULL}, &summary, &err)) {
    print_error("%s\n", err.message);
    return -1;
  }
  return 0;
}

static void test_train__lowers_the_loss(void **state) {
  (void)state;
  assert_true(epochs_seen >= 10);
  assert_true(last_epoch_loss < 0.9 * first_epoch_loss);
}

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
    (void)train(&(struct run){package, recipe, false, stop_at, &epoch, NULL}, &summary, &err);
    _exit(1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  (void)snprintf(name, sizeof name, "%s.checkpoint", package);
  assert_true(lvn_file_exists(made_up_path(root, name, path)));
  if (!train(&(struct run){package, recipe, true, see_epoch, NULL, NULL}, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_false(lvn_file_exists(made_up_path(root, name, path)));
  (void)snprintf(name, sizeof name, "%s/weights.safetensors", package);
  assert_true(lvn_sha256_of_file(made_up_path(root, name, path), ret_sha256, &err));
}

/* What a package's manifest tells of its training; json_decref() it. */
static json_t *told_of(const char *name, const char *what) {
  char path[PATH_BYTES];
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  assert_true(lvn_package_open(made_up_path(root, name, path), &package, &err));
  json_t *told = json_incref(json_object_get(json_object_get(package.manifest, "training"), what));
  lvn_package_clear(&package);
  return told;
}

static void test_train__resumes_to_the_same_weights(void **state) {
  (void)state;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  char path[PATH_BYTES];
  uint8_t whole[LVN_SHA256_BYTES];
  uint8_t resumed[LVN_SHA256_BYTES];
  made_up_longer_recipe(&recipe);
  train_with_a_kill("again", &recipe, 3, resumed);
  assert_true(lvn_sha256_of_file(made_up_path(root, "package/weights.safetensors", path), whole, &err));
  assert_memory_equal(whole, resumed, sizeof whole);
  json_t *unbroken = told_of("package", "history");
  json_t *broken = told_of("again", "history");
  assert_int_equal(json_array_size(unbroken), 10);
  assert_true(json_equal(unbroken, broken));
  json_decref(unbroken);
  json_decref(broken);
  assert_false(train(&(struct run){"again", &recipe, true, see_epoch, NULL, NULL}, &summary, &err));
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
    (void)train(&(struct run){package, recipe, false, NULL, NULL, NULL}, &summary, &err);
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
  made_up_longer_recipe(&recipe);
  recipe.task = LVN_PRETRAIN_PHASE_SHUFFLE;
  recipe.training.stages[0] = (struct lvn_recipe_stage){.epochs = 4, .side = 32};
  recipe.permutations = LVN_PERMUTATIONS_RANDOM;
  recipe.scale_mode = LVN_SCALE_LEARNABLE;
  recipe.checkpoint_seconds = 0;
  if (!train(&(struct run){"steps", &recipe, false, NULL, NULL, NULL}, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  uint8_t drawn = 0; /* of eight steps; the watcher may miss some */
  assert_true(lvn_file_random(&drawn, sizeof drawn, &err));
  print_message("killed after checkpoint %u\n", 1U + drawn % 4U);
  kill_at_a_step("stepsagain", &recipe, 1U + drawn % 4U);
  if (!train(&(struct run){"stepsagain", &recipe, true, NULL, NULL, NULL}, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_sha256_of_file(made_up_path(root, "steps/weights.safetensors", path), whole, &err));
  assert_true(lvn_sha256_of_file(made_up_path(root, "stepsagain/weights.safetensors", path), resumed, &err));
  assert_memory_equal(whole, resumed, sizeof whole);
}

static void test_train__names_the_weights_that_it_started_from(void **state) {
  (void)state;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  char path[PATH_BYTES];
  uint8_t started_from[LVN_SHA256_BYTES];
  char wanted[LVN_SHA256_TEXT_BYTES];
  made_up_longer_recipe(&recipe);
  recipe.training.stages[0].epochs = 1;
  if (!train(&(struct run){.package = "later", .recipe = &recipe, .init = "package"}, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(lvn_sha256_of_file(made_up_path(root, "package/weights.safetensors", path), started_from, &err));
  lvn_sha256_to_text(started_from, wanted);
  json_t *told = told_of("later", "initial_weights_sha256");
  assert_string_equal(json_string_value(told), wanted);
  json_decref(told);
  assert_null(told_of("package", "initial_weights_sha256"));
}

static void test_train__says_why_it_cannot(void **state) {
  (void)state;
  struct lvn_train_summary summary;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  made_up_longer_recipe(&recipe);
  recipe.validation_fold = 77;
  assert_false(train(&(struct run){"never", &recipe, false, NULL, NULL, NULL}, &summary, &err));
  assert_non_null(strstr(err.message, "held-out fold"));
  made_up_longer_recipe(&recipe);
  recipe.head = LVN_HEAD_FC;
  assert_false(train(&(struct run){"never", &recipe, false, NULL, NULL, NULL}, &summary, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  made_up_longer_recipe(&recipe);
  recipe.phase_dropout = 0.5; /* the made-up prompts name no missing phase */
  assert_false(train(&(struct run){"never", &recipe, false, NULL, NULL, NULL}, &summary, &err));
  assert_non_null(strstr(err.message, "missing phases"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_train__lowers_the_loss),
      cmocka_unit_test(test_train__resumes_to_the_same_weights),
      cmocka_unit_test(test_train__resumes_within_an_epoch),
      cmocka_unit_test(test_train__names_the_weights_that_it_started_from),
      cmocka_unit_test(test_train__says_why_it_cannot),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
