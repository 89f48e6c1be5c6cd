/* Lists as people see them: newest first, page by page, nothing twice and nothing left out. */
#include "storage/outbox.h"
#include "storage/queue.h"

#include "tests/unit/storage/index_fixture.h"

static void add_study(struct fixture *fixture, unsigned number, int64_t received_ms) {
  char sop_uid[LVN_UID_BYTES];
  (void)snprintf(sop_uid, sizeof sop_uid, "1.1.%u", number);
  struct lvn_index_object object = make_object(sop_uid, (uint8_t)number, LVN_INDEX_ROLE_CT, received_ms);
  (void)snprintf(object.record.study_instance_uid, LVN_UID_BYTES, "1.9.%u", number);
  (void)snprintf(object.record.series_instance_uid, LVN_UID_BYTES, "1.8.%u", number);
  (void)add(fixture, &object);
}

static size_t list(struct fixture *fixture, struct lvn_index_study_filter filter, struct lvn_index_study *ret_studies) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  filter.newest_first = true;
  assert_good(lvn_index_list_studies(fixture->index, &filter, &studies, &count, &fixture->err));
  assert_true(count <= 8);
  for (size_t i = 0; i < count; i++) {
    ret_studies[i] = studies[i];
  }
  return count;
}

static void test_index_list__pages_hold_each_study_once(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_study page[8];
  bool seen[8] = {false};
  const char *after_uid = NULL;
  char uid[LVN_UID_BYTES];
  int64_t after_ms = 0;
  size_t total = 0;
  for (unsigned i = 0; i < 7; i++) {
    add_study(fixture, i, i < 5 ? 1000 : 2000 + i); /* five at the same time */
  }
  for (size_t count = 2; count == 2;) {
    count =
        list(fixture, (struct lvn_index_study_filter){.after_ms = after_ms, .after_uid = after_uid, .limit = 2}, page);
    for (size_t i = 0; i < count; i++) {
      assert_true(after_uid == NULL || page[i].last_received_ms <= after_ms);
      assert_false(seen[page[i].study_uid[4] - '0']);
      seen[page[i].study_uid[4] - '0'] = true;
      total++;
      after_ms = page[i].last_received_ms;
      (void)lvn_copy(uid, sizeof uid, page[i].study_uid);
      after_uid = uid;
    }
  }
  assert_int_equal(total, 7);
  assert_int_equal(list(fixture, (struct lvn_index_study_filter){.limit = 1}, page), 1);
  assert_string_equal(page[0].study_uid, "1.9.6");
}

static void test_index_list__finds_by_time_and_by_what_a_study_holds(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_study page[8];
  for (unsigned i = 0; i < 3; i++) {
    add_study(fixture, i, 1000 + 10 * i);
  }
  assert_int_equal(list(fixture, (struct lvn_index_study_filter){.since_ms = 1010}, page), 2);
  assert_int_equal(list(fixture, (struct lvn_index_study_filter){.since_ms = 1010, .until_ms = 1010}, page), 1);
  assert_string_equal(page[0].study_uid, "1.9.1");
  assert_int_equal(list(fixture, (struct lvn_index_study_filter){.holds_uid = "1.8.2"}, page), 1);
  assert_string_equal(page[0].study_uid, "1.9.2");
  assert_int_equal(list(fixture, (struct lvn_index_study_filter){.holds_uid = "1.1.0"}, page), 1);
  assert_string_equal(page[0].study_uid, "1.9.0");
  assert_int_equal(list(fixture, (struct lvn_index_study_filter){.holds_uid = "1.1"}, page), 0);
}

static void test_index_list__samples_are_of_every_patient_and_role(void **state) {
  struct fixture *fixture = *state;
  uint8_t *digests = NULL;
  size_t count = 0;
  struct lvn_index_object objects[] = {
      make_object("1.1", 1, LVN_INDEX_ROLE_ROI, 1000), make_object("1.2", 2, LVN_INDEX_ROLE_CT, 1001),
      make_object("1.3", 3, LVN_INDEX_ROLE_CT, 1002), make_object("1.4", 4, LVN_INDEX_ROLE_CT, 1003)};
  objects[3].patient_id = "P2";
  for (size_t i = 0; i < 4; i++) {
    (void)add(fixture, &objects[i]);
  }
  assert_good(lvn_index_study_samples(fixture->index, STUDY, &digests, &count, &fixture->err));
  assert_int_equal(count, 3);
  assert_int_not_equal(digests[0], 1); /* images first */
  lvn_free(digests);
}

static void test_index_list__a_study_is_sent_as_often_as_it_is_asked_for(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_outbox_destination destinations[4];
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  int64_t sent = 0;
  assert_false(lvn_outbox_send_study(fixture->index, STUDY, "other", 1, &sent, &fixture->err));
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_outbox_send_study(fixture->index, STUDY, "other", 8000, &sent, &fixture->err));
  assert_int_equal(sent, 1);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 9000, &rows, &count, &fixture->err));
  assert_good(lvn_outbox_send_study(fixture->index, STUDY, "pacs", 9001, &sent, &fixture->err));
  assert_int_equal(sent, 0); /* it is being sent just now */
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_STORED, 0, 9002, 0));
  assert_good(lvn_outbox_send_study(fixture->index, STUDY, "pacs", 9003, &sent, &fixture->err));
  assert_int_equal(sent, 1);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_QUEUED);
  assert_good(lvn_outbox_list_destinations(fixture->index, destinations, 4, &count, &fixture->err));
  assert_int_equal(count, 2);
  assert_string_equal(destinations[0].name, "other");
  assert_int_equal(destinations[1].oldest_ms, 9003); /* not since it was first made */
  assert_int_equal(destinations[0].waiting, 1);
  assert_int_equal(destinations[0].attempts, 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_index_list__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(pages_hold_each_study_once),
      CASE(finds_by_time_and_by_what_a_study_holds),
      CASE(samples_are_of_every_patient_and_role),
      CASE(a_study_is_sent_as_often_as_it_is_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
