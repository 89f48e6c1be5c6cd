/* What a module of the pipeline is tested on: a real index, object store and spool in a scratch folder. After cmocka.h.
 */
#ifndef LVN_TESTS_MODULE_FIXTURE_H
#define LVN_TESTS_MODULE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/pipeline/ingest/ingest.h"
#include "daemon/pipeline/shared/tick.h"
#include "dicom/scan/scan.h"
#include "storage/index.h"
#include "storage/objects.h"
#include "storage/spool.h"
#include "tests/unit/scratch.h"

#define DATA LVN_TEST_DATA "/ct_liver_3slices/"
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static char folder[SCRATCH_BYTES]; /* state and run folder */
static struct lvn_config config;
static struct lvn_index *index_;
static struct lvn_objects *objects;
static struct lvn_spool *spool;
static struct lvn_ingest *ingest;
static struct lvn_error err;
static char study_uid[LVN_UID_BYTES]; /* of the object that was received last */

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static inline void open_store(void) {
  (void)scratch_make(folder);
  config = (struct lvn_config){.job_attempts_max = 2, .job_seconds_max = 3600, .retry_max_seconds = 1};
  (void)lvn_copy(config.state_folder, sizeof config.state_folder, folder);
  (void)lvn_copy(config.run_folder, sizeof config.run_folder, folder);
  assert_good(lvn_index_open(folder, config.job_attempts_max, &index_, &err));
  assert_good(lvn_objects_open(folder, &objects, &err));
  assert_good(lvn_spool_open(folder, &spool, &err));
  const struct lvn_ingest_needs needs = {.config = &config, .index = index_, .objects = objects, .spool = spool};
  assert_good(lvn_ingest_create(&needs, &ingest, &err));
}

static inline void close_store(void) {
  lvn_ingest_destroy(ingest);
  lvn_spool_close(spool);
  lvn_objects_close(objects);
  lvn_index_close(index_);
  scratch_remove(folder);
}

/* As an association's child does. */
static inline void receive(const char *name, int64_t age_ms) {
  struct lvn_spool_writer *writer = NULL;
  struct lvn_scan scan;
  struct lvn_reception_record record = {.calling_aet = "PACS", .address = "127.0.0.1", .association_id = "test"};
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
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
  assert_good(lvn_spool_begin(spool, &writer, &err));
  assert_good(lvn_spool_write(writer, data, bytes, &err));
  assert_good(lvn_spool_commit(writer, &record, &err));
}

/* Received and in the index. */
static inline void take(const char *name, int64_t age_ms) {
  receive(name, age_ms);
  (void)lvn_ingest_tick(ingest, lvn_tick_now_ms());
}

static inline void take_study(int64_t age_ms) {
  take("01.dcm", age_ms);
  take("02.dcm", age_ms);
  take("03.dcm", age_ms);
  take("liver.dcm", age_ms);
}

static inline size_t count_studies(void) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_ANY};
  assert_good(lvn_index_list_studies(index_, &filter, &studies, &count, &err));
  return count;
}

/* The only one. */
static inline struct lvn_index_study get_study(void) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_ANY};
  assert_good(lvn_index_list_studies(index_, &filter, &studies, &count, &err));
  assert_int_equal(count, 1);
  return studies[0];
}

static inline size_t count_waiting(void) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 1000, &paths, &err));
  return paths.count;
}

/* A file where a folder should be: whoever needs the folder fails, until it is gone. */
static inline void put_obstacle(const char *name) {
  char path[LVN_PATH_BYTES];
  assert_good(lvn_path_join(path, folder, name, &err));
  assert_good(lvn_file_replace(path, "", 0, 0600, &err));
}

static inline void remove_obstacle(const char *name) {
  char path[LVN_PATH_BYTES];
  assert_good(lvn_path_join(path, folder, name, &err));
  assert_int_equal(remove(path), 0);
}

#endif
