/* Which study is asked for at an archive, how often, and what the list of studies says of it. */
#include "storage/fetch.h"
#include "tests/unit/storage/index_fixture.h"

static const struct lvn_fetch_rule rule = {.quiet_ms = 100, .attempts_max = 2, .senders = "\\X\\MODALITY\\"};

static bool next(struct fixture *fixture, const struct lvn_fetch_rule *by, int64_t now_ms,
                 struct lvn_fetch_study *ret_study) {
  bool found = false;
  assert_good(lvn_fetch_next(fixture->index, by, now_ms, ret_study, &found, &fixture->err));
  return found;
}

static void wait_for_phases(struct fixture *fixture) {
  const struct lvn_index_object roi = make_object("1.2", 2, LVN_INDEX_ROLE_ROI, 1000);
  (void)add(fixture, &roi);
  assert_good(lvn_index_study_wait(fixture->index, STUDY, "waiting for CT images", &fixture->err));
}

static void test_fetch_index__a_study_that_waits_is_due(void **state) {
  struct fixture *fixture = *state;
  struct lvn_fetch_study study;
  int64_t due_ms = 0;
  const struct lvn_index_object roi = make_object("1.2", 2, LVN_INDEX_ROLE_ROI, 1000);
  (void)add(fixture, &roi);
  assert_false(next(fixture, &rule, 5000, &study)); /* nobody has looked at it yet */
  assert_good(lvn_index_study_wait(fixture->index, STUDY, "waiting for CT images", &fixture->err));
  assert_false(next(fixture, &rule, 1099, &study));
  assert_good(lvn_fetch_next_due(fixture->index, &rule, &due_ms, &fixture->err));
  assert_int_equal(due_ms, 1100);
  assert_true(next(fixture, &rule, 1100, &study));
  assert_string_equal(study.study_uid, STUDY);
  assert_string_equal(study.source, "");
  assert_string_equal(study.source_aet, "MODALITY");
  const struct lvn_fetch_rule others = {.attempts_max = 2, .senders = "\\MODALIT\\ODALITY\\"};
  assert_false(next(fixture, &others, 5000, &study));
}

static void test_fetch_index__attempts_are_counted_and_end(void **state) {
  struct fixture *fixture = *state;
  struct lvn_fetch_study study;
  wait_for_phases(fixture);
  for (int64_t attempt = 0; attempt < 2; attempt++) {
    assert_true(next(fixture, &rule, 5000 + 100 * attempt, &study));
    assert_int_equal(study.attempt, attempt);
    assert_good(lvn_fetch_begin(fixture->index, &study, "archive", 5100 + 100 * attempt, &fixture->err));
    assert_false(next(fixture, &rule, 5099 + 100 * attempt, &study));
    reopen(fixture);
  }
  assert_false(next(fixture, &rule, 900000, &study));
  /* It was finished and opened again: another study. */
  (void)sqlite3_exec(fixture->index->db, "UPDATE study SET revision=revision+1", NULL, NULL, NULL);
  assert_true(next(fixture, &rule, 900000, &study));
  assert_string_equal(study.source, "archive");
  assert_int_equal(study.attempt, 0);
}

static void test_fetch_index__an_operator_orders_any_study(void **state) {
  struct fixture *fixture = *state;
  struct lvn_fetch_study study;
  const struct lvn_fetch_rule nobody = {.senders = "\\"};
  char source[LVN_FETCH_SOURCE_BYTES];
  assert_good(lvn_fetch_order(fixture->index, "1.9", "archive", &fixture->err));
  assert_true(next(fixture, &nobody, 0, &study));
  assert_true(study.is_ordered);
  assert_string_equal(study.study_uid, "1.9");
  assert_int_equal(study.revision, -1);
  assert_int_equal(strlen(study.name), 12);
  assert_good(lvn_fetch_begin(fixture->index, &study, "archive", 100, &fixture->err));
  assert_false(next(fixture, &nobody, 5000, &study));
  assert_good(lvn_fetch_get_source(fixture->index, "1.9", source, &fixture->err));
  assert_string_equal(source, "archive");
  assert_good(lvn_fetch_get_source(fixture->index, "1.8", source, &fixture->err));
  assert_string_equal(source, "");
}

static void test_fetch_index__what_is_said_stands_beside_the_message_while_it_waits(void **state) {
  struct fixture *fixture = *state;
  struct lvn_fetch_study study;
  wait_for_phases(fixture);
  assert_string_equal(get_study(fixture).status_message, "waiting for CT images");
  assert_true(next(fixture, &rule, 5000, &study));
  assert_good(lvn_fetch_begin(fixture->index, &study, "archive", 5100, &fixture->err));
  assert_good(lvn_fetch_say(fixture->index, STUDY, "asked archive at 10:42 UTC", &fixture->err));
  assert_string_equal(get_study(fixture).status_message, "waiting for CT images; asked archive at 10:42 UTC");
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_string_equal(get_study(fixture).status_message, "");
}

static void test_fetch_index__counts_what_is_here(void **state) {
  struct fixture *fixture = *state;
  LVN_AUTOFREE struct lvn_fetch_held *held = NULL;
  size_t count = 0;
  int64_t number = 0;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object other = make_object("1.7", 7, LVN_INDEX_ROLE_CT, 1000);
  ct.record.sequence = 1;
  other.record.sequence = 2;
  (void)lvn_copy(other.record.study_instance_uid, LVN_UID_BYTES, "1.5");
  (void)add(fixture, &ct);
  (void)add(fixture, &other);
  assert_good(lvn_fetch_list_held(fixture->index, STUDY, &held, &count, &fixture->err));
  assert_int_equal(count, 1);
  assert_string_equal(held[0].series_uid, "1.2.3.4.1");
  assert_int_equal(held[0].object_count, 1);
  assert_good(lvn_fetch_count_bytes(fixture->index, STUDY, &number, &fixture->err));
  assert_int_equal(number, 100);
  assert_good(lvn_fetch_count_others(fixture->index, STUDY, "MODALITY", 1, &number, &fixture->err));
  assert_int_equal(number, 1);
  assert_good(lvn_fetch_count_others(fixture->index, STUDY, "MODALITY", 2, &number, &fixture->err));
  assert_int_equal(number, 0);
  assert_good(lvn_fetch_count_others(fixture->index, STUDY, "ANOTHER", 0, &number, &fixture->err));
  assert_int_equal(number, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(test_fetch_index__a_study_that_waits_is_due),
                                     CASE(test_fetch_index__attempts_are_counted_and_end),
                                     CASE(test_fetch_index__an_operator_orders_any_study),
                                     CASE(test_fetch_index__what_is_said_stands_beside_the_message_while_it_waits),
                                     CASE(test_fetch_index__counts_what_is_here)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
