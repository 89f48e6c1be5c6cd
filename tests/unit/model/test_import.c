/* Weights from PyTorch's files, and what is refused. The files are made by tests/data/weights/make.py. */
#include "base/file.h"
#include "base/memory.h"
#include "model/tensor/import.h"
#include "model/tensor/pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *path_of(const char *name, char path[LVN_PATH_BYTES]) {
  (void)snprintf(path, LVN_PATH_BYTES, "%s/weights/%s", LVN_TEST_DATA, name);
  return path;
}

static struct lvn_import *open_file(const char *name) {
  char path[LVN_PATH_BYTES];
  struct lvn_import *import = NULL;
  struct lvn_error err = {0};
  if (!lvn_import_open(path_of(name, path), &import, &err)) {
    fail_msg("%s", err.message);
  }
  return import;
}

static float value_at(const struct lvn_tensor *tensor, size_t index) {
  float value = 0.0F;
  memcpy(&value, (const uint8_t *)tensor->data + index * sizeof value, sizeof value);
  return value;
}

static const struct lvn_tensor *find(const struct lvn_import *import, const char *prefix, const char *name) {
  char full[128];
  (void)snprintf(full, sizeof full, "%s%s", prefix, name);
  const struct lvn_tensor *tensor = lvn_import_find(import, full);
  assert_non_null(tensor);
  return tensor;
}

static void expect_tensors(const char *file, const char *prefix) {
  struct lvn_import *import = open_file(file);
  int64_t counter = 0;
  uint16_t half[2];
  assert_int_equal(lvn_import_count(import), 6);
  const struct lvn_tensor *grid = find(import, prefix, "conv1.weight");
  assert_int_equal(grid->rank, 3);
  assert_true(grid->shape[0] == 2 && grid->shape[1] == 3 && grid->shape[2] == 4);
  for (size_t i = 0; i < 24; i++) {
    assert_true(value_at(grid, i) == (float)i);
  }
  const struct lvn_tensor *transposed = find(import, prefix, "transposed"); /* [4,3] of [3,4] */
  assert_true(transposed->shape[0] == 4 && transposed->shape[1] == 3);
  for (size_t i = 0; i < 12; i++) {
    assert_true(value_at(transposed, i) == (float)(i % 3 * 4 + i / 3));
  }
  assert_true(value_at(find(import, prefix, "part"), 0) == 16.0F);
  const struct lvn_tensor *tensor = find(import, prefix, "half");
  assert_int_equal(tensor->dtype, LVN_DTYPE_F16);
  memcpy(half, tensor->data, sizeof half);
  assert_true(half[0] == 0x3800 && half[1] == 0xc000);
  tensor = find(import, prefix, "counter");
  assert_true(tensor->dtype == LVN_DTYPE_I64 && tensor->rank == 0 && tensor->element_count == 1);
  memcpy(&counter, tensor->data, sizeof counter);
  assert_int_equal(counter, 7);
  assert_int_equal(find(import, prefix, "empty")->element_count, 0);
  lvn_import_close(import);
}

static void test_import__reads_the_zip_form(void **state) {
  (void)state;
  expect_tensors("zip.pth", "");
}

static void test_import__reads_the_form_before_1_6(void **state) {
  (void)state;
  expect_tensors("legacy.pth", "");
}

static void test_import__names_nested_dicts(void **state) {
  (void)state;
  expect_tensors("nested.pth", "state_dict.");
  struct lvn_import *import = open_file("parameter.pth");
  assert_true(value_at(find(import, "", "weight"), 3) == 1.0F);
  lvn_import_close(import);
}

static void expect_refusal(const char *name, const char *reason) {
  char path[LVN_PATH_BYTES];
  struct lvn_import *import = NULL;
  struct lvn_error err = {0};
  assert_false(lvn_import_open(path_of(name, path), &import, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  if (strstr(err.message, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, reason);
  }
}

static void test_import__refuses_programs(void **state) {
  (void)state;
  expect_refusal("hostile.pth", "system', which is not among the few things that weights need");
  expect_refusal("hostile_legacy.pth", "system'");
  expect_refusal("torchscript.pt", "TorchScript");
  expect_refusal("plain.pickle", "neither");
  expect_refusal("make.py", "neither");
}

/* Cut anywhere, a file is refused, never read beyond its end. */
static void test_import__refuses_cut_files(void **state) {
  (void)state;
  static const char *const names[] = {"zip.pth", "legacy.pth"};
  for (size_t n = 0; n < 2; n++) {
    char path[LVN_PATH_BYTES];
    LVN_AUTOFREE uint8_t *data = NULL;
    size_t bytes = 0;
    struct lvn_error err = {0};
    assert_true(lvn_file_read(path_of(names[n], path), 1U << 20U, &data, &bytes, &err));
    for (size_t cut = 0; cut < bytes; cut += cut < 64 ? 1 : 7) {
      struct lvn_import *import = NULL;
      LVN_AUTOFREE uint8_t *part = lvn_alloc(cut, 1, &err);
      assert_non_null(part);
      memcpy(part, data, cut);
      assert_false(lvn_import_parse(part, cut, &import, &err));
    }
  }
}

static bool parse_pickle(const char *bytes, size_t count) {
  struct lvn_pickle pickle = {0};
  struct lvn_error err = {0};
  bool good = lvn_pickle_parse((const uint8_t *)bytes, count, &pickle, &err);
  if (good) {
    lvn_pickle_clear(&pickle);
  }
  return good;
}
#define PICKLE(text) parse_pickle(text, sizeof(text) - 1)

static void test_pickle__refuses_what_is_unsound(void **state) {
  (void)state;
  assert_true(PICKLE("\x80\x02}q\x00X\x01\x00\x00\x00"
                     "aK\x01s."));
  assert_false(PICKLE("\x80\x02}"));   /* no stop */
  assert_false(PICKLE("."));           /* nothing to give back */
  assert_false(PICKLE("K\x01K\x02.")); /* too much */
  assert_false(PICKLE("h\x05."));      /* a memory that was never made */
  assert_false(PICKLE("t."));          /* no mark */
  assert_false(PICKLE("((."));
  assert_false(PICKLE("X\xff\xff\xff\xff"
                      "a."));
  assert_false(PICKLE("K\x01K\x02s.")); /* items for a number */
  assert_false(PICKLE("cos\nsystem\n."));
  assert_false(PICKLE("ctorch._utils\n_rebuild_tensor_v2\n)R."));
  assert_false(PICKLE("K\x01)R."));
  assert_false(PICKLE("K\x01Q."));
  assert_false(PICKLE("i__main__\nA\n."));                       /* INST */
  assert_false(PICKLE("\x80\x02]q\x00h\x00r\xff\xff\xff\xff.")); /* a memory slot of four thousand millions */
}

/* A dict that contains itself is no tree, and must end. */
static void test_pickle__survives_cycles(void **state) {
  (void)state;
  static const char cycle[] = "\x80\x02}q\x00X\x01\x00\x00\x00"
                              "ah\x00s.";
  assert_true(PICKLE(cycle));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_import__reads_the_zip_form), cmocka_unit_test(test_import__reads_the_form_before_1_6),
      cmocka_unit_test(test_import__names_nested_dicts), cmocka_unit_test(test_import__refuses_programs),
      cmocka_unit_test(test_import__refuses_cut_files),  cmocka_unit_test(test_pickle__refuses_what_is_unsound),
      cmocka_unit_test(test_pickle__survives_cycles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
