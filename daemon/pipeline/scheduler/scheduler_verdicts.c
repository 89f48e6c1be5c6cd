#include "daemon/pipeline/scheduler/scheduler_verdicts.h"

#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/scheduler/scheduler.h"
#include "daemon/pipeline/shared/destinations.h"

/* DESIGN: a worker's answer must not be lost because the disk is full for the moment that it comes in. It is recorded
 * at once or kept in memory and tried again until the index has it, or until the job is no longer running (an operator,
 * a rebuild). When there is no memory for that either, the sweep finds a running job that nobody works on. */

#define VERDICTS_MAX 4096U
#define RETRY_MS INT64_C(5000)

struct lvn_verdicts {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_verdict *items;
  size_t count;
  size_t capacity;
  struct lvn_trouble trouble;
  int64_t due_ms;
  struct lvn_stage analysis;
};

bool lvn_verdicts_create(const struct lvn_config *config, struct lvn_index *index, struct lvn_verdicts **ret_verdicts,
                         struct lvn_error *err) {
  struct lvn_verdicts *verdicts = lvn_alloc(1, sizeof *verdicts, err);
  if (verdicts == NULL) {
    return false;
  }
  verdicts->config = config;
  verdicts->index = index;
  *ret_verdicts = verdicts;
  return true;
}

void lvn_verdicts_destroy(struct lvn_verdicts *verdicts) {
  if (verdicts != NULL) {
    lvn_verdicts_forget(verdicts);
    lvn_free(verdicts);
  }
}

const char *lvn_verdicts_problem(const struct lvn_verdicts *verdicts) {
  return verdicts->trouble.text;
}

int64_t lvn_verdicts_get_job(const struct lvn_verdicts *verdicts, size_t position) {
  return position < verdicts->count ? verdicts->items[position].job_id : 0;
}

struct lvn_stage lvn_verdicts_get_analysis_stage(const struct lvn_verdicts *verdicts) {
  return verdicts->analysis;
}

void lvn_verdict_clear(struct lvn_verdict *verdict) {
  if (verdict->file != NULL) {
    lvn_jobfile_clear(verdict->file);
    lvn_free(verdict->file);
    verdict->file = NULL;
  }
}

/* Wait before a job is done once more, the `count`-th time: five seconds, longer each time by `factor`. */
static int64_t backoff_ms(int64_t count, int64_t factor) {
  int64_t wait_ms = RETRY_MS;
  for (int64_t i = 1; i < count && wait_ms < LVN_SCHEDULER_BACKOFF_MAX_MS; i++) {
    wait_ms *= factor;
  }
  return wait_ms < LVN_SCHEDULER_BACKOFF_MAX_MS ? wait_ms : LVN_SCHEDULER_BACKOFF_MAX_MS;
}

static bool record_failure(struct lvn_verdicts *verdicts, const struct lvn_verdict *verdict, const struct lvn_job *job,
                           struct lvn_error *err) {
  int64_t now_ms = lvn_clock_wall_ms();
  if (verdict->is_own_fault) {
    int64_t retry_at_ms = now_ms + backoff_ms(job->postponed + 1, 2);
    return lvn_queue_postpone(verdicts->index, job->job_id, verdict->code, verdict->message, now_ms, retry_at_ms, err);
  }
  return lvn_queue_fail(verdicts->index, job->job_id, verdict->code, verdict->message, verdict->is_transient, now_ms,
                        now_ms + backoff_ms(job->attempt, 4), err);
}

/* Puts the finished job's outcome into the index, with the destinations of its results. */
static bool finish(struct lvn_verdicts *verdicts, const struct lvn_job *job, const struct lvn_jobfile *file,
                   struct lvn_error *err) {
  const char *names[LVN_CONFIG_PEERS_MAX];
  struct lvn_job_finish entry = {.job_id = job->job_id,
                                 .outcome = file->outcome,
                                 .status_message = file->status_message,
                                 .results = file->results,
                                 .result_count = file->result_count,
                                 .destinations = names,
                                 .destination_count = file->destination_count,
                                 .goes_to = lvn_destination_takes,
                                 .user_data = verdicts->config,
                                 .now_ms = lvn_clock_wall_ms()};
  for (size_t i = 0; i < file->destination_count; i++) {
    names[i] = file->destinations[i];
  }
  if (!lvn_queue_finish(verdicts->index, &entry, err)) {
    return false;
  }
  lvn_log(LVN_LOG_INFO, "event=job-outcome job=%lld study=%s outcome=%s results=%zu destinations=%zu",
          (long long)job->job_id, job->study_name, lvn_job_outcome_name(file->outcome), file->result_count,
          file->destination_count);
  if (file->outcome == LVN_OUTCOME_DONE && file->destination_count == 0) {
    lvn_log(LVN_LOG_WARNING, "event=no-destination study=%s reason=\"no peer with host and port gets its results\"",
            job->study_name);
  }
  return true;
}

static bool record_outcome(struct lvn_verdicts *verdicts, const struct lvn_verdict *verdict, const struct lvn_job *job,
                           struct lvn_error *err) {
  struct lvn_jobfile *file = verdict->file;
  file->job = *job;
  return lvn_jobfile_route(verdicts->index, verdicts->config, file, err) &&
         lvn_jobfile_write(verdicts->config, file, err) && finish(verdicts, job, file, err);
}

/* True when nothing is left to do: it is in the index, or *ret_is_over: the job is not running any more. */
static bool record(struct lvn_verdicts *verdicts, const struct lvn_verdict *verdict, bool *ret_is_over,
                   struct lvn_error *err) {
  struct lvn_job job = {0};
  *ret_is_over = false;
  if (!lvn_queue_get(verdicts->index, verdict->job_id, &job, err)) {
    *ret_is_over = err->code == LVN_ERROR_DATA; /* its study was removed */
    return *ret_is_over;
  }
  *ret_is_over = job.state != LVN_JOB_RUNNING;
  if (*ret_is_over) {
    return true;
  }
  return verdict->file != NULL ? record_outcome(verdicts, verdict, &job, err)
                               : record_failure(verdicts, verdict, &job, err);
}

static bool try_verdict(struct lvn_verdicts *verdicts, struct lvn_verdict *verdict, struct lvn_error *err) {
  bool is_over = false;
  bool good = record(verdicts, verdict, &is_over, err);
  if (!good && verdict->file != NULL && !lvn_error_is_transient(err)) { /* an outcome that can never be recorded */
    lvn_verdict_clear(verdict);
    (void)lvn_copy(verdict->code, sizeof verdict->code, lvn_error_code_name(err->code));
    (void)lvn_copy(verdict->message, sizeof verdict->message, err->message);
    good = record(verdicts, verdict, &is_over, err);
  }
  if (!good) {
    return false;
  }
  if (is_over) {
    lvn_log(LVN_LOG_WARNING, "event=verdict-dropped job=%lld study=%s reason=\"the job is not running any more\"",
            (long long)verdict->job_id, verdict->study_name);
  } else if (verdict->file != NULL && verdict->seconds > 0) {
    lvn_stage_count(&verdicts->analysis, verdict->seconds);
  }
  lvn_verdict_clear(verdict);
  return true;
}

static void complain(struct lvn_verdicts *verdicts, const struct lvn_verdict *verdict, const struct lvn_error *err) {
  lvn_log_error(LVN_LOG_ERROR, "job-not-recorded", err, "job=%lld study=%s action=retry", (long long)verdict->job_id,
                verdict->study_name);
  lvn_trouble_set(&verdicts->trouble, &verdicts->due_ms, RETRY_MS,
                  "the outcome of an analysis cannot be recorded: %.180s", err->message);
}

void lvn_verdicts_add(struct lvn_verdicts *verdicts, struct lvn_verdict *verdict) {
  struct lvn_error err;
  struct lvn_error full;
  if (try_verdict(verdicts, verdict, &err)) {
    return;
  }
  complain(verdicts, verdict, &err);
  if (!lvn_grow(&verdicts->items, &verdicts->capacity, verdicts->count, sizeof *verdicts->items, VERDICTS_MAX, &full)) {
    lvn_log_error(LVN_LOG_ERROR, "verdict-not-kept", &full, "job=%lld action=analysis-repeated",
                  (long long)verdict->job_id);
    lvn_verdict_clear(verdict);
    return;
  }
  verdicts->items[verdicts->count++] = *verdict;
  verdict->file = NULL;
}

static void retry(struct lvn_verdicts *verdicts) {
  struct lvn_error err;
  size_t kept = 0;
  if (verdicts->count == 0) {
    verdicts->trouble.text[0] = '\0';
    return;
  }
  if (lvn_trouble_holds(&verdicts->trouble, &verdicts->due_ms)) {
    return;
  }
  for (size_t i = 0; i < verdicts->count; i++) {
    if (!try_verdict(verdicts, &verdicts->items[i], &err)) {
      complain(verdicts, &verdicts->items[i], &err);
      verdicts->items[kept++] = verdicts->items[i];
    }
  }
  verdicts->count = kept;
}

void lvn_verdicts_forget(struct lvn_verdicts *verdicts) {
  for (size_t i = 0; i < verdicts->count; i++) {
    lvn_verdict_clear(&verdicts->items[i]);
  }
  lvn_free(verdicts->items);
  verdicts->items = NULL;
  verdicts->count = 0;
  verdicts->capacity = 0;
}

int64_t lvn_verdicts_tick(struct lvn_verdicts *verdicts) {
  verdicts->due_ms = LVN_TICK_NEVER;
  retry(verdicts);
  return verdicts->due_ms;
}
