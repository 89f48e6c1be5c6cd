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

static bool ends_with(const char *name, const char *ending) {
  size_t length = strlen(name);
  size_t bytes = strlen(ending);
  return length > bytes && strcmp(name + length - bytes, ending) == 0;
}

/* ---- objects ---- */

static bool write_plainly(const char *path, const char *text, size_t bytes, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot create '%s'", path);
  }
  return lvn_file_write_all(fd, text, bytes, path, err);
}

/* Into "<sha256>.json.tmp", not synced; then *ret_has_some is true. */
static bool take_attribute(const char *path, bool *ret_has_some, struct lvn_error *err) {
  char text[LVN_SPOOL_RECORD_BYTES];
  char written_path[LVN_PATH_BYTES];
  ssize_t bytes = getxattr(path, ATTRIBUTE_NAME, text, sizeof text);
  if (bytes < 0) { /* without one a rebuild says so */
    return errno == ENODATA || errno == ENOTSUP || errno == ERANGE || errno == ENOENT ||
           lvn_error_set_errno(err, errno, "cannot read the record of '%s'", path);
  }
  *ret_has_some = true;
  return path_with(path, ".json.tmp", written_path, err) && write_plainly(written_path, text, (size_t)bytes, err);
}

/* An object without a record. Sorted: ".dcm", ".json". */
static bool is_bare(const struct lvn_file_names *names, size_t position) {
  const char *name = names->names[position];
  const char *next = position + 1 < names->count ? names->names[position + 1] : "";
  return strlen(name) == DIGITS + 4 && ends_with(name, ".dcm") &&
         (strncmp(next, name, DIGITS) != 0 || strcmp(next + DIGITS, ".json") != 0);
}

static bool name_record(const char *folder, const char *name, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char record_path[LVN_PATH_BYTES];
  char written_path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, folder, name, err) || !path_with(path, ".json", record_path, err) ||
      !path_with(path, ".json.tmp", written_path, err)) {
    return false;
  }
  return rename(written_path, record_path) == 0 || errno == ENOENT ||
         lvn_error_set_errno(err, errno, "cannot rename '%s'", written_path);
}

/* Of many objects: all records are written, synced at once, and then get their names. */
bool lvn_spool_convert_shard(const char *folder, int folder_fd, const struct lvn_file_names *names,
                             struct lvn_error *err) {
  bool has_some = false;
  for (size_t i = 0; i < names->count; i++) {
    char path[LVN_PATH_BYTES];
    bool is_old_mark = ends_with(names->names[i], ".old");
    if (!is_old_mark && !is_bare(names, i)) {
      continue;
    }
    if (!lvn_path_join(path, folder, names->names[i], err) || (!is_old_mark && !take_attribute(path, &has_some, err))) {
      return false;
    }
    if (is_old_mark) {
      (void)unlink(path);
    }
  }
  if (has_some && syncfs(folder_fd) != 0) {
    return lvn_error_set_errno(err, errno, "cannot sync '%s'", folder);
  }
  for (size_t i = 0; has_some && i < names->count; i++) {
    if (is_bare(names, i) && !name_record(folder, names->names[i], err)) {
      return false;
    }
  }
  return !has_some || fsync(folder_fd) == 0 || lvn_error_set_errno(err, errno, "cannot sync folder '%s'", folder);
}

/* ---- what waited ---- */

static bool read_old_record(const char *path, const char *beside, struct lvn_reception_record *record,
                            struct lvn_error *err) {
  char text[LVN_SPOOL_RECORD_BYTES];
  ssize_t bytes = getxattr(path, ATTRIBUTE_NAME, text, sizeof text);
  if (bytes >= 0) {
    return lvn_spool_record_parse(path, text, (size_t)bytes, record, err);
  }
  if (errno != ENODATA && errno != ENOTSUP && errno != ERANGE) {
    return lvn_error_set_errno(err, errno, "cannot read the record of '%s'", path);
  }
  return lvn_spool_read_record(beside, record, err);
}

static bool take_object(const struct lvn_spool *spool, const char *path, struct lvn_reception_record *record,
                        struct lvn_error *err) {
  char text[LVN_SPOOL_RECORD_BYTES];
  char record_path[LVN_PATH_BYTES];
  bool is_placed = false;
  LVN_AUTOCLOSE int lock_fd = -1;
  if (!lvn_objects_lock(spool->objects, record->sha256[0], &lock_fd, err) ||
      !lvn_spool_place(spool, path, record->sha256, &is_placed, err) ||
      !lvn_objects_waiting_path(spool->objects, record->sha256, record->sequence, record_path, err)) {
    return false;
  }
  record->already_stored = !is_placed;
  size_t bytes = lvn_spool_record_to_text(record, text);
  if (bytes == 0) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a reception record");
  }
  return lvn_file_replace(record_path, text, bytes, 0600, err) && /* with the folder */
         lvn_spool_announce(spool, record_path, record->sha256, record->sequence, err);
}

static bool convert_one(const struct lvn_spool *spool, const char *path, struct lvn_error *err) {
  char beside[LVN_PATH_BYTES];
  struct lvn_reception_record record;
  bool is_there = false;
  if (!path_with(path, ".json", beside, err)) {
    return false;
  }
  if (!read_old_record(path, beside, &record, err)) {
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
    if (ends_with(names.names[i], ".obj") &&
        (!lvn_path_join(path, spool->new_folder, names.names[i], err) || !convert_one(spool, path, err))) {
      return false;
    }
  }
  for (size_t i = 0; i < names.count; i++) { /* what is left of records belonged to an object that never came */
    uint8_t sha256[LVN_SHA256_BYTES];
    int64_t sequence = 0;
    char path[LVN_PATH_BYTES];
    if (ends_with(names.names[i], ".json") && !lvn_objects_parse_new(names.names[i], sha256, &sequence) &&
        lvn_path_join(path, spool->new_folder, names.names[i], err)) {
      (void)unlink(path);
    }
  }
  return true;
}
