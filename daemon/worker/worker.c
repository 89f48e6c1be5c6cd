#include "daemon/worker/worker.h"

#include "analysis/analysis.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_lines.h"
#include "base/log.h"
#include "base/loop/loop.h"
#include "base/memory.h"
#include "base/process.h"
#include "daemon/worker/wire.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONNECT_TRIES 120
#define CONNECT_PAUSE_MS 250
/* How often an idle worker looks where the link to its model points. */
#define LOOK_MS 1000
/* A model that takes longer to open, or longer than a job may, is tried by a new process. */
#define OPEN_SECONDS_MIN 60U
#define FILES_MAX 4096U /* in a job's folder */
#define SIGNALS 3

struct models {
  struct lvn_classifier *current;
  struct lvn_classifier *shadow; /* NULL: none, or it could not be opened */
  char folder[PATH_MAX];         /* the current one's, links resolved */
  char refused[PATH_MAX];        /* that was linked in later and could not be opened */
};

struct worker {
  const struct lvn_config *config;
  struct models models;
  struct lvn_loop *loop;
  struct lvn_loop_source *signals[SIGNALS];
  bool stops;
  struct lvn_json_lines *lines; /* to the pipeline */
  bool is_cut;                  /* by the pipeline, for this reason: */
  struct lvn_error cut_reason;
};

/* A job that runs is ended first. */
static void on_stop_signal(void *user_data, int signal_number) {
  struct worker *worker = user_data;
  (void)signal_number;
  worker->stops = true;
}

static bool open_loop(struct worker *worker, struct lvn_error *err) {
  static const int stops[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
  const struct rlimit no_core = {0, 0}; /* a core file would hold images of a patient */
  (void)signal(SIGPIPE, SIG_IGN);
  (void)setrlimit(RLIMIT_CORE, &no_core);
  bool good = lvn_loop_create(&worker->loop, err);
  for (size_t i = 0; good && i < SIGNALS; i++) {
    good = lvn_loop_add_signal(worker->loop, stops[i], on_stop_signal, worker, &worker->signals[i], err);
  }
  return good;
}

static void close_loop(struct worker *worker) {
  for (size_t i = 0; i < SIGNALS; i++) {
    lvn_loop_source_destroy(worker->signals[i]);
  }
  lvn_loop_destroy(worker->loop);
}

/* Opening a model cannot be interrupted from within: libtorch waits without end for threads that the system refuses. */
static void on_late_open(int signal_number) {
  static const char text[] = "event=model-open-late reason=\"the model was not open in time\" action=restart\n";
  (void)signal_number;
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
  _exit(1); /* allow: nothing else of this process can be relied on */
}

static void limit_open(const struct lvn_config *config) {
  struct sigaction late = {.sa_handler = on_late_open};
  (void)sigaction(SIGALRM, &late, NULL);
  (void)alarm(config->job_seconds_max > OPEN_SECONDS_MIN ? config->job_seconds_max : OPEN_SECONDS_MIN);
}

static bool open_model(const struct lvn_config *config, const char *folder, const char *event,
                       struct lvn_classifier **ret_classifier, struct lvn_error *err) {
  const struct lvn_classifier_options options = {.package_folder = folder,
                                                 .device = config->device,
                                                 .threads = config->threads,
                                                 .permutation_ensemble = config->order_ensemble};
  double since = lvn_clock_monotonic_seconds();
  if (!lvn_classifier_open(&options, ret_classifier, err)) {
    return lvn_error_prefix(err, "model package '%s'", folder);
  }
  const struct lvn_classifier_info *info = lvn_classifier_get_info(*ret_classifier);
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(info->manifest_sha256, digest);
  lvn_log(LVN_LOG_NOTICE, "event=%s model=%s version=%s digest=%.12s device=%s seconds=%.2f", event, info->name,
          info->version, digest, info->device, lvn_clock_monotonic_seconds() - since);
  return true;
}

/* Links are resolved once, before anything is read: a promotion while the files are read must not mix two packages. */
static bool resolve_model(const struct lvn_config *config, char ret_folder[PATH_MAX], struct lvn_error *err) {
  return realpath(config->model_package, ret_folder) != NULL ||
         lvn_error_set_errno(err, errno, "model package '%s'", config->model_package);
}

/* The shadow is a guest: where it cannot be opened, the work goes on without it. */
static void open_shadow(const struct lvn_config *config, struct models *models) {
  struct lvn_error err = {0};
  if (config->shadow_package[0] != '\0' &&
      !open_model(config, config->shadow_package, "shadow-loaded", &models->shadow, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "shadow-not-loaded", &err, "%s", "results=unaffected");
  }
}

static bool open_models(const struct lvn_config *config, struct models *models, struct lvn_error *err) {
  if (!resolve_model(config, models->folder, err) ||
      !open_model(config, models->folder, "model-loaded", &models->current, err)) {
    return false;
  }
  open_shadow(config, models);
  return true;
}

static void close_models(struct models *models) {
  lvn_classifier_close(models->current);
  lvn_classifier_close(models->shadow);
  *models = (struct models){0};
}

/* True when the link to the model points elsewhere now and what is there was opened in its place. What cannot be opened
 * is named once, and the model in hand stays. */
static bool follow_link(const struct lvn_config *config, struct models *models) {
  struct lvn_error err = {0};
  struct lvn_classifier *fresh = NULL;
  char folder[PATH_MAX];
  if (!resolve_model(config, folder, &err) || strcmp(folder, models->folder) == 0 ||
      strcmp(folder, models->refused) == 0) {
    return false;
  }
  limit_open(config);
  bool good = open_model(config, folder, "model-loaded", &fresh, &err);
  (void)alarm(0);
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "model-refused", &err, "%s", "action=old-model-kept");
    (void)lvn_copy(models->refused, sizeof models->refused, folder);
    return false;
  }
  lvn_classifier_close(models->current);
  models->current = fresh;
  models->refused[0] = '\0';
  (void)lvn_copy(models->folder, sizeof models->folder, folder);
  return true;
}

static bool connect_to_pipeline(struct worker *worker, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, worker->config->run_folder, "worker.sock", err)) {
    return false;
  }
  for (int i = 0; i < CONNECT_TRIES && !worker->stops; i++) {
    struct lvn_error ignored;
    if (lvn_wire_connect(path, &worker->lines, err)) {
      return true;
    }
    if (!lvn_loop_wait(worker->loop, CONNECT_PAUSE_MS, &ignored)) {
      break;
    }
  }
  return worker->stops ? lvn_error_set(err, LVN_ERROR_TIMEOUT, "asked to stop while connecting") : false;
}

/* What an earlier attempt was writing when its process died (lvn_file_replace() names it so). Nobody else writes there
 * while a job runs. */
static bool remove_half_written(const char *folder, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(folder, FILES_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    if (strstr(names.names[i], ".tmp-") == NULL) {
      continue;
    }
    if (!lvn_path_join(path, folder, names.names[i], err)) {
      return false;
    }
    if (unlink(path) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
    }
  }
  return true;
}

static bool run_job(const struct models *models, const struct lvn_config *config, struct lvn_json_lines *lines,
                    const struct lvn_wire_job *job, struct lvn_error *err) {
  const struct lvn_analysis_request request = {.paths = (const char *const *)job->paths,
                                               .path_count = job->path_count,
                                               .output_folder = job->output_folder,
                                               .job_key = job->job_key,
                                               .wall_ms = job->wall_ms,
                                               .replaced_key = job->replaced_key[0] != '\0' ? job->replaced_key : NULL,
                                               .replaced_wall_ms = job->replaced_wall_ms,
                                               .ae_title = config->ae_title,
                                               .station_name = config->station_name,
                                               .objects = config->result_objects,
                                               .max_registration_error_mm = config->max_registration_error_mm,
                                               .shadow = models->shadow};
  struct lvn_error failure = {0};
  LVN_AUTOFREE struct lvn_analysis_result *result = lvn_alloc(1, sizeof *result, err);
  double since = lvn_clock_monotonic_seconds();
  if (result == NULL) {
    return false;
  }
  lvn_log(LVN_LOG_INFO, "event=job-started job=%lld objects=%zu", (long long)job->job_id, job->path_count);
  if (!lvn_file_make_folder(job->output_folder, 0700, &failure) || !remove_half_written(job->output_folder, &failure) ||
      !lvn_analysis_run(models->current, &request, result, &failure)) {
    lvn_log_error(LVN_LOG_WARNING, "job-failed", &failure, "job=%lld", (long long)job->job_id);
    /* What state the engine is in is not known after an error of its own: the next attempt gets a new process. */
    return lvn_wire_send_failed(lines, job->job_id, &failure, err) &&
           (failure.code != LVN_ERROR_ENGINE || lvn_error_set(err, LVN_ERROR_ENGINE, "the engine failed in a job"));
  }
  lvn_log(LVN_LOG_INFO, "event=job-analysed job=%lld outcome=%s results=%zu seconds=%.2f", (long long)job->job_id,
          lvn_analysis_outcome_name(result->outcome), result->object_count, lvn_clock_monotonic_seconds() - since);
  return lvn_wire_send_done(lines, job->job_id, result, err);
}

static void receive(void *user_data) {
  struct worker *worker = user_data;
  if (!lvn_json_lines_receive(worker->lines, &worker->cut_reason)) {
    worker->is_cut = true;
    if (worker->cut_reason.code == LVN_OK) {
      (void)lvn_error_set(&worker->cut_reason, LVN_ERROR_IO, "the pipeline closed the connection");
    }
  }
}

static bool run_jobs(struct worker *worker, struct lvn_error *err) {
  json_t *taken = NULL;
  while (!worker->stops && lvn_json_lines_take(worker->lines, &taken)) {
    LVN_AUTOJSON json_t *message = taken;
    struct lvn_wire_job job;
    if (!lvn_wire_read_job(message, &job, err)) {
      return false;
    }
    bool good = run_job(&worker->models, worker->config, worker->lines, &job, err);
    lvn_wire_job_clear(&job);
    if (!good) {
      return false;
    }
  }
  return true;
}

/* Until asked to stop, or, with *ret_again, until another model is in hand: the pipeline learns which by a new
 * handshake, and makes the jobs that wait for the old one anew. */
static bool serve(struct worker *worker, bool *ret_again, struct lvn_error *err) {
  LVN_CLEANUP(lvn_loop_source_cleanup) struct lvn_loop_source *source = NULL;
  *ret_again = false;
  worker->is_cut = false;
  if (!lvn_wire_send_hello(worker->lines, lvn_classifier_get_info(worker->models.current), err) ||
      !lvn_loop_add_fd(worker->loop, lvn_json_lines_get_fd(worker->lines), receive, worker, &source, err)) {
    return false;
  }
  while (!worker->stops) {
    *ret_again = follow_link(worker->config, &worker->models);
    if (*ret_again) {
      return true;
    }
    if (!lvn_loop_wait(worker->loop, LOOK_MS, err)) {
      return false;
    }
    if (worker->is_cut) {
      *err = worker->cut_reason;
      return false;
    }
    if (!run_jobs(worker, err)) {
      return false;
    }
  }
  return true;
}

static bool work(struct worker *worker, struct lvn_error *err) {
  bool again = true;
  bool good = true;
  while (good && again && !worker->stops) {
    again = false;
    good = connect_to_pipeline(worker, err) && serve(worker, &again, err);
    lvn_json_lines_destroy(worker->lines);
    worker->lines = NULL;
  }
  return good;
}

int lvn_worker_run(const char *config_path, const struct lvn_config *config) {
  struct lvn_error err = {0};
  struct worker worker = {.config = config};
  (void)config_path; /* a reload replaces the process, and the supervisor reads the file */
  limit_open(config);
  bool good = open_loop(&worker, &err) && open_models(config, &worker.models, &err);
  (void)alarm(0);
  if (good) {
    lvn_process_tell_ready();
    good = work(&worker, &err);
  }
  if (!good && !worker.stops) {
    lvn_log_error(LVN_LOG_ERROR, "worker-stopped", &err, "%s", "");
  }
  close_models(&worker.models);
  close_loop(&worker);
  return good || worker.stops ? 0 : 1;
}
