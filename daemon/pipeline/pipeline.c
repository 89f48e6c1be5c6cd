#include "daemon/pipeline/pipeline.h"

#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/assembly/assembly.h"
#include "daemon/pipeline/commitment/commitment.h"
#include "daemon/pipeline/control/control.h"
#include "daemon/pipeline/fetch/fetch.h"
#include "daemon/pipeline/ingest/ingest.h"
#include "daemon/pipeline/notify/notify.h"
#include "daemon/pipeline/outbox/outbox.h"
#include "daemon/pipeline/retention/retention.h"
#include "daemon/pipeline/scheduler/scheduler.h"
#include "daemon/pipeline/shared/tick.h"
#include "daemon/pipeline/watch/clock_step.h"
#include "daemon/pipeline/watch/watch.h"
#include "daemon/pipeline/workflow/workflow.h"

/* DESIGN: every module ticks whenever something happened or is due, each idempotent and driven by the index alone, so
 * nothing is lost when an event is missed or the process is killed between two ticks. This file alone knows all of
 * them. */

#define TICK_MAX_MS 5000 /* also without any event: inotify may drop, clocks may jump */
#define STOPPING_MS 100
#define DRAIN_MS 20000

struct lvn_pipeline {
  struct lvn_pipeline_needs needs;
  struct lvn_clock_step *clock_step;
  struct lvn_ingest *ingest;
  struct lvn_assembly *assembly;
  struct lvn_scheduler *scheduler;
  struct lvn_outbox *outbox;
  struct lvn_commitment_module *commitment;
  struct lvn_fetch *fetch;
  struct lvn_notify *notify;
  struct lvn_workflow *workflow;
  struct lvn_retention *retention;
  struct lvn_watch *watch;
  struct lvn_control *control;
  int64_t stop_at_ms; /* monotonic; 0: it does not stop */
  bool is_broken;
};

/* ---- what modules want of each other ---- */

static bool holds_study(void *user_data, const char *study_uid) {
  const struct lvn_pipeline *pipeline = user_data;
  return lvn_ingest_holds_study(pipeline->ingest, study_uid);
}

static const struct lvn_job_model *get_model(void *user_data) {
  const struct lvn_pipeline *pipeline = user_data;
  return lvn_scheduler_get_model(pipeline->scheduler);
}

static void end_work(void *user_data, int64_t job_id) {
  const struct lvn_pipeline *pipeline = user_data;
  lvn_scheduler_end_job(pipeline->scheduler, job_id);
}

static size_t count_workers(void *user_data) {
  const struct lvn_pipeline *pipeline = user_data;
  return lvn_scheduler_get_counts(pipeline->scheduler).workers;
}

static bool forget_index(void *user_data, struct lvn_error *err) {
  const struct lvn_pipeline *pipeline = user_data;
  lvn_scheduler_forget(pipeline->scheduler);
  lvn_outbox_forget(pipeline->outbox);
  lvn_clock_step_forget(pipeline->clock_step);
  lvn_notify_forget(pipeline->notify);
  return lvn_watch_forget(pipeline->watch, err);
}

void lvn_pipeline_stop(struct lvn_pipeline *pipeline) {
  if (pipeline->stop_at_ms == 0) {
    pipeline->stop_at_ms = lvn_tick_now_ms() + DRAIN_MS;
    lvn_scheduler_stop(pipeline->scheduler);
    lvn_outbox_stop(pipeline->outbox);
    lvn_commitment_module_stop(pipeline->commitment);
    lvn_fetch_stop(pipeline->fetch);
    lvn_workflow_stop(pipeline->workflow);
  }
}

static void give_up(void *user_data) {
  struct lvn_pipeline *pipeline = user_data;
  pipeline->is_broken = true;
  lvn_pipeline_stop(pipeline);
}

/* The first that any module has, in the order of a study's way. */
static const char *get_problem(void *user_data) {
  const struct lvn_pipeline *pipeline = user_data;
  const char *problems[] = {
      lvn_clock_step_problem(pipeline->clock_step), lvn_ingest_problem(pipeline->ingest),
      lvn_assembly_problem(pipeline->assembly),     lvn_scheduler_problem(pipeline->scheduler),
      lvn_outbox_problem(pipeline->outbox),         lvn_commitment_module_problem(pipeline->commitment),
      lvn_fetch_problem(pipeline->fetch),           lvn_retention_problem(pipeline->retention),
      lvn_control_problem(pipeline->control),       lvn_notify_problem(pipeline->notify),
      lvn_workflow_problem(pipeline->workflow)};
  for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++) {
    if (problems[i][0] != '\0') {
      return problems[i];
    }
  }
  return "";
}

static bool create_modules(struct lvn_pipeline *p, struct lvn_error *err) {
  const struct lvn_clock_step_needs clock_step = {
      .config = p->needs.config, .index = p->needs.index, .job_wait_max_ms = LVN_SCHEDULER_BACKOFF_MAX_MS};
  const struct lvn_ingest_needs ingest = {
      .config = p->needs.config, .index = p->needs.index, .objects = p->needs.objects, .spool = p->needs.spool};
  const struct lvn_assembly_needs assembly = {.config = p->needs.config,
                                              .index = p->needs.index,
                                              .spool = p->needs.spool,
                                              .holds_study = holds_study,
                                              .get_model = get_model,
                                              .user_data = p};
  const struct lvn_scheduler_needs scheduler = {
      .config = p->needs.config, .index = p->needs.index, .objects = p->needs.objects, .loop = p->needs.loop};
  const struct lvn_outbox_needs outbox = {.config = p->needs.config, .index = p->needs.index, .loop = p->needs.loop};
  const struct lvn_commitment_needs commitment = {.config = p->needs.config,
                                                  .index = p->needs.index,
                                                  .objects = p->needs.objects,
                                                  .spool = p->needs.spool,
                                                  .loop = p->needs.loop};
  const struct lvn_fetch_needs fetch = {
      .config = p->needs.config, .index = p->needs.index, .spool = p->needs.spool, .loop = p->needs.loop};
  const struct lvn_workflow_needs workflow = {.config = p->needs.config,
                                              .index = p->needs.index,
                                              .spool = p->needs.spool,
                                              .loop = p->needs.loop,
                                              .holds_study = holds_study,
                                              .user_data = p};
  const struct lvn_notify_needs notify = {.config = p->needs.config,
                                          .index = p->needs.index,
                                          .objects = p->needs.objects,
                                          .count_workers = count_workers,
                                          .user_data = p};
  const struct lvn_retention_needs retention = {.config = p->needs.config,
                                                .index = p->needs.index,
                                                .objects = p->needs.objects,
                                                .spool = p->needs.spool,
                                                .end_work = end_work,
                                                .user_data = p};
  return lvn_clock_step_create(&clock_step, &p->clock_step, err) && lvn_ingest_create(&ingest, &p->ingest, err) &&
         lvn_assembly_create(&assembly, &p->assembly, err) && lvn_scheduler_create(&scheduler, &p->scheduler, err) &&
         lvn_outbox_create(&outbox, &p->outbox, err) &&
         lvn_commitment_module_create(&commitment, &p->commitment, err) && lvn_fetch_create(&fetch, &p->fetch, err) &&
         lvn_notify_create(&notify, &p->notify, err) && lvn_workflow_create(&workflow, &p->workflow, err) &&
         lvn_retention_create(&retention, &p->retention, err);
}

/* Those that look at the others. */
static bool create_surface(struct lvn_pipeline *p, struct lvn_error *err) {
  const struct lvn_watch_needs watch = {.config = p->needs.config,
                                        .index = p->needs.index,
                                        .web = p->needs.web,
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
  const struct lvn_control_needs control = {.config = p->needs.config,
                                            .index = p->needs.index,
                                            .objects = p->needs.objects,
                                            .loop = p->needs.loop,
                                            .scheduler = p->scheduler,
                                            .outbox = p->outbox,
                                            .fetch = p->fetch,
                                            .retention = p->retention,
                                            .watch = p->watch,
                                            .get_problem = get_problem,
                                            .forget_index = forget_index,
                                            .give_up = give_up,
                                            .user_data = p};
  return lvn_control_create(&control, &p->control, err);
}

int64_t lvn_pipeline_tick(struct lvn_pipeline *p) {
  int64_t now_ms = lvn_tick_now_ms();
  int64_t due_ms = now_ms + (p->stop_at_ms == 0 ? TICK_MAX_MS : STOPPING_MS);
  lvn_tick_at(&due_ms, lvn_clock_step_tick(p->clock_step, now_ms));
  lvn_tick_at(&due_ms, lvn_ingest_tick(p->ingest, now_ms));
  if (p->stop_at_ms == 0) {
    lvn_tick_at(&due_ms, lvn_assembly_tick(p->assembly, now_ms));
  }
  lvn_tick_at(&due_ms, lvn_scheduler_tick(p->scheduler, now_ms));
  lvn_tick_at(&due_ms, lvn_outbox_tick(p->outbox, now_ms));
  lvn_tick_at(&due_ms, lvn_commitment_module_tick(p->commitment, now_ms));
  lvn_tick_at(&due_ms, lvn_fetch_tick(p->fetch, now_ms));
  lvn_tick_at(&due_ms, lvn_workflow_tick(p->workflow, now_ms));
  lvn_tick_at(&due_ms, lvn_notify_tick(p->notify, now_ms));
  lvn_tick_at(&due_ms, lvn_retention_tick(p->retention, now_ms));
  lvn_tick_at(&due_ms, lvn_control_tick(p->control, now_ms));
  lvn_tick_at(&due_ms, lvn_watch_tick(p->watch, now_ms));
  return due_ms;
}

bool lvn_pipeline_is_done(const struct lvn_pipeline *pipeline) {
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

bool lvn_pipeline_is_broken(const struct lvn_pipeline *pipeline) {
  return pipeline->is_broken;
}

bool lvn_pipeline_create(const struct lvn_pipeline_needs *needs, struct lvn_pipeline **ret_pipeline,
                         struct lvn_error *err) {
  struct lvn_pipeline *pipeline = lvn_alloc(1, sizeof *pipeline, err);
  if (pipeline == NULL) {
    return false;
  }
  pipeline->needs = *needs;
  if (!create_modules(pipeline, err) || !create_surface(pipeline, err)) {
    lvn_pipeline_destroy(pipeline);
    return false;
  }
  *ret_pipeline = pipeline;
  return true;
}

void lvn_pipeline_destroy(struct lvn_pipeline *pipeline) {
  if (pipeline == NULL) {
    return;
  }
  lvn_control_destroy(pipeline->control);
  lvn_watch_destroy(pipeline->watch);
  lvn_commitment_module_destroy(pipeline->commitment);
  lvn_outbox_destroy(pipeline->outbox);
  lvn_scheduler_destroy(pipeline->scheduler);
  lvn_retention_destroy(pipeline->retention);
  lvn_fetch_destroy(pipeline->fetch);
  lvn_workflow_destroy(pipeline->workflow);
  lvn_notify_destroy(pipeline->notify);
  lvn_assembly_destroy(pipeline->assembly);
  lvn_ingest_destroy(pipeline->ingest);
  lvn_clock_step_destroy(pipeline->clock_step);
  lvn_free(pipeline);
}
