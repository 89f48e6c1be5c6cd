#include "base/file.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define WALK_DEPTH_MAX 8U

void lvn_file_close_pointer(int *fd) {
  if (*fd >= 0) {
    (void)close(*fd);
    *fd = -1;
  }
}

bool lvn_path_join(char ret_path[LVN_PATH_BYTES], const char *folder, const char *name, struct lvn_error *err) {
  int length = snprintf(ret_path, LVN_PATH_BYTES, "%s/%s", folder, name);
  if (length < 0 || length >= LVN_PATH_BYTES) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s/…'", folder);
  }
  return true;
}

bool lvn_file_make_folder(const char *path, unsigned mode, struct lvn_error *err) {
  char partial[LVN_PATH_BYTES];
  if (!lvn_copy(partial, sizeof partial, path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", path);
  }
  for (char *p = partial + 1;; p++) {
    char saved = *p;
    if (saved != '/' && saved != '\0') {
      continue;
    }
    *p = '\0';
    if (mkdir(partial, mode) != 0 && errno != EEXIST) {
      return lvn_error_set_errno(err, errno, "cannot create folder '%s'", partial);
    }
    if (saved == '\0') {
      break;
    }
    *p = saved;
  }
  struct stat status;
  if (stat(path, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot read folder '%s'", path);
  }
  if (!S_ISDIR(status.st_mode)) {
    return lvn_error_set(err, LVN_ERROR_IO, "'%s' exists and is not a folder", path);
  }
  return true;
}

bool lvn_file_write_all(int fd, const void *data, size_t bytes, const char *path, struct lvn_error *err) {
  const uint8_t *next = data;
  while (bytes > 0) {
    ssize_t written = write(fd, next, bytes);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return lvn_error_set_errno(err, written < 0 ? errno : EIO, "cannot write '%s'", path);
    }
    next += written;
    bytes -= (size_t)written;
  }
  return true;
}

static bool read_all(int fd, uint8_t *data, size_t bytes, const char *path, struct lvn_error *err) {
  size_t used = 0;
  while (used < bytes) {
    ssize_t got = read(fd, data + used, bytes - used);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return lvn_error_set_errno(err, errno, "cannot read '%s'", path);
    }
    if (got == 0) {
      return lvn_error_set(err, LVN_ERROR_IO, "'%s' became shorter while it was read", path);
    }
    used += (size_t)got;
  }
  return true;
}

bool lvn_file_read(const char *path, size_t max_bytes, uint8_t **ret_data, size_t *ret_bytes, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  LVN_AUTOFREE uint8_t *data = NULL;
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  if (!S_ISREG(status.st_mode)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%s' is not a regular file", path);
  }
  if ((uint64_t)status.st_size > max_bytes) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%s' is larger than %zu bytes", path, max_bytes);
  }
  data = lvn_alloc((size_t)status.st_size + 1, 1, err);
  if (data == NULL || !read_all(fd, data, (size_t)status.st_size, path, err)) {
    return false;
  }
  *ret_bytes = (size_t)status.st_size;
  *ret_data = lvn_steal(&data);
  return true;
}

bool lvn_file_sync_folder(const char *folder, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0) {
    return lvn_error_set_errno(err, errno, "cannot sync folder '%s'", folder);
  }
  return true;
}

static bool sync_parent(const char *path, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  (void)lvn_copy(folder, sizeof folder, path);
  char *slash = strrchr(folder, '/');
  if (slash == NULL) {
    return lvn_file_sync_folder(".", err);
  }
  slash[slash == folder ? 1 : 0] = '\0';
  return lvn_file_sync_folder(folder, err);
}

bool lvn_file_commit(int fd, const char *temporary_path, const char *path, struct lvn_error *err) {
  bool synced = fsync(fd) == 0;
  int failed_errno = errno;
  /* close() is checked too: some file systems report a failed write only there. */
  if (close(fd) != 0 && synced) {
    synced = false;
    failed_errno = errno;
  }
  if (!synced) {
    (void)lvn_error_set_errno(err, failed_errno, "cannot sync '%s'", temporary_path);
  } else if (rename(temporary_path, path) != 0) {
    (void)lvn_error_set_errno(err, errno, "cannot rename '%s' to '%s'", temporary_path, path);
  } else {
    return sync_parent(path, err);
  }
  (void)unlink(temporary_path);
  return false;
}

bool lvn_file_replace(const char *path, const void *data, size_t bytes, unsigned mode, struct lvn_error *err) {
  char temporary_path[LVN_PATH_BYTES];
  int length = snprintf(temporary_path, sizeof temporary_path, "%s.tmp-XXXXXX", path);
  if (length < 0 || (size_t)length >= sizeof temporary_path) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", path);
  }
  int fd = mkostemp(temporary_path, O_CLOEXEC);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot create a file beside '%s'", path);
  }
  if (fchmod(fd, mode) != 0) {
    (void)lvn_error_set_errno(err, errno, "cannot set the mode of '%s'", temporary_path);
  } else if (lvn_file_write_all(fd, data, bytes, temporary_path, err)) {
    return lvn_file_commit(fd, temporary_path, path, err);
  }
  (void)close(fd);
  (void)unlink(temporary_path);
  return false;
}

bool lvn_file_exists(const char *path) {
  struct stat status;
  return stat(path, &status) == 0;
}

bool lvn_file_free_bytes(const char *path, uint64_t *ret_bytes, struct lvn_error *err) {
  struct statvfs status;
  if (statvfs(path, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot read the free space of '%s'", path);
  }
  *ret_bytes = (uint64_t)status.f_bavail * status.f_frsize;
  return true;
}

void lvn_file_names_clear(struct lvn_file_names *names) {
  for (size_t i = 0; i < names->count; i++) {
    lvn_free(names->names[i]);
  }
  lvn_free(names->names);
  *names = (struct lvn_file_names){0};
}

static int compare_names(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool names_append(struct lvn_file_names *names, size_t *capacity, size_t max_count, const char *text,
                         struct lvn_error *err) {
  if (!lvn_grow(&names->names, capacity, names->count, sizeof *names->names, max_count, err)) {
    return false;
  }
  names->names[names->count] = lvn_strdup(text, err);
  if (names->names[names->count] == NULL) {
    return false;
  }
  names->count++;
  return true;
}

static bool is_dots(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool lvn_file_list(const char *folder, size_t max_count, struct lvn_file_names *ret_names, struct lvn_error *err) {
  struct lvn_file_names found = {0};
  size_t capacity = 0;
  bool good = true;
  DIR *stream = opendir(folder);
  if (stream == NULL) {
    return lvn_error_set_errno(err, errno, "cannot list folder '%s'", folder);
  }
  for (const struct dirent *entry = readdir(stream); good && entry != NULL; entry = readdir(stream)) {
    if (!is_dots(entry->d_name)) {
      good = names_append(&found, &capacity, max_count, entry->d_name, err);
    }
  }
  (void)closedir(stream);
  if (!good) {
    lvn_file_names_clear(&found);
    return lvn_error_prefix(err, "folder '%s'", folder);
  }
  if (found.count > 1) {
    qsort(found.names, found.count, sizeof *found.names, compare_names);
  }
  *ret_names = found;
  return true;
}

static bool walk_into(const char *folder, unsigned depth, size_t max_count, struct lvn_file_names *found,
                      size_t *capacity, struct lvn_error *err) {
  __attribute__((cleanup(lvn_file_names_clear))) struct lvn_file_names names = {0};
  if (depth > WALK_DEPTH_MAX) {
    return lvn_error_set(err, LVN_ERROR_DATA, "folder '%s' is nested deeper than %u", folder, WALK_DEPTH_MAX);
  }
  if (!lvn_file_list(folder, max_count, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    struct stat status;
    if (!lvn_path_join(path, folder, names.names[i], err)) {
      return false;
    }
    if (lstat(path, &status) != 0) {
      return lvn_error_set_errno(err, errno, "cannot read '%s'", path);
    }
    if (S_ISDIR(status.st_mode) && !walk_into(path, depth + 1, max_count, found, capacity, err)) {
      return false;
    }
    if (S_ISREG(status.st_mode) && !names_append(found, capacity, max_count, path, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_file_walk(const char *folder, size_t max_count, struct lvn_file_names *ret_paths, struct lvn_error *err) {
  struct lvn_file_names found = {0};
  size_t capacity = 0;
  if (!walk_into(folder, 0, max_count, &found, &capacity, err)) {
    lvn_file_names_clear(&found);
    return false;
  }
  if (found.count > 1) {
    qsort(found.names, found.count, sizeof *found.names, compare_names);
  }
  *ret_paths = found;
  return true;
}

bool lvn_file_random(void *data, size_t bytes, struct lvn_error *err) {
  uint8_t *next = data;
  while (bytes > 0) {
    ssize_t got = getrandom(next, bytes, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return lvn_error_set_errno(err, errno, "no random bytes from the kernel");
    }
    next += got;
    bytes -= (size_t)got;
  }
  return true;
}
