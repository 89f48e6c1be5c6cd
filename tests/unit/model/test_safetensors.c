#include "base/file.h"
#include "base/memory.h"
#include "model/tensor/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

static char path[SCRATCH_BYTES + 8];

static int make_path(void **state) {
  (void)state;
  char folder[SCRATCH_BYTES];
  (void)snprintf(path, sizeof path, "%s/file", scratch_make(folder));
  return 0;
}

static void test_safetensors__round_trip(void **state) {
  (void)state;
  const float real[6] = {1, -2, 3.5F, 4, 5, 6};
  const int16_t hounsfield[3] = {-1000, 0, 32767};
  const struct lvn_tensor tensors[] = {
      {.name = "b", .dtype = LVN_DTYPE_I16, .rank = 1, .shape = {3}, .element_count = 3, .data = hounsfield},
      {.name = "a.x", .dtype = LVN_DTYPE_F32, .rank = 2, .shape = {2, 3}, .element_count = 6, .data = real},
      {.name = "empty", .dtype = LVN_DTYPE_U8, .rank = 1, .shape = {0}, .element_count = 0, .data = NULL},
  };
  const struct lvn_tensor_note notes[] = {{"pooling", "cls"}};
  const struct lvn_tensor *found = NULL;
  struct lvn_safetensors *file = NULL;
  struct lvn_error err = {0};
  assert_true(lvn_safetensors_write(path, tensors, 3, notes, 1, &err));
  assert_true(lvn_safetensors_open(path, 1U << 20U, &file, &err));
  assert_int_equal(lvn_safetensors_count(file), 3);
  assert_true(lvn_safetensors_require(file, "a.x", LVN_DTYPE_F32, 2, (const uint64_t[]){2, 0}, &found, &err));
  assert_memory_equal(found->data, real, sizeof real);
  assert_memory_equal(lvn_safetensors_find(file, "b")->data, hounsfield, sizeof hounsfield);
  assert_string_equal(lvn_safetensors_metadata(file, "pooling"), "cls");
  assert_null(lvn_safetensors_metadata(file, "other"));
  assert_null(lvn_safetensors_find(file, "c"));
  assert_false(lvn_safetensors_require(file, "a.x", LVN_DTYPE_F32, 2, (const uint64_t[]){3, 2}, &found, &err));
  assert_false(lvn_safetensors_require(file, "a.x", LVN_DTYPE_F16, 2, (const uint64_t[]){2, 3}, &found, &err));
  lvn_safetensors_close(file);
}

static bool parses(const char *header, size_t data_bytes) {
  uint8_t file[1024] = {0};
  struct lvn_safetensors *opened = NULL;
  struct lvn_error err = {0};
  size_t header_bytes = strlen(header);
  file[0] = (uint8_t)header_bytes;
  file[1] = (uint8_t)(header_bytes >> 8U);
  memcpy(file + 8, header, header_bytes);
  bool good = lvn_safetensors_parse(file, 8 + header_bytes + data_bytes, &opened, &err);
  assert_true(good || err.code == LVN_ERROR_DATA);
  lvn_safetensors_close(opened);
  return good;
}

static void test_safetensors__refuses_what_does_not_fit(void **state) {
  (void)state;
  assert_true(parses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4));
  static const struct {
    const char *header;
    size_t bytes;
  } bad[] = {
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 3},                      /* outside */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5},                      /* trailing byte */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,4]}}", 4},                      /* shape */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,0]}}", 4},                      /* backwards */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-4],\"data_offsets\":[0,4]}}", 4},                     /* negative */
      {"{\"a\":{\"dtype\":\"X9\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4},                      /* dtype */
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0}, /* overflow */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1},      /* rank */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[1,4]}}",
       4}, /* overlap */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
       4}, /* hole */
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
       "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
       2},       /* twice */
      {"[]", 0}, /* not an object */
      {"{\"a\":7}", 0},
      {"{", 0},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    if (parses(bad[i].header, bad[i].bytes)) {
      fail_msg("accepted: %s with %zu bytes", bad[i].header, bad[i].bytes);
    }
  }
}

static void test_safetensors__refuses_a_header_longer_than_the_file(void **state) {
  (void)state;
  const uint8_t bytes[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  struct lvn_safetensors *file = NULL;
  struct lvn_error err = {0};
  assert_false(lvn_safetensors_parse(bytes, sizeof bytes, &file, &err));
  assert_false(lvn_safetensors_parse(bytes, 3, &file, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_safetensors__round_trip),
      cmocka_unit_test(test_safetensors__refuses_what_does_not_fit),
      cmocka_unit_test(test_safetensors__refuses_a_header_longer_than_the_file),
  };
  return cmocka_run_group_tests(tests, make_path, NULL);
}
