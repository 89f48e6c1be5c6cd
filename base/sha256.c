#include "base/sha256.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

struct lvn_sha256 {
  EVP_MD_CTX *context;
};

bool lvn_sha256_create(struct lvn_sha256 **ret_digest, struct lvn_error *err) {
  struct lvn_sha256 *digest = lvn_alloc(1, sizeof *digest, err);
  if (digest == NULL) {
    return false;
  }
  digest->context = EVP_MD_CTX_new();
  if (digest->context == NULL || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
    lvn_sha256_destroy(digest);
    (void)lvn_error_set(err, LVN_ERROR_NOMEM, "libcrypto gives no SHA-256");
    return false; /* said in words: the static analyser does not know what lvn_error_set() returns */
  }
  *ret_digest = digest;
  return true;
}

bool lvn_sha256_update(struct lvn_sha256 *digest, const void *data, size_t bytes, struct lvn_error *err) {
  if (EVP_DigestUpdate(digest->context, data, bytes) != 1) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "SHA-256 update failed");
  }
  return true;
}

bool lvn_sha256_finish(struct lvn_sha256 *digest, uint8_t ret_sha256[LVN_SHA256_BYTES], struct lvn_error *err) {
  if (EVP_DigestFinal_ex(digest->context, ret_sha256, NULL) != 1 ||
      EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "SHA-256 finish failed");
  }
  return true;
}

void lvn_sha256_destroy(struct lvn_sha256 *digest) {
  if (digest != NULL) {
    EVP_MD_CTX_free(digest->context);
    lvn_free(digest);
  }
}

bool lvn_sha256_of(const void *data, size_t bytes, uint8_t ret_sha256[LVN_SHA256_BYTES], struct lvn_error *err) {
  if (EVP_Digest(data, bytes, ret_sha256, NULL, EVP_sha256(), NULL) != 1) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "SHA-256 failed");
  }
  return true;
}

static bool digest_descriptor(struct lvn_sha256 *digest, int fd, const char *path, struct lvn_error *err) {
  enum { BLOCK_BYTES = 1 << 16 };
  LVN_AUTOFREE uint8_t *block = lvn_alloc(BLOCK_BYTES, 1, err);
  if (block == NULL) {
    return false;
  }
  for (;;) {
    ssize_t got = read(fd, block, BLOCK_BYTES);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return lvn_error_set_errno(err, errno, "cannot read '%s'", path);
    }
    if (got == 0) {
      return true;
    }
    if (!lvn_sha256_update(digest, block, (size_t)got, err)) {
      return false;
    }
  }
}

bool lvn_sha256_of_file(const char *path, uint8_t ret_sha256[LVN_SHA256_BYTES], struct lvn_error *err) {
  struct lvn_sha256 *digest = NULL;
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  bool good = lvn_sha256_create(&digest, err) && digest_descriptor(digest, fd, path, err) &&
              lvn_sha256_finish(digest, ret_sha256, err);
  lvn_sha256_destroy(digest);
  return good;
}

void lvn_sha256_to_text(const uint8_t sha256[LVN_SHA256_BYTES], char ret_text[LVN_SHA256_TEXT_BYTES]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < LVN_SHA256_BYTES; i++) {
    ret_text[2 * i] = digits[sha256[i] >> 4];
    ret_text[2 * i + 1] = digits[sha256[i] & 15];
  }
  ret_text[LVN_SHA256_TEXT_BYTES - 1] = '\0';
}

static int nibble(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool lvn_sha256_from_text(const char *text, uint8_t ret_sha256[LVN_SHA256_BYTES]) {
  uint8_t parsed[LVN_SHA256_BYTES];
  if (strlen(text) != LVN_SHA256_TEXT_BYTES - 1) {
    return false;
  }
  for (size_t i = 0; i < LVN_SHA256_BYTES; i++) {
    int high = nibble(text[2 * i]);
    int low = nibble(text[2 * i + 1]);
    if (high < 0 || low < 0) {
      return false;
    }
    parsed[i] = (uint8_t)(high * 16 + low);
  }
  memcpy(ret_sha256, parsed, sizeof parsed);
  return true;
}

/* Decimal text of a 128-bit number. */
static void uid_of_number(unsigned __int128 number, char ret_uid[LVN_UID_BYTES]) {
  char reversed[40];
  size_t count = 0;
  size_t used = 5;
  do {
    reversed[count++] = (char)('0' + (int)(number % 10));
    number /= 10;
  } while (number != 0);
  memcpy(ret_uid, "2.25.", used);
  while (count > 0) {
    ret_uid[used++] = reversed[--count];
  }
  ret_uid[used] = '\0';
}

bool lvn_uid_from_parts(const char *const *parts, size_t part_count, char ret_uid[LVN_UID_BYTES],
                        struct lvn_error *err) {
  uint8_t sha256[LVN_SHA256_BYTES];
  struct lvn_sha256 *digest = NULL;
  bool good = lvn_sha256_create(&digest, err);
  for (size_t i = 0; good && i < part_count; i++) {
    /* The terminating NUL goes in too, so that ("ab", "c") and ("a", "bc") differ. */
    good = lvn_sha256_update(digest, parts[i], strlen(parts[i]) + 1, err);
  }
  good = good && lvn_sha256_finish(digest, sha256, err);
  lvn_sha256_destroy(digest);
  if (!good) {
    return false;
  }
  sha256[6] = (uint8_t)((sha256[6] & 0x0f) | 0x80); /* version 8: vendor-specific name */
  sha256[8] = (uint8_t)((sha256[8] & 0x3f) | 0x80);
  unsigned __int128 number = 0;
  for (size_t i = 0; i < 16; i++) {
    number = number << 8 | sha256[i];
  }
  uid_of_number(number, ret_uid);
  return true;
}

bool lvn_uid_is_valid(const char *uid) {
  size_t length = strlen(uid);
  bool component_start = true;
  if (length == 0 || length >= LVN_UID_BYTES) {
    return false;
  }
  for (size_t i = 0; i < length; i++) {
    if (uid[i] == '.') {
      if (component_start) {
        return false;
      }
      component_start = true;
      continue;
    }
    if (uid[i] < '0' || uid[i] > '9') {
      return false;
    }
    component_start = false;
  }
  return !component_start;
}
