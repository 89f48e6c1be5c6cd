#include "model/network/models.h"

#include "base/clock.h"
#include "base/memory.h"
#include "model/tensor/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 64U
#define HISTORY "history.jsonl"

/* ---- names ---- */

static bool is_plain_name(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
  return name[0] != '\0' && name[0] != '.' && strspn(name, allowed) == strlen(name) &&
         strcmp(name, LVN_MODELS_CURRENT) != 0 && strcmp(name, LVN_MODELS_PREVIOUS) != 0;
}

static bool name_package(const struct lvn_package *package, char ret_name[LVN_MODELS_NAME_BYTES],
                         struct lvn_error *err) {
  (void)snprintf(ret_name, LVN_MODELS_NAME_BYTES, "%s-%s", package->name, package->version);
  return is_plain_name(ret_name) ||
         lvn_error_set(err, LVN_ERROR_DATA, "name and version of the package may hold letters, digits and ._+- alone");
}

/* ---- import ---- */

static bool check_signature(const char *folder, const char *const *keys, size_t key_count, struct lvn_error *err) {
  if (key_count == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "no public key is trusted: put one (PEM) into the trusted keys' folder");
  }
  for (size_t i = 0; i < key_count; i++) {
    if (lvn_package_verify_signature(folder, keys[i], err)) {
      return true;
    }
    if (err->code != LVN_ERROR_DATA) {
      return false;
    }
  }
  char path[LVN_PATH_BYTES];
  if (lvn_path_join(path, folder, LVN_PACKAGE_SIGNATURE, err) && !lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.300s' is not signed", folder);
  }
  return lvn_error_set(err, LVN_ERROR_DATA, "the signature of '%.300s' is of none of the %zu trusted keys", folder,
                       key_count);
}

static void remove_folder(const char *folder) {
  struct lvn_error ignored = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (lvn_file_list(folder, FILES_MAX, &names, &ignored)) {
    for (size_t i = 0; i < names.count; i++) {
      char path[LVN_PATH_BYTES];
      if (lvn_path_join(path, folder, names.names[i], &ignored)) {
        (void)unlink(path);
      }
    }
    (void)rmdir(folder);
  }
}

static bool copy_file(const char *from_folder, const char *to_folder, const char *name, struct lvn_error *err) {
  char from[LVN_PATH_BYTES];
  char to[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  return lvn_path_join(from, from_folder, name, err) && lvn_path_join(to, to_folder, name, err) &&
         lvn_file_read(from, LVN_PACKAGE_WEIGHTS_MAX, &data, &bytes, err) &&
         lvn_file_replace(to, data, bytes, 0644, err);
}

static bool copy_package(const char *from_folder, const char *to_folder, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(from_folder, FILES_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    if (!copy_file(from_folder, to_folder, names.names[i], err)) {
      return false;
    }
  }
  return true;
}

/* The copy is what will run: it, not what was copied from, has to be good. */
static bool check_copy(const char *folder, const uint8_t expected[LVN_SHA256_BYTES], const char *const *keys,
                       size_t key_count, lvn_models_check check, struct lvn_error *err) {
  struct lvn_package copy = {0};
  if (!lvn_package_open(folder, &copy, err)) {
    return false;
  }
  bool same = memcmp(copy.manifest_sha256, expected, LVN_SHA256_BYTES) == 0;
  lvn_package_clear(&copy);
  return same ? check_signature(folder, keys, key_count, err) && check(folder, err)
              : lvn_error_set(err, LVN_ERROR_CONFLICT, "the package changed while it was copied");
}

static bool bring_in(const char *models_folder, const char *package_folder, const char *name,
                     const uint8_t sha256[LVN_SHA256_BYTES], const char *const *keys, size_t key_count,
                     lvn_models_check check, struct lvn_error *err) {
  char temporary[LVN_PATH_BYTES];
  char target[LVN_PATH_BYTES];
  if (!lvn_path_join(temporary, models_folder, ".import-XXXXXX", err) ||
      !lvn_path_join(target, models_folder, name, err)) {
    return false;
  }
  if (mkdtemp(temporary) == NULL) {
    return lvn_error_set_errno(err, errno, "cannot make a folder in '%.300s'", models_folder);
  }
  bool good =
      copy_package(package_folder, temporary, err) && check_copy(temporary, sha256, keys, key_count, check, err);
  if (good && (chmod(temporary, 0755) != 0 || rename(temporary, target) != 0)) {
    good = lvn_error_set_errno(err, errno, "cannot make '%.300s'", target);
  }
  if (!good) {
    remove_folder(temporary);
    return false;
  }
  return lvn_file_sync_folder(models_folder, err);
}

/* True with *ret_is_there when these very bytes are in place already. */
static bool look_for_same(const char *models_folder, const char *name, const uint8_t sha256[LVN_SHA256_BYTES],
                          bool *ret_is_there, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  struct lvn_package there = {0};
  *ret_is_there = false;
  if (!lvn_path_join(path, models_folder, name, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return true;
  }
  if (!lvn_package_open(path, &there, err)) {
    return lvn_error_prefix(err, "what is there under this name is damaged");
  }
  *ret_is_there = memcmp(there.manifest_sha256, sha256, LVN_SHA256_BYTES) == 0;
  lvn_package_clear(&there);
  return *ret_is_there || lvn_error_set(err, LVN_ERROR_CONFLICT,
                                        "another package %s is there already; packages are never replaced", name);
}

bool lvn_models_import(const char *models_folder, const char *package_folder, const char *const *keys, size_t key_count,
                       lvn_models_check check, char ret_name[LVN_MODELS_NAME_BYTES], struct lvn_error *err) {
  struct lvn_package package = {0};
  uint8_t sha256[LVN_SHA256_BYTES];
  bool is_there = false;
  if (!check_signature(package_folder, keys, key_count, err) || !lvn_package_open(package_folder, &package, err)) {
    return false;
  }
  memcpy(sha256, package.manifest_sha256, sizeof sha256);
  bool named = name_package(&package, ret_name, err);
  lvn_package_clear(&package);
  return named && lvn_file_make_folder(models_folder, 0755, err) &&
         look_for_same(models_folder, ret_name, sha256, &is_there, err) &&
         (is_there || bring_in(models_folder, package_folder, ret_name, sha256, keys, key_count, check, err));
}

/* ---- links ---- */

bool lvn_models_read_link(const char *models_folder, const char *link, char ret_name[LVN_MODELS_NAME_BYTES],
                          struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  ret_name[0] = '\0';
  if (!lvn_path_join(path, models_folder, link, err)) {
    return false;
  }
  ssize_t length = readlink(path, ret_name, LVN_MODELS_NAME_BYTES - 1);
  ret_name[length > 0 ? length : 0] = '\0';
  if (length < 0 && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot read the link '%.300s'", path);
  }
  return length < 0 || is_plain_name(ret_name) ||
         lvn_error_set(err, LVN_ERROR_DATA, "'%.300s' points out of its folder", path);
}

static bool write_link(const char *models_folder, const char *link, const char *name, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char temporary[LVN_PATH_BYTES];
  char hidden[64];
  (void)snprintf(hidden, sizeof hidden, ".%s-%ld", link, (long)getpid());
  if (!lvn_path_join(path, models_folder, link, err) || !lvn_path_join(temporary, models_folder, hidden, err)) {
    return false;
  }
  (void)unlink(temporary);
  if (symlink(name, temporary) != 0 || rename(temporary, path) != 0) {
    int code = errno;
    (void)unlink(temporary);
    return lvn_error_set_errno(err, code, "cannot set the link '%.300s'", path);
  }
  return lvn_file_sync_folder(models_folder, err);
}

bool lvn_models_promote(const char *models_folder, const char *name, struct lvn_error *err) {
  char current[LVN_MODELS_NAME_BYTES];
  char path[LVN_PATH_BYTES];
  struct stat status;
  if (!is_plain_name(name) || !lvn_path_join(path, models_folder, name, err) || stat(path, &status) != 0 ||
      !S_ISDIR(status.st_mode)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "there is no package '%.100s' in '%.300s'", name, models_folder);
  }
  if (!lvn_models_read_link(models_folder, LVN_MODELS_CURRENT, current, err)) {
    return false;
  }
  if (strcmp(current, name) == 0) {
    return true;
  }
  return (current[0] == '\0' || write_link(models_folder, LVN_MODELS_PREVIOUS, current, err)) &&
         write_link(models_folder, LVN_MODELS_CURRENT, name, err);
}

bool lvn_models_rollback(const char *models_folder, char ret_name[LVN_MODELS_NAME_BYTES], struct lvn_error *err) {
  char current[LVN_MODELS_NAME_BYTES];
  if (!lvn_models_read_link(models_folder, LVN_MODELS_CURRENT, current, err) ||
      !lvn_models_read_link(models_folder, LVN_MODELS_PREVIOUS, ret_name, err)) {
    return false;
  }
  if (current[0] == '\0' || ret_name[0] == '\0' || strcmp(current, ret_name) == 0) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "there is no package to go back to in '%.300s'", models_folder);
  }
  return write_link(models_folder, LVN_MODELS_CURRENT, ret_name, err) &&
         write_link(models_folder, LVN_MODELS_PREVIOUS, current, err);
}

bool lvn_models_remember(const char *models_folder, const char *action, const char *name, const json_t *facts,
                         struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char now[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_utc(lvn_clock_wall_ms(), now);
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *line = json_pack("{s:s,s:s,s:s}", "time", now, "action", action, "package", name);
  if (line == NULL || (facts != NULL && json_object_update_missing(line, (json_t *)(uintptr_t)facts) != 0)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the history's text is not UTF-8");
  }
  LVN_AUTOFREE char *text = lvn_json_dump(line, JSON_COMPACT, err);
  if (text == NULL || !lvn_path_join(path, models_folder, HISTORY, err)) {
    return false;
  }
  LVN_AUTOCLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot write '%.300s'", path);
  }
  return lvn_file_write_all(fd, text, strlen(text), path, err) && lvn_file_write_all(fd, "\n", 1, path, err) &&
         (fsync(fd) == 0 || lvn_error_set_errno(err, errno, "cannot write '%.300s'", path));
}
