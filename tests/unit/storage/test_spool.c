/* The spool on real file systems: what a commit promises, its record, a full disk. */
#include "spool_fixture.h"

#include <fcntl.h>

static void assert_content(const char *path, const char *text) {
  uint8_t *data = NULL;
  size_t bytes = 0;
  assert_good(lvn_file_read(path, 1000, &data, &bytes, &err));
  assert_int_equal(bytes, strlen(text));
  assert_string_equal((const char *)data, text);
  lvn_free(data);
}

/* Everything but UIDs and size, which are in the object. */
static void assert_record_read(const char *path, const struct lvn_reception_record *expected) {
  struct lvn_reception_record record;
  memset(&record, 0xA5, sizeof record);
  assert_good(lvn_spool_read_record(path, &record, &err));
  assert_string_equal(record.sop_instance_uid, "");
  assert_true(lvn_spool_may_be_of_study(&record, expected->study_instance_uid, /* if_unknown= */ false));
  assert_false(lvn_spool_may_be_of_study(&record, "1.2.3", /* if_unknown= */ true));
  assert_string_equal(record.calling_aet, expected->calling_aet);
  assert_string_equal(record.address, expected->address);
  assert_string_equal(record.association_id, expected->association_id);
  assert_int_equal(record.received_ms, expected->received_ms);
  assert_int_equal(record.sequence, expected->sequence);
  assert_int_equal(record.already_stored, expected->already_stored);
  assert_memory_equal(record.sha256, expected->sha256, LVN_SHA256_BYTES);
}

static void test_spool__commit_makes_a_whole_object_with_record(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record record = make_record();
  struct lvn_spool_writer *writer = begin(spool, "head");
  char path[LVN_PATH_BYTES];
  char new_path[LVN_PATH_BYTES];
  uint8_t digest[LVN_SHA256_BYTES];
  (void)state;
  assert_content(lvn_spool_writer_get_path(writer), "head");
  assert_counts(test_folder, 1, 0, 0);
  assert_good(lvn_spool_write(writer, " and data", 9, &err));
  assert_good(lvn_spool_commit(writer, &record, &err));
  assert_false(record.already_stored);
  assert_int_equal(record.byte_count, 13);
  assert_counts(test_folder, 0, 1, 0);
  path_in_store(test_folder, &record, ".dcm", path);
  assert_content(path, "head and data");
  assert_good(lvn_sha256_of_file(path, digest, &err));
  assert_memory_equal(digest, record.sha256, LVN_SHA256_BYTES);
  path_of_new(spool, &record, new_path);
  assert_record_read(new_path, &record);
  assert_true(has_record(test_folder, &record, LVN_OBJECTS_WAITING)); /* for the index */
  assert_good(lvn_spool_finish(spool, new_path, /* is_first= */ true, &err));
  assert_good(lvn_spool_finish(spool, new_path, /* is_first= */ true, &err));
  assert_counts(test_folder, 0, 0, 0);
  assert_false(has_record(test_folder, &record, LVN_OBJECTS_WAITING));
  assert_true(has_record(test_folder, &record, LVN_OBJECTS_RECORD));
  lvn_spool_close(spool);
}

/* An AE title is any 16 bytes of the peer's; the record must stay readable. */
static void test_spool__record_of_any_calling_title_are_readable(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record record = make_record();
  char path[LVN_PATH_BYTES];
  (void)state;
  (void)lvn_copy(record.calling_aet, sizeof record.calling_aet, "\xFF\x01\"\\\xC3(");
  assert_good(lvn_spool_commit(begin(spool, "x"), &record, &err));
  path_of_new(spool, &record, path);
  (void)lvn_copy(record.calling_aet, sizeof record.calling_aet, "??\"\\?(");
  assert_record_read(path, &record);
  lvn_spool_close(spool);
}

static void test_spool__same_bytes_are_stored_once(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record first = receive(spool, "same");
  struct lvn_reception_record again = make_record();
  char path[LVN_PATH_BYTES];
  struct stat before;
  struct stat after;
  (void)state;
  path_in_store(test_folder, &first, ".dcm", path);
  assert_int_equal(stat(path, &before), 0);
  (void)lvn_copy(again.calling_aet, sizeof again.calling_aet, "OTHER");
  assert_good(lvn_spool_commit(begin(spool, "same"), &again, &err));
  assert_true(again.already_stored);
  assert_int_equal(again.byte_count, 4);
  assert_memory_equal(again.sha256, first.sha256, LVN_SHA256_BYTES);
  assert_counts(test_folder, 0, 2, 0); /* each reception is told */
  assert_int_equal(stat(path, &after), 0);
  assert_int_equal(before.st_ino, after.st_ino);
  assert_int_equal(after.st_nlink, 2); /* in the store, and announced */
  path_of_new(spool, &again, path);
  assert_record_read(path, &again);
  path_of_new(spool, &first, path);
  assert_record_read(path, &first);
  lvn_spool_close(spool);
}

/* Also where the later one is told first: after a power cut. */
static void test_spool__the_newest_record_stays(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record first = receive_at(spool, "same", 1000);
  struct lvn_reception_record second = receive_at(spool, "same", 2000);
  char path[LVN_PATH_BYTES];
  (void)state;
  path_of_new(spool, &second, path);
  assert_good(lvn_spool_finish(spool, path, /* is_first= */ true, &err));
  path_of_new(spool, &first, path);
  assert_good(lvn_spool_finish(spool, path, /* is_first= */ false, &err));
  assert_counts(test_folder, 0, 0, 0);
  assert_true(has_record(test_folder, &second, LVN_OBJECTS_RECORD));
  assert_false(has_record(test_folder, &first, LVN_OBJECTS_RECORD));
  struct lvn_reception_record third = receive_at(spool, "same", 500); /* by a clock that was set back */
  assert_int_equal(finish_all(spool), 1);
  assert_true(has_record(test_folder, &third, LVN_OBJECTS_RECORD));
  assert_false(has_record(test_folder, &second, LVN_OBJECTS_RECORD));
  lvn_spool_close(spool);
}

/* Whatever a peer calls itself, the name of the record has no bytes that a file system or a shell minds. */
static void test_spool__a_name_says_what_the_record_says(void **state) {
  static const char *const titles[] = {"MODALITY", "A B", "../../etc/passwd", "%-%2", "", "SIXTEEN_LETTERS!"};
  struct lvn_reception_record read_back;
  (void)state;
  for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) {
    struct lvn_reception_record record = make_record();
    char name[LVN_SPOOL_NAME_BYTES];
    record.sequence = INT64_MAX / 4;
    record.sha256[3] = 0xab;
    (void)lvn_copy(record.calling_aet, sizeof record.calling_aet, titles[i]);
    (void)lvn_copy(record.address, sizeof record.address, "2001:db8:85a3:8d3:1319:8a2e:370:7348%eth0");
    (void)lvn_copy(record.association_id, sizeof record.association_id, "0123456789abcdef0123456789abcdef");
    lvn_spool_record_to_name(&record, LVN_OBJECTS_WAITING, name);
    assert_int_equal(strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:-%"), strlen(name));
    assert_good(lvn_spool_record_from_name(name, &read_back, &err));
    assert_string_equal(read_back.calling_aet, record.calling_aet);
    assert_string_equal(read_back.address, record.address);
    assert_string_equal(read_back.association_id, record.association_id);
    assert_int_equal(read_back.sequence, record.sequence);
    assert_int_equal(read_back.received_ms, record.received_ms);
    assert_memory_equal(read_back.sha256, record.sha256, LVN_SHA256_BYTES);
    for (size_t cut = 1; cut < strlen(name); cut += 3) {
      assert_false(lvn_spool_record_from_name(name + cut, &read_back, &err));
      assert_int_equal(err.code, LVN_ERROR_DATA);
    }
  }
}

static void test_spool__abandon_leaves_nothing(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  (void)state;
  lvn_spool_abandon(NULL);
  lvn_spool_abandon(begin(spool, "unwanted"));
  assert_counts(test_folder, 0, 0, 0);
  lvn_spool_close(spool);
}

static void test_spool__list_new_is_in_the_order_of_reception(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_file_names paths = {0};
  char expected[4][LVN_PATH_BYTES];
  char stray[LVN_PATH_BYTES];
  static const char *const texts[4] = {"c", "a", "d", "a"};
  (void)state;
  assert_good(lvn_spool_list_new(spool, 10, &paths, &err));
  assert_int_equal(paths.count, 0);
  lvn_file_names_clear(&paths);
  for (int i = 0; i < 4; i++) {
    struct lvn_reception_record record = receive_at(spool, texts[i], RECEIVED_MS - 1000 * i);
    path_of_new(spool, &record, expected[i]);
  }
  (void)snprintf(stray, sizeof stray, "%s/0.json", lvn_spool_get_new_folder(spool));
  assert_good(lvn_file_replace(stray, "{}", 2, 0600, &err));
  for (size_t most = 3; most <= 5; most++) {
    assert_good(lvn_spool_list_new(spool, most, &paths, &err));
    assert_int_equal(paths.count, most < 4 ? most : 4);
    for (size_t i = 0; i < paths.count; i++) {
      assert_string_equal(paths.names[i], expected[i]);
    }
    lvn_file_names_clear(&paths);
  }
  lvn_spool_close(spool);
}

static void assert_no_record(const char *path) {
  struct lvn_reception_record record;
  assert_false(lvn_spool_read_record(path, &record, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

/* The entry under another name, `from` replaced by `to`. */
static void assert_change_refused(const char *path, const char *from, const char *to) {
  char changed[LVN_PATH_BYTES];
  const char *found = strstr(strrchr(path, '/'), from);
  assert_non_null(found);
  int length = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(found - path), path, to, found + strlen(from));
  assert_in_range(length, 1, sizeof changed - 1);
  assert_int_equal(rename(path, changed), 0);
  assert_no_record(changed);
  assert_int_equal(rename(changed, path), 0);
}

static void test_spool__what_is_no_name_of_a_reception_is_refused(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record record = receive(spool, "x");
  char path[LVN_PATH_BYTES];
  (void)state;
  path_of_new(spool, &record, path);
  assert_change_refused(path, "-1234567-", "--1-");
  assert_change_refused(path, "-1234567-", "-1.5-");
  assert_change_refused(path, "-1234567-", "-99999999999999999999-");
  assert_change_refused(path, "-1234567-", "-");
  assert_change_refused(path, "-a1-", "-%zz-");
  assert_change_refused(path, "-MODALITY-", "-SEVENTEEN.LETTERS-");
  assert_change_refused(path, "-192.0.2.7-", "-");
  assert_change_refused(path, ".new", ".json");
  assert_change_refused(path, "/0", "/g");
  assert_change_refused(path, "/0", "/");
  const char *name = strrchr(path, '/') + 1;
  for (size_t cut = 1; cut < strlen(name) - strlen(LVN_OBJECTS_NEW) - LVN_SPOOL_STUDY_BYTES; cut++) {
    char from[LVN_PATH_BYTES];
    (void)snprintf(from, sizeof from, "%s", name + cut);
    from[strlen(from) - strlen(LVN_OBJECTS_NEW)] = '\0';
    assert_change_refused(path, from, "");
  }
  assert_record_read(path, &record);
  assert_int_equal(unlink(path), 0);
  assert_no_record(path);
  lvn_spool_close(spool);
}

/* No name is too long for a folder: the longest that a peer and the clock can bring about. */
static void test_spool__the_longest_name_fits(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record record = make_record();
  char path[LVN_PATH_BYTES];
  (void)state;
  memset(record.calling_aet, '/', sizeof record.calling_aet - 1);
  memset(record.address, '%', sizeof record.address - 1);
  memset(record.association_id, 'f', sizeof record.association_id - 1);
  record.received_ms = 253402300799999; /* the last moment of year 9999 */
  assert_good(lvn_spool_commit(begin(spool, "x"), &record, &err));
  assert_good(lvn_spool_commit(begin(spool, "x"), &record, &err));
  path_of_new(spool, &record, path);
  assert_true(strlen(strrchr(path, '/') + 1) <= 255);
  assert_true(lvn_file_exists(path));
  assert_int_equal(finish_all(spool), 2);
  lvn_spool_close(spool);
}

static void test_spool__a_full_disk_leaves_nothing(void **state) {
  static const char large[64 * 1024];
  struct lvn_spool_writer *writer = NULL;
  struct lvn_spool_marker *marker = NULL;
  static const char *const studies[] = {"1.2.3"};
  (void)state;
  mount_or_skip("tmpfs", "size=512k");
  struct lvn_spool *spool = open_spool(mount_point);
  assert_good(lvn_spool_marker_create(spool, "a1", &marker, &err));
  assert_good(lvn_spool_begin(spool, &writer, &err));
  size_t written = 0;
  while (written < 16 && lvn_spool_write(writer, large, sizeof large, &err)) {
    written++;
  }
  assert_in_range(written, 4, 8);
  assert_int_equal(err.code, LVN_ERROR_NOSPACE);
  /* A study that could not be announced is announced with its next object. */
  assert_false(lvn_spool_marker_add_study(marker, "1.2.3", &err));
  assert_int_equal(err.code, LVN_ERROR_NOSPACE);
  assert_false(lvn_spool_marker_add_study(marker, "1.2.3", &err));
  assert_counts(mount_point, 1, 0, 1);
  lvn_spool_abandon(writer);
  assert_counts(mount_point, 0, 0, 1);
  assert_good(lvn_spool_marker_add_study(marker, "1.2.3", &err));
  assert_studies(spool, 1, studies);
  lvn_spool_marker_destroy(marker);
  assert_false(receive(spool, "small").already_stored);
  assert_counts(mount_point, 0, 1, 0);
  lvn_spool_close(spool);
}

/* Inodes are what is missing: the folders, two files of the spool and a temporary file use them up, so that no file
 * with the record can be made. */
static void test_spool__no_room_for_the_record_leaves_nothing(void **state) {
  struct lvn_spool_writer *refused = NULL;
  struct lvn_reception_record record = make_record();
  (void)state;
  mount_or_skip("tmpfs", "size=512k,nr_inodes=265");
  struct lvn_spool *spool = open_spool(mount_point);
  struct lvn_spool_writer *writer = begin(spool, "x");
  assert_false(lvn_spool_begin(spool, &refused, &err));
  assert_int_equal(err.code, LVN_ERROR_NOSPACE);
  assert_null(refused);
  assert_false(lvn_spool_commit(writer, &record, &err));
  assert_int_equal(err.code, LVN_ERROR_NOSPACE);
  assert_counts(mount_point, 0, 0, 0);
  lvn_spool_close(spool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      spool_test(test_spool__commit_makes_a_whole_object_with_record),
      spool_test(test_spool__record_of_any_calling_title_are_readable),
      spool_test(test_spool__same_bytes_are_stored_once),
      spool_test(test_spool__the_newest_record_stays),
      spool_test(test_spool__a_name_says_what_the_record_says),
      spool_test(test_spool__abandon_leaves_nothing),
      spool_test(test_spool__list_new_is_in_the_order_of_reception),
      spool_test(test_spool__what_is_no_name_of_a_reception_is_refused),
      spool_test(test_spool__the_longest_name_fits),
      spool_test(test_spool__a_full_disk_leaves_nothing),
      spool_test(test_spool__no_room_for_the_record_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
