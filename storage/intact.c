#include "storage/intact.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 65536U

static bool has_digest(int fd, const uint8_t sha256[LVN_SHA256_BYTES]) {
  struct lvn_error ignored;
  struct lvn_sha256 *digest = NULL;
  uint8_t buffer[READ_BYTES];
  uint8_t found[LVN_SHA256_BYTES];
  ssize_t got = 1;
  bool good = lvn_sha256_create(&digest, &ignored);
  while (good && got > 0) {
    got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) {
      got = 1;
      continue;
    }
    good = got >= 0 && (got == 0 || lvn_sha256_update(digest, buffer, (size_t)got, &ignored));
  }
  good = good && lvn_sha256_finish(digest, found, &ignored) && memcmp(found, sha256, sizeof found) == 0;
  lvn_sha256_destroy(digest);
  return good;
}

int lvn_intact_open(const char *path, const uint8_t sha256[LVN_SHA256_BYTES]) {
  struct stat status;
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || !has_digest(fd, sha256)) {
    return -1;
  }
  int found = fd;
  fd = -1;
  return found;
}

bool lvn_intact_clear_place(const char *state_folder, const char *path, struct lvn_error *err) {
  struct stat status;
  char folder[LVN_PATH_BYTES];
  char target[LVN_PATH_BYTES];
  uint64_t random = 0;
  const char *name = strrchr(path, '/');
  if (lstat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
    return true;
  }
  if (!lvn_file_random(&random, sizeof random, err) || !lvn_path_join(folder, state_folder, "unreadable", err) ||
      !lvn_file_make_folder(folder, 0700, err)) {
    return false;
  }
  int length = snprintf(target, sizeof target, "%s/%s-%016" PRIx64, folder, name == NULL ? path : name + 1, random);
  if (length < 0 || (size_t)length >= sizeof target) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", folder);
  }
  return rename(path, target) == 0 || lvn_error_set_errno(err, errno, "cannot move '%s' out of the way", path);
}

bool lvn_intact_check_owner(const char *state_folder, struct lvn_error *err) {
  struct stat status;
  char text[1024];
  struct passwd entry;
  struct passwd *found = NULL;
  if (geteuid() != 0 || stat(state_folder, &status) != 0 || status.st_uid == 0) {
    return true;
  }
  char name[64];
  if (getpwuid_r(status.st_uid, &entry, text, sizeof text, &found) == 0 && found != NULL) {
    (void)snprintf(name, sizeof name, "%.60s", found->pw_name);
  } else {
    (void)snprintf(name, sizeof name, "#%lu", (unsigned long)status.st_uid);
  }
  return lvn_error_set(err, LVN_ERROR_USAGE,
                       "'%s' belongs to the user '%s' and this process is root's: run the same command by "
                       "sudo -u '%s' …, or files would be left that the node cannot use",
                       state_folder, name, name);
}
