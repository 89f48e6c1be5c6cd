#include "daemon/pipeline/scheduler/messages.h"

#include <string.h>

#include "base/memory.h"
#include "dicom/scan/scan.h"

#define RESULTS_MAX 208U                             /* as many as an analysis writes (LVN_ANALYSIS_OBJECTS_MAX) */
#define REPORT_CLASS "1.2.840.10008.5.1.4.1.1.88.34" /* Comprehensive 3D SR */

const char *lvn_message_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text == NULL ? "" : text;
}

/* A result as the worker names it, checked against the file itself. */
static bool check_result(const json_t *item, const char *folder, struct lvn_job_result *result, struct lvn_error *err) {
  struct lvn_scan scan;
  size_t length = strlen(folder);
  if (!lvn_copy(result->path, sizeof result->path, lvn_message_text(item, "path")) ||
      strncmp(result->path, folder, length) != 0 || result->path[length] != '/' ||
      strchr(result->path + length + 1, '/') != NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the worker named a result outside the job's folder");
  }
  if (!lvn_scan_file(result->path, &scan, err) || !lvn_sha256_of_file(result->path, result->sha256, err)) {
    return lvn_error_prefix(err, "a result");
  }
  if (strcmp(scan.sop_instance_uid, lvn_message_text(item, "sop_instance_uid")) != 0 ||
      strcmp(scan.sop_class_uid, lvn_message_text(item, "sop_class_uid")) != 0) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the worker named other UIDs than a result file holds");
  }
  (void)lvn_copy(result->sop_class_uid, sizeof result->sop_class_uid, scan.sop_class_uid);
  (void)lvn_copy(result->sop_instance_uid, sizeof result->sop_instance_uid, scan.sop_instance_uid);
  (void)lvn_copy(result->transfer_syntax_uid, sizeof result->transfer_syntax_uid, scan.transfer_syntax_uid);
  return true;
}

bool lvn_message_read_done(const struct lvn_config *config, int64_t job_id, const json_t *done,
                           struct lvn_jobfile *file, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  const json_t *objects = json_object_get(done, "objects");
  size_t count = json_array_size(objects);
  enum lvn_job_outcome outcome = LVN_OUTCOME_NONE;
  if (!lvn_job_outcome_parse(lvn_message_text(done, "outcome"), &outcome, err)) {
    return false;
  }
  bool is_done = outcome == LVN_OUTCOME_DONE;
  if ((!is_done && outcome != LVN_OUTCOME_WAITING && outcome != LVN_OUTCOME_REFUSED) || count > RESULTS_MAX ||
      (is_done && count == 0)) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "outcome '%s' with %zu results", lvn_job_outcome_name(outcome),
                         count);
  }
  file->result_count = is_done ? count : 0;
  file->results = lvn_alloc(file->result_count, sizeof *file->results, err);
  if (file->results == NULL || !lvn_jobfile_folder(config, job_id, folder, err)) {
    return false;
  }
  for (size_t i = 0; i < file->result_count; i++) {
    if (!check_result(json_array_get(objects, i), folder, &file->results[i], err)) {
      return false;
    }
  }
  file->outcome = outcome;
  (void)lvn_copy(file->status_message, sizeof file->status_message, lvn_message_text(done, "status_message"));
  return true;
}

/* NULL when not every path is in it: an analysis of some of the inputs would look like one of all. */
static json_t *pack_paths(const struct lvn_objects *objects, const uint8_t *digests, size_t count) {
  struct lvn_error ignored;
  json_t *paths = json_array();
  for (size_t i = 0; paths != NULL && i < count; i++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_objects_path(objects, digests + i * LVN_SHA256_BYTES, path, &ignored) ||
        json_array_append_new(paths, json_string(path)) != 0) {
      json_decref(paths);
      return NULL;
    }
  }
  return paths;
}

bool lvn_message_make_job(const struct lvn_config *config, struct lvn_index *index, const struct lvn_objects *objects,
                          const struct lvn_job *job, json_t **ret_message, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  char folder[LVN_PATH_BYTES];
  struct lvn_jobfile file = {.job = *job};
  struct lvn_job earlier = {0};
  bool has_report = false;
  bool has_results = false;
  if (!lvn_jobfile_folder(config, job->job_id, folder, err) || !lvn_jobfile_write(config, &file, err) ||
      !lvn_queue_predecessor(index, job->job_id, REPORT_CLASS, &earlier, &has_report, err) ||
      (!has_report && !lvn_queue_predecessor(index, job->job_id, NULL, &earlier, &has_results, err)) ||
      !lvn_index_study_inputs(index, job->study_uid, &digests, &count, err)) {
    return false;
  }
  *ret_message = json_pack("{s:{s:I, s:s, s:I, s:s, s:I, s:s, s:o}}", "job", "job_id", (json_int_t)job->job_id,
                           "job_key", job->key, "wall_ms", (json_int_t)job->wall_ms, "replaced_key",
                           has_report ? earlier.key : "", "replaced_wall_ms", (json_int_t)earlier.wall_ms,
                           "output_folder", folder, "paths", pack_paths(objects, digests, count));
  return *ret_message != NULL || lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a job");
}
