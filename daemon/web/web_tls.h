/* The PEM files that the HTTP server shows and believes. */
#ifndef LVN_DAEMON_WEB_WEB_TLS_H
#define LVN_DAEMON_WEB_WEB_TLS_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_web_tls { /* text of PEM; owned */
  char *certificate;
  char *private_key;
  char *trusted; /* NULL: every client; else those with a certificate of these */
};
/* `trusted_path` NULL: no client shows a certificate. Clear it in any case. */
LVN_MUST_CHECK bool lvn_web_tls_read(const char *certificate_path, const char *key_path, const char *trusted_path,
                                     struct lvn_web_tls *ret_tls, struct lvn_error *err);
/* Replaces *io_copy. */
LVN_MUST_CHECK bool lvn_web_tls_copy(const struct lvn_web_tls *tls, struct lvn_web_tls *io_copy, struct lvn_error *err);
void lvn_web_tls_clear(struct lvn_web_tls *tls); /* wipes the key */

#ifdef __cplusplus
}
#endif
#endif
