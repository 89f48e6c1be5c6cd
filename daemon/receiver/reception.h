/* Connections: accepted, counted, each handed to a process of its own. Internal to the receiver. */
#ifndef LVN_DAEMON_RECEIVER_RECEPTION_H
#define LVN_DAEMON_RECEIVER_RECEPTION_H

#include "config/config.h"

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_reception;

enum { LVN_RECEPTION_PORT, LVN_RECEPTION_TLS_PORT, LVN_RECEPTION_PORTS };

/* Opens the spool, reads the files for TLS and binds the ports. `config` is copied. */
LVN_MUST_CHECK bool lvn_reception_open(const struct lvn_config *config, struct lvn_reception **ret_reception,
                                       struct lvn_error *err);
void lvn_reception_close(struct lvn_reception *reception); /* NULL is allowed; children are left alone */

/* For associations from now on; the files for TLS are read again. On failure all is as it was. */
LVN_MUST_CHECK bool lvn_reception_set_config(struct lvn_reception *reception, const struct lvn_config *config,
                                             struct lvn_error *err);

/* The descriptor of a port to wait on, -1 while nothing is to be accepted; *io_wait_seconds is lowered to when to ask
 * again. */
int lvn_reception_get_fd(const struct lvn_reception *reception, size_t port, double *io_wait_seconds);
/* Accept what waits there, a bounded number. In a forked child this does not return. */
void lvn_reception_accept(struct lvn_reception *reception, size_t port);

/* A child ended. False when it is none of ours. */
bool lvn_reception_child_ended(struct lvn_reception *reception, pid_t pid, int wait_status);
size_t lvn_reception_count(const struct lvn_reception *reception);

/* Close the ports and the connections that never became an association; the rest may finish. */
void lvn_reception_stop(struct lvn_reception *reception);
void lvn_reception_kill_all(struct lvn_reception *reception);

#ifdef __cplusplus
}
#endif
#endif
