#include "daemon/pipeline/shared/jobfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/destinations.h"

#define FILE_MAX_BYTES (1U << 20)
#define RESULTS_MAX 208U   /* as many as an analysis writes (LVN_ANALYSIS_OBJECTS_MAX) */
#define RERUN_MARK "rerun" /* beside job.json: its outcome no longer counts */

bool lvn_jobfile_folder(const struct lvn_config *config, int64_t job_id, char ret_path[LVN_PATH_BYTES],
                        struct lvn_error *err) {
  int length = snprintf(ret_path, LVN_PATH_BYTES, "%s/results/%lld", config->state_folder, (long long)job_id);
  return (length > 0 && length < LVN_PATH_BYTES) ||
         lvn_error_set(err, LVN_ERROR_DATA, "path of a job's folder too long");
}

static bool file_path(const struct lvn_config *config, int64_t job_id, char ret_path[LVN_PATH_BYTES],
                      struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  return lvn_jobfile_folder(config, job_id, folder, err) && lvn_path_join(ret_path, folder, "job.json", err);
}

void lvn_jobfile_clear(struct lvn_jobfile *file) {
  lvn_free(file->results);
  file->results = NULL;
  file->result_count = 0;
}

static json_t *pack_results(const struct lvn_jobfile *file) {
  json_t *array = json_array();
  for (size_t i = 0; i < file->result_count; i++) {
    const struct lvn_job_result *result = &file->results[i];
    char sha256[LVN_SHA256_TEXT_BYTES];
    const char *name = strrchr(result->path, '/');
    lvn_sha256_to_text(result->sha256, sha256);
    (void)json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:s}", "file",
                                                 name == NULL ? result->path : name + 1, "sop_class_uid",
                                                 result->sop_class_uid, "sop_instance_uid", result->sop_instance_uid,
                                                 "transfer_syntax_uid", result->transfer_syntax_uid, "sha256", sha256));
  }
  return array;
}

static json_t *pack_destinations(const struct lvn_jobfile *file) {
  json_t *array = json_array();
  for (size_t i = 0; i < file->destination_count; i++) {
    (void)json_array_append_new(array, json_string(file->destinations[i]));
  }
  return array;
}

/* The job's folder and results/ themselves survive a power cut, not only what is in them. */
static bool make_durable_folder(const struct lvn_config *config, const char *folder, struct lvn_error *err) {
  char results[LVN_PATH_BYTES];
  return lvn_file_exists(folder) ||
         (lvn_path_join(results, config->state_folder, "results", err) && lvn_file_make_folder(folder, 0700, err) &&
          lvn_file_sync_folder(results, err) && lvn_file_sync_folder(config->state_folder, err));
}

static bool write_file(const struct lvn_config *config, const struct lvn_jobfile *file, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char folder[LVN_PATH_BYTES];
  char input[LVN_SHA256_TEXT_BYTES];
  char model[LVN_SHA256_TEXT_BYTES];
  const struct lvn_job *job = &file->job;
  lvn_sha256_to_text(job->input_digest, input);
  lvn_sha256_to_text(job->model_digest, model);
  LVN_AUTOJSON json_t *root =
      json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:o, s:o}", "job_id",
                (json_int_t)job->job_id, "job_key", job->key, "study_instance_uid", job->study_uid, "input_digest",
                input, "model_digest", model, "model_name", job->model_name, "model_version", job->model_version,
                "repetition", (json_int_t)job->repetition, "wall_ms", (json_int_t)job->wall_ms, "finished_ms",
                (json_int_t)job->finished_ms, "outcome", lvn_job_outcome_name(file->outcome), "status_message",
                file->status_message, "results", pack_results(file), "destinations", pack_destinations(file));
  LVN_AUTOFREE char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for job.json");
  }
  return lvn_jobfile_folder(config, job->job_id, folder, err) && make_durable_folder(config, folder, err) &&
         file_path(config, job->job_id, path, err) && lvn_file_replace(path, text, strlen(text), 0600, err);
}

static bool mark_path(const struct lvn_config *config, int64_t job_id, char ret_path[LVN_PATH_BYTES],
                      struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  return lvn_jobfile_folder(config, job_id, folder, err) && lvn_path_join(ret_path, folder, RERUN_MARK, err);
}

bool lvn_jobfile_write(const struct lvn_config *config, const struct lvn_jobfile *file, struct lvn_error *err) {
  char mark[LVN_PATH_BYTES];
  struct lvn_jobfile before = {0};
  struct lvn_jobfile whole = *file;
  bool found = false;
  if (!mark_path(config, file->job.job_id, mark, err)) {
    return false;
  }
  /* An attempt begins: what an earlier one gave may be in an archive, and must still be known as ours. */
  if (file->outcome == LVN_OUTCOME_NONE) {
    if (!lvn_jobfile_read(config, file->job.job_id, &before, &found, err)) {
      return false;
    }
    if (found && strcmp(before.job.key, file->job.key) == 0) {
      whole.results = before.results;
      whole.result_count = before.result_count;
    }
  }
  bool good = write_file(config, &whole, err);
  lvn_jobfile_clear(&before);
  if (good && file->outcome == LVN_OUTCOME_NONE && unlink(mark) != 0 && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot remove '%s'", mark);
  }
  return good;
}

static bool get_text(const json_t *root, const char *key, char *target, size_t target_bytes) {
  const char *text = json_string_value(json_object_get(root, key));
  return text != NULL && lvn_copy(target, target_bytes, text);
}

static bool get_digest(const json_t *root, const char *key, uint8_t ret_digest[LVN_SHA256_BYTES]) {
  const char *text = json_string_value(json_object_get(root, key));
  return text != NULL && lvn_sha256_from_text(text, ret_digest);
}

static bool get_outcome(const json_t *root, enum lvn_job_outcome *ret_outcome) {
  struct lvn_error ignored;
  const char *name = json_string_value(json_object_get(root, "outcome"));
  return name != NULL && lvn_job_outcome_parse(name, ret_outcome, &ignored);
}

static bool read_job(const json_t *root, struct lvn_jobfile *file) {
  struct lvn_job *job = &file->job;
  job->job_id = json_integer_value(json_object_get(root, "job_id"));
  job->wall_ms = json_integer_value(json_object_get(root, "wall_ms"));
  job->repetition = json_integer_value(json_object_get(root, "repetition"));
  job->finished_ms = json_integer_value(json_object_get(root, "finished_ms"));
  if (job->finished_ms == 0) {
    job->finished_ms = job->wall_ms; /* older files do not say */
  }
  return job->job_id > 0 && job->wall_ms > 0 && get_text(root, "job_key", job->key, sizeof job->key) &&
         get_text(root, "study_instance_uid", job->study_uid, sizeof job->study_uid) &&
         get_digest(root, "input_digest", job->input_digest) && get_digest(root, "model_digest", job->model_digest) &&
         get_text(root, "model_name", job->model_name, sizeof job->model_name) &&
         get_text(root, "model_version", job->model_version, sizeof job->model_version) &&
         get_outcome(root, &file->outcome) &&
         (get_text(root, "status_message", file->status_message, sizeof file->status_message) ||
          get_text(root, "sentence", file->status_message, sizeof file->status_message)); /* of releases to 0.1.0 */
}

/* A result as the file names it; false when it is not what lies in the folder. */
static bool read_result(const json_t *item, const char *folder, struct lvn_job_result *result) {
  struct lvn_error ignored;
  char name[256];
  uint8_t sha256[LVN_SHA256_BYTES];
  return get_text(item, "file", name, sizeof name) && strchr(name, '/') == NULL &&
         get_text(item, "sop_class_uid", result->sop_class_uid, sizeof result->sop_class_uid) &&
         get_text(item, "sop_instance_uid", result->sop_instance_uid, sizeof result->sop_instance_uid) &&
         get_text(item, "transfer_syntax_uid", result->transfer_syntax_uid, sizeof result->transfer_syntax_uid) &&
         get_digest(item, "sha256", result->sha256) && lvn_path_join(result->path, folder, name, &ignored) &&
         lvn_sha256_of_file(result->path, sha256, &ignored) && memcmp(sha256, result->sha256, sizeof sha256) == 0;
}

static bool read_results(const json_t *root, const char *folder, struct lvn_jobfile *file, struct lvn_error *err) {
  const json_t *array = json_object_get(root, "results");
  size_t count = json_array_size(array);
  if (count > RESULTS_MAX) {
    count = RESULTS_MAX;
  }
  file->results = lvn_alloc(count, sizeof *file->results, err);
  if (file->results == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!read_result(json_array_get(array, i), folder, &file->results[file->result_count])) {
      file->outcome = LVN_OUTCOME_NONE; /* not whole: the analysis runs again */
    } else {
      file->result_count++;
    }
  }
  return true;
}

static void read_destinations(const json_t *root, struct lvn_jobfile *file) {
  const json_t *array = json_object_get(root, "destinations");
  file->has_destinations = json_is_array(array);
  for (size_t i = 0; i < json_array_size(array) && file->destination_count < LVN_CONFIG_PEERS_MAX; i++) {
    const char *name = json_string_value(json_array_get(array, i));
    if (name != NULL && lvn_copy(file->destinations[file->destination_count], sizeof file->destinations[0], name)) {
      file->destination_count++;
    }
  }
}

bool lvn_jobfile_read(const struct lvn_config *config, int64_t job_id, struct lvn_jobfile *ret_file, bool *ret_found,
                      struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char folder[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  struct lvn_jobfile file = {0};
  *ret_found = false;
  if (!lvn_jobfile_folder(config, job_id, folder, err) || !file_path(config, job_id, path, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return true;
  }
  if (!lvn_file_read(path, FILE_MAX_BYTES, &data, &bytes, err)) {
    return false;
  }
  LVN_AUTOJSON json_t *root = json_loadb((const char *)data, bytes, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(root) || !read_job(root, &file) || file.job.job_id != job_id) {
    return true; /* damaged: as if it were not there */
  }
  read_destinations(root, &file);
  file.recorded = file.outcome;
  if (!read_results(root, folder, &file, err) || !mark_path(config, job_id, path, err)) {
    lvn_jobfile_clear(&file);
    return false;
  }
  if (lvn_file_exists(path)) {
    file.outcome = LVN_OUTCOME_NONE;
  }
  *ret_file = file;
  *ret_found = true;
  return true;
}

bool lvn_jobfile_forget(const struct lvn_config *config, int64_t job_id, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  char path[LVN_PATH_BYTES];
  if (!lvn_jobfile_folder(config, job_id, folder, err) || !mark_path(config, job_id, path, err)) {
    return false;
  }
  return !lvn_file_exists(folder) || lvn_file_replace(path, "", 0, 0600, err);
}

bool lvn_jobfile_route(struct lvn_index *index, const struct lvn_config *config, struct lvn_jobfile *file,
                       struct lvn_error *err) {
  const char *names[LVN_CONFIG_PEERS_MAX];
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.study_uid = file->job.study_uid, .limit = 1};
  if (!lvn_index_list_studies(index, &filter, &studies, &count, err)) {
    return false;
  }
  file->job.finished_ms = lvn_clock_wall_ms();
  file->has_destinations = true;
  file->destination_count = count == 0 ? 0
                                       : lvn_destinations(config, studies[0].source_aet, studies[0].source_address,
                                                          names, LVN_CONFIG_PEERS_MAX);
  for (size_t i = 0; i < file->destination_count; i++) {
    (void)lvn_copy(file->destinations[i], sizeof file->destinations[i], names[i]);
  }
  return true;
}
