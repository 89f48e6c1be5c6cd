#include "daemon/worker/wire.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "base/socket.h"

#include <unistd.h>

#define JOB_MAX_BYTES (8U << 20) /* of 20,000 objects */
#define ANSWER_MAX_BYTES (1U << 20)

bool lvn_wire_connect(const char *socket_path, struct lvn_json_lines **ret_lines, struct lvn_error *err) {
  int fd = -1;
  if (!lvn_socket_connect(socket_path, &fd, err)) {
    return false;
  }
  if (!lvn_json_lines_create(fd, JOB_MAX_BYTES, ANSWER_MAX_BYTES, ret_lines, err)) {
    (void)close(fd);
    return false;
  }
  return true;
}

void lvn_wire_job_clear(struct lvn_wire_job *job) {
  for (size_t i = 0; i < job->path_count; i++) {
    lvn_free(job->paths[i]);
  }
  lvn_free(job->paths);
  lvn_free(job->job_key);
  lvn_free(job->replaced_key);
  lvn_free(job->output_folder);
  *job = (struct lvn_wire_job){0};
}

bool lvn_wire_send_hello(struct lvn_json_lines *lines, const struct lvn_classifier_info *info, struct lvn_error *err) {
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(info->manifest_sha256, digest);
  LVN_AUTOJSON json_t *message =
      json_pack("{s:{s:I,s:s,s:s,s:s,s:s}}", "hello", "pid", (json_int_t)getpid(), "model_name", info->name,
                "model_version", info->version, "model_digest", digest, "device", info->device);
  return lvn_json_lines_send(lines, message, err);
}

bool lvn_wire_send_done(struct lvn_json_lines *lines, int64_t job_id, const struct lvn_analysis_result *result,
                        struct lvn_error *err) {
  LVN_AUTOJSON json_t *objects = json_array();
  for (size_t i = 0; i < result->object_count; i++) {
    (void)json_array_append_new(objects, json_pack("{s:s,s:s,s:s}", "path", result->objects[i].path, "sop_class_uid",
                                                   result->objects[i].sop_class_uid, "sop_instance_uid",
                                                   result->objects[i].sop_instance_uid));
  }
  LVN_AUTOJSON json_t *message = json_pack("{s:{s:I,s:s,s:s,s:O}}", "done", "job_id", (json_int_t)job_id, "outcome",
                                           lvn_analysis_outcome_name(result->outcome), "status_message",
                                           result->status_message, "objects", objects);
  return lvn_json_lines_send(lines, message, err);
}

bool lvn_wire_send_failed(struct lvn_json_lines *lines, int64_t job_id, const struct lvn_error *failure,
                          struct lvn_error *err) {
  /* The engine's errors do not tell a shortage of memory or a broken GPU from anything else. */
  bool transient = lvn_error_is_transient(failure) || failure->code == LVN_ERROR_ENGINE;
  LVN_AUTOJSON json_t *message =
      json_pack("{s:{s:I,s:s,s:b,s:s}}", "failed", "job_id", (json_int_t)job_id, "code",
                lvn_error_code_name(failure->code), "transient", transient, "message", failure->message);
  return lvn_json_lines_send(lines, message, err);
}

static bool parse_paths(const json_t *paths, struct lvn_wire_job *job, struct lvn_error *err) {
  size_t count = json_array_size(paths);
  job->paths = lvn_alloc(count, sizeof *job->paths, err);
  if (job->paths == NULL) {
    return false;
  }
  for (; job->path_count < count; job->path_count++) {
    const char *path = json_string_value(json_array_get(paths, job->path_count));
    job->paths[job->path_count] = path == NULL ? NULL : lvn_strdup(path, err);
    if (job->paths[job->path_count] == NULL) {
      return path != NULL ? false : lvn_error_set(err, LVN_ERROR_PROTOCOL, "a job's path is not a string");
    }
  }
  return true;
}

static bool parse_job(const json_t *message, struct lvn_wire_job *job, struct lvn_error *err) {
  json_error_t problem = {.text = "not JSON"};
  json_int_t job_id = 0;
  json_int_t wall_ms = 0;
  json_int_t replaced_wall_ms = 0;
  const char *key = NULL;
  const char *replaced_key = NULL;
  const char *folder = NULL;
  json_t *paths = NULL;
  if (message == NULL ||
      json_unpack_ex((json_t *)(uintptr_t)message, &problem, 0, "{s:{s:I,s:s,s:I,s:s,s:I,s:s,s:o}}", "job", "job_id",
                     &job_id, "job_key", &key, "wall_ms", &wall_ms, "replaced_key", &replaced_key, "replaced_wall_ms",
                     &replaced_wall_ms, "output_folder", &folder, "paths", &paths) != 0) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a job from the pipeline cannot be read: %s", problem.text);
  }
  job->job_id = job_id;
  job->wall_ms = wall_ms;
  job->replaced_wall_ms = replaced_wall_ms;
  job->job_key = lvn_strdup(key, err);
  job->replaced_key = lvn_strdup(replaced_key, err);
  job->output_folder = lvn_strdup(folder, err);
  return job->job_key != NULL && job->replaced_key != NULL && job->output_folder != NULL &&
         parse_paths(paths, job, err);
}

bool lvn_wire_read_job(const json_t *message, struct lvn_wire_job *ret_job, struct lvn_error *err) {
  struct lvn_wire_job job = {0};
  if (!parse_job(message, &job, err)) {
    lvn_wire_job_clear(&job);
    return false;
  }
  *ret_job = job;
  return true;
}
