/* The queue's way into the repository: syslog over TLS (RFC 5425), with the certificate of [tls], on a thread of its
 * own. A message leaves the queue when the repository's machine has acknowledged its bytes; the protocol has no answer
 * of its own. While the repository is away it is asked again, at last once a minute. */
#ifndef LVN_DAEMON_AUDIT_FORWARD_H
#define LVN_DAEMON_AUDIT_FORWARD_H

#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_audit_forward;
/* `config` is copied. */
LVN_MUST_CHECK bool lvn_audit_forward_start(const struct lvn_config *config, struct lvn_audit_forward **ret_forward,
                                            struct lvn_error *err);
/* After a reload. */
void lvn_audit_forward_set_config(struct lvn_audit_forward *forward, const struct lvn_config *config);
void lvn_audit_forward_stop(
    struct lvn_audit_forward *forward); /* NULL is allowed; waits for a send that is under way */

#ifdef __cplusplus
}
#endif
#endif
