/* The program starts itself anew once, so that libgomp reads the policy; the tests run in the second life. */
#include "base/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ID "LVN_TEST_FIRST_ID"

static char **arguments;

static void test_runtime__sets_the_policy_in_the_same_process(void **unused) {
  (void)unused;
  const char *first = getenv(FIRST_ID);
  char now[32];
  (void)snprintf(now, sizeof now, "%ld", (long)getpid());
  assert_non_null(first);
  assert_string_equal(first, now);
  assert_string_equal(getenv("OMP_WAIT_POLICY"), "PASSIVE");
  assert_string_equal(arguments[1], "an argument");
  assert_null(arguments[2]);
}

static void test_runtime__starts_anew_only_once(void **unused) {
  (void)unused;
  lvn_runtime_prepare(arguments); /* returns, or this program would run for ever */
  assert_string_equal(getenv("OMP_WAIT_POLICY"), "PASSIVE");
}

static void test_runtime__leaves_the_operators_choice(void **unused) {
  (void)unused;
  assert_int_equal(setenv("OMP_WAIT_POLICY", "ACTIVE", 1), 0);
  lvn_runtime_prepare(arguments);
  assert_string_equal(getenv("OMP_WAIT_POLICY"), "ACTIVE");
}

int main(int argc, char **argv) {
  (void)argc;
  if (getenv(FIRST_ID) == NULL) {
    char id[32];
    char *again[] = {argv[0], (char[]){"an argument"}, NULL};
    (void)snprintf(id, sizeof id, "%ld", (long)getpid());
    (void)unsetenv("OMP_WAIT_POLICY");
    (void)unsetenv("GOMP_SPINCOUNT");
    (void)setenv(FIRST_ID, id, 1);
    lvn_runtime_prepare(again);
    (void)fprintf(stderr, "lvn_runtime_prepare() came back from the first start\n");
    return 1;
  }
  arguments = argv;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_runtime__sets_the_policy_in_the_same_process),
      cmocka_unit_test(test_runtime__starts_anew_only_once),
      cmocka_unit_test(test_runtime__leaves_the_operators_choice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
