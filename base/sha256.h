/* SHA-256 (FIPS 180-4) by OpenSSL's libcrypto: the name of every stored object, model file and job. */
#ifndef LVN_BASE_SHA256_H
#define LVN_BASE_SHA256_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SHA256_BYTES 32
#define LVN_SHA256_TEXT_BYTES 65

/* One running digest. Belongs to one thread at a time. */
struct lvn_sha256;
LVN_MUST_CHECK bool lvn_sha256_create(struct lvn_sha256 **ret_digest, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_sha256_update(struct lvn_sha256 *digest, const void *data, size_t bytes, struct lvn_error *err);
/* Gives the digest and starts over. */
LVN_MUST_CHECK bool lvn_sha256_finish(struct lvn_sha256 *digest, uint8_t ret_sha256[LVN_SHA256_BYTES],
                                      struct lvn_error *err);
void lvn_sha256_destroy(struct lvn_sha256 *digest); /* NULL is allowed */

LVN_MUST_CHECK bool lvn_sha256_of(const void *data, size_t bytes, uint8_t ret_sha256[LVN_SHA256_BYTES],
                                  struct lvn_error *err);
LVN_MUST_CHECK bool lvn_sha256_of_file(const char *path, uint8_t ret_sha256[LVN_SHA256_BYTES], struct lvn_error *err);

void lvn_sha256_to_text(const uint8_t sha256[LVN_SHA256_BYTES], char ret_text[LVN_SHA256_TEXT_BYTES]);
/* False unless `text` is exactly 64 lower-case hexadecimal digits. */
LVN_MUST_CHECK bool lvn_sha256_from_text(const char *text, uint8_t ret_sha256[LVN_SHA256_BYTES]);

#define LVN_UID_BYTES 65

/* A UID below 2.25 (PS3.5 B.2, from the first 16 bytes of a SHA-256 with RFC 4122's version and variant bits set):
 * the same parts give the same UID, so a job that runs twice writes the same SOP instances. */
LVN_MUST_CHECK bool lvn_uid_from_parts(const char *const *parts, size_t part_count, char ret_uid[LVN_UID_BYTES],
                                       struct lvn_error *err);

/* Is `uid` 1 to 64 digits and dots, no component empty? (PS3.5 9.1; leading zeros, forbidden there, are let be.) */
LVN_MUST_CHECK bool lvn_uid_is_valid(const char *uid);

#ifdef __cplusplus
}
#endif
#endif
