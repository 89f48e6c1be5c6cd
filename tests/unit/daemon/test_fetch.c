/* Fetch by itself: there is nothing to fetch, so nothing is due and nothing is wrong. */
#include "tests/unit/daemon/module_fixture.h"

#include "daemon/pipeline/fetch/fetch.h"

static void test_fetch__is_never_due(void **state) {
  struct lvn_fetch *fetch = NULL;
  (void)state;
  open_store();
  const struct lvn_fetch_needs needs = {.config = &config, .index = index_};
  assert_good(lvn_fetch_create(&needs, &fetch, &err));
  take_study(0);
  assert_int_equal(lvn_fetch_tick(fetch, lvn_tick_now_ms()), LVN_TICK_NEVER);
  assert_string_equal(lvn_fetch_problem(fetch), "");
  lvn_fetch_destroy(fetch);
  close_store();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_fetch__is_never_due)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
