/* An index on a real SQLite file, for each test, and a study to play with. */
#ifndef LVN_TESTS_INDEX_FIXTURE_H
#define LVN_TESTS_INDEX_FIXTURE_H

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

#include "base/file.h"
#include "base/memory.h"
#include "storage/index.h"
#include "storage/restore.h"
#include "storage/sql.h"
#include "tests/unit/scratch.h"

#define STUDY "1.2.3.4"
#define LEASE_MS 60000
#define REPORT_CLASS "1.2.840.10008.5.1.4.1.1.88.34"

struct fixture {
  char folder[SCRATCH_BYTES];
  struct lvn_index *index;
  struct lvn_error err;
};

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, fixture->err.message);                                                           \
    }                                                                                                                  \
  } while (0)

static inline int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture); /* allow: a test's own memory */
  if (fixture == NULL) {
    return -1;
  }
  (void)scratch_make(fixture->folder);
  if (!lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err)) {
    return -1;
  }
  *state = fixture;
  return 0;
}

static inline int tear_down(void **state) {
  struct fixture *fixture = *state;
  lvn_index_close(fixture->index);
  scratch_remove(fixture->folder);
  free(fixture); /* allow: a test's own memory */
  return 0;
}

static inline void reopen(struct fixture *fixture) {
  lvn_index_close(fixture->index);
  fixture->index = NULL;
  assert_good(lvn_index_open(fixture->folder, 3, &fixture->index, &fixture->err));
}

static inline struct lvn_index_object make_object(const char *sop_uid, uint8_t digest, enum lvn_index_role role,
                                                  int64_t received_ms) {
  struct lvn_index_object object = {.role = role, .modality = "CT", .patient_id = "P1", .issuer_of_patient_id = ""};
  (void)lvn_copy(object.record.sop_instance_uid, LVN_UID_BYTES, sop_uid);
  (void)lvn_copy(object.record.sop_class_uid, LVN_UID_BYTES, "1.2.840.10008.5.1.4.1.1.2");
  (void)lvn_copy(object.record.transfer_syntax_uid, LVN_UID_BYTES, "1.2.840.10008.1.2.1");
  (void)lvn_copy(object.record.study_instance_uid, LVN_UID_BYTES, STUDY);
  (void)snprintf(object.record.series_instance_uid, LVN_UID_BYTES, "1.2.3.4.%d", role == LVN_INDEX_ROLE_CT ? 1 : 2);
  (void)lvn_copy(object.record.calling_aet, sizeof object.record.calling_aet, "MODALITY");
  (void)lvn_copy(object.record.address, sizeof object.record.address, "127.0.0.1");
  object.record.received_ms = received_ms;
  object.record.byte_count = 100;
  memset(object.record.sha256, digest, LVN_SHA256_BYTES);
  return object;
}

static inline struct lvn_index_addition add(struct fixture *fixture, const struct lvn_index_object *object) {
  struct lvn_index_addition addition = {0};
  assert_good(lvn_index_add(fixture->index, object, object->record.received_ms + 1000, &addition, &fixture->err));
  return addition;
}

static inline struct lvn_index_study get_study(struct fixture *fixture) {
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

static const struct lvn_job_model model = {.name = "m", .version = "1", .digest = {7}};

/* The study settles; its job runs. */
static inline struct lvn_job run_next_job(struct fixture *fixture, const struct lvn_job_model *with, int64_t now_ms) {
  struct lvn_job job;
  int64_t job_id = 0;
  bool found = false;
  assert_good(lvn_index_study_settle(fixture->index, STUDY, &fixture->err));
  assert_good(lvn_queue_create(fixture->index, STUDY, with, now_ms, &job_id, &fixture->err));
  assert_good(lvn_queue_claim(fixture->index, now_ms, LEASE_MS, &job, &found, &fixture->err));
  assert_true(found);
  assert_int_equal(job.job_id, job_id);
  return job;
}

/* A settled study of one CT object and one ROI, with a job that runs. */
static inline struct lvn_job start_job(struct fixture *fixture) {
  struct lvn_index_object ct = make_object("1.1", 1, LVN_INDEX_ROLE_CT, 1000);
  struct lvn_index_object roi = make_object("1.2", 2, LVN_INDEX_ROLE_ROI, 1001);
  (void)add(fixture, &ct);
  (void)add(fixture, &roi);
  return run_next_job(fixture, &model, 5000);
}

static inline void finish_job(struct fixture *fixture, int64_t job_id, const char *sop_uid,
                              enum lvn_job_outcome outcome) {
  struct lvn_job_result result = {.sop_class_uid = REPORT_CLASS, .sha256 = {9}};
  const char *const destinations[] = {"pacs"};
  (void)lvn_copy(result.sop_instance_uid, sizeof result.sop_instance_uid, sop_uid);
  (void)lvn_copy(result.path, sizeof result.path, "/results/sr.dcm");
  const struct lvn_job_finish finish = {.job_id = job_id,
                                        .outcome = outcome,
                                        .status_message = outcome == LVN_OUTCOME_DONE ? "" : "waiting for a phase",
                                        .results = &result,
                                        .result_count = 1,
                                        .destinations = destinations,
                                        .destination_count = 1,
                                        .now_ms = 7000};
  assert_good(lvn_queue_finish(fixture->index, &finish, &fixture->err));
}

static inline struct lvn_outbox_row get_outbound(struct fixture *fixture, const char *sop_uid) {
  struct lvn_outbox_row *rows = NULL;
  struct lvn_outbox_row found = {0};
  size_t count = 0;
  assert_good(lvn_outbox_list(fixture->index, LVN_OUTBOX_ANY, 100, &rows, &count, &fixture->err));
  for (size_t i = 0; i < count; i++) {
    if (strcmp(rows[i].sop_instance_uid, sop_uid) == 0) {
      found = rows[i];
    }
  }
  lvn_free(rows);
  return found;
}

static inline bool finish_row(struct fixture *fixture, int64_t outbox_id, enum lvn_send_verdict verdict, int64_t status,
                              int64_t now_ms, int64_t not_before_ms) {
  const struct lvn_outbox_finish finish = {.outbox_id = outbox_id,
                                           .verdict = verdict,
                                           .status = status,
                                           .status_message = "its answer",
                                           .now_ms = now_ms,
                                           .not_before_ms = not_before_ms};
  return lvn_outbox_finish(fixture->index, &finish, &fixture->err);
}

#define index_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
