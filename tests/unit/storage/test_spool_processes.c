/* The spool between processes: what the killed leave, who cleans it up, and the markers of open associations. */
#include "spool_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>

/* A process that receives an object, and has a marker with two studies, until it is killed. */
static pid_t start_association(struct lvn_spool *spool, const char *association_id) {
  int ends[2];
  char byte = 0;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t child = fork_child();
  if (child == 0) {
    struct lvn_spool_writer *writer = NULL;
    struct lvn_spool_marker *marker = NULL;
    bool good = lvn_spool_begin(spool, &writer, &err) && lvn_spool_write(writer, "half", 4, &err) &&
                lvn_spool_marker_create(spool, association_id, &marker, &err) &&
                lvn_spool_marker_add_study(marker, "1.2.30", &err) &&
                lvn_spool_marker_add_study(marker, "1.2.4", &err) && write(ends[1], "g", 1) == 1;
    while (good) {
      (void)pause();
    }
    _exit(1);
  }
  (void)close(ends[1]);
  ssize_t got = read(ends[0], &byte, 1);
  (void)close(ends[0]);
  assert_int_equal(got, 1);
  return child;
}

static void test_spool__open_removes_what_the_dead_left_and_keeps_what_lives(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_spool_writer *own = begin(spool, "own");
  struct lvn_reception_record record = make_record();
  (void)state;
  pid_t living = start_association(spool, "living");
  kill_association(start_association(spool, "dead"));
  assert_counts(test_folder, 3, 0, 2);
  lvn_spool_close(open_spool(test_folder));
  assert_counts(test_folder, 2, 0, 2);
  kill_association(living);
  lvn_spool_close(open_spool(test_folder));
  assert_counts(test_folder, 1, 0, 2);
  assert_good(lvn_spool_commit(own, &record, &err));
  lvn_spool_close(open_spool(test_folder));
  assert_counts(test_folder, 0, 1, 2);
  lvn_spool_close(spool);
}

static void test_spool__what_a_dead_process_left_goes_without_a_new_start(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  (void)state;
  pid_t living = start_association(spool, "living");
  kill_association(start_association(spool, "dead"));
  assert_int_equal(count_in(test_folder, "tmp"), 2);
  lvn_spool_remove_dead(spool);
  assert_int_equal(count_in(test_folder, "tmp"), 1);
  kill_association(living);
  lvn_spool_remove_dead(spool);
  assert_int_equal(count_in(test_folder, "tmp"), 0);
  lvn_spool_close(spool);
}

/* Killed after its object was durable, before the pipeline was told: its temporary file is still there. */
static void test_spool__what_a_dead_process_did_not_announce_is_announced(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  (void)state;
  (void)receive(spool, "durable");
  struct lvn_reception_record record = receive(spool, "too");
  char path[LVN_PATH_BYTES];
  pid_t child = start_association(spool, "dies");
  path_of_new(spool, &record, path);
  assert_int_equal(unlink(path), 0);
  lvn_spool_remove_dead(spool);
  assert_counts(test_folder, 1, 1, 1);
  kill_association(child);
  lvn_spool_remove_dead(spool);
  assert_counts(test_folder, 0, 2, 1);
  path_of_again(spool, &record, path);
  assert_true(lvn_file_exists(path));
  lvn_spool_close(spool);
}

/* Another process may open the spool at any step of a commit, as the pipeline does when it starts again. In memory many
 * commits take little time. */
static void test_spool__a_commit_survives_others_that_open(void **state) {
  (void)state;
  mount_or_skip("tmpfs", "size=8m");
  struct lvn_spool *spool = open_spool(mount_point);
  pid_t child = fork_child();
  while (child == 0) {
    struct lvn_spool *other = NULL;
    if (!lvn_spool_open(mount_point, &other, &err)) {
      _exit(1);
    }
    lvn_spool_close(other);
  }
  bool good = true;
  for (int i = 0; good && i < 5000; i++) {
    struct lvn_reception_record record = make_record();
    struct lvn_spool_writer *writer = NULL;
    char path[LVN_PATH_BYTES];
    good = lvn_spool_begin(spool, &writer, &err) && lvn_spool_write(writer, &i, sizeof i, &err) &&
           lvn_spool_commit(writer, &record, &err);
    path_of_new(spool, &record, path);
    good = good && lvn_spool_finish(spool, path, /* is_first= */ true, &err);
    path_in_store(mount_point, &record, ".dcm", path);
    good = good && unlink(path) == 0;
    path_of_record(mount_point, &record, LVN_OBJECTS_RECORD, path);
    good = good && unlink(path) == 0;
  }
  kill_association(child);
  assert_good(good);
  lvn_spool_close(spool);
}

static void test_spool__marker_lists_studies_while_its_process_lives(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_spool_marker *marker = NULL;
  static const char *const all[] = {"1.2.30", "1.2.4", "1.2.5"};
  (void)state;
  assert_studies(spool, 0, NULL);
  pid_t child = start_association(spool, "first");
  assert_studies(spool, 2, all);
  assert_good(lvn_spool_marker_create(spool, "second", &marker, &err));
  assert_good(lvn_spool_marker_add_study(marker, "1.2.5", &err));
  assert_good(lvn_spool_marker_add_study(marker, "1.2.5", &err));
  assert_good(lvn_spool_marker_add_study(marker, "1.2.4", &err));
  assert_studies(spool, 3, all);
  kill_association(child);
  assert_studies(spool, 2, all + 1);
  assert_int_equal(count_in(test_folder, "open"), 1);
  lvn_spool_marker_destroy(marker);
  assert_studies(spool, 0, NULL);
  assert_int_equal(count_in(test_folder, "open"), 0);
  lvn_spool_close(spool);
}

/* A limit of the file's size cuts a line as a full disk may. */
static void test_spool__half_a_study_is_not_announced(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_spool_marker *marker = NULL;
  struct rlimit usual;
  static const char *const studies[] = {"1.2.1", "1.2.3"};
  (void)state;
  assert_good(lvn_spool_marker_create(spool, "a1", &marker, &err));
  assert_good(lvn_spool_marker_add_study(marker, "1.2.1", &err));
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
  void (*usual_handler)(int) = signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {.rlim_cur = 10, .rlim_max = usual.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  bool added = lvn_spool_marker_add_study(marker, "1.2.3", &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
  (void)signal(SIGXFSZ, usual_handler);
  assert_false(added);
  assert_studies(spool, 1, studies);
  assert_good(lvn_spool_marker_add_study(marker, "1.2.3", &err));
  assert_studies(spool, 2, studies);
  lvn_spool_marker_destroy(marker);
  lvn_spool_close(spool);
}

static int64_t size_of_marker(const char *name) {
  char path[LVN_PATH_BYTES];
  struct stat status;
  (void)snprintf(path, sizeof path, "%s/spool/open/%s", test_folder, name);
  assert_int_equal(stat(path, &status), 0);
  return status.st_size;
}

static void test_spool__interleaved_studies_are_named_once(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_spool_marker *marker = NULL;
  static const char *const all[] = {"1.2.1", "1.2.2", "1.2.3"};
  (void)state;
  assert_good(lvn_spool_marker_create(spool, "a1", &marker, &err));
  for (int i = 0; i < 20000; i++) { /* as a router sends that takes from several queues */
    assert_good(lvn_spool_marker_add_study(marker, all[i % 3], &err));
  }
  assert_int_equal(size_of_marker("a1"), 18);
  assert_studies(spool, 3, all);
  lvn_spool_marker_destroy(marker);
  lvn_spool_close(spool);
}

/* More studies than are remembered, each several times, beyond any buffer; half a line at the end, lines that are no
 * UIDs. */
static void test_spool__marker_of_any_size_is_read(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_spool_marker *marker = NULL;
  struct lvn_file_names uids = {0};
  char uid[LVN_UID_BYTES];
  char path[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_spool_marker_create(spool, "a1", &marker, &err));
  for (int i = 0; i < 60000; i++) {
    (void)snprintf(uid, sizeof uid, "1.2.826.0.1.3680043.8.498.1234567890123456789012345678.%d", 10000 + i % 20000);
    assert_good(lvn_spool_marker_add_study(marker, uid, &err));
  }
  assert_true(size_of_marker("a1") > 3000000);
  (void)snprintf(path, sizeof path, "%s/spool/open/a1", test_folder);
  FILE *file = fopen(path, "ae");
  assert_non_null(file);
  assert_true(fprintf(file, "no uid\n\n%0300d\n1.2.7\n1.2.8", 1) > 0);
  assert_int_equal(fclose(file), 0);
  assert_good(lvn_spool_open_studies(spool, &uids, &err));
  assert_int_equal(uids.count, 20001);
  assert_true(lvn_spool_is_open_study(&uids, uid));
  assert_true(lvn_spool_is_open_study(&uids, "1.2.7"));
  assert_false(lvn_spool_is_open_study(&uids, "1.2.8"));
  lvn_file_names_clear(&uids);
  assert_false(lvn_spool_is_open_study(&uids, "1.2.7"));
  lvn_spool_marker_destroy(marker);
  lvn_spool_close(spool);
}

static void test_spool__unreadable_marker_hides_no_other(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_spool_marker *marker = NULL;
  struct lvn_file_names uids = {0};
  size_t unread = 0;
  char path[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_spool_marker_create(spool, "b1", &marker, &err));
  assert_good(lvn_spool_marker_add_study(marker, "1.2.1", &err));
  (void)snprintf(path, sizeof path, "%s/spool/open/a1", test_folder);
  assert_int_equal(symlink("/nowhere", path), 0); /* is not followed */
  assert_false(lvn_spool_open_studies(spool, &uids, &err));
  assert_good(lvn_spool_find_open_studies(spool, &uids, &unread, &err));
  assert_int_equal(unread, 1);
  assert_int_equal(uids.count, 1);
  assert_true(lvn_spool_is_open_study(&uids, "1.2.1"));
  lvn_file_names_clear(&uids);
  lvn_spool_marker_destroy(marker);
  lvn_spool_close(spool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      spool_test(test_spool__open_removes_what_the_dead_left_and_keeps_what_lives),
      spool_test(test_spool__what_a_dead_process_left_goes_without_a_new_start),
      spool_test(test_spool__what_a_dead_process_did_not_announce_is_announced),
      spool_test(test_spool__a_commit_survives_others_that_open),
      spool_test(test_spool__marker_lists_studies_while_its_process_lives),
      spool_test(test_spool__half_a_study_is_not_announced),
      spool_test(test_spool__interleaved_studies_are_named_once),
      spool_test(test_spool__marker_of_any_size_is_read),
      spool_test(test_spool__unreadable_marker_hides_no_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
