/* HMAC-SHA-256 (RFC 2104, FIPS 198-1) by OpenSSL's libcrypto: the signature of events. */
#ifndef LVN_BASE_HTTP_HMAC_H
#define LVN_BASE_HTTP_HMAC_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_HMAC_TEXT_BYTES 65

/* In lower-case hexadecimal digits. */
LVN_MUST_CHECK bool lvn_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t bytes,
                                    char ret_text[LVN_HMAC_TEXT_BYTES], struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
