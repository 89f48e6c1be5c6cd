#include "storage/queue.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "storage/index.h"
#include "storage/outbox.h"
#include "storage/sql.h"

#define LIST_LIMIT 10000
#define JOB_COLUMNS                                                                                                    \
  "SELECT j.job_id, j.study_uid, s.name, j.state, j.outcome, j.job_key, j.model_name, j.model_version,"                \
  " j.input_digest, j.model_digest, j.wall_ms, j.attempt, j.not_before, j.started_at, j.finished_at, j.error_code,"    \
  " j.error_text, j.repetition, j.postponed FROM job j JOIN study s USING (study_uid) "

static bool read_job(sqlite3_stmt *statement, struct lvn_job *job, struct lvn_error *err) {
  job->job_id = sqlite3_column_int64(statement, 0);
  lvn_sql_copy_text(statement, 1, job->study_uid, sizeof job->study_uid);
  lvn_sql_copy_text(statement, 2, job->study_name, sizeof job->study_name);
  lvn_sql_copy_text(statement, 5, job->key, sizeof job->key);
  lvn_sql_copy_text(statement, 6, job->model_name, sizeof job->model_name);
  lvn_sql_copy_text(statement, 7, job->model_version, sizeof job->model_version);
  lvn_sql_copy_digest(statement, 8, job->input_digest);
  lvn_sql_copy_digest(statement, 9, job->model_digest);
  job->wall_ms = sqlite3_column_int64(statement, 10);
  job->attempt = sqlite3_column_int64(statement, 11);
  job->not_before_ms = sqlite3_column_int64(statement, 12);
  job->started_ms = sqlite3_column_int64(statement, 13);
  job->finished_ms = sqlite3_column_int64(statement, 14);
  lvn_sql_copy_text(statement, 15, job->error_code, sizeof job->error_code);
  lvn_sql_copy_text(statement, 16, job->error_text, sizeof job->error_text);
  job->repetition = sqlite3_column_int64(statement, 17);
  job->postponed = sqlite3_column_int64(statement, 18);
  return lvn_sql_get_name(statement, 3, lvn_job_state_parse, &job->state, err) &&
         lvn_sql_get_name(statement, 4, lvn_job_outcome_parse, &job->outcome, err);
}

bool lvn_queue_get(struct lvn_index *index, int64_t job_id, struct lvn_job *ret_job, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  bool row = false;
  if (!lvn_sql_prepare(index, &statement, err, JOB_COLUMNS "WHERE j.job_id=?1", "i", job_id) ||
      !lvn_sql_step(index, statement, &row, err)) {
    return false;
  }
  if (!row) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no job %lld", (long long)job_id);
  }
  return read_job(statement, ret_job, err);
}

bool lvn_queue_predecessor(struct lvn_index *index, int64_t job_id, const char *sop_class_uid, struct lvn_job *ret_job,
                           bool *ret_found, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  if (!lvn_sql_prepare(index, &statement, err,
                       JOB_COLUMNS "WHERE j.study_uid=(SELECT study_uid FROM job WHERE job_id=?1) AND j.job_id<?1 AND"
                                   " EXISTS (SELECT 1 FROM outbox o JOIN result r USING (sop_instance_uid) WHERE"
                                   " o.job_id=j.job_id AND o.state IN " LVN_OUTBOX_DELIVERED
                                   " AND (?2 IS NULL OR r.sop_class_uid=?2))"
                                   " ORDER BY j.job_id DESC LIMIT 1",
                       "it", job_id, sop_class_uid) ||
      !lvn_sql_step(index, statement, ret_found, err)) {
    return false;
  }
  return !*ret_found || read_job(statement, ret_job, err);
}

bool lvn_queue_list(struct lvn_index *index, const struct lvn_job_filter *filter, struct lvn_job **ret_jobs,
                    size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOSTATEMENT sqlite3_stmt *statement = NULL;
  LVN_AUTOFREE struct lvn_job *jobs = NULL;
  size_t count = 0;
  size_t capacity = 0;
  bool row = true;
  if (!lvn_sql_prepare(index, &statement, err,
                       JOB_COLUMNS "WHERE (?1='' OR j.state=?1) AND (?2 IS NULL OR j.study_uid=?2 OR s.name=?2)"
                                   " AND j.wall_ms>=?3 AND (?4=0 OR j.job_id<?4) ORDER BY j.job_id DESC LIMIT ?5",
                       "ttiii", lvn_job_state_name(filter->state), filter->study_uid, filter->since_ms,
                       filter->below_id, filter->limit == 0 ? (int64_t)LIST_LIMIT : (int64_t)filter->limit)) {
    return false;
  }
  for (;;) {
    if (!lvn_sql_step(index, statement, &row, err)) {
      return false;
    }
    if (!row) {
      break;
    }
    if (!lvn_grow(&jobs, &capacity, count, sizeof *jobs, SIZE_MAX / sizeof *jobs, err) ||
        !read_job(statement, &jobs[count++], err)) {
      return false;
    }
  }
  *ret_jobs = lvn_steal(&jobs);
  *ret_count = count;
  return true;
}

static bool digest_inputs(struct lvn_index *index, const char *study_uid, uint8_t ret_digest[LVN_SHA256_BYTES],
                          struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  return lvn_index_study_inputs(index, study_uid, &digests, &count, err) &&
         lvn_sha256_of(digests, count * LVN_SHA256_BYTES, ret_digest, err);
}

/* The key fixes the UIDs of the results: the same study, inputs, model and repetition write the same objects. */
static bool make_key(const char *study_uid, const uint8_t input[LVN_SHA256_BYTES],
                     const uint8_t model[LVN_SHA256_BYTES], int64_t repetition, char ret_key[LVN_SHA256_TEXT_BYTES],
                     struct lvn_error *err) {
  struct lvn_sha256 *digest = NULL;
  uint8_t sha256[LVN_SHA256_BYTES];
  char number[24];
  int length = snprintf(number, sizeof number, "%lld", (long long)repetition);
  bool good = lvn_sha256_create(&digest, err) && lvn_sha256_update(digest, study_uid, strlen(study_uid) + 1, err) &&
              lvn_sha256_update(digest, input, LVN_SHA256_BYTES, err) &&
              lvn_sha256_update(digest, model, LVN_SHA256_BYTES, err) &&
              lvn_sha256_update(digest, number, (size_t)length, err) && lvn_sha256_finish(digest, sha256, err);
  lvn_sha256_destroy(digest);
  if (good) {
    lvn_sha256_to_text(sha256, ret_key);
  }
  return good;
}

bool lvn_index_cancel_superseded(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE outbox SET state='cancelled', status_message='superseded by a newer analysis' WHERE"
                     " state='queued' AND job_id IN (SELECT job_id FROM job WHERE superseded_by<>0 AND"
                     " (?1 IS NULL OR study_uid=?1))",
                     "t", study_uid);
}

static bool make_latest(struct lvn_index *index, const char *study_uid, int64_t job_id, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE job SET superseded_by=CASE WHEN job_id=?2 THEN 0 ELSE ?2 END WHERE study_uid=?1", "ti",
                     study_uid, job_id) &&
         lvn_sql_run(
             index, err,
             "UPDATE study SET latest_job_id=?2, looked_change=change_count, status_message='' WHERE study_uid=?1",
             "ti", study_uid, job_id) &&
         lvn_index_cancel_superseded(index, study_uid, err);
}

/* A destination keeps what it has of a UID. So inputs that come back after others had results (bytes A, B, then A
 * again; or a model rolled back) need results of their own: sent under the old UIDs they would stay older than the
 * others'. */
static bool count_repetition(struct lvn_index *index, const char *study_uid, const uint8_t input[LVN_SHA256_BYTES],
                             const uint8_t model[LVN_SHA256_BYTES], int64_t *ret_repetition, struct lvn_error *err) {
  return lvn_sql_integer(index, ret_repetition, 0, err,
                         "SELECT repetition + EXISTS (SELECT 1 FROM job later JOIN result USING (job_id) WHERE"
                         " later.study_uid=?1 AND later.job_id>job.job_id) FROM job WHERE study_uid=?1 AND"
                         " input_digest=?2 AND model_digest=?3 ORDER BY repetition DESC LIMIT 1",
                         "tbb", study_uid, input, model);
}

/* The time in the results is the clock's, but not before that of an earlier report of the study: viewers show the one
 * that seems newest. A clock that was wrong by more than a day is not followed. */
#define DAY_MS "86400000"

static bool create_job(struct lvn_index *index, const char *study_uid, const struct lvn_job_model *model,
                       int64_t now_ms, int64_t *ret_job_id, struct lvn_error *err) {
  uint8_t input[LVN_SHA256_BYTES];
  char key[LVN_SHA256_TEXT_BYTES];
  int64_t repetition = 0;
  return digest_inputs(index, study_uid, input, err) &&
         count_repetition(index, study_uid, input, model->digest, &repetition, err) &&
         make_key(study_uid, input, model->digest, repetition, key, err) &&
         lvn_sql_run(index, err,
                     "INSERT INTO job(study_uid, input_digest, model_digest, model_name, model_version, repetition,"
                     " job_key, wall_ms, change_count) SELECT ?1,?2,?3,?4,?5,?6,?7,max(?8, coalesce((SELECT"
                     " max(wall_ms)+1000 FROM job WHERE study_uid=?1 AND wall_ms BETWEEN ?8 AND ?8+" DAY_MS "), 0)),"
                     " change_count FROM study WHERE study_uid=?1 ON CONFLICT(study_uid, input_digest, model_digest, "
                     "repetition) DO UPDATE SET"
                     " state='queued', outcome='', attempt=0, interruption=0, postponed=0, not_before=0,"
                     " change_count=excluded.change_count, error_code='', error_text=''",
                     "tbbttiti", study_uid, input, model->digest, model->name, model->version, repetition, key,
                     now_ms) &&
         lvn_sql_integer(index, ret_job_id, 0, err,
                         "SELECT job_id FROM job WHERE study_uid=?1 AND input_digest=?2 AND model_digest=?3 AND"
                         " repetition=?4",
                         "tbbi", study_uid, input, model->digest, repetition) &&
         make_latest(index, study_uid, *ret_job_id, err);
}

bool lvn_queue_create(struct lvn_index *index, const char *study_uid, const struct lvn_job_model *model, int64_t now_ms,
                      int64_t *ret_job_id, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  int64_t job_id = 0;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = create_job(index, study_uid, model, now_ms, &job_id, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_job_id = job_id;
  return true;
}

bool lvn_queue_cancel_other_models(struct lvn_index *index, const uint8_t digest[LVN_SHA256_BYTES],
                                   struct lvn_error *err) {
  return lvn_sql_run(index, err, "UPDATE job SET state='cancelled' WHERE state='queued' AND model_digest<>?1", "b",
                     digest);
}

static bool start_job(struct lvn_index *index, const struct lvn_job *job, int64_t now_ms, int64_t lease_ms,
                      struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE job SET state='running', attempt=attempt+1, started_at=?2, finished_at=0, lease_owner=?3,"
                     " lease_end=?4 WHERE job_id=?1",
                     "iiti", job->job_id, now_ms, index->owner, lvn_queue_lease_end_ms(lease_ms)) &&
         lvn_sql_run(index, err, "UPDATE study SET state='processing', status_message='' WHERE study_uid=?1", "t",
                     job->study_uid);
}

/* The job no longer describes its study: the study is looked at again. */
static bool drop_job(struct lvn_index *index, const struct lvn_job *job, struct lvn_error *err) {
  return lvn_sql_run(index, err, "UPDATE job SET state='cancelled' WHERE job_id=?1", "i", job->job_id) &&
         lvn_sql_run(index, err,
                     "UPDATE study SET state='collecting', looked_change=-1 WHERE study_uid=?1 AND state='ready'", "t",
                     job->study_uid);
}

static bool claim_job(struct lvn_index *index, int64_t now_ms, int64_t lease_ms, struct lvn_job *job, bool *ret_found,
                      struct lvn_error *err) {
  for (;;) {
    int64_t job_id = 0;
    uint8_t input[LVN_SHA256_BYTES];
    if (!lvn_sql_integer(index, &job_id, 0, err,
                         "SELECT job_id FROM job JOIN study s USING (study_uid) WHERE job.state='queued' AND"
                         " s.state='ready' AND not_before<=?1 ORDER BY not_before, job_id LIMIT 1",
                         "i", now_ms)) {
      return false;
    }
    *ret_found = job_id != 0;
    if (job_id == 0) {
      return true;
    }
    if (!lvn_queue_get(index, job_id, job, err) || !digest_inputs(index, job->study_uid, input, err)) {
      return false;
    }
    if (memcmp(input, job->input_digest, sizeof input) == 0) {
      return start_job(index, job, now_ms, lease_ms, err) && lvn_queue_get(index, job_id, job, err);
    }
    if (!drop_job(index, job, err)) {
      return false;
    }
  }
}

bool lvn_queue_claim(struct lvn_index *index, int64_t now_ms, int64_t lease_ms, struct lvn_job *ret_job,
                     bool *ret_found, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  struct lvn_job job = {0};
  bool found = false;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = claim_job(index, now_ms, lease_ms, &job, &found, err);
  if (!lvn_sql_scope_end(index, &scope, good, err)) {
    return false;
  }
  *ret_job = job;
  *ret_found = found;
  return true;
}

/* The job of an attempt that ends. */
static bool get_held(struct lvn_index *index, int64_t job_id, struct lvn_job *ret_job, struct lvn_error *err) {
  int64_t is_held = 0;
  if (!lvn_queue_get(index, job_id, ret_job, err) ||
      !lvn_sql_integer(index, &is_held, 0, err, "SELECT state='running' AND lease_owner=?2 FROM job WHERE job_id=?1",
                       "it", job_id, index->owner)) {
    return false;
  }
  return is_held != 0 || lvn_error_set(err, LVN_ERROR_CONFLICT, "job %lld is not running here", (long long)job_id);
}

static bool study_is_stale(struct lvn_index *index, int64_t job_id, bool *ret_is_stale, struct lvn_error *err) {
  int64_t fresh = 0;
  if (!lvn_sql_integer(index, &fresh, 0, err,
                       "SELECT count(*) FROM job JOIN study USING (study_uid) WHERE job_id=?1 AND"
                       " job.change_count=study.change_count AND study.state='processing'",
                       "i", job_id)) {
    return false;
  }
  *ret_is_stale = fresh == 0;
  return true;
}

static bool collect_again(struct lvn_index *index, const char *study_uid, struct lvn_error *err) {
  return lvn_sql_run(index, err,
                     "UPDATE study SET state='collecting', status_message='' WHERE study_uid=?1 AND state='processing'",
                     "t", study_uid);
}

static bool store_results(struct lvn_index *index, const struct lvn_job_finish *finish, struct lvn_error *err) {
  for (size_t i = 0; i < finish->result_count; i++) {
    const struct lvn_job_result *result = &finish->results[i];
    if (!lvn_sql_run(index, err,
                     "INSERT INTO result(sop_instance_uid, job_id, sop_class_uid, transfer_syntax_uid, path, sha256)"
                     " VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT(sop_instance_uid) DO UPDATE SET path=excluded.path,"
                     " sha256=excluded.sha256",
                     "titttb", result->sop_instance_uid, finish->job_id, result->sop_class_uid,
                     result->transfer_syntax_uid, result->path, result->sha256)) {
      return false;
    }
    for (size_t k = 0; k < finish->destination_count; k++) {
      if (finish->goes_to != NULL &&
          !finish->goes_to(finish->user_data, finish->destinations[k], result->sop_class_uid)) {
        continue;
      }
      if (!lvn_sql_run(index, err,
                       "INSERT INTO outbox(job_id, sop_instance_uid, destination, sha256, created_at) VALUES"
                       " (?1,?2,?3,?4,?5) ON CONFLICT(sop_instance_uid, destination) DO UPDATE SET state='queued',"
                       " attempt=0, not_before=0, sha256=excluded.sha256 WHERE outbox.state IN"
                       " ('cancelled','failed') OR (outbox.state IN " LVN_OUTBOX_DELIVERED
                       " AND outbox.sha256<>excluded.sha256)",
                       "ittbi", finish->job_id, result->sop_instance_uid, finish->destinations[k], result->sha256,
                       finish->now_ms)) {
        return false;
      }
    }
  }
  return true;
}

static bool decide_study(struct lvn_index *index, const struct lvn_job *job, const struct lvn_job_finish *finish,
                         struct lvn_error *err) {
  static const enum lvn_study_state states[LVN_OUTCOMES] = {[LVN_OUTCOME_DONE] = LVN_STUDY_DONE,
                                                            [LVN_OUTCOME_WAITING] = LVN_STUDY_COLLECTING,
                                                            [LVN_OUTCOME_REFUSED] = LVN_STUDY_REJECTED};
  return lvn_sql_run(index, err, "UPDATE study SET state=?2, status_message=?3, decided_at=?4 WHERE study_uid=?1",
                     "ttti", job->study_uid, lvn_study_state_name(states[finish->outcome]), finish->status_message,
                     finish->now_ms);
}

static bool finish_job(struct lvn_index *index, const struct lvn_job_finish *finish, struct lvn_error *err) {
  struct lvn_job job;
  bool is_stale = false;
  if (!get_held(index, finish->job_id, &job, err) || !study_is_stale(index, finish->job_id, &is_stale, err) ||
      !lvn_sql_run(index, err,
                   "UPDATE job SET state='done', outcome=?2, finished_at=?3, error_code='', error_text=''"
                   " WHERE job_id=?1",
                   "iti", finish->job_id, lvn_job_outcome_name(is_stale ? LVN_OUTCOME_STALE : finish->outcome),
                   finish->now_ms)) {
    return false;
  }
  if (is_stale) {
    return collect_again(index, job.study_uid, err);
  }
  return (finish->outcome != LVN_OUTCOME_DONE || store_results(index, finish, err)) &&
         decide_study(index, &job, finish, err);
}

bool lvn_queue_finish(struct lvn_index *index, const struct lvn_job_finish *finish, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  return lvn_sql_scope_end(index, &scope, finish_job(index, finish, err), err);
}

static bool fail_job(struct lvn_index *index, int64_t job_id, const char *code, const char *message, bool transient,
                     int64_t now_ms, int64_t retry_at_ms, struct lvn_error *err) {
  struct lvn_job job = {0};
  bool is_stale = false;
  if (!get_held(index, job_id, &job, err) || !study_is_stale(index, job_id, &is_stale, err)) {
    return false;
  }
  bool again = transient && job.attempt < (int64_t)index->job_attempts_max;
  const char *state = is_stale ? "cancelled" : again ? "queued" : "failed";
  if (!lvn_sql_run(index, err,
                   "UPDATE job SET state=?2, error_code=?3, error_text=?4, not_before=?5, finished_at=?6"
                   " WHERE job_id=?1",
                   "itttii", job_id, state, code, message, retry_at_ms, now_ms)) {
    return false;
  }
  if (is_stale) {
    return collect_again(index, job.study_uid, err);
  }
  if (again) {
    return lvn_sql_run(index, err, "UPDATE study SET state='ready' WHERE study_uid=?1", "t", job.study_uid);
  }
  return lvn_sql_run(index, err,
                     "UPDATE study SET state='failed', decided_at=?2, status_message='the analysis failed: ' || ?3"
                     " WHERE study_uid=?1",
                     "tit", job.study_uid, now_ms, message);
}

bool lvn_queue_fail(struct lvn_index *index, int64_t job_id, const char *code, const char *message, bool transient,
                    int64_t now_ms, int64_t retry_at_ms, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good = fail_job(index, job_id, code, message, transient, now_ms, retry_at_ms, err);
  return lvn_sql_scope_end(index, &scope, good, err);
}

static bool postpone_job(struct lvn_index *index, int64_t job_id, const char *code, const char *message, int64_t now_ms,
                         int64_t retry_at_ms, struct lvn_error *err) {
  struct lvn_job job = {0};
  bool is_stale = false;
  if (!get_held(index, job_id, &job, err) || !study_is_stale(index, job_id, &is_stale, err) ||
      !lvn_sql_run(index, err,
                   "UPDATE job SET state=?2, attempt=max(attempt-1,0), postponed=postponed+1, error_code=?3,"
                   " error_text=?4, not_before=?5, finished_at=?6 WHERE job_id=?1",
                   "itttii", job_id, is_stale ? "cancelled" : "queued", code, message, retry_at_ms, now_ms)) {
    return false;
  }
  if (is_stale) {
    return collect_again(index, job.study_uid, err);
  }
  return lvn_sql_run(
      index, err,
      "UPDATE study SET state='ready', status_message='the analysis is retried as soon as this node can: ' ||"
      " ?2 WHERE study_uid=?1",
      "tt", job.study_uid, message);
}

bool lvn_queue_postpone(struct lvn_index *index, int64_t job_id, const char *code, const char *message, int64_t now_ms,
                        int64_t retry_at_ms, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  return lvn_sql_scope_end(index, &scope, postpone_job(index, job_id, code, message, now_ms, retry_at_ms, err), err);
}

static bool retry_job(struct lvn_index *index, int64_t job_id, struct lvn_error *err) {
  struct lvn_job job;
  int64_t latest = 0;
  if (!lvn_queue_get(index, job_id, &job, err) ||
      !lvn_sql_integer(index, &latest, 0, err, "SELECT latest_job_id FROM study WHERE study_uid=?1", "t",
                       job.study_uid)) {
    return false;
  }
  if (latest != job_id || job.state != LVN_JOB_FAILED) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT,
                         "job %lld is %s%s; only the latest job of a study, when it has failed, "
                         "can be queued again",
                         (long long)job_id, lvn_job_state_name(job.state), latest == job_id ? "" : " and superseded");
  }
  return lvn_sql_run(
             index, err,
             "UPDATE job SET state='queued', attempt=0, interruption=0, postponed=0, not_before=0 WHERE job_id=?1", "i",
             job_id) &&
         lvn_sql_run(index, err, "UPDATE study SET state='ready', status_message='' WHERE study_uid=?1", "t",
                     job.study_uid);
}

bool lvn_queue_retry(struct lvn_index *index, int64_t job_id, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  return lvn_sql_scope_end(index, &scope, retry_job(index, job_id, err), err);
}

bool lvn_queue_wake(struct lvn_index *index, int64_t *ret_count, struct lvn_error *err) {
  struct lvn_sql_scope scope;
  if (!lvn_sql_scope_begin(index, &scope, err)) {
    return false;
  }
  bool good =
      lvn_sql_integer(index, ret_count, 0, err, "SELECT count(*) FROM job WHERE state='queued' AND not_before>0", "") &&
      lvn_sql_run(index, err, "UPDATE job SET not_before=0 WHERE state='queued'", "");
  return lvn_sql_scope_end(index, &scope, good, err);
}
