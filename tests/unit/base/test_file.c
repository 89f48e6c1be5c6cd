#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

static char folder[SCRATCH_BYTES];

static int make_folder(void **state) {
  (void)state;
  (void)scratch_make(folder);
  return 0;
}

static void path_of(char path[LVN_PATH_BYTES], const char *name) {
  struct lvn_error err = {0};
  assert_true(lvn_path_join(path, folder, name, &err));
}

static void test_file__replace_is_whole_and_leaves_no_temporary(void **state) {
  struct lvn_error err = {0};
  char path[LVN_PATH_BYTES];
  uint8_t *data = NULL;
  size_t bytes = 0;
  struct lvn_file_names names = {0};
  (void)state;
  path_of(path, "value");
  assert_true(lvn_file_replace(path, "first", 5, 0600, &err));
  assert_true(lvn_file_replace(path, "second", 6, 0640, &err));
  assert_true(lvn_file_read(path, 100, &data, &bytes, &err));
  assert_int_equal(bytes, 6);
  assert_memory_equal(data, "second", 7); /* the NUL after the bytes too */
  lvn_free(data);
  assert_true(lvn_file_list(folder, 10, &names, &err));
  assert_int_equal(names.count, 1);
  lvn_file_names_clear(&names);
}

static void test_file__read_refuses_large_and_missing(void **state) {
  struct lvn_error err = {0};
  char path[LVN_PATH_BYTES];
  uint8_t *data = NULL;
  size_t bytes = 0;
  (void)state;
  path_of(path, "value");
  assert_false(lvn_file_read(path, 5, &data, &bytes, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  path_of(path, "absent");
  assert_false(lvn_file_read(path, 5, &data, &bytes, &err));
  assert_int_equal(err.sys_errno, ENOENT);
  assert_non_null(strstr(err.message, "absent"));
}

static void test_file__replace_on_a_full_disk_keeps_the_old_file(void **state) {
  struct lvn_error err = {0};
  char mount_point[LVN_PATH_BYTES];
  char path[LVN_PATH_BYTES];
  static const char large[1 << 20];
  uint8_t *data = NULL;
  size_t bytes = 0;
  struct lvn_file_names names = {0};
  (void)state;
  path_of(mount_point, "small");
  assert_true(lvn_file_make_folder(mount_point, 0700, &err));
  if (mount("tmpfs", mount_point, "tmpfs", 0, "size=512k") != 0) {
    print_message("SKIPPED: cannot mount a 512 KiB tmpfs (%s)\n", strerror(errno));
    skip();
  }
  path_of(path, "small/value");
  assert_true(lvn_file_replace(path, "old", 3, 0600, &err));
  assert_false(lvn_file_replace(path, large, sizeof large, 0600, &err));
  assert_int_equal(err.code, LVN_ERROR_NOSPACE);
  assert_true(lvn_file_read(path, 100, &data, &bytes, &err));
  assert_string_equal((const char *)data, "old");
  lvn_free(data);
  assert_true(lvn_file_list(mount_point, 10, &names, &err));
  assert_int_equal(names.count, 1);
  lvn_file_names_clear(&names);
  assert_int_equal(umount(mount_point), 0);
}

static void test_file__walk_is_sorted_and_recursive(void **state) {
  struct lvn_error err = {0};
  char path[LVN_PATH_BYTES];
  struct lvn_file_names paths = {0};
  (void)state;
  path_of(path, "tree/b");
  assert_true(lvn_file_make_folder(path, 0700, &err));
  path_of(path, "tree/b/2");
  assert_true(lvn_file_replace(path, "", 0, 0600, &err));
  path_of(path, "tree/a");
  assert_true(lvn_file_replace(path, "", 0, 0600, &err));
  path_of(path, "tree");
  assert_true(lvn_file_walk(path, 10, &paths, &err));
  assert_int_equal(paths.count, 2);
  assert_non_null(strstr(paths.names[0], "tree/a"));
  assert_non_null(strstr(paths.names[1], "tree/b/2"));
  lvn_file_names_clear(&paths);
  assert_false(lvn_file_walk(path, 1, &paths, &err));
}

static void test_sha256__known_answer_and_text(void **state) {
  /* FIPS 180-4's example "abc". */
  static const char expected[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  struct lvn_error err = {0};
  uint8_t sha256[LVN_SHA256_BYTES];
  uint8_t back[LVN_SHA256_BYTES];
  char text[LVN_SHA256_TEXT_BYTES];
  (void)state;
  assert_true(lvn_sha256_of("abc", 3, sha256, &err));
  lvn_sha256_to_text(sha256, text);
  assert_string_equal(text, expected);
  assert_true(lvn_sha256_from_text(text, back));
  assert_memory_equal(back, sha256, sizeof back);
  text[0] = 'B';
  assert_false(lvn_sha256_from_text(text, back));
}

static void test_uid__from_parts_is_stable_valid_and_unambiguous(void **state) {
  struct lvn_error err = {0};
  char one[LVN_UID_BYTES];
  char two[LVN_UID_BYTES];
  const char *const left[] = {"ab", "c"};
  const char *const right[] = {"a", "bc"};
  (void)state;
  assert_true(lvn_uid_from_parts(left, 2, one, &err));
  assert_true(lvn_uid_from_parts(left, 2, two, &err));
  assert_string_equal(one, two);
  assert_true(lvn_uid_is_valid(one));
  assert_true(lvn_uid_from_parts(right, 2, two, &err));
  assert_string_not_equal(one, two);
}

static void test_uid__validity_follows_ps3_5(void **state) {
  (void)state;
  assert_true(lvn_uid_is_valid("1.2.840.10008.1.1"));
  assert_true(lvn_uid_is_valid("0.0"));
  assert_false(lvn_uid_is_valid(""));
  assert_false(lvn_uid_is_valid("1..2"));
  assert_true(lvn_uid_is_valid("1.02")); /* PS3.5 9.1 forbids it, scanners write it */
  assert_false(lvn_uid_is_valid("1.2."));
  assert_false(lvn_uid_is_valid("1.2/../../etc"));
  assert_false(lvn_uid_is_valid("1.23456789012345678901234567890123456789012345678901234567890123.4"));
}

static void test_error__messages_are_prefixed_and_classified(void **state) {
  struct lvn_error err = {0};
  (void)state;
  assert_false(lvn_error_set_errno(&err, ENOSPC, "cannot write '%s'", "x"));
  assert_int_equal(err.code, LVN_ERROR_NOSPACE);
  assert_true(lvn_error_is_transient(&err));
  assert_false(lvn_error_prefix(&err, "series %d", 3));
  assert_string_equal(err.message, "series 3: cannot write 'x': No space left on device");
  assert_false(lvn_error_set(&err, LVN_ERROR_DATA, "bad"));
  assert_false(lvn_error_is_transient(&err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_file__replace_is_whole_and_leaves_no_temporary),
      cmocka_unit_test(test_file__read_refuses_large_and_missing),
      cmocka_unit_test(test_file__replace_on_a_full_disk_keeps_the_old_file),
      cmocka_unit_test(test_file__walk_is_sorted_and_recursive),
      cmocka_unit_test(test_sha256__known_answer_and_text),
      cmocka_unit_test(test_uid__from_parts_is_stable_valid_and_unambiguous),
      cmocka_unit_test(test_uid__validity_follows_ps3_5),
      cmocka_unit_test(test_error__messages_are_prefixed_and_classified),
  };
  return cmocka_run_group_tests(tests, make_folder, NULL);
}
