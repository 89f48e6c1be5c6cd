#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/pipeline_internal.h"
#include "dicom/scan/scan.h"

/* DESIGN: the worker speaks JSON lines. It greets with {"hello":{…}}, gets {"job":{…}}, answers {"done":{…}} or
 * {"failed":{…}}. The attempt is counted in the index before the job is sent, so a worker that dies, hangs (killed
 * after job_seconds_max) or answers nonsense has used one up. What this node could not do (a full disk) is no attempt.
 * A job whose job.json already holds a whole outcome is not done again: the pipeline was killed between the worker's
 * answer and the index. What the worker said is recorded by verdicts.c. */

#define LINE_MAX_BYTES (1U << 20)
#define RESULTS_MAX 64U
#define DESTINATIONS_MAX 64U
#define DYING_SECONDS 10.0
#define LEASE_MS 15000                               /* of a job, renewed in every tick */
#define REPORT_CLASS "1.2.840.10008.5.1.4.1.1.88.34" /* Comprehensive 3D SR */

size_t lvn_jobs_count_running(const struct lvn_pipeline *pipeline) {
  size_t count = 0;
  for (size_t i = 0; i < pipeline->worker_count; i++) {
    count += pipeline->workers[i].job_id != 0 ? 1 : 0;
  }
  return count;
}

void lvn_jobs_accept(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  struct lvn_channel *channel = NULL;
  if (!lvn_channel_accept(pipeline->worker_fd, LINE_MAX_BYTES, &channel, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "worker-accept-failed", &err, "action=ignored");
    return;
  }
  if (channel == NULL) {
    return;
  }
  if (pipeline->worker_count == LVN_PIPELINE_WORKERS_MAX) {
    lvn_log(LVN_LOG_WARNING, "event=worker-refused reason=\"more than %d workers\"", LVN_PIPELINE_WORKERS_MAX);
    lvn_channel_destroy(channel);
    return;
  }
  pipeline->workers[pipeline->worker_count++] =
      (struct lvn_pipeline_worker){.channel = channel, .pid = lvn_channel_get_peer_pid(channel)};
  pipeline->stats.worker_connections++;
}

int64_t lvn_jobs_backoff_ms(int64_t count, int64_t factor) {
  int64_t wait_ms = LVN_JOBS_RETRY_MS;
  for (int64_t i = 1; i < count && wait_ms < LVN_JOBS_RETRY_MAX_MS; i++) {
    wait_ms *= factor;
  }
  return wait_ms < LVN_JOBS_RETRY_MAX_MS ? wait_ms : LVN_JOBS_RETRY_MAX_MS;
}

enum fault { OF_STUDY, OF_ATTEMPT, OF_NODE }; /* it fails; it is retried a few times; until it works */

static void fail_job(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, const char *code,
                     const char *message, enum fault fault) {
  char quoted[LVN_INDEX_MESSAGE_BYTES + 64];
  struct lvn_verdict verdict = {
      .job_id = worker->job_id, .is_transient = fault != OF_STUDY, .is_own_fault = fault == OF_NODE};
  if (worker->job_id == 0) {
    return;
  }
  lvn_log(LVN_LOG_WARNING, "event=job-attempt-failed job=%lld study=%s error=%s transient=%d counted=%d reason=%s",
          (long long)worker->job_id, worker->study_name, code, verdict.is_transient, !verdict.is_own_fault,
          lvn_log_quote(quoted, sizeof quoted, message));
  (void)lvn_copy(verdict.study_name, sizeof verdict.study_name, worker->study_name);
  (void)lvn_copy(verdict.code, sizeof verdict.code, code);
  (void)lvn_copy(verdict.message, sizeof verdict.message, message);
  worker->job_id = 0;
  lvn_verdicts_add(pipeline, &verdict);
}

static void lose_worker(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, const char *reason) {
  pipeline->stats.worker_losses++;
  lvn_log(LVN_LOG_NOTICE, "event=worker-gone worker=%ld job=%lld reason=\"%s\"", (long)worker->pid,
          (long long)worker->job_id, reason);
  if (worker->was_killed) {
    fail_job(pipeline, worker, "timeout", "the analysis took longer than job_seconds_max", OF_ATTEMPT);
  } else {
    fail_job(pipeline, worker, "crash", "the worker went away during the analysis", OF_ATTEMPT);
  }
  lvn_channel_destroy(worker->channel);
  size_t position = (size_t)(worker - pipeline->workers);
  pipeline->worker_count--;
  memmove(worker, worker + 1, (pipeline->worker_count - position) * sizeof *worker);
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text == NULL ? "" : text;
}

static bool take_hello(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, const json_t *hello) {
  (void)lvn_copy(worker->model.name, sizeof worker->model.name, text_of(hello, "model_name"));
  (void)lvn_copy(worker->model.version, sizeof worker->model.version, text_of(hello, "model_version"));
  if (!lvn_sha256_from_text(text_of(hello, "model_digest"), worker->model.digest)) {
    return false;
  }
  worker->has_handshake = true;
  pipeline->model = worker->model;
  pipeline->has_model = true;
  lvn_log(LVN_LOG_NOTICE, "event=worker-ready worker=%ld model=%s version=%s", (long)worker->pid, worker->model.name,
          worker->model.version);
  return true;
}

bool lvn_jobs_finish(struct lvn_pipeline *pipeline, int64_t job_id, enum lvn_job_outcome outcome,
                     const char *status_message, const struct lvn_job_result *results, size_t result_count,
                     struct lvn_error *err) {
  const char *names[DESTINATIONS_MAX];
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t study_count = 0;
  struct lvn_job job;
  if (!lvn_queue_get(pipeline->index, job_id, &job, err)) {
    return false;
  }
  const struct lvn_index_study_filter filter = {.study_uid = job.study_uid, .limit = 1};
  if (!lvn_index_list_studies(pipeline->index, &filter, &studies, &study_count, err)) {
    return false;
  }
  if (study_count == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "job %lld belongs to no study", (long long)job_id);
  }
  struct lvn_job_finish finish = {.job_id = job_id,
                                  .outcome = outcome,
                                  .status_message = status_message,
                                  .results = results,
                                  .result_count = result_count,
                                  .destinations = names,
                                  .now_ms = lvn_clock_wall_ms()};
  finish.destination_count = lvn_outbound_destinations(&pipeline->config, studies[0].source_aet,
                                                       studies[0].source_address, names, DESTINATIONS_MAX);
  if (!lvn_queue_finish(pipeline->index, &finish, err)) {
    return false;
  }
  lvn_log(LVN_LOG_INFO, "event=job-outcome job=%lld study=%s outcome=%s results=%zu destinations=%zu",
          (long long)job_id, job.study_name, lvn_job_outcome_name(outcome), result_count, finish.destination_count);
  if (outcome == LVN_OUTCOME_DONE && finish.destination_count == 0) {
    lvn_log(LVN_LOG_WARNING, "event=no-destination study=%s reason=\"no peer with host and port gets its results\"",
            job.study_name);
  }
  return true;
}

/* A result as the worker names it, checked against the file itself. */
static bool check_result(const json_t *item, const char *folder, struct lvn_job_result *result, struct lvn_error *err) {
  struct lvn_scan scan;
  size_t length = strlen(folder);
  if (!lvn_copy(result->path, sizeof result->path, text_of(item, "path")) ||
      strncmp(result->path, folder, length) != 0 || result->path[length] != '/' ||
      strchr(result->path + length + 1, '/') != NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the worker named a result outside the job's folder");
  }
  if (!lvn_scan_file(result->path, &scan, err) || !lvn_sha256_of_file(result->path, result->sha256, err)) {
    return lvn_error_prefix(err, "a result");
  }
  if (strcmp(scan.sop_instance_uid, text_of(item, "sop_instance_uid")) != 0 ||
      strcmp(scan.sop_class_uid, text_of(item, "sop_class_uid")) != 0) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the worker named other UIDs than a result file holds");
  }
  (void)lvn_copy(result->sop_class_uid, sizeof result->sop_class_uid, scan.sop_class_uid);
  (void)lvn_copy(result->sop_instance_uid, sizeof result->sop_instance_uid, scan.sop_instance_uid);
  (void)lvn_copy(result->transfer_syntax_uid, sizeof result->transfer_syntax_uid, scan.transfer_syntax_uid);
  return true;
}

/* What the worker says, checked: an outcome, owned by *file also where the check fails. */
static bool read_done(const struct lvn_pipeline *pipeline, const struct lvn_pipeline_worker *worker, const json_t *done,
                      struct lvn_jobfile *file, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  const json_t *objects = json_object_get(done, "objects");
  size_t count = json_array_size(objects);
  enum lvn_job_outcome outcome = LVN_OUTCOME_NONE;
  if (!lvn_job_outcome_parse(text_of(done, "outcome"), &outcome, err)) {
    return false;
  }
  bool is_done = outcome == LVN_OUTCOME_DONE;
  if ((!is_done && outcome != LVN_OUTCOME_WAITING && outcome != LVN_OUTCOME_REFUSED) || count > RESULTS_MAX ||
      (is_done && count == 0)) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "outcome '%.20s' with %zu results", lvn_job_outcome_name(outcome),
                         count);
  }
  file->result_count = is_done ? count : 0;
  file->results = lvn_alloc(file->result_count, sizeof *file->results, err);
  if (file->results == NULL || !lvn_jobfile_folder(&pipeline->config, worker->job_id, folder, err)) {
    return false;
  }
  for (size_t i = 0; i < file->result_count; i++) {
    if (!check_result(json_array_get(objects, i), folder, &file->results[i], err)) {
      return false;
    }
  }
  file->outcome = outcome;
  (void)lvn_copy(file->status_message, sizeof file->status_message, text_of(done, "status_message"));
  return true;
}

static bool take_done(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, const json_t *done) {
  struct lvn_error err;
  struct lvn_verdict verdict = {.job_id = worker->job_id,
                                .seconds = lvn_clock_monotonic_seconds() - worker->job_started_at};
  if (worker->job_id == 0 || json_integer_value(json_object_get(done, "job_id")) != worker->job_id) {
    return false;
  }
  (void)lvn_copy(verdict.study_name, sizeof verdict.study_name, worker->study_name);
  verdict.file = lvn_alloc(1, sizeof *verdict.file, &err);
  if (verdict.file != NULL && read_done(pipeline, worker, done, verdict.file, &err)) {
    worker->job_id = 0;
    lvn_verdicts_add(pipeline, &verdict);
    return true;
  }
  if (verdict.file != NULL) {
    lvn_jobfile_clear(verdict.file);
    lvn_free(verdict.file);
  }
  fail_job(pipeline, worker, lvn_error_code_name(err.code), err.message,
           lvn_error_is_transient(&err) ? OF_ATTEMPT : OF_STUDY);
  return true;
}

static bool take_failed(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, const json_t *failed) {
  if (worker->job_id == 0 || json_integer_value(json_object_get(failed, "job_id")) != worker->job_id) {
    return false;
  }
  const char *code = text_of(failed, "code");
  bool is_transient = json_is_true(json_object_get(failed, "transient"));
  bool has_no_space = strcmp(code, lvn_error_code_name(LVN_ERROR_NOSPACE)) == 0;
  fail_job(pipeline, worker, code, text_of(failed, "message"),
           has_no_space   ? OF_NODE
           : is_transient ? OF_ATTEMPT
                          : OF_STUDY);
  return true;
}

static bool take_line(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, const char *line) {
  LVN_AUTOJSON json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
  const json_t *value = json_object_get(root, "hello");
  if (json_is_object(value) && !worker->has_handshake) {
    return take_hello(pipeline, worker, value);
  }
  value = json_object_get(root, "done");
  if (json_is_object(value)) {
    return take_done(pipeline, worker, value);
  }
  value = json_object_get(root, "failed");
  return json_is_object(value) && take_failed(pipeline, worker, value);
}

void lvn_jobs_receive(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker) {
  struct lvn_error err = {0};
  bool is_alive = lvn_channel_flush(worker->channel, &err) && lvn_channel_receive(worker->channel, &err);
  for (const char *line = lvn_channel_next_line(worker->channel); line != NULL;
       line = lvn_channel_next_line(worker->channel)) {
    if (!take_line(pipeline, worker, line)) {
      lose_worker(pipeline, worker, "it broke the protocol");
      return;
    }
  }
  if (!is_alive) {
    lose_worker(pipeline, worker, err.code == LVN_OK ? "closed" : err.message);
  }
}

/* NULL when not every path is in it: an analysis of some of the inputs would look like one of all. */
static json_t *pack_paths(const struct lvn_pipeline *pipeline, const uint8_t *digests, size_t count) {
  struct lvn_error ignored;
  json_t *paths = json_array();
  for (size_t i = 0; paths != NULL && i < count; i++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_objects_path(pipeline->objects, digests + i * LVN_SHA256_BYTES, path, &ignored) ||
        json_array_append_new(paths, json_string(path)) != 0) {
      json_decref(paths);
      return NULL;
    }
  }
  return paths;
}

static bool make_order(struct lvn_pipeline *pipeline, const struct lvn_job *job, char **ret_line,
                       struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  char folder[LVN_PATH_BYTES];
  struct lvn_jobfile file = {.job = *job};
  struct lvn_job earlier = {0};
  bool replaces = false;
  if (!lvn_jobfile_folder(&pipeline->config, job->job_id, folder, err) ||
      !lvn_jobfile_write(&pipeline->config, &file, err) ||
      !lvn_queue_predecessor(pipeline->index, job->job_id, REPORT_CLASS, &earlier, &replaces, err) ||
      !lvn_index_study_inputs(pipeline->index, job->study_uid, &digests, &count, err)) {
    return false;
  }
  LVN_AUTOJSON json_t *root = json_pack(
      "{s:{s:I, s:s, s:I, s:s, s:I, s:s, s:o}}", "job", "job_id", (json_int_t)job->job_id, "job_key", job->key,
      "wall_ms", (json_int_t)job->wall_ms, "replaced_key", replaces ? earlier.key : "", "replaced_wall_ms",
      (json_int_t)earlier.wall_ms, "output_folder", folder, "paths", pack_paths(pipeline, digests, count));
  *ret_line = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
  return *ret_line != NULL || lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a job");
}

/* True when an earlier attempt had come to its end already. */
static bool finish_from_file(struct lvn_pipeline *pipeline, const struct lvn_job *job) {
  struct lvn_error err;
  bool found = false;
  struct lvn_verdict verdict = {.job_id = job->job_id};
  verdict.file = lvn_alloc(1, sizeof *verdict.file, &err);
  if (verdict.file == NULL) {
    return false;
  }
  const struct lvn_jobfile *file = verdict.file;
  if (lvn_jobfile_read(&pipeline->config, job->job_id, verdict.file, &found, &err) && found &&
      strcmp(file->job.key, job->key) == 0 && file->outcome != LVN_OUTCOME_NONE &&
      (file->outcome != LVN_OUTCOME_DONE || file->result_count > 0)) {
    (void)lvn_copy(verdict.study_name, sizeof verdict.study_name, job->study_name);
    lvn_verdicts_add(pipeline, &verdict);
    return true;
  }
  lvn_jobfile_clear(verdict.file);
  lvn_free(verdict.file);
  return false;
}

static void start_work(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, const struct lvn_job *job) {
  worker->job_id = job->job_id;
  worker->job_started_at = lvn_clock_monotonic_seconds();
  worker->was_killed = false;
  (void)lvn_copy(worker->study_name, sizeof worker->study_name, job->study_name);
  lvn_log(LVN_LOG_INFO, "event=job-started job=%lld study=%s attempt=%lld worker=%ld", (long long)job->job_id,
          job->study_name, (long long)job->attempt, (long)worker->pid);
  if (job->attempt == 1) {
    lvn_pipeline_count_stage(pipeline, LVN_STAGE_QUEUE, 1e-3 * (double)(lvn_clock_wall_ms() - job->wall_ms));
  }
}

/* One job for one idle worker, which is lost when it cannot be told. False: no job can be claimed. */
static bool dispatch(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker, struct lvn_error *err) {
  struct lvn_job job;
  struct lvn_error reason;
  LVN_AUTOFREE char *line = NULL;
  bool found = false;
  do {
    if (!lvn_queue_claim(pipeline->index, lvn_clock_wall_ms(), LEASE_MS, &job, &found, err)) {
      return false;
    }
  } while (found && finish_from_file(pipeline, &job));
  if (!found) {
    return true;
  }
  start_work(pipeline, worker, &job);
  if (!make_order(pipeline, &job, &line, &reason)) {
    fail_job(pipeline, worker, lvn_error_code_name(reason.code), reason.message,
             lvn_error_is_transient(&reason) ? OF_NODE : OF_STUDY);
  } else if (!lvn_channel_send(worker->channel, line, &reason)) {
    bool is_too_long = reason.code == LVN_ERROR_PROTOCOL;
    fail_job(pipeline, worker, lvn_error_code_name(reason.code), reason.message, is_too_long ? OF_STUDY : OF_NODE);
    if (!is_too_long) {
      lose_worker(pipeline, worker, "it cannot be told its work");
    }
  }
  return true;
}

/* A process that cannot be killed (of another namespace, or deep in a driver) is given up: it is not listened to. */
static void kill_late(struct lvn_pipeline *pipeline, struct lvn_pipeline_worker *worker) {
  double limit_seconds = pipeline->config.job_seconds_max + (worker->was_killed ? DYING_SECONDS : 0.0);
  double age_seconds = lvn_clock_monotonic_seconds() - worker->job_started_at;
  if (worker->job_id == 0) {
    return;
  }
  if (age_seconds < limit_seconds) {
    lvn_pipeline_wake_in(pipeline, (int64_t)(1000.0 * (limit_seconds - age_seconds)) + 10);
    return;
  }
  if (worker->was_killed) {
    lose_worker(pipeline, worker, "it does not die");
    return;
  }
  lvn_log(LVN_LOG_ERROR, "event=worker-killed worker=%ld job=%lld study=%s seconds=%.0f", (long)worker->pid,
          (long long)worker->job_id, worker->study_name, age_seconds);
  worker->was_killed = true;
  pipeline->stats.worker_kills++;
  if (worker->pid <= 1 || kill(worker->pid, SIGKILL) != 0) {
    lvn_log(LVN_LOG_ERROR, "event=kill-failed worker=%ld errno=%d", (long)worker->pid, worker->pid > 1 ? errno : 0);
    lose_worker(pipeline, worker, "it cannot be killed");
    return;
  }
  lvn_pipeline_wake_in(pipeline, (int64_t)(1000.0 * DYING_SECONDS));
}

/* A running job that no worker has, and whose outcome waits nowhere, was lost on the way: its lease is not renewed, and
 * it is queued again. */
static bool sweep(struct lvn_pipeline *pipeline, struct lvn_error *err) {
  size_t count = 0;
  size_t swept = 0;
  LVN_AUTOFREE int64_t *ids = lvn_alloc(LVN_PIPELINE_WORKERS_MAX + pipeline->verdict_count, sizeof *ids, err);
  if (ids == NULL) {
    return false;
  }
  for (size_t i = 0; i < pipeline->worker_count; i++) {
    ids[count++] = pipeline->workers[i].job_id;
  }
  for (size_t i = 0; i < pipeline->verdict_count; i++) {
    ids[count++] = pipeline->verdicts[i].job_id;
  }
  if (!lvn_queue_heartbeat(pipeline->index, ids, count, LEASE_MS, err) ||
      !lvn_queue_sweep(pipeline->index, &swept, err)) {
    return false;
  }
  if (swept > 0) {
    lvn_log(LVN_LOG_WARNING, "event=jobs-without-worker count=%zu action=queued-again", swept);
  }
  return true;
}

/* Whatever the index has to be told before a job may be given out. */
static bool prepare(struct lvn_pipeline *pipeline, struct lvn_error *err) {
  int64_t postponed = 0;
  if (!sweep(pipeline, err) || !lvn_queue_count_postponed(pipeline->index, &postponed, err)) {
    return false;
  }
  if (postponed > 0) {
    lvn_pipeline_report(pipeline, "%lld analyses wait until this node can do them (livervlm jobs says why)",
                        (long long)postponed);
  }
  /* A job's UIDs name its model: no other one may do it. */
  return !pipeline->has_model || lvn_queue_cancel_other_models(pipeline->index, pipeline->model.digest, err);
}

void lvn_jobs_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err = {0};
  bool good = !lvn_pipeline_has_to_wait(pipeline, &pipeline->job_trouble);
  bool is_prepared = good && prepare(pipeline, &err);
  /* From the end: a worker that is lost is taken out of the array. */
  for (size_t i = pipeline->worker_count; i > 0; i--) {
    struct lvn_pipeline_worker *worker = &pipeline->workers[i - 1];
    bool is_idle = worker->has_handshake && worker->job_id == 0;
    bool is_current = memcmp(worker->model.digest, pipeline->model.digest, LVN_SHA256_BYTES) == 0;
    if (is_prepared && !pipeline->stops && is_idle && is_current) {
      is_prepared = dispatch(pipeline, worker, &err);
    }
  }
  if (good && !is_prepared) {
    lvn_log_error(LVN_LOG_ERROR, "dispatch-failed", &err, "action=retry");
    lvn_pipeline_fail(pipeline, &pipeline->job_trouble, LVN_JOBS_RETRY_MS, "analyses cannot be started: %.200s",
                      err.message);
  }
  /* After the dispatch, so that a new job's limit wakes us too. */
  for (size_t i = pipeline->worker_count; i > 0; i--) {
    kill_late(pipeline, &pipeline->workers[i - 1]);
  }
}
