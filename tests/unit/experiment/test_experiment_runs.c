/* Studies: the paper's own file, what is refused, and the figures that come out of predictions. */
#include "base/file.h"
#include "base/memory.h"
#include "model/experiment/experiment.h"
#include "model/experiment/experiment_figures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

static char root[SCRATCH_BYTES];

static bool read_text(const char *text, struct lvn_experiment **ret_experiment, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  struct lvn_recipe recipe;
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  assert_true(lvn_path_join(path, root, "experiment.ini", err));
  assert_true(lvn_file_replace(path, text, strlen(text), 0644, err));
  bool good = lvn_experiment_read(path, &recipe, ret_experiment, err);
  (void)unlink(path);
  return good;
}

static const struct lvn_experiment_row *find(const struct lvn_experiment *experiment, const char *name) {
  for (size_t i = 0; i < experiment->row_count; i++) {
    if (strcmp(experiment->rows[i].name, name) == 0) {
      return &experiment->rows[i];
    }
  }
  fail_msg("no row %s", name);
  return NULL;
}

static void test_experiment_runs__papers_rows(void **state) {
  (void)state;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  LVN_AUTOFREE struct lvn_experiment *experiment = NULL;
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  if (!lvn_experiment_read(LVN_PACKAGES "/../experiment/paper.ini", &recipe, &experiment, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(find(experiment, "model2")->tables, 1U << 7 | 1U << 8 | 1U << 9);
  assert_int_equal(find(experiment, "model2")->recipe.permutations, LVN_PERMUTATIONS_ALL);
  assert_int_equal(find(experiment, "model1")->recipe.permutations, LVN_PERMUTATIONS_NATURAL);
  assert_int_equal(find(experiment, "scratch")->recipe.task, LVN_PRETRAIN_NONE);
  assert_true(find(experiment, "imagenet")->is_missing);
  assert_string_not_equal(find(experiment, "model1")->digest, find(experiment, "model0")->digest);
}

static void expect_refusal(const char *text, const char *reason) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct lvn_experiment *experiment = NULL;
  assert_false(read_text(text, &experiment, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  if (strstr(err.message, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, reason);
  }
}

static void test_experiment_runs__refuses_with_the_line(void **state) {
  (void)state;
  expect_refusal("[row a]\ntraining.batsch = 4\n", "experiment.ini:2: unknown key");
  expect_refusal("[row a]\ntables = 2\n", "from 3 to 9");
  expect_refusal("[row a]\ntest = other\n", "no [test other]");
  expect_refusal("[rows]\nx = 1\n", "sections are");
  expect_refusal("[row a]\ntitle = t\n[base]\ntraining.batch = 4\n", "before the rows");
  expect_refusal("", "no rows");
}

/* Six patients in two folds, one lesion of two slices each; `wrong` of them are answered wrongly. */
static void write_folds(const struct lvn_experiment_row *row, const struct lvn_folds *folds, size_t wrong) {
  for (unsigned f = 0; f < 2; f++) {
    struct lvn_predictions predictions = {.classes = LVN_CLASSES_PAPER};
    struct lvn_error err = {0};
    char folder[LVN_PATH_BYTES];
    char path[LVN_PATH_BYTES];
    for (size_t i = 0; i < folds->patient_count; i++) {
      struct lvn_slice_prediction item = {.fold = f, .truth = (enum lvn_class)(i / 2)};
      (void)lvn_copy(item.patient_key, sizeof item.patient_key, folds->patients[i].patient_key);
      (void)snprintf(item.lesion_key, sizeof item.lesion_key, "lesion-%zu", i);
      for (item.slice = 0; folds->patients[i].fold == f && item.slice < 2; item.slice++) {
        memset(item.logit, 0, sizeof item.logit);
        item.logit[(i / 2 + (i < wrong)) % LVN_CLASS_PAPER_COUNT] = 1.0;
        assert_true(lvn_predictions_add(&predictions, &item, &err));
      }
    }
    assert_true(lvn_experiment_fold_folder(row, root, f, folder, &err));
    assert_true(lvn_file_make_folder(folder, 0755, &err));
    assert_true(lvn_path_join(path, folder, LVN_PREDICTIONS_FILE, &err));
    assert_true(lvn_predictions_write(&predictions, path, &err));
    lvn_predictions_clear(&predictions);
  }
}

static void test_experiment_runs__figures_of_predictions(void **state) {
  (void)state;
  struct lvn_folds_patient patients[8];
  struct lvn_folds folds = {.patients = patients, .patient_count = 8, .numbers = {0, 1}, .fold_count = 2};
  struct lvn_experiment_figures figures;
  struct lvn_error err = {0};
  LVN_AUTOFREE struct lvn_experiment *experiment = NULL;
  for (unsigned i = 0; i < 8; i++) {
    patients[i].fold = i % 2;
    (void)snprintf(patients[i].patient_key, sizeof patients[i].patient_key, "patient-%u", i);
  }
  assert_true(read_text("[row a]\ntables = 3\n[row b]\ntables = 3\ntraining.batch = 8\n", &experiment, &err));
  assert_true(lvn_experiment_figures(&experiment->rows[0], root, &folds, &figures, &err));
  assert_false(figures.is_complete);
  write_folds(&experiment->rows[0], &folds, 1); /* patient 0, of fold 0, is wrong: 3 of 4 and 4 of 4 */
  write_folds(&experiment->rows[1], &folds, 0);
  assert_true(lvn_experiment_figures(&experiment->rows[0], root, &folds, &figures, &err));
  assert_true(figures.is_complete);
  assert_true(fabs(figures.accuracy.mean - 0.875) < 1e-12 && fabs(figures.accuracy.deviation - 0.125) < 1e-12);
  assert_int_equal(figures.lesions.sample.count, 8);
  assert_int_equal(figures.lesions.sample.patient_count, 8);
  assert_true(fabs(figures.lesion.accuracy - 0.875) < 1e-12);
  assert_true(figures.interval.low.accuracy < 0.875 && figures.interval.high.accuracy >= 0.875);
  lvn_experiment_figures_clear(&figures);
  FILE *nowhere = fopen("/dev/null", "we");
  assert_non_null(nowhere);
  assert_true(lvn_experiment_report(experiment, root, &folds, nowhere, &err));
  (void)fclose(nowhere);
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *text = NULL;
  size_t bytes = 0;
  assert_true(lvn_path_join(path, root, "experiment.txt", &err) && lvn_file_read(path, 1U << 20U, &text, &bytes, &err));
  assert_non_null(strstr((const char *)text, "Table 3. Pretraining strategies"));
  assert_non_null(strstr((const char *)text, "87.50 ± 12.50"));
  assert_non_null(strstr((const char *)text, "a - b: accuracy per lesion -12.5 points"));
}

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(root);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_experiment_runs__papers_rows),
      cmocka_unit_test(test_experiment_runs__refuses_with_the_line),
      cmocka_unit_test(test_experiment_runs__figures_of_predictions),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
