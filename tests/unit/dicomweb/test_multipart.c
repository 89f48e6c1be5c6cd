/* Bodies of several parts: the same parts whatever the pieces are that they come in, and nothing but an error from what
 * is malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "dicom/web/multipart.h"

static struct lvn_error err;
static char parts[1U << 16]; /* "[type|data]" for each part */

static void add(const void *data, size_t bytes) {
  size_t used = strlen(parts);
  if (used + bytes < sizeof parts) {
    memcpy(parts + used, data, bytes);
    parts[used + bytes] = '\0';
  }
}

static bool begin(void *user_data, const char *content_type, struct lvn_error *error) {
  (void)user_data;
  (void)error;
  add("[", 1);
  add(content_type, strlen(content_type));
  add("|", 1);
  return true;
}

static bool data(void *user_data, const void *bytes, size_t count, struct lvn_error *error) {
  (void)error;
  assert_true(count > 0);
  *(size_t *)user_data += count;
  add(bytes, count);
  return true;
}

static bool end(void *user_data, struct lvn_error *error) {
  (void)user_data;
  (void)error;
  add("]", 1);
  return true;
}

static bool parse(const char *text, size_t bytes, size_t step) {
  struct lvn_multipart *multipart = NULL;
  size_t total = 0;
  bool good = true;
  const struct lvn_multipart_handler handler = {.user_data = &total, .begin = begin, .data = data, .end = end};
  parts[0] = '\0';
  assert_true(lvn_multipart_create("b", &handler, &multipart, &err));
  for (size_t at = 0; good && at < bytes; at += step) {
    good = lvn_multipart_feed(multipart, text + at, step < bytes - at ? step : bytes - at, &err);
  }
  good = good && lvn_multipart_finish(multipart, &err);
  lvn_multipart_destroy(multipart);
  assert_true(total <= bytes);
  return good;
}

static void test_multipart__parts_in_any_pieces(void **state) {
  static const struct {
    const char *text;
    const char *parts;
  } cases[] = {
      {"--b\r\nContent-Type: a/b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", "[a/b|one][|two]"},
      {"a preamble\r\n--b\r\ncontent-type:a/b\r\nX: y\r\n\r\none\r\n--b--an epilogue --b", "[a/b|one]"},
      {"--b\n\none\n--b  \t\r\n\ntwo\n--b--", "[|one][|two]"},       /* lines that end with LF alone */
      {"--b\r\n\r\n\r\n--b\r\n\r\n--b--", "[|][|]"},                 /* without data */
      {"--b\r\n\r\n\r\n\r\n--b--\r\n", "[|\r\n]"},                   /* data that is a line end */
      {"--b\r\n\r\n--ba\r\n--b x\r\n-b--\r\n--bb--\r\n--b--", NULL}, /* "--b x" is no boundary, and no data */
      {"--b\r\n\r\n--ba\r\r\n-b--\r\n--bb--\r\n--b--", "[|--ba\r\r\n-b--\r\n--bb--]"},
      {"--b\r\n\r\none\r\n--b", NULL},
      {"--b\r\n\r\none", NULL},
      {"--b\r\nContent-Type: a/b", NULL},
      {"", NULL},
      {"<html>please log in</html>", NULL},
      {"--b--", ""},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (size_t step = 1; step <= strlen(cases[i].text) + 1; step++) {
      bool good = parse(cases[i].text, strlen(cases[i].text), step);
      if (good != (cases[i].parts != NULL) || (good && strcmp(parts, cases[i].parts) != 0)) {
        fail_msg("case %zu in pieces of %zu: %s", i, step, good ? parts : err.message);
      }
    }
  }
}

static void test_multipart__binary_data_of_several_buffers(void **state) {
  const size_t bytes = 1U << 20;
  LVN_AUTOFREE char *text = lvn_alloc(bytes + 64, 1, &err);
  struct lvn_multipart *multipart = NULL;
  size_t total = 0;
  const struct lvn_multipart_handler handler = {.user_data = &total, .begin = begin, .data = data, .end = end};
  (void)state;
  memcpy(text, "--b\r\n\r\n", 7);
  for (size_t i = 7; i < bytes; i++) {
    text[i] = "\r\n-b\0"[(i * i / 7) % 6]; /* much that looks like the begin of a boundary */
  }
  text[bytes - 1] = 'x';
  memcpy(text + bytes, "\r\n--b--", 7);
  for (size_t step = 60000; step < 300000; step += 77777) {
    total = 0;
    assert_true(lvn_multipart_create("b", &handler, &multipart, &err));
    bool good = true;
    for (size_t at = 0; good && at < bytes + 7; at += step) {
      good = lvn_multipart_feed(multipart, text + at, step < bytes + 7 - at ? step : bytes + 7 - at, &err);
    }
    lvn_multipart_destroy(multipart);
    assert_true(good);
    assert_int_equal(total, bytes - 7);
  }
}

static void test_multipart__endless_header_is_refused(void **state) {
  struct lvn_multipart *multipart = NULL;
  size_t total = 0;
  const struct lvn_multipart_handler handler = {.user_data = &total, .begin = begin, .data = data, .end = end};
  bool good = true;
  (void)state;
  assert_true(lvn_multipart_create("b", &handler, &multipart, &err));
  assert_true(lvn_multipart_feed(multipart, "--b\r\n", 5, &err));
  for (int i = 0; good && i < 100000; i++) {
    good = lvn_multipart_feed(multipart, i % 3 == 0 ? "X: y\r\n" : "Xxxxxx", 6, &err);
  }
  assert_false(good);
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
  lvn_multipart_destroy(multipart);
}

static void test_multipart__boundaries(void **state) {
  struct lvn_multipart *multipart = NULL;
  const struct lvn_multipart_handler handler = {.begin = begin, .data = data, .end = end};
  char name[80];
  (void)state;
  assert_false(lvn_multipart_create("", &handler, &multipart, &err));
  assert_false(lvn_multipart_create("a\nb", &handler, &multipart, &err));
  memset(name, 'x', sizeof name);
  name[71] = '\0';
  assert_false(lvn_multipart_create(name, &handler, &multipart, &err));
  name[70] = '\0';
  assert_true(lvn_multipart_create(name, &handler, &multipart, &err));
  lvn_multipart_destroy(multipart);
}

/* What is damaged anywhere is read or refused, in bounds (the sanitizers look on). */
static void test_multipart__damaged_bodies(void **state) {
  static const char whole[] =
      "x\r\n--b\r\nContent-Type: a/b\r\n\r\none\r\n--b\r\n\r\n\r\n--b\r\nA: b\n\ntwo\r\n--b--\r\n";
  static const char bytes[] = "\r\n-b:\0 x";
  char text[sizeof whole];
  unsigned seed = 1;
  (void)state;
  for (int i = 0; i < 20000; i++) {
    memcpy(text, whole, sizeof whole);
    for (int j = 0; j < 3; j++) {
      seed = seed * 1103515245U + 12345U;
      text[(seed >> 8) % (sizeof whole - 1)] = bytes[(seed >> 20) % 8];
    }
    (void)parse(text, sizeof whole - 1, 1 + (seed >> 16) % 9);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_multipart__parts_in_any_pieces),
      cmocka_unit_test(test_multipart__binary_data_of_several_buffers),
      cmocka_unit_test(test_multipart__endless_header_is_refused),
      cmocka_unit_test(test_multipart__boundaries),
      cmocka_unit_test(test_multipart__damaged_bodies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
