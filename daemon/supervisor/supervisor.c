#include "daemon/supervisor/supervisor.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/notify.h"
#include "daemon/receiver/reception.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* DESIGN: one thread, one poll(). Everything that can block or fail for long happens in children; this process touches
 * neither the database nor the model nor one byte of a peer, so it has nothing to lose and little to crash of. */

#define TURN_SECONDS 5.0
#define DRAIN_SECONDS 30.0
#define ROLES_SECONDS 60.0

enum phase { RUNNING, DRAINING, ENDING_ROLES, KILLING };

struct supervisor {
  const struct lvn_supervisor_plan *plan;
  struct lvn_config *config;
  struct lvn_reception *reception; /* NULL: another process receives */
  struct lvn_role_child children[LVN_SUPERVISOR_ROLES_MAX];
  int signal_fd;
  enum phase phase;
  double phase_until_seconds;
  bool told_ready;
  double watchdog_seconds;
  double watchdog_at_seconds;
};

static bool open_signals(struct supervisor *supervisor, struct lvn_error *err) {
  sigset_t signals;
  (void)sigemptyset(&signals);
  (void)sigaddset(&signals, SIGTERM);
  (void)sigaddset(&signals, SIGINT);
  (void)sigaddset(&signals, SIGHUP);
  (void)sigaddset(&signals, SIGCHLD);
  (void)sigprocmask(SIG_SETMASK, &signals, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would make waitpid() useless */
  supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  return supervisor->signal_fd >= 0 || lvn_error_set_errno(err, errno, "cannot wait for signals");
}

static void start_roles(struct supervisor *supervisor) {
  struct lvn_error err;
  double now = lvn_clock_monotonic_seconds();
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    struct lvn_role_child *child = &supervisor->children[i];
    if (child->pid == 0 && now >= child->start_at_seconds &&
        !lvn_role_start(child, supervisor->plan->config_path, supervisor->config, &err)) {
      lvn_log_error(LVN_LOG_ERROR, "role-not-started", &err, "child=%s", child->role->name);
      child->start_at_seconds = now + 1;
    }
  }
}

static void signal_roles(const struct supervisor *supervisor, int signal_number) {
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    if (supervisor->children[i].pid != 0) {
      (void)kill(supervisor->children[i].pid, signal_number);
    }
  }
}

static size_t count_roles(const struct supervisor *supervisor) {
  size_t count = 0;
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    count += supervisor->children[i].pid != 0;
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
      if (supervisor->children[i].pid == pid) {
        lvn_role_ended(&supervisor->children[i], status, supervisor->phase != RUNNING);
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
  (void)lvn_notify_reloading();
  if (fresh == NULL || !lvn_config_load(path, fresh, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "reload-failed", &err, "action=old-configuration-kept");
    lvn_free(fresh);
    (void)lvn_notify("READY=1\nSTATUS=The configuration file has an error; the old configuration is in force.");
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
    struct lvn_role_child *child = &supervisor->children[i];
    child->reloads = child->role->restarts_on_reload;
    if (child->pid == 0) { /* what kept it from running may just have been put right */
      child->start_at_seconds = 0;
      child->pause_seconds = 0;
    }
  }
  signal_roles(supervisor, SIGHUP);
  lvn_log(LVN_LOG_NOTICE, "event=reloaded peers=%zu", fresh->peer_count);
  (void)lvn_notify("READY=1\nSTATUS=");
}

static void begin_phase(struct supervisor *supervisor, enum phase phase, double seconds) {
  supervisor->phase = phase;
  supervisor->phase_until_seconds = lvn_clock_monotonic_seconds() + seconds;
}

static void stop(struct supervisor *supervisor, unsigned signal_number) {
  size_t open_count = 0;
  if (supervisor->phase != RUNNING) {
    return;
  }
  (void)lvn_notify("STOPPING=1");
  if (supervisor->reception != NULL) {
    lvn_reception_stop(supervisor->reception);
    open_count = lvn_reception_count(supervisor->reception);
  }
  lvn_log(LVN_LOG_NOTICE, "event=stopping signal=%u connections=%zu", signal_number, open_count);
  begin_phase(supervisor, DRAINING, DRAIN_SECONDS);
}

static void take_signals(struct supervisor *supervisor) {
  struct signalfd_siginfo info;
  while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGHUP && supervisor->phase == RUNNING) {
      reload(supervisor);
    } else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
      stop(supervisor, info.ssi_signo);
    }
  }
  reap(supervisor); /* one SIGCHLD may stand for several children */
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
    if (supervisor->children[i].role->gates_ready && !supervisor->children[i].is_ready) {
      return;
    }
  }
  if (!supervisor->told_ready && supervisor->phase == RUNNING) {
    (void)lvn_notify("READY=1");
    lvn_log(LVN_LOG_NOTICE, "event=ready");
    supervisor->told_ready = true;
  }
}

static void feed_watchdog(struct supervisor *supervisor, double *io_wait_seconds) {
  double now = lvn_clock_monotonic_seconds();
  if (supervisor->watchdog_seconds <= 0) {
    return;
  }
  if (now >= supervisor->watchdog_at_seconds) {
    (void)lvn_notify("WATCHDOG=1");
    supervisor->watchdog_at_seconds = now + supervisor->watchdog_seconds;
  }
  if (supervisor->watchdog_at_seconds - now < *io_wait_seconds) {
    *io_wait_seconds = supervisor->watchdog_at_seconds - now;
  }
}

static double seconds_to_wait(const struct supervisor *supervisor) {
  double now = lvn_clock_monotonic_seconds();
  double until = now + TURN_SECONDS;
  if (supervisor->phase != RUNNING && supervisor->phase_until_seconds < until) {
    until = supervisor->phase_until_seconds;
  }
  for (size_t i = 0; i < supervisor->plan->role_count && supervisor->phase == RUNNING; i++) {
    const struct lvn_role_child *child = &supervisor->children[i];
    if (child->pid == 0 && child->start_at_seconds < until) {
      until = child->start_at_seconds;
    }
  }
  return until > now ? until - now : 0;
}

static void turn(struct supervisor *supervisor) {
  struct pollfd polls[2 + LVN_SUPERVISOR_ROLES_MAX];
  nfds_t count = 2;
  double wait = seconds_to_wait(supervisor);
  feed_watchdog(supervisor, &wait);
  polls[0] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
  polls[1] = (struct pollfd){.fd = -1, .events = POLLIN};
  if (supervisor->reception != NULL) {
    polls[1].fd = lvn_reception_get_fd(supervisor->reception, &wait);
  }
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    polls[count++] = (struct pollfd){.fd = supervisor->children[i].ready_fd, .events = POLLIN};
  }
  if (poll(polls, count, (int)(wait * 1000) + 1) < 0) {
    return; /* EINTR: look again */
  }
  for (size_t i = 0; i < supervisor->plan->role_count; i++) {
    if (polls[2 + i].revents != 0) {
      lvn_role_read_ready(&supervisor->children[i]);
    }
  }
  if (polls[0].revents != 0) {
    take_signals(supervisor);
  }
  if (polls[1].revents != 0 && supervisor->phase == RUNNING) {
    lvn_reception_accept(supervisor->reception);
  }
}

static void run(struct supervisor *supervisor) {
  do {
    if (supervisor->phase == RUNNING) {
      start_roles(supervisor);
    }
    tell_ready(supervisor); /* before the wait: a receiver alone has nothing to wait for */
    turn(supervisor);
  } while (supervisor->phase == RUNNING || advance_stop(supervisor));
}

static bool open_all(struct supervisor *supervisor, struct lvn_error *err) {
  const struct lvn_supervisor_plan *plan = supervisor->plan;
  const struct rlimit no_core = {0, 0}; /* a core file would hold what a patient's objects hold */
  (void)setrlimit(RLIMIT_CORE, &no_core);
  supervisor->signal_fd = -1;
  supervisor->watchdog_seconds = lvn_notify_watchdog_seconds();
  for (size_t i = 0; i < plan->role_count; i++) {
    supervisor->children[i] = (struct lvn_role_child){.role = &plan->roles[i], .ready_fd = -1};
  }
  supervisor->config = lvn_alloc(1, sizeof *supervisor->config, err);
  if (supervisor->config == NULL) {
    return false;
  }
  *supervisor->config = *plan->config;
  return open_signals(supervisor, err) &&
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
    run(&supervisor);
    lvn_log(LVN_LOG_NOTICE, "event=stopped");
  } else {
    lvn_log_error(LVN_LOG_ERROR, "start-failed", &err, "%s", "");
  }
  lvn_reception_close(supervisor.reception);
  lvn_file_close_pointer(&supervisor.signal_fd);
  lvn_free(supervisor.config);
  return good ? 0 : 1;
}

int lvn_receiver_run(const char *config_path, const struct lvn_config *config) {
  const struct lvn_supervisor_plan plan = {.config_path = config_path, .config = config, .receives = true};
  return lvn_supervisor_run(&plan);
}
