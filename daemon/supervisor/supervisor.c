#include "daemon/supervisor/supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop/loop.h"
#include "base/memory.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <systemd/sd-daemon.h>

/* DESIGN: one thread, one loop. Everything that can block or fail happens in children; this process touches neither the
 * network nor the index nor the model, so it has nothing to lose and little to crash of. */

#define TICK_SECONDS 5.0
#define FIRST_SECONDS 35.0 /* the receiver cuts its associations after 30 */
#define ROLES_SECONDS 60.0
#define SIGNALS 4

enum phase { RUNNING, ENDING_FIRST, ENDING_ROLES, KILLING };

/* A role and what tells that it is ready. */
struct watched_role {
  struct lvn_role_child child;
  struct lvn_loop_source *ready; /* destroyed before child.ready_fd is closed */
};

struct supervisor {
  const struct lvn_supervisor_plan *plan;
  struct lvn_config *config;
  struct watched_role roles[LVN_SUPERVISOR_ROLES_MAX];
  struct lvn_loop *loop;
  struct lvn_loop_source *signals[SIGNALS];
  enum phase phase;
  double phase_until_seconds;
  bool told_ready;
  bool has_failed; /* a role that must start cannot */
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

/* The roles that may run: up to the first that must start and was not ready yet. */
static size_t count_startable(const struct supervisor *supervisor) {
  size_t count = 0;
  bool waits = false;
  for (; count < supervisor->plan->role_count && !waits; count++) {
    waits = supervisor->roles[count].child.role->must_start && !supervisor->roles[count].child.is_ready;
  }
  return count;
}

static void start_roles(struct supervisor *supervisor) {
  struct lvn_error err;
  double now = lvn_clock_monotonic_seconds();
  for (size_t i = 0; i < count_startable(supervisor); i++) {
    struct watched_role *role = &supervisor->roles[i];
    if (role->child.pid == 0 && now >= role->child.start_at_seconds && !start_role(supervisor, role, &err)) {
      lvn_log_error(LVN_LOG_ERROR, "role-not-started", &err, "child=%s", role->child.role->name);
      role->child.start_at_seconds = now + 1;
    }
  }
}

/* Of the roles that run: all, or those that end first. Signal 0 only counts them. */
static size_t signal_roles(const struct supervisor *supervisor, bool only_first, int signal_number) {
  size_t count = 0;
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    const struct lvn_role_child *child = &supervisor->roles[i].child;
    if (child->pid != 0 && (!only_first || child->role->stops_first)) {
      (void)kill(child->pid, signal_number);
      count++;
    }
  }
  return count;
}

static void begin_phase(struct supervisor *supervisor, enum phase phase, double seconds) {
  supervisor->phase = phase;
  supervisor->phase_until_seconds = lvn_clock_monotonic_seconds() + seconds;
}

static void reap(struct supervisor *supervisor) {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    for (size_t i = 0; i < supervisor->plan->role_count; i++) {
      if (supervisor->roles[i].child.pid == pid) {
        lvn_loop_source_destroy(supervisor->roles[i].ready);
        supervisor->roles[i].ready = NULL;
        if (!lvn_role_ended(&supervisor->roles[i].child, status, supervisor->phase != RUNNING)) {
          supervisor->has_failed = true;
          (void)signal_roles(supervisor, false, SIGTERM);
          begin_phase(supervisor, ENDING_ROLES, ROLES_SECONDS);
        }
      }
    }
  }
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
  lvn_config_keep_fixed(supervisor->config, fresh);
  lvn_free(supervisor->config);
  supervisor->config = fresh;
  lvn_log_setup("supervisor", lvn_log_level_from_name(fresh->log_level));
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    struct lvn_role_child *child = &supervisor->roles[i].child;
    child->reloads = child->role->restarts_on_reload;
    if (child->pid == 0) { /* what kept it from running may just have been put right */
      child->start_at_seconds = 0;
      child->pause_seconds = 0;
    }
  }
  (void)signal_roles(supervisor, false, SIGHUP);
  lvn_log(LVN_LOG_NOTICE, "event=reloaded peers=%zu", fresh->peer_count);
  (void)sd_notify(0, "READY=1\nSTATUS=");
}

static void stop(struct supervisor *supervisor, int signal_number) {
  if (supervisor->phase != RUNNING) {
    return;
  }
  (void)sd_notify(0, "STOPPING=1");
  lvn_log(LVN_LOG_NOTICE, "event=stopping signal=%d", signal_number);
  (void)signal_roles(supervisor, true, SIGTERM);
  begin_phase(supervisor, ENDING_FIRST, FIRST_SECONDS);
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

/* What has not ended within its time. */
static void kill_roles(const struct supervisor *supervisor, bool only_first, double seconds) {
  lvn_log(LVN_LOG_WARNING, "event=roles-killed count=%zu after_seconds=%.0f",
          signal_roles(supervisor, only_first, SIGKILL), seconds);
}

/* False when everything has ended. */
static bool advance_stop(struct supervisor *supervisor) {
  bool is_late = lvn_clock_monotonic_seconds() >= supervisor->phase_until_seconds;
  size_t first_count = signal_roles(supervisor, true, 0);
  if (supervisor->phase == ENDING_FIRST && (first_count == 0 || is_late)) {
    if (first_count > 0) {
      kill_roles(supervisor, true, FIRST_SECONDS);
    }
    (void)signal_roles(supervisor, false, SIGTERM);
    begin_phase(supervisor, ENDING_ROLES, ROLES_SECONDS);
  } else if (supervisor->phase == ENDING_ROLES && is_late) {
    kill_roles(supervisor, false, ROLES_SECONDS);
    begin_phase(supervisor, KILLING, ROLES_SECONDS);
  }
  return signal_roles(supervisor, false, 0) > 0;
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
  for (size_t i = 0; supervisor->phase == RUNNING && i < count_startable(supervisor); i++) {
    const struct lvn_role_child *child = &supervisor->roles[i].child;
    if (child->pid == 0 && child->start_at_seconds < until) {
      until = child->start_at_seconds;
    }
  }
  return until > now ? until - now : 0;
}

static bool run(struct supervisor *supervisor, struct lvn_error *err) {
  do {
    if (supervisor->phase == RUNNING) {
      start_roles(supervisor);
    }
    tell_ready(supervisor);
    if (!lvn_loop_wait(supervisor->loop, (int64_t)(seconds_to_wait(supervisor) * 1000) + 1, err)) {
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
  return open_loop(supervisor, err);
}

int lvn_supervisor_run(const struct lvn_supervisor_plan *plan) {
  struct lvn_error err = {0};
  struct supervisor supervisor = {.plan = plan};
  bool good = open_all(&supervisor, &err);
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "start-failed", &err, "%s", "");
  } else if (!run(&supervisor, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "supervisor-failed", &err, "%s", "");
    good = false;
  } else if (supervisor.has_failed) { /* the role said why */
    good = false;
  } else {
    lvn_log(LVN_LOG_NOTICE, "event=stopped");
  }
  close_loop(&supervisor);
  lvn_free(supervisor.config);
  return good ? 0 : 1;
}
