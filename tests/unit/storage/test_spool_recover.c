/* What a power cut leaves, step by step, and the state of release 0.1.0. */
#include "spool_fixture.h"

#include <fcntl.h>
#include <sys/xattr.h>

#define FACTS_NAME "user.livervlm.facts"

/* The names in spool/new are not synced: a power cut right after 0x0000 may take them. */
static void test_spool_recover__a_power_cut_after_the_answer_loses_nothing(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  char path[LVN_PATH_BYTES];
  struct lvn_reception_record read_back;
  (void)state;
  struct lvn_reception_record taken = receive(spool, "taken");
  (void)finish_all(spool);
  struct lvn_reception_record first = receive_at(spool, "first", 1000);
  struct lvn_reception_record again = receive_at(spool, "taken", 2000);
  cut_power(test_folder);
  lvn_spool_close(spool);
  spool = open_spool(test_folder);
  struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 10, &paths, &err));
  assert_int_equal(paths.count, 2);
  path_of_again(spool, &first, path);
  assert_string_equal(paths.names[0], path);
  path_of_again(spool, &again, path);
  assert_string_equal(paths.names[1], path);
  assert_good(lvn_spool_read_record(path, &read_back, &err));
  assert_int_equal(read_back.received_ms, 2000);
  assert_true(read_back.already_stored); /* or it would count as mended */
  assert_string_equal(read_back.calling_aet, "MODALITY");
  assert_true(lvn_spool_may_be_of_study(&read_back, "1.2", /* if_unknown= */ true)); /* it is in the object */
  assert_false(lvn_spool_may_be_of_study(&read_back, "1.2", /* if_unknown= */ false));
  assert_memory_equal(read_back.sha256, taken.sha256, LVN_SHA256_BYTES);
  lvn_file_names_clear(&paths);
  (void)finish_all(spool);
  cut_power(test_folder); /* nothing waits any longer */
  lvn_spool_close(spool);
  spool = open_spool(test_folder);
  assert_int_equal(finish_all(spool), 0);
  lvn_spool_close(spool);
}

/* The store may be large: within one boot it is not looked through. */
static void test_spool_recover__within_one_boot_only_when_asked(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record record = receive(spool, "x");
  char path[LVN_PATH_BYTES];
  (void)state;
  path_of_new(spool, &record, path);
  assert_int_equal(unlink(path), 0);
  lvn_spool_close(spool);
  spool = open_spool(test_folder);
  assert_counts(test_folder, 0, 0, 0);
  assert_good(lvn_spool_recover(spool, /* always= */ true, &err));
  path_of_again(spool, &record, path);
  assert_true(lvn_file_exists(path));
  assert_good(lvn_spool_recover(spool, /* always= */ true, &err)); /* what is announced is not announced twice */
  assert_counts(test_folder, 0, 1, 0);
  lvn_spool_close(spool);
}

/* The index has committed; the rename of the record, which is not synced, is taken back. */
static void test_spool_recover__a_finish_that_was_lost_is_done_again(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record record = receive(spool, "x");
  char stored[LVN_PATH_BYTES];
  char waiting[LVN_PATH_BYTES];
  (void)state;
  (void)finish_all(spool);
  path_of_record(test_folder, &record, LVN_OBJECTS_RECORD, stored);
  path_of_record(test_folder, &record, LVN_OBJECTS_WAITING, waiting);
  assert_int_equal(rename(stored, waiting), 0);
  cut_power(test_folder);
  lvn_spool_close(spool);
  spool = open_spool(test_folder);
  assert_int_equal(finish_all(spool), 1);
  assert_true(lvn_file_exists(stored));
  assert_false(lvn_file_exists(waiting));
  lvn_spool_close(spool);
}

/* Written as JSON by a development version; the record in the store still waits. */
static void test_spool_recover__another_form_of_announcement_is_made_again(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record record = receive(spool, "x");
  char path[LVN_PATH_BYTES];
  char boot[LVN_PATH_BYTES];
  uint8_t *id = NULL;
  size_t bytes = 0;
  (void)state;
  (void)snprintf(boot, sizeof boot, "%s/spool/boot", test_folder);
  assert_good(lvn_file_read(boot, 100, &id, &bytes, &err));
  cut_power(test_folder);
  assert_good(lvn_file_replace(boot, id, (size_t)(strchr((char *)id, '\n') + 1 - (char *)id), 0600, &err));
  (void)snprintf(path, sizeof path, "%s/spool/new/0000000000000000001-aa.json", test_folder);
  assert_good(lvn_file_replace(path, "{}", 2, 0600, &err));
  lvn_spool_close(spool);
  spool = open_spool(test_folder);
  assert_counts(test_folder, 0, 1, 0);
  path_of_again(spool, &record, path);
  assert_true(lvn_file_exists(path));
  lvn_free(id);
  lvn_spool_close(spool);
}

/* Before the folder was synced, any of its names may be missing; nothing was acknowledged. */
static void test_spool_recover__half_of_a_commit(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record without_object = receive(spool, "without an object");
  struct lvn_reception_record without_record = receive(spool, "without a record");
  char path[LVN_PATH_BYTES];
  bool is_lost = false;
  (void)state;
  path_in_store(test_folder, &without_object, ".dcm", path);
  assert_int_equal(unlink(path), 0);
  path_of_record(test_folder, &without_record, LVN_OBJECTS_WAITING, path);
  assert_int_equal(unlink(path), 0);
  cut_power(test_folder);
  lvn_spool_close(spool);
  spool = open_spool(test_folder);
  assert_counts(test_folder, 0, 1, 0);
  path_of_again(spool, &without_object, path);
  assert_good(lvn_spool_set_aside(spool, path, /* keeps_object= */ false, &is_lost, &err));
  assert_true(is_lost);
  assert_counts(test_folder, 0, 0, 0);
  assert_false(receive(spool, "without an object").already_stored);
  without_record = receive(spool, "without a record");
  assert_true(without_record.already_stored);
  assert_int_equal(finish_all(spool), 2);
  assert_true(has_record(test_folder, &without_record, LVN_OBJECTS_RECORD));
  lvn_spool_close(spool);
}

static void test_spool_recover__set_aside_keeps_object_and_records(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record first = receive(spool, "unreadable");
  struct lvn_reception_record second = receive(spool, "unreadable");
  char path[LVN_PATH_BYTES];
  char folder[LVN_PATH_BYTES];
  bool is_lost = false;
  struct lvn_file_names names = {0};
  (void)state;
  path_of_new(spool, &first, path);
  assert_good(lvn_spool_set_aside(spool, path, /* keeps_object= */ false, &is_lost, &err));
  assert_false(is_lost);
  path_of_new(spool, &second, path);
  assert_good(lvn_spool_set_aside(spool, path, /* keeps_object= */ false, &is_lost, &err));
  assert_false(is_lost);
  assert_counts(test_folder, 0, 0, 0);
  path_in_store(test_folder, &first, ".dcm", path);
  assert_false(lvn_file_exists(path));
  assert_good(lvn_path_join(folder, test_folder, "unreadable", &err));
  assert_good(lvn_file_list(folder, 10, &names, &err));
  assert_int_equal(names.count, 3);
  lvn_file_names_clear(&names);
  lvn_spool_close(spool);
}

/* ---- 0.1.0 ---- */

static void write_old(const char *path, const char *text, const char *record) {
  char beside[LVN_PATH_BYTES];
  assert_good(lvn_file_replace(path, text, strlen(text), 0600, &err));
  if (setxattr(path, FACTS_NAME, record, strlen(record), 0) != 0) { /* as 0.1.0 did on such file systems */
    (void)snprintf(beside, sizeof beside, "%.*s.json", (int)(strlen(path) - 4), path);
    assert_good(lvn_file_replace(beside, record, strlen(record), 0600, &err));
  }
}

static void old_record(const struct lvn_reception_record *record, char ret_text[1024]) {
  char sha256[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(record->sha256, sha256);
  (void)snprintf(
      ret_text, 1024,
      "{\"sop_class_uid\":\"%s\",\"sop_instance_uid\":\"%s\",\"transfer_syntax_uid\":\"%s\","
      "\"study_instance_uid\":\"%s\",\"series_instance_uid\":\"%s\",\"calling_aet\":\"%s\",\"address\":\"%s\","
      "\"association_id\":\"%s\",\"received_ms\":%lld,\"sequence\":%lld,\"byte_count\":%llu,\"sha256\":\"%s\"}",
      record->sop_class_uid, record->sop_instance_uid, record->transfer_syntax_uid, record->study_instance_uid,
      record->series_instance_uid, record->calling_aet, record->address, record->association_id,
      (long long)record->received_ms, (long long)record->sequence, (unsigned long long)record->byte_count, sha256);
}

static struct lvn_reception_record old_object(const char *text, int64_t sequence) {
  struct lvn_reception_record record = make_record();
  struct lvn_sha256 *digest = NULL;
  record.sequence = sequence;
  record.byte_count = strlen(text);
  assert_good(lvn_sha256_create(&digest, &err));
  assert_good(lvn_sha256_update(digest, text, strlen(text), &err));
  assert_good(lvn_sha256_finish(digest, record.sha256, &err));
  lvn_sha256_destroy(digest);
  return record;
}

/* "<sha256>.obj", or the name of an object that came again. */
static void wait_as_before(const struct lvn_reception_record *record, const char *text, const char *more) {
  char path[LVN_PATH_BYTES];
  char facts[1024];
  char digits[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(record->sha256, digits);
  old_record(record, facts);
  (void)snprintf(path, sizeof path, "%s/spool/new/%s%s.obj", test_folder, digits, more);
  write_old(path, text, facts);
}

static void make_old_state(struct lvn_reception_record *stored, struct lvn_reception_record *waiting) {
  char path[LVN_PATH_BYTES];
  char text[1024];
  lvn_spool_close(open_spool(test_folder)); /* the folders */
  (void)snprintf(path, sizeof path, "%s/spool/boot", test_folder);
  assert_int_equal(unlink(path), 0);
  *stored = old_object("stored", 5);
  old_record(stored, text);
  path_in_store(test_folder, stored, ".dcm", path);
  write_old(path, "stored", text);
  path_in_store(test_folder, stored, ".old", path);
  assert_good(lvn_file_replace(path, "", 0, 0600, &err));
  *waiting = old_object("waiting", 6);
  wait_as_before(waiting, "waiting", "");
  struct lvn_reception_record again = *stored;
  again.sequence = 7;
  wait_as_before(&again, "stored", "-00000000000000010000000000000002");
  again = *waiting;
  again.sequence = 8;
  wait_as_before(&again, "waiting", "-00000000000000010000000000000003");
  (void)snprintf(path, sizeof path, "%s/spool/new/aa.obj", test_folder);
  assert_good(lvn_file_replace(path, "all that is left of an object", 29, 0600, &err));
  (void)snprintf(path, sizeof path, "%s/spool/new/aa.json", test_folder);
  assert_good(lvn_file_replace(path, "the facts, damaged", 18, 0600, &err));
  (void)snprintf(path, sizeof path, "%s/spool/new/bb.json", test_folder);
  assert_good(lvn_file_replace(path, "the facts of an object that never came", 37, 0600, &err));
}

static void test_spool_recover__the_state_of_an_earlier_release(void **state) {
  struct lvn_reception_record stored;
  struct lvn_reception_record waiting;
  struct lvn_reception_record read_back;
  struct lvn_file_names paths = {0};
  char path[LVN_PATH_BYTES];
  (void)state;
  make_old_state(&stored, &waiting);
  struct lvn_spool *spool = open_spool(test_folder);
  assert_true(has_record(test_folder, &stored, LVN_OBJECTS_RECORD));
  path_in_store(test_folder, &stored, ".old", path);
  assert_false(lvn_file_exists(path));
  assert_counts(test_folder, 0, 3, 0);
  assert_good(lvn_spool_list_new(spool, 10, &paths, &err));
  assert_int_equal(paths.count, 3);
  for (size_t i = 0; i < paths.count; i++) {
    assert_good(lvn_spool_read_record(paths.names[i], &read_back, &err));
    assert_int_equal(read_back.sequence, 6 + i);
    assert_string_equal(read_back.calling_aet, "MODALITY");
    path_in_store(test_folder, &read_back, ".dcm", path);
    uint8_t content[LVN_SHA256_BYTES];
    assert_good(lvn_sha256_of_file(path, content, &err));
    assert_memory_equal(content, read_back.sha256, sizeof content);
    assert_true(read_back.sequence != 7 || read_back.already_stored); /* else it would count as mended */
  }
  lvn_file_names_clear(&paths);
  assert_int_equal(finish_all(spool), 3);
  assert_false(has_record(test_folder, &stored, LVN_OBJECTS_RECORD));
  stored.sequence = 7;
  assert_true(has_record(test_folder, &stored, LVN_OBJECTS_RECORD));
  (void)snprintf(path, sizeof path, "%s/unreadable/aa.obj", test_folder);
  assert_true(lvn_file_exists(path));
  (void)snprintf(path, sizeof path, "%s/unreadable/aa.json", test_folder);
  assert_true(lvn_file_exists(path));
  lvn_spool_close(spool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      spool_test(test_spool_recover__a_power_cut_after_the_answer_loses_nothing),
      spool_test(test_spool_recover__within_one_boot_only_when_asked),
      spool_test(test_spool_recover__a_finish_that_was_lost_is_done_again),
      spool_test(test_spool_recover__another_form_of_announcement_is_made_again),
      spool_test(test_spool_recover__half_of_a_commit),
      spool_test(test_spool_recover__set_aside_keeps_object_and_records),
      spool_test(test_spool_recover__the_state_of_an_earlier_release),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
