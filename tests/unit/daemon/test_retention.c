/* What retention removes and what it leaves, on real files, without a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/pipeline/pipeline_internal.h"
#include "daemon/pipeline/removal.h"
#include "dicom/scan/scan.h"
#include "tests/unit/scratch.h"

#define DATA LVN_TEST_DATA "/ct_liver_3slices/"
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static char folder[SCRATCH_BYTES];
static struct lvn_pipeline *pipeline;
static struct lvn_error err;
static char study_uid[LVN_UID_BYTES];

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(folder);
  pipeline = calloc(1, sizeof *pipeline); /* allow: a test's own memory */
  pipeline->config = (struct lvn_config){.keep_waiting_days = 30, .job_attempts_max = 1};
  (void)lvn_copy(pipeline->config.state_folder, sizeof pipeline->config.state_folder, folder);
  assert_good(lvn_index_open(folder, 1, &pipeline->index, &err));
  assert_good(lvn_objects_open(folder, &pipeline->objects, &err));
  assert_good(lvn_spool_open(folder, &pipeline->spool, &err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_spool_close(pipeline->spool);
  lvn_objects_close(pipeline->objects);
  lvn_index_close(pipeline->index);
  free(pipeline); /* allow: a test's own memory */
  scratch_remove(folder);
  return 0;
}

static void receive(const char *name, int64_t age_ms) {
  struct lvn_spool_writer *writer = NULL;
  struct lvn_scan scan;
  struct lvn_reception_record record = {.calling_aet = "PACS", .address = "127.0.0.1", .association_id = "test"};
  char path[LVN_PATH_BYTES];
  uint8_t *data = NULL;
  size_t bytes = 0;
  (void)snprintf(path, sizeof path, DATA "%s", name);
  assert_good(lvn_scan_file(path, &scan, &err));
  (void)lvn_copy(record.sop_class_uid, LVN_UID_BYTES, scan.sop_class_uid);
  (void)lvn_copy(record.sop_instance_uid, LVN_UID_BYTES, scan.sop_instance_uid);
  (void)lvn_copy(record.study_instance_uid, LVN_UID_BYTES, scan.study_instance_uid);
  (void)lvn_copy(record.series_instance_uid, LVN_UID_BYTES, scan.series_instance_uid);
  (void)lvn_copy(record.transfer_syntax_uid, LVN_UID_BYTES, scan.transfer_syntax_uid);
  (void)lvn_copy(study_uid, sizeof study_uid, scan.study_instance_uid);
  record.received_ms = lvn_clock_wall_ms() - age_ms;
  assert_good(lvn_file_read(path, 1U << 24, &data, &bytes, &err));
  assert_good(lvn_spool_begin(pipeline->spool, &writer, &err));
  assert_good(lvn_spool_write(writer, data, bytes, &err));
  assert_good(lvn_spool_commit(writer, &record, &err));
  lvn_free(data);
}

static bool count_object(void *user_data, const struct lvn_objects_entry *entry, struct lvn_error *ignored) {
  (void)entry;
  (void)ignored;
  (*(size_t *)user_data)++;
  return true;
}

static size_t count_objects(void) {
  size_t count = 0;
  assert_good(lvn_objects_each(pipeline->objects, count_object, &count, &err));
  return count;
}

static size_t count_studies(void) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = NULL};
  assert_good(lvn_index_list_studies(pipeline->index, &filter, &studies, &count, &err));
  return count;
}

static void receive_old_study(void) {
  receive("01.dcm", 40 * DAY_MS);
  receive("02.dcm", 40 * DAY_MS);
  lvn_ingest_turn(pipeline);
  assert_int_equal(count_objects(), 2);
  assert_int_equal(count_studies(), 1);
}

static void test_retention__removes_what_waited_too_long(void **state) {
  (void)state;
  receive_old_study();
  pipeline->config.keep_waiting_days = 0;
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 2);
  pipeline->config.keep_waiting_days = 41;
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 2);
  pipeline->config.keep_waiting_days = 39;
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 0);
  assert_int_equal(count_studies(), 0);
}

/* The peer was told "stored" a moment ago, or will be. */
static void test_retention__leaves_what_an_association_adds_to(void **state) {
  struct lvn_spool_marker *marker = NULL;
  (void)state;
  receive_old_study();
  assert_good(lvn_spool_marker_create(pipeline->spool, "0123456789abcdef", &marker, &err));
  assert_good(lvn_spool_marker_add_study(marker, study_uid, &err));
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 2);
  lvn_spool_marker_destroy(marker);
  receive("03.dcm", 40 * DAY_MS); /* waits for the index */
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 3);
  lvn_ingest_turn(pipeline);
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 0);
}

static void test_retention__starts_anew_with_each_reception(void **state) {
  (void)state;
  receive_old_study();
  receive("01.dcm", 0); /* bytes that are there already */
  lvn_ingest_turn(pipeline);
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 2);
  assert_int_equal(count_studies(), 1);
}

static void test_retention__does_not_believe_a_clock_that_jumped(void **state) {
  (void)state;
  receive_old_study();
  pipeline->config.keep_waiting_days = 0;
  lvn_retention_turn(pipeline);
  pipeline->config.keep_waiting_days = 30;
  pipeline->clock_guard.base_wall_ms -= 12 * 365 * DAY_MS; /* as if the clock had been set 12 years ahead */
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 2);
  assert_non_null(strstr(pipeline->retention_remark, "the clock moved by +4380.0 days"));
  memset(&pipeline->clock_guard, 0, sizeof pipeline->clock_guard); /* another process */
  lvn_retention_turn(pipeline);
  assert_int_equal(count_objects(), 2);
  pipeline->clock_guard.base_wall_ms += 12 * 365 * DAY_MS;
  lvn_retention_turn(pipeline);
  assert_string_equal(pipeline->retention_remark, "");
  assert_int_equal(count_objects(), 0);
}

static void write_list(const char *text) {
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/removing", folder);
  assert_good(lvn_file_make_folder(path, 0700, &err));
  (void)snprintf(path, sizeof path, "%s/removing/0123456789ab.json", folder);
  assert_good(lvn_file_replace(path, text, strlen(text), 0600, &err));
}

/* A list that a kill left: of what is a study's again, or came again since, nothing goes. */
static void test_retention__works_off_a_list_but_not_what_came_again(void **state) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  LVN_AUTOFREE uint8_t *digests = NULL;
  const struct lvn_removal removal = {
      .config = &pipeline->config, .index = pipeline->index, .objects = pipeline->objects};
  char first[LVN_SHA256_TEXT_BYTES];
  char second[LVN_SHA256_TEXT_BYTES];
  char text[512];
  size_t count = 0;
  (void)state;
  receive_old_study();
  assert_good(lvn_index_study_objects(pipeline->index, study_uid, &digests, &count, &err));
  assert_int_equal(count, 2);
  lvn_sha256_to_text(digests, first);
  lvn_sha256_to_text(digests + LVN_SHA256_BYTES, second);
  (void)snprintf(text, sizeof text, "{\"at_ms\":%lld,\"objects\":[\"%s\",\"%s\"],\"jobs\":[]}",
                 (long long)(lvn_clock_wall_ms() - DAY_MS), first, second);
  write_list(text);
  assert_good(lvn_removal_finish_pending(&removal, &err));
  assert_int_equal(count_objects(), 2); /* the index has them */
  assert_good(lvn_index_study_delete(pipeline->index, study_uid, &err));
  receive("01.dcm", 0);
  lvn_ingest_turn(pipeline);
  assert_good(lvn_index_study_delete(pipeline->index, study_uid, &err)); /* as if the index were lost */
  write_list(text);
  assert_good(lvn_removal_finish_pending(&removal, &err));
  assert_int_equal(count_objects(), 1); /* the one that was received since the list was written */
  write_list("nonsense");
  assert_good(lvn_removal_finish_pending(&removal, &err));
  assert_int_equal(count_objects(), 1);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_retention__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(removes_what_waited_too_long),
      CASE(leaves_what_an_association_adds_to),
      CASE(starts_anew_with_each_reception),
      CASE(does_not_believe_a_clock_that_jumped),
      CASE(works_off_a_list_but_not_what_came_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
