#include "storage/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/intact.h"

#define DIGITS (LVN_SHA256_TEXT_BYTES - 1)
#define SEQUENCE_DIGITS 19U /* of INT64_MAX: names in the order of their numbers */
#define OBJECT_SUFFIX ".dcm"
#define RECORD_SUFFIX ".json"
#define NAMES_MAX (1U << 24)

struct lvn_objects {
  char state_folder[LVN_PATH_BYTES];
  char folder[LVN_PATH_BYTES];
  char new_folder[LVN_PATH_BYTES];
};

/* ---- names ---- */

static bool parse_sequence(const char *text, int64_t *ret_sequence) {
  *ret_sequence = 0;
  for (size_t i = 0; i < SEQUENCE_DIGITS; i++) {
    if (text[i] < '0' || text[i] > '9' || *ret_sequence > (INT64_MAX - 9) / 10) {
      return false;
    }
    *ret_sequence = 10 * *ret_sequence + (text[i] - '0');
  }
  return true;
}

static bool parse_digest(const char *text, uint8_t ret_sha256[LVN_SHA256_BYTES]) {
  char digits[LVN_SHA256_TEXT_BYTES];
  return strnlen(text, DIGITS) == DIGITS && snprintf(digits, sizeof digits, "%.*s", (int)DIGITS, text) > 0 &&
         lvn_sha256_from_text(digits, ret_sha256);
}

static bool has_length_of_waiting(const char *name) {
  return strlen(name) == DIGITS + 1 + SEQUENCE_DIGITS + strlen(RECORD_SUFFIX) &&
         strcmp(name + DIGITS + 1 + SEQUENCE_DIGITS, RECORD_SUFFIX) == 0;
}

bool lvn_objects_parse_waiting(const char *name, uint8_t ret_sha256[LVN_SHA256_BYTES], int64_t *ret_sequence) {
  return has_length_of_waiting(name) && name[DIGITS] == '-' && parse_digest(name, ret_sha256) &&
         parse_sequence(name + DIGITS + 1, ret_sequence);
}

bool lvn_objects_parse_new(const char *name, uint8_t ret_sha256[LVN_SHA256_BYTES], int64_t *ret_sequence) {
  return has_length_of_waiting(name) && name[SEQUENCE_DIGITS] == '-' && parse_sequence(name, ret_sequence) &&
         parse_digest(name + SEQUENCE_DIGITS + 1, ret_sha256);
}

void lvn_objects_format_new(const uint8_t sha256[LVN_SHA256_BYTES], int64_t sequence,
                            char ret_name[LVN_OBJECTS_NAME_BYTES]) {
  char text[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(sha256, text);
  (void)snprintf(ret_name, LVN_OBJECTS_NAME_BYTES, "%0*" PRId64 "-%s" RECORD_SUFFIX, (int)SEQUENCE_DIGITS, sequence,
                 text);
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

bool lvn_objects_record_path(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                             char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  return make_path(objects, sha256, RECORD_SUFFIX, ret_path, err);
}

bool lvn_objects_waiting_path(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                              int64_t sequence, char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  char suffix[32];
  (void)snprintf(suffix, sizeof suffix, "-%0*" PRId64 RECORD_SUFFIX, (int)SEQUENCE_DIGITS, sequence);
  return make_path(objects, sha256, suffix, ret_path, err);
}

/* ---- folders ---- */

bool lvn_objects_shard_path(const struct lvn_objects *objects, unsigned shard, char ret_path[LVN_PATH_BYTES],
                            struct lvn_error *err) {
  char name[3];
  (void)snprintf(name, sizeof name, "%02x", shard & 0xffU);
  return lvn_path_join(ret_path, objects->folder, name, err);
}

bool lvn_objects_open(const char *state_folder, struct lvn_objects **ret_objects, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_objects *objects = lvn_alloc(1, sizeof *objects, err);
  if (objects != NULL && !lvn_copy(objects->state_folder, sizeof objects->state_folder, state_folder)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", state_folder);
  }
  if (objects == NULL || !lvn_path_join(objects->folder, state_folder, "objects", err) ||
      !lvn_path_join(objects->new_folder, state_folder, "spool/new", err) ||
      !lvn_file_make_folder(objects->folder, 0700, err)) {
    return false;
  }
  for (unsigned shard = 0; shard < LVN_OBJECTS_SHARDS; shard++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_objects_shard_path(objects, shard, path, err)) {
      return false;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
      return lvn_error_set_errno(err, errno, "cannot create '%s'", path);
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

bool lvn_objects_lock(const struct lvn_objects *objects, unsigned shard, int *ret_fd, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  *ret_fd = -1;
  if (!lvn_objects_shard_path(objects, shard, path, err)) {
    return false;
  }
  /* A descriptor of its own: forked processes share the lock of one that they inherited. */
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int status = fd < 0 ? -1 : flock(fd, LOCK_EX);
  while (fd >= 0 && status != 0 && errno == EINTR) {
    status = flock(fd, LOCK_EX);
  }
  if (status != 0) {
    return lvn_error_set_errno(err, errno, "cannot lock '%s'", path);
  }
  *ret_fd = fd;
  fd = -1;
  return true;
}

/* ---- removing and listing ---- */

static bool waits_in_spool(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES], bool *ret_waits,
                           struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  *ret_waits = false;
  if (!lvn_file_exists(objects->new_folder)) {
    return true;
  }
  if (!lvn_file_list(objects->new_folder, NAMES_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count && !*ret_waits; i++) {
    uint8_t found[LVN_SHA256_BYTES];
    int64_t sequence = 0;
    *ret_waits = lvn_objects_parse_new(names.names[i], found, &sequence) && memcmp(found, sha256, sizeof found) == 0;
  }
  return true;
}

bool lvn_objects_remove(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                        struct lvn_error *err) {
  static const char *const suffixes[] = {OBJECT_SUFFIX, RECORD_SUFFIX};
  LVN_AUTOCLOSE int lock_fd = -1;
  bool waits = false;
  if (!lvn_objects_lock(objects, sha256[0], &lock_fd, err) || !waits_in_spool(objects, sha256, &waits, err)) {
    return false;
  }
  for (size_t i = 0; !waits && i < sizeof suffixes / sizeof suffixes[0]; i++) {
    char path[LVN_PATH_BYTES];
    if (!make_path(objects, sha256, suffixes[i], path, err) ||
        !lvn_intact_clear_place(objects->state_folder, path, err)) {
      return false;
    }
    if (unlink(path) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
    }
  }
  return true;
}

/* Names are sorted: "<sha256>-…json", "<sha256>.dcm" and "<sha256>.json" follow one another. */
static bool visit_name(const char *folder, const struct lvn_file_names *names, size_t position,
                       lvn_objects_visitor visit, void *user_data, struct lvn_error *err) {
  const char *name = names->names[position];
  char path[LVN_PATH_BYTES];
  char record_path[LVN_PATH_BYTES] = "";
  uint8_t before[LVN_SHA256_BYTES];
  int64_t sequence = 0;
  struct lvn_objects_entry entry = {.path = path};
  if (strlen(name) != DIGITS + strlen(OBJECT_SUFFIX) || strcmp(name + DIGITS, OBJECT_SUFFIX) != 0 ||
      !parse_digest(name, entry.sha256)) {
    return true;
  }
  entry.waits = position > 0 && lvn_objects_parse_waiting(names->names[position - 1], before, &sequence) &&
                memcmp(before, entry.sha256, sizeof before) == 0;
  const char *next = position + 1 < names->count ? names->names[position + 1] : "";
  if (strncmp(next, name, DIGITS) == 0 && strcmp(next + DIGITS, RECORD_SUFFIX) == 0) {
    if (!lvn_path_join(record_path, folder, next, err)) {
      return false;
    }
    entry.record_path = record_path;
  }
  return lvn_path_join(path, folder, name, err) && visit(user_data, &entry, err);
}

bool lvn_objects_each(const struct lvn_objects *objects, lvn_objects_visitor visit, void *user_data,
                      struct lvn_error *err) {
  for (unsigned shard = 0; shard < LVN_OBJECTS_SHARDS; shard++) {
    LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
    char folder[LVN_PATH_BYTES];
    if (!lvn_objects_shard_path(objects, shard, folder, err) || !lvn_file_list(folder, NAMES_MAX, &names, err)) {
      return false;
    }
    for (size_t i = 0; i < names.count; i++) {
      if (!visit_name(folder, &names, i, visit, user_data, err)) {
        return false;
      }
    }
  }
  return true;
}
