#include "daemon/supervisor/supervisor.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop/loop.h"
#include "base/memory.h"
#include "daemon/receiver/reception.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

/* DESIGN: one thread, one loop. Everything that can block or fail for long happens in children; this process touches
 * neither the database nor the model nor one byte of a peer, so it has nothing to lose and little to crash of. */

#define TICK_SECONDS 5.0
#define DRAIN_SECONDS 30.0
#define ROLES_SECONDS 60.0
#define SIGNALS 4

enum phase { RUNNING, DRAINING, ENDING_ROLES, KILLING };

/* A role and what tells that it is ready. */
struct watched_role {
  struct lvn_role_child child;
  struct lvn_loop_source *ready; /* destroyed before child.ready_fd is closed */
};

struct supervisor {
  const struct lvn_supervisor_plan *plan;
  struct lvn_config *config;
  struct lvn_reception *reception; /* NULL: another process receives */
  struct watched_role roles[LVN_SUPERVISOR_ROLES_MAX];
  struct lvn_loop *loop;
  struct lvn_loop_source *signals[SIGNALS];
  struct lvn_loop_source *connections; /* NULL while none is to be accepted */
  enum phase phase;
  double phase_until_seconds;
  bool told_ready;
};

static void read_ready(void *user_data) {
  struct watched_role *role = user_data;
  lvn_loop_source_destroy(role->ready);
  role->ready = NULL;
  lvn_role_read_ready(&role->child);
}

static bool start_role(struct supervisor *supervisor, struct watched_role *role, struct lvn_error *err) {
  if (!lvn_role_start(&role->child, supervisor->plan->config_path, supervisor->config, err)) {
    return false;
  }
  if (!lvn_loop_add_fd(supervisor->loop, role->child.ready_fd, read_ready, role, &role->ready, err)) {
    (void)kill(role->child.pid, SIGKILL); /* nobody would hear of it; it is started again */
    return false;
  }
  return true;
}

static void start_roles(struct supervisor *supervisor) {
  struct lvn_error err;
  double now = lvn_clock_monotonic_seconds();
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    struct watched_role *role = &supervisor->roles[i];
    if (role->child.pid == 0 && now >= role->child.start_at_seconds && !start_role(supervisor, role, &err)) {
      lvn_log_error(LVN_LOG_ERROR, "role-not-started", &err, "child=%s", role->child.role->name);
      role->child.start_at_seconds = now + 1;
    }
  }
}

static void signal_roles(const struct supervisor *supervisor, int signal_number) {
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    if (supervisor->roles[i].child.pid != 0) {
      (void)kill(supervisor->roles[i].child.pid, signal_number);
    }
  }
}

static size_t count_roles(const struct supervisor *supervisor) {
  size_t count = 0;
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    count += supervisor->roles[i].child.pid != 0;
  }
  return count;
}

static void reap(struct supervisor *supervisor) {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    if (supervisor->reception != NULL && lvn_reception_child_ended(supervisor->reception, pid, status)) {
      continue;
    }
    for (size_t i = 0; i < supervisor->plan->role_count; i++) {
      if (supervisor->roles[i].child.pid == pid) {
        lvn_loop_source_destroy(supervisor->roles[i].ready);
        supervisor->roles[i].ready = NULL;
        lvn_role_ended(&supervisor->roles[i].child, status, supervisor->phase != RUNNING);
      }
    }
  }
}

/* What the open socket and the open files were made from, and what the roles were started with, stays. */
static void keep_fixed_keys(const struct lvn_config *running, struct lvn_config *fresh) {
  memcpy(fresh->ae_title, running->ae_title, sizeof fresh->ae_title);
  memcpy(fresh->listen_address, running->listen_address, sizeof fresh->listen_address);
  memcpy(fresh->state_folder, running->state_folder, sizeof fresh->state_folder);
  memcpy(fresh->run_folder, running->run_folder, sizeof fresh->run_folder);
  memcpy(fresh->station_name, running->station_name, sizeof fresh->station_name);
  memcpy(fresh->web_address, running->web_address, sizeof fresh->web_address);
  fresh->port = running->port;
  fresh->web_port = running->web_port;
}

static void log_changes(const struct lvn_config *before, const struct lvn_config *after) {
  struct lvn_error err;
  char *text = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&text, &bytes);
  if (stream == NULL) {
    return;
  }
  bool good = lvn_config_print_changes(before, after, stream, &err);
  if (fclose(stream) == 0 && good) {
    for (char *line = text, *end = strchr(text, '\n'); end != NULL; line = end + 1, end = strchr(line, '\n')) {
      char quoted[1024];
      *end = '\0';
      lvn_log(LVN_LOG_NOTICE, "event=configuration-changed change=%s", lvn_log_quote(quoted, sizeof quoted, line));
    }
  }
  lvn_free(text);
}

static void reload(struct supervisor *supervisor) {
  struct lvn_error err;
  const char *path = supervisor->plan->config_path;
  struct lvn_config *fresh = lvn_alloc(1, sizeof *fresh, &err);
  /* The time is what systemd 253 and later want beside it. */
  (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%.0f", 1e6 * lvn_clock_monotonic_seconds());
  if (fresh == NULL || !lvn_config_load(path, fresh, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "reload-failed", &err, "action=old-configuration-kept");
    lvn_free(fresh);
    (void)sd_notify(0, "READY=1\nSTATUS=The configuration file has an error; the old configuration is in force.");
    return;
  }
  log_changes(supervisor->config, fresh);
  keep_fixed_keys(supervisor->config, fresh);
  lvn_free(supervisor->config);
  supervisor->config = fresh;
  lvn_log_setup(supervisor->reception != NULL ? "receiver" : "supervisor", lvn_log_level_from_name(fresh->log_level));
  if (supervisor->reception != NULL) {
    lvn_reception_set_config(supervisor->reception, fresh);
  }
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    struct lvn_role_child *child = &supervisor->roles[i].child;
    child->reloads = child->role->restarts_on_reload;
    if (child->pid == 0) { /* what kept it from running may just have been put right */
      child->start_at_seconds = 0;
      child->pause_seconds = 0;
    }
  }
  signal_roles(supervisor, SIGHUP);
  lvn_log(LVN_LOG_NOTICE, "event=reloaded peers=%zu", fresh->peer_count);
  (void)sd_notify(0, "READY=1\nSTATUS=");
}

static void begin_phase(struct supervisor *supervisor, enum phase phase, double seconds) {
  supervisor->phase = phase;
  supervisor->phase_until_seconds = lvn_clock_monotonic_seconds() + seconds;
}

/* Before the reception closes its port, or while it wants no more. */
static void stop_accepting(struct supervisor *supervisor) {
  lvn_loop_source_destroy(supervisor->connections);
  supervisor->connections = NULL;
}

static void stop(struct supervisor *supervisor, int signal_number) {
  size_t open_count = 0;
  if (supervisor->phase != RUNNING) {
    return;
  }
  (void)sd_notify(0, "STOPPING=1");
  if (supervisor->reception != NULL) {
    stop_accepting(supervisor);
    lvn_reception_stop(supervisor->reception);
    open_count = lvn_reception_count(supervisor->reception);
  }
  lvn_log(LVN_LOG_NOTICE, "event=stopping signal=%d connections=%zu", signal_number, open_count);
  begin_phase(supervisor, DRAINING, DRAIN_SECONDS);
}

static void take_signal(void *user_data, int signal_number) {
  struct supervisor *supervisor = user_data;
  if (signal_number == SIGCHLD) {
    reap(supervisor); /* it may stand for several children */
  } else if (signal_number != SIGHUP) {
    stop(supervisor, signal_number);
  } else if (supervisor->phase == RUNNING) {
    reload(supervisor);
  }
}

/* False when everything has ended. */
static bool advance_stop(struct supervisor *supervisor) {
  bool is_late = lvn_clock_monotonic_seconds() >= supervisor->phase_until_seconds;
  size_t associations = supervisor->reception != NULL ? lvn_reception_count(supervisor->reception) : 0;
  if (supervisor->phase == DRAINING && (associations == 0 || is_late)) {
    if (associations > 0) {
      lvn_log(LVN_LOG_WARNING, "event=associations-cut count=%zu after_seconds=%.0f", associations, DRAIN_SECONDS);
      lvn_reception_kill_all(supervisor->reception);
    }
    signal_roles(supervisor, SIGTERM);
    begin_phase(supervisor, ENDING_ROLES, ROLES_SECONDS);
  }
  if (supervisor->phase >= ENDING_ROLES && associations == 0 && count_roles(supervisor) == 0) {
    return false;
  }
  if (supervisor->phase == ENDING_ROLES && is_late &&
      lvn_clock_monotonic_seconds() >= supervisor->phase_until_seconds) {
    lvn_log(LVN_LOG_WARNING, "event=roles-killed count=%zu after_seconds=%.0f", count_roles(supervisor), ROLES_SECONDS);
    signal_roles(supervisor, SIGKILL);
    begin_phase(supervisor, KILLING, ROLES_SECONDS);
  }
  return true;
}

static void tell_ready(struct supervisor *supervisor) {
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    if (supervisor->roles[i].child.role->gates_ready && !supervisor->roles[i].child.is_ready) {
      return;
    }
  }
  if (!supervisor->told_ready && supervisor->phase == RUNNING) {
    (void)sd_notify(0, "READY=1");
    lvn_log(LVN_LOG_NOTICE, "event=ready");
    supervisor->told_ready = true;
  }
}

static double seconds_to_wait(const struct supervisor *supervisor) {
  double now = lvn_clock_monotonic_seconds();
  double until = now + TICK_SECONDS;
  if (supervisor->phase != RUNNING && supervisor->phase_until_seconds < until) {
    until = supervisor->phase_until_seconds;
  }
  for (size_t i = 0; i < supervisor->plan->role_count && supervisor->phase == RUNNING; i++) {
    const struct lvn_role_child *child = &supervisor->roles[i].child;
    if (child->pid == 0 && child->start_at_seconds < until) {
      until = child->start_at_seconds;
    }
  }
  return until > now ? until - now : 0;
}

static void accept_connections(void *user_data) {
  struct supervisor *supervisor = user_data;
  double ignored = 0;
  if (supervisor->phase != RUNNING || lvn_reception_get_fd(supervisor->reception, &ignored) < 0) {
    stop_accepting(supervisor);
    return;
  }
  lvn_reception_accept(supervisor->reception);
}

/* Lowers *io_wait_seconds to when connections are to be accepted again. */
static bool watch_port(struct supervisor *supervisor, double *io_wait_seconds, struct lvn_error *err) {
  int fd = supervisor->reception == NULL ? -1 : lvn_reception_get_fd(supervisor->reception, io_wait_seconds);
  if (fd < 0 || supervisor->phase != RUNNING) {
    stop_accepting(supervisor);
    return true;
  }
  return supervisor->connections != NULL ||
         lvn_loop_add_fd(supervisor->loop, fd, accept_connections, supervisor, &supervisor->connections, err);
}

static bool run(struct supervisor *supervisor, struct lvn_error *err) {
  do {
    if (supervisor->phase == RUNNING) {
      start_roles(supervisor);
    }
    tell_ready(supervisor); /* before the wait: a receiver alone has nothing to wait for */
    double wait_seconds = seconds_to_wait(supervisor);
    if (!watch_port(supervisor, &wait_seconds, err) ||
        !lvn_loop_wait(supervisor->loop, (int64_t)(wait_seconds * 1000) + 1, err)) {
      return false;
    }
  } while (supervisor->phase == RUNNING || advance_stop(supervisor));
  return true;
}

static bool open_loop(struct supervisor *supervisor, struct lvn_error *err) {
  static const int signals[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would make waitpid() useless */
  bool good = lvn_loop_create(&supervisor->loop, err) && lvn_loop_feed_watchdog(supervisor->loop, err);
  for (size_t i = 0; good && i < SIGNALS; i++) {
    good = lvn_loop_add_signal(supervisor->loop, signals[i], take_signal, supervisor, &supervisor->signals[i], err);
  }
  return good;
}

static void close_loop(struct supervisor *supervisor) {
  stop_accepting(supervisor);
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    lvn_loop_source_destroy(supervisor->roles[i].ready);
  }
  for (size_t i = 0; i < SIGNALS; i++) {
    lvn_loop_source_destroy(supervisor->signals[i]);
  }
  lvn_loop_destroy(supervisor->loop);
}

static bool open_all(struct supervisor *supervisor, struct lvn_error *err) {
  const struct lvn_supervisor_plan *plan = supervisor->plan;
  const struct rlimit no_core = {0, 0}; /* a core file would hold what a patient's objects hold */
  (void)setrlimit(RLIMIT_CORE, &no_core);
  for (size_t i = 0; i < plan->role_count; i++) {
    supervisor->roles[i].child = (struct lvn_role_child){.role = &plan->roles[i], .ready_fd = -1};
  }
  supervisor->config = lvn_alloc(1, sizeof *supervisor->config, err);
  if (supervisor->config == NULL) {
    return false;
  }
  *supervisor->config = *plan->config;
  return open_loop(supervisor, err) &&
         (!plan->receives || lvn_reception_open(plan->config, &supervisor->reception, err));
}

int lvn_supervisor_run(const struct lvn_supervisor_plan *plan) {
  struct lvn_error err = {0};
  struct supervisor supervisor = {.plan = plan};
  const struct lvn_config *config = plan->config;
  bool good = open_all(&supervisor, &err);
  if (good) {
    if (plan->receives) {
      lvn_log(LVN_LOG_NOTICE, "event=listening address=%s port=%u ae_title=\"%s\" peers=%zu", config->listen_address,
              config->port, config->ae_title, config->peer_count);
    }
    good = run(&supervisor, &err);
    if (!good) {
      lvn_log_error(LVN_LOG_ERROR, "supervisor-failed", &err, "%s", "");
    }
    lvn_log(LVN_LOG_NOTICE, "event=stopped");
  } else {
    lvn_log_error(LVN_LOG_ERROR, "start-failed", &err, "%s", "");
  }
  close_loop(&supervisor);
  lvn_reception_close(supervisor.reception);
  lvn_free(supervisor.config);
  return good ? 0 : 1;
}

int lvn_receiver_run(const char *config_path, const struct lvn_config *config) {
  const struct lvn_supervisor_plan plan = {.config_path = config_path, .config = config, .receives = true};
  return lvn_supervisor_run(&plan);
}
