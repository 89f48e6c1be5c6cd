#include "storage/intact.h"
#include "storage/spool_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MODE 0700U
#define NAME_BYTES 80U
/* Start write-back in steps of this size while the rest still arrives: the fsync then finds little left to do. */
#define WRITE_BACK_BYTES (1024U * 1024U)

struct lvn_spool_writer {
  struct lvn_spool *spool;
  struct lvn_sha256 *digest;
  uint64_t byte_count;
  uint64_t write_back_start;
  int fd;
  char path[LVN_PATH_BYTES];
};

LVN_DEFINE_CLEANUP(lvn_spool, lvn_spool_close)
LVN_DEFINE_CLEANUP(lvn_spool_writer, lvn_spool_abandon)

/* A file in tmp or open belongs to a living process exactly as long as that process holds its flock. The creator locks
 * and then looks whether the cleaner was faster (no link left); the cleaner removes only what it could lock. */
static void remove_dead_files(const char *folder) {
  struct lvn_error ignored;
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(folder, 1U << 20, &names, &ignored)) {
    return;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_path_join(path, folder, names.names[i], &ignored)) {
      continue;
    }
    LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
      (void)unlink(path);
    }
  }
}

static bool make_folders(struct lvn_spool *spool, const char *state_folder, struct lvn_error *err) {
  const char *root = spool->root_folder;
  return lvn_path_join(spool->root_folder, state_folder, "spool", err) &&
         lvn_path_join(spool->tmp_folder, root, "tmp", err) && lvn_path_join(spool->new_folder, root, "new", err) &&
         lvn_path_join(spool->open_folder, root, "open", err) &&
         lvn_path_join(spool->objects_folder, state_folder, "objects", err) &&
         lvn_file_make_folder(spool->tmp_folder, FOLDER_MODE, err) &&
         lvn_file_make_folder(spool->new_folder, FOLDER_MODE, err) &&
         lvn_file_make_folder(spool->open_folder, FOLDER_MODE, err) && lvn_file_sync_folder(root, err) &&
         lvn_file_sync_folder(state_folder, err) && lvn_spool_sync_parent(state_folder, err);
}

bool lvn_spool_sync_parent(const char *path, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  if (!lvn_copy(folder, sizeof folder, path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", path);
  }
  char *slash = strrchr(folder, '/');
  if (slash != NULL) {
    slash[slash == folder ? 1 : 0] = '\0';
  }
  return lvn_file_sync_folder(slash == NULL ? "." : folder, err) || err->sys_errno == EACCES || err->sys_errno == EPERM;
}

/* The first number here opens the counter for the processes that are forked later. On a full disk they try themselves,
 * object by object: the node has to be there to answer so. */
static void start_counting(struct lvn_spool *spool) {
  struct lvn_error ignored;
  int64_t number = 0;
  (void)!lvn_spool_count(spool, &number, &ignored);
}

void lvn_spool_remove_dead(const struct lvn_spool *spool) {
  remove_dead_files(spool->tmp_folder);
}

bool lvn_spool_open(const char *state_folder, struct lvn_spool **ret_spool, struct lvn_error *err) {
  LVN_CLEANUP(lvn_spool_cleanup) struct lvn_spool *spool = lvn_alloc(1, sizeof *spool, err);
  if (spool == NULL) {
    return false;
  }
  spool->new_fd = -1;
  spool->counter_fd = -1;
  if (!lvn_intact_check_owner(state_folder, err) || !make_folders(spool, state_folder, err)) {
    return false;
  }
  spool->new_fd = open(spool->new_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (spool->new_fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", spool->new_folder);
  }
  remove_dead_files(spool->tmp_folder);
  start_counting(spool);
  lvn_spool_remove_orphans(spool);
  *ret_spool = lvn_steal(&spool);
  return true;
}

void lvn_spool_close(struct lvn_spool *spool) {
  if (spool != NULL) {
    lvn_file_close_pointer(&spool->new_fd);
    lvn_file_close_pointer(&spool->counter_fd);
    lvn_free(spool);
  }
}

const char *lvn_spool_get_new_folder(const struct lvn_spool *spool) {
  return spool->new_folder;
}

bool lvn_spool_create_locked(const char *path, int *ret_fd, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  struct stat status;
  if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot create '%s'", path);
  }
  *ret_fd = -1;
  if (status.st_nlink > 0) {
    *ret_fd = fd;
    fd = -1;
  }
  return true;
}

static bool create_temporary(struct lvn_spool_writer *writer, struct lvn_error *err) {
  while (writer->fd < 0) {
    uint64_t random[2];
    char name[NAME_BYTES];
    if (!lvn_file_random(random, sizeof random, err)) {
      return false;
    }
    (void)snprintf(name, sizeof name, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
    if (!lvn_path_join(writer->path, writer->spool->tmp_folder, name, err) ||
        !lvn_spool_create_locked(writer->path, &writer->fd, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_spool_begin(struct lvn_spool *spool, struct lvn_spool_writer **ret_writer, struct lvn_error *err) {
  LVN_CLEANUP(lvn_spool_writer_cleanup) struct lvn_spool_writer *writer = lvn_alloc(1, sizeof *writer, err);
  if (writer == NULL) {
    return false;
  }
  writer->spool = spool;
  writer->fd = -1;
  if (!lvn_sha256_create(&writer->digest, err) || !create_temporary(writer, err)) {
    return false;
  }
  *ret_writer = lvn_steal(&writer);
  return true;
}

bool lvn_spool_write(struct lvn_spool_writer *writer, const void *data, size_t bytes, struct lvn_error *err) {
  if (!lvn_file_write_all(writer->fd, data, bytes, writer->path, err) ||
      !lvn_sha256_update(writer->digest, data, bytes, err)) {
    return false;
  }
  writer->byte_count += bytes;
  if (writer->byte_count - writer->write_back_start >= WRITE_BACK_BYTES) {
    /* A hint; a write error is reported by the fsync of commit. */
    (void)sync_file_range(writer->fd, (__off64_t)writer->write_back_start,
                          (__off64_t)(writer->byte_count - writer->write_back_start), SYNC_FILE_RANGE_WRITE);
    writer->write_back_start = writer->byte_count;
  }
  return true;
}

const char *lvn_spool_writer_get_path(const struct lvn_spool_writer *writer) {
  return writer->path;
}

void lvn_spool_abandon(struct lvn_spool_writer *writer) {
  if (writer != NULL) {
    if (writer->fd >= 0) {
      (void)unlink(writer->path);
      (void)close(writer->fd);
    }
    lvn_sha256_destroy(writer->digest);
    lvn_free(writer);
  }
}

bool lvn_spool_sync_new_folder(const struct lvn_spool *spool, struct lvn_error *err) {
  if (fsync(spool->new_fd) != 0) {
    return lvn_error_set_errno(err, errno, "cannot sync folder '%s'", spool->new_folder);
  }
  return true;
}

/* fsync, checked close, rename, folder sync: in this order. Some file systems report a failed write only at close. */
static bool make_durable(struct lvn_spool_writer *writer, const char *new_path, struct lvn_error *err) {
  /* Holds the lock through the checked close: without it a cleaner takes the file for a dead process's. */
  LVN_AUTOCLOSE int lock_fd = fcntl(writer->fd, F_DUPFD_CLOEXEC, 0);
  if (lock_fd < 0 || fsync(writer->fd) != 0) {
    return lvn_error_set_errno(err, errno, "cannot sync '%s'", writer->path);
  }
  int fd = writer->fd;
  writer->fd = -1;
  if (close(fd) != 0) {
    (void)lvn_error_set_errno(err, errno, "cannot close '%s'", writer->path);
    (void)unlink(writer->path);
    return false;
  }
  if (rename(writer->path, new_path) != 0) {
    (void)lvn_error_set_errno(err, errno, "cannot rename '%s' to '%s'", writer->path, new_path);
    (void)unlink(writer->path);
    return false;
  }
  /* The object stays when this fails: another association may have committed the same bytes and been told so. It is
   * whole; the peer is answered a failure and sends it again. */
  return lvn_spool_sync_new_folder(writer->spool, err);
}

/* Where the object goes: its digest's name, or, where something damaged has that name, a name that nothing has. The
 * damaged one is the pipeline's: it may be at work on it. */
static bool choose_new_path(const struct lvn_spool *spool, const char *sha256_text,
                            const struct lvn_reception_record *record, char ret_path[LVN_PATH_BYTES],
                            struct lvn_error *err) {
  char name[NAME_BYTES];
  struct stat status;
  (void)snprintf(name, sizeof name, "%s.obj", sha256_text);
  if (!lvn_path_join(ret_path, spool->new_folder, name, err)) {
    return false;
  }
  return lstat(ret_path, &status) != 0 || lvn_spool_unique_path(spool, sha256_text, record, ret_path, err);
}

bool lvn_spool_commit(struct lvn_spool_writer *taken_writer, struct lvn_reception_record *record,
                      struct lvn_error *err) {
  LVN_CLEANUP(lvn_spool_writer_cleanup) struct lvn_spool_writer *writer = taken_writer;
  char sha256_text[LVN_SHA256_TEXT_BYTES];
  char new_path[LVN_PATH_BYTES];
  if (!lvn_sha256_finish(writer->digest, record->sha256, err)) {
    return false;
  }
  record->byte_count = writer->byte_count;
  lvn_sha256_to_text(record->sha256, sha256_text);
  if (!lvn_spool_count(writer->spool, &record->sequence, err) ||
      !lvn_spool_commit_again(writer->spool, sha256_text, record, &record->already_stored, err)) {
    return false;
  }
  if (record->already_stored) {
    return true;
  }
  LVN_AUTOCLOSE int lock_fd = -1;
  return choose_new_path(writer->spool, sha256_text, record, new_path, err) &&
         lvn_spool_lock_new(writer->spool, /* exclusive= */ false, &lock_fd, err) &&
         lvn_spool_record_write(writer->fd, new_path, record, err) && make_durable(writer, new_path, err);
}

struct waiting {
  struct timespec modified;
  char *name; /* borrowed from the listing */
};

static int compare_waiting(const void *left_pointer, const void *right_pointer) {
  const struct waiting *left = left_pointer;
  const struct waiting *right = right_pointer;
  if (left->modified.tv_sec != right->modified.tv_sec) {
    return left->modified.tv_sec < right->modified.tv_sec ? -1 : 1;
  }
  if (left->modified.tv_nsec != right->modified.tv_nsec) {
    return left->modified.tv_nsec < right->modified.tv_nsec ? -1 : 1;
  }
  return strcmp(left->name, right->name);
}

bool lvn_spool_is_object_name(const char *name) {
  size_t length = strlen(name);
  return length > 4 && strcmp(name + length - 4, ".obj") == 0;
}

static bool fill_paths(const struct lvn_spool *spool, const struct waiting *waiting, size_t count,
                       struct lvn_file_names *ret_paths, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  paths.names = lvn_alloc(count, sizeof *paths.names, err);
  if (paths.names == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    paths.names[i] = lvn_format(err, "%s/%s", spool->new_folder, waiting[i].name);
    if (paths.names[i] == NULL) {
      return false;
    }
    paths.count = i + 1;
  }
  *ret_paths = paths;
  paths = (struct lvn_file_names){0};
  return true;
}

bool lvn_spool_list_new(struct lvn_spool *spool, size_t max_count, struct lvn_file_names *ret_paths,
                        struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  LVN_AUTOFREE struct waiting *waiting = NULL;
  size_t count = 0;
  if (!lvn_file_list(spool->new_folder, 1U << 24, &names, err)) {
    return false;
  }
  waiting = lvn_alloc(names.count, sizeof *waiting, err);
  if (waiting == NULL) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    struct stat status;
    if (lvn_spool_is_object_name(names.names[i]) &&
        fstatat(spool->new_fd, names.names[i], &status, AT_SYMLINK_NOFOLLOW) == 0) {
      waiting[count++] = (struct waiting){.modified = status.st_mtim, .name = names.names[i]};
    }
  }
  if (count > 1) {
    qsort(waiting, count, sizeof *waiting, compare_waiting);
  }
  return fill_paths(spool, waiting, count < max_count ? count : max_count, ret_paths, err);
}
