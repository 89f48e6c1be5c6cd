/* The object store beside a real spool: every step of moving an object in, and a kill after each. */
#include "storage/objects.h"
#include "tests/unit/storage/spool_fixture.h"

static bool placed;

static size_t count_new(struct lvn_spool *spool, char ret_path[LVN_PATH_BYTES]) {
  struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 10, &paths, &err));
  size_t count = paths.count;
  if (count > 0) {
    (void)lvn_copy(ret_path, LVN_PATH_BYTES, paths.names[0]);
  }
  lvn_file_names_clear(&paths);
  return count;
}

static bool count_object(void *user_data, const char *path, const uint8_t sha256[LVN_SHA256_BYTES],
                         struct lvn_error *ignored) {
  struct lvn_reception_record record;
  uint8_t content[LVN_SHA256_BYTES];
  assert_good(lvn_spool_read_record(path, &record, ignored));
  assert_string_equal(record.calling_aet, "MODALITY");
  assert_int_equal(record.received_ms, RECEIVED_MS);
  assert_good(lvn_sha256_of_file(path, content, ignored));
  assert_memory_equal(content, sha256, LVN_SHA256_BYTES);
  (*(size_t *)user_data)++;
  return true;
}

static size_t count_objects(struct lvn_objects *objects) {
  size_t count = 0;
  assert_good(lvn_objects_each(objects, count_object, &count, &err));
  return count;
}

static void test_objects__moved_with_their_record(void **state) {
  struct lvn_spool *spool = NULL;
  struct lvn_objects *objects = NULL;
  struct lvn_reception_record record;
  char path[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_spool_open(test_folder, &spool, &err));
  assert_good(lvn_objects_open(test_folder, &objects, &err));
  record = receive(spool, "first");
  assert_int_equal(count_new(spool, path), 1);
  assert_good(lvn_objects_link(objects, path, record.sha256, &placed, &err));
  assert_good(lvn_objects_sync(objects, &err));
  assert_good(lvn_spool_remove(path, &err));
  assert_int_equal(count_new(spool, path), 0);
  assert_int_equal(count_objects(objects), 1);
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

/* Steps done before the kill: 0 none, 1 linked, 2 linked and synced, 3 all. */
static void test_objects__killed_after_any_step(void **state) {
  (void)state;
  for (int steps = 0; steps <= 3; steps++) {
    struct lvn_spool *spool = NULL;
    struct lvn_objects *objects = NULL;
    struct lvn_reception_record record;
    char text[32];
    char path[LVN_PATH_BYTES];
    size_t before;
    (void)snprintf(text, sizeof text, "object %d", steps);
    assert_good(lvn_spool_open(test_folder, &spool, &err));
    assert_good(lvn_objects_open(test_folder, &objects, &err));
    before = count_objects(objects);
    record = receive(spool, text);
    assert_int_equal(count_new(spool, path), 1);
    if (steps >= 1) {
      assert_good(lvn_objects_link(objects, path, record.sha256, &placed, &err));
    }
    if (steps >= 2) {
      assert_good(lvn_objects_sync(objects, &err));
    }
    if (steps >= 3) {
      assert_good(lvn_spool_remove(path, &err));
    }
    lvn_objects_close(objects); /* the kill: nothing else is known but the folders */
    lvn_spool_close(spool);
    assert_good(lvn_spool_open(test_folder, &spool, &err));
    assert_good(lvn_objects_open(test_folder, &objects, &err));
    if (count_new(spool, path) == 1) {
      assert_good(lvn_spool_read_record(path, &record, &err));
      assert_good(lvn_objects_link(objects, path, record.sha256, &placed, &err));
      assert_good(lvn_objects_sync(objects, &err));
      assert_good(lvn_spool_remove(path, &err));
    } else {
      assert_int_equal(steps, 3);
    }
    assert_int_equal(count_new(spool, path), 0);
    assert_int_equal(count_objects(objects), before + 1);
    lvn_objects_close(objects);
    lvn_spool_close(spool);
  }
}

static void test_objects__resent_object_is_written_once(void **state) {
  struct lvn_spool *spool = NULL;
  struct lvn_objects *objects = NULL;
  struct lvn_reception_record record;
  struct stat first;
  struct stat second;
  char path[LVN_PATH_BYTES];
  char stored[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_spool_open(test_folder, &spool, &err));
  assert_good(lvn_objects_open(test_folder, &objects, &err));
  record = receive(spool, "twice");
  assert_int_equal(count_new(spool, path), 1);
  assert_good(lvn_objects_link(objects, path, record.sha256, &placed, &err));
  assert_good(lvn_objects_sync(objects, &err));
  assert_good(lvn_spool_remove(path, &err));
  assert_good(lvn_objects_path(objects, record.sha256, stored, &err));
  assert_int_equal(stat(stored, &first), 0);
  record = receive(spool, "twice");
  assert_true(record.already_stored);
  assert_int_equal(count_new(spool, path), 1);
  assert_good(lvn_objects_link(objects, path, record.sha256, &placed, &err));
  assert_false(placed);
  assert_good(lvn_spool_remove(path, &err));
  assert_int_equal(stat(stored, &second), 0);
  assert_int_equal(first.st_ino, second.st_ino);
  assert_int_equal(first.st_mtim.tv_nsec, second.st_mtim.tv_nsec);
  assert_good(lvn_objects_remove(objects, record.sha256, &err));
  assert_false(lvn_file_exists(stored));
  assert_good(lvn_objects_remove(objects, record.sha256, &err)); /* gone already */
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

/* As the pipeline does it. */
static void take_all(struct lvn_spool *spool, struct lvn_objects *objects) {
  struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 10, &paths, &err));
  for (size_t i = 0; i < paths.count; i++) {
    struct lvn_reception_record record;
    assert_good(lvn_spool_read_record(paths.names[i], &record, &err));
    assert_good(lvn_objects_link(objects, paths.names[i], record.sha256, &placed, &err));
    assert_good(lvn_objects_sync(objects, &err));
    assert_good(lvn_spool_remove(paths.names[i], &err));
  }
  lvn_file_names_clear(&paths);
}

/* Bytes A, B, A of one SOP instance: the index must hear of the third, whether B was indexed (and A marked) or waits.
 */
static void check_return_of_old_bytes(const char *folder, bool is_indexed) {
  struct lvn_spool *spool = NULL;
  struct lvn_objects *objects = NULL;
  struct lvn_reception_record first;
  struct lvn_reception_record again;
  char path[LVN_PATH_BYTES];
  char stored[LVN_PATH_BYTES];
  assert_good(lvn_spool_open(folder, &spool, &err));
  assert_good(lvn_objects_open(folder, &objects, &err));
  first = receive_at(spool, "A", 1000);
  take_all(spool, objects);
  again = receive_at(spool, "A", 1500);
  assert_true(again.already_stored);
  assert_int_equal(count_new(spool, path), 1); /* each reception is told */
  take_all(spool, objects);
  (void)receive_at(spool, "B", 2000);
  if (is_indexed) {
    take_all(spool, objects);
  }
  again = receive_at(spool, "A", 3000);
  assert_true(again.already_stored);
  assert_int_equal(count_new(spool, path), is_indexed ? 1 : 2);
  take_all(spool, objects);
  assert_int_equal(count_new(spool, path), 0);
  assert_good(lvn_objects_path(objects, first.sha256, stored, &err));
  assert_good(lvn_spool_read_record(stored, &again, &err)); /* what a rebuild reads */
  assert_int_equal(again.received_ms, 3000);
  assert_good(lvn_objects_remove(objects, first.sha256, &err));
  assert_false(lvn_file_exists(stored));
  again = receive_at(spool, "A", 4000);
  assert_false(again.already_stored);
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

static void test_objects__old_bytes_that_return_are_offered_again(void **state) {
  (void)state;
  check_return_of_old_bytes(test_folder, true);
}

static void test_objects__old_bytes_that_return_before_the_others_are_indexed(void **state) {
  (void)state;
  check_return_of_old_bytes(test_folder, false);
}

/* ramfs has no extended attributes: the record lie beside the object. */
static void test_objects__old_bytes_that_return_bring_their_record(void **state) {
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
  struct lvn_spool *spool = NULL;
  struct lvn_objects *objects = NULL;
  char path[LVN_PATH_BYTES];
  char stored[LVN_PATH_BYTES];
  uint8_t content[LVN_SHA256_BYTES];
  (void)state;
  assert_good(lvn_spool_open(test_folder, &spool, &err));
  assert_good(lvn_objects_open(test_folder, &objects, &err));
  struct lvn_reception_record record = receive(spool, "the stored bytes");
  take_all(spool, objects);
  assert_good(lvn_objects_path(objects, record.sha256, stored, &err));
  for (enum damage how = TRUNCATED; how < DAMAGE_COUNT; how++) {
    damage(stored, how);
    record = receive(spool, "the stored bytes");
    assert_false(record.already_stored);
    assert_int_equal(count_new(spool, path), 1);
    assert_good(lvn_objects_link(objects, path, record.sha256, &placed, &err));
    assert_true(placed);
    assert_good(lvn_objects_sync(objects, &err));
    assert_good(lvn_spool_remove(path, &err));
    assert_good(lvn_sha256_of_file(stored, content, &err));
    assert_memory_equal(content, record.sha256, sizeof content);
    assert_int_equal(count_objects(objects), 1);
  }
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

/* Damaged while it waits: what is received now goes beside it, and both come to one good object. */
static void test_objects__damage_in_the_spool_is_mended_by_sending_again(void **state) {
  struct lvn_spool *spool = NULL;
  struct lvn_objects *objects = NULL;
  char path[LVN_PATH_BYTES];
  char stored[LVN_PATH_BYTES];
  uint8_t content[LVN_SHA256_BYTES];
  (void)state;
  assert_good(lvn_spool_open(test_folder, &spool, &err));
  assert_good(lvn_objects_open(test_folder, &objects, &err));
  struct lvn_reception_record record = receive(spool, "the stored bytes");
  assert_int_equal(count_new(spool, path), 1);
  assert_int_equal(truncate(path, 5), 0);
  record = receive(spool, "the stored bytes");
  assert_false(record.already_stored);
  assert_int_equal(count_new(spool, path), 2);
  take_all(spool, objects);
  assert_good(lvn_objects_path(objects, record.sha256, stored, &err));
  assert_good(lvn_sha256_of_file(stored, content, &err));
  assert_memory_equal(content, record.sha256, sizeof content);
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

/* Retention takes the object away at the moment at which its bytes come again. */
static void test_objects__removed_while_it_is_received_again(void **state) {
  struct lvn_spool *spool = NULL;
  struct lvn_objects *objects = NULL;
  char path[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_spool_open(test_folder, &spool, &err));
  assert_good(lvn_objects_open(test_folder, &objects, &err));
  struct lvn_reception_record record = receive(spool, "kept");
  take_all(spool, objects);
  assert_true(receive(spool, "kept").already_stored); /* answered as stored … */
  assert_good(lvn_objects_remove(objects, record.sha256, &err));
  assert_int_equal(count_objects(objects), 0);
  assert_int_equal(count_new(spool, path), 1); /* … and it is */
  take_all(spool, objects);
  assert_int_equal(count_objects(objects), 1);
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      spool_test(test_objects__moved_with_their_record),
      spool_test(test_objects__killed_after_any_step),
      spool_test(test_objects__resent_object_is_written_once),
      spool_test(test_objects__old_bytes_that_return_are_offered_again),
      spool_test(test_objects__old_bytes_that_return_before_the_others_are_indexed),
      spool_test(test_objects__old_bytes_that_return_bring_their_record),
      spool_test(test_objects__damaged_object_is_mended_by_sending_again),
      spool_test(test_objects__damage_in_the_spool_is_mended_by_sending_again),
      spool_test(test_objects__removed_while_it_is_received_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
