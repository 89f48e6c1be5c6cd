/* Reception at the level of the association's handler, on a real spool in a temporary folder and a real CT slice: what
 * is acknowledged is durable and byte for byte the sender's, what is refused leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/receiver/slots.h"
#include "daemon/receiver/store.h"
#include "dicom/scan/identity.h"
#include "dicom/scan/meta.h"
#include "dicom/scan/scan.h"
#include "storage/spool.h"
#include "tests/unit/scratch.h"

#define SLICE LVN_TEST_DATA "/ct_liver_3slices/01.dcm"

static char folder[SCRATCH_BYTES];
static struct lvn_config config;
static struct lvn_error err;
static struct lvn_spool *spool;
static struct lvn_slots *slots;
static struct lvn_store *store;
static struct lvn_storage_handler handler;
static struct lvn_scan scan;
static uint8_t *file;
static size_t file_bytes;

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static void open_store(bool is_over_limit) {
  const struct lvn_store_options options = {
      .config = &config, .spool = spool, .slots = slots, .slot = 0, .is_over_limit = is_over_limit};
  assert_good(lvn_store_create(&options, &store, &err));
  lvn_store_get_handler(store, &handler);
}

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(folder);
  config = (struct lvn_config){.ae_title = "LIVERVLM", .check_called_aet = true, .peer_count = 1};
  (void)lvn_copy(config.state_folder, sizeof config.state_folder, folder);
  config.peers[0] = (struct lvn_config_peer){
      .name = "ct", .aet = "CT1", .host = "192.0.2.7", .may_send = true, .max_associations = 1};
  lvn_log_setup("receiver", LVN_LOG_ERROR);
  assert_good(lvn_spool_open(folder, &spool, &err));
  assert_good(lvn_slots_create(4, &slots, &err));
  assert_good(lvn_file_read(SLICE, 1U << 24, &file, &file_bytes, &err));
  assert_good(lvn_scan_file(SLICE, &scan, &err));
  open_store(false);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_store_destroy(store);
  lvn_spool_close(spool);
  lvn_slots_destroy(slots);
  lvn_free(file);
  scratch_remove(folder);
  return 0;
}

static size_t count_files(const char *sub_folder) {
  struct lvn_file_names names = {0};
  char path[LVN_PATH_BYTES];
  assert_good(lvn_path_join(path, folder, sub_folder, &err));
  assert_good(lvn_file_list(path, 1000, &names, &err));
  size_t count = names.count;
  lvn_file_names_clear(&names);
  return count;
}

static enum lvn_admission call_from(const char *calling, const char *called, const char *address) {
  const struct lvn_association_peer caller = {.calling_aet = calling, .called_aet = called, .address = address};
  return lvn_store_admit(store, &caller);
}

static void admit(void) {
  assert_int_equal(call_from("CT1", "LIVERVLM", "192.0.2.7"), LVN_ADMIT);
}

static uint16_t begin_as(const char *sop_class_uid, const char *sop_instance_uid) {
  const struct lvn_storage_object object = {.sop_class_uid = sop_class_uid,
                                            .sop_instance_uid = sop_instance_uid,
                                            .transfer_syntax_uid = scan.transfer_syntax_uid};
  return handler.begin(handler.user_data, &object);
}

/* In pieces, as PDVs come. */
static void send_data(const uint8_t *bytes, size_t count) {
  for (size_t done = 0; done < count;) {
    size_t piece = count - done < 16000 ? count - done : 16000;
    handler.data(handler.user_data, bytes + done, piece);
    done += piece;
  }
}

static uint16_t store_slice(void) {
  uint16_t status = begin_as(scan.sop_class_uid, scan.sop_instance_uid);
  if (status == LVN_STORE_SUCCESS) {
    send_data(file + scan.dataset_offset, file_bytes - scan.dataset_offset);
    status = handler.end(handler.user_data, LVN_END_WHOLE);
  }
  return status;
}

/* Paths of the stored objects, without their records. */
static void list_objects(struct lvn_file_names *ret_paths) {
  char path[LVN_PATH_BYTES];
  size_t kept = 0;
  assert_good(lvn_path_join(path, folder, "objects", &err));
  assert_good(lvn_file_walk(path, 1000, ret_paths, &err));
  for (size_t i = 0; i < ret_paths->count; i++) {
    char *name = ret_paths->names[i];
    if (strcmp(name + strlen(name) - 4, ".dcm") == 0) {
      ret_paths->names[i] = ret_paths->names[kept];
      ret_paths->names[kept++] = name;
    }
  }
  while (ret_paths->count > kept) {
    lvn_free(ret_paths->names[--ret_paths->count]);
  }
}

static void assert_nothing_left(void) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names objects = {0};
  assert_int_equal(count_files("spool/tmp"), 0);
  assert_int_equal(count_files("spool/new"), 0);
  list_objects(&objects);
  assert_int_equal(objects.count, 0);
}

static void test_receiver__keeps_the_bytes_and_the_record(void **state) {
  struct lvn_file_names paths = {0};
  struct lvn_file_names studies = {0};
  struct lvn_file_names objects = {0};
  struct lvn_scan stored_scan;
  struct lvn_reception_record record;
  struct lvn_store_counts counts;
  uint8_t *stored = NULL;
  size_t stored_bytes = 0;
  (void)state;
  admit();
  assert_int_equal(store_slice(), LVN_STORE_SUCCESS);
  assert_good(lvn_spool_list_new(spool, 10, &paths, &err));
  assert_int_equal(paths.count, 1);
  list_objects(&objects);
  assert_int_equal(objects.count, 1);
  assert_good(lvn_scan_file(objects.names[0], &stored_scan, &err));
  assert_good(lvn_file_read(objects.names[0], 1U << 24, &stored, &stored_bytes, &err));
  size_t dataset_bytes = file_bytes - scan.dataset_offset;
  assert_int_equal(stored_bytes - stored_scan.dataset_offset, dataset_bytes);
  assert_memory_equal(stored + stored_scan.dataset_offset, file + scan.dataset_offset, dataset_bytes);
  assert_string_equal(stored_scan.transfer_syntax_uid, scan.transfer_syntax_uid);
  assert_good(lvn_spool_read_record(paths.names[0], &record, &err));
  assert_string_equal(record.calling_aet, "CT1");
  assert_string_equal(record.address, "192.0.2.7");
  assert_true(lvn_spool_may_be_of_study(&record, scan.study_instance_uid, /* if_unknown= */ false));
  assert_int_equal(strlen(record.association_id), 32);
  assert_good(lvn_spool_open_studies(spool, &studies, &err)); /* the association is still open */
  assert_int_equal(studies.count, 1);
  assert_string_equal(studies.names[0], scan.study_instance_uid);
  lvn_file_names_clear(&studies);
  lvn_store_get_counts(store, &counts);
  assert_int_equal(counts.stored, 1);
  assert_int_equal(counts.duplicate, 0);
  assert_int_equal(counts.bytes, stored_bytes);
  lvn_store_destroy(store);
  store = NULL;
  assert_int_equal(count_files("spool/open"), 0);
  lvn_free(stored);
  lvn_file_names_clear(&objects);
  lvn_file_names_clear(&paths);
}

static void test_receiver__acknowledges_the_same_object_twice(void **state) {
  struct lvn_store_counts counts;
  (void)state;
  admit();
  assert_int_equal(store_slice(), LVN_STORE_SUCCESS);
  assert_int_equal(store_slice(), LVN_STORE_SUCCESS);
  lvn_store_get_counts(store, &counts);
  assert_int_equal(counts.stored, 2);
  assert_int_equal(counts.duplicate, 1);
  assert_int_equal(count_files("spool/new"), 2); /* each reception counts */
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names objects = {0};
  list_objects(&objects);
  assert_int_equal(objects.count, 1);
}

static void test_receiver__refuses_a_data_set_of_another_instance(void **state) {
  struct lvn_store_counts counts;
  (void)state;
  admit();
  assert_int_equal(begin_as(scan.sop_class_uid, "1.2.3.4"), LVN_STORE_SUCCESS);
  send_data(file + scan.dataset_offset, file_bytes - scan.dataset_offset);
  assert_int_equal(handler.end(handler.user_data, LVN_END_WHOLE), LVN_STORE_DATASET_MISMATCH);
  assert_int_equal(begin_as("1.2.840.10008.5.1.4.1.1.4", scan.sop_instance_uid), LVN_STORE_SUCCESS);
  send_data(file + scan.dataset_offset, file_bytes - scan.dataset_offset);
  assert_int_equal(handler.end(handler.user_data, LVN_END_WHOLE), LVN_STORE_DATASET_MISMATCH);
  assert_nothing_left();
  lvn_store_get_counts(store, &counts);
  assert_int_equal(counts.refused, 2);
  assert_int_equal(counts.stored, 0);
}

static void test_receiver__refuses_what_it_cannot_read(void **state) {
  static const uint8_t noise[1000] = {0xff, 0x13, 0x77};
  (void)state;
  admit();
  assert_int_equal(begin_as(scan.sop_class_uid, scan.sop_instance_uid), LVN_STORE_SUCCESS);
  send_data(noise, sizeof noise);
  assert_int_equal(handler.end(handler.user_data, LVN_END_WHOLE), LVN_STORE_CANNOT_UNDERSTAND);
  assert_int_equal(begin_as("not a uid", scan.sop_instance_uid), LVN_STORE_CANNOT_UNDERSTAND);
  assert_nothing_left();
}

/* What the node logged, while the test is quiet otherwise. */
static int start_of_log(void) {
  int saved_fd = dup(STDERR_FILENO); /* allow: a test's own descriptor */
  FILE *file_of_log = tmpfile();
  assert_non_null(file_of_log);
  lvn_log_setup("receiver", LVN_LOG_WARNING);
  assert_true(dup2(fileno(file_of_log), STDERR_FILENO) >= 0);
  (void)fclose(file_of_log);
  return saved_fd;
}

static void end_of_log(int saved_fd, char ret_text[4096]) {
  ssize_t bytes = pread(STDERR_FILENO, ret_text, 4095, 0);
  ret_text[bytes > 0 ? bytes : 0] = '\0';
  assert_true(dup2(saved_fd, STDERR_FILENO) >= 0);
  (void)close(saved_fd);
  lvn_log_setup("receiver", LVN_LOG_ERROR);
}

/* The log names the status that the peer got. */
static void test_receiver__logs_the_status_that_was_answered(void **state) {
  static const struct {
    enum lvn_storage_end how;
    uint16_t status;
    const char *words;
  } cases[] = {{LVN_END_TOO_LARGE, LVN_STORE_OUT_OF_RESOURCES, "status=0xa700 reason=\"larger than max_object_bytes\""},
               {LVN_END_OTHER_CLASS, LVN_STORE_DATASET_MISMATCH, "status=0xa900 reason=\"of another SOP class"},
               {LVN_END_CUT_OFF, LVN_STORE_CANNOT_UNDERSTAND, "event=object-cut-off"}};
  char text[4096];
  (void)state;
  admit();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(begin_as(scan.sop_class_uid, scan.sop_instance_uid), LVN_STORE_SUCCESS);
    send_data(file, 1000);
    int saved_fd = start_of_log();
    uint16_t status = handler.end(handler.user_data, cases[i].how);
    end_of_log(saved_fd, text);
    assert_int_equal(status, cases[i].status);
    assert_non_null(strstr(text, cases[i].words));
    assert_nothing_left();
  }
  int saved_fd = start_of_log();
  handler.limit_reached(handler.user_data);
  end_of_log(saved_fd, text);
  assert_non_null(strstr(text, "event=object-limit"));
  assert_non_null(strstr(text, "peer=ct"));
}

static void test_receiver__removes_what_was_cut_off(void **state) {
  (void)state;
  admit();
  assert_int_equal(begin_as(scan.sop_class_uid, scan.sop_instance_uid), LVN_STORE_SUCCESS);
  send_data(file + scan.dataset_offset, 40000);
  assert_int_equal(count_files("spool/tmp"), 1);
  assert_int_not_equal(handler.end(handler.user_data, LVN_END_CUT_OFF), LVN_STORE_SUCCESS);
  assert_nothing_left();
  assert_int_equal(begin_as(scan.sop_class_uid, scan.sop_instance_uid), LVN_STORE_SUCCESS);
  lvn_store_destroy(store); /* the association ends within an object */
  store = NULL;
  assert_nothing_left();
}

static void test_receiver__answers_out_of_resources_on_a_full_disk(void **state) {
  (void)state;
  admit();
  config.spool_reserve_bytes = UINT64_MAX;
  assert_int_equal(store_slice(), LVN_STORE_OUT_OF_RESOURCES);
  assert_nothing_left();
  config.spool_reserve_bytes = 0;
  assert_int_equal(store_slice(), LVN_STORE_SUCCESS);
}

static void test_receiver__admits_only_who_is_configured(void **state) {
  (void)state;
  assert_int_equal(call_from("NOBODY", "LIVERVLM", "192.0.2.7"), LVN_REJECT_CALLING_AET);
  assert_int_equal(call_from("CT1", "LIVERVLM", "192.0.2.8"), LVN_REJECT_CALLING_AET);
  assert_int_equal(call_from("CT1", "OTHER", "192.0.2.7"), LVN_REJECT_CALLED_AET);
  assert_int_equal(count_files("spool/open"), 0);
  config.check_called_aet = false;
  assert_int_equal(call_from("CT1", "OTHER", "192.0.2.7"), LVN_ADMIT);
  assert_int_equal(count_files("spool/open"), 1);
}

static void test_receiver__asks_to_come_back_later(void **state) {
  (void)state;
  config.spool_low_water_bytes = UINT64_MAX;
  assert_int_equal(call_from("CT1", "LIVERVLM", "192.0.2.7"), LVN_REJECT_BUSY);
  config.spool_low_water_bytes = 0;
  assert_true(lvn_slots_admit(slots, 1, "ct", 1)); /* the peer's only place, taken by another child */
  assert_int_equal(call_from("CT1", "LIVERVLM", "192.0.2.7"), LVN_REJECT_BUSY);
  assert_false(lvn_slots_is_admitted(slots, 0));
  lvn_slots_clear(slots, 1);
  assert_int_equal(call_from("CT1", "LIVERVLM", "192.0.2.7"), LVN_ADMIT);
  assert_true(lvn_slots_is_admitted(slots, 0));
  lvn_store_destroy(store);
  lvn_slots_clear(slots, 0);
  open_store(true);
  assert_int_equal(call_from("CT1", "LIVERVLM", "192.0.2.7"), LVN_REJECT_BUSY);
}

static void test_slots__counts_each_peer_for_itself(void **state) {
  (void)state;
  assert_true(lvn_slots_admit(slots, 0, "a", 2));
  assert_true(lvn_slots_admit(slots, 1, "a", 2));
  assert_false(lvn_slots_admit(slots, 2, "a", 2));
  assert_true(lvn_slots_admit(slots, 2, "b", 1));
  assert_false(lvn_slots_admit(slots, 3, "b", 1));
  lvn_slots_clear(slots, 0);
  assert_true(lvn_slots_admit(slots, 3, "a", 2));
}

static void test_meta__is_a_header_that_the_scanner_reads(void **state) {
  uint8_t header[LVN_META_BYTES_MAX];
  size_t bytes = 0;
  (void)state;
  assert_good(lvn_meta_format("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1", header, &bytes, &err));
  assert_memory_equal(header + 128, "DICM\x02\x00\x00\x00UL\x04\x00", 12);
  assert_int_equal(header[140] | header[141] << 8, bytes - 144); /* (0002,0000): what follows it */
  assert_int_equal(bytes % 2, 0);
  assert_non_null(memmem(header, bytes, LVN_IMPLEMENTATION_CLASS_UID, strlen(LVN_IMPLEMENTATION_CLASS_UID)));
  char longest[LVN_UID_BYTES];
  memset(longest, '1', sizeof longest - 1);
  longest[1] = '.';
  longest[sizeof longest - 1] = '\0';
  assert_good(lvn_meta_format(longest, longest, longest, header, &bytes, &err));
  assert_true(bytes <= sizeof header);
  assert_false(lvn_meta_format("1.2", "../etc", "1.2", header, &bytes, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

#define case_of(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      case_of(test_receiver__keeps_the_bytes_and_the_record),
      case_of(test_receiver__acknowledges_the_same_object_twice),
      case_of(test_receiver__refuses_a_data_set_of_another_instance),
      case_of(test_receiver__refuses_what_it_cannot_read),
      case_of(test_receiver__logs_the_status_that_was_answered),
      case_of(test_receiver__removes_what_was_cut_off),
      case_of(test_receiver__answers_out_of_resources_on_a_full_disk),
      case_of(test_receiver__admits_only_who_is_configured),
      case_of(test_receiver__asks_to_come_back_later),
      case_of(test_slots__counts_each_peer_for_itself),
      case_of(test_meta__is_a_header_that_the_scanner_reads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
