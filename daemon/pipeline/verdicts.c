#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/pipeline_internal.h"

/* DESIGN: a worker's answer must not be lost because the disk is full for the moment that it comes in. It is recorded
 * at once or kept in memory and tried again until the index has it, or until the job is no longer running (an operator,
 * a rebuild). When there is no memory for that either, the sweep finds a running job that nobody works on. */

#define VERDICTS_MAX 4096U

static void clear_verdict(struct lvn_verdict *verdict) {
  if (verdict->file != NULL) {
    lvn_jobfile_clear(verdict->file);
    lvn_free(verdict->file);
    verdict->file = NULL;
  }
}

static bool record_failure(struct lvn_pipeline *pipeline, const struct lvn_verdict *verdict, const struct lvn_job *job,
                           struct lvn_error *err) {
  int64_t now_ms = lvn_clock_wall_ms();
  if (verdict->is_own_fault) {
    int64_t retry_at_ms = now_ms + lvn_jobs_backoff_ms(job->postponed + 1, 2);
    return lvn_queue_postpone(pipeline->index, job->job_id, verdict->code, verdict->message, now_ms, retry_at_ms, err);
  }
  return lvn_queue_fail(pipeline->index, job->job_id, verdict->code, verdict->message, verdict->is_transient, now_ms,
                        now_ms + lvn_jobs_backoff_ms(job->attempt, 4), err);
}

static bool record_outcome(struct lvn_pipeline *pipeline, const struct lvn_verdict *verdict, const struct lvn_job *job,
                           struct lvn_error *err) {
  struct lvn_jobfile *file = verdict->file;
  file->job = *job;
  return lvn_jobfile_route(pipeline, file, err) && lvn_jobfile_write(&pipeline->config, file, err) &&
         lvn_jobs_finish(pipeline, job->job_id, file->outcome, file->status_message, file->results, file->result_count,
                         err);
}

/* True when nothing is left to do: it is in the index, or *ret_is_over: the job is not running any more. */
static bool record(struct lvn_pipeline *pipeline, const struct lvn_verdict *verdict, bool *ret_is_over,
                   struct lvn_error *err) {
  struct lvn_job job = {0};
  *ret_is_over = false;
  if (!lvn_queue_get(pipeline->index, verdict->job_id, &job, err)) {
    *ret_is_over = err->code == LVN_ERROR_DATA; /* its study was removed */
    return *ret_is_over;
  }
  *ret_is_over = job.state != LVN_JOB_RUNNING;
  if (*ret_is_over) {
    return true;
  }
  return verdict->file != NULL ? record_outcome(pipeline, verdict, &job, err)
                               : record_failure(pipeline, verdict, &job, err);
}

static bool try_verdict(struct lvn_pipeline *pipeline, struct lvn_verdict *verdict, struct lvn_error *err) {
  bool is_over = false;
  bool good = record(pipeline, verdict, &is_over, err);
  if (!good && verdict->file != NULL && !lvn_error_is_transient(err)) { /* an outcome that can never be recorded */
    clear_verdict(verdict);
    (void)lvn_copy(verdict->code, sizeof verdict->code, lvn_error_code_name(err->code));
    (void)lvn_copy(verdict->message, sizeof verdict->message, err->message);
    good = record(pipeline, verdict, &is_over, err);
  }
  if (!good) {
    return false;
  }
  if (is_over) {
    lvn_log(LVN_LOG_WARNING, "event=verdict-dropped job=%lld study=%s reason=\"the job is not running any more\"",
            (long long)verdict->job_id, verdict->study_name);
  } else if (verdict->file != NULL && verdict->seconds > 0) {
    lvn_pipeline_count_stage(pipeline, LVN_STAGE_ANALYSIS, verdict->seconds);
  }
  clear_verdict(verdict);
  return true;
}

static void complain(struct lvn_pipeline *pipeline, const struct lvn_verdict *verdict, const struct lvn_error *err) {
  lvn_log_error(LVN_LOG_ERROR, "job-not-recorded", err, "job=%lld study=%s action=retry", (long long)verdict->job_id,
                verdict->study_name);
  lvn_pipeline_fail(pipeline, &pipeline->verdict_trouble, LVN_JOBS_RETRY_MS,
                    "the outcome of an analysis cannot be recorded: %.180s", err->message);
}

void lvn_verdicts_add(struct lvn_pipeline *pipeline, struct lvn_verdict *verdict) {
  struct lvn_error err;
  struct lvn_error full;
  if (try_verdict(pipeline, verdict, &err)) {
    return;
  }
  complain(pipeline, verdict, &err);
  if (!lvn_grow(&pipeline->verdicts, &pipeline->verdict_capacity, pipeline->verdict_count, sizeof *pipeline->verdicts,
                VERDICTS_MAX, &full)) {
    lvn_log_error(LVN_LOG_ERROR, "verdict-not-kept", &full, "job=%lld action=analysis-repeated",
                  (long long)verdict->job_id);
    clear_verdict(verdict);
    return;
  }
  pipeline->verdicts[pipeline->verdict_count++] = *verdict;
  verdict->file = NULL;
}

void lvn_verdicts_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  size_t kept = 0;
  if (pipeline->verdict_count == 0) {
    pipeline->verdict_trouble.text[0] = '\0';
    return;
  }
  if (lvn_pipeline_has_to_wait(pipeline, &pipeline->verdict_trouble)) {
    return;
  }
  for (size_t i = 0; i < pipeline->verdict_count; i++) {
    if (!try_verdict(pipeline, &pipeline->verdicts[i], &err)) {
      complain(pipeline, &pipeline->verdicts[i], &err);
      pipeline->verdicts[kept++] = pipeline->verdicts[i];
    }
  }
  pipeline->verdict_count = kept;
}

void lvn_verdicts_clear(struct lvn_pipeline *pipeline) {
  for (size_t i = 0; i < pipeline->verdict_count; i++) {
    clear_verdict(&pipeline->verdicts[i]);
  }
  lvn_free(pipeline->verdicts);
  pipeline->verdicts = NULL;
  pipeline->verdict_count = 0;
  pipeline->verdict_capacity = 0;
}
