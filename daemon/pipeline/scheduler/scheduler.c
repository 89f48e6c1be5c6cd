#include "daemon/pipeline/scheduler/scheduler.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_lines.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/socket.h"
#include "daemon/audit/audit.h"
#include "daemon/pipeline/scheduler/messages.h"
#include "daemon/pipeline/scheduler/scheduler_verdicts.h"
#include "daemon/pipeline/shared/patient.h"

/* DESIGN: the worker speaks JSON lines. It greets with {"hello":{…}}, gets {"job":{…}}, answers {"done":{…}} or
 * {"failed":{…}}. The attempt is counted in the index before the job is sent, so a worker that dies, hangs (killed
 * after job_seconds_max) or answers nonsense has used one up. What this node could not do (a full disk) is no attempt.
 * A job whose job.json already holds a whole outcome is not done again: the pipeline was killed between the worker's
 * answer and the index. What the worker said is recorded by verdicts.c. */

#define LINE_MAX_BYTES (1U << 20)
#define JOB_MAX_BYTES (8U << 20)
#define RETRY_MS INT64_C(5000)
#define DYING_SECONDS 10.0
#define LEASE_MS 15000 /* of a job, renewed in every tick */

struct worker {
  struct lvn_scheduler *scheduler;
  struct lvn_json_lines *lines;
  struct lvn_loop_source *source;
  struct lvn_scheduler_worker is; /* what others may know of it */
  bool has_handshake;
  bool was_killed; /* over job_seconds_max */
  double job_started_at;
};

struct lvn_scheduler {
  struct lvn_scheduler_needs needs;
  struct lvn_verdicts *verdicts;
  int listen_fd;
  struct lvn_loop_source *listen_source;
  struct worker *workers[LVN_SCHEDULER_WORKERS_MAX];
  size_t worker_count;
  bool stops;
  bool has_model; /* some worker has greeted since the start */
  struct lvn_job_model model;
  struct lvn_trouble trouble;
  char postponed_problem[128];
  int64_t due_ms;
  struct lvn_scheduler_counts counts;
};

static void destroy_worker(struct worker *worker) {
  if (worker != NULL) {
    lvn_loop_source_destroy(worker->source);
    lvn_json_lines_destroy(worker->lines);
    lvn_free(worker);
  }
}
LVN_DEFINE_CLEANUP(worker, destroy_worker)

static void receive(void *user_data);

static bool add_worker(struct lvn_scheduler *scheduler, int fd, pid_t pid, struct lvn_error *err) {
  LVN_CLEANUP(worker_cleanup) struct worker *worker = lvn_alloc(1, sizeof *worker, err);
  if (worker == NULL || !lvn_json_lines_create(fd, LINE_MAX_BYTES, JOB_MAX_BYTES, &worker->lines, err)) {
    (void)close(fd);
    return false;
  }
  worker->scheduler = scheduler;
  worker->is.pid = pid;
  if (!lvn_loop_add_fd(scheduler->needs.loop, fd, receive, worker, &worker->source, err)) {
    return false;
  }
  scheduler->workers[scheduler->worker_count++] = lvn_steal(&worker);
  scheduler->counts.connections++;
  return true;
}

static void accept_worker(void *user_data) {
  struct lvn_scheduler *scheduler = user_data;
  struct lvn_error err;
  pid_t pid = 0;
  int fd = -1;
  if (!lvn_socket_accept(scheduler->listen_fd, &fd, &pid, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "worker-accept-failed", &err, "action=ignored");
  } else if (fd >= 0 && scheduler->worker_count == LVN_SCHEDULER_WORKERS_MAX) {
    lvn_log(LVN_LOG_WARNING, "event=worker-refused reason=\"more than %d workers\"", LVN_SCHEDULER_WORKERS_MAX);
    (void)close(fd);
  } else if (fd >= 0 && !add_worker(scheduler, fd, pid, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "worker-accept-failed", &err, "action=closed");
  }
}

static bool listen_for_workers(struct lvn_scheduler *scheduler, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  return lvn_path_join(path, scheduler->needs.config->run_folder, LVN_WORKER_SOCKET, err) &&
         lvn_socket_listen(path, &scheduler->listen_fd, err) &&
         lvn_loop_add_fd(scheduler->needs.loop, scheduler->listen_fd, accept_worker, scheduler,
                         &scheduler->listen_source, err);
}

bool lvn_scheduler_create(const struct lvn_scheduler_needs *needs, struct lvn_scheduler **ret_scheduler,
                          struct lvn_error *err) {
  struct lvn_scheduler *scheduler = lvn_alloc(1, sizeof *scheduler, err);
  if (scheduler == NULL) {
    return false;
  }
  scheduler->needs = *needs;
  scheduler->listen_fd = -1;
  if (!lvn_verdicts_create(needs->config, needs->index, &scheduler->verdicts, err) ||
      !listen_for_workers(scheduler, err)) {
    lvn_scheduler_destroy(scheduler);
    return false;
  }
  *ret_scheduler = scheduler;
  return true;
}

void lvn_scheduler_destroy(struct lvn_scheduler *scheduler) {
  if (scheduler == NULL) {
    return;
  }
  for (size_t i = 0; i < scheduler->worker_count; i++) {
    destroy_worker(scheduler->workers[i]);
  }
  lvn_loop_source_destroy(scheduler->listen_source);
  lvn_file_close_pointer(&scheduler->listen_fd);
  lvn_verdicts_destroy(scheduler->verdicts);
  lvn_free(scheduler);
}

const char *lvn_scheduler_problem(const struct lvn_scheduler *scheduler) {
  const char *problem = lvn_verdicts_problem(scheduler->verdicts);
  problem = problem[0] != '\0' ? problem : scheduler->trouble.text;
  return problem[0] != '\0' ? problem : scheduler->postponed_problem;
}

void lvn_scheduler_stop(struct lvn_scheduler *scheduler) {
  scheduler->stops = true;
}

void lvn_scheduler_forget(struct lvn_scheduler *scheduler) {
  lvn_verdicts_forget(scheduler->verdicts);
}

const struct lvn_job_model *lvn_scheduler_get_model(const struct lvn_scheduler *scheduler) {
  return scheduler->has_model ? &scheduler->model : NULL;
}

size_t lvn_scheduler_list_workers(const struct lvn_scheduler *scheduler,
                                  struct lvn_scheduler_worker ret_workers[LVN_SCHEDULER_WORKERS_MAX]) {
  for (size_t i = 0; i < scheduler->worker_count; i++) {
    ret_workers[i] = scheduler->workers[i]->is;
  }
  return scheduler->worker_count;
}

struct lvn_scheduler_counts lvn_scheduler_get_counts(const struct lvn_scheduler *scheduler) {
  struct lvn_scheduler_counts counts = scheduler->counts;
  counts.workers = scheduler->worker_count;
  counts.analysis = lvn_verdicts_get_analysis_stage(scheduler->verdicts);
  return counts;
}

size_t lvn_scheduler_count_running(const struct lvn_scheduler *scheduler) {
  size_t count = 0;
  for (size_t i = 0; i < scheduler->worker_count; i++) {
    count += scheduler->workers[i]->is.job_id != 0 ? 1 : 0;
  }
  return count;
}

/* It is started anew by its supervisor. */
void lvn_scheduler_end_job(struct lvn_scheduler *scheduler, int64_t job_id) {
  for (size_t i = 0; i < scheduler->worker_count; i++) {
    struct worker *worker = scheduler->workers[i];
    if (worker->is.job_id == job_id) {
      worker->is.job_id = 0;
      worker->has_handshake = false; /* given nothing more */
      if (worker->is.pid > 1 && kill(worker->is.pid, SIGKILL) != 0) {
        lvn_log(LVN_LOG_ERROR, "event=kill-failed worker=%ld errno=%d", (long)worker->is.pid, errno);
      }
    }
  }
}

enum fault { OF_STUDY, OF_ATTEMPT, OF_NODE }; /* it fails; it is retried a few times; until it works */

static void fail_job(struct lvn_scheduler *scheduler, struct worker *worker, const char *code, const char *message,
                     enum fault fault) {
  char quoted[LVN_INDEX_MESSAGE_BYTES + 64];
  struct lvn_verdict verdict = {
      .job_id = worker->is.job_id, .is_transient = fault != OF_STUDY, .is_own_fault = fault == OF_NODE};
  if (worker->is.job_id == 0) {
    return;
  }
  lvn_log(LVN_LOG_WARNING, "event=job-attempt-failed job=%lld study=%s error=%s transient=%d counted=%d reason=%s",
          (long long)worker->is.job_id, worker->is.study_name, code, verdict.is_transient, !verdict.is_own_fault,
          lvn_log_quote(quoted, sizeof quoted, message));
  (void)lvn_copy(verdict.study_name, sizeof verdict.study_name, worker->is.study_name);
  (void)lvn_copy(verdict.code, sizeof verdict.code, code);
  (void)lvn_copy(verdict.message, sizeof verdict.message, message);
  worker->is.job_id = 0;
  lvn_verdicts_add(scheduler->verdicts, &verdict);
}

static void lose_worker(struct lvn_scheduler *scheduler, struct worker *worker, const char *reason) {
  scheduler->counts.losses++;
  lvn_log(LVN_LOG_NOTICE, "event=worker-gone worker=%ld job=%lld reason=\"%s\"", (long)worker->is.pid,
          (long long)worker->is.job_id, reason);
  if (worker->was_killed) {
    fail_job(scheduler, worker, "timeout", "the analysis took longer than job_seconds_max", OF_ATTEMPT);
  } else {
    fail_job(scheduler, worker, "crash", "the worker went away during the analysis", OF_ATTEMPT);
  }
  for (size_t i = 0; i < scheduler->worker_count; i++) {
    if (scheduler->workers[i] == worker) {
      scheduler->workers[i] = scheduler->workers[--scheduler->worker_count];
    }
  }
  destroy_worker(worker);
}

static bool take_hello(struct lvn_scheduler *scheduler, struct worker *worker, const json_t *hello) {
  (void)lvn_copy(worker->is.model.name, sizeof worker->is.model.name, lvn_message_text(hello, "model_name"));
  (void)lvn_copy(worker->is.model.version, sizeof worker->is.model.version, lvn_message_text(hello, "model_version"));
  if (!lvn_sha256_from_text(lvn_message_text(hello, "model_digest"), worker->is.model.digest)) {
    return false;
  }
  worker->has_handshake = true;
  scheduler->model = worker->is.model;
  scheduler->has_model = true;
  lvn_log(LVN_LOG_NOTICE, "event=worker-ready worker=%ld model=%s version=%s", (long)worker->is.pid,
          worker->is.model.name, worker->is.model.version);
  lvn_audit_note_model(scheduler->needs.config, worker->is.model.name, worker->is.model.version);
  return true;
}

static bool take_done(struct lvn_scheduler *scheduler, struct worker *worker, const json_t *done) {
  struct lvn_error err;
  struct lvn_verdict verdict = {.job_id = worker->is.job_id,
                                .seconds = lvn_clock_monotonic_seconds() - worker->job_started_at};
  if (worker->is.job_id == 0 || json_integer_value(json_object_get(done, "job_id")) != worker->is.job_id) {
    return false;
  }
  (void)lvn_copy(verdict.study_name, sizeof verdict.study_name, worker->is.study_name);
  verdict.file = lvn_alloc(1, sizeof *verdict.file, &err);
  if (verdict.file != NULL &&
      lvn_message_read_done(scheduler->needs.config, worker->is.job_id, done, verdict.file, &err)) {
    worker->is.job_id = 0;
    lvn_verdicts_add(scheduler->verdicts, &verdict);
    return true;
  }
  lvn_verdict_clear(&verdict);
  fail_job(scheduler, worker, lvn_error_code_name(err.code), err.message,
           lvn_error_is_transient(&err) ? OF_ATTEMPT : OF_STUDY);
  return true;
}

static bool take_failed(struct lvn_scheduler *scheduler, struct worker *worker, const json_t *failed) {
  if (worker->is.job_id == 0 || json_integer_value(json_object_get(failed, "job_id")) != worker->is.job_id) {
    return false;
  }
  const char *code = lvn_message_text(failed, "code");
  bool is_transient = json_is_true(json_object_get(failed, "transient"));
  bool has_no_space = strcmp(code, lvn_error_code_name(LVN_ERROR_NOSPACE)) == 0;
  fail_job(scheduler, worker, code, lvn_message_text(failed, "message"),
           has_no_space   ? OF_NODE
           : is_transient ? OF_ATTEMPT
                          : OF_STUDY);
  return true;
}

static bool take_message(struct lvn_scheduler *scheduler, struct worker *worker, const json_t *message) {
  const json_t *value = json_object_get(message, "hello");
  if (json_is_object(value) && !worker->has_handshake) {
    return take_hello(scheduler, worker, value);
  }
  value = json_object_get(message, "done");
  if (json_is_object(value)) {
    return take_done(scheduler, worker, value);
  }
  value = json_object_get(message, "failed");
  return json_is_object(value) && take_failed(scheduler, worker, value);
}

static void receive(void *user_data) {
  struct worker *worker = user_data;
  struct lvn_scheduler *scheduler = worker->scheduler;
  struct lvn_error err = {0};
  json_t *message = NULL;
  bool is_alive = lvn_json_lines_flush(worker->lines, &err) && lvn_json_lines_receive(worker->lines, &err);
  while (lvn_json_lines_take(worker->lines, &message)) {
    bool is_understood = take_message(scheduler, worker, message);
    json_decref(message);
    if (!is_understood) {
      lose_worker(scheduler, worker, "it broke the protocol");
      return;
    }
  }
  if (!is_alive) {
    lose_worker(scheduler, worker, err.code == LVN_OK ? "closed" : err.message);
    return;
  }
  lvn_loop_watch_writes(worker->source, lvn_json_lines_wants_to_write(worker->lines));
}

/* True when an earlier attempt had come to its end already. */
static bool finish_from_file(struct lvn_scheduler *scheduler, const struct lvn_job *job) {
  struct lvn_error err;
  bool found = false;
  struct lvn_verdict verdict = {.job_id = job->job_id};
  verdict.file = lvn_alloc(1, sizeof *verdict.file, &err);
  if (verdict.file == NULL) {
    return false;
  }
  const struct lvn_jobfile *file = verdict.file;
  if (lvn_jobfile_read(scheduler->needs.config, job->job_id, verdict.file, &found, &err) && found &&
      strcmp(file->job.key, job->key) == 0 && file->outcome != LVN_OUTCOME_NONE &&
      (file->outcome != LVN_OUTCOME_DONE || file->result_count > 0)) {
    (void)lvn_copy(verdict.study_name, sizeof verdict.study_name, job->study_name);
    lvn_verdicts_add(scheduler->verdicts, &verdict);
    return true;
  }
  lvn_verdict_clear(&verdict);
  return false;
}

static void audit_use(const struct lvn_scheduler *scheduler, const struct lvn_job *job) {
  const struct lvn_scheduler_needs *needs = &scheduler->needs;
  char patient_id[LVN_UID_BYTES];
  lvn_patient_find(needs->config, needs->index, needs->objects, job->study_uid, patient_id);
  lvn_audit_write(needs->config, &(struct lvn_audit_event){.kind = LVN_AUDIT_STUDY_USED,
                                                           .description = "analysed",
                                                           .study_uid = job->study_uid,
                                                           .patient_id = patient_id});
}

static void start_work(struct lvn_scheduler *scheduler, struct worker *worker, const struct lvn_job *job) {
  worker->is.job_id = job->job_id;
  worker->job_started_at = lvn_clock_monotonic_seconds();
  worker->was_killed = false;
  (void)lvn_copy(worker->is.study_name, sizeof worker->is.study_name, job->study_name);
  lvn_log(LVN_LOG_INFO, "event=job-started job=%lld study=%s attempt=%lld worker=%ld", (long long)job->job_id,
          job->study_name, (long long)job->attempt, (long)worker->is.pid);
  audit_use(scheduler, job);
  if (job->attempt == 1) {
    lvn_stage_count(&scheduler->counts.queue, 1e-3 * (double)(lvn_clock_wall_ms() - job->wall_ms));
  }
}

/* One job for one idle worker, which is lost when it cannot be told. False: no job can be claimed. */
static bool dispatch(struct lvn_scheduler *scheduler, struct worker *worker, struct lvn_error *err) {
  struct lvn_job job;
  struct lvn_error reason;
  LVN_AUTOJSON json_t *message = NULL;
  bool found = false;
  do {
    if (!lvn_queue_claim(scheduler->needs.index, lvn_clock_wall_ms(), LEASE_MS, &job, &found, err)) {
      return false;
    }
  } while (found && finish_from_file(scheduler, &job));
  if (!found) {
    return true;
  }
  start_work(scheduler, worker, &job);
  if (!lvn_message_make_job(scheduler->needs.config, scheduler->needs.index, scheduler->needs.objects, &job, &message,
                            &reason)) {
    fail_job(scheduler, worker, lvn_error_code_name(reason.code), reason.message,
             lvn_error_is_transient(&reason) ? OF_NODE : OF_STUDY);
  } else if (!lvn_json_lines_send(worker->lines, message, &reason)) {
    bool is_too_long = reason.code == LVN_ERROR_PROTOCOL;
    fail_job(scheduler, worker, lvn_error_code_name(reason.code), reason.message, is_too_long ? OF_STUDY : OF_NODE);
    if (!is_too_long) {
      lose_worker(scheduler, worker, "it cannot be told its work");
    }
  } else {
    lvn_loop_watch_writes(worker->source, lvn_json_lines_wants_to_write(worker->lines));
  }
  return true;
}

/* A process that cannot be killed (of another namespace, or deep in a driver) is given up: it is not listened to. */
static void kill_late(struct lvn_scheduler *scheduler, struct worker *worker, int64_t now_ms) {
  double limit_seconds = scheduler->needs.config->job_seconds_max + (worker->was_killed ? DYING_SECONDS : 0.0);
  double age_seconds = lvn_clock_monotonic_seconds() - worker->job_started_at;
  if (worker->is.job_id == 0) {
    return;
  }
  if (age_seconds < limit_seconds) {
    lvn_tick_at(&scheduler->due_ms, now_ms + (int64_t)(1000.0 * (limit_seconds - age_seconds)) + 10);
    return;
  }
  if (worker->was_killed) {
    lose_worker(scheduler, worker, "it does not die");
    return;
  }
  lvn_log(LVN_LOG_ERROR, "event=worker-killed worker=%ld job=%lld study=%s seconds=%.0f", (long)worker->is.pid,
          (long long)worker->is.job_id, worker->is.study_name, age_seconds);
  worker->was_killed = true;
  scheduler->counts.kills++;
  if (worker->is.pid <= 1 || kill(worker->is.pid, SIGKILL) != 0) {
    lvn_log(LVN_LOG_ERROR, "event=kill-failed worker=%ld errno=%d", (long)worker->is.pid,
            worker->is.pid > 1 ? errno : 0);
    lose_worker(scheduler, worker, "it cannot be killed");
    return;
  }
  lvn_tick_at(&scheduler->due_ms, now_ms + (int64_t)(1000.0 * DYING_SECONDS));
}

/* A running job that no worker has, and whose outcome waits nowhere, was lost on the way: its lease is not renewed, and
 * it is queued again. */
static bool sweep(struct lvn_scheduler *scheduler, struct lvn_error *err) {
  size_t count = 0;
  size_t swept = 0;
  size_t waiting = 0;
  while (lvn_verdicts_get_job(scheduler->verdicts, waiting) != 0) {
    waiting++;
  }
  LVN_AUTOFREE int64_t *ids = lvn_alloc(LVN_SCHEDULER_WORKERS_MAX + waiting, sizeof *ids, err);
  if (ids == NULL) {
    return false;
  }
  for (size_t i = 0; i < scheduler->worker_count; i++) {
    ids[count++] = scheduler->workers[i]->is.job_id;
  }
  for (size_t i = 0; i < waiting; i++) {
    ids[count++] = lvn_verdicts_get_job(scheduler->verdicts, i);
  }
  if (!lvn_queue_heartbeat(scheduler->needs.index, ids, count, LEASE_MS, err) ||
      !lvn_queue_sweep(scheduler->needs.index, &swept, err)) {
    return false;
  }
  if (swept > 0) {
    lvn_log(LVN_LOG_WARNING, "event=jobs-without-worker count=%zu action=queued-again", swept);
  }
  return true;
}

/* Whatever the index has to be told before a job may be given out. */
static bool prepare(struct lvn_scheduler *scheduler, struct lvn_error *err) {
  int64_t postponed = 0;
  scheduler->postponed_problem[0] = '\0';
  if (!sweep(scheduler, err) || !lvn_queue_count_postponed(scheduler->needs.index, &postponed, err)) {
    return false;
  }
  if (postponed > 0) {
    (void)snprintf(scheduler->postponed_problem, sizeof scheduler->postponed_problem,
                   "%lld analyses wait until this node can do them (livervlm jobs says why)", (long long)postponed);
  }
  /* A job's UIDs name its model: no other one may do it. */
  return !scheduler->has_model || lvn_queue_cancel_other_models(scheduler->needs.index, scheduler->model.digest, err);
}

static void give_out_jobs(struct lvn_scheduler *scheduler) {
  struct lvn_error err = {0};
  if (lvn_trouble_holds(&scheduler->trouble, &scheduler->due_ms)) {
    return;
  }
  bool good = prepare(scheduler, &err);
  /* From the end: a worker that is lost is taken out of the array. */
  for (size_t i = scheduler->worker_count; i > 0; i--) {
    struct worker *worker = scheduler->workers[i - 1];
    bool is_idle = worker->has_handshake && worker->is.job_id == 0;
    bool is_current = memcmp(worker->is.model.digest, scheduler->model.digest, LVN_SHA256_BYTES) == 0;
    if (good && !scheduler->stops && is_idle && is_current) {
      good = dispatch(scheduler, worker, &err);
    }
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "dispatch-failed", &err, "action=retry");
    lvn_trouble_set(&scheduler->trouble, &scheduler->due_ms, RETRY_MS, "analyses cannot be started: %.200s",
                    err.message);
  }
}

/* The next job whose time has not come. */
static void look_ahead(struct lvn_scheduler *scheduler, int64_t now_ms) {
  struct lvn_error ignored; /* of an index that just said so elsewhere */
  int64_t wall_ms = lvn_clock_wall_ms();
  int64_t due_ms = INT64_MAX;
  if (lvn_queue_next_due(scheduler->needs.index, wall_ms, &due_ms, &ignored) && due_ms != INT64_MAX) {
    lvn_tick_at(&scheduler->due_ms, now_ms + due_ms - wall_ms);
  }
}

int64_t lvn_scheduler_tick(struct lvn_scheduler *scheduler, int64_t now_ms) {
  scheduler->due_ms = lvn_verdicts_tick(scheduler->verdicts);
  give_out_jobs(scheduler);
  look_ahead(scheduler, now_ms);
  /* After that, so that a new job's limit is looked at, too. */
  for (size_t i = scheduler->worker_count; i > 0; i--) {
    kill_late(scheduler, scheduler->workers[i - 1], now_ms);
  }
  return scheduler->due_ms;
}
