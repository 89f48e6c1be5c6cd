#include <errno.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/pipeline/pipeline_internal.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define STUDIES_PER_TURN 4U
#define EVENT_DAYS 400
#define JOBS_MAX 1000U
#define FILES_MAX 10000U

static bool remove_results(const struct lvn_pipeline *pipeline, int64_t job_id, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  char folder[LVN_PATH_BYTES];
  if (!lvn_jobfile_folder(&pipeline->config, job_id, folder, err)) {
    return false;
  }
  if (!lvn_file_exists(folder)) {
    return true;
  }
  if (!lvn_file_walk(folder, FILES_MAX, &paths, err)) {
    return false;
  }
  for (size_t i = 0; i < paths.count; i++) {
    if (unlink(paths.names[i]) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", paths.names[i]);
    }
  }
  return rmdir(folder) == 0 || errno == ENOENT || errno == ENOTEMPTY ||
         lvn_error_set_errno(err, errno, "cannot remove '%s'", folder);
}

/* Files first, rows last: when we are killed in between, the rows name what still has to go, and removing again what is
 * gone is harmless. */
static bool expire(struct lvn_pipeline *pipeline, const struct lvn_index_study *study, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = NULL;
  LVN_AUTOFREE struct lvn_index_job *jobs = NULL;
  size_t count = 0;
  size_t job_count = 0;
  if (!lvn_index_study_objects(pipeline->index, study->study_uid, &digests, &count, err) ||
      !lvn_index_list_jobs(pipeline->index, NULL, study->study_uid, JOBS_MAX, &jobs, &job_count, err)) {
    return false;
  }
  for (size_t i = 0; i < job_count; i++) {
    if (!remove_results(pipeline, jobs[i].job_id, err)) {
      return false;
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (!lvn_objects_remove(pipeline->objects, digests + i * LVN_SHA256_BYTES, err)) {
      return false;
    }
  }
  lvn_log(LVN_LOG_INFO, "event=expired study=%s objects=%zu jobs=%zu", study->name, count, job_count);
  return lvn_index_study_delete(pipeline->index, study->study_uid, err);
}

void lvn_retention_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  int64_t now_ms = lvn_clock_wall_ms();
  bool good = lvn_index_prune_events(pipeline->index, now_ms - EVENT_DAYS * DAY_MS, &err);
  if (good && pipeline->config.keep_days > 0) {
    int64_t before_ms = now_ms - (int64_t)pipeline->config.keep_days * DAY_MS;
    good = lvn_index_list_expired(pipeline->index, before_ms, STUDIES_PER_TURN, &studies, &count, &err);
  }
  for (size_t i = 0; good && i < count; i++) {
    good = expire(pipeline, &studies[i], &err);
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "retention-failed", &err, "action=retry");
  }
}
