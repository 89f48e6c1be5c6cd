/* One accepted connection: the services that this node offers, and their time limits. */
#ifndef LVN_DAEMON_RECEIVER_SERVE_H
#define LVN_DAEMON_RECEIVER_SERVE_H

#include "daemon/receiver/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Serve the connection `socket_fd` (taken) of `address` to its end; one log line at the beginning and at the end. The
 * whole work of an association's process: returns its exit status. */
LVN_MUST_CHECK int lvn_serve_connection(const struct lvn_store_options *options, int socket_fd, const char *address);

#ifdef __cplusplus
}
#endif
#endif
