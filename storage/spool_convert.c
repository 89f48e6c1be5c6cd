/* Release 0.1.0 kept the reception record in the extended attribute user.livervlm.facts of the object, or, where the
 * file system has none, in "<name>.json" beside it; what waited for the index lay in spool/new as "<sha256>….obj". */
#include "storage/intact.h"
#include "storage/spool_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ATTRIBUTE_NAME "user.livervlm.facts"
#define NAMES_MAX (1U << 24)
#define DIGITS (LVN_SHA256_TEXT_BYTES - 1)

/* The path with another ending for its last four characters. */
static bool path_with(const char *path, const char *ending, char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  int length = snprintf(ret_path, LVN_PATH_BYTES, "%.*s%s", (int)(strlen(path) - 4), path, ending);
  return (length > 0 && length < LVN_PATH_BYTES) ||
         lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", path);
}

static bool read_record_file(const char *path, struct lvn_reception_record *record, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no reception record '%s'", path);
  }
  return lvn_file_read(path, LVN_SPOOL_RECORD_BYTES, &data, &bytes, err) &&
         lvn_spool_record_parse(path, (const char *)data, bytes, record, err);
}

static bool read_old_record(const char *path, struct lvn_reception_record *record, struct lvn_error *err) {
  char text[LVN_SPOOL_RECORD_BYTES];
  char beside[LVN_PATH_BYTES];
  ssize_t bytes = getxattr(path, ATTRIBUTE_NAME, text, sizeof text);
  if (bytes >= 0) {
    return lvn_spool_record_parse(path, text, (size_t)bytes, record, err);
  }
  if (errno != ENODATA && errno != ENOTSUP && errno != ERANGE && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot read the record of '%s'", path);
  }
  return path_with(path, ".json", beside, err) && read_record_file(beside, record, err);
}

/* ---- objects ---- */

/* Sorted: the records, which begin with "<sha256>-", come right before. */
static bool has_record(const struct lvn_file_names *names, size_t position) {
  const char *name = names->names[position];
  for (size_t i = position; i > 0 && strncmp(names->names[i - 1], name, DIGITS) == 0; i--) {
    if (lvn_objects_has_ending(names->names[i - 1], LVN_OBJECTS_RECORD)) {
      return true;
    }
  }
  return false;
}

/* *ret_named: it has a record now. Where there was none before a rebuild says so. */
static bool convert_object(const struct lvn_spool *spool, const char *path, bool *ret_named, struct lvn_error *err) {
  char record_path[LVN_PATH_BYTES];
  struct lvn_reception_record record;
  if (!read_old_record(path, &record, err)) {
    return !lvn_error_is_transient(err);
  }
  *ret_named = true;
  return lvn_spool_name_record(spool, &record, LVN_OBJECTS_RECORD, record_path, err);
}

bool lvn_spool_convert_shard(const struct lvn_spool *spool, const char *folder, int folder_fd,
                             const struct lvn_file_names *names, struct lvn_error *err) {
  bool has_some = false;
  for (size_t i = 0; i < names->count; i++) {
    char path[LVN_PATH_BYTES];
    const char *name = names->names[i];
    if (strlen(name) == DIGITS + 4 && lvn_objects_has_ending(name, ".dcm") && !has_record(names, i) &&
        (!lvn_path_join(path, folder, name, err) || !convert_object(spool, path, &has_some, err))) {
      return false;
    }
  }
  if (has_some && fsync(folder_fd) != 0) {
    return lvn_error_set_errno(err, errno, "cannot sync folder '%s'", folder);
  }
  for (size_t i = 0; i < names->count; i++) { /* what is left: marks, and records that are read */
    struct lvn_error ignored;
    struct lvn_reception_record record;
    char path[LVN_PATH_BYTES];
    const char *name = names->names[i];
    bool is_mark = lvn_objects_has_ending(name, ".old");
    if ((is_mark || lvn_objects_has_ending(name, ".json")) && lvn_path_join(path, folder, name, &ignored) &&
        (is_mark || read_record_file(path, &record, &ignored))) {
      (void)unlink(path);
    }
  }
  return true;
}

/* ---- what waited ---- */

static bool take_object(const struct lvn_spool *spool, const char *path, struct lvn_reception_record *record,
                        struct lvn_error *err) {
  char record_path[LVN_PATH_BYTES];
  bool is_placed = false;
  LVN_AUTOCLOSE int lock_fd = -1;
  if (!lvn_objects_lock(spool->objects, record->sha256[0], &lock_fd, err) ||
      !lvn_spool_place(spool, path, record->sha256, &is_placed, err) ||
      !lvn_spool_name_record(spool, record, LVN_OBJECTS_WAITING, record_path, err)) {
    return false;
  }
  if (fsync(lock_fd) != 0) {
    return lvn_error_set_errno(err, errno, "cannot sync the folder of '%s'", record_path);
  }
  record->already_stored = !is_placed;
  return lvn_spool_announce(spool, record, err);
}

static bool convert_one(const struct lvn_spool *spool, const char *path, struct lvn_error *err) {
  char beside[LVN_PATH_BYTES];
  struct lvn_reception_record record = {0};
  bool is_there = false;
  if (!path_with(path, ".json", beside, err)) {
    return false;
  }
  if (!read_old_record(path, &record, err)) {
    return !lvn_error_is_transient(err) && lvn_spool_move_aside(spool, beside, &is_there, err) &&
           lvn_spool_move_aside(spool, path, &is_there, err);
  }
  if (!take_object(spool, path, &record, err)) {
    return false;
  }
  if ((unlink(path) != 0 && errno != ENOENT) || (unlink(beside) != 0 && errno != ENOENT)) {
    return lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
  }
  return true;
}

bool lvn_spool_convert_new(struct lvn_spool *spool, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(spool->new_folder, NAMES_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    if (lvn_objects_has_ending(names.names[i], ".obj") &&
        (!lvn_path_join(path, spool->new_folder, names.names[i], err) || !convert_one(spool, path, err))) {
      return false;
    }
  }
  for (size_t i = 0; i < names.count; i++) { /* what is left of records belonged to an object that never came */
    char path[LVN_PATH_BYTES];
    if (lvn_objects_has_ending(names.names[i], ".json") &&
        lvn_path_join(path, spool->new_folder, names.names[i], err)) {
      (void)unlink(path);
    }
  }
  return true;
}
