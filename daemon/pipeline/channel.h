/* Lines of JSON over a local socket: listening, connecting, and a buffered non-blocking channel with bounds. */
#ifndef LVN_DAEMON_PIPELINE_CHANNEL_H
#define LVN_DAEMON_PIPELINE_CHANNEL_H

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A listening AF_UNIX stream socket of mode 0600; what an earlier process left at `path` is replaced. */
LVN_MUST_CHECK bool lvn_socket_listen(const char *path, int *ret_fd, struct lvn_error *err);
/* A blocking connection. */
LVN_MUST_CHECK bool lvn_socket_connect(const char *path, int *ret_fd, struct lvn_error *err);

/* One connection. Belongs to one thread. */
struct lvn_channel;
/* Accepts a waiting connection of `listen_fd`; *ret_channel NULL when there is none. A line that is longer than
 * max_line_bytes ends the connection. */
LVN_MUST_CHECK bool lvn_channel_accept(int listen_fd, size_t max_line_bytes, struct lvn_channel **ret_channel,
                                       struct lvn_error *err);
void lvn_channel_destroy(struct lvn_channel *channel); /* closes; NULL is allowed */
int lvn_channel_get_fd(const struct lvn_channel *channel);
pid_t lvn_channel_get_peer_pid(const struct lvn_channel *channel); /* as the kernel says, not the peer */
bool lvn_channel_wants_to_write(const struct lvn_channel *channel);

/* Reads what is there. False at the end of the connection (LVN_OK) or an error. */
LVN_MUST_CHECK bool lvn_channel_receive(struct lvn_channel *channel, struct lvn_error *err);
/* The next whole line, without its newline; NULL: none yet. Valid until the next call. */
const char *lvn_channel_next_line(struct lvn_channel *channel);
/* Queues `line` and a newline, and sends what the socket takes. */
LVN_MUST_CHECK bool lvn_channel_send(struct lvn_channel *channel, const char *line, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_channel_flush(struct lvn_channel *channel, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
