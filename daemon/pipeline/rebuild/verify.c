#include "daemon/pipeline/rebuild/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "daemon/pipeline/rebuild/rebuild.h"
#include "storage/intact.h"
#include "storage/verify.h"

#define NAMES_MAX (1U << 24)
#define KEY_FILE "installation.key"
#define KEY_MAX_BYTES 256U
#define FILES_MAX 4096U

struct verify {
  const struct lvn_verify_options *options;
  lvn_verify_visitor visit;
  void *user_data;
  struct lvn_objects *objects;
  struct lvn_file_names waiting; /* names in spool/new */
  struct lvn_verify_counts counts;
};

static bool fault(struct verify *verify, const char *kind, struct lvn_error *err, const char *format, ...)
    LVN_PRINTF(4, 5);
static bool fault(struct verify *verify, const char *kind, struct lvn_error *err, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return verify->visit(verify->user_data, kind, text, err);
}

/* ---- files ---- */

static bool list_folder(const struct verify *verify, const char *name, struct lvn_file_names *names,
                        struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  return lvn_path_join(path, verify->options->config->state_folder, name, err) &&
         (!lvn_file_exists(path) || lvn_file_list(path, NAMES_MAX, names, err));
}

static bool waits(const struct verify *verify, const char *digest_text) {
  for (size_t i = 0; i < verify->waiting.count; i++) {
    const char *digest = strchr(verify->waiting.names[i], '-');
    if (digest != NULL && strncmp(digest + 1, digest_text, LVN_SHA256_TEXT_BYTES - 1) == 0) {
      return true;
    }
  }
  return false;
}

static bool check_waiting(struct verify *verify, struct lvn_error *err) {
  for (size_t i = 0; i < verify->waiting.count; i++) {
    uint8_t sha256[LVN_SHA256_BYTES];
    int64_t sequence = 0;
    char path[LVN_PATH_BYTES];
    if (!lvn_objects_parse_new(verify->waiting.names[i], sha256, &sequence)) {
      continue;
    }
    verify->counts.waiting++;
    if (!lvn_objects_path(verify->objects, sha256, path, err)) {
      return false;
    }
    LVN_AUTOCLOSE int fd = lvn_intact_open(path, sha256);
    if (fd < 0 && !fault(verify, "object", err, "received object %.12s, which waits for the index, %s",
                         strrchr(path, '/') + 1, lvn_file_exists(path) ? "is damaged" : "is missing")) {
      return false;
    }
  }
  return true;
}

static bool check_file(void *user_data, const uint8_t sha256[LVN_SHA256_BYTES], const char *given_path,
                       const char *study_name, struct lvn_error *err) {
  struct verify *verify = user_data;
  char path[LVN_PATH_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  bool is_result = given_path[0] != '\0';
  lvn_sha256_to_text(sha256, digest);
  *(is_result ? &verify->counts.results : &verify->counts.objects) += 1;
  if (is_result ? !lvn_copy(path, sizeof path, given_path) : !lvn_objects_path(verify->objects, sha256, path, err)) {
    return false;
  }
  LVN_AUTOCLOSE int fd = lvn_intact_open(path, sha256);
  if (fd >= 0) {
    return true;
  }
  const char *how = lvn_file_exists(path) ? "is damaged" : "is missing";
  if (is_result) {
    return fault(verify, "result", err, "result '%s' of study %s %s", path, study_name, how);
  }
  return fault(verify, "object", err, "object %.12s of study %s %s", digest, study_name, how);
}

/* ---- states ---- */

static bool has_number(const json_t *array, const char *text) {
  size_t position;
  json_t *item;
  json_array_foreach((json_t *)(uintptr_t)array, position, item) {
    char number[32];
    (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(item));
    if (strcmp(number, text) == 0) {
      return true;
    }
  }
  return false;
}

static bool has_text(const json_t *array, const char *text) {
  size_t position;
  json_t *item;
  json_array_foreach((json_t *)(uintptr_t)array, position, item) {
    if (json_string_value(item) != NULL && strcmp(json_string_value(item), text) == 0) {
      return true;
    }
  }
  return false;
}

static bool check_busy(void *user_data, const char *entity, const char *id, const char *study_name,
                       struct lvn_error *err) {
  struct verify *verify = user_data;
  if (strcmp(entity, "job") == 0) {
    return has_number(verify->options->running_jobs, id) ||
           fault(verify, "state", err, "job %s of study %s is running, but no worker has it", id, study_name);
  }
  return has_text(verify->options->busy_destinations, id) ||
         fault(verify, "state", err, "a result of study %s is being sent to %s, but nobody sends it", study_name, id);
}

static bool take_fault(void *user_data, enum lvn_index_fault_kind kind, const char *text, const char *subject,
                       struct lvn_error *err) {
  static const char *const kinds[] = {[LVN_INDEX_FAULT_FILE] = "index",
                                      [LVN_INDEX_FAULT_STATE] = "state",
                                      [LVN_INDEX_FAULT_RESULT] = "result",
                                      [LVN_INDEX_FAULT_REBUILD] = "rebuild",
                                      [LVN_INDEX_FAULT_UNKNOWN] = "rebuild"};
  struct verify *verify = user_data;
  if (kind == LVN_INDEX_FAULT_UNKNOWN && waits(verify, subject)) {
    return true; /* on its way: the index names it before its name in spool/new goes */
  }
  return fault(verify, kinds[kind], err, "%s", text);
}

/* ---- the rebuild to compare with ---- */

static bool copy_key(const struct lvn_config *config, const char *folder, struct lvn_error *err) {
  char from[LVN_PATH_BYTES];
  char to[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  return lvn_path_join(from, config->state_folder, KEY_FILE, err) && lvn_path_join(to, folder, KEY_FILE, err) &&
         lvn_file_read(from, KEY_MAX_BYTES, &data, &bytes, err) && lvn_file_replace(to, data, bytes, 0600, err);
}

static bool rebuild_into(const struct verify *verify, const char *folder, struct lvn_error *err) {
  struct lvn_index *index = NULL;
  struct lvn_rebuild_report report;
  const struct lvn_config *config = verify->options->config;
  bool good = copy_key(config, folder, err) && lvn_index_open(folder, config->job_attempts_max, &index, err) &&
              lvn_rebuild_fill(index, verify->objects, config, &report, err);
  lvn_index_close(index);
  return good;
}

static void remove_folder(const char *folder) {
  struct lvn_error ignored;
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  if (lvn_file_walk(folder, FILES_MAX, &paths, &ignored)) {
    for (size_t i = 0; i < paths.count; i++) {
      (void)unlink(paths.names[i]);
    }
  }
  (void)rmdir(folder);
}

static bool compare(struct verify *verify, struct lvn_index *index, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  char rebuilt[LVN_PATH_BYTES];
  int length = snprintf(folder, sizeof folder, "%s/verify-%ld", verify->options->config->state_folder, (long)getpid());
  if (length < 0 || (size_t)length >= sizeof folder) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long");
  }
  remove_folder(folder);
  bool good = lvn_file_make_folder(folder, 0700, err) && rebuild_into(verify, folder, err) &&
              lvn_path_join(rebuilt, folder, "index.sqlite", err) &&
              lvn_index_each_difference(index, rebuilt, take_fault, verify, err);
  remove_folder(folder);
  return good;
}

static bool look(struct verify *verify, struct lvn_index *index, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names unreadable = {0};
  if (!list_folder(verify, "unreadable", &unreadable, err)) {
    return false;
  }
  verify->counts.unreadable = unreadable.count;
  return check_waiting(verify, err) && lvn_index_each_fault(index, take_fault, verify, err) &&
         (verify->options->running_jobs == NULL || lvn_index_each_busy(index, check_busy, verify, err)) &&
         lvn_index_each_file(index, check_file, verify, err) && compare(verify, index, err);
}

bool lvn_verify_store(const struct lvn_verify_options *options, lvn_verify_visitor visit, void *user_data,
                      struct lvn_verify_counts *ret_counts, struct lvn_error *err) {
  const char *state_folder = options->config->state_folder;
  bool is_running = options->running_jobs != NULL;
  char path[LVN_PATH_BYTES];
  struct lvn_index *index = NULL;
  struct verify verify = {.options = options, .visit = visit, .user_data = user_data};
  if (!lvn_path_join(path, state_folder, is_running ? LVN_VERIFY_COPY : "index.sqlite", err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no index in '%s': run livervlm rebuild-index", state_folder);
  }
  bool good = lvn_index_inspect(is_running ? NULL : state_folder, path, &index, err) &&
              lvn_objects_open(state_folder, &verify.objects, err) &&
              list_folder(&verify, "spool/new", &verify.waiting, err) && look(&verify, index, err);
  lvn_objects_close(verify.objects);
  lvn_index_close(index);
  lvn_file_names_clear(&verify.waiting);
  *ret_counts = verify.counts;
  return good;
}
