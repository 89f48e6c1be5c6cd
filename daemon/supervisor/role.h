/* A role in a process of its own, started again when it ends. */
#ifndef LVN_DAEMON_SUPERVISOR_ROLE_H
#define LVN_DAEMON_SUPERVISOR_ROLE_H

#include "base/error.h"
#include "config/config.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_role {
  const char *name;         /* in the log */
  const char *process_name; /* at most 15 characters (prctl(2), PR_SET_NAME) */
  int (*run)(const char *config_path, const struct lvn_config *config); /* returns the exit status */
  bool gates_ready;        /* the service is not ready before this role is */
  bool must_start;         /* roles after it wait until it was ready once; if it fails before, that ends all */
  bool stops_first;        /* it ends before the other roles are told to */
  bool restarts_on_reload; /* it ends at SIGHUP, to be started with the new configuration */
};

struct lvn_role_child {
  const struct lvn_role *role;
  pid_t pid;     /* 0: not running */
  int ready_fd;  /* readable when the role is ready or gone; -1 afterwards */
  bool is_ready; /* it was once */
  bool reloads;  /* it was told to: its end is no failure */
  double started_seconds;
  double start_at_seconds; /* of the monotonic clock, when it is not running */
  double pause_seconds;    /* before the next start */
};

/* Fork. In the child this function does not return. */
LVN_MUST_CHECK bool lvn_role_start(struct lvn_role_child *child, const char *config_path,
                                   const struct lvn_config *config, struct lvn_error *err);
/* waitpid() reported the child: sets when to start it again. `is_wanted`: it was told to end for good. False when there
 * is no use in starting it again: it must start, and said itself why it cannot. */
LVN_MUST_CHECK bool lvn_role_ended(struct lvn_role_child *child, int wait_status, bool is_wanted);
/* ready_fd is readable. */
void lvn_role_read_ready(struct lvn_role_child *child);

#ifdef __cplusplus
}
#endif
#endif
