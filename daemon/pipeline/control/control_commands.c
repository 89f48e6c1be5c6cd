#include "daemon/pipeline/control/control_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/rebuild/rebuild.h"
#include "daemon/pipeline/rebuild/verify.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "storage/verify.h"

#define LIST_LIMIT 1000U

static json_t *refuse(const struct lvn_error *err) {
  return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", lvn_error_code_name(err->code), "error", err->message);
}

static json_t *agree(void) {
  return json_pack("{s:b}", "ok", 1);
}

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static json_t *time_text(int64_t wall_ms) {
  char text[LVN_TIME_TEXT_BYTES];
  if (wall_ms <= 0) {
    return json_null();
  }
  lvn_clock_format_utc(wall_ms, text);
  return json_string(text);
}

static json_t *pack_studies(const struct lvn_index_counts *counts) {
  json_t *object = json_object();
  for (int i = LVN_STUDY_ANY + 1; i < LVN_STUDY_STATES; i++) {
    (void)json_object_set_new(object, lvn_study_state_name((enum lvn_study_state)i), json_integer(counts->studies[i]));
  }
  return object;
}

static json_t *pack_jobs(const int64_t counts[LVN_JOB_STATES]) {
  json_t *object = json_object();
  for (int i = LVN_JOB_ANY + 1; i < LVN_JOB_STATES; i++) {
    (void)json_object_set_new(object, lvn_job_state_name((enum lvn_job_state)i), json_integer(counts[i]));
  }
  return object;
}

static json_t *pack_outbox(const struct lvn_outbox_counts *counts) {
  json_t *object = json_object();
  for (int i = LVN_OUTBOX_ANY + 1; i < LVN_OUTBOX_STATES; i++) {
    (void)json_object_set_new(object, lvn_outbox_state_name((enum lvn_outbox_state)i), json_integer(counts->rows[i]));
  }
  return object;
}

static json_t *pack_workers(const struct lvn_scheduler *scheduler) {
  struct lvn_scheduler_worker workers[LVN_SCHEDULER_WORKERS_MAX];
  size_t count = lvn_scheduler_list_workers(scheduler, workers);
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    const struct lvn_scheduler_worker *worker = &workers[i];
    (void)json_array_append_new(array, json_pack("{s:I, s:s, s:s, s:I, s:s}", "pid", (json_int_t)worker->pid, "model",
                                                 worker->model.name, "version", worker->model.version, "job",
                                                 (json_int_t)worker->job_id, "study",
                                                 worker->job_id == 0 ? "" : worker->study_name));
  }
  return array;
}

static bool has_destination(const struct lvn_config *config) {
  for (size_t i = 0; i < config->peer_count; i++) {
    if (lvn_config_is_reachable(&config->peers[i])) {
      return true;
    }
  }
  return false;
}

static json_t *answer_status(const struct lvn_control_needs *needs, const json_t *request) {
  (void)request;
  struct lvn_error err;
  struct lvn_index_counts counts;
  struct lvn_outbox_counts outbox;
  int64_t jobs[LVN_JOB_STATES];
  uint64_t free_bytes = 0;
  char undelivered[256];
  if (!lvn_index_count(needs->index, &counts, &err) || !lvn_queue_count(needs->index, jobs, &err) ||
      !lvn_outbox_count(needs->index, &outbox, &err) ||
      !lvn_watch_describe_undelivered(needs->watch, undelivered, sizeof undelivered, &err) ||
      !lvn_file_free_bytes(needs->config->state_folder, &free_bytes, &err)) {
    return refuse(&err);
  }
  json_t *root = json_pack("{s:b, s:s, s:i, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "ok", 1, "ae_title",
                           needs->config->ae_title, "port", (int)needs->config->port, "started",
                           time_text(lvn_watch_get_started_ms(needs->watch)), "objects", (json_int_t)counts.objects,
                           "free_bytes", (json_int_t)free_bytes, "studies", pack_studies(&counts), "jobs",
                           pack_jobs(jobs), "outbound", pack_outbox(&outbox), "workers", pack_workers(needs->scheduler),
                           "oldest_outbound", time_text(outbox.oldest_ms), "last_sent", time_text(outbox.last_sent_ms),
                           "problem", needs->get_problem(needs->user_data));
  (void)json_object_set_new(root, "retention", json_string(lvn_retention_get_remark(needs->retention)));
  (void)json_object_set_new(root, "undelivered", json_string(undelivered));
  (void)json_object_set_new(root, "disk", json_string(lvn_retention_get_disk_notice(needs->retention)));
  (void)json_object_set_new(root, "has_destination", json_boolean(has_destination(needs->config)));
  return root;
}

static json_t *pack_study(const struct lvn_index_study *study) {
  return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o}", "name", study->name,
                   "study_instance_uid", study->study_uid, "state", lvn_study_state_name(study->state),
                   "status_message", study->status_message, "objects", (json_int_t)study->object_count, "ct_series",
                   (json_int_t)study->ct_series_count, "rois", (json_int_t)study->roi_count, "revision",
                   (json_int_t)study->revision, "job", (json_int_t)study->latest_job_id, "locked",
                   (int)study->is_locked, "source", study->source_aet, "first_received",
                   time_text(study->first_received_ms), "last_received", time_text(study->last_received_ms));
}

static json_t *answer_studies(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const char *state = text_of(request, "state");
  struct lvn_index_study_filter filter = {.study_uid = text_of(request, "study")};
  if ((state != NULL && !lvn_study_state_parse(state, &filter.state, &err)) ||
      !lvn_index_list_studies(needs->index, &filter, &studies, &count, &err)) {
    return refuse(&err);
  }
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    (void)json_array_append_new(array, pack_study(&studies[i]));
  }
  return json_pack("{s:b, s:o}", "ok", 1, "studies", array);
}

static json_t *answer_jobs(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_job *jobs = NULL;
  size_t count = 0;
  const char *state = text_of(request, "state");
  struct lvn_job_filter filter = {.study_uid = text_of(request, "study"), .limit = LIST_LIMIT};
  if ((state != NULL && !lvn_job_state_parse(state, &filter.state, &err)) ||
      !lvn_queue_list(needs->index, &filter, &jobs, &count, &err)) {
    return refuse(&err);
  }
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    const struct lvn_job *job = &jobs[i];
    char folder[LVN_PATH_BYTES] = "";
    if (!lvn_jobfile_folder(needs->config, job->job_id, folder, &err)) {
      folder[0] = '\0';
    }
    (void)json_array_append_new(
        array,
        json_pack("{s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "job", (json_int_t)job->job_id,
                  "study", job->study_name, "state", lvn_job_state_name(job->state), "outcome",
                  lvn_job_outcome_name(job->outcome), "attempt", (json_int_t)job->attempt, "model", job->model_name,
                  "version", job->model_version, "error_code", job->error_code, "error", job->error_text, "folder",
                  folder, "started", time_text(job->started_ms), "finished", time_text(job->finished_ms)));
  }
  return json_pack("{s:b, s:o}", "ok", 1, "jobs", array);
}

static json_t *answer_outbound(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  const char *name = text_of(request, "state");
  enum lvn_outbox_state state = LVN_OUTBOX_ANY;
  if ((name != NULL && !lvn_outbox_state_parse(name, &state, &err)) ||
      !lvn_outbox_list(needs->index, state, LIST_LIMIT, &rows, &count, &err)) {
    return refuse(&err);
  }
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    const struct lvn_outbox_row *row = &rows[i];
    (void)json_array_append_new(
        array,
        json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:o, s:o, s:o}", "outbound",
                  (json_int_t)row->outbox_id, "job", (json_int_t)row->job_id, "study", row->study_name, "destination",
                  row->destination, "state", lvn_outbox_state_name(row->state), "kind", lvn_outbox_kind_name(row->kind),
                  "path", row->path, "sop_instance_uid", row->sop_instance_uid, "attempt", (json_int_t)row->attempt,
                  "verdict", lvn_send_verdict_name(row->verdict), "status", (json_int_t)row->status, "status_message",
                  row->status_message, "created", time_text(row->created_ms), "next_attempt",
                  time_text(row->state == LVN_OUTBOX_QUEUED ? row->not_before_ms : 0), "sent",
                  time_text(row->sent_ms)));
  }
  return json_pack("{s:b, s:o}", "ok", 1, "outbound", array);
}

/* A study given by UID or by its name in the log. */
static bool find_study(const struct lvn_control_needs *needs, const char *name, struct lvn_index_study *ret_study,
                       struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.study_uid = name, .limit = 2};
  if (!lvn_index_list_studies(needs->index, &filter, &studies, &count, err)) {
    return false;
  }
  if (count != 1) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no study '%.64s'", name);
  }
  *ret_study = studies[0];
  return true;
}

/* Ends what lvn_index_begin() began: all of it is in the index, or nothing. */
static bool end_change(const struct lvn_control_needs *needs, bool good, struct lvn_error *err) {
  if (good && lvn_index_commit(needs->index, err)) {
    return true;
  }
  lvn_index_rollback(needs->index);
  return false;
}

/* "Again" means the work itself: what an earlier run left in the job.json of the study's latest job, which is not
 * always the one with the highest number, no longer counts as its outcome. */
static bool retry_study(const struct lvn_control_needs *needs, const char *name, struct lvn_error *err) {
  struct lvn_index_study study = {0};
  if (!find_study(needs, name, &study, err) || !lvn_index_begin(needs->index, err)) {
    return false;
  }
  return end_change(needs,
                    lvn_index_study_retry(needs->index, study.study_uid, err) &&
                        (study.latest_job_id == 0 || lvn_jobfile_forget(needs->config, study.latest_job_id, err)),
                    err);
}

/* Whatever waits for this peer, or for any. */
static bool retry_unsent(const struct lvn_control_needs *needs, const char *destination, json_int_t *ret_count,
                         struct lvn_error *err) {
  int64_t count = 0;
  bool is_peer = destination == NULL;
  for (size_t i = 0; i < needs->config->peer_count && !is_peer; i++) {
    is_peer = strcmp(needs->config->peers[i].name, destination) == 0;
  }
  if (!is_peer) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "there is no peer '%.64s'", destination);
  }
  if (!lvn_outbox_retry_unsent(needs->index, destination, &count, err)) {
    return false;
  }
  *ret_count = (json_int_t)count;
  return true;
}

static json_t *answer_retry(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  const char *study = text_of(request, "study");
  const json_t *job = json_object_get(request, "job");
  const json_t *outbound = json_object_get(request, "outbound");
  const char *to = text_of(request, "to");
  json_int_t count = 1;
  bool good;
  if (study != NULL) {
    good = retry_study(needs, study, &err);
  } else if (json_is_integer(job)) {
    good = lvn_queue_retry(needs->index, json_integer_value(job), &err);
  } else if (json_is_integer(outbound)) {
    good = lvn_outbox_retry(needs->index, json_integer_value(outbound), &err);
  } else if (json_is_true(json_object_get(request, "failed_outbound")) || to != NULL) {
    good = retry_unsent(needs, to, &count, &err);
  } else {
    good = lvn_error_set(&err, LVN_ERROR_USAGE, "retry needs a study, a job, an outbound object or a peer");
  }
  return good ? json_pack("{s:b, s:I}", "ok", 1, "count", count) : refuse(&err);
}

static json_t *answer_release(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  const char *study = text_of(request, "study");
  if (study == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "release needs a study");
    return refuse(&err);
  }
  return lvn_index_study_release(needs->index, study, &err) ? agree() : refuse(&err);
}

/* The old index could not be opened again: the supervisor starts this role anew until it can. */
static void end_without_index(const struct lvn_control_needs *needs) {
  struct lvn_error err;
  struct lvn_index_counts counts;
  if (!lvn_index_count(needs->index, &counts, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "index-lost", &err, "action=restart");
    needs->give_up(needs->user_data);
  }
}

static json_t *answer_rebuild(const struct lvn_control_needs *needs, const json_t *request) {
  (void)request;
  struct lvn_error err;
  struct lvn_rebuild_report report;
  if (lvn_scheduler_count_running(needs->scheduler) > 0 || lvn_outbox_count_busy(needs->outbox) > 0) {
    (void)lvn_error_set(&err, LVN_ERROR_CONFLICT, "an analysis or a send is running; ask again when it has ended");
    return refuse(&err);
  }
  bool good = lvn_rebuild(needs->index, needs->objects, needs->config, &report, &err) &&
              needs->forget_index(needs->user_data, &err);
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "rebuild-failed", &err, "action=old-index-kept");
    end_without_index(needs);
    return refuse(&err);
  }
  lvn_log(LVN_LOG_NOTICE, "event=index-rebuilt objects=%zu unreadable=%zu jobs=%zu results=%zu", report.objects,
          report.unreadable, report.jobs, report.results);
  return json_pack("{s:b, s:I, s:I, s:I, s:I}", "ok", 1, "objects", (json_int_t)report.objects, "unreadable",
                   (json_int_t)report.unreadable, "jobs", (json_int_t)report.jobs, "results",
                   (json_int_t)report.results);
}

static json_t *answer_remove(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  struct lvn_index_study study;
  const char *name = text_of(request, "study");
  if (name == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "remove needs a study");
    return refuse(&err);
  }
  if (!lvn_retention_remove(needs->retention, name, json_is_true(json_object_get(request, "force")), &study, &err)) {
    return refuse(&err);
  }
  return json_pack("{s:b, s:s, s:I}", "ok", 1, "study", study.name, "objects", (json_int_t)study.object_count);
}

/* A copy of the index for `livervlm verify-store`, and what is at work at this moment. */
static json_t *answer_copy_index(const struct lvn_control_needs *needs, const json_t *request) {
  (void)request;
  struct lvn_error err;
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  if (!lvn_path_join(path, needs->config->state_folder, LVN_VERIFY_COPY, &err)) {
    return refuse(&err);
  }
  (void)unlink(path); /* an earlier one that was not taken away */
  if (!lvn_index_copy(needs->index, path, &err) ||
      !lvn_outbox_list(needs->index, LVN_OUTBOX_SENDING, LIST_LIMIT, &rows, &count, &err)) {
    return refuse(&err);
  }
  struct lvn_scheduler_worker workers[LVN_SCHEDULER_WORKERS_MAX];
  size_t worker_count = lvn_scheduler_list_workers(needs->scheduler, workers);
  json_t *jobs = json_array();
  json_t *destinations = json_array();
  for (size_t i = 0; i < worker_count; i++) {
    if (workers[i].job_id != 0) {
      (void)json_array_append_new(jobs, json_integer((json_int_t)workers[i].job_id));
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (lvn_outbox_is_busy(needs->outbox, rows[i].destination)) {
      (void)json_array_append_new(destinations, json_string(rows[i].destination));
    }
  }
  return json_pack("{s:b, s:o, s:o}", "ok", 1, "running_jobs", jobs, "busy_destinations", destinations);
}

/* The files of a study's current objects: for `livervlm dataset build`, which has the same rights to them. */
static json_t *answer_inputs(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  const char *name = text_of(request, "study");
  struct lvn_index_study study = {0};
  if (name == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "inputs needs a study");
    return refuse(&err);
  }
  if (!find_study(needs, name, &study, &err) ||
      !lvn_index_study_inputs(needs->index, study.study_uid, &digests, &count, &err)) {
    return refuse(&err);
  }
  json_t *paths = json_array();
  for (size_t i = 0; i < count; i++) {
    char path[LVN_PATH_BYTES];
    if (lvn_objects_path(needs->objects, digests + i * LVN_SHA256_BYTES, path, &err)) {
      (void)json_array_append_new(paths, json_string(path));
    }
  }
  return json_pack("{s:b, s:o}", "ok", 1, "paths", paths);
}

json_t *lvn_commands_answer(const struct lvn_control_needs *needs, const json_t *request) {
  static const struct {
    const char *name;
    json_t *(*answer)(const struct lvn_control_needs *needs, const json_t *request);
  } commands[] = {{"status", answer_status},        {"studies", answer_studies},       {"jobs", answer_jobs},
                  {"outbound", answer_outbound},    {"retry", answer_retry},           {"release", answer_release},
                  {"inputs", answer_inputs},        {"rebuild-index", answer_rebuild}, {"remove", answer_remove},
                  {"copy-index", answer_copy_index}};
  struct lvn_error err;
  const char *command = text_of(request, "command");
  if (command == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "a request is {\"command\": …}");
    return refuse(&err);
  }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(commands[i].name, command) == 0) {
      return commands[i].answer(needs, request);
    }
  }
  (void)lvn_error_set(&err, LVN_ERROR_USAGE, "unknown command '%.40s'", command);
  return refuse(&err);
}
