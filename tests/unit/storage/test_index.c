/* The index on a real SQLite file: adding, deciding, counting attempts, refusing what the state machine forbids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "storage/index.h"
#include "storage/index_internal.h"

#define STUDY "1.2.3.4"

struct fixture {
  char folder[64];
  struct lvn_index *index;
  struct lvn_error err;
};

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, fixture->err.message);                                                           \
    }                                                                                                                  \
  } while (0)

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture); /* allow: a test's own memory */
  if (fixture == NULL) {
    return -1;
  }
  (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/lvn-index-XXXXXX");
  if (mkdtemp(fixture->folder) == NULL || !lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err)) {
    return -1;
  }
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  struct lvn_file_names paths = {0};
  lvn_index_close(fixture->index);
  if (lvn_file_walk(fixture->folder, 1000, &paths, &fixture->err)) {
    for (size_t i = 0; i < paths.count; i++) {
      (void)unlink(paths.names[i]);
    }
    lvn_file_names_clear(&paths);
  }
  (void)rmdir(fixture->folder);
  free(fixture); /* allow: a test's own memory */
  return 0;
}

static void reopen(struct fixture *fixture) {
  lvn_index_close(fixture->index);
  fixture->index = NULL;
  assert_good(lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err));
}

static struct lvn_index_object make_object(const char *sop_uid, uint8_t digest, enum lvn_index_role role,
                                           int64_t received_ms) {
  struct lvn_index_object object = {.role = role, .modality = "CT", .patient_id = "P1", .issuer_of_patient_id = ""};
  (void)lvn_copy(object.facts.sop_instance_uid, LVN_UID_BYTES, sop_uid);
  (void)lvn_copy(object.facts.sop_class_uid, LVN_UID_BYTES, "1.2.840.10008.5.1.4.1.1.2");
  (void)lvn_copy(object.facts.transfer_syntax_uid, LVN_UID_BYTES, "1.2.840.10008.1.2.1");
  (void)lvn_copy(object.facts.study_instance_uid, LVN_UID_BYTES, STUDY);
  (void)snprintf(object.facts.series_instance_uid, LVN_UID_BYTES, "1.2.3.4.%d", role == LVN_INDEX_ROLE_CT ? 1 : 2);
  (void)lvn_copy(object.facts.calling_aet, sizeof object.facts.calling_aet, "MODALITY");
  (void)lvn_copy(object.facts.address, sizeof object.facts.address, "127.0.0.1");
  object.facts.received_ms = received_ms;
  object.facts.byte_count = 100;
  memset(object.facts.sha256, digest, LVN_SHA256_BYTES);
  return object;
}

static struct lvn_index_addition add(struct fixture *fixture, const struct lvn_index_object *object) {
  struct lvn_index_addition addition = {0};
  assert_good(lvn_index_add(fixture->index, object, object->facts.received_ms + 1000, &addition, &fixture->err));
  return addition;
}

static struct lvn_index_study get_study(struct fixture *fixture) {
  struct lvn_index_study *studies = NULL;
  struct lvn_index_study study;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.study_uid = STUDY};
  assert_good(lvn_index_list_studies(fixture->index, &filter, &studies, &count, &fixture->err));
  assert_int_equal(count, 1);
  study = studies[0];
  lvn_free(studies);
  return study;
}

static const struct lvn_index_model model = {.name = "m", .version = "1", .digest = {7}};

/* A settled study of one CT object and one ROI, with a job that runs. */
static struct lvn_index_job start_job(struct fixture *fixture) {
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object roi = make_object("1.2", 2, LVN_INDEX_ROLE_ROI, 1001);
  struct lvn_index_job job;
  int64_t job_id = 0;
  bool found = false;
  (void)add(fixture, &ct);
  (void)add(fixture, &roi);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_index_job_create(fixture->index, STUDY, &model, 5000, &job_id, &fixture->err));
  assert_good(lvn_index_job_claim(fixture->index, 6000, &job, &found, &fixture->err));
  assert_true(found);
  assert_int_equal(job.job_id, job_id);
  return job;
}

static void finish_job(struct fixture *fixture, int64_t job_id, const char *sop_uid, const char *outcome) {
  struct lvn_index_result result = {.sop_class_uid = "1.2.840.10008.5.1.4.1.1.88.34", .sha256 = {9}};
  const char *const destinations[] = {"pacs"};
  (void)lvn_copy(result.sop_instance_uid, sizeof result.sop_instance_uid, sop_uid);
  (void)lvn_copy(result.path, sizeof result.path, "/results/sr.dcm");
  const struct lvn_index_finish finish = {.job_id = job_id,
                                          .outcome = outcome,
                                          .sentence = strcmp(outcome, "done") == 0 ? "" : "waiting for a phase",
                                          .results = &result,
                                          .result_count = 1,
                                          .destinations = destinations,
                                          .destination_count = 1,
                                          .now_ms = 7000};
  assert_good(lvn_index_job_finish(fixture->index, &finish, &fixture->err));
}

static struct lvn_index_outbound get_outbound(struct fixture *fixture, const char *sop_uid) {
  struct lvn_index_outbound *rows = NULL;
  struct lvn_index_outbound found = {0};
  size_t count = 0;
  assert_good(lvn_index_list_outbound(fixture->index, NULL, 100, &rows, &count, &fixture->err));
  for (size_t i = 0; i < count; i++) {
    if (strcmp(rows[i].sop_instance_uid, sop_uid) == 0) {
      found = rows[i];
    }
  }
  lvn_free(rows);
  return found;
}

static void test_index__illegal_transitions_abort(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  finish_job(fixture, job.job_id, "2.1", "done");
  static const char *const illegal[] = {
      "UPDATE study SET state='ready'",   "UPDATE study SET state='processing'", "UPDATE job SET state='running'",
      "UPDATE job SET state='cancelled'", "UPDATE outbound SET state='sent'",    "UPDATE outbound SET state='failed'",
      "UPDATE job SET state='nonsense'",
  };
  for (size_t i = 0; i < sizeof illegal / sizeof illegal[0]; i++) {
    assert_int_equal(sqlite3_exec(fixture->index->db, illegal[i], NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_non_null(strstr(sqlite3_errmsg(fixture->index->db), "illegal"));
  }
  assert_string_equal(get_study(fixture).state, "done");
  /* The same through the interface: settling a done study is a conflict. */
  assert_false(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_int_equal(fixture->err.code, LVN_ERROR_CONFLICT);
}

static void test_index__every_transition_is_an_event(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
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
  struct lvn_index_job job = start_job(fixture);
  uint8_t *digests = NULL;
  size_t count = 0;
  bool known = false;
  bool current = false;
  finish_job(fixture, job.job_id, "2.1", "done");
  struct lvn_index_object changed = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_addition addition = add(fixture, &changed);
  assert_true(addition.is_new && addition.replaces && addition.reopened);
  struct lvn_index_study study = get_study(fixture);
  assert_string_equal(study.state, "collecting");
  assert_int_equal(study.revision, 1);
  assert_int_equal(study.object_count, 2);
  assert_good(lvn_index_study_objects(fixture->index, STUDY, &digests, &count, &fixture->err));
  assert_int_equal(count, 3); /* the replaced one too */
  lvn_free(digests);
  assert_good(
      lvn_index_has_object(fixture->index, make_object("", 1, 0, 0).facts.sha256, &known, &current, &fixture->err));
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
  assert_good(lvn_index_has_object(fixture->index, newer.facts.sha256, &known, &current, &fixture->err));
  assert_true(known && current);
}

/* Bytes A, then B, then A again: A is the newest. */
static void test_index__known_bytes_become_current_again(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture); /* A is digest 1, at 1000 */
  bool known = false;
  bool current = false;
  finish_job(fixture, job.job_id, "2.1", "done");
  struct lvn_index_object first = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object second = make_object("1.1", 5, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_object again = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 9000);
  struct lvn_index_addition addition = add(fixture, &second);
  assert_true(addition.replaces && addition.has_superseded);
  assert_memory_equal(addition.superseded_sha256, first.facts.sha256, LVN_SHA256_BYTES);
  assert_false(add(fixture, &first).replaces); /* the same reception, indexed twice */
  addition = add(fixture, &again);
  assert_true(!addition.is_new && addition.replaces && addition.has_superseded);
  assert_memory_equal(addition.superseded_sha256, second.facts.sha256, LVN_SHA256_BYTES);
  assert_good(lvn_index_has_object(fixture->index, first.facts.sha256, &known, &current, &fixture->err));
  assert_true(known && current);
  assert_good(lvn_index_has_object(fixture->index, second.facts.sha256, &known, &current, &fixture->err));
  assert_true(known && !current);
  assert_false(add(fixture, &again).replaces);
  struct lvn_index_study study = get_study(fixture);
  assert_string_equal(study.state, "collecting");
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
  assert_string_equal(study.state, "rejected");
  assert_non_null(strstr(study.sentence, "two different patients"));
  assert_int_equal(study.object_count, 3); /* stored all the same */
  assert_false(lvn_index_study_retry(fixture->index, STUDY, &fixture->err));
  struct lvn_index_object late = make_object("1.4", 4, LVN_INDEX_ROLE_ROI, 1003);
  (void)add(fixture, &late);
  assert_string_equal(get_study(fixture).state, "rejected"); /* nothing but an operator opens it */
  assert_good(lvn_index_study_release(fixture->index, study.name, &fixture->err));
  assert_string_equal(get_study(fixture).state, "collecting");
  assert_good(lvn_index_study_inputs(fixture->index, STUDY, &digests, &count, &fixture->err));
  assert_int_equal(count, 3); /* of the patient of the most objects only */
  lvn_free(digests);
  struct lvn_index_object foreign_again = make_object("1.5", 5, LVN_INDEX_ROLE_CT, 1004);
  foreign_again.patient_id = "P2";
  assert_false(add(fixture, &foreign_again).patient_conflict); /* decided already */
  assert_string_equal(get_study(fixture).state, "collecting");
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

static void test_index__kills_use_up_no_attempt_but_end(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  bool found = false;
  for (int interruption = 1; interruption < 10; interruption++) {
    reopen(fixture); /* the process died while the job ran */
    assert_good(lvn_index_job_claim(fixture->index, 6000, &job, &found, &fixture->err));
    assert_true(found);
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.wall_ms, 5000);
  }
  reopen(fixture);
  assert_good(lvn_index_job_claim(fixture->index, 6000, &job, &found, &fixture->err));
  assert_false(found);
  assert_string_equal(get_study(fixture).state, "failed");
  assert_non_null(strstr(get_study(fixture).sentence, "interrupted 10 times"));
}

static void test_index__failed_attempts_end(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  bool found = true;
  for (int64_t attempt = 1; attempt <= 3; attempt++) {
    assert_int_equal(job.attempt, attempt);
    assert_good(lvn_index_job_fail(fixture->index, job.job_id, "io", "disk", true, 7000, 9000, &fixture->err));
    if (attempt < 3) {
      assert_good(lvn_index_job_claim(fixture->index, 8999, &job, &found, &fixture->err));
      assert_false(found); /* not before its time */
      assert_good(lvn_index_job_claim(fixture->index, 9000, &job, &found, &fixture->err));
      assert_true(found);
    }
  }
  assert_string_equal(get_study(fixture).state, "failed");
  assert_good(lvn_index_job_retry(fixture->index, job.job_id, &fixture->err));
  assert_good(lvn_index_job_claim(fixture->index, 9000, &job, &found, &fixture->err));
  assert_true(found);
  assert_int_equal(job.attempt, 1);
}

static void test_index__permanent_failure_is_final(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  assert_good(lvn_index_job_fail(fixture->index, job.job_id, "data", "bad", false, 7000, 0, &fixture->err));
  assert_string_equal(get_study(fixture).state, "failed");
}

static void test_index__late_object_makes_results_stale(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 6500);
  assert_true(add(fixture, &late).reopened);
  assert_string_equal(get_study(fixture).state, "processing");
  finish_job(fixture, job.job_id, "2.1", "done");
  assert_string_equal(get_study(fixture).state, "collecting");
  assert_int_equal(get_outbound(fixture, "2.1").outbound_id, 0); /* nothing of it is sent */
  assert_good(lvn_index_job_get(fixture->index, job.job_id, &job, &fixture->err));
  assert_string_equal(job.outcome, "stale");
}

static void test_index__late_object_cancels_a_queued_job(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 6500);
  struct lvn_index_job job;
  int64_t job_id = 0;
  bool found = true;
  (void)add(fixture, &ct);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_index_job_create(fixture->index, STUDY, &model, 5000, &job_id, &fixture->err));
  (void)add(fixture, &late);
  assert_string_equal(get_study(fixture).state, "collecting");
  assert_good(lvn_index_job_claim(fixture->index, 9000, &job, &found, &fixture->err));
  assert_false(found);
}

static void test_index__waiting_study_opens_by_a_new_object(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  struct lvn_index_study *studies = NULL;
  size_t count = 9;
  const struct lvn_index_study_filter changed = {.state = "collecting", .changed_only = 1};
  finish_job(fixture, job.job_id, "2.1", "waiting");
  assert_string_equal(get_study(fixture).state, "collecting");
  assert_string_equal(get_study(fixture).sentence, "waiting for a phase");
  assert_good(lvn_index_list_studies(fixture->index, &changed, &studies, &count, &fixture->err));
  assert_int_equal(count, 0); /* not looked at again by itself */
  lvn_free(studies);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 6500);
  (void)add(fixture, &late);
  assert_good(lvn_index_list_studies(fixture->index, &changed, &studies, &count, &fixture->err));
  assert_int_equal(count, 1);
  lvn_free(studies);
}

static void test_index__newer_job_cancels_unsent_results(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  struct lvn_index_job newer;
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 8000);
  int64_t job_id = 0;
  bool found = false;
  finish_job(fixture, job.job_id, "2.1", "done");
  assert_string_equal(get_outbound(fixture, "2.1").state, "queued");
  (void)add(fixture, &late);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_index_job_create(fixture->index, STUDY, &model, 9000, &job_id, &fixture->err));
  assert_string_equal(get_outbound(fixture, "2.1").state, "cancelled");
  assert_good(lvn_index_job_claim(fixture->index, 9000, &newer, &found, &fixture->err));
  assert_true(found);
  assert_string_not_equal(newer.key, job.key);
  finish_job(fixture, newer.job_id, "2.2", "done");
  assert_string_equal(get_outbound(fixture, "2.2").state, "queued");
  assert_int_equal(get_study(fixture).latest_job_id, newer.job_id);
}

static void test_index__superseded_send_is_not_tried_again(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  struct lvn_index_object late = make_object("1.9", 9, LVN_INDEX_ROLE_CT, 8000);
  struct lvn_index_outbound *rows = NULL;
  size_t count = 0;
  int64_t job_id = 0;
  finish_job(fixture, job.job_id, "2.1", "done");
  assert_good(lvn_index_outbound_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  (void)add(fixture, &late);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_index_job_create(fixture->index, STUDY, &model, 9000, &job_id, &fixture->err));
  assert_good(lvn_index_outbound_finish(fixture->index, rows[0].outbound_id, LVN_INDEX_SEND_AGAIN, -1, "refused", 9000,
                                        9000, &fixture->err));
  assert_string_equal(get_outbound(fixture, "2.1").state, "cancelled");
  lvn_free(rows);
}

static void test_index__sends_are_retried_and_survive_a_kill(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  struct lvn_index_outbound *rows = NULL;
  size_t count = 0;
  finish_job(fixture, job.job_id, "2.1", "done");
  assert_good(lvn_index_outbound_claim(fixture->index, "other", 8000, &rows, &count, &fixture->err));
  assert_int_equal(count, 0);
  assert_good(lvn_index_outbound_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_int_equal(rows[0].attempt, 1);
  assert_string_equal(rows[0].path, "/results/sr.dcm");
  assert_good(lvn_index_outbound_finish(fixture->index, rows[0].outbound_id, LVN_INDEX_SEND_AGAIN, 0xA700, "full", 8000,
                                        9000, &fixture->err));
  lvn_free(rows);
  rows = NULL;
  assert_good(lvn_index_outbound_claim(fixture->index, "pacs", 8999, &rows, &count, &fixture->err));
  assert_int_equal(count, 0);
  lvn_free(rows);
  assert_good(lvn_index_outbound_claim(fixture->index, "pacs", 9000, &rows, &count, &fixture->err));
  assert_int_equal(count, 1);
  reopen(fixture);
  assert_string_equal(get_outbound(fixture, "2.1").state, "queued");
  assert_int_equal(get_outbound(fixture, "2.1").attempt, 2);
  lvn_free(rows);
  assert_good(lvn_index_outbound_claim(fixture->index, "pacs", 9000, &rows, &count, &fixture->err));
  assert_good(lvn_index_outbound_finish(fixture->index, rows[0].outbound_id, LVN_INDEX_SENT, 0, "stored", 9500, 0,
                                        &fixture->err));
  assert_string_equal(get_outbound(fixture, "2.1").state, "sent");
  lvn_free(rows);
}

static void test_index__own_result_coming_back_is_no_input(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_job job = start_job(fixture);
  finish_job(fixture, job.job_id, "2.1", "done");
  struct lvn_index_object own = make_object("2.1", 40, LVN_INDEX_ROLE_ROI, 9000);
  struct lvn_index_addition addition = add(fixture, &own);
  assert_true(addition.is_own && !addition.reopened);
  assert_string_equal(get_study(fixture).state, "done");
  assert_int_equal(get_study(fixture).roi_count, 1);
}

static void test_index__other_model_cancels_queued_jobs(void **state) {
  struct fixture *fixture = *state;
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  const struct lvn_index_model other = {.name = "m", .version = "2", .digest = {8}};
  int64_t old_job = 0;
  int64_t new_job = 0;
  (void)add(fixture, &ct);
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_index_job_create(fixture->index, STUDY, &model, 5000, &old_job, &fixture->err));
  assert_good(lvn_index_job_cancel_other_models(fixture->index, other.digest, &fixture->err));
  assert_false(get_study(fixture).has_live_job);
  assert_string_equal(get_study(fixture).state, "ready");
  assert_good(lvn_index_job_create(fixture->index, STUDY, &other, 5000, &new_job, &fixture->err));
  assert_int_not_equal(old_job, new_job);
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
  struct lvn_index_job job = start_job(fixture);
  struct lvn_index_study *studies = NULL;
  struct lvn_index_outbound *rows = NULL;
  size_t count = 0;
  finish_job(fixture, job.job_id, "2.1", "done");
  assert_good(lvn_index_list_expired(fixture->index, 100000, 10, &studies, &count, &fixture->err));
  assert_int_equal(count, 0); /* its result was not sent */
  lvn_free(studies);
  assert_good(lvn_index_outbound_claim(fixture->index, "pacs", 8000, &rows, &count, &fixture->err));
  assert_good(
      lvn_index_outbound_finish(fixture->index, rows[0].outbound_id, LVN_INDEX_SENT, 0, "", 9000, 0, &fixture->err));
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
#define CASE(name) cmocka_unit_test_setup_teardown(test_index__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(illegal_transitions_abort),
      CASE(every_transition_is_an_event),
      CASE(same_bytes_change_nothing),
      CASE(other_bytes_are_kept_and_reopen),
      CASE(order_of_reception_decides_current),
      CASE(known_bytes_become_current_again),
      CASE(other_patient_rejects_until_released),
      CASE(missing_issuer_is_no_other_patient),
      CASE(no_patient_id_in_the_file),
      CASE(kills_use_up_no_attempt_but_end),
      CASE(failed_attempts_end),
      CASE(permanent_failure_is_final),
      CASE(late_object_makes_results_stale),
      CASE(late_object_cancels_a_queued_job),
      CASE(waiting_study_opens_by_a_new_object),
      CASE(newer_job_cancels_unsent_results),
      CASE(superseded_send_is_not_tried_again),
      CASE(sends_are_retried_and_survive_a_kill),
      CASE(own_result_coming_back_is_no_input),
      CASE(other_model_cancels_queued_jobs),
      CASE(one_process_only),
      CASE(damage_is_found_and_set_aside),
      CASE(expired_studies_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
