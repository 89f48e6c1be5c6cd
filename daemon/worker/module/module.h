/* The worker role as a loadable module. libtorch and what it brings cost every process that links them 60 MB at start,
 * and their code has no business in a process that faces the network; so livervlmd loads them in the worker alone. */
#ifndef LVN_DAEMON_WORKER_MODULE_H
#define LVN_DAEMON_WORKER_MODULE_H

#include "base/log.h"
#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The module's file, from the folder of the program; and its one exported symbol, of the type below. */
#define LVN_WORKER_MODULE_PATH "../lib/livervlm/lvn-worker.so"
#define LVN_WORKER_MODULE_SYMBOL "lvn_worker_module_run"

/* lvn_worker_run() with logging set up in the module's own copy of the base layer. */
typedef int (*lvn_worker_module_function)(const char *config_path, const struct lvn_config *config,
                                          enum lvn_log_level most_verbose);
__attribute__((visibility("default"))) int lvn_worker_module_run(const char *config_path,
                                                                 const struct lvn_config *config,
                                                                 enum lvn_log_level most_verbose);

#ifdef __cplusplus
}
#endif
#endif
