#include "daemon/pipeline/retention/removal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/audit/audit.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "daemon/pipeline/shared/patient.h"
#include "storage/index_keep.h"
#include "storage/spool.h"

#define FOLDER "removing"
#define JOBS_MAX 1000U
#define FILES_MAX 10000U
#define LIST_MAX_BYTES (256U << 20)
#define LISTS_MAX (1U << 16)

static bool remove_results(const struct lvn_config *config, int64_t job_id, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  char folder[LVN_PATH_BYTES];
  if (!lvn_jobfile_folder(config, job_id, folder, err)) {
    return false;
  }
  if (!lvn_file_exists(folder)) {
    return true;
  }
  if (!lvn_file_walk(folder, FILES_MAX, &paths, err)) {
    return false;
  }
  for (size_t i = 0; i < paths.count; i++) {
    if (unlink(paths.names[i]) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", paths.names[i]);
    }
  }
  return rmdir(folder) == 0 || errno == ENOENT || errno == ENOTEMPTY ||
         lvn_error_set_errno(err, errno, "cannot remove '%s'", folder);
}

/* Not where it is the object of a study again, nor where it came again since the list was written: the index that would
 * say so may be lost. */
static bool remove_object(const struct lvn_removal *removal, const char *text, const json_t *list,
                          struct lvn_error *err) {
  const json_t *sequence = json_object_get(list, "sequence");
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names records = {0};
  uint8_t sha256[LVN_SHA256_BYTES];
  bool is_known = false;
  bool is_current = false;
  if (text == NULL || !lvn_sha256_from_text(text, sha256)) {
    return true;
  }
  if (!lvn_index_has_object(removal->index, sha256, &is_known, &is_current, err) ||
      !lvn_objects_list_records(removal->objects, sha256, &records, err)) {
    return false;
  }
  for (size_t i = 0; i < records.count && !is_known; i++) {
    struct lvn_error ignored;
    struct lvn_reception_record record;
    /* By the counter: a clock may be set back. Lists of earlier versions have the time alone. */
    is_known = lvn_spool_record_from_name(records.names[i], &record, &ignored) &&
               (json_is_integer(sequence) ? record.sequence > json_integer_value(sequence)
                                          : record.received_ms >= json_integer_value(json_object_get(list, "at_ms")));
  }
  return is_known || lvn_objects_remove(removal->objects, sha256, err);
}

static bool remove_files(const struct lvn_removal *removal, const json_t *list, struct lvn_error *err) {
  size_t position;
  json_t *item;
  json_array_foreach(json_object_get(list, "jobs"), position, item) {
    bool is_known = false;
    int64_t job_id = json_integer_value(item);
    if (!lvn_queue_has(removal->index, job_id, &is_known, err) ||
        (!is_known && !remove_results(removal->config, job_id, err))) {
      return false;
    }
  }
  json_array_foreach(json_object_get(list, "objects"), position, item) {
    if (!remove_object(removal, json_string_value(item), list, err)) {
      return false;
    }
  }
  return true;
}

static bool list_path(const struct lvn_removal *removal, const char *name, char ret_path[LVN_PATH_BYTES],
                      struct lvn_error *err) {
  int length = snprintf(ret_path, LVN_PATH_BYTES, "%s/" FOLDER "/%s", removal->config->state_folder, name);
  return (length > 0 && length < LVN_PATH_BYTES) || lvn_error_set(err, LVN_ERROR_DATA, "path of a list too long");
}

static bool work_off(const struct lvn_removal *removal, const char *path, const json_t *list, struct lvn_error *err) {
  if (!remove_files(removal, list, err)) {
    return false;
  }
  return unlink(path) == 0 || errno == ENOENT || lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
}

static json_t *make_list(const struct lvn_removal *removal, const char *study_uid, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  LVN_AUTOFREE struct lvn_job *jobs = NULL;
  size_t count = 0;
  size_t job_count = 0;
  int64_t sequence = 0;
  const struct lvn_job_filter filter = {.study_uid = study_uid, .limit = JOBS_MAX};
  if (!lvn_index_study_objects(removal->index, study_uid, &digests, &count, err) ||
      !lvn_queue_list(removal->index, &filter, &jobs, &job_count, err) ||
      !lvn_index_last_sequence(removal->index, &sequence, err)) {
    return NULL;
  }
  json_t *object_array = json_array();
  json_t *job_array = json_array();
  for (size_t i = 0; i < count; i++) {
    char text[LVN_SHA256_TEXT_BYTES];
    lvn_sha256_to_text(digests + i * LVN_SHA256_BYTES, text);
    (void)json_array_append_new(object_array, json_string(text));
  }
  for (size_t i = 0; i < job_count; i++) {
    (void)json_array_append_new(job_array, json_integer((json_int_t)jobs[i].job_id));
  }
  json_t *list =
      json_pack("{s:I, s:o, s:o}", "sequence", (json_int_t)sequence, "objects", object_array, "jobs", job_array);
  if (list == NULL) {
    (void)lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a list");
  }
  return list;
}

static bool delete_from_index(const struct lvn_removal *removal, const char *study_uid, const char *patient_id,
                              struct lvn_error *err) {
  if (!lvn_index_study_delete(removal->index, study_uid, err)) {
    return false;
  }
  lvn_audit_write(
      removal->config,
      &(struct lvn_audit_event){.kind = LVN_AUDIT_STUDY_REMOVED, .study_uid = study_uid, .patient_id = patient_id});
  return true;
}

bool lvn_removal_run(const struct lvn_removal *removal, const struct lvn_index_study *study, size_t *ret_objects,
                     size_t *ret_jobs, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  char path[LVN_PATH_BYTES];
  char name[LVN_INDEX_STUDY_NAME_BYTES + 8];
  char patient_id[LVN_UID_BYTES];
  LVN_AUTOJSON json_t *list = make_list(removal, study->study_uid, err);
  LVN_AUTOFREE char *text = list == NULL ? NULL : json_dumps(list, JSON_COMPACT);
  (void)snprintf(name, sizeof name, "%s.json", study->name);
  if (list == NULL) {
    return false;
  }
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a list");
  }
  lvn_patient_find(removal->config, removal->index, removal->objects, study->study_uid, patient_id);
  *ret_objects = json_array_size(json_object_get(list, "objects"));
  *ret_jobs = json_array_size(json_object_get(list, "jobs"));
  return lvn_path_join(folder, removal->config->state_folder, FOLDER, err) && lvn_file_make_folder(folder, 0700, err) &&
         list_path(removal, name, path, err) && lvn_file_replace(path, text, strlen(text), 0600, err) &&
         delete_from_index(removal, study->study_uid, patient_id, err) && work_off(removal, path, list, err);
}

bool lvn_removal_finish_pending(const struct lvn_removal *removal, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  char folder[LVN_PATH_BYTES];
  if (!lvn_path_join(folder, removal->config->state_folder, FOLDER, err)) {
    return false;
  }
  if (!lvn_file_exists(folder)) {
    return true;
  }
  if (!lvn_file_list(folder, LISTS_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    LVN_AUTOFREE uint8_t *data = NULL;
    size_t bytes = 0;
    if (!list_path(removal, names.names[i], path, err) || !lvn_file_read(path, LIST_MAX_BYTES, &data, &bytes, err)) {
      return false;
    }
    LVN_AUTOJSON json_t *list = json_loadb((const char *)data, bytes, 0, NULL);
    if (!work_off(removal, path, list, err)) {
      return false;
    }
  }
  return true;
}
