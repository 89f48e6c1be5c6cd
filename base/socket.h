/* Local (AF_UNIX) stream sockets by path. */
#ifndef LVN_BASE_SOCKET_H
#define LVN_BASE_SOCKET_H

#include "base/error.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A listening, non-blocking socket of mode 0600; what an earlier process left at `path` is replaced. */
LVN_MUST_CHECK bool lvn_socket_listen(const char *path, int *ret_fd, struct lvn_error *err);
/* A waiting connection, non-blocking, with the process at its other end as the kernel says, not the peer; *ret_fd -1:
 * none waits. */
LVN_MUST_CHECK bool lvn_socket_accept(int listen_fd, int *ret_fd, pid_t *ret_peer_pid, struct lvn_error *err);
/* A blocking connection. */
LVN_MUST_CHECK bool lvn_socket_connect(const char *path, int *ret_fd, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
