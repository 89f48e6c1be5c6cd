/* The files that [tls] names, read and checked. */
#ifndef LVN_CONFIG_CONFIG_TLS_H
#define LVN_CONFIG_CONFIG_TLS_H

#include "base/tls/tls.h"
#include "config/config.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *ret_tls is NULL where nothing is configured; else to be released. Errors as lvn_tls_load(). */
LVN_MUST_CHECK bool lvn_config_load_tls(const struct lvn_config *config, struct lvn_tls **ret_tls,
                                        struct lvn_error *err);
/* As above, for who only asks. *ret_warning is what dates have against it, which keeps no node from starting: it may
 * have peers without TLS; else empty. */
LVN_MUST_CHECK bool lvn_config_check_tls(const struct lvn_config *config, char *ret_warning, size_t warning_bytes,
                                         struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
