/* Words to the service manager: systemd's sd_notify(3) protocol, one datagram to the socket in NOTIFY_SOCKET. */
#ifndef LVN_BASE_NOTIFY_H
#define LVN_BASE_NOTIFY_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Send `state`, lines like "READY=1". False when there is no service manager or it could not be told; callers may
 * ignore that. Thread-safe as long as nobody changes the environment. */
bool lvn_notify(const char *state);

/* "RELOADING=1" with the time that systemd 253 and later want beside it; READY=1 must follow. */
bool lvn_notify_reloading(void);

/* Seconds between two "WATCHDOG=1" (half of what the service manager allows this process), or 0: not wanted. */
double lvn_notify_watchdog_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
