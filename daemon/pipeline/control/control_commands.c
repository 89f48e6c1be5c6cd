#include "daemon/pipeline/control/control_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/audit/audit.h"
#include "daemon/pipeline/control/control_answer.h"
#include "daemon/pipeline/rebuild/rebuild.h"
#include "daemon/pipeline/rebuild/verify.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "storage/verify.h"

#define LIST_LIMIT 1000U

static json_t *agree(void) {
  return json_pack("{s:b}", "ok", 1);
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

static bool has_address(const struct lvn_config_peer *peer) {
  return peer->port != 0 && peer->host[0] != '\0';
}

static json_t *pack_attention(const struct lvn_attention *attention) {
  json_t *array = json_array();
  for (size_t i = 0; i < attention->count; i++) {
    const struct lvn_attention_line *line = &attention->lines[i];
    (void)json_array_append_new(array, json_pack("{s:s, s:s, s:s}", "kind", lvn_attention_kind_name(line->kind),
                                                 "subject", line->subject, "text", line->text));
  }
  return array;
}

static json_t *answer_status(const struct lvn_control_needs *needs, const json_t *request) {
  (void)request;
  struct lvn_error err;
  struct lvn_index_counts counts;
  struct lvn_outbox_counts outbox;
  int64_t jobs[LVN_JOB_STATES];
  uint64_t free_bytes = 0;
  LVN_AUTOFREE struct lvn_attention *attention = lvn_alloc(1, sizeof *attention, &err);
  if (attention == NULL || !lvn_index_count(needs->index, &counts, &err) ||
      !lvn_queue_count(needs->index, jobs, &err) || !lvn_outbox_count(needs->index, &outbox, &err) ||
      !lvn_watch_list_attention(needs->watch, attention, &err) ||
      !lvn_file_free_bytes(needs->config->state_folder, &free_bytes, &err)) {
    return lvn_answer_refuse(&err);
  }
  json_t *root = json_pack(
      "{s:b, s:s, s:i, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "ok", 1, "ae_title", needs->config->ae_title,
      "port", (int)needs->config->port, "started", lvn_answer_time(lvn_watch_get_started_ms(needs->watch)), "objects",
      (json_int_t)counts.objects, "free_bytes", (json_int_t)free_bytes, "studies", pack_studies(&counts), "jobs",
      pack_jobs(jobs), "outbound", pack_outbox(&outbox), "workers", pack_workers(needs->scheduler), "oldest_outbound",
      lvn_answer_time(outbox.oldest_ms), "last_sent", lvn_answer_time(outbox.last_sent_ms), "problem",
      needs->get_problem(needs->user_data));
  (void)json_object_set_new(root, "attention", pack_attention(attention));
  (void)json_object_set_new(root, "tls_port", json_integer(needs->config->tls_port));
  return root;
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

static bool require_peer(const struct lvn_config *config, const char *name, struct lvn_error *err) {
  return lvn_config_find_peer(config, name) != NULL ||
         lvn_error_set(err, LVN_ERROR_USAGE, "there is no peer '%.64s'", name);
}

/* Whatever waits for this peer, or for any. */
static bool retry_unsent(const struct lvn_control_needs *needs, const char *destination, int64_t *ret_count,
                         struct lvn_error *err) {
  return (destination == NULL || require_peer(needs->config, destination, err)) &&
         lvn_outbox_retry_unsent(needs->index, destination, ret_count, err);
}

/* What waits for its next attempt, analysis or transfer. */
static bool wake(const struct lvn_control_needs *needs, int64_t *ret_count, struct lvn_error *err) {
  int64_t jobs = 0;
  int64_t sends = 0;
  if (!lvn_queue_wake(needs->index, &jobs, err) || !lvn_outbox_wake(needs->index, &sends, err)) {
    return false;
  }
  *ret_count = jobs + sends;
  return true;
}

static json_t *answer_retry(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  const char *study = lvn_answer_text(request, "study");
  const json_t *job = json_object_get(request, "job");
  const json_t *outbound = json_object_get(request, "outbound");
  const char *to = lvn_answer_text(request, "to");
  int64_t count = 1;
  bool good;
  if (study != NULL) {
    good = retry_study(needs, study, &err);
  } else if (json_is_integer(job)) {
    good = lvn_queue_retry(needs->index, json_integer_value(job), &err);
  } else if (json_is_integer(outbound)) {
    good = lvn_outbox_retry(needs->index, json_integer_value(outbound), &err);
  } else if (json_is_true(json_object_get(request, "now"))) {
    good = wake(needs, &count, &err);
  } else if (json_is_true(json_object_get(request, "failed_outbound")) || to != NULL) {
    good = retry_unsent(needs, to, &count, &err);
  } else {
    good = lvn_error_set(&err, LVN_ERROR_USAGE, "retry needs a study, a job, an outbound object, a peer or now");
  }
  return good ? json_pack("{s:b, s:I}", "ok", 1, "count", (json_int_t)count) : lvn_answer_refuse(&err);
}

static bool send_study(const struct lvn_control_needs *needs, const char *name, const char *to, int64_t *ret_count,
                       struct lvn_error *err) {
  struct lvn_index_study study = {0};
  if (name == NULL || to == NULL) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "send needs a study and a peer");
  }
  if (!require_peer(needs->config, to, err) || !find_study(needs, name, &study, err)) {
    return false;
  }
  if (!has_address(lvn_config_find_peer(needs->config, to))) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer '%.64s' has no host or no port: nothing can be sent to it", to);
  }
  return lvn_outbox_send_study(needs->index, study.study_uid, to, lvn_clock_wall_ms(), ret_count, err) ||
         lvn_error_prefix(err, "study %s", study.name);
}

static json_t *answer_send(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  int64_t count = 0;
  return send_study(needs, lvn_answer_text(request, "study"), lvn_answer_text(request, "to"), &count, &err)
             ? json_pack("{s:b, s:I}", "ok", 1, "count", (json_int_t)count)
             : lvn_answer_refuse(&err);
}

static json_t *answer_release(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  const char *study = lvn_answer_text(request, "study");
  if (study == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "release needs a study");
    return lvn_answer_refuse(&err);
  }
  return lvn_index_study_release(needs->index, study, &err) ? agree() : lvn_answer_refuse(&err);
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
    return lvn_answer_refuse(&err);
  }
  bool good = lvn_rebuild(needs->index, needs->objects, needs->config, &report, &err) &&
              needs->forget_index(needs->user_data, &err);
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "rebuild-failed", &err, "action=old-index-kept");
    end_without_index(needs);
    return lvn_answer_refuse(&err);
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
  const char *name = lvn_answer_text(request, "study");
  if (name == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "remove needs a study");
    return lvn_answer_refuse(&err);
  }
  if (!lvn_retention_remove(needs->retention, name, json_is_true(json_object_get(request, "force")), &study, &err)) {
    return lvn_answer_refuse(&err);
  }
  return json_pack("{s:b, s:s, s:I}", "ok", 1, "study", study.name, "objects", (json_int_t)study.object_count);
}

static json_t *answer_fetch(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  const char *study = lvn_answer_text(request, "study");
  const char *peer_name = NULL;
  if (study == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "fetch needs a study");
    return lvn_answer_refuse(&err);
  }
  if (!lvn_fetch_study(needs->fetch, study, lvn_answer_text(request, "from"), &peer_name, &err)) {
    return lvn_answer_refuse(&err);
  }
  return json_pack("{s:b, s:s}", "ok", 1, "from", peer_name);
}

/* A copy of the index for `livervlm verify-store`, and what is at work at this moment. */
static json_t *answer_copy_index(const struct lvn_control_needs *needs, const json_t *request) {
  (void)request;
  struct lvn_error err;
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  if (!lvn_path_join(path, needs->config->state_folder, LVN_VERIFY_COPY, &err)) {
    return lvn_answer_refuse(&err);
  }
  (void)unlink(path); /* an earlier one that was not taken away */
  if (!lvn_index_copy(needs->index, path, &err) ||
      !lvn_outbox_list(needs->index, LVN_OUTBOX_SENDING, LIST_LIMIT, &rows, &count, &err)) {
    return lvn_answer_refuse(&err);
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
  const char *name = lvn_answer_text(request, "study");
  struct lvn_index_study study = {0};
  if (name == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "inputs needs a study");
    return lvn_answer_refuse(&err);
  }
  if (!find_study(needs, name, &study, &err) ||
      !lvn_index_study_inputs(needs->index, study.study_uid, &digests, &count, &err)) {
    return lvn_answer_refuse(&err);
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
  } commands[] = {{"status", answer_status}, {"studies", lvn_answer_studies},
                  {"jobs", lvn_answer_jobs}, {"outbound", lvn_answer_outbound},
                  {"retry", answer_retry},   {"release", answer_release},
                  {"inputs", answer_inputs}, {"rebuild-index", answer_rebuild},
                  {"remove", answer_remove}, {"copy-index", answer_copy_index},
                  {"send", answer_send},     {"fetch", answer_fetch}};
  struct lvn_error err;
  const char *command = lvn_answer_text(request, "command");
  if (command == NULL) {
    (void)lvn_error_set(&err, LVN_ERROR_USAGE, "a request is {\"command\": …}");
    return lvn_answer_refuse(&err);
  }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(commands[i].name, command) == 0) {
      return commands[i].answer(needs, request);
    }
  }
  (void)lvn_error_set(&err, LVN_ERROR_USAGE, "unknown command '%.40s'", command);
  return lvn_answer_refuse(&err);
}
