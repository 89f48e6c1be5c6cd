/* Letters between processes: durable once put, held or not, one answer each. */
#include "storage/letters.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

static char folder[SCRATCH_BYTES];
static struct lvn_letters *letters;
static struct lvn_error err;

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(folder);
  return lvn_letters_open(folder, &letters, &err) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  lvn_letters_close(letters);
  scratch_remove(folder);
  return 0;
}

static size_t count_of(const char *kind) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  assert_true(lvn_letters_list(letters, kind, &names, &err));
  return names.count;
}

static void test_letters__come_as_they_were_put(void **state) {
  char name[LVN_LETTER_NAME_BYTES];
  (void)state;
  LVN_AUTOJSON json_t *content = json_pack("{s:s}", "peer", "PACS");
  LVN_AUTOJSON json_t *read = NULL;
  assert_true(lvn_letters_put(letters, LVN_LETTER_REPORT, content, name, NULL, &err));
  assert_true(lvn_letters_put(letters, LVN_LETTER_REQUEST, content, NULL, NULL, &err));
  assert_int_equal(count_of(LVN_LETTER_REPORT), 1);
  assert_int_equal(count_of(LVN_LETTER_REQUEST), 1);
  assert_true(lvn_letters_read(letters, name, &read, &err));
  assert_true(json_equal(content, read));
  assert_false(lvn_letters_is_held(letters, name));
  assert_true(lvn_letters_remove(letters, name, &err));
  assert_true(lvn_letters_remove(letters, name, &err));
  assert_int_equal(count_of(LVN_LETTER_REPORT), 0);
}

/* A process that dies lets go of what it held. */
static void test_letters__are_held_as_long_as_their_writer_lives(void **state) {
  char name[LVN_LETTER_NAME_BYTES];
  int held_fd = -1;
  int ready[2];
  int status = 0;
  (void)state;
  LVN_AUTOJSON json_t *content = json_object();
  assert_true(lvn_letters_put(letters, LVN_LETTER_REQUEST, content, name, &held_fd, &err));
  assert_true(lvn_letters_is_held(letters, name));
  assert_int_equal(close(held_fd), 0);
  assert_false(lvn_letters_is_held(letters, name));
  assert_true(lvn_letters_remove(letters, name, &err));
  assert_false(lvn_letters_is_held(letters, name));
  assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const bool good = lvn_letters_put(letters, LVN_LETTER_REQUEST, content, name, &held_fd, &err) &&
                      write(ready[1], name, sizeof name) == (ssize_t)sizeof name;
    (void)pause();
    _exit(good ? 0 : 1); /* allow: the child of a test */
  }
  assert_int_equal(read(ready[0], name, sizeof name), sizeof name);
  assert_true(lvn_letters_is_held(letters, name));
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_false(lvn_letters_is_held(letters, name));
  assert_int_equal(count_of(LVN_LETTER_REQUEST), 1);
  assert_int_equal(close(ready[0]) + close(ready[1]), 0);
}

static void test_letters__have_one_answer(void **state) {
  char name[LVN_LETTER_NAME_BYTES];
  (void)state;
  LVN_AUTOJSON json_t *content = json_object();
  LVN_AUTOJSON json_t *later = json_pack("{s:i}", "n", 2);
  json_t *answer = NULL;
  assert_true(lvn_letters_put(letters, LVN_LETTER_REQUEST, content, name, NULL, &err));
  assert_true(lvn_letters_find_answer(letters, name, &answer, &err));
  assert_null(answer);
  assert_true(lvn_letters_put_answer(letters, name, content, &err));
  assert_true(lvn_letters_put_answer(letters, name, later, &err));
  assert_true(lvn_letters_find_answer(letters, name, &answer, &err));
  assert_true(json_equal(answer, later));
  json_decref(answer);
  assert_int_equal(count_of(LVN_LETTER_ANSWER), 1);
  assert_int_equal(count_of(LVN_LETTER_REQUEST), 1);
}

static void test_letters__a_damaged_one_is_told_from_a_missing_one(void **state) {
  char path[LVN_PATH_BYTES];
  json_t *content = NULL;
  (void)state;
  assert_true(lvn_path_join(path, lvn_letters_get_folder(letters), "report-1.json", &err));
  assert_false(lvn_letters_read(letters, "report-1.json", &content, &err));
  assert_int_not_equal(err.code, LVN_ERROR_DATA);
  assert_true(lvn_file_replace(path, "{", 1, 0600, &err));
  assert_false(lvn_letters_read(letters, "report-1.json", &content, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_letters__come_as_they_were_put), CASE(test_letters__are_held_as_long_as_their_writer_lives),
      CASE(test_letters__have_one_answer), CASE(test_letters__a_damaged_one_is_told_from_a_missing_one)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
