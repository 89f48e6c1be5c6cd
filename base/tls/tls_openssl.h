/* For those who speak TLS themselves: OpenSSL's settings of a struct lvn_tls, and what its error queue says. */
#ifndef LVN_BASE_TLS_TLS_OPENSSL_H
#define LVN_BASE_TLS_TLS_OPENSSL_H

#include "base/tls/tls.h"

#include <openssl/ssl.h>

/* Borrowed. The acceptor's demands a certificate of whoever calls; the requestor's checks no name. */
SSL_CTX *lvn_tls_get_context(const struct lvn_tls *tls, bool is_acceptor);

void lvn_tls_identify(X509 *certificate, struct lvn_tls_identity *ret_identity);

/* "no shared cipher"; "unknown reason" when the queue is empty, which it is afterwards. Returns `text`. */
const char *lvn_tls_take_reason(char *text, size_t text_bytes);

#endif
