#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "daemon/pipeline/control/control_answer.h"
#include "daemon/pipeline/shared/jobfile.h"

#define PAGE_MAX 1000 /* rows of an answer, so that it stays within what a client is sent at once */

json_t *lvn_answer_refuse(const struct lvn_error *err) {
  return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", lvn_error_code_name(err->code), "error", err->message);
}

json_t *lvn_answer_time(int64_t wall_ms) {
  char text[LVN_TIME_TEXT_BYTES];
  if (wall_ms <= 0) {
    return json_null();
  }
  lvn_clock_format_utc(wall_ms, text);
  return json_string(text);
}

const char *lvn_answer_text(const json_t *request, const char *key) {
  return json_string_value(json_object_get(request, key));
}

static int64_t integer_of(const json_t *request, const char *key) {
  return json_integer_value(json_object_get(request, key));
}

static size_t limit_of(const json_t *request) {
  int64_t limit = integer_of(request, "limit");
  return limit < 1 || limit > PAGE_MAX ? PAGE_MAX : (size_t)limit;
}

/* Takes both; `next` may be NULL. */
static json_t *pack_list(const char *key, json_t *rows, json_t *next) {
  json_t *answer = json_pack("{s:b, s:o}", "ok", 1, key, rows);
  if (next != NULL) {
    (void)json_object_set_new(answer, "next", next);
  }
  return answer;
}

static json_t *pack_folder(const struct lvn_control_needs *needs, int64_t job_id) {
  struct lvn_error ignored;
  char folder[LVN_PATH_BYTES];
  return job_id == 0 || !lvn_jobfile_folder(needs->config, job_id, folder, &ignored) ? json_string("")
                                                                                     : json_string(folder);
}

static json_t *pack_study(const struct lvn_control_needs *needs, const struct lvn_index_study *study) {
  return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o, s:o}", "name", study->name,
                   "study_instance_uid", study->study_uid, "state", lvn_study_state_name(study->state),
                   "status_message", study->status_message, "objects", (json_int_t)study->object_count, "ct_series",
                   (json_int_t)study->ct_series_count, "rois", (json_int_t)study->roi_count, "revision",
                   (json_int_t)study->revision, "job", (json_int_t)study->latest_job_id, "locked",
                   (int)study->is_locked, "source", study->source_aet, "first_received",
                   lvn_answer_time(study->first_received_ms), "last_received", lvn_answer_time(study->last_received_ms),
                   "folder", pack_folder(needs, study->latest_job_id));
}

/* Where whoever may read the objects finds whose study it is: that never passes through here. */
static bool add_samples(const struct lvn_control_needs *needs, const struct lvn_index_study *study, json_t *row,
                        struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  if (!lvn_index_study_samples(needs->index, study->study_uid, &digests, &count, err)) {
    return false;
  }
  json_t *paths = json_array();
  for (size_t i = 0; i < count; i++) {
    char path[LVN_PATH_BYTES];
    if (lvn_objects_path(needs->objects, digests + i * LVN_SHA256_BYTES, path, err)) {
      (void)json_array_append_new(paths, json_string(path));
    }
  }
  (void)json_object_set_new(row, "samples", paths);
  return true;
}

static bool pack_studies(const struct lvn_control_needs *needs, const struct lvn_index_study *studies, size_t count,
                         bool with_samples, json_t *ret_rows, struct lvn_error *err) {
  for (size_t i = 0; i < count; i++) {
    json_t *row = pack_study(needs, &studies[i]);
    (void)json_array_append_new(ret_rows, row);
    if (with_samples && !add_samples(needs, &studies[i], row, err)) {
      return false;
    }
  }
  return true;
}

json_t *lvn_answer_studies(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const char *state = lvn_answer_text(request, "state");
  const json_t *after = json_object_get(request, "after");
  struct lvn_index_study_filter filter = {.study_uid = lvn_answer_text(request, "study"),
                                          .holds_uid = lvn_answer_text(request, "holds"),
                                          .since_ms = integer_of(request, "since_ms"),
                                          .newest_first = true,
                                          .after_ms = integer_of(after, "ms"),
                                          .after_uid = lvn_answer_text(after, "uid"),
                                          .limit = limit_of(request)};
  if ((state != NULL && !lvn_study_state_parse(state, &filter.state, &err)) ||
      !lvn_index_list_studies(needs->index, &filter, &studies, &count, &err)) {
    return lvn_answer_refuse(&err);
  }
  json_t *rows = json_array();
  if (!pack_studies(needs, studies, count, json_is_true(json_object_get(request, "samples")), rows, &err)) {
    json_decref(rows);
    return lvn_answer_refuse(&err);
  }
  json_t *next = NULL;
  if (count > 0 && count == filter.limit) {
    const struct lvn_index_study *last = &studies[count - 1];
    next = json_pack("{s:I, s:s}", "ms", (json_int_t)last->last_received_ms, "uid", last->study_uid);
  }
  return pack_list("studies", rows, next);
}

/* How long it took, or takes so far. */
static json_t *pack_seconds(const struct lvn_job *job) {
  int64_t end_ms = job->state == LVN_JOB_RUNNING ? lvn_clock_wall_ms() : job->finished_ms;
  return job->started_ms <= 0 || end_ms < job->started_ms ? json_null()
                                                          : json_real(1e-3 * (double)(end_ms - job->started_ms));
}

static json_t *pack_job(const struct lvn_control_needs *needs, const struct lvn_job *job) {
  return json_pack("{s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "job",
                   (json_int_t)job->job_id, "study", job->study_name, "state", lvn_job_state_name(job->state),
                   "outcome", lvn_job_outcome_name(job->outcome), "attempt", (json_int_t)job->attempt, "model",
                   job->model_name, "version", job->model_version, "error_code", job->error_code, "error",
                   job->error_text, "folder", pack_folder(needs, job->job_id), "created", lvn_answer_time(job->wall_ms),
                   "started", lvn_answer_time(job->started_ms), "finished", lvn_answer_time(job->finished_ms),
                   "seconds", pack_seconds(job));
}

json_t *lvn_answer_jobs(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_job *jobs = NULL;
  size_t count = 0;
  const char *state = lvn_answer_text(request, "state");
  struct lvn_job_filter filter = {.study_uid = lvn_answer_text(request, "study"),
                                  .since_ms = integer_of(request, "since_ms"),
                                  .below_id = integer_of(request, "after"),
                                  .limit = limit_of(request)};
  if ((state != NULL && !lvn_job_state_parse(state, &filter.state, &err)) ||
      !lvn_queue_list(needs->index, &filter, &jobs, &count, &err)) {
    return lvn_answer_refuse(&err);
  }
  json_t *rows = json_array();
  for (size_t i = 0; i < count; i++) {
    (void)json_array_append_new(rows, pack_job(needs, &jobs[i]));
  }
  return pack_list("jobs", rows, count < filter.limit ? NULL : json_integer((json_int_t)jobs[count - 1].job_id));
}

static json_t *pack_outbound(const struct lvn_outbox_row *row) {
  return json_pack(
      "{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:o, s:o, s:o}", "outbound",
      (json_int_t)row->outbox_id, "job", (json_int_t)row->job_id, "study", row->study_name, "destination",
      row->destination, "state", lvn_outbox_state_name(row->state), "kind", lvn_outbox_kind_name(row->kind), "path",
      row->path, "sop_instance_uid", row->sop_instance_uid, "attempt", (json_int_t)row->attempt, "verdict",
      lvn_send_verdict_name(row->verdict), "status", (json_int_t)row->status, "status_message", row->status_message,
      "created", lvn_answer_time(row->created_ms), "next_attempt",
      lvn_answer_time(row->state == LVN_OUTBOX_QUEUED ? row->not_before_ms : 0), "sent", lvn_answer_time(row->sent_ms));
}

json_t *lvn_answer_outbound(const struct lvn_control_needs *needs, const json_t *request) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  const char *state = lvn_answer_text(request, "state");
  struct lvn_outbox_filter filter = {.study_uid = lvn_answer_text(request, "study"),
                                     .destination = lvn_answer_text(request, "to"),
                                     .since_ms = integer_of(request, "since_ms"),
                                     .below_id = integer_of(request, "after"),
                                     .limit = limit_of(request)};
  if ((state != NULL && !lvn_outbox_state_parse(state, &filter.state, &err)) ||
      !lvn_outbox_list_filtered(needs->index, &filter, &rows, &count, &err)) {
    return lvn_answer_refuse(&err);
  }
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    (void)json_array_append_new(array, pack_outbound(&rows[i]));
  }
  return pack_list("outbound", array,
                   count < filter.limit ? NULL : json_integer((json_int_t)rows[count - 1].outbox_id));
}
