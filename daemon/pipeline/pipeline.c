#include "daemon/pipeline/pipeline.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/control.h"
#include "daemon/pipeline/pipeline_internal.h"
#include "daemon/pipeline/rebuild.h"

/* DESIGN: one thread, one loop. poll() sleeps until a socket, a signal, the spool (inotify), a sender's answer or the
 * next due time; then every part takes its turn, each idempotent and driven by the index alone, so nothing is lost when
 * an event is missed or the process is killed between two turns. */

#define TURN_MAX_MS 5000 /* also without any event: inotify may drop, clocks may jump */
#define PUBLISH_MS 1000
#define MINUTE_MS 60000
#define DRAIN_SECONDS 20.0
#define SENDER_SECONDS 10.0
#define EVENTS_PER_TURN 200U

int64_t lvn_pipeline_now_ms(void) {
  return (int64_t)(1000.0 * lvn_clock_monotonic_seconds());
}

void lvn_pipeline_wake_in(struct lvn_pipeline *pipeline, int64_t delay_ms) {
  int64_t at_ms = lvn_pipeline_now_ms() + (delay_ms < TURN_MAX_MS ? delay_ms : TURN_MAX_MS);
  if (at_ms < pipeline->wake_ms) {
    pipeline->wake_ms = at_ms;
  }
}

void lvn_pipeline_report(struct lvn_pipeline *pipeline, const char *format, ...) {
  va_list args;
  if (pipeline->problem[0] != '\0') {
    return;
  }
  va_start(args, format);
  (void)vsnprintf(pipeline->problem, sizeof pipeline->problem, format, args);
  va_end(args);
}

void lvn_pipeline_fail(struct lvn_pipeline *pipeline, struct lvn_pipeline_trouble *trouble, int64_t delay_ms,
                       const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(trouble->text, sizeof trouble->text, format, args);
  va_end(args);
  trouble->retry_ms = lvn_pipeline_now_ms() + delay_ms;
  lvn_pipeline_report(pipeline, "%s", trouble->text);
  lvn_pipeline_wake_in(pipeline, delay_ms);
}

bool lvn_pipeline_has_to_wait(struct lvn_pipeline *pipeline, struct lvn_pipeline_trouble *trouble) {
  int64_t rest_ms = trouble->retry_ms - lvn_pipeline_now_ms();
  if (trouble->text[0] == '\0' || rest_ms <= 0) {
    trouble->text[0] = '\0';
    return false;
  }
  lvn_pipeline_report(pipeline, "%s", trouble->text);
  lvn_pipeline_wake_in(pipeline, rest_ms);
  return true;
}

void lvn_pipeline_count_stage(struct lvn_pipeline *pipeline, enum lvn_pipeline_stage stage, double seconds) {
  pipeline->stats.stage_seconds[stage] += seconds > 0 ? seconds : 0;
  pipeline->stats.stage_count[stage]++;
}

static bool watch_spool(struct lvn_pipeline *pipeline, struct lvn_error *err) {
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
  return true;
}

static bool open_signals(struct lvn_pipeline *pipeline, struct lvn_error *err) {
  sigset_t signals;
  (void)sigemptyset(&signals);
  (void)sigaddset(&signals, SIGTERM);
  (void)sigaddset(&signals, SIGINT);
  (void)sigaddset(&signals, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, &signals, NULL);
  (void)signal(SIGPIPE, SIG_IGN); /* peers that go away are errors of their connection */
  pipeline->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  return pipeline->signal_fd >= 0 || lvn_error_set_errno(err, errno, "cannot wait for signals");
}

static bool listen_on(const struct lvn_pipeline *pipeline, const char *name, int *ret_fd, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  return lvn_path_join(path, pipeline->config.run_folder, name, err) && lvn_socket_listen(path, ret_fd, err);
}

/* An index without objects beside a store that has some was lost: it is made again before anything else happens. */
static bool rebuild_when_lost(struct lvn_pipeline *pipeline, struct lvn_error *err) {
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
static bool go_on_counting(struct lvn_pipeline *pipeline, struct lvn_error *err) {
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

static bool open_all(struct lvn_pipeline *pipeline, struct lvn_error *err) {
  const struct lvn_config *config = &pipeline->config;
  if (!open_signals(pipeline, err) || !lvn_file_make_folder(config->run_folder, 0700, err) ||
      !lvn_index_open(config->state_folder, config->job_attempts_max, &pipeline->index, err) ||
      !lvn_objects_open(config->state_folder, &pipeline->objects, err) ||
      !lvn_spool_open(config->state_folder, &pipeline->spool, err) ||
      !lvn_spool_recover(pipeline->spool, /* always= */ false, err) || !watch_spool(pipeline, err) ||
      !rebuild_when_lost(pipeline, err) || !go_on_counting(pipeline, err) ||
      !lvn_index_last_event_id(pipeline->index, &pipeline->last_event_id, err) ||
      !lvn_sender_create(&pipeline->sender, err) ||
      !listen_on(pipeline, LVN_CONTROL_SOCKET, &pipeline->control_fd, err) ||
      !listen_on(pipeline, LVN_WORKER_SOCKET, &pipeline->worker_fd, err)) {
    return false;
  }
  return config->web_port == 0 ||
         lvn_web_start(config->web_address, config->web_port, config->web_hosts, &pipeline->web, err);
}

static void close_all(struct lvn_pipeline *pipeline) {
  lvn_web_stop(pipeline->web);
  lvn_sender_destroy(pipeline->sender, SENDER_SECONDS);
  for (size_t i = 0; i < LVN_PIPELINE_CONTROLS_MAX; i++) {
    lvn_channel_destroy(pipeline->controls[i]);
  }
  for (size_t i = 0; i < pipeline->worker_count; i++) {
    lvn_channel_destroy(pipeline->workers[i].channel);
  }
  lvn_verdicts_clear(pipeline);
  lvn_outbound_clear(pipeline);
  lvn_file_names_clear(&pipeline->held_paths);
  lvn_spool_close(pipeline->spool);
  lvn_objects_close(pipeline->objects);
  lvn_index_close(pipeline->index);
  lvn_file_close_pointer(&pipeline->signal_fd);
  lvn_file_close_pointer(&pipeline->inotify_fd);
  lvn_file_close_pointer(&pipeline->control_fd);
  lvn_file_close_pointer(&pipeline->worker_fd);
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

static void reload(struct lvn_pipeline *pipeline) {
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

static void take_signals(struct lvn_pipeline *pipeline) {
  struct signalfd_siginfo info;
  while (read(pipeline->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      reload(pipeline);
    } else {
      lvn_log(LVN_LOG_NOTICE, "event=stopping signal=%u", info.ssi_signo);
      pipeline->stops = true;
    }
  }
}

static void drain_inotify(const struct lvn_pipeline *pipeline) {
  char events[8192];
  while (read(pipeline->inotify_fd, events, sizeof events) > 0) {
  }
}

static void log_events(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_event *events = NULL;
  size_t count = 0;
  if (!lvn_index_list_events(pipeline->index, pipeline->last_event_id, EVENTS_PER_TURN, &events, &count, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "events-unreadable", &err, "action=ignored");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const struct lvn_index_event *event = &events[i];
    lvn_log(LVN_LOG_INFO, "event=%s-state %s=%s from=%s to=%s", event->entity, event->entity, event->entity_id,
            event->from_state[0] == '\0' ? "none" : event->from_state, event->to_state);
    pipeline->last_event_id = event->event_id;
  }
  if (count == EVENTS_PER_TURN) {
    lvn_pipeline_wake_in(pipeline, 0);
  }
}

/* Names, once, each study that has waited longer than it should: it passes this minute's window only once. */
static void warn_of_waiting(struct lvn_pipeline *pipeline, int64_t now_ms) {
  struct lvn_error err;
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = "collecting"};
  int64_t limit_ms = now_ms - 1000 * (int64_t)pipeline->config.wait_warning_seconds;
  if (!lvn_index_list_studies(pipeline->index, &filter, &studies, &count, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "studies-unreadable", &err, "action=ignored");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    char reason[LVN_INDEX_MESSAGE_BYTES + 64];
    if (studies[i].last_received_ms <= limit_ms && studies[i].last_received_ms > limit_ms - MINUTE_MS) {
      lvn_log(LVN_LOG_WARNING, "event=study-waits-long study=%s reason=%s", studies[i].name,
              lvn_log_quote(reason, sizeof reason, studies[i].status_message));
    }
  }
}

static void regular_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  int64_t now_ms = lvn_pipeline_now_ms();
  lvn_retention_watch_disk(pipeline);
  if (now_ms >= pipeline->next_publish_ms) {
    if (!lvn_metrics_publish(pipeline, &err)) {
      lvn_log_error(LVN_LOG_WARNING, "metrics-failed", &err, "action=ignored");
    }
    pipeline->next_publish_ms = now_ms + PUBLISH_MS;
  }
  if (now_ms >= pipeline->next_minute_ms) {
    warn_of_waiting(pipeline, lvn_clock_wall_ms());
    lvn_retention_turn(pipeline);
    pipeline->next_minute_ms = now_ms + MINUTE_MS;
  }
  if (pipeline->web != NULL) {
    lvn_pipeline_wake_in(pipeline, pipeline->next_publish_ms - now_ms);
  }
}

static void take_turns(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  int64_t now_ms = lvn_clock_wall_ms();
  int64_t due_ms = INT64_MAX;
  pipeline->wake_ms = lvn_pipeline_now_ms() + TURN_MAX_MS;
  pipeline->problem[0] = '\0';
  lvn_clock_step_turn(pipeline);
  lvn_ingest_turn(pipeline);
  if (!pipeline->stops) {
    lvn_assembly_turn(pipeline);
  }
  lvn_verdicts_turn(pipeline);
  lvn_jobs_turn(pipeline);
  lvn_outbound_turn(pipeline);
  log_events(pipeline);
  regular_turn(pipeline);
  if (lvn_index_next_due(pipeline->index, now_ms, &due_ms, &err)) {
    lvn_pipeline_wake_in(pipeline, due_ms - now_ms);
  }
}

static size_t fill_poll(const struct lvn_pipeline *pipeline, struct pollfd *polls) {
  size_t count = 0;
  polls[count++] = (struct pollfd){.fd = pipeline->signal_fd, .events = POLLIN};
  polls[count++] = (struct pollfd){.fd = pipeline->inotify_fd, .events = POLLIN};
  polls[count++] = (struct pollfd){.fd = lvn_sender_get_fd(pipeline->sender), .events = POLLIN};
  polls[count++] = (struct pollfd){.fd = pipeline->control_fd, .events = POLLIN};
  polls[count++] = (struct pollfd){.fd = pipeline->worker_fd, .events = POLLIN};
  for (size_t i = 0; i < LVN_PIPELINE_CONTROLS_MAX + pipeline->worker_count; i++) {
    const struct lvn_channel *channel = i < LVN_PIPELINE_CONTROLS_MAX
                                            ? pipeline->controls[i]
                                            : pipeline->workers[i - LVN_PIPELINE_CONTROLS_MAX].channel;
    if (channel != NULL) {
      short events = lvn_channel_wants_to_write(channel) ? POLLIN | POLLOUT : POLLIN; /* allow: poll's own type */
      polls[count++] = (struct pollfd){.fd = lvn_channel_get_fd(channel), .events = events};
    }
  }
  return count;
}

static bool is_awake(const struct pollfd *polls, size_t count, int fd) {
  for (size_t i = 0; i < count; i++) {
    if (polls[i].fd == fd) {
      return polls[i].revents != 0;
    }
  }
  return false;
}

static void serve_sockets(struct lvn_pipeline *pipeline, const struct pollfd *polls, size_t count) {
  for (size_t i = 0; i < LVN_PIPELINE_CONTROLS_MAX; i++) {
    if (pipeline->controls[i] != NULL && is_awake(polls, count, lvn_channel_get_fd(pipeline->controls[i]))) {
      lvn_control_receive(pipeline, &pipeline->controls[i]);
    }
  }
  /* From the end: a worker that is lost is taken out of the array. */
  for (size_t i = pipeline->worker_count; i > 0; i--) {
    if (is_awake(polls, count, lvn_channel_get_fd(pipeline->workers[i - 1].channel))) {
      lvn_jobs_receive(pipeline, &pipeline->workers[i - 1]);
    }
  }
  if (is_awake(polls, count, pipeline->control_fd)) {
    lvn_control_accept(pipeline);
  }
  if (is_awake(polls, count, pipeline->worker_fd)) {
    lvn_jobs_accept(pipeline);
  }
}

static void sleep_and_serve(struct lvn_pipeline *pipeline) {
  struct pollfd polls[LVN_PIPELINE_POLL_MAX];
  size_t count = fill_poll(pipeline, polls);
  int64_t wait_ms = pipeline->wake_ms - lvn_pipeline_now_ms();
  wait_ms = wait_ms < 0 ? 0 : wait_ms > TURN_MAX_MS ? TURN_MAX_MS : wait_ms;
  if (poll(polls, count, (int)wait_ms) <= 0) {
    return;
  }
  take_signals(pipeline);
  drain_inotify(pipeline);
  serve_sockets(pipeline, polls, count);
}

static void loop(struct lvn_pipeline *pipeline) {
  double stop_at = 0;
  while (!pipeline->stops || lvn_jobs_count_running(pipeline) > 0 || lvn_sender_count_busy(pipeline->sender) > 0) {
    take_turns(pipeline);
    sleep_and_serve(pipeline);
    if (pipeline->stops && stop_at == 0) {
      stop_at = lvn_clock_monotonic_seconds() + DRAIN_SECONDS;
    }
    if (pipeline->stops) {
      lvn_pipeline_wake_in(pipeline, 100);
    }
    if (stop_at > 0 && lvn_clock_monotonic_seconds() > stop_at) {
      lvn_log(LVN_LOG_WARNING, "event=drain-ended running=%zu sending=%zu action=queued-again-at-start",
              lvn_jobs_count_running(pipeline), lvn_sender_count_busy(pipeline->sender));
      break;
    }
  }
  lvn_verdicts_turn(pipeline);
  lvn_outbound_turn(pipeline);
  log_events(pipeline);
}

int lvn_pipeline_run(const char *config_path, const struct lvn_config *config) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct lvn_pipeline *pipeline = lvn_alloc(1, sizeof *pipeline, &err);
  if (pipeline == NULL) {
    lvn_log_error(LVN_LOG_ERROR, "pipeline-failed", &err, "action=exit");
    return 1;
  }
  pipeline->config_path = config_path;
  pipeline->config = *config;
  pipeline->signal_fd = pipeline->inotify_fd = pipeline->control_fd = pipeline->worker_fd = -1;
  pipeline->started_ms = lvn_clock_wall_ms();
  pipeline->started_at_ms = lvn_pipeline_now_ms();
  pipeline->clock_lead_ms = pipeline->started_ms - pipeline->started_at_ms;
  pipeline->has_stale_waits = true;
  bool good = open_all(pipeline, &err);
  if (good) {
    lvn_log(LVN_LOG_NOTICE, "event=pipeline-ready peers=%zu", config->peer_count);
    tell_ready();
    loop(pipeline);
  } else {
    lvn_log_error(LVN_LOG_ERROR, "pipeline-failed", &err, "action=exit");
  }
  close_all(pipeline);
  return good && !pipeline->is_broken ? 0 : 1;
}
