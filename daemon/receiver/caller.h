/* Whose certificate a caller shows: one that a peer's `certificate` names is that peer's and nobody else's. Immutable;
 * any thread. */
#ifndef LVN_DAEMON_RECEIVER_CALLER_H
#define LVN_DAEMON_RECEIVER_CALLER_H

#include "base/tls/tls.h"
#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* May `peer` call with this certificate (NULL: without TLS)? NULL: yes; else why not. */
const char *lvn_caller_refuse(const struct lvn_config *config, const struct lvn_config_peer *peer,
                              const struct lvn_tls_identity *identity);
/* Is there a peer that may call from this numeric address with this certificate? */
LVN_MUST_CHECK bool lvn_caller_is_known(const struct lvn_config *config, const char *address,
                                        const struct lvn_tls_identity *identity);

#ifdef __cplusplus
}
#endif
#endif
