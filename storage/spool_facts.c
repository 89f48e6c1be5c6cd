#include "storage/spool_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ATTRIBUTE_NAME "user.livervlm.facts"
#define FACTS_MAX_BYTES 4096U

static void json_cleanup(json_t **value) {
  json_decref(*value);
}

/* The sidecar's path: the object's with ".json" for its last four characters. */
static bool sidecar_path(char ret_path[LVN_PATH_BYTES], const char *object_path, struct lvn_error *err) {
  size_t length = strlen(object_path);
  if (length < 4 || length + 2 > LVN_PATH_BYTES) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not a path of an object: '%.200s'", object_path);
  }
  (void)snprintf(ret_path, LVN_PATH_BYTES, "%.*s.json", (int)(length - 4), object_path);
  return true;
}

/* AE titles may hold any byte of the peer's; JSON needs UTF-8. Only printable ASCII is legal (PS3.5 6.2, VR AE). */
static void copy_printable(char *target, size_t target_bytes, const char *text) {
  size_t used = 0;
  for (; *text != '\0' && used + 1 < target_bytes; text++) {
    target[used++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
  }
  target[used] = '\0';
}

static size_t record_to_text(const struct lvn_reception_record *record, char ret_text[FACTS_MAX_BYTES]) {
  char sha256_text[LVN_SHA256_TEXT_BYTES];
  char calling_aet[sizeof record->calling_aet];
  lvn_sha256_to_text(record->sha256, sha256_text);
  copy_printable(calling_aet, sizeof calling_aet, record->calling_aet);
  __attribute__((cleanup(json_cleanup))) json_t *root =
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "sop_class_uid", record->sop_class_uid,
                "sop_instance_uid", record->sop_instance_uid, "transfer_syntax_uid", record->transfer_syntax_uid,
                "study_instance_uid", record->study_instance_uid, "series_instance_uid", record->series_instance_uid,
                "calling_aet", calling_aet, "address", record->address, "association_id", record->association_id,
                "received_ms", (json_int_t)record->received_ms, "sequence", (json_int_t)record->sequence, "byte_count",
                (json_int_t)record->byte_count, "sha256", sha256_text);
  return root == NULL ? 0 : json_dumpb(root, ret_text, FACTS_MAX_BYTES, JSON_COMPACT);
}

bool lvn_spool_record_write(int fd, const char *new_path, const struct lvn_reception_record *record,
                            struct lvn_error *err) {
  char text[FACTS_MAX_BYTES];
  char path[LVN_PATH_BYTES];
  size_t bytes = record_to_text(record, text);
  if (bytes == 0 || bytes > sizeof text) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot write the facts of an object as JSON");
  }
  if (fsetxattr(fd, ATTRIBUTE_NAME, text, bytes, 0) == 0) {
    return true;
  }
  if (errno != ENOTSUP && errno != EPERM && errno != E2BIG) {
    return lvn_error_set_errno(err, errno, "cannot attach the facts of '%s'", new_path);
  }
  return sidecar_path(path, new_path, err) && lvn_file_replace(path, text, bytes, 0600, err);
}

static bool read_text(const char *object_path, char ret_text[FACTS_MAX_BYTES], size_t *ret_bytes,
                      struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  ssize_t got = getxattr(object_path, ATTRIBUTE_NAME, ret_text, FACTS_MAX_BYTES);
  if (got >= 0) {
    *ret_bytes = (size_t)got;
    return true;
  }
  if (errno == ERANGE) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the facts of '%s' are damaged: larger than %u bytes", object_path,
                         FACTS_MAX_BYTES);
  }
  if (errno != ENODATA && errno != ENOTSUP) {
    return lvn_error_set_errno(err, errno, "cannot read the facts of '%s'", object_path);
  }
  if (!sidecar_path(path, object_path, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%s' has no facts", object_path);
  }
  if (!lvn_file_read(path, FACTS_MAX_BYTES, &data, ret_bytes, err)) {
    return false;
  }
  memcpy(ret_text, data, *ret_bytes);
  return true;
}

static bool get_text(const json_t *root, const char *key, char *target, size_t target_bytes, bool is_uid) {
  const char *text = json_string_value(json_object_get(root, key));
  return text != NULL && (!is_uid || lvn_uid_is_valid(text)) && lvn_copy(target, target_bytes, text);
}

static bool get_number(const json_t *root, const char *key, int64_t *ret_value) {
  const json_t *value = json_object_get(root, key);
  *ret_value = json_integer_value(value);
  return json_is_integer(value) && *ret_value >= 0;
}

static bool parse_record(const char *object_path, const char *text, size_t bytes,
                         struct lvn_reception_record *ret_record, struct lvn_error *err) {
  char sha256_text[LVN_SHA256_TEXT_BYTES];
  int64_t byte_count = 0;
  struct lvn_reception_record record = {0};
  json_error_t problem = {.text = ""};
  __attribute__((cleanup(json_cleanup))) json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &problem);
  /* jansson has a text for what is wrong with the bytes, and mostly none where it got no memory. */
  if (root == NULL && (problem.text[0] == '\0' || json_error_code(&problem) == json_error_out_of_memory)) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for the facts of '%s'", object_path);
  }
  if (!json_is_object(root) ||
      !get_text(root, "sop_class_uid", record.sop_class_uid, sizeof record.sop_class_uid, true) ||
      !get_text(root, "sop_instance_uid", record.sop_instance_uid, sizeof record.sop_instance_uid, true) ||
      !get_text(root, "transfer_syntax_uid", record.transfer_syntax_uid, sizeof record.transfer_syntax_uid, true) ||
      !get_text(root, "study_instance_uid", record.study_instance_uid, sizeof record.study_instance_uid, true) ||
      !get_text(root, "series_instance_uid", record.series_instance_uid, sizeof record.series_instance_uid, true) ||
      !get_text(root, "calling_aet", record.calling_aet, sizeof record.calling_aet, false) ||
      !get_text(root, "address", record.address, sizeof record.address, false) ||
      !get_text(root, "association_id", record.association_id, sizeof record.association_id, false) ||
      !get_text(root, "sha256", sha256_text, sizeof sha256_text, false) ||
      !lvn_sha256_from_text(sha256_text, record.sha256) || !get_number(root, "received_ms", &record.received_ms) ||
      !get_number(root, "byte_count", &byte_count)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the facts of '%s' are damaged", object_path);
  }
  record.byte_count = (uint64_t)byte_count;
  if (!get_number(root, "sequence", &record.sequence)) {
    record.sequence = 0; /* of an earlier release: before all that are numbered */
  }
  *ret_record = record;
  return true;
}

bool lvn_spool_read_record(const char *object_path, struct lvn_reception_record *ret_record, struct lvn_error *err) {
  char text[FACTS_MAX_BYTES];
  size_t bytes = 0;
  if (!read_text(object_path, text, &bytes, err)) {
    return false;
  }
  /* Twice, since jansson's scanner takes what it got no memory for as cut short: an object that was acknowledged is not
   * to be called damaged for a moment's shortage. */
  return parse_record(object_path, text, bytes, ret_record, err) ||
         (err->code == LVN_ERROR_DATA && parse_record(object_path, text, bytes, ret_record, err));
}

bool lvn_spool_lock_new(const struct lvn_spool *spool, bool exclusive, int *ret_fd, struct lvn_error *err) {
  /* A descriptor of its own: forked processes share the lock of one that they inherited. */
  LVN_AUTOCLOSE int fd = open(spool->new_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *ret_fd = -1;
  if (fd < 0 || flock(fd, exclusive ? LOCK_EX | LOCK_NB : LOCK_SH) != 0) {
    if (fd >= 0 && errno == EWOULDBLOCK) {
      return true;
    }
    return lvn_error_set_errno(err, errno, "cannot lock '%s'", spool->new_folder);
  }
  *ret_fd = fd;
  fd = -1;
  return true;
}

/* What cannot be done now is done at the next start. */
void lvn_spool_remove_orphans(const struct lvn_spool *spool) {
  static const char suffix[] = ".json";
  struct lvn_error ignored;
  LVN_AUTOCLOSE int lock_fd = -1;
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_spool_lock_new(spool, /* exclusive= */ true, &lock_fd, &ignored) || lock_fd < 0 ||
      !lvn_file_list(spool->new_folder, 1U << 24, &names, &ignored)) {
    return;
  }
  for (size_t i = 0; i < names.count; i++) {
    const char *name = names.names[i];
    size_t length = strlen(name);
    char object_name[LVN_PATH_BYTES];
    if (length < sizeof suffix || strcmp(name + length - (sizeof suffix - 1), suffix) != 0) {
      continue;
    }
    int printed = snprintf(object_name, sizeof object_name, "%.*s.obj", (int)(length - (sizeof suffix - 1)), name);
    if (printed > 0 && (size_t)printed < sizeof object_name &&
        faccessat(spool->new_fd, object_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
      (void)unlinkat(spool->new_fd, name, 0);
    }
  }
}

bool lvn_spool_remove(const char *object_path, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!sidecar_path(path, object_path, err)) {
    return false;
  }
  if (unlink(object_path) != 0 && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot remove '%s'", object_path);
  }
  if (unlink(path) != 0 && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
  }
  return true;
}
