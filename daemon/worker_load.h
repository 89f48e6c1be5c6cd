/* Runs the worker role from its module (daemon/worker/module/module.h says why it is one). */
#ifndef LVN_DAEMON_WORKER_LOAD_H
#define LVN_DAEMON_WORKER_LOAD_H

#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As lvn_worker_run(); also 1, logged in one line, when the module cannot be loaded. */
int lvn_worker_load_and_run(const char *config_path, const struct lvn_config *config);

#ifdef __cplusplus
}
#endif
#endif
