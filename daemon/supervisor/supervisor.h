/* The supervisor: keeps the roles of its table running, follows signals and tells the service manager. */
#ifndef LVN_DAEMON_SUPERVISOR_SUPERVISOR_H
#define LVN_DAEMON_SUPERVISOR_SUPERVISOR_H

#include "config/config.h"
#include "daemon/supervisor/role.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SUPERVISOR_ROLES_MAX 4

struct lvn_supervisor_plan { /* borrowed */
  const char *config_path;
  const struct lvn_config *config;
  const struct lvn_role *roles; /* started in this order */
  size_t role_count;            /* at most LVN_SUPERVISOR_ROLES_MAX */
};

/* Runs until SIGTERM or SIGINT; returns the exit status: 0, or 1 when it, or a role that must start, could not start
 * (logged in one line). SIGHUP reads the configuration again. Must be called before any thread exists, and is meant to
 * be the process's whole life: it forks, blocks signals and reaps every child. */
LVN_MUST_CHECK int lvn_supervisor_run(const struct lvn_supervisor_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
