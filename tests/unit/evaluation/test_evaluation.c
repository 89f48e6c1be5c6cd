/* From answers to figures, tables and JSON, on answers whose figures can be counted by hand. */
#include "base/file.h"
#include "base/memory.h"
#include "model/evaluation/evaluation_write.h"
#include "model/evaluation/levels.h"
#include "model/evaluation/rules.h"
#include "model/tensor/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define LESIONS 40U
#define FEATURES 8U

static char root[SCRATCH_BYTES];

static void assert_near(double found, double expected) {
  if (!(fabs(found - expected) < 1e-9)) {
    print_error("found %.12g, expected %.12g\n", found, expected);
    fail();
  }
}

static void fill_row(double row[LVN_CLASS_COUNT], size_t top, double p) {
  for (size_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    row[c] = c == top ? p : (1.0 - p) / 3.0;
  }
}

/* Lesion i: class i % 4, patient i / 2, fold (i / 8) % 5; each lesion whose number `wrong` divides is taken for the
 * next class, less surely than the others are taken for their own. Two slices each: the first as the lesion, the second
 * right. */
static struct lvn_case_predictions make_answers(size_t wrong) {
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = {
      .classes = LVN_CLASSES_PAPER, .lesion_count = LESIONS, .slice_count = 2 * LESIONS, .feature_count = FEATURES};
  answers.lesions = lvn_alloc(LESIONS, sizeof *answers.lesions, &err);
  answers.slices = lvn_alloc(answers.slice_count, sizeof *answers.slices, &err);
  answers.features = lvn_alloc(LESIONS * FEATURES, sizeof *answers.features, &err);
  assert_true(answers.lesions != NULL && answers.slices != NULL && answers.features != NULL);
  for (size_t i = 0; i < LESIONS; i++) {
    struct lvn_case_prediction *answer = &answers.lesions[i];
    bool is_wrong = i % wrong == 0;
    size_t top = is_wrong ? (i + 1) % 4 : i % 4;
    (void)snprintf(answer->lesion_id, sizeof answer->lesion_id, "lesion-%zu", i);
    (void)snprintf(answer->patient_key, sizeof answer->patient_key, "patient-%02zu", i / 2);
    answer->truth = (enum lvn_class)(i % 4);
    answer->top_class = (enum lvn_class)top;
    answer->fold = (unsigned)(i / 8) % 5;
    fill_row(answer->probability, top, is_wrong ? 0.5 : 0.7 + 0.005 * (double)i);
    answer->abstained = i == 0;
    (void)lvn_copy(answer->abstention_reason, sizeof answer->abstention_reason, i == 0 ? "No class \"x\", none" : "");
    answer->long_axis_mm = i < 10 ? 8.0 : 30.0;
    answer->slice_thickness_mm = i < 20 ? NAN : 5.0;
    answer->feature_distance = is_wrong ? 9.0 : 1.0;
    answer->first_slice = 2 * i;
    answer->slice_count = 2;
    for (size_t s = 0; s < 2; s++) {
      answers.slices[2 * i + s] = (struct lvn_case_prediction_slice){.lesion = i, .is_key = s == 0};
      fill_row(answers.slices[2 * i + s].probability, s == 0 ? top : i % 4, 0.6);
    }
    for (size_t k = 0; k < FEATURES; k++) {
      answers.features[i * FEATURES + k] = (float)(k == i % 4 ? 10.0 : 0.0) + (float)sin((double)(i * 31 + k * 7));
    }
  }
  return answers;
}

static const struct lvn_evaluation_options options = {.resamples = 200, .seed = 3, .feature_distance_limit = 5.0};

static void test_evaluation__levels_count_what_they_should(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  struct lvn_evaluation e = {0};
  assert_true(lvn_evaluation_run(&answers, &options, &e, &err));
  assert_int_equal(e.patient_count, LESIONS / 2);
  assert_int_equal(e.level[LVN_LEVEL_SLICE].count, 2 * LESIONS);
  assert_int_equal(e.level[LVN_LEVEL_LESION].count, LESIONS);
  assert_int_equal(e.level[LVN_LEVEL_PATIENT].count, LESIONS); /* two classes in each patient: two cases */
  assert_near(e.level[LVN_LEVEL_LESION].figures.accuracy, 35.0 / 40.0);
  assert_near(e.level[LVN_LEVEL_SLICE].figures.accuracy, 75.0 / 80.0);
  assert_near(e.level[LVN_LEVEL_LESION].figures.recall[LVN_CLASS_CYST], 0.5); /* lesions 0, 8, … are cysts */
  assert_int_equal(e.level[LVN_LEVEL_LESION].confusion[LVN_CLASS_CYST][LVN_CLASS_FNH], 5);
  assert_true(e.level[LVN_LEVEL_LESION].bootstrap.low.accuracy < 0.875 &&
              e.level[LVN_LEVEL_LESION].bootstrap.high.accuracy > 0.875);
  assert_near(e.accuracy_answered, 35.0 / 39.0);
  assert_int_equal(e.abstained[LVN_CLASS_CYST], 1);
  assert_int_equal(e.abstained_wrong, 1);
  lvn_evaluation_clear(&e);
  lvn_case_predictions_clear(&answers);
}

static void test_evaluation__folds_as_the_paper_has_them(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  struct lvn_evaluation e = {0};
  assert_true(lvn_evaluation_run(&answers, &options, &e, &err));
  assert_int_equal(e.fold_count, 5);
  for (size_t f = 0; f < 5; f++) {
    assert_int_equal(e.folds[f].lesion_count, 8);
    assert_near(e.folds[f].slice.accuracy, 15.0 / 16.0); /* one wrong lesion in each */
  }
  assert_near(e.paper[0].mean, 15.0 / 16.0);
  assert_near(e.paper[0].deviation, 0.0);
  lvn_evaluation_clear(&e);
  lvn_case_predictions_clear(&answers);
}

static void test_evaluation__uncertainty(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  struct lvn_evaluation e = {0};
  assert_true(lvn_evaluation_run(&answers, &options, &e, &err));
  assert_int_equal(e.unlike.beyond, 5); /* the wrong ones */
  assert_near(e.unlike.wrong_auc, 1.0);
  for (size_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    assert_true(e.unlike.unseen_class_auc[c] > 0.95); /* its mean is 10 away from the others' */
    assert_true(e.roc[c].count >= 2);
  }
  assert_near(e.risk[LESIONS - 1], 5.0 / 40.0);
  assert_near(e.risk[34], 0.0); /* the 35 right ones are the surest */
  for (size_t a = 0; a < LVN_CONFORMAL_COUNT; a++) {
    assert_int_equal(e.conformal[a].count, LESIONS);
    assert_true(e.conformal[a].achieved.high >= 1.0 - e.conformal[a].alpha);
  }
  assert_near(e.decision[49].threshold, 0.5);
  assert_near(e.decision[49].all, 0.25 - 0.75);
  lvn_evaluation_clear(&e);
  lvn_case_predictions_clear(&answers);
}

static void test_evaluation__subgroups_by_size_and_thickness(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  struct lvn_evaluation e = {0};
  size_t lesions[2] = {0, 0};
  assert_true(lvn_evaluation_run(&answers, &options, &e, &err));
  for (size_t g = 0; g < e.subgroup_count; g++) {
    const struct lvn_subgroup_result *group = &e.subgroups[g];
    lesions[strcmp(group->by, "long axis") == 0] += group->count;
    if (strcmp(group->name, "under 10 mm") == 0) {
      assert_int_equal(group->count, 10);
      assert_int_equal(group->right, 8);
    } else if (strcmp(group->name, "10 to 20 mm") == 0) {
      assert_int_equal(group->count, 0);
      assert_true(isnan(group->figures.accuracy));
    } else if (strcmp(group->name, "not known") == 0) {
      assert_int_equal(group->count, 20);
    }
  }
  assert_int_equal(lesions[0], LESIONS); /* every lesion is in one group of each kind */
  assert_int_equal(lesions[1], LESIONS);
  lvn_evaluation_clear(&e);
  lvn_case_predictions_clear(&answers);
}

static void test_evaluation__patients_with_several_lesions_of_a_class(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  LVN_CLEANUP(lvn_levels_clear) struct lvn_level_cases cases = {0};
  answers.lesion_count = 2;
  answers.slice_count = 4;
  answers.lesions[1].truth = answers.lesions[0].truth;
  fill_row(answers.lesions[0].probability, 0, 0.9);
  fill_row(answers.lesions[1].probability, 1, 0.6);
  assert_true(lvn_levels_build(&answers, LVN_LEVEL_PATIENT, &cases, &err));
  assert_int_equal(cases.count, 1);
  double a = sqrt(0.9 * (0.4 / 3.0));
  double b = sqrt((0.1 / 3.0) * 0.6);
  double rest = 2.0 * sqrt((0.1 / 3.0) * (0.4 / 3.0));
  assert_near(cases.probability[0][0], a / (a + b + rest));
  assert_near(cases.probability[0][1], b / (a + b + rest));
  answers.lesion_count = LESIONS;
  lvn_case_predictions_clear(&answers);
}

static void test_evaluation__compares_two_models(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_case_predictions good = make_answers(8);
  struct lvn_case_predictions bad = make_answers(2);
  struct lvn_comparison comparison;
  assert_true(lvn_evaluation_compare(&good, &bad, &options, &comparison, &err));
  assert_near(comparison.difference.accuracy, 35.0 / 40.0 - 20.0 / 40.0);
  assert_true(comparison.bootstrap.low.accuracy > 0.0 && comparison.bootstrap_p.accuracy < 0.05);
  assert_int_equal(comparison.fold_count, 5);
  assert_true(isnan(comparison.paired_t.p)); /* the same in every fold: no variance */
  for (size_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    assert_true(isnan(comparison.delong[c].p) || comparison.delong_holm[c] >= comparison.delong[c].p);
  }
  bad.lesions[3].lesion_id[0] = 'x';
  assert_false(lvn_evaluation_compare(&good, &bad, &options, &comparison, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  lvn_case_predictions_clear(&good);
  lvn_case_predictions_clear(&bad);
}

static void test_evaluation__one_class_or_no_lesion(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  struct lvn_evaluation e = {0};
  answers.lesion_count = 1;
  answers.slice_count = 2;
  assert_true(lvn_evaluation_run(&answers, &options, &e, &err));
  assert_true(isnan(e.level[LVN_LEVEL_LESION].figures.macro_auc) && e.roc[0].count == 0);
  lvn_evaluation_clear(&e);
  answers.lesion_count = 0;
  assert_false(lvn_evaluation_run(&answers, &options, &e, &err));
  answers.lesion_count = LESIONS;
  lvn_case_predictions_clear(&answers);
}

static void test_answers__long_axis_is_the_largest_diameter(void **state) {
  (void)state;
  struct lvn_error err = {0};
  LVN_AUTOFREE uint8_t *mask = lvn_alloc((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE, 1, &err);
  assert_near(lvn_case_predictions_long_axis_mm(mask, 0.5), 0.0);
  mask[10 * LVN_CROP_SIDE + 20] = 1;
  assert_near(lvn_case_predictions_long_axis_mm(mask, 0.5), 0.5);
  mask[50 * LVN_CROP_SIDE + 50] = 1; /* 40 rows and 30 columns away */
  mask[30 * LVN_CROP_SIDE + 35] = 1;
  assert_near(lvn_case_predictions_long_axis_mm(mask, 0.5), 0.5 * 51.0);
}

static void test_rules__textbook(void **state) {
  (void)state;
  const double cyst[3] = {5, 8, 9};
  const double hcc[3] = {45, 110, 80};
  const double fnh[3] = {45, 120, 118};
  const double hem[3] = {45, 60, 90};
  assert_int_equal(lvn_rules_threshold(cyst), LVN_CLASS_CYST);
  assert_int_equal(lvn_rules_threshold(hcc), LVN_CLASS_HCC);
  assert_int_equal(lvn_rules_threshold(fnh), LVN_CLASS_FNH);
  assert_int_equal(lvn_rules_threshold(hem), LVN_CLASS_HEM);
}

/* The files need of a data set only what its manifest says. */
static void make_dataset(const char *name, struct lvn_dataset **ret_dataset) {
  char path[512];
  struct lvn_error err = {0};
  struct lvn_dataset_writer *writer = NULL;
  (void)snprintf(path, sizeof path, "%s/%s", root, name);
  assert_true(lvn_dataset_writer_open(path, "made up", &writer, &err));
  assert_true(lvn_dataset_writer_close(writer, &err));
  assert_true(lvn_dataset_open(path, ret_dataset, &err));
}

static size_t lines_of(const char *name) {
  char path[512];
  struct lvn_error err = {0};
  LVN_AUTOFREE uint8_t *text = NULL;
  size_t bytes = 0;
  size_t lines = 0;
  (void)snprintf(path, sizeof path, "%s/out/%s", root, name);
  assert_true(lvn_file_read(path, 1U << 24U, &text, &bytes, &err));
  for (size_t i = 0; i < bytes; i++) {
    lines += text[i] == '\n';
  }
  return lines;
}

static void test_evaluation__files(void **state) {
  (void)state;
  char path[512];
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  struct lvn_case_predictions other = make_answers(3);
  struct lvn_evaluation e = {0};
  struct lvn_comparison comparison;
  struct lvn_dataset *dataset = NULL;
  struct lvn_package package = {.name = "made-up", .version = "1.0.0", .trained_on = "nothing"};
  make_dataset("data", &dataset);
  assert_true(lvn_evaluation_run(&answers, &options, &e, &err));
  assert_true(lvn_evaluation_compare(&answers, &other, &options, &comparison, &err));
  const struct lvn_evaluation_subject subject = {.answers = &answers,
                                                 .evaluation = &e,
                                                 .dataset = dataset,
                                                 .packages = &package,
                                                 .package_count = 1,
                                                 .device = "cpu",
                                                 .comparison = &comparison,
                                                 .other = &package};
  (void)snprintf(path, sizeof path, "%s/out", root);
  assert_true(lvn_evaluation_write(&subject, path, &err));
  (void)snprintf(path, sizeof path, "%s/out/evaluation.json", root);
  LVN_CLEANUP(lvn_json_cleanup) json_t *json = lvn_json_read(path, 1U << 24U, &err);
  assert_non_null(json);
  assert_near(json_number_value(json_object_get(json, "accuracy")), 0.875);
  const json_t *lesion = json_object_get(json_object_get(json, "levels"), "lesion");
  const json_t *boot = json_object_get(json_object_get(lesion, "patient_bootstrap_95"), "accuracy");
  assert_near(json_number_value(json_array_get(boot, 0)), e.level[LVN_LEVEL_LESION].bootstrap.low.accuracy);
  assert_int_equal(json_array_size(json_object_get(json, "conformal_per_patient")), LVN_CONFORMAL_COUNT);
  assert_non_null(json_object_get(json, "comparison"));
  assert_true(json_is_null(json_object_get(json, "nearest_mean_accuracy")));
  assert_int_equal(lines_of("lesions.csv"), LESIONS + 1);
  assert_int_equal(lines_of("slices.csv"), 2 * LESIONS + 1);
  assert_int_equal(lines_of("figures.csv"), 1 + LVN_LEVEL_COUNT * (11 + 13) + 11);
  lvn_dataset_close(dataset);
  lvn_evaluation_clear(&e);
  lvn_case_predictions_clear(&answers);
  lvn_case_predictions_clear(&other);
}

/* Nobody reads "nan": what was not counted is said. */
static void test_evaluation__none_answered(void **state) {
  (void)state;
  char path[512];
  char text[16384] = "";
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers(8);
  struct lvn_evaluation e = {0};
  struct lvn_dataset *dataset = NULL;
  struct lvn_package package = {.name = "made-up", .version = "1.0.0", .trained_on = "nothing"};
  make_dataset("other", &dataset);
  for (size_t i = 0; i < LESIONS; i++) {
    answers.lesions[i].abstained = true;
  }
  assert_true(lvn_evaluation_run(&answers, &options, &e, &err));
  const struct lvn_evaluation_subject subject = {.answers = &answers,
                                                 .evaluation = &e,
                                                 .dataset = dataset,
                                                 .packages = &package,
                                                 .package_count = 1,
                                                 .device = "cpu"};
  (void)snprintf(path, sizeof path, "%s/none", root);
  assert_true(lvn_evaluation_write(&subject, path, &err));
  (void)snprintf(path, sizeof path, "%s/none/evaluation.txt", root);
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  assert_true(fread(text, 1, sizeof text - 1, file) > 0);
  assert_int_equal(fclose(file), 0);
  assert_null(strstr(text, "nan"));
  assert_non_null(strstr(text, "accuracy, answered    -  (none was answered)\n"));
  assert_non_null(strstr(text, "\nHCC          1.000         -  1.000"));
  lvn_dataset_close(dataset);
  lvn_evaluation_clear(&e);
  lvn_case_predictions_clear(&answers);
}

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(root);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_evaluation__levels_count_what_they_should),
      cmocka_unit_test(test_evaluation__folds_as_the_paper_has_them),
      cmocka_unit_test(test_evaluation__uncertainty),
      cmocka_unit_test(test_evaluation__subgroups_by_size_and_thickness),
      cmocka_unit_test(test_evaluation__patients_with_several_lesions_of_a_class),
      cmocka_unit_test(test_evaluation__compares_two_models),
      cmocka_unit_test(test_evaluation__one_class_or_no_lesion),
      cmocka_unit_test(test_answers__long_axis_is_the_largest_diameter),
      cmocka_unit_test(test_rules__textbook),
      cmocka_unit_test(test_evaluation__files),
      cmocka_unit_test(test_evaluation__none_answered),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
