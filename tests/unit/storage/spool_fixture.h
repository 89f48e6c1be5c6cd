/* A spool in a folder of its own, for each test, and what the tests ask of it. */
#ifndef LVN_TESTS_SPOOL_FIXTURE_H
#define LVN_TESTS_SPOOL_FIXTURE_H

#include "base/memory.h"
#include "storage/objects.h"
#include "storage/spool_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define RECEIVED_MS 1234567

static char test_folder[SCRATCH_BYTES];
static char mount_point[SCRATCH_BYTES + 16];
static struct lvn_error err;

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static inline int set_up(void **state) {
  (void)state;
  (void)scratch_make(test_folder);
  (void)snprintf(mount_point, sizeof mount_point, "%s/mounted", test_folder);
  return 0;
}

static inline int tear_down(void **state) {
  (void)state;
  (void)umount2(mount_point, MNT_DETACH);
  scratch_remove(test_folder);
  return 0;
}

/* Into `mount_point`; the test is skipped where that is not allowed. */
static inline void mount_or_skip(const char *type, const char *options) {
  assert_good(lvn_file_make_folder(mount_point, 0700, &err));
  if (mount(type, mount_point, type, 0, options) != 0) {
    print_message("SKIPPED: cannot mount a %s with '%s' (%s)\n", type, options, strerror(errno));
    skip();
  }
}

static inline struct lvn_spool *open_spool(const char *state_folder) {
  struct lvn_spool *spool = NULL;
  assert_good(lvn_spool_open(state_folder, &spool, &err));
  return spool;
}

static inline struct lvn_reception_record make_record(void) {
  return (struct lvn_reception_record){.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .sop_instance_uid = "1.2.3",
                                       .transfer_syntax_uid = "1.2.840.10008.1.2.1",
                                       .study_instance_uid = "1.2",
                                       .series_instance_uid = "1.2.1",
                                       .calling_aet = "MODALITY",
                                       .address = "192.0.2.7",
                                       .association_id = "a1",
                                       .received_ms = RECEIVED_MS};
}

static inline struct lvn_spool_writer *begin(struct lvn_spool *spool, const char *text) {
  struct lvn_spool_writer *writer = NULL;
  assert_good(lvn_spool_begin(spool, &writer, &err));
  assert_good(lvn_spool_write(writer, text, strlen(text), &err));
  return writer;
}

static inline struct lvn_reception_record receive_at(struct lvn_spool *spool, const char *text, int64_t received_ms) {
  struct lvn_reception_record record = make_record();
  record.received_ms = received_ms;
  assert_good(lvn_spool_commit(begin(spool, text), &record, &err));
  return record;
}

static inline struct lvn_reception_record receive(struct lvn_spool *spool, const char *text) {
  return receive_at(spool, text, RECEIVED_MS);
}

static inline void path_of_new(const struct lvn_spool *spool, const struct lvn_reception_record *record,
                               char ret_path[LVN_PATH_BYTES]) {
  assert_good(lvn_spool_record_to_new_path(spool, record, ret_path, &err));
}

/* Announced from the record in the store, which does not say whether the bytes were new, nor of what study they are. */
static inline void path_of_again(const struct lvn_spool *spool, const struct lvn_reception_record *record,
                                 char ret_path[LVN_PATH_BYTES]) {
  struct lvn_reception_record again = *record;
  again.study_instance_uid[0] = '\0';
  again.already_stored = true;
  path_of_new(spool, &again, ret_path);
}

/* <state>/objects/ab/<sha256><ending> */
static inline void path_in_store(const char *state_folder, const struct lvn_reception_record *record,
                                 const char *ending, char ret_path[LVN_PATH_BYTES]) {
  char text[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(record->sha256, text);
  (void)snprintf(ret_path, LVN_PATH_BYTES, "%s/objects/%.2s/%s%s", state_folder, text, text, ending);
}

/* The path of its record in the store. */
static inline void path_of_record(const char *state_folder, const struct lvn_reception_record *record,
                                  const char *ending, char ret_path[LVN_PATH_BYTES]) {
  char name[LVN_SPOOL_NAME_BYTES];
  char folder[LVN_PATH_BYTES];
  lvn_spool_record_to_name(record, ending, name);
  (void)snprintf(folder, sizeof folder, "%s/objects/%.2s", state_folder, name);
  assert_good(lvn_path_join(ret_path, folder, name, &err));
}

static inline bool has_record(const char *state_folder, const struct lvn_reception_record *record, const char *ending) {
  char path[LVN_PATH_BYTES];
  path_of_record(state_folder, record, ending, path);
  return lvn_file_exists(path);
}

/* As the pipeline does once the index has committed. */
static inline size_t finish_all(struct lvn_spool *spool) {
  struct lvn_file_names paths = {0};
  assert_good(lvn_spool_list_new(spool, 1000, &paths, &err));
  for (size_t i = 0; i < paths.count; i++) {
    assert_good(lvn_spool_finish(spool, paths.names[i], /* is_first= */ false, &err));
  }
  size_t count = paths.count;
  lvn_file_names_clear(&paths);
  return count;
}

/* As the file system is after a power cut that took the names in spool/new, which are not synced. */
static inline void cut_power(const char *state_folder) {
  struct lvn_file_names paths = {0};
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/spool/new", state_folder);
  assert_good(lvn_file_walk(path, 1000, &paths, &err));
  for (size_t i = 0; i < paths.count; i++) {
    assert_int_equal(unlink(paths.names[i]), 0);
  }
  lvn_file_names_clear(&paths);
  (void)snprintf(path, sizeof path, "%s/spool/boot", state_folder);
  assert_good(lvn_file_replace(path, "another boot", 12, 0600, &err));
}

static inline size_t count_in(const char *state_folder, const char *name) {
  char path[LVN_PATH_BYTES];
  struct lvn_file_names names = {0};
  (void)snprintf(path, sizeof path, "%s/spool/%s", state_folder, name);
  assert_good(lvn_file_list(path, 100, &names, &err));
  size_t count = names.count;
  lvn_file_names_clear(&names);
  return count;
}

static inline void assert_counts(const char *state_folder, size_t temporary, size_t new, size_t markers) {
  assert_int_equal(count_in(state_folder, "tmp"), temporary);
  assert_int_equal(count_in(state_folder, "new"), new);
  assert_int_equal(count_in(state_folder, "open"), markers);
}

static inline void assert_studies(struct lvn_spool *spool, size_t count, const char *const *expected) {
  struct lvn_file_names uids = {0};
  assert_good(lvn_spool_open_studies(spool, &uids, &err));
  assert_int_equal(uids.count, count);
  for (size_t i = 0; i < count; i++) {
    assert_string_equal(uids.names[i], expected[i]);
  }
  lvn_file_names_clear(&uids);
}

/* A child that does not outlive a failed test. */
static inline pid_t fork_child(void) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    _exit(1);
  }
  return child;
}

static inline void kill_association(pid_t child) {
  int status = 0;
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
}

#define spool_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
