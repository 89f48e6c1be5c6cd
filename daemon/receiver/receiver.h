/* The role `receiver`: binds the port and forks one child per association. Touches neither the index nor the model. */
#ifndef LVN_DAEMON_RECEIVER_RECEIVER_H
#define LVN_DAEMON_RECEIVER_RECEIVER_H

#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs until SIGTERM or SIGINT: open associations may then end, for at most 30 s. Returns the exit status: 0, or 1 when
 * it could not start or go on (logged in one line). SIGHUP reads `config_path` again, for associations from then on.
 * When the environment has LVN_READY_FD, one byte is written to that descriptor once the port is bound. Must be called
 * before any thread exists, and is meant to be the process's whole life: it forks, blocks signals and reaps every
 * child. The children die with it. */
LVN_MUST_CHECK int lvn_receiver_run(const char *config_path, const struct lvn_config *config);

#ifdef __cplusplus
}
#endif
#endif
