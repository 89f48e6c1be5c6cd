#include "daemon/supervisor/role.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_FIRST_SECONDS 0.5
#define PAUSE_MAX_SECONDS 30.0
#define STEADY_SECONDS 60.0 /* a role that lived longer starts anew without a history */
#define READY_FD 3

static int run_child(const struct lvn_role *role, int ready_fd, const char *config_path,
                     const struct lvn_config *config) {
  char text[16];
  int kept_fd = ready_fd;
  if (ready_fd != READY_FD) {
    kept_fd = dup2(ready_fd, READY_FD);
  }
  (void)close_range(READY_FD + 1, ~0U, 0);
  (void)fcntl(kept_fd, F_SETFD, FD_CLOEXEC);
  (void)snprintf(text, sizeof text, "%d", kept_fd);
  (void)setenv("LVN_READY_FD", text, 1);
  (void)unsetenv("NOTIFY_SOCKET"); /* the service manager hears the main process alone */
  (void)unsetenv("WATCHDOG_USEC");
  lvn_log_setup(role->name, lvn_log_level_from_name(config->log_level));
  return role->run(config_path, config);
}

bool lvn_role_start(struct lvn_role_child *child, const char *config_path, const struct lvn_config *config,
                    struct lvn_error *err) {
  int fds[2];
  pid_t parent_pid = getpid();
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    return lvn_error_set_errno(err, errno, "cannot start the %s", child->role->name);
  }
  pid_t pid = fork();
  if (pid == 0) {
    int status = 1;
    /* A role that reloads in place is not ended by a reload that comes before it listens: it hears of it then. */
    if (lvn_process_enter_child(child->role->process_name, parent_pid, !child->role->restarts_on_reload)) {
      status = run_child(child->role, fds[1], config_path, config);
    }
    _exit(status); /* allow: a forked child must not run what the parent registered for its own end */
  }
  (void)close(fds[1]);
  if (pid < 0) {
    (void)lvn_error_set_errno(err, errno, "cannot start the %s", child->role->name);
    (void)close(fds[0]);
    return false;
  }
  child->pid = pid;
  child->ready_fd = fds[0];
  child->reloads = false;
  child->started_seconds = lvn_clock_monotonic_seconds();
  return true;
}

bool lvn_role_ended(struct lvn_role_child *child, int wait_status, bool is_wanted) {
  char text[32];
  double now = lvn_clock_monotonic_seconds();
  double life = now - child->started_seconds;
  if (child->ready_fd >= 0) {
    lvn_role_read_ready(child); /* its byte may still be in the pipe */
  }
  lvn_file_close_pointer(&child->ready_fd);
  child->pid = 0;
  if (is_wanted) {
    lvn_log(LVN_LOG_NOTICE, "event=role-stopped child=%s %s", child->role->name,
            lvn_process_describe_end(wait_status, text, sizeof text));
    return true;
  }
  if (child->role->must_start && !child->is_ready && WIFEXITED(wait_status) && wait_status != 0) {
    return false;
  }
  /* A role that was told so early that it had no handler yet dies of the signal itself. */
  if (child->reloads && (wait_status == 0 || (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGHUP))) {
    child->pause_seconds = 0;
    child->start_at_seconds = now;
    lvn_log(LVN_LOG_NOTICE, "event=role-reloads child=%s %s", child->role->name,
            lvn_process_describe_end(wait_status, text, sizeof text));
    return true;
  }
  if (child->pause_seconds <= 0 || life > STEADY_SECONDS) {
    child->pause_seconds = PAUSE_FIRST_SECONDS;
  } else {
    child->pause_seconds = child->pause_seconds * 2 > PAUSE_MAX_SECONDS ? PAUSE_MAX_SECONDS : child->pause_seconds * 2;
  }
  child->start_at_seconds = now + child->pause_seconds;
  lvn_log(LVN_LOG_ERROR, "event=role-ended child=%s %s lived_seconds=%.1f restart_in_seconds=%.1f", child->role->name,
          lvn_process_describe_end(wait_status, text, sizeof text), life, child->pause_seconds);
  return true;
}

void lvn_role_read_ready(struct lvn_role_child *child) {
  char byte = 0;
  if (child->ready_fd >= 0 && read(child->ready_fd, &byte, 1) == 1) {
    child->is_ready = true;
    lvn_log(LVN_LOG_NOTICE, "event=role-ready child=%s child_pid=%ld seconds=%.2f", child->role->name, (long)child->pid,
            lvn_clock_monotonic_seconds() - child->started_seconds);
  }
  lvn_file_close_pointer(&child->ready_fd);
}
