/* The worker role: takes one job at a time from the pipeline over a local socket, analyses it, answers. No network, no
 * database: it reads the objects it is given and writes into the job's output folder. A crash costs one attempt, which
 * the pipeline counted before it handed the job over. Wire: AF_UNIX stream, one JSON object a line; see docs/decisions/
 * on the process roles. */
#ifndef LVN_DAEMON_WORKER_H
#define LVN_DAEMON_WORKER_H

#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Serve until SIGTERM (the job in hand is finished first) or SIGHUP (likewise; the supervisor starts a new worker,
 * which reads the new configuration and model). When the environment has LVN_READY_FD, one byte is written to it once
 * the model is loaded. Returns the process's exit status: 0 asked to stop, 1 failed (logged in one line). */
LVN_MUST_CHECK int lvn_worker_run(const char *config_path, const struct lvn_config *config);

#ifdef __cplusplus
}
#endif
#endif
