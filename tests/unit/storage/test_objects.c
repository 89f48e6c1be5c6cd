/* The object store beside a real spool: every step of moving an object in, and a kill after each. */
#include "storage/intact.h"
#include "storage/objects.h"
#include "tests/unit/storage/spool_fixture.h"

static bool count_object(void *user_data, const struct lvn_objects_entry *entry, struct lvn_error *ignored) {
  struct lvn_reception_record record;
  uint8_t content[LVN_SHA256_BYTES];
  if (entry->record_name != NULL) {
    assert_good(lvn_spool_record_from_name(entry->record_name, &record, ignored));
    assert_string_equal(record.calling_aet, "MODALITY");
  }
  assert_true(entry->record_name != NULL || entry->waits);
  assert_good(lvn_sha256_of_file(entry->path, content, ignored));
  assert_memory_equal(content, entry->sha256, sizeof content);
  (*(size_t *)user_data)++;
  return true;
}

static size_t count_objects(struct lvn_objects *store) {
  size_t count = 0;
  assert_good(lvn_objects_each(store, count_object, &count, &err));
  return count;
}

static struct lvn_spool *spool;
static struct lvn_objects *objects;

static void open_both(const char *state_folder) {
  assert_good(lvn_spool_open(state_folder, &spool, &err));
  assert_good(lvn_objects_open(state_folder, &objects, &err));
}

static void close_both(void) {
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

static size_t count_new(void) {
  struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 1000, &paths, &err));
  size_t count = paths.count;
  lvn_file_names_clear(&paths);
  return count;
}

static void test_objects__lie_where_they_stay_with_their_record(void **state) {
  (void)state;
  open_both(test_folder);
  (void)receive(spool, "first");
  assert_int_equal(count_objects(objects), 1);
  (void)receive(spool, "second");
  (void)receive(spool, "first");
  assert_int_equal(count_objects(objects), 2);
  assert_int_equal(finish_all(spool), 3);
  assert_int_equal(count_objects(objects), 2);
  close_both();
}

/* Bytes A, B, A of one SOP instance: the index must hear of the third, whether B was indexed or waits. */
static void check_return_of_old_bytes(const char *folder, bool is_indexed) {
  open_both(folder);
  struct lvn_reception_record first = receive_at(spool, "A", 1000);
  (void)finish_all(spool);
  struct lvn_reception_record again = receive_at(spool, "A", 1500);
  assert_true(again.already_stored);
  assert_int_equal(finish_all(spool), 1); /* each reception is told */
  (void)receive_at(spool, "B", 2000);
  if (is_indexed) {
    (void)finish_all(spool);
  }
  again = receive_at(spool, "A", 3000);
  assert_true(again.already_stored);
  assert_int_equal(finish_all(spool), is_indexed ? 1 : 2);
  assert_int_equal(count_new(), 0);
  assert_true(has_record(folder, &again, LVN_OBJECTS_RECORD)); /* what a rebuild reads */
  assert_false(has_record(folder, &first, LVN_OBJECTS_RECORD));
  assert_good(lvn_objects_remove(objects, first.sha256, &err));
  assert_false(has_record(folder, &again, LVN_OBJECTS_RECORD));
  assert_good(lvn_objects_remove(objects, first.sha256, &err)); /* gone already */
  assert_int_equal(count_objects(objects), 1);
  again = receive_at(spool, "A", 4000);
  assert_false(again.already_stored);
  close_both();
}

static void test_objects__old_bytes_that_return_are_offered_again(void **state) {
  (void)state;
  check_return_of_old_bytes(test_folder, true);
}

static void test_objects__old_bytes_that_return_before_the_others_are_indexed(void **state) {
  (void)state;
  check_return_of_old_bytes(test_folder, false);
}

/* ramfs has no extended attributes: none are needed. */
static void test_objects__need_no_extended_attributes(void **state) {
  (void)state;
  mount_or_skip("ramfs", "");
  check_return_of_old_bytes(mount_point, true);
}

enum damage { TRUNCATED, EMPTY, ONE_BIT, FOLDER_WITH_A_FILE, LINK_TO_NOTHING, GONE, DAMAGE_COUNT };

static void damage(const char *path, enum damage how) {
  char inside[LVN_PATH_BYTES];
  switch (how) {
  case TRUNCATED:
    assert_int_equal(truncate(path, 3), 0);
    return;
  case EMPTY:
    assert_int_equal(truncate(path, 0), 0);
    return;
  case ONE_BIT:
    assert_good(lvn_file_replace(path, "thf stored bytes", 16, 0600, &err));
    return;
  default:
    assert_int_equal(unlink(path), 0);
  }
  if (how == LINK_TO_NOTHING) {
    assert_int_equal(symlink("/nonexistent", path), 0);
  } else if (how == FOLDER_WITH_A_FILE) {
    assert_int_equal(mkdir(path, 0700), 0);
    assert_good(lvn_path_join(inside, path, "x", &err));
    assert_good(lvn_file_replace(inside, "x", 1, 0600, &err));
  }
}

/* A peer that is told "stored" may delete its copy: the name of a file proves nothing. */
static void test_objects__damaged_object_is_mended_by_sending_again(void **state) {
  char stored[LVN_PATH_BYTES];
  (void)state;
  open_both(test_folder);
  struct lvn_reception_record record = receive(spool, "the stored bytes");
  (void)finish_all(spool);
  assert_good(lvn_objects_path(objects, record.sha256, stored, &err));
  for (enum damage how = TRUNCATED; how < DAMAGE_COUNT; how++) {
    damage(stored, how);
    record = receive(spool, "the stored bytes");
    assert_false(record.already_stored);
    assert_int_equal(finish_all(spool), 1);
    assert_int_equal(count_objects(objects), 1);
  }
  close_both();
}

/* What was acknowledged and not indexed is not retention's, whatever the index says of the bytes. */
static void test_objects__what_waits_is_not_removed(void **state) {
  (void)state;
  open_both(test_folder);
  struct lvn_reception_record record = receive(spool, "kept");
  (void)finish_all(spool);
  assert_true(receive(spool, "kept").already_stored);
  assert_good(lvn_objects_remove(objects, record.sha256, &err));
  assert_int_equal(count_objects(objects), 1);
  (void)finish_all(spool);
  assert_good(lvn_objects_remove(objects, record.sha256, &err));
  assert_int_equal(count_objects(objects), 0);
  close_both();
}

#define RECEPTIONS 3000

static pid_t receive_in_a_child(void) {
  pid_t child = fork_child();
  for (int i = 0; child == 0 && i < RECEPTIONS; i++) {
    struct lvn_reception_record record = make_record();
    struct lvn_spool_writer *writer = NULL;
    if (!lvn_spool_begin(spool, &writer, &err) || !lvn_spool_write(writer, "same", 4, &err) ||
        !lvn_spool_commit(writer, &record, &err)) {
      print_error("%s\n", err.message);
      _exit(1);
    }
  }
  if (child == 0) {
    _exit(0);
  }
  return child;
}

/* One process receives the same bytes over and over, the other takes and removes them: whenever a reception waits its
 * object is there, whole. In memory many receptions take little time. */
static void test_objects__removed_while_received_again(void **state) {
  int status = 0;
  size_t taken = 0;
  bool has_ended = false;
  (void)state;
  mount_or_skip("tmpfs", "size=64m");
  open_both(mount_point);
  char stored[LVN_PATH_BYTES];
  struct lvn_reception_record record = receive(spool, "same");
  (void)finish_all(spool);
  assert_good(lvn_objects_path(objects, record.sha256, stored, &err));
  pid_t child = receive_in_a_child();
  while (!has_ended || count_new() > 0) {
    struct lvn_file_names paths = {0};
    has_ended = has_ended || waitpid(child, &status, WNOHANG) == child;
    assert_good(lvn_spool_list_new(spool, 1000, &paths, &err));
    for (size_t i = 0; i < paths.count; i++) {
      int fd = lvn_intact_open(stored, record.sha256);
      assert_true(fd >= 0);
      (void)close(fd);
      assert_good(lvn_spool_finish(spool, paths.names[i], /* is_first= */ false, &err));
    }
    taken += paths.count;
    lvn_file_names_clear(&paths);
    assert_good(lvn_objects_remove(objects, record.sha256, &err));
  }
  assert_int_equal(status, 0);
  assert_int_equal(taken, RECEPTIONS);
  assert_int_equal(count_objects(objects), 0);
  close_both();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      spool_test(test_objects__lie_where_they_stay_with_their_record),
      spool_test(test_objects__old_bytes_that_return_are_offered_again),
      spool_test(test_objects__old_bytes_that_return_before_the_others_are_indexed),
      spool_test(test_objects__need_no_extended_attributes),
      spool_test(test_objects__damaged_object_is_mended_by_sending_again),
      spool_test(test_objects__what_waits_is_not_removed),
      spool_test(test_objects__removed_while_received_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
