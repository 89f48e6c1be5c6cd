/* The door of what was fetched: the same bytes under the same digest as by C-STORE, and nothing of what is damaged. */
#include "tests/unit/daemon/module_fixture.h"

#include <dirent.h>

#include "daemon/pipeline/shared/intake.h"
#include "dicom/scan/meta.h"

#define SLICE LVN_TEST_DATA "/ct_liver_3slices/"

static struct lvn_intake *intake;

static int set_up(void **state) {
  (void)state;
  open_store();
  const struct lvn_intake_options options = {.config = &config, .spool = spool, .aet = "CT1", .address = "192.0.2.1"};
  assert_good(lvn_intake_open(&options, &intake, &err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_intake_close(intake);
  close_store();
  return 0;
}

/* Of the fixture's first file. */
static uint8_t *read_slice(size_t *ret_bytes) {
  struct lvn_file_names names = {0};
  uint8_t *data = NULL;
  assert_good(lvn_file_walk(SLICE, 100, &names, &err));
  for (size_t i = 0; i < names.count && data == NULL; i++) {
    if (strstr(names.names[i], ".dcm") != NULL) {
      assert_good(lvn_file_read(names.names[i], 1U << 24, &data, ret_bytes, &err));
    }
  }
  lvn_file_names_clear(&names);
  assert_non_null(data);
  return data;
}

static bool put(const uint8_t *data, size_t bytes, size_t step) {
  bool good = lvn_intake_begin(intake, &err);
  for (size_t at = 0; good && at < bytes; at += step) {
    good = lvn_intake_data(intake, data + at, step < bytes - at ? step : bytes - at, &err);
  }
  return good && lvn_intake_end(intake, &err);
}

static size_t count_new(void) {
  struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 1000, &paths, &err));
  size_t count = paths.count;
  lvn_file_names_clear(&paths);
  return count;
}

static void test_intake__object_in_any_pieces(void **state) {
  static const size_t steps[] = {1U << 24, 1000, 131, 7};
  size_t bytes = 0;
  LVN_AUTOFREE uint8_t *data = read_slice(&bytes);
  uint8_t digest[LVN_SHA256_BYTES];
  struct lvn_meta meta;
  bool is_whole = false;
  (void)state;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    assert_good(put(data, bytes, steps[i]));
    const struct lvn_reception_record *record = lvn_intake_get_last(intake);
    assert_int_equal(record->already_stored, i > 0); /* the same digest each time */
    assert_string_equal(record->calling_aet, "CT1");
  }
  assert_int_equal(lvn_intake_get_counts(intake).stored, 4);
  assert_int_equal(lvn_intake_get_counts(intake).duplicate, 3);
  /* As a C-STORE had left it: our header, then the data set's own bytes. */
  const struct lvn_reception_record *record = lvn_intake_get_last(intake);
  assert_good(lvn_meta_parse(data, bytes, &meta, &is_whole, &err) && is_whole);
  uint8_t header[LVN_META_BYTES_MAX];
  size_t header_bytes = 0;
  struct lvn_sha256 *sha = NULL;
  assert_good(lvn_meta_format(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid, header,
                              &header_bytes, &err));
  assert_good(lvn_sha256_create(&sha, &err) && lvn_sha256_update(sha, header, header_bytes, &err) &&
              lvn_sha256_update(sha, data + meta.dataset_offset, bytes - meta.dataset_offset, &err) &&
              lvn_sha256_finish(sha, digest, &err));
  lvn_sha256_destroy(sha);
  assert_memory_equal(record->sha256, digest, sizeof digest);
}

static void test_intake__its_study_is_open_while_it_is(void **state) {
  size_t bytes = 0;
  LVN_AUTOFREE uint8_t *data = read_slice(&bytes);
  struct lvn_file_names open_studies = {0};
  (void)state;
  assert_good(put(data, bytes, bytes));
  assert_good(lvn_spool_open_studies(spool, &open_studies, &err));
  assert_true(lvn_spool_is_open_study(&open_studies, lvn_intake_get_last(intake)->study_instance_uid));
  lvn_file_names_clear(&open_studies);
  lvn_intake_close(intake);
  intake = NULL;
  assert_good(lvn_spool_open_studies(spool, &open_studies, &err));
  assert_int_equal(open_studies.count, 0);
  lvn_file_names_clear(&open_studies);
}

/* Whatever is cut off or changed: an error or an object that the scan can read, and nothing else in the spool. */
static void test_intake__damaged_objects(void **state) {
  size_t bytes = 0;
  LVN_AUTOFREE uint8_t *data = read_slice(&bytes);
  size_t stored = 0;
  (void)state;
  assert_false(put(data, 0, 1));
  assert_false(put(data, 100, 10));
  assert_false(put(data, 140, 10));
  assert_false(put((const uint8_t *)"<html>", 6, 6));
  assert_int_equal(count_new(), 0);
  for (size_t i = 0; i < 400; i++) {
    uint8_t saved = data[132 + i];
    data[132 + i] = (uint8_t)(saved ^ 0xff);
    stored += put(data, bytes, 4096) ? 1 : 0;
    data[132 + i] = saved;
  }
  assert_int_equal(count_new(), stored);
  assert_true(stored < 400);
  data[128] = 'X';
  assert_false(put(data, bytes, bytes));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

static void test_intake__full_disk(void **state) {
  size_t bytes = 0;
  LVN_AUTOFREE uint8_t *data = read_slice(&bytes);
  (void)state;
  config.spool_reserve_bytes = UINT64_MAX;
  assert_false(put(data, bytes, bytes));
  assert_int_equal(err.code, LVN_ERROR_NOSPACE);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_intake__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(object_in_any_pieces),
      CASE(its_study_is_open_while_it_is),
      CASE(damaged_objects),
      CASE(full_disk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
