/* Folders for a test program's files, under TMPDIR or, where that is not set or too long, /tmp. All of them are gone
 * when the program ends, whether its tests passed or not; only a program that is killed leaves its own behind. After
 * cmocka.h. */
#ifndef LVN_TESTS_SCRATCH_H
#define LVN_TESTS_SCRATCH_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_BYTES 96 /* room for a socket's name behind it: sun_path has 108 */

/* One for each program: the first folder, which holds the others, and who made it. */
static char scratch_root[SCRATCH_BYTES - sizeof "/XXXXXX" + 1];
static pid_t scratch_owner;

static inline int scratch_remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
  (void)status;
  (void)type;
  (void)walk;
  return remove(path);
}

/* Now, rather than at the end. */
static inline void scratch_remove(const char *folder) {
  (void)nftw(folder, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* A forked child that ends first must not take its parent's files away. */
static inline void scratch_remove_root(void) {
  if (getpid() == scratch_owner) {
    scratch_remove(scratch_root);
  }
}

/* A new empty folder; returns ret_path. */
static inline const char *scratch_make(char ret_path[SCRATCH_BYTES]) {
  if (scratch_owner != getpid()) {
    const char *base = getenv("TMPDIR");
    const bool fits = base != NULL && base[0] != '\0' && strlen(base) < sizeof scratch_root - sizeof "/lvn-test-XXXXXX";
    (void)snprintf(scratch_root, sizeof scratch_root, "%s/lvn-test-XXXXXX", fits ? base : "/tmp");
    assert_non_null(mkdtemp(scratch_root));
    scratch_owner = getpid();
    assert_int_equal(atexit(scratch_remove_root), 0);
  }
  (void)snprintf(ret_path, SCRATCH_BYTES, "%s/XXXXXX", scratch_root);
  assert_non_null(mkdtemp(ret_path));
  return ret_path;
}

#endif
