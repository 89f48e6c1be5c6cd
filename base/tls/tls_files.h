/* PEM files into OpenSSL's objects, with what is wrong in an administrator's words. Internal to base/tls. */
#ifndef LVN_BASE_TLS_TLS_FILES_H
#define LVN_BASE_TLS_TLS_FILES_H

#include "base/tls/tls.h"

#include <openssl/x509.h>

/* At least one. `key` names the configuration's key in errors. Free by sk_X509_pop_free(). */
LVN_MUST_CHECK bool lvn_tls_read_certificates(const char *path, const char *key, STACK_OF(X509) * *ret_certificates,
                                              struct lvn_error *err);
/* One that others cannot read. Free by EVP_PKEY_free(). */
LVN_MUST_CHECK bool lvn_tls_read_key(const char *path, EVP_PKEY **ret_key, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_tls_check_pair(X509 *certificate, EVP_PKEY *key, const struct lvn_tls_files *files,
                                       struct lvn_error *err);
/* Each certificate is issued by the next, the last by itself or by a trusted one, or it is trusted. */
LVN_MUST_CHECK bool lvn_tls_check_chain(const STACK_OF(X509) * chain, const STACK_OF(X509) * trusted,
                                        const struct lvn_tls_files *files, struct lvn_error *err);

#endif
