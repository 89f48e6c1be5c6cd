#include "daemon/pipeline/pipeline.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop/loop.h"
#include "base/memory.h"
#include "daemon/pipeline/assembly/assembly.h"
#include "daemon/pipeline/control/control.h"
#include "daemon/pipeline/fetch/fetch.h"
#include "daemon/pipeline/ingest/ingest.h"
#include "daemon/pipeline/outbox/outbox.h"
#include "daemon/pipeline/rebuild/rebuild.h"
#include "daemon/pipeline/retention/retention.h"
#include "daemon/pipeline/scheduler/scheduler.h"
#include "daemon/pipeline/shared/tick.h"
#include "daemon/pipeline/watch/clock_step.h"
#include "daemon/pipeline/watch/watch.h"

/* DESIGN: one thread, one loop. It sleeps until a socket, a signal, the spool (inotify), a sender's answer or the next
 * due time; then every module ticks, each idempotent and driven by the index alone, so nothing is lost when an event is
 * missed or the process is killed between two ticks. This file alone knows all of them. */

#define TICK_MAX_MS 5000 /* also without any event: inotify may drop, clocks may jump */
#define STOPPING_MS 100
#define DRAIN_MS 20000
#define SIGNALS 3

struct pipeline {
  const char *config_path;
  struct lvn_config config;
  struct lvn_loop *loop;
  struct lvn_index *index;
  struct lvn_objects *objects;
  struct lvn_spool *spool;
  struct lvn_web *web; /* NULL: off */
  struct lvn_loop_source *signals[SIGNALS];
  int inotify_fd;
  struct lvn_loop_source *inotify;
  struct lvn_clock_step *clock_step;
  struct lvn_ingest *ingest;
  struct lvn_assembly *assembly;
  struct lvn_scheduler *scheduler;
  struct lvn_outbox *outbox;
  struct lvn_fetch *fetch;
  struct lvn_retention *retention;
  struct lvn_watch *watch;
  struct lvn_control *control;
  int64_t stop_at_ms; /* monotonic; 0: it does not stop */
  bool is_broken;     /* it stops to be started anew */
};

/* ---- what modules want of each other ---- */

static bool holds_study(void *user_data, const char *study_uid) {
  const struct pipeline *pipeline = user_data;
  return lvn_ingest_holds_study(pipeline->ingest, study_uid);
}

static const struct lvn_index_model *get_model(void *user_data) {
  const struct pipeline *pipeline = user_data;
  return lvn_scheduler_get_model(pipeline->scheduler);
}

static void end_work(void *user_data, int64_t job_id) {
  const struct pipeline *pipeline = user_data;
  lvn_scheduler_end_job(pipeline->scheduler, job_id);
}

static bool forget_index(void *user_data, struct lvn_error *err) {
  const struct pipeline *pipeline = user_data;
  lvn_scheduler_forget(pipeline->scheduler);
  lvn_outbox_forget(pipeline->outbox);
  lvn_clock_step_forget(pipeline->clock_step);
  return lvn_watch_forget(pipeline->watch, err);
}

static void stop(struct pipeline *pipeline) {
  if (pipeline->stop_at_ms == 0) {
    pipeline->stop_at_ms = lvn_tick_now_ms() + DRAIN_MS;
    lvn_scheduler_stop(pipeline->scheduler);
    lvn_outbox_stop(pipeline->outbox);
  }
}

static void give_up(void *user_data) {
  struct pipeline *pipeline = user_data;
  pipeline->is_broken = true;
  stop(pipeline);
}

/* The first that any module has, in the order of a study's way. */
static const char *get_problem(void *user_data) {
  const struct pipeline *pipeline = user_data;
  const char *problems[] = {lvn_clock_step_problem(pipeline->clock_step), lvn_ingest_problem(pipeline->ingest),
                            lvn_assembly_problem(pipeline->assembly),     lvn_scheduler_problem(pipeline->scheduler),
                            lvn_outbox_problem(pipeline->outbox),         lvn_fetch_problem(pipeline->fetch),
                            lvn_retention_problem(pipeline->retention),   lvn_control_problem(pipeline->control)};
  for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++) {
    if (problems[i][0] != '\0') {
      return problems[i];
    }
  }
  return "";
}

static bool create_modules(struct pipeline *p, struct lvn_error *err) {
  const struct lvn_clock_step_needs clock_step = {
      .config = &p->config, .index = p->index, .job_wait_max_ms = LVN_SCHEDULER_BACKOFF_MAX_MS};
  const struct lvn_ingest_needs ingest = {
      .config = &p->config, .index = p->index, .objects = p->objects, .spool = p->spool};
  const struct lvn_assembly_needs assembly = {.config = &p->config,
                                              .index = p->index,
                                              .spool = p->spool,
                                              .holds_study = holds_study,
                                              .get_model = get_model,
                                              .user_data = p};
  const struct lvn_scheduler_needs scheduler = {
      .config = &p->config, .index = p->index, .objects = p->objects, .loop = p->loop};
  const struct lvn_outbox_needs outbox = {.config = &p->config, .index = p->index, .loop = p->loop};
  const struct lvn_fetch_needs fetch = {.config = &p->config, .index = p->index};
  const struct lvn_retention_needs retention = {.config = &p->config,
                                                .index = p->index,
                                                .objects = p->objects,
                                                .spool = p->spool,
                                                .end_work = end_work,
                                                .user_data = p};
  return lvn_clock_step_create(&clock_step, &p->clock_step, err) && lvn_ingest_create(&ingest, &p->ingest, err) &&
         lvn_assembly_create(&assembly, &p->assembly, err) && lvn_scheduler_create(&scheduler, &p->scheduler, err) &&
         lvn_outbox_create(&outbox, &p->outbox, err) && lvn_fetch_create(&fetch, &p->fetch, err) &&
         lvn_retention_create(&retention, &p->retention, err);
}

/* Those that look at the others. */
static bool create_surface(struct pipeline *p, struct lvn_error *err) {
  const struct lvn_watch_needs watch = {.config = &p->config,
                                        .index = p->index,
                                        .web = p->web,
                                        .ingest = p->ingest,
                                        .assembly = p->assembly,
                                        .scheduler = p->scheduler,
                                        .outbox = p->outbox,
                                        .retention = p->retention,
                                        .get_problem = get_problem,
                                        .user_data = p};
  if (!lvn_watch_create(&watch, &p->watch, err)) {
    return false;
  }
  const struct lvn_control_needs control = {.config = &p->config,
                                            .index = p->index,
                                            .objects = p->objects,
                                            .loop = p->loop,
                                            .scheduler = p->scheduler,
                                            .outbox = p->outbox,
                                            .retention = p->retention,
                                            .watch = p->watch,
                                            .get_problem = get_problem,
                                            .forget_index = forget_index,
                                            .give_up = give_up,
                                            .user_data = p};
  return lvn_control_create(&control, &p->control, err);
}

/* When something is due next. */
static int64_t tick(struct pipeline *p) {
  struct lvn_error err;
  int64_t now_ms = lvn_tick_now_ms();
  int64_t wall_ms = lvn_clock_wall_ms();
  int64_t index_due_ms = INT64_MAX;
  int64_t due_ms = now_ms + (p->stop_at_ms == 0 ? TICK_MAX_MS : STOPPING_MS);
  lvn_tick_at(&due_ms, lvn_clock_step_tick(p->clock_step, now_ms));
  lvn_tick_at(&due_ms, lvn_ingest_tick(p->ingest, now_ms));
  if (p->stop_at_ms == 0) {
    lvn_tick_at(&due_ms, lvn_assembly_tick(p->assembly, now_ms));
  }
  lvn_tick_at(&due_ms, lvn_scheduler_tick(p->scheduler, now_ms));
  lvn_tick_at(&due_ms, lvn_outbox_tick(p->outbox, now_ms));
  lvn_tick_at(&due_ms, lvn_fetch_tick(p->fetch, now_ms));
  lvn_tick_at(&due_ms, lvn_retention_tick(p->retention, now_ms));
  lvn_tick_at(&due_ms, lvn_control_tick(p->control, now_ms));
  lvn_tick_at(&due_ms, lvn_watch_tick(p->watch, now_ms));
  if (lvn_index_next_due(p->index, wall_ms, &index_due_ms, &err) && index_due_ms != INT64_MAX) {
    lvn_tick_at(&due_ms, now_ms + index_due_ms - wall_ms);
  }
  return due_ms;
}

/* ---- the process ---- */

static void reload(struct pipeline *pipeline) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_config *fresh = lvn_alloc(1, sizeof *fresh, &err);
  if (fresh == NULL || !lvn_config_load(pipeline->config_path, fresh, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "reload-failed", &err, "action=old-configuration-kept");
    return;
  }
  /* What the open files and sockets were made from stays until a restart. */
  (void)lvn_copy(fresh->state_folder, sizeof fresh->state_folder, pipeline->config.state_folder);
  (void)lvn_copy(fresh->run_folder, sizeof fresh->run_folder, pipeline->config.run_folder);
  pipeline->config = *fresh;
  lvn_log(LVN_LOG_NOTICE, "event=reloaded peers=%zu settle_seconds=%u", fresh->peer_count, fresh->settle_seconds);
}

static void take_signal(void *user_data, int signal_number) {
  struct pipeline *pipeline = user_data;
  if (signal_number == SIGHUP) {
    reload(pipeline);
  } else {
    lvn_log(LVN_LOG_NOTICE, "event=stopping signal=%d", signal_number);
    stop(pipeline);
  }
}

/* The tick that follows looks for itself. */
static void drain_inotify(void *user_data) {
  const struct pipeline *pipeline = user_data;
  char events[8192];
  while (read(pipeline->inotify_fd, events, sizeof events) > 0) {
  }
}

static bool watch_spool(struct pipeline *pipeline, struct lvn_error *err) {
  char open_folder[LVN_PATH_BYTES];
  const char *new_folder = lvn_spool_get_new_folder(pipeline->spool);
  if (!lvn_path_join(open_folder, pipeline->config.state_folder, "spool/open", err)) {
    return false;
  }
  pipeline->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (pipeline->inotify_fd < 0 || inotify_add_watch(pipeline->inotify_fd, new_folder, IN_MOVED_TO | IN_CREATE) < 0 ||
      inotify_add_watch(pipeline->inotify_fd, open_folder, IN_DELETE) < 0) {
    return lvn_error_set_errno(err, errno, "cannot watch '%s'", new_folder);
  }
  return lvn_loop_add_fd(pipeline->loop, pipeline->inotify_fd, drain_inotify, pipeline, &pipeline->inotify, err);
}

static bool open_loop(struct pipeline *pipeline, struct lvn_error *err) {
  static const int signals[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
  (void)signal(SIGPIPE, SIG_IGN); /* peers that go away are errors of their connection */
  bool good = lvn_loop_create(&pipeline->loop, err);
  for (size_t i = 0; good && i < SIGNALS; i++) {
    good = lvn_loop_add_signal(pipeline->loop, signals[i], take_signal, pipeline, &pipeline->signals[i], err);
  }
  return good;
}

/* An index without objects beside a store that has some was lost: it is made again before anything else happens. */
static bool rebuild_when_lost(struct pipeline *pipeline, struct lvn_error *err) {
  struct lvn_index_counts counts;
  struct lvn_rebuild_report report;
  if (!lvn_index_count(pipeline->index, &counts, err)) {
    return false;
  }
  if (counts.objects > 0) {
    return true;
  }
  if (!lvn_rebuild(pipeline->index, pipeline->objects, &pipeline->config, &report, err)) {
    return false;
  }
  if (report.objects > 0) {
    lvn_log(LVN_LOG_WARNING, "event=index-was-empty objects=%zu jobs=%zu action=rebuilt", report.objects, report.jobs);
  }
  return true;
}

/* Numbers of receptions go on above those of the index, also where the spool's counter was lost. */
static bool go_on_counting(struct pipeline *pipeline, struct lvn_error *err) {
  int64_t sequence = 0;
  struct lvn_error reason;
  if (!lvn_index_last_sequence(pipeline->index, &sequence, err)) {
    return false;
  }
  if (!lvn_spool_raise_counter(pipeline->spool, sequence, &reason)) { /* a full disk, which receives nothing either */
    lvn_log_error(LVN_LOG_WARNING, "counter-not-raised", &reason, "action=ignored");
  }
  return true;
}

static bool open_all(struct pipeline *pipeline, struct lvn_error *err) {
  const struct lvn_config *config = &pipeline->config;
  return open_loop(pipeline, err) && lvn_file_make_folder(config->run_folder, 0700, err) &&
         lvn_index_open(config->state_folder, config->job_attempts_max, &pipeline->index, err) &&
         lvn_objects_open(config->state_folder, &pipeline->objects, err) &&
         lvn_spool_open(config->state_folder, &pipeline->spool, err) &&
         lvn_spool_recover(pipeline->spool, /* always= */ false, err) && watch_spool(pipeline, err) &&
         rebuild_when_lost(pipeline, err) && go_on_counting(pipeline, err) &&
         (config->web_port == 0 ||
          lvn_web_start(config->web_address, config->web_port, config->web_hosts, &pipeline->web, err)) &&
         create_modules(pipeline, err) && create_surface(pipeline, err);
}

static void close_all(struct pipeline *pipeline) {
  lvn_control_destroy(pipeline->control);
  lvn_watch_destroy(pipeline->watch);
  lvn_web_stop(pipeline->web);
  lvn_outbox_destroy(pipeline->outbox);
  lvn_scheduler_destroy(pipeline->scheduler);
  lvn_retention_destroy(pipeline->retention);
  lvn_fetch_destroy(pipeline->fetch);
  lvn_assembly_destroy(pipeline->assembly);
  lvn_ingest_destroy(pipeline->ingest);
  lvn_clock_step_destroy(pipeline->clock_step);
  lvn_spool_close(pipeline->spool);
  lvn_objects_close(pipeline->objects);
  lvn_index_close(pipeline->index);
  lvn_loop_source_destroy(pipeline->inotify);
  lvn_file_close_pointer(&pipeline->inotify_fd);
  for (size_t i = 0; i < SIGNALS; i++) {
    lvn_loop_source_destroy(pipeline->signals[i]);
  }
  lvn_loop_destroy(pipeline->loop);
}

static void tell_ready(void) {
  const char *text = getenv("LVN_READY_FD");
  if (text == NULL) {
    return;
  }
  char *end = NULL;
  long fd = strtol(text, &end, 10); /* allow: our own supervisor wrote it; checked below */
  if (end != text && *end == '\0' && fd > STDERR_FILENO) {
    (void)!write((int)fd, "1", 1);
    (void)close((int)fd);
  }
  (void)unsetenv("LVN_READY_FD");
}

static bool is_done(const struct pipeline *pipeline) {
  size_t running = lvn_scheduler_count_running(pipeline->scheduler);
  size_t sending = lvn_outbox_count_busy(pipeline->outbox);
  if (pipeline->stop_at_ms == 0 || running + sending == 0) {
    return pipeline->stop_at_ms != 0;
  }
  if (lvn_tick_now_ms() < pipeline->stop_at_ms) {
    return false;
  }
  lvn_log(LVN_LOG_WARNING, "event=drain-ended running=%zu sending=%zu action=queued-again-at-start", running, sending);
  return true;
}

static bool run(struct pipeline *pipeline, struct lvn_error *err) {
  while (!is_done(pipeline)) {
    int64_t wait_ms = tick(pipeline) - lvn_tick_now_ms();
    if (!lvn_loop_wait(pipeline->loop, wait_ms < 0 ? 0 : wait_ms, err)) {
      return false;
    }
  }
  (void)tick(pipeline); /* what came last */
  return true;
}

int lvn_pipeline_run(const char *config_path, const struct lvn_config *config) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct pipeline *pipeline = lvn_alloc(1, sizeof *pipeline, &err);
  if (pipeline == NULL) {
    lvn_log_error(LVN_LOG_ERROR, "pipeline-failed", &err, "action=exit");
    return 1;
  }
  pipeline->config_path = config_path;
  pipeline->config = *config;
  pipeline->inotify_fd = -1;
  bool good = open_all(pipeline, &err);
  if (good) {
    lvn_log(LVN_LOG_NOTICE, "event=pipeline-ready peers=%zu", config->peer_count);
    tell_ready();
    good = run(pipeline, &err);
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "pipeline-failed", &err, "action=exit");
  }
  close_all(pipeline);
  return good && !pipeline->is_broken ? 0 : 1;
}
