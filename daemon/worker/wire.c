#include "daemon/worker/wire.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#define READ_BYTES 65536U
/* The wait is cut into pieces because a signal may arrive between the look at `*stop` and poll(). */
#define POLL_MS 500

struct lvn_wire {
  int fd;
  uint8_t *buffer;
  size_t used;
  size_t capacity;
};

static void decref_pointer(json_t **json) {
  json_decref(*json);
}
#define AUTO_JSON LVN_CLEANUP(decref_pointer) json_t *

bool lvn_wire_connect(const char *socket_path, struct lvn_wire **ret_wire, struct lvn_error *err) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!lvn_copy(address.sun_path, sizeof address.sun_path, socket_path)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "socket path '%s' is longer than %zu bytes", socket_path,
                         sizeof address.sun_path - 1);
  }
  LVN_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
    return lvn_error_set_errno(err, errno, "cannot connect to '%s'", socket_path);
  }
  struct lvn_wire *wire = lvn_alloc(1, sizeof *wire, err);
  if (wire == NULL) {
    return false;
  }
  wire->fd = fd;
  fd = -1;
  *ret_wire = wire;
  return true;
}

void lvn_wire_close(struct lvn_wire *wire) {
  if (wire != NULL) {
    (void)close(wire->fd);
    lvn_free(wire->buffer);
    lvn_free(wire);
  }
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

static bool send_line(struct lvn_wire *wire, const json_t *message, struct lvn_error *err) {
  char *line = message == NULL ? NULL : json_dumps(message, JSON_COMPACT);
  if (line == NULL) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot encode a message to the pipeline");
  }
  bool good = lvn_file_write_all(wire->fd, line, strlen(line), "worker socket", err) &&
              lvn_file_write_all(wire->fd, "\n", 1, "worker socket", err);
  lvn_free(line); /* jansson allocates by malloc unless told otherwise */
  return good;
}

bool lvn_wire_send_hello(struct lvn_wire *wire, const struct lvn_classifier_info *info, struct lvn_error *err) {
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(info->manifest_sha256, digest);
  AUTO_JSON message =
      json_pack("{s:{s:I,s:s,s:s,s:s,s:s}}", "hello", "pid", (json_int_t)getpid(), "model_name", info->name,
                "model_version", info->version, "model_digest", digest, "device", info->device);
  return send_line(wire, message, err);
}

bool lvn_wire_send_done(struct lvn_wire *wire, int64_t job_id, const struct lvn_analysis_result *result,
                        struct lvn_error *err) {
  AUTO_JSON objects = json_array();
  for (size_t i = 0; i < result->object_count; i++) {
    (void)json_array_append_new(objects, json_pack("{s:s,s:s,s:s}", "path", result->objects[i].path, "sop_class_uid",
                                                   result->objects[i].sop_class_uid, "sop_instance_uid",
                                                   result->objects[i].sop_instance_uid));
  }
  AUTO_JSON message = json_pack("{s:{s:I,s:s,s:s,s:O}}", "done", "job_id", (json_int_t)job_id, "outcome",
                                lvn_analysis_outcome_name(result->outcome), "status_message", result->status_message,
                                "objects", objects);
  return send_line(wire, message, err);
}

bool lvn_wire_send_failed(struct lvn_wire *wire, int64_t job_id, const struct lvn_error *failure,
                          struct lvn_error *err) {
  /* The engine's errors do not tell a shortage of memory or a broken GPU from anything else. */
  bool transient = lvn_error_is_transient(failure) || failure->code == LVN_ERROR_ENGINE;
  AUTO_JSON message =
      json_pack("{s:{s:I,s:s,s:b,s:s}}", "failed", "job_id", (json_int_t)job_id, "code",
                lvn_error_code_name(failure->code), "transient", transient, "message", failure->message);
  return send_line(wire, message, err);
}

bool lvn_wire_wait(struct lvn_wire *wire, double seconds, bool *ret_ready, struct lvn_error *err) {
  struct pollfd entry = {.fd = wire->fd, .events = POLLIN};
  *ret_ready = wire->used > 0;
  if (*ret_ready) {
    return true;
  }
  int ready = poll(&entry, 1, (int)(seconds * 1000.0));
  *ret_ready = ready > 0;
  return ready >= 0 || errno == EINTR || lvn_error_set_errno(err, errno, "cannot wait for the pipeline");
}

static bool wait_readable(int fd, const volatile sig_atomic_t *stop, struct lvn_error *err) {
  for (;;) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    if (*stop != 0) {
      return lvn_error_set(err, LVN_ERROR_TIMEOUT, "asked to stop");
    }
    int ready = poll(&entry, 1, POLL_MS);
    if (ready > 0) {
      return true;
    }
    if (ready < 0 && errno != EINTR) {
      return lvn_error_set_errno(err, errno, "cannot wait for the pipeline");
    }
  }
}

/* Length of the first line in the buffer without its newline; reads until there is one. */
static bool receive_line(struct lvn_wire *wire, const volatile sig_atomic_t *stop, size_t *ret_length,
                         struct lvn_error *err) {
  size_t seen = 0;
  for (;;) {
    const uint8_t *newline = wire->used > seen ? memchr(wire->buffer + seen, '\n', wire->used - seen) : NULL;
    if (newline != NULL) {
      *ret_length = (size_t)(newline - wire->buffer);
      return true;
    }
    seen = wire->used;
    while (wire->capacity - wire->used < READ_BYTES) {
      if (!lvn_grow(&wire->buffer, &wire->capacity, wire->capacity, 1, LVN_WIRE_LINE_MAX_BYTES, err)) {
        return lvn_error_prefix(err, "a job from the pipeline");
      }
    }
    if (!wait_readable(wire->fd, stop, err)) {
      return false;
    }
    ssize_t got = read(wire->fd, wire->buffer + wire->used, READ_BYTES);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return lvn_error_set_errno(err, got < 0 ? errno : ECONNRESET, "the pipeline closed the connection");
    }
    wire->used += (size_t)got;
  }
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

static bool parse_job(const char *line, size_t length, struct lvn_wire_job *job, struct lvn_error *err) {
  json_error_t problem;
  json_int_t job_id = 0;
  json_int_t wall_ms = 0;
  json_int_t replaced_wall_ms = 0;
  const char *key = NULL;
  const char *replaced_key = NULL;
  const char *folder = NULL;
  json_t *paths = NULL;
  AUTO_JSON message = json_loadb(line, length, 0, &problem);
  if (message == NULL ||
      json_unpack_ex(message, &problem, 0, "{s:{s:I,s:s,s:I,s:s,s:I,s:s,s:o}}", "job", "job_id", &job_id, "job_key",
                     &key, "wall_ms", &wall_ms, "replaced_key", &replaced_key, "replaced_wall_ms", &replaced_wall_ms,
                     "output_folder", &folder, "paths", &paths) != 0) {
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

bool lvn_wire_receive_job(struct lvn_wire *wire, const volatile sig_atomic_t *stop, struct lvn_wire_job *ret_job,
                          struct lvn_error *err) {
  size_t length = 0;
  struct lvn_wire_job job = {0};
  if (!receive_line(wire, stop, &length, err)) {
    return false;
  }
  bool good = parse_job((const char *)wire->buffer, length, &job, err);
  wire->used -= length + 1;
  memmove(wire->buffer, wire->buffer + length + 1, wire->used);
  if (!good) {
    lvn_wire_job_clear(&job);
    return false;
  }
  *ret_job = job;
  return true;
}
