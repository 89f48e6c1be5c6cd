/* The object store beside a real spool: every step of moving an object in, and a kill after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "storage/objects.h"
#include "storage/spool.h"

static char state_folder[64];
static struct lvn_error err;

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static int set_up(void **state) {
  (void)state;
  (void)snprintf(state_folder, sizeof state_folder, "/tmp/lvn-objects-XXXXXX");
  return mkdtemp(state_folder) == NULL ? -1 : 0;
}

/* As an association does it. */
static void receive(struct lvn_spool *spool, const char *text, struct lvn_spool_facts *facts) {
  struct lvn_spool_writer *writer = NULL;
  *facts = (struct lvn_spool_facts){.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                    .sop_instance_uid = "1.2.3",
                                    .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                    .study_instance_uid = "1.2",
                                    .series_instance_uid = "1.2.1",
                                    .calling_aet = "MODALITY",
                                    .address = "127.0.0.1",
                                    .association_id = "a1",
                                    .received_ms = 1234567};
  assert_good(lvn_spool_begin(spool, &writer, &err));
  assert_good(lvn_spool_write(writer, text, strlen(text), &err));
  assert_good(lvn_spool_commit(writer, facts, &err));
}

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
  struct lvn_spool_facts facts;
  uint8_t content[LVN_SHA256_BYTES];
  assert_good(lvn_spool_read_facts(path, &facts, ignored));
  assert_string_equal(facts.calling_aet, "MODALITY");
  assert_int_equal(facts.received_ms, 1234567);
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

static void test_objects__moved_with_their_facts(void **state) {
  struct lvn_spool *spool = NULL;
  struct lvn_objects *objects = NULL;
  struct lvn_spool_facts facts;
  char path[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_spool_open(state_folder, &spool, &err));
  assert_good(lvn_objects_open(state_folder, &objects, &err));
  receive(spool, "first", &facts);
  assert_int_equal(count_new(spool, path), 1);
  assert_good(lvn_objects_link(objects, path, facts.sha256, &err));
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
    struct lvn_spool_facts facts;
    char text[32];
    char path[LVN_PATH_BYTES];
    size_t before;
    (void)snprintf(text, sizeof text, "object %d", steps);
    assert_good(lvn_spool_open(state_folder, &spool, &err));
    assert_good(lvn_objects_open(state_folder, &objects, &err));
    before = count_objects(objects);
    receive(spool, text, &facts);
    assert_int_equal(count_new(spool, path), 1);
    if (steps >= 1) {
      assert_good(lvn_objects_link(objects, path, facts.sha256, &err));
    }
    if (steps >= 2) {
      assert_good(lvn_objects_sync(objects, &err));
    }
    if (steps >= 3) {
      assert_good(lvn_spool_remove(path, &err));
    }
    lvn_objects_close(objects); /* the kill: nothing else is known but the folders */
    lvn_spool_close(spool);
    assert_good(lvn_spool_open(state_folder, &spool, &err));
    assert_good(lvn_objects_open(state_folder, &objects, &err));
    if (count_new(spool, path) == 1) {
      assert_good(lvn_spool_read_facts(path, &facts, &err));
      assert_good(lvn_objects_link(objects, path, facts.sha256, &err));
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
  struct lvn_spool_facts facts;
  struct stat first;
  struct stat second;
  char path[LVN_PATH_BYTES];
  char stored[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_spool_open(state_folder, &spool, &err));
  assert_good(lvn_objects_open(state_folder, &objects, &err));
  receive(spool, "twice", &facts);
  assert_int_equal(count_new(spool, path), 1);
  assert_good(lvn_objects_link(objects, path, facts.sha256, &err));
  assert_good(lvn_objects_sync(objects, &err));
  assert_good(lvn_spool_remove(path, &err));
  assert_good(lvn_objects_path(objects, facts.sha256, stored, &err));
  assert_int_equal(stat(stored, &first), 0);
  receive(spool, "twice", &facts);
  assert_true(facts.already_stored);
  assert_int_equal(count_new(spool, path), 0);
  assert_int_equal(stat(stored, &second), 0);
  assert_int_equal(first.st_ino, second.st_ino);
  assert_int_equal(first.st_mtim.tv_nsec, second.st_mtim.tv_nsec);
  assert_good(lvn_objects_remove(objects, facts.sha256, &err));
  assert_false(lvn_file_exists(stored));
  assert_good(lvn_objects_remove(objects, facts.sha256, &err)); /* gone already */
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

static void receive_at(struct lvn_spool *spool, const char *text, int64_t received_ms, struct lvn_spool_facts *facts) {
  struct lvn_spool_writer *writer = NULL;
  *facts = (struct lvn_spool_facts){.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                    .sop_instance_uid = "1.2.3",
                                    .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                    .study_instance_uid = "1.2",
                                    .series_instance_uid = "1.2.1",
                                    .received_ms = received_ms};
  assert_good(lvn_spool_begin(spool, &writer, &err));
  assert_good(lvn_spool_write(writer, text, strlen(text), &err));
  assert_good(lvn_spool_commit(writer, facts, &err));
}

/* As the pipeline does it; `superseded` may be NULL. */
static void take_all(struct lvn_spool *spool, struct lvn_objects *objects, const struct lvn_spool_facts *superseded) {
  struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 10, &paths, &err));
  for (size_t i = 0; i < paths.count; i++) {
    struct lvn_spool_facts facts;
    assert_good(lvn_spool_read_facts(paths.names[i], &facts, &err));
    assert_good(lvn_objects_link(objects, paths.names[i], facts.sha256, &err));
    if (superseded != NULL) {
      assert_good(lvn_objects_mark_superseded(objects, superseded->sha256, &err));
    }
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
  struct lvn_spool_facts first;
  struct lvn_spool_facts other;
  struct lvn_spool_facts again;
  char path[LVN_PATH_BYTES];
  char stored[LVN_PATH_BYTES];
  assert_good(lvn_spool_open(folder, &spool, &err));
  assert_good(lvn_objects_open(folder, &objects, &err));
  receive_at(spool, "A", 1000, &first);
  take_all(spool, objects, NULL);
  receive_at(spool, "A", 1500, &again);
  assert_true(again.already_stored);
  assert_int_equal(count_new(spool, path), 0);
  receive_at(spool, "B", 2000, &other);
  if (is_indexed) {
    take_all(spool, objects, &first);
  }
  receive_at(spool, "A", 3000, &again);
  assert_true(again.already_stored);
  assert_int_equal(count_new(spool, path), is_indexed ? 1 : 2);
  take_all(spool, objects, NULL);
  assert_int_equal(count_new(spool, path), 0);
  assert_good(lvn_objects_path(objects, first.sha256, stored, &err));
  assert_good(lvn_spool_read_facts(stored, &again, &err)); /* what a rebuild reads */
  assert_int_equal(again.received_ms, 3000);
  assert_good(lvn_objects_remove(objects, first.sha256, &err));
  assert_false(lvn_file_exists(stored));
  receive_at(spool, "A", 4000, &again);
  assert_false(again.already_stored); /* its mark went with it */
  lvn_objects_close(objects);
  lvn_spool_close(spool);
}

static void test_objects__old_bytes_that_return_are_offered_again(void **state) {
  (void)state;
  check_return_of_old_bytes(state_folder, true);
}

static void test_objects__old_bytes_that_return_before_the_others_are_indexed(void **state) {
  (void)state;
  check_return_of_old_bytes(state_folder, false);
}

/* ramfs has no extended attributes: the facts lie beside the object. */
static void test_objects__old_bytes_that_return_bring_their_facts(void **state) {
  char mounted[80];
  (void)state;
  (void)snprintf(mounted, sizeof mounted, "%s/mounted", state_folder);
  assert_good(lvn_file_make_folder(mounted, 0700, &err));
  if (mount("ramfs", mounted, "ramfs", 0, "") != 0) {
    print_message("SKIPPED: cannot mount a ramfs\n");
    skip();
  }
  check_return_of_old_bytes(mounted, true);
  assert_int_equal(umount2(mounted, MNT_DETACH), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_objects__moved_with_their_facts, set_up),
      cmocka_unit_test_setup(test_objects__killed_after_any_step, set_up),
      cmocka_unit_test_setup(test_objects__resent_object_is_written_once, set_up),
      cmocka_unit_test_setup(test_objects__old_bytes_that_return_are_offered_again, set_up),
      cmocka_unit_test_setup(test_objects__old_bytes_that_return_before_the_others_are_indexed, set_up),
      cmocka_unit_test_setup(test_objects__old_bytes_that_return_bring_their_facts, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
