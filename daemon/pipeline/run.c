#include "daemon/pipeline/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/loop/loop.h"
#include "base/memory.h"
#include "base/process.h"
#include "config/config_tls.h"
#include "daemon/audit/audit.h"
#include "daemon/audit/forward.h"
#include "daemon/pipeline/pipeline.h"
#include "daemon/pipeline/rebuild/rebuild.h"
#include "daemon/pipeline/shared/tick.h"

#define SIGNALS 3

/* What the process opens, and the pipeline that works on it. */
struct process {
  const char *config_path;
  struct lvn_config config;
  struct lvn_loop *loop;
  struct lvn_loop_source *signals[SIGNALS];
  struct lvn_index *index;
  struct lvn_objects *objects;
  struct lvn_spool *spool;
  int inotify_fd; /* of the spool */
  struct lvn_loop_source *inotify;
  struct lvn_web *web; /* NULL: off */
  struct lvn_audit_forward *audit_forward;
  struct lvn_pipeline *pipeline;
};

static bool start_web(struct process *process, struct lvn_error *err) {
  const struct lvn_config *config = &process->config;
  LVN_CLEANUP(lvn_web_tls_clear) struct lvn_web_tls tls = {0};
  const bool uses_tls = strcmp(config->web_tls, "off") != 0;
  const char *trusted = strcmp(config->web_tls, "mutual") == 0 ? config->trusted_certificates : NULL;
  if (config->web_port == 0) {
    return true;
  }
  if (uses_tls && !lvn_web_tls_read(config->certificate, config->private_key, trusted, &tls, err)) {
    return false;
  }
  if (process->web != NULL) { /* at a reload: of what it shows, the certificates alone can change */
    return !uses_tls || lvn_web_set_tls(process->web, &tls, err);
  }
  return lvn_web_start(config->web_address, config->web_port, config->web_hosts, uses_tls ? &tls : NULL, &process->web,
                       err);
}

/* For calls from now on. */
static bool use_tls(const struct lvn_config *config, struct lvn_error *err) {
  struct lvn_tls *tls = NULL;
  if (!lvn_config_load_tls(config, &tls, err)) {
    return false;
  }
  lvn_tls_set_current(tls);
  return true;
}

static void audit_changes(const struct lvn_config *before, const struct lvn_config *after, const char *path) {
  struct lvn_error ignored;
  char *changes = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&changes, &bytes);
  if (stream != NULL) {
    (void)!lvn_config_print_changes(before, after, stream, &ignored);
    (void)fclose(stream);
  }
  for (char *at = changes; at != NULL && *at != '\0'; at++) {
    *at = *at == '\n' ? ';' : *at;
  }
  lvn_audit_write(after, &(struct lvn_audit_event){.kind = LVN_AUDIT_CONFIGURATION_CHANGED,
                                                   .description = bytes > 0 ? changes : "read again",
                                                   .subject = path});
  lvn_free(changes);
}

static void reload(struct process *process) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_config *fresh = lvn_alloc(1, sizeof *fresh, &err);
  if (fresh == NULL || !lvn_config_load(process->config_path, fresh, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "reload-failed", &err, "action=old-configuration-kept");
    return;
  }
  lvn_config_keep_fixed(&process->config, fresh);
  if (!use_tls(fresh, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "reload-failed", &err, "action=old-configuration-kept");
    return;
  }
  audit_changes(&process->config, fresh, process->config_path);
  process->config = *fresh;
  lvn_audit_forward_set_config(process->audit_forward, fresh);
  if (!start_web(process, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "web-reload-failed", &err, "action=old-certificates-kept");
  }
  lvn_log_setup("pipeline", lvn_log_level_from_name(fresh->log_level));
  lvn_log(LVN_LOG_NOTICE, "event=reloaded peers=%zu settle_seconds=%u", fresh->peer_count, fresh->settle_seconds);
}

static void take_signal(void *user_data, int signal_number) {
  struct process *process = user_data;
  if (signal_number == SIGHUP) {
    reload(process);
  } else {
    lvn_log(LVN_LOG_NOTICE, "event=stopping signal=%d", signal_number);
    lvn_pipeline_stop(process->pipeline);
  }
}

/* The tick that follows looks for itself. */
static void drain_inotify(void *user_data) {
  const struct process *process = user_data;
  char events[8192];
  while (read(process->inotify_fd, events, sizeof events) > 0) {
  }
}

static bool watch_spool(struct process *process, struct lvn_error *err) {
  char open_folder[LVN_PATH_BYTES];
  const char *new_folder = lvn_spool_get_new_folder(process->spool);
  if (!lvn_path_join(open_folder, process->config.state_folder, "spool/open", err)) {
    return false;
  }
  process->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (process->inotify_fd < 0 || inotify_add_watch(process->inotify_fd, new_folder, IN_MOVED_TO | IN_CREATE) < 0 ||
      inotify_add_watch(process->inotify_fd, open_folder, IN_DELETE) < 0) {
    return lvn_error_set_errno(err, errno, "cannot watch '%s'", new_folder);
  }
  return lvn_loop_add_fd(process->loop, process->inotify_fd, drain_inotify, process, &process->inotify, err);
}

static bool open_loop(struct process *process, struct lvn_error *err) {
  static const int signals[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
  (void)signal(SIGPIPE, SIG_IGN); /* peers that go away are errors of their connection */
  bool good = lvn_loop_create(&process->loop, err);
  for (size_t i = 0; good && i < SIGNALS; i++) {
    good = lvn_loop_add_signal(process->loop, signals[i], take_signal, process, &process->signals[i], err);
  }
  return good;
}

/* An index without objects beside a store that has some was lost: it is made again before anything else happens. */
static bool rebuild_when_lost(struct process *process, struct lvn_error *err) {
  struct lvn_index_counts counts;
  struct lvn_rebuild_report report;
  if (!lvn_index_count(process->index, &counts, err)) {
    return false;
  }
  if (counts.objects > 0) {
    return true;
  }
  if (!lvn_rebuild(process->index, process->objects, &process->config, &report, err)) {
    return false;
  }
  if (report.objects > 0) {
    lvn_log(LVN_LOG_WARNING, "event=index-was-empty objects=%zu jobs=%zu action=rebuilt", report.objects, report.jobs);
  }
  return true;
}

/* Numbers of receptions go on above those of the index, also where the spool's counter was lost. */
static bool go_on_counting(struct process *process, struct lvn_error *err) {
  int64_t sequence = 0;
  struct lvn_error reason;
  if (!lvn_index_last_sequence(process->index, &sequence, err)) {
    return false;
  }
  if (!lvn_spool_raise_counter(process->spool, sequence, &reason)) { /* a full disk, which receives nothing either */
    lvn_log_error(LVN_LOG_WARNING, "counter-not-raised", &reason, "action=ignored");
  }
  return true;
}

static bool create_pipeline(struct process *process, struct lvn_error *err) {
  const struct lvn_pipeline_needs needs = {.config = &process->config,
                                           .loop = process->loop,
                                           .index = process->index,
                                           .objects = process->objects,
                                           .spool = process->spool,
                                           .web = process->web};
  return lvn_pipeline_create(&needs, &process->pipeline, err);
}

static bool open_all(struct process *process, struct lvn_error *err) {
  const struct lvn_config *config = &process->config;
  return open_loop(process, err) && lvn_file_make_folder(config->run_folder, 0700, err) &&
         lvn_index_open(config->state_folder, config->job_attempts_max, &process->index, err) &&
         lvn_objects_open(config->state_folder, &process->objects, err) &&
         lvn_spool_open(config->state_folder, &process->spool, err) &&
         lvn_spool_recover(process->spool, /* always= */ false, err) && watch_spool(process, err) &&
         rebuild_when_lost(process, err) && go_on_counting(process, err) && use_tls(config, err) &&
         start_web(process, err) && lvn_audit_forward_start(config, &process->audit_forward, err) &&
         create_pipeline(process, err);
}

static void close_all(struct process *process) {
  lvn_pipeline_destroy(process->pipeline);
  lvn_web_stop(process->web);
  lvn_audit_forward_stop(process->audit_forward);
  lvn_spool_close(process->spool);
  lvn_objects_close(process->objects);
  lvn_index_close(process->index);
  lvn_loop_source_destroy(process->inotify);
  lvn_file_close_pointer(&process->inotify_fd);
  for (size_t i = 0; i < SIGNALS; i++) {
    lvn_loop_source_destroy(process->signals[i]);
  }
  lvn_loop_destroy(process->loop);
}

static bool run(const struct process *process, struct lvn_error *err) {
  while (!lvn_pipeline_is_done(process->pipeline)) {
    int64_t wait_ms = lvn_pipeline_tick(process->pipeline) - lvn_tick_now_ms();
    if (!lvn_loop_wait(process->loop, wait_ms < 0 ? 0 : wait_ms, err)) {
      return false;
    }
  }
  (void)lvn_pipeline_tick(process->pipeline); /* what came last */
  return true;
}

int lvn_pipeline_run(const char *config_path, const struct lvn_config *config) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct process *process = lvn_alloc(1, sizeof *process, &err);
  if (process == NULL) {
    lvn_log_error(LVN_LOG_ERROR, "pipeline-failed", &err, "action=exit");
    return 1;
  }
  process->config_path = config_path;
  process->config = *config;
  process->inotify_fd = -1;
  bool good = open_all(process, &err);
  if (good) {
    lvn_log(LVN_LOG_NOTICE, "event=pipeline-ready peers=%zu", config->peer_count);
    lvn_process_tell_ready();
    good = run(process, &err);
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "pipeline-failed", &err, "action=exit");
  }
  good = good && !lvn_pipeline_is_broken(process->pipeline);
  close_all(process);
  return good ? 0 : 1;
}
