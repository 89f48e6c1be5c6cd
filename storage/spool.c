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

/* A locked file in spool/tmp. */
struct temporary {
  int fd;
  char path[LVN_PATH_BYTES];
};

struct lvn_spool_writer {
  struct lvn_spool *spool;
  struct lvn_sha256 *digest;
  uint64_t byte_count;
  uint64_t write_back_start;
  struct temporary file;
};

LVN_DEFINE_CLEANUP(lvn_spool, lvn_spool_close)
LVN_DEFINE_CLEANUP(lvn_spool_writer, lvn_spool_abandon)

/* A file in tmp or open belongs to a living process exactly as long as that process holds its flock. The creator locks
 * and then looks whether the cleaner was faster (no link left); the cleaner removes only what it could lock. */
static size_t remove_dead_files(const char *folder) {
  size_t removed = 0;
  struct lvn_error ignored;
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(folder, 1U << 20, &names, &ignored)) {
    return 0;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_path_join(path, folder, names.names[i], &ignored)) {
      continue;
    }
    LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
      (void)unlink(path);
      removed++;
    }
  }
  return removed;
}

static bool make_folders(struct lvn_spool *spool, const char *state_folder, struct lvn_error *err) {
  const char *root = spool->root_folder;
  return lvn_path_join(spool->root_folder, state_folder, "spool", err) &&
         lvn_path_join(spool->tmp_folder, root, "tmp", err) && lvn_path_join(spool->new_folder, root, "new", err) &&
         lvn_path_join(spool->open_folder, root, "open", err) && lvn_path_join(spool->empty_path, root, "empty", err) &&
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

/* Its files in tmp are the last that a commit removes: a process that died between the sync of an object and its
 * announcement has left one. */
void lvn_spool_remove_dead(struct lvn_spool *spool) {
  struct lvn_error ignored;
  if (remove_dead_files(spool->tmp_folder) > 0) {
    (void)!lvn_spool_scan(spool, &ignored);
  }
}

bool lvn_spool_open(const char *state_folder, struct lvn_spool **ret_spool, struct lvn_error *err) {
  struct lvn_error ignored;
  LVN_CLEANUP(lvn_spool_cleanup) struct lvn_spool *spool = lvn_alloc(1, sizeof *spool, err);
  if (spool == NULL) {
    return false;
  }
  spool->counter_fd = -1;
  if (!lvn_copy(spool->state_folder, sizeof spool->state_folder, state_folder)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", state_folder);
  }
  if (!lvn_intact_check_owner(state_folder, err) || !make_folders(spool, state_folder, err) ||
      !lvn_objects_open(state_folder, &spool->objects, err)) {
    return false;
  }
  start_counting(spool);
  (void)!lvn_spool_recover(spool, /* always= */ false,
                           &ignored); /* on a full disk later, by the pipeline: the receiver has to be there */
  lvn_spool_remove_dead(spool);
  *ret_spool = lvn_steal(&spool);
  return true;
}

void lvn_spool_close(struct lvn_spool *spool) {
  if (spool != NULL) {
    lvn_file_close_pointer(&spool->counter_fd);
    lvn_objects_close(spool->objects);
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

static bool temporary_create(const struct lvn_spool *spool, struct temporary *file, struct lvn_error *err) {
  while (file->fd < 0) {
    uint64_t random[2];
    char name[NAME_BYTES];
    if (!lvn_file_random(random, sizeof random, err)) {
      return false;
    }
    (void)snprintf(name, sizeof name, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
    if (!lvn_path_join(file->path, spool->tmp_folder, name, err) ||
        !lvn_spool_create_locked(file->path, &file->fd, err)) {
      return false;
    }
  }
  return true;
}

static void temporary_remove(struct temporary *file) {
  if (file->fd >= 0) {
    if (unlink(file->path) != 0) { /* tried once more, or it would stay until the next start */
      (void)unlink(file->path);
    }
    (void)close(file->fd);
    file->fd = -1;
  }
}

bool lvn_spool_begin(struct lvn_spool *spool, struct lvn_spool_writer **ret_writer, struct lvn_error *err) {
  LVN_CLEANUP(lvn_spool_writer_cleanup) struct lvn_spool_writer *writer = lvn_alloc(1, sizeof *writer, err);
  if (writer == NULL) {
    return false;
  }
  writer->spool = spool;
  writer->file.fd = -1;
  if (!lvn_sha256_create(&writer->digest, err) || !temporary_create(spool, &writer->file, err)) {
    return false;
  }
  *ret_writer = lvn_steal(&writer);
  return true;
}

bool lvn_spool_write(struct lvn_spool_writer *writer, const void *data, size_t bytes, struct lvn_error *err) {
  if (!lvn_file_write_all(writer->file.fd, data, bytes, writer->file.path, err) ||
      !lvn_sha256_update(writer->digest, data, bytes, err)) {
    return false;
  }
  writer->byte_count += bytes;
  if (writer->byte_count - writer->write_back_start >= WRITE_BACK_BYTES) {
    /* A hint; a write error is reported by the fsync of commit. */
    (void)sync_file_range(writer->file.fd, (__off64_t)writer->write_back_start,
                          (__off64_t)(writer->byte_count - writer->write_back_start), SYNC_FILE_RANGE_WRITE);
    writer->write_back_start = writer->byte_count;
  }
  return true;
}

const char *lvn_spool_writer_get_path(const struct lvn_spool_writer *writer) {
  return writer->file.path;
}

void lvn_spool_abandon(struct lvn_spool_writer *writer) {
  if (writer != NULL) {
    temporary_remove(&writer->file);
    lvn_sha256_destroy(writer->digest);
    lvn_free(writer);
  }
}

/* ---- the commit ---- */

/* One reception on its way into the store. */
struct commit {
  struct lvn_spool_writer *writer;
  struct lvn_reception_record *record;
  int known_fd; /* of the same bytes, undamaged in the store before; -1: none */
  bool is_placed;
  char path[LVN_PATH_BYTES];
  char record_path[LVN_PATH_BYTES];
};

static bool sync_object(int fd, const char *path, struct lvn_error *err) {
  return fsync(fd) == 0 || lvn_error_set_errno(err, errno, "cannot sync '%s'", path);
}

bool lvn_spool_place(const struct lvn_spool *spool, const char *path, const uint8_t sha256[LVN_SHA256_BYTES],
                     bool *ret_placed, struct lvn_error *err) {
  char target[LVN_PATH_BYTES];
  *ret_placed = false;
  if (!lvn_objects_path(spool->objects, sha256, target, err)) {
    return false;
  }
  if (link(path, target) != 0) {
    if (errno != EEXIST) {
      return lvn_error_set_errno(err, errno, "cannot link '%s' to '%s'", path, target);
    }
    LVN_AUTOCLOSE int fd = lvn_intact_open(target, sha256); /* another association may have been faster */
    if (fd >= 0) {
      return true;
    }
    if (!lvn_intact_clear_place(spool->state_folder, target, err)) {
      return false;
    }
    if ((unlink(target) != 0 && errno != ENOENT) || link(path, target) != 0) {
      return lvn_error_set_errno(err, errno, "cannot replace '%s'", target);
    }
  }
  *ret_placed = true;
  return true;
}

/* Renamed over one that has no links left to give (65,000 on ext4). */
static bool make_empty_file(const struct lvn_spool *spool, struct lvn_error *err) {
  struct temporary file = {.fd = -1};
  bool good = temporary_create(spool, &file, err) && sync_object(file.fd, file.path, err) &&
              (rename(file.path, spool->empty_path) == 0 ||
               lvn_error_set_errno(err, errno, "cannot create '%s'", spool->empty_path));
  if (good) {
    lvn_file_close_pointer(&file.fd);
  }
  temporary_remove(&file);
  return good;
}

/* All records are names of one file: to make a file in each of the many folders takes the disk far longer. */
static bool link_empty(const struct lvn_spool *spool, const char *path, struct lvn_error *err) {
  for (int attempt = 0;; attempt++) {
    if (link(spool->empty_path, path) == 0 || errno == EEXIST) {
      return true;
    }
    if (attempt > 0 || (errno != ENOENT && errno != EMLINK)) {
      return lvn_error_set_errno(err, errno, "cannot link '%s'", path);
    }
    if (!make_empty_file(spool, err)) {
      return false;
    }
  }
}

bool lvn_spool_name_record(const struct lvn_spool *spool, const struct lvn_reception_record *record, const char *ending,
                           char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  char name[LVN_SPOOL_NAME_BYTES];
  char folder[LVN_PATH_BYTES];
  lvn_spool_record_to_name(record, ending, name);
  return lvn_objects_shard_path(spool->objects, record->sha256[0], folder, err) &&
         lvn_path_join(ret_path, folder, name, err) && link_empty(spool, ret_path, err);
}

bool lvn_spool_announce(const struct lvn_spool *spool, const struct lvn_reception_record *record,
                        struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  return lvn_spool_record_to_new_path(spool, record, path, err) && link_empty(spool, path, err);
}

/* The object's temporary name, which is to go in any case, becomes the announcement: no file is made for it. */
static bool announce_by_renaming(const struct commit *commit, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  const char *from = commit->writer->file.path;
  return lvn_spool_record_to_new_path(commit->writer->spool, commit->record, path, err) &&
         (rename(from, path) == 0 || lvn_error_set_errno(err, errno, "cannot rename '%s' to '%s'", from, path));
}

static bool is_still_there(const struct commit *commit) {
  struct stat opened;
  struct stat named;
  return commit->known_fd >= 0 && fstat(commit->known_fd, &opened) == 0 && lstat(commit->path, &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

/* With the lock of the shard: retention removes what it holds only before this or after it. */
static bool put_into_store(struct commit *commit, int shard_fd, struct lvn_error *err) {
  const struct temporary *file = &commit->writer->file;
  struct lvn_reception_record *record = commit->record;
  if (!is_still_there(commit)) {
    if ((commit->known_fd >= 0 && !sync_object(file->fd, file->path, err)) || /* removed since */
        !lvn_spool_place(commit->writer->spool, file->path, record->sha256, &commit->is_placed, err)) {
      return false;
    }
  }
  record->already_stored = !commit->is_placed;
  return lvn_spool_name_record(commit->writer->spool, record, LVN_OBJECTS_WAITING, commit->record_path, err) &&
         sync_object(shard_fd, commit->record_path, err) &&
         (commit->is_placed ? announce_by_renaming(commit, err)
                            : lvn_spool_announce(commit->writer->spool, record, err));
}

static bool run_commit(struct commit *commit, struct lvn_error *err) {
  const struct lvn_objects *objects = commit->writer->spool->objects;
  LVN_AUTOCLOSE int shard_fd = -1;
  if (!sync_object(commit->known_fd >= 0 ? commit->known_fd : commit->writer->file.fd, commit->path, err) ||
      !lvn_objects_lock(objects, commit->record->sha256[0], &shard_fd, err)) {
    return false;
  }
  if (put_into_store(commit, shard_fd, err)) {
    return true;
  }
  if (commit->record_path[0] != '\0') {
    (void)unlink(commit->record_path);
  }
  if (commit->is_placed) {
    (void)unlink(commit->path);
  }
  return false;
}

bool lvn_spool_commit(struct lvn_spool_writer *taken_writer, struct lvn_reception_record *record,
                      struct lvn_error *err) {
  LVN_CLEANUP(lvn_spool_writer_cleanup) struct lvn_spool_writer *writer = taken_writer;
  struct commit commit = {.writer = writer, .record = record, .known_fd = -1};
  if (!lvn_sha256_finish(writer->digest, record->sha256, err) ||
      !lvn_spool_count(writer->spool, &record->sequence, err) ||
      !lvn_objects_path(writer->spool->objects, record->sha256, commit.path, err)) {
    return false;
  }
  record->byte_count = writer->byte_count;
  commit.known_fd = lvn_intact_open(commit.path, record->sha256);
  bool good = run_commit(&commit, err);
  lvn_file_close_pointer(&commit.known_fd);
  return good;
}

/* ---- what waits for the index ---- */

bool lvn_spool_list_new(struct lvn_spool *spool, size_t max_count, struct lvn_file_names *ret_paths,
                        struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  if (!lvn_file_list(spool->new_folder, 1U << 24, &names, err)) { /* sorted: in the order of reception */
    return false;
  }
  paths.names = lvn_alloc(names.count < max_count ? names.count : max_count, sizeof *paths.names, err);
  if (paths.names == NULL) {
    return false;
  }
  for (size_t i = 0; i < names.count && paths.count < max_count; i++) {
    uint8_t sha256[LVN_SHA256_BYTES];
    int64_t sequence = 0;
    if (!lvn_objects_parse_new(names.names[i], sha256, &sequence)) {
      continue;
    }
    paths.names[paths.count] = lvn_format(err, "%s/%s", spool->new_folder, names.names[i]);
    if (paths.names[paths.count] == NULL) {
      return false;
    }
    paths.count++;
  }
  *ret_paths = paths;
  paths = (struct lvn_file_names){0};
  return true;
}

static bool remove_name(const char *path, struct lvn_error *err) {
  return unlink(path) == 0 || errno == ENOENT || lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
}

/* The newest record stays: the last name. */
static bool remove_older(const struct lvn_spool *spool, const uint8_t sha256[LVN_SHA256_BYTES], struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  bool has_newer = false;
  if (!lvn_objects_list_records(spool->objects, sha256, &names, err)) {
    return false;
  }
  for (size_t i = names.count; i > 0; i--) {
    char folder[LVN_PATH_BYTES];
    char path[LVN_PATH_BYTES];
    if (!lvn_objects_has_ending(names.names[i - 1], LVN_OBJECTS_RECORD)) {
      continue;
    }
    if (has_newer && (!lvn_objects_shard_path(spool->objects, sha256[0], folder, err) ||
                      !lvn_path_join(path, folder, names.names[i - 1], err) || !remove_name(path, err))) {
      return false;
    }
    has_newer = true;
  }
  return true;
}

bool lvn_spool_finish(struct lvn_spool *spool, const char *new_path, bool is_first, struct lvn_error *err) {
  struct lvn_reception_record record;
  char folder[LVN_PATH_BYTES];
  char waiting[LVN_SPOOL_NAME_BYTES];
  char stored[LVN_SPOOL_NAME_BYTES];
  char from[LVN_PATH_BYTES];
  char to[LVN_PATH_BYTES];
  if (!lvn_file_exists(new_path)) {
    return true;
  }
  if (!lvn_spool_read_record(new_path, &record, err) ||
      !lvn_objects_shard_path(spool->objects, record.sha256[0], folder, err)) {
    return false;
  }
  lvn_spool_record_to_name(&record, LVN_OBJECTS_WAITING, waiting);
  lvn_spool_record_to_name(&record, LVN_OBJECTS_RECORD, stored);
  if (!lvn_path_join(from, folder, waiting, err) || !lvn_path_join(to, folder, stored, err)) {
    return false;
  }
  /* The rename is not synced: where a power cut takes it back the index hears of the same reception again. */
  if (rename(from, to) != 0 && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot rename '%s'", from);
  }
  return (is_first || remove_older(spool, record.sha256, err)) && remove_name(new_path, err);
}

/* The name of the file in <state>/unreadable, which is made. */
static bool unreadable_path(const struct lvn_spool *spool, const char *path, char ret_path[LVN_PATH_BYTES],
                            struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  const char *name = strrchr(path, '/');
  return lvn_path_join(folder, spool->state_folder, "unreadable", err) && lvn_file_make_folder(folder, 0700, err) &&
         lvn_path_join(ret_path, folder, name == NULL ? path : name + 1, err);
}

bool lvn_spool_move_aside(const struct lvn_spool *spool, const char *path, bool *ret_there, struct lvn_error *err) {
  char target[LVN_PATH_BYTES];
  if (!unreadable_path(spool, path, target, err)) {
    return false;
  }
  if (rename(path, target) != 0 && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot rename '%s' to '%s'", path, target);
  }
  *ret_there = lvn_file_exists(target);
  return lvn_spool_sync_parent(target, err) && lvn_file_sync_folder(spool->state_folder, err);
}

/* The records of this reception: there is one, or none is left. */
static bool move_records(const struct lvn_spool *spool, const uint8_t sha256[LVN_SHA256_BYTES], int64_t sequence,
                         bool removes, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_objects_list_records(spool->objects, sha256, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    struct lvn_error ignored;
    struct lvn_reception_record record;
    char folder[LVN_PATH_BYTES];
    char path[LVN_PATH_BYTES];
    bool is_there = false;
    if (!lvn_objects_has_ending(names.names[i], LVN_OBJECTS_WAITING) ||
        !lvn_spool_record_from_name(names.names[i], &record, &ignored) || record.sequence != sequence) {
      continue;
    }
    if (!lvn_objects_shard_path(spool->objects, sha256[0], folder, err) ||
        !lvn_path_join(path, folder, names.names[i], err) ||
        !(removes ? remove_name(path, err) : lvn_spool_move_aside(spool, path, &is_there, err))) {
      return false;
    }
  }
  return true;
}

bool lvn_spool_set_aside(struct lvn_spool *spool, const char *new_path, bool keeps_object, bool *ret_lost,
                         struct lvn_error *err) {
  uint8_t sha256[LVN_SHA256_BYTES];
  int64_t sequence = 0;
  char path[LVN_PATH_BYTES];
  bool is_there = keeps_object;
  const char *name = strrchr(new_path, '/');
  LVN_AUTOCLOSE int lock_fd = -1;
  *ret_lost = false;
  if (name == NULL || !lvn_objects_parse_new(name + 1, sha256, &sequence)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not a path of a reception: '%.200s'", new_path);
  }
  if (!lvn_objects_path(spool->objects, sha256, path, err) ||
      !lvn_objects_lock(spool->objects, sha256[0], &lock_fd, err) ||
      (!keeps_object && !lvn_spool_move_aside(spool, path, &is_there, err))) {
    return false;
  }
  *ret_lost = !is_there;
  return move_records(spool, sha256, sequence, /* removes= */ !is_there, err) && remove_name(new_path, err);
}
