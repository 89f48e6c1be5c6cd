#include "analysis/dataset/pseudonym.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MESSAGE_BYTES 8192U

static bool make_key(const char *path, struct lvn_pseudonym_key *key, struct lvn_error *err) {
  char text[LVN_SHA256_TEXT_BYTES + 1];
  if (!lvn_file_random(key->bytes, sizeof key->bytes, err)) {
    return false;
  }
  lvn_sha256_to_text(key->bytes, text);
  text[LVN_SHA256_TEXT_BYTES - 1] = '\n';
  return lvn_file_replace(path, text, LVN_SHA256_TEXT_BYTES, 0600, err);
}

bool lvn_pseudonym_key_open(const char *path, struct lvn_pseudonym_key *ret_key, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *text = NULL;
  size_t bytes = 0;
  if (!lvn_file_exists(path)) {
    return make_key(path, ret_key, err) || lvn_error_prefix(err, "the pseudonyms' key");
  }
  if (!lvn_file_read(path, 4096, &text, &bytes, err)) {
    return lvn_error_prefix(err, "the pseudonyms' key");
  }
  text[strcspn((char *)text, " \r\n")] = '\0';
  return lvn_sha256_from_text((const char *)text, ret_key->bytes) ||
         lvn_error_set(err, LVN_ERROR_USAGE, "'%.300s' is not a key of 64 hexadecimal digits", path);
}

bool lvn_pseudonym(const struct lvn_pseudonym_key *key, char kind, const char *const *parts, size_t part_count,
                   char ret_name[LVN_PSEUDONYM_BYTES], struct lvn_error *err) {
  uint8_t message[MESSAGE_BYTES] = {(uint8_t)kind};
  uint8_t digest[LVN_SHA256_BYTES];
  char text[LVN_SHA256_TEXT_BYTES];
  unsigned digest_bytes = sizeof digest;
  size_t used = 1;
  for (size_t i = 0; i < part_count; i++) {
    size_t length = strlen(parts[i]) + 1; /* the NUL separates */
    if (length > sizeof message - used) {
      return lvn_error_set(err, LVN_ERROR_DATA, "a name is too long");
    }
    memcpy(message + used, parts[i], length);
    used += length;
  }
  if (HMAC(EVP_sha256(), key->bytes, (int)sizeof key->bytes, message, used, digest, &digest_bytes) == NULL) {
    ERR_clear_error();
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "a keyed digest cannot be made");
  }
  lvn_sha256_to_text(digest, text);
  (void)snprintf(ret_name, LVN_PSEUDONYM_BYTES, "%c%.16s", kind, text);
  return true;
}
