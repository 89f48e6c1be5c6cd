/* The listening TCP socket of the receiver. */
#ifndef LVN_DAEMON_RECEIVER_LISTENER_H
#define LVN_DAEMON_RECEIVER_LISTENER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_LISTENER_ADDRESS_BYTES 64

/* Bind and listen on a numeric address, non-blocking. "::" takes IPv4 as well. Waits up to 2 s for a port in use. */
LVN_MUST_CHECK bool lvn_listener_open(const char *address, uint16_t port, int *ret_fd, struct lvn_error *err);

/* The next connection: blocking, close-on-exec, without Nagle's delay; its peer's numeric address, IPv4 in IPv6 as
 * IPv4. *ret_fd is -1 when none waits. */
LVN_MUST_CHECK bool lvn_listener_accept(int listen_fd, int *ret_fd, char ret_address[LVN_LISTENER_ADDRESS_BYTES],
                                        struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
