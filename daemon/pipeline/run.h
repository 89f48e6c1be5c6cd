/* The role `pipeline`: sole owner of the index. Moves objects from the spool to the store, assembles studies, hands
 * jobs to workers, sends results, answers the control socket and shows metrics. */
#ifndef LVN_DAEMON_PIPELINE_RUN_H
#define LVN_DAEMON_PIPELINE_RUN_H

#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs until SIGTERM or SIGINT; returns the exit status. SIGHUP reads `config_path` again. When the environment has
 * LVN_READY_FD, one byte is written to that descriptor once the index is open and the sockets listen. Blocks signals in
 * the calling thread; meant to be the whole life of its process. */
int lvn_pipeline_run(const char *config_path, const struct lvn_config *config);

#ifdef __cplusplus
}
#endif
#endif
