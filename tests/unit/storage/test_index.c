/* The index: adding, deciding which object is current, refusing what the state machine forbids, damage. */
#include "tests/unit/storage/index_fixture.h"

static void test_index__illegal_transitions_abort(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  static const char *const illegal[] = {
      "UPDATE study SET state='ready'",   "UPDATE study SET state='processing'", "UPDATE job SET state='running'",
      "UPDATE job SET state='cancelled'", "UPDATE outbox SET state='sent'",      "UPDATE outbox SET state='failed'",
      "UPDATE job SET state='nonsense'",
  };
  for (size_t i = 0; i < sizeof illegal / sizeof illegal[0]; i++) {
    assert_int_equal(sqlite3_exec(fixture->index->db, illegal[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_non_null(strstr(sqlite3_errmsg(fixture->index->db), "illegal"));
  }
  assert_int_equal(get_study(fixture).state, LVN_STUDY_DONE);
  /* The same through the interface: settling a done study is a conflict. */
  assert_false(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
}

static void test_index__every_transition_is_an_event(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_index_event *events = NULL;
  size_t count = 0;
  static const char *const expected[] = {"study  collecting", "study collecting ready", "job  queued",
                                         "job queued running", "study ready processing"};
  assert_int_equal(job.attempt, 1);
  assert_good(lvn_index_list_events(fixture->index, 0, 100, &events, &count, &fixture->err));
  assert_int_equal(count, sizeof expected / sizeof expected[0]);
  for (size_t i = 0; i < count; i++) {
    char text[64];
    (void)snprintf(text, sizeof text, "%s %s %s", events[i].entity, events[i].from_state, events[i].to_state);
    assert_string_equal(text, expected[i]);
    assert_null(strstr(events[i].entity_id, STUDY)); /* no UID leaves the index this way */
  }
  lvn_free(events);
}

static void test_index__same_bytes_change_nothing(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  assert_true(add(fixture, &ct).is_new);
  assert_false(add(fixture, &ct).is_new);
  assert_int_equal(get_study(fixture).object_count, 1);
}

static void test_index__other_bytes_are_kept_and_reopen(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  uint8_t *digests = NULL;
  size_t count = 0;
  bool known = false;
  bool current = false;
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  struct lvn_index_object changed = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_addition addition = add(fixture, &changed);
  assert_true(addition.is_new && addition.replaces && addition.reopened);
  struct lvn_index_study study = get_study(fixture);
  assert_int_equal(study.state, LVN_STUDY_COLLECTING);
  assert_int_equal(study.revision, 1);
  assert_int_equal(study.object_count, 2);
  assert_good(lvn_index_study_objects(fixture->index, STUDY, &digests, &count, &fixture->err));
  assert_int_equal(count, 3); /* the replaced one too */
  lvn_free(digests);
  assert_good(
      lvn_index_has_object(fixture->index, make_object("", 1, 0, 0).record.sha256, &known, &current, &fixture->err));
  assert_true(known && !current);
}

static void test_index__order_of_reception_decides_current(void **state) {
  struct fixture *fixture = *state;
  bool known = false;
  bool current = false;
  struct lvn_index_object newer = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_object older = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  (void)add(fixture, &newer);
  assert_false(add(fixture, &older).replaces);
  assert_good(lvn_index_has_object(fixture->index, newer.record.sha256, &known, &current, &fixture->err));
  assert_true(known && current);
}

/* Bytes A, then B, then A again: A is the newest. */
static void test_index__known_bytes_become_current_again(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture); /* A is digest 1, at 1000 */
  bool known = false;
  bool current = false;
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  struct lvn_index_object first = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object second = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_object again = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 9000);
  struct lvn_index_addition addition = add(fixture, &second);
  assert_true(addition.replaces && addition.has_superseded);
  assert_memory_equal(addition.superseded_sha256, first.record.sha256, LVN_SHA256_BYTES);
  assert_false(add(fixture, &first).replaces); /* the same reception, indexed twice */
  addition = add(fixture, &again);
  assert_true(!addition.is_new && addition.replaces && addition.has_superseded);
  assert_memory_equal(addition.superseded_sha256, second.record.sha256, LVN_SHA256_BYTES);
  assert_good(lvn_index_has_object(fixture->index, first.record.sha256, &known, &current, &fixture->err));
  assert_true(known && current);
  assert_good(lvn_index_has_object(fixture->index, second.record.sha256, &known, &current, &fixture->err));
  assert_true(known && !current);
  assert_false(add(fixture, &again).replaces);
  struct lvn_index_study study = get_study(fixture);
  assert_int_equal(study.state, LVN_STUDY_COLLECTING);
  assert_int_equal(study.object_count, 2);
  assert_int_equal(study.revision, 2);
}

static void test_index__other_patient_rejects_until_released(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object first = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object second = make_object("1.2", 2, LVN_INDEX_ROLE_CT, 1001);
  struct lvn_index_object foreign = make_object("1.3", 3, LVN_INDEX_ROLE_CT, 1002);
  uint8_t *digests = NULL;
  size_t count = 0;
  foreign.patient_id = "P2";
  (void)add(fixture, &first);
  (void)add(fixture, &second);
  assert_true(add(fixture, &foreign).patient_conflict);
  struct lvn_index_study study = get_study(fixture);
  assert_int_equal(study.state, LVN_STUDY_REJECTED);
  assert_non_null(strstr(study.status_message, "two different patients"));
  assert_int_equal(study.object_count, 3); /* stored all the same */
  assert_false(lvn_index_study_retry(fixture->index, STUDY, &fixture->err));
  struct lvn_index_object late = make_object("1.4", 4, LVN_INDEX_ROLE_ROI, 1003);
  (void)add(fixture, &late);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_REJECTED); /* nothing but an operator opens it */
  assert_good(lvn_index_study_release(fixture->index, study.name, &fixture->err));
  assert_int_equal(get_study(fixture).state, LVN_STUDY_COLLECTING);
  assert_good(lvn_index_study_inputs(fixture->index, STUDY, &digests, &count, &fixture->err));
  assert_int_equal(count, 3); /* of the patient of the most objects only */
  lvn_free(digests);
  struct lvn_index_object foreign_again = make_object("1.5", 5, LVN_INDEX_ROLE_CT, 1004);
  foreign_again.patient_id = "P2";
  assert_false(add(fixture, &foreign_again).patient_conflict); /* decided already */
  assert_int_equal(get_study(fixture).state, LVN_STUDY_COLLECTING);
}

static void test_index__missing_issuer_is_no_other_patient(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object roi = make_object("1.2", 2, LVN_INDEX_ROLE_ROI, 1001);
  struct lvn_index_object foreign = make_object("1.3", 3, LVN_INDEX_ROLE_CT, 1002);
  ct.issuer_of_patient_id = "HOSPITAL A";
  foreign.issuer_of_patient_id = "HOSPITAL B";
  (void)add(fixture, &ct);
  assert_false(add(fixture, &roi).patient_conflict);
  assert_true(add(fixture, &foreign).patient_conflict);
}

static void test_index__no_patient_id_in_the_file(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  char path[LVN_PATH_BYTES];
  uint8_t *data = NULL;
  size_t bytes = 0;
  ct.patient_id = "VERYSECRETPATIENT";
  (void)add(fixture, &ct);
  lvn_index_close(fixture->index);
  fixture->index = NULL;
  assert_good(lvn_path_join(path, fixture->folder, "index.sqlite", &fixture->err));
  assert_good(lvn_file_read(path, 1U << 24, &data, &bytes, &fixture->err));
  assert_true(bytes > 4096);
  assert_null(memmem(data, bytes, ct.patient_id, strlen(ct.patient_id)));
  assert_non_null(memmem(data, bytes, "MODALITY", 8)); /* the search itself works */
  lvn_free(data);
}

static void test_index__own_result_coming_back_is_no_input(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  struct lvn_index_object own = make_object("2.1", 40, LVN_INDEX_ROLE_ROI, 9000);
  struct lvn_index_addition addition = add(fixture, &own);
  assert_true(addition.is_own && !addition.reopened);
  assert_int_equal(get_study(fixture).state, LVN_STUDY_DONE);
  assert_int_equal(get_study(fixture).roi_count, 1);
}

static void test_index__one_process_only(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index *second = NULL;
  assert_false(lvn_index_open(fixture->folder, 3, &second, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
  assert_false(lvn_index_set_aside(fixture->folder, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
}

static void test_index__damage_is_found_and_set_aside(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  char path[LVN_PATH_BYTES];
  uint8_t *data = NULL;
  size_t bytes = 0;
  (void)add(fixture, &ct);
  lvn_index_close(fixture->index);
  fixture->index = NULL;
  assert_good(lvn_path_join(path, fixture->folder, "index.sqlite", &fixture->err));
  assert_good(lvn_file_read(path, 1U << 24, &data, &bytes, &fixture->err));
  memset(data + 100, 0xA5, bytes - 100);
  assert_good(lvn_file_replace(path, data, bytes, 0600, &fixture->err));
  lvn_free(data);
  assert_false(lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_DATA);
  assert_good(lvn_index_set_aside(fixture->folder, &fixture->err));
  assert_good(lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err));
}

static void test_index__expired_studies_go(void **state) {
  struct fixture *fixture = *state;
  struct lvn_job job = start_job(fixture);
  struct lvn_index_study *studies = NULL;
  struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  finish_job(fixture, job.job_id, "2.1", LVN_OUTCOME_DONE);
  assert_good(lvn_index_list_expired(fixture->index, 100000, 10, &studies, &count, &fixture->err));
  assert_int_equal(count, 0); /* its result was not sent */
  lvn_free(studies);
  assert_good(lvn_outbox_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_good(finish_row(fixture, rows[0].outbox_id, LVN_SEND_STORED, 0, 9000, 0));
  lvn_free(rows);
  assert_good(lvn_index_list_expired(fixture->index, 9000, 10, &studies, &count, &fixture->err));
  assert_int_equal(count, 0); /* not long enough ago */
  lvn_free(studies);
  assert_good(lvn_index_list_expired(fixture->index, 9001, 10, &studies, &count, &fixture->err));
  assert_int_equal(count, 1);
  lvn_free(studies);
  assert_good(lvn_index_study_delete(fixture->index, STUDY, &fixture->err));
  struct lvn_index_counts counts;
  assert_good(lvn_index_count(fixture->index, &counts, &fixture->err));
  assert_int_equal(counts.objects, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      index_test(test_index__illegal_transitions_abort),
      index_test(test_index__every_transition_is_an_event),
      index_test(test_index__same_bytes_change_nothing),
      index_test(test_index__other_bytes_are_kept_and_reopen),
      index_test(test_index__order_of_reception_decides_current),
      index_test(test_index__known_bytes_become_current_again),
      index_test(test_index__other_patient_rejects_until_released),
      index_test(test_index__missing_issuer_is_no_other_patient),
      index_test(test_index__no_patient_id_in_the_file),
      index_test(test_index__own_result_coming_back_is_no_input),
      index_test(test_index__one_process_only),
      index_test(test_index__damage_is_found_and_set_aside),
      index_test(test_index__expired_studies_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
