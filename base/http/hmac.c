#include "base/http/hmac.h"

#include <limits.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/sha256.h"

bool lvn_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t bytes,
                     char ret_text[LVN_HMAC_TEXT_BYTES], struct lvn_error *err) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned count = 0;
  if (key_bytes > INT_MAX || HMAC(EVP_sha256(), key, (int)key_bytes, data, bytes, digest, &count) == NULL ||
      count != LVN_SHA256_BYTES) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot sign by HMAC-SHA-256");
  }
  lvn_sha256_to_text(digest, ret_text);
  return true;
}
