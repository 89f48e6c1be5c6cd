/* The folder of packages: links that never dangle between two states, and the judgement before a promotion. Import is
 * tested with real packages and keys by the system tests. */
#include "base/file.h"
#include "base/memory.h"
#include "model/network/models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define TRAINED_ON "1111111111111111111111111111111111111111111111111111111111111111"
#define TESTED_ON "2222222222222222222222222222222222222222222222222222222222222222"

static char root[SCRATCH_BYTES];

static int make_root(void **state) {
  static const char *const names[] = {"a-1", "a-2"};
  struct lvn_error err = {0};
  (void)state;
  (void)scratch_make(root);
  for (size_t i = 0; i < 2; i++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_path_join(path, root, names[i], &err) || mkdir(path, 0755) != 0) {
      return -1;
    }
  }
  return 0;
}

static void assert_links(const char *current, const char *previous) {
  struct lvn_error err = {0};
  char name[LVN_MODELS_NAME_BYTES];
  assert_true(lvn_models_read_link(root, LVN_MODELS_CURRENT, name, &err));
  assert_string_equal(name, current);
  assert_true(lvn_models_read_link(root, LVN_MODELS_PREVIOUS, name, &err));
  assert_string_equal(name, previous);
}

static void test_models__promotes_and_goes_back(void **state) {
  struct lvn_error err = {0};
  char name[LVN_MODELS_NAME_BYTES];
  (void)state;
  assert_links("", "");
  assert_false(lvn_models_rollback(root, name, &err));
  assert_int_equal(err.code, LVN_ERROR_CONFLICT);
  assert_true(lvn_models_promote(root, "a-1", &err));
  assert_links("a-1", "");
  assert_false(lvn_models_rollback(root, name, &err));
  assert_true(lvn_models_promote(root, "a-2", &err));
  assert_links("a-2", "a-1");
  assert_true(lvn_models_promote(root, "a-2", &err)); /* again: the one before is not forgotten */
  assert_links("a-2", "a-1");
  assert_true(lvn_models_rollback(root, name, &err));
  assert_string_equal(name, "a-1");
  assert_links("a-1", "a-2");
  assert_true(lvn_models_rollback(root, name, &err));
  assert_links("a-2", "a-1");
}

static void test_models__links_stay_in_their_folder(void **state) {
  static const char *const names[] = {"../etc", "current", ".hidden", "a-3", ""};
  struct lvn_error err = {0};
  char path[LVN_PATH_BYTES];
  char name[LVN_MODELS_NAME_BYTES];
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    assert_false(lvn_models_promote(root, names[i], &err));
    assert_int_equal(err.code, LVN_ERROR_USAGE);
  }
  assert_true(lvn_path_join(path, root, "elsewhere", &err));
  assert_int_equal(symlink("/etc", path), 0);
  assert_false(lvn_models_read_link(root, "elsewhere", name, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

static void test_models__history_is_a_line_each(void **state) {
  struct lvn_error err = {0};
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *text = NULL;
  size_t bytes = 0;
  (void)state;
  json_t *facts = json_pack("{s:s}", "override", "two\nlines");
  assert_true(lvn_models_remember(root, "import", "a-1", NULL, &err));
  assert_true(lvn_models_remember(root, "promote", "a-1", facts, &err));
  json_decref(facts);
  assert_true(lvn_path_join(path, root, "history.jsonl", &err));
  assert_true(lvn_file_read(path, 10000, &text, &bytes, &err));
  char *newline = strchr((char *)text, '\n');
  assert_non_null(newline);
  assert_ptr_equal(strchr(newline + 1, '\n'), text + bytes - 1);
  assert_non_null(strstr((char *)text, "\"override\":\"two\\nlines\""));
}

/* ---- judgement ---- */

static struct lvn_package package_with(json_t *acceptance) {
  struct lvn_package package = {
      .manifest = json_pack("{s:{s:s,s:o}}", "training", "data_manifest_sha256", TRAINED_ON, "acceptance", acceptance)};
  memset(package.manifest_sha256, 0xab, sizeof package.manifest_sha256);
  return package;
}

static json_t *evaluation_on(const char *data, uint8_t digest_byte) {
  uint8_t sha256[LVN_SHA256_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  memset(sha256, digest_byte, sizeof sha256);
  lvn_sha256_to_text(sha256, digest);
  return json_pack("{s:{s:s,s:s,s:s},s:{s:s},s:f,s:f,s:{s:f,s:f,s:f,s:f}}", "model", "name", "m", "version", "1",
                   "manifest_sha256", digest, "data", "manifest_sha256", data, "macro_auc", 0.9, "ece_15_bins", 0.08,
                   "recall", "CYST", 1.0, "FNH", 0.8, "HCC", 0.7, "HEM", 0.9);
}

static void assert_judged(json_t *acceptance, json_t *evaluation, const char *locked, const char *words) {
  struct lvn_error err = {0};
  struct lvn_package package = package_with(acceptance);
  bool accepted = lvn_package_accept(&package, evaluation, locked, &err);
  if (words == NULL ? !accepted : (accepted || strstr(err.message, words) == NULL)) {
    fail_msg("accepted %d: '%s'", accepted, err.message);
  }
  json_decref(package.manifest);
  json_decref(evaluation);
}

static void test_acceptance__compares_what_was_declared(void **state) {
  (void)state;
  assert_judged(json_pack("{s:f,s:f,s:f,s:f}", "macro_auc", 0.9, "accuracy", 0.85, "hcc_sensitivity", 0.7, "ece", 0.1),
                evaluation_on(TESTED_ON, 0xab), NULL, NULL);
  assert_judged(json_pack("{s:f}", "macro_auc", 0.91), evaluation_on(TESTED_ON, 0xab), NULL,
                "macro_auc is 0.9000, but at least 0.9100 was declared");
  assert_judged(json_pack("{s:f}", "accuracy", 0.86), evaluation_on(TESTED_ON, 0xab), NULL, "accuracy is 0.8500");
  assert_judged(json_pack("{s:f}", "hcc_sensitivity", 0.8), evaluation_on(TESTED_ON, 0xab), NULL, "hcc_sensitivity");
  assert_judged(json_pack("{s:f}", "ece", 0.05), evaluation_on(TESTED_ON, 0xab), NULL, "at most 0.0500");
}

static void test_acceptance__wants_a_declaration(void **state) {
  (void)state;
  assert_judged(json_object(), evaluation_on(TESTED_ON, 0xab), NULL, "declares no acceptance criteria");
  assert_judged(json_pack("{s:f,s:f,s:f,s:f}", "macro_auc", 0.0, "accuracy", 0.0, "hcc_sensitivity", 0.0, "ece", 1.0),
                evaluation_on(TESTED_ON, 0xab), NULL, "declares no acceptance criteria");
}

static void test_acceptance__wants_the_right_subject(void **state) {
  (void)state;
  assert_judged(json_pack("{s:f}", "ece", 0.5), evaluation_on(TESTED_ON, 0xcd), NULL, "not of this package");
  assert_judged(json_pack("{s:f}", "ece", 0.5), evaluation_on(TRAINED_ON, 0xab), NULL, "was trained on");
  assert_judged(json_pack("{s:f}", "ece", 0.5), evaluation_on("", 0xab), NULL, "was trained on");
  assert_judged(json_pack("{s:f}", "ece", 0.5), evaluation_on(TESTED_ON, 0xab), TRAINED_ON, "not on the locked");
  assert_judged(json_pack("{s:f}", "ece", 0.5), evaluation_on(TESTED_ON, 0xab), TESTED_ON, NULL);
  /* A figure that is missing is a figure that falls short. */
  assert_judged(json_pack("{s:f}", "ece", 0.5),
                json_pack("{s:{s:s},s:{s:s}}", "model", "manifest_sha256",
                          "abababababababababababababababababababababababababababababababab", "data", "manifest_sha256",
                          TESTED_ON),
                NULL, "ece is nan");
}

/* A package of two data sets, with the pixels that it and what it started from have seen. */
static void assert_seen(const char *data, const char *pixels, const char *words) {
  struct lvn_error err = {0};
  struct lvn_package package = {
      .manifest = json_pack("{s:{s:s,s:s,s:s,s:b,s:{s:f}}}", "training", "data_manifest_sha256",
                            TRAINED_ON "+cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
                            "trained_pixels", "00000000000000010000000000000002", "held_out_pixels", "0000000000000003",
                            "lineage_is_known", 1, "acceptance", "ece", 0.5)};
  memset(package.manifest_sha256, 0xab, sizeof package.manifest_sha256);
  json_t *evaluation = evaluation_on(data, 0xab);
  if (pixels != NULL) {
    (void)json_object_set_new(json_object_get(evaluation, "data"), "pixels", json_string(pixels));
  }
  bool accepted = lvn_package_accept(&package, evaluation, NULL, &err);
  if (words == NULL ? !accepted : (accepted || strstr(err.message, words) == NULL)) {
    fail_msg("accepted %d: '%s'", accepted, err.message);
  }
  json_decref(package.manifest);
  json_decref(evaluation);
}

static void test_acceptance__never_on_what_was_seen(void **state) {
  (void)state;
  assert_seen(TRAINED_ON, "0000000000000009", "was trained on"); /* one of the two */
  assert_seen(TESTED_ON, "00000000000000020000000000000009", "has seen 1 of the lesions");
  assert_seen(TESTED_ON, "0000000000000003", "has seen 1 of the lesions"); /* its limits come from it */
  assert_seen(TESTED_ON, NULL, "evaluate anew");
  assert_seen(TESTED_ON, "0000000000000009", NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_models__promotes_and_goes_back),
      cmocka_unit_test(test_models__links_stay_in_their_folder),
      cmocka_unit_test(test_models__history_is_a_line_each),
      cmocka_unit_test(test_acceptance__compares_what_was_declared),
      cmocka_unit_test(test_acceptance__wants_a_declaration),
      cmocka_unit_test(test_acceptance__wants_the_right_subject),
      cmocka_unit_test(test_acceptance__never_on_what_was_seen),
  };
  return cmocka_run_group_tests(tests, make_root, NULL);
}
