#include "storage/objects.h"

#include <dirent.h>
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

bool lvn_objects_has_ending(const char *name, const char *ending) {
  size_t length = strlen(name);
  size_t bytes = strlen(ending);
  return length > bytes && strcmp(name + length - bytes, ending) == 0;
}

bool lvn_objects_parse_new(const char *name, uint8_t ret_sha256[LVN_SHA256_BYTES], int64_t *ret_sequence) {
  return strlen(name) > SEQUENCE_DIGITS + 1 + DIGITS &&
         (lvn_objects_has_ending(name, LVN_OBJECTS_NEW) || lvn_objects_has_ending(name, LVN_OBJECTS_KNOWN)) &&
         name[SEQUENCE_DIGITS] == '-' && parse_sequence(name, ret_sequence) &&
         parse_digest(name + SEQUENCE_DIGITS + 1, ret_sha256);
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

static int compare_names(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool collect_records(DIR *stream, const char *digits, struct lvn_file_names *names, struct lvn_error *err) {
  size_t capacity = 0;
  for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
    if (strncmp(entry->d_name, digits, DIGITS) != 0 || entry->d_name[DIGITS] != '-') {
      continue;
    }
    if (!lvn_grow(&names->names, &capacity, names->count, sizeof *names->names, NAMES_MAX, err)) {
      return false;
    }
    names->names[names->count] = lvn_strdup(entry->d_name, err);
    if (names->names[names->count] == NULL) {
      return false;
    }
    names->count++;
  }
  return true;
}

bool lvn_objects_list_records(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                              struct lvn_file_names *ret_names, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  char folder[LVN_PATH_BYTES];
  char digits[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(sha256, digits);
  if (!lvn_objects_shard_path(objects, sha256[0], folder, err)) {
    return false;
  }
  DIR *stream = opendir(folder);
  if (stream == NULL) {
    return lvn_error_set_errno(err, errno, "cannot list folder '%s'", folder);
  }
  bool good = collect_records(stream, digits, &names, err);
  (void)closedir(stream);
  if (!good) {
    return false;
  }
  if (names.count > 1) {
    qsort(names.names, names.count, sizeof *names.names, compare_names);
  }
  *ret_names = names;
  names = (struct lvn_file_names){0};
  return true;
}

static bool remove_file(const char *path, struct lvn_error *err) {
  return unlink(path) == 0 || errno == ENOENT || lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
}

bool lvn_objects_remove(const struct lvn_objects *objects, const uint8_t sha256[LVN_SHA256_BYTES],
                        struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names records = {0};
  LVN_AUTOCLOSE int lock_fd = -1;
  char path[LVN_PATH_BYTES];
  bool waits = false;
  if (!lvn_objects_lock(objects, sha256[0], &lock_fd, err) || !waits_in_spool(objects, sha256, &waits, err)) {
    return false;
  }
  if (waits) {
    return true;
  }
  if (!lvn_objects_path(objects, sha256, path, err) || !lvn_intact_clear_place(objects->state_folder, path, err) ||
      !remove_file(path, err) || !lvn_objects_list_records(objects, sha256, &records, err)) {
    return false;
  }
  for (size_t i = 0; i < records.count; i++) {
    char folder[LVN_PATH_BYTES];
    if (!lvn_objects_shard_path(objects, sha256[0], folder, err) ||
        !lvn_path_join(path, folder, records.names[i], err) || !remove_file(path, err)) {
      return false;
    }
  }
  return true;
}

/* Names are sorted: those of the records, which begin with "<sha256>-", come right before "<sha256>.dcm". */
static bool visit_name(const char *folder, const struct lvn_file_names *names, size_t position,
                       lvn_objects_visitor visit, void *user_data, struct lvn_error *err) {
  const char *name = names->names[position];
  char path[LVN_PATH_BYTES];
  struct lvn_objects_entry entry = {.path = path};
  if (strlen(name) != DIGITS + strlen(OBJECT_SUFFIX) || !lvn_objects_has_ending(name, OBJECT_SUFFIX) ||
      !parse_digest(name, entry.sha256)) {
    return true;
  }
  for (size_t i = position; i > 0 && strncmp(names->names[i - 1], name, DIGITS) == 0; i--) {
    const char *record = names->names[i - 1];
    entry.waits = entry.waits || lvn_objects_has_ending(record, LVN_OBJECTS_WAITING);
    if (entry.record_name == NULL && lvn_objects_has_ending(record, LVN_OBJECTS_RECORD)) {
      entry.record_name = record;
    }
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
