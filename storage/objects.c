#include "storage/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/intact.h"

#define FOLDER_COUNT 256U
#define OBJECT_SUFFIX ".dcm"

struct lvn_objects {
  char state_folder[LVN_PATH_BYTES];
  char folder[LVN_PATH_BYTES];
  bool is_touched[FOLDER_COUNT]; /* has links that are not synced yet */
};

bool lvn_objects_open(const char *state_folder, struct lvn_objects **ret_objects, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_objects *objects = lvn_alloc(1, sizeof *objects, err);
  if (objects != NULL && !lvn_copy(objects->state_folder, sizeof objects->state_folder, state_folder)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", state_folder);
  }
  if (objects == NULL || !lvn_path_join(objects->folder, state_folder, "objects", err) ||
      !lvn_file_make_folder(objects->folder, 0700, err)) {
    return false;
  }
  for (unsigned i = 0; i < FOLDER_COUNT; i++) {
    char path[LVN_PATH_BYTES];
    char name[3];
    (void)snprintf(name, sizeof name, "%02x", i & 0xffU);
    if (!lvn_path_join(path, objects->folder, name, err) || !lvn_file_make_folder(path, 0700, err)) {
      return false;
    }
  }
  if (!lvn_file_sync_folder(objects->folder, err) || !lvn_file_sync_folder(state_folder, err)) {
    return false;
  }
  *ret_objects = lvn_steal(&objects);
  return true;
}

void lvn_objects_close(struct lvn_objects *objects) {
  lvn_free(objects);
}

static bool make_path(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES], const char *suffix,
                      char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  char text[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(sha256, text);
  int length = snprintf(ret_path, LVN_PATH_BYTES, "%s/%.2s/%s%s", objects->folder, text, text, suffix);
  if (length < 0 || length >= LVN_PATH_BYTES) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", objects->folder);
  }
  return true;
}

bool lvn_objects_path(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                      char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  return make_path(objects, sha256, OBJECT_SUFFIX, ret_path, err);
}

/* Reception record of a later reception take the place of the earlier ones. The rename does nothing where both are one
 * file. */
static bool replace_record(const char *from, const char *to, struct lvn_error *err) {
  char beside[LVN_PATH_BYTES];
  int length = snprintf(beside, sizeof beside, "%s.new", to);
  if (length < 0 || (size_t)length >= sizeof beside) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", to);
  }
  if ((unlink(beside) != 0 && errno != ENOENT) || link(from, beside) != 0 || rename(beside, to) != 0) {
    return lvn_error_set_errno(err, errno, "cannot replace '%s'", to);
  }
  (void)unlink(beside);
  return true;
}

/* The record live in an extended attribute, which a second name shares; on file systems without them in "<name>.json"
 * beside the object. Those of an object that is offered again, "<sha256>-<…>", are newer than the stored ones. */
static bool link_record(const struct lvn_objects *objects, const char *spool_path,
                        const uint8_t sha256[LVN_SHA256_BYTES], struct lvn_error *err) {
  char from[LVN_PATH_BYTES];
  char to[LVN_PATH_BYTES];
  size_t length = strlen(spool_path);
  if (length < 4 || length + 2 > LVN_PATH_BYTES) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not a path of an object: '%.200s'", spool_path);
  }
  (void)snprintf(from, sizeof from, "%.*s.json", (int)(length - 4), spool_path);
  if (!make_path(objects, sha256, ".json", to, err)) {
    return false;
  }
  if (link(from, to) == 0) {
    return true;
  }
  const char *name = strrchr(spool_path, '/');
  if (errno == EEXIST && name != NULL && strchr(name, '-') != NULL) {
    return replace_record(from, to, err);
  }
  if (errno != ENOENT && errno != EEXIST) {
    return lvn_error_set_errno(err, errno, "cannot link '%s' to '%s'", from, to);
  }
  return true;
}

static bool is_same_file(const char *left_path, const char *right_path) {
  struct stat left;
  struct stat right;
  return stat(left_path, &left) == 0 && lstat(right_path, &right) == 0 && left.st_ino == right.st_ino &&
         left.st_dev == right.st_dev;
}

/* `path` exists and is another file than the one in the spool: it stays when it holds its bytes. */
static bool replace_damaged(const struct lvn_objects *objects, const char *spool_path, const char *path,
                            const uint8_t sha256[LVN_SHA256_BYTES], bool *ret_placed, struct lvn_error *err) {
  char beside[LVN_PATH_BYTES];
  LVN_AUTOCLOSE int fd = lvn_intact_open(path, sha256);
  if (fd >= 0) {
    return true;
  }
  int length = snprintf(beside, sizeof beside, "%s.new", path);
  if (length < 0 || (size_t)length >= sizeof beside) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", path);
  }
  if (!lvn_intact_clear_place(objects->state_folder, path, err)) {
    return false;
  }
  if ((unlink(beside) != 0 && errno != ENOENT) || link(spool_path, beside) != 0 || rename(beside, path) != 0) {
    return lvn_error_set_errno(err, errno, "cannot replace '%s'", path);
  }
  *ret_placed = true;
  return true;
}

bool lvn_objects_link(struct lvn_objects *objects, const char *spool_path, const uint8_t sha256[LVN_SHA256_BYTES],
                      bool *ret_placed, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  *ret_placed = false;
  /* Reception record first: an object that is here has its record. */
  if (!lvn_objects_path(objects, sha256, path, err) || !link_record(objects, spool_path, sha256, err)) {
    return false;
  }
  objects->is_touched[sha256[0]] = true;
  if (link(spool_path, path) == 0) {
    *ret_placed = true;
    return true;
  }
  if (errno != EEXIST) {
    return lvn_error_set_errno(err, errno, "cannot link '%s' to '%s'", spool_path, path);
  }
  return is_same_file(spool_path, path) || replace_damaged(objects, spool_path, path, sha256, ret_placed, err);
}

bool lvn_objects_sync(struct lvn_objects *objects, struct lvn_error *err) {
  for (unsigned i = 0; i < FOLDER_COUNT; i++) {
    char path[LVN_PATH_BYTES];
    char name[3];
    if (!objects->is_touched[i]) {
      continue;
    }
    (void)snprintf(name, sizeof name, "%02x", i & 0xffU);
    if (!lvn_path_join(path, objects->folder, name, err) || !lvn_file_sync_folder(path, err)) {
      return false;
    }
    objects->is_touched[i] = false;
  }
  return true;
}

bool lvn_objects_remove(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                        struct lvn_error *err) {
  static const char *const suffixes[] = {OBJECT_SUFFIX, ".json", ".old"}; /* .old: a mark in older stores */
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    char path[LVN_PATH_BYTES];
    if (!make_path(objects, sha256, suffixes[i], path, err)) {
      return false;
    }
    if (!lvn_intact_clear_place(objects->state_folder, path, err)) {
      return false;
    }
    if (unlink(path) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
    }
  }
  return true;
}

static bool visit_folder(const struct lvn_objects *objects, unsigned number, lvn_objects_visitor visit, void *user_data,
                         struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  char folder[LVN_PATH_BYTES];
  char name[3];
  (void)snprintf(name, sizeof name, "%02x", number & 0xffU);
  if (!lvn_path_join(folder, objects->folder, name, err) || !lvn_file_list(folder, 1U << 24, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    char digits[LVN_SHA256_TEXT_BYTES];
    uint8_t sha256[LVN_SHA256_BYTES];
    bool is_cut = !lvn_copy(digits, sizeof digits, names.names[i]);
    if (!is_cut || strcmp(names.names[i] + LVN_SHA256_TEXT_BYTES - 1, OBJECT_SUFFIX) != 0 ||
        !lvn_sha256_from_text(digits, sha256)) {
      continue;
    }
    if (!lvn_path_join(path, folder, names.names[i], err) || !visit(user_data, path, sha256, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_objects_each(const struct lvn_objects *objects, lvn_objects_visitor visit, void *user_data,
                      struct lvn_error *err) {
  for (unsigned i = 0; i < FOLDER_COUNT; i++) {
    if (!visit_folder(objects, i, visit, user_data, err)) {
      return false;
    }
  }
  return true;
}
