/* What was sent and is to be promised: transactions, reports, attempts, and who lets a study go. */
#include "storage/commitment.h"
#include "tests/unit/storage/index_fixture.h"

#define ATTEMPTS_MAX 2U

/* A report that was sent, at 8001, to a destination that is asked to promise it. */
static int64_t send_one(struct fixture *fixture, bool wants) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  const struct lvn_outbox_finish finish = {.outbox_id = rows[0].outbox_id,
                                           .verdict = LVN_SEND_STORED,
                                           .status_message = "stored",
                                           .now_ms = 8001,
                                           .wants_commitment = wants};
  assert_good(lvn_outbox_finish(fixture->index, &finish, &fixture->err));
  return rows[0].outbox_id;
}

static int64_t send_first(struct fixture *fixture, bool wants) {
  finish_job(fixture, start_job(fixture).job_id, "2.1", LVN_OUTCOME_DONE);
  return send_one(fixture, wants);
}

static size_t ask(struct fixture *fixture, const char *transaction_uid, int64_t now_ms) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  const struct lvn_commitment_ask wish = {.destination = "pacs",
                                          .transaction_uid = transaction_uid,
                                          .now_ms = now_ms,
                                          .deadline_ms = now_ms + 1000,
                                          .rows_max = 10};
  assert_good(lvn_commitment_open(fixture->index, &wish, &rows, &count, &fixture->err));
  if (count > 0) {
    assert_string_equal(rows[0].sop_instance_uid, "2.1");
    assert_string_equal(rows[0].sop_class_uid, REPORT_CLASS);
  }
  return count;
}

static int64_t say(struct fixture *fixture, const char *transaction_uid, const char *sop_class, const char *instance,
                   enum lvn_commitment_verdict verdict) {
  int64_t outbox_id = 0;
  const struct lvn_commitment_said said = {.transaction_uid = transaction_uid,
                                           .sop_class_uid = sop_class,
                                           .sop_instance_uid = instance,
                                           .verdict = verdict,
                                           .message = "as reported",
                                           .not_before_ms = 8000,
                                           .attempts_max = ATTEMPTS_MAX};
  assert_good(lvn_commitment_apply(fixture->index, &said, &outbox_id, &fixture->err));
  return outbox_id;
}

static void close_transaction(struct fixture *fixture, const char *transaction_uid, bool is_counted) {
  const struct lvn_commitment_close close = {.transaction_uid = transaction_uid,
                                             .message = "no report came",
                                             .not_before_ms = 9000,
                                             .is_counted = is_counted,
                                             .attempts_max = ATTEMPTS_MAX};
  assert_good(lvn_commitment_close(fixture->index, &close, &fixture->err));
}

static size_t count_expired(struct fixture *fixture) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  assert_good(lvn_index_list_expired(fixture->index, 1000000, 10, &studies, &count, &fixture->err));
  return count;
}

static void test_commitment__a_promise_lets_the_study_go(void **state) {
  struct fixture *fixture = *state;
  char destination[LVN_DESTINATION_BYTES];
  bool found = false;
  const int64_t id = send_first(fixture, true);
  assert_int_equal(count_expired(fixture), 0);
  assert_int_equal(ask(fixture, "3.1", 8100), 1);
  assert_int_equal(ask(fixture, "3.2", 8100), 0); /* one transaction at a time */
  assert_good(lvn_commitment_find(fixture->index, "3.2", destination, &found, &fixture->err));
  assert_false(found);
  reopen(fixture); /* transactions outlive the process */
  assert_good(lvn_commitment_find(fixture->index, "3.1", destination, &found, &fixture->err));
  assert_true(found);
  assert_string_equal(destination, "pacs");
  assert_int_equal(say(fixture, "3.1", "1.2.3", "2.1", LVN_COMMITMENT_PROMISED), 0); /* of another class */
  assert_int_equal(say(fixture, "3.1", REPORT_CLASS, "2.2", LVN_COMMITMENT_PROMISED), 0);
  assert_int_equal(say(fixture, "3.9", REPORT_CLASS, "2.1", LVN_COMMITMENT_PROMISED), 0);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_SENT);
  assert_int_equal(say(fixture, "3.1", REPORT_CLASS, "2.1", LVN_COMMITMENT_PROMISED), id);
  close_transaction(fixture, "3.1", true);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_COMMITTED);
  assert_string_equal(get_outbound(fixture, "2.1").status_message, "as reported");
  assert_int_equal(say(fixture, "3.1", REPORT_CLASS, "2.1", LVN_COMMITMENT_REFUSED), 0); /* too late */
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_COMMITTED);
  assert_int_equal(count_expired(fixture), 1);
}

static void test_commitment__what_is_not_asked_for_is_enough_when_sent(void **state) {
  struct fixture *fixture = *state;
  (void)send_first(fixture, false);
  assert_int_equal(ask(fixture, "3.1", 8100), 0);
  assert_int_equal(count_expired(fixture), 1);
  assert_good(lvn_commitment_want(fixture->index, "other", true, 8200, &fixture->err));
  assert_int_equal(count_expired(fixture), 1);
  assert_good(lvn_commitment_want(fixture->index, "pacs", true, 8200, &fixture->err));
  assert_int_equal(count_expired(fixture), 0);
  assert_int_equal(ask(fixture, "3.1", 8100), 1);
  close_transaction(fixture, "3.1", false);
  assert_good(lvn_commitment_want(fixture->index, "pacs", false, 8200, &fixture->err));
  assert_int_equal(count_expired(fixture), 1);
}

static void test_commitment__silence_is_asked_again_and_then_failed(void **state) {
  struct fixture *fixture = *state;
  char late[LVN_UID_BYTES];
  int64_t due_ms = 0;
  (void)send_first(fixture, true);
  for (unsigned attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    assert_int_equal(ask(fixture, "3.1", 9000), 1);
    assert_good(lvn_commitment_next_due(fixture->index, &due_ms, &fixture->err));
    assert_int_equal(due_ms, 10000);
    assert_good(lvn_commitment_next_late(fixture->index, 9999, late, &fixture->err));
    assert_string_equal(late, "");
    assert_good(lvn_commitment_next_late(fixture->index, 10000, late, &fixture->err));
    assert_string_equal(late, "3.1");
    close_transaction(fixture, "3.1", false); /* a destination that was away uses up no attempt */
    assert_int_equal(ask(fixture, "3.1", 8999), 0);
    assert_int_equal(ask(fixture, "3.1", 9000), 1);
    close_transaction(fixture, "3.1", true);
    close_transaction(fixture, "3.1", true); /* over is over */
    assert_int_equal(get_outbound(fixture, "2.1").state, attempt < ATTEMPTS_MAX ? LVN_OUTBOX_SENT : LVN_OUTBOX_FAILED);
  }
  assert_string_equal(get_outbound(fixture, "2.1").status_message, "no report came");
  assert_int_equal(count_expired(fixture), 0);
  /* An operator's retry begins anew. */
  assert_good(lvn_outbox_retry(fixture->index, get_outbound(fixture, "2.1").outbox_id, &fixture->err));
  (void)send_one(fixture, true);
  assert_int_equal(ask(fixture, "3.2", 9000), 1);
  close_transaction(fixture, "3.2", true);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_SENT);
}

static void test_commitment__a_lost_object_is_sent_again_a_few_times(void **state) {
  struct fixture *fixture = *state;
  const int64_t id = send_first(fixture, true);
  assert_int_equal(ask(fixture, "3.1", 8100), 1);
  assert_int_equal(say(fixture, "3.1", REPORT_CLASS, "2.1", LVN_COMMITMENT_SEND_AGAIN), id);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_QUEUED);
  (void)send_one(fixture, true);
  assert_int_equal(ask(fixture, "3.2", 8100), 1);
  assert_int_equal(say(fixture, "3.2", REPORT_CLASS, "2.1", LVN_COMMITMENT_SEND_AGAIN), id);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_FAILED);
  assert_int_equal(count_expired(fixture), 0);
}

static void test_commitment__a_destination_that_stays_away_is_given_up(void **state) {
  struct fixture *fixture = *state;
  int64_t count = 0;
  (void)send_first(fixture, true);
  assert_good(lvn_commitment_give_up(fixture->index, "pacs", 8001, &count, &fixture->err));
  assert_int_equal(count, 0);
  assert_int_equal(ask(fixture, "3.1", 8100), 1);
  assert_good(lvn_commitment_give_up(fixture->index, "pacs", 9000, &count, &fixture->err));
  assert_int_equal(count, 0); /* a report may come */
  close_transaction(fixture, "3.1", false);
  assert_good(lvn_commitment_give_up(fixture->index, "pacs", 9000, &count, &fixture->err));
  assert_int_equal(count, 1);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_FAILED);
}

/* After a rebuild, or where the key is new: what was sent long ago has all its time. */
static void test_commitment__time_counts_from_when_it_is_wanted(void **state) {
  struct fixture *fixture = *state;
  int64_t count = 0;
  (void)send_first(fixture, false);
  assert_good(lvn_commitment_want(fixture->index, "pacs", true, 900000, &fixture->err));
  assert_good(lvn_commitment_give_up(fixture->index, "pacs", 900000, &count, &fixture->err));
  assert_int_equal(count, 0);
  assert_int_equal(ask(fixture, "3.1", 900001), 1);
}

/* An object that is sent again while a report on its first sending is on the way: that report is not about it. */
static void test_commitment__a_new_sending_leaves_its_transaction(void **state) {
  struct fixture *fixture = *state;
  const int64_t id = send_first(fixture, true);
  assert_int_equal(ask(fixture, "3.1", 8100), 1);
  assert_good(lvn_outbox_retry(fixture->index, id, &fixture->err));
  assert_int_equal(say(fixture, "3.1", REPORT_CLASS, "2.1", LVN_COMMITMENT_PROMISED), 0);
  (void)send_one(fixture, true);
  assert_int_equal(say(fixture, "3.1", REPORT_CLASS, "2.1", LVN_COMMITMENT_REFUSED), 0);
  close_transaction(fixture, "3.1", true);
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_SENT);
  assert_int_equal(ask(fixture, "3.2", 8100), 1);
}

static void test_commitment__a_rebuild_knows_a_promise(void **state) {
  struct fixture *fixture = *state;
  struct lvn_outbox_sent sent;
  bool found = false;
  const int64_t id = send_first(fixture, true);
  assert_int_equal(ask(fixture, "3.1", 8100), 1);
  assert_int_equal(say(fixture, "3.1", REPORT_CLASS, "2.1", LVN_COMMITMENT_PROMISED), id);
  assert_good(lvn_outbox_get_sent(fixture->index, id, &sent, &found, &fixture->err));
  assert_true(found && sent.is_committed);
  (void)sqlite3_exec(fixture->index->db, "DELETE FROM outbox", NULL, NULL, NULL);
  sent.is_committed = false;
  assert_good(lvn_index_sent_restore(fixture->index, &sent, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_SENT);
  sent.is_committed = true;
  assert_good(lvn_index_sent_restore(fixture->index, &sent, &fixture->err));
  assert_int_equal(get_outbound(fixture, "2.1").state, LVN_OUTBOX_COMMITTED);
}

static void test_commitment__as_scp_the_current_object_counts(void **state) {
  struct fixture *fixture = *state;
  struct lvn_commitment_held held;
  bool found = true;
  struct lvn_index_object first = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object second = make_object("1.1", 2, LVN_INDEX_ROLE_CT, 1001);
  first.record.sequence = 1;
  second.record.sequence = 2;
  assert_good(lvn_commitment_look_up(fixture->index, "1.1", &held, &found, &fixture->err));
  assert_false(found);
  (void)add(fixture, &first);
  (void)add(fixture, &second);
  assert_good(lvn_commitment_look_up(fixture->index, "1.1", &held, &found, &fixture->err));
  assert_true(found);
  assert_int_equal(held.sha256[0], 2);
  assert_int_equal(held.byte_count, 100);
  assert_string_equal(held.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(test_commitment__a_promise_lets_the_study_go),
                                     CASE(test_commitment__what_is_not_asked_for_is_enough_when_sent),
                                     CASE(test_commitment__silence_is_asked_again_and_then_failed),
                                     CASE(test_commitment__a_lost_object_is_sent_again_a_few_times),
                                     CASE(test_commitment__a_destination_that_stays_away_is_given_up),
                                     CASE(test_commitment__time_counts_from_when_it_is_wanted),
                                     CASE(test_commitment__a_new_sending_leaves_its_transaction),
                                     CASE(test_commitment__a_rebuild_knows_a_promise),
                                     CASE(test_commitment__as_scp_the_current_object_counts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
