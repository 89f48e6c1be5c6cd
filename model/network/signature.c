/* Ed25519 over a package's manifest. */
#include "base/memory.h"
#include "model/network/package.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define SIGNATURE_BYTES 64U
#define KEY_BYTES_MAX 65536U
#define MANIFEST_BYTES_MAX (16U * 1024U * 1024U)

static void clean_key(EVP_PKEY **key) {
  EVP_PKEY_free(*key);
}

static void clean_context(EVP_MD_CTX **context) {
  EVP_MD_CTX_free(*context);
}

static void clean_bio(BIO **bio) {
  BIO_free_all(*bio);
}

/* NULL on failure. */
static EVP_PKEY *read_key(const char *path, bool is_private, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_read(path, KEY_BYTES_MAX, &data, &bytes, err)) {
    return NULL;
  }
  LVN_CLEANUP(clean_bio) BIO *bio = BIO_new_mem_buf(data, (int)bytes);
  EVP_PKEY *key = bio == NULL  ? NULL
                  : is_private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
                               : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
  ERR_clear_error();
  if (key == NULL || EVP_PKEY_id(key) != EVP_PKEY_ED25519) {
    EVP_PKEY_free(key);
    (void)lvn_error_set(err, LVN_ERROR_DATA, "'%.200s' is not an Ed25519 %s key in PEM form", path,
                        is_private ? "private" : "public");
    return NULL;
  }
  return key;
}

static bool read_manifest(const char *folder, uint8_t **ret_data, size_t *ret_bytes, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  return lvn_path_join(path, folder, LVN_PACKAGE_MANIFEST, err) &&
         lvn_file_read(path, MANIFEST_BYTES_MAX, ret_data, ret_bytes, err);
}

bool lvn_package_sign(const char *folder, const char *private_key_path, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *manifest = NULL;
  size_t bytes = 0;
  uint8_t signature[SIGNATURE_BYTES];
  size_t signature_bytes = sizeof signature;
  char path[LVN_PATH_BYTES];
  LVN_CLEANUP(clean_key) EVP_PKEY *key = read_key(private_key_path, true, err);
  if (key == NULL || !read_manifest(folder, &manifest, &bytes, err) ||
      !lvn_path_join(path, folder, LVN_PACKAGE_SIGNATURE, err)) {
    return false;
  }
  LVN_CLEANUP(clean_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestSign(context, signature, &signature_bytes, manifest, bytes) != 1) {
    ERR_clear_error();
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot sign the manifest");
  }
  return lvn_file_replace(path, signature, signature_bytes, 0644, err);
}

bool lvn_package_verify_signature(const char *folder, const char *public_key_path, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *manifest = NULL;
  LVN_AUTOFREE uint8_t *signature = NULL;
  size_t bytes = 0;
  size_t signature_bytes = 0;
  char path[LVN_PATH_BYTES];
  LVN_CLEANUP(clean_key) EVP_PKEY *key = read_key(public_key_path, false, err);
  if (key == NULL || !read_manifest(folder, &manifest, &bytes, err) ||
      !lvn_path_join(path, folder, LVN_PACKAGE_SIGNATURE, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.300s' is not signed", folder);
  }
  if (!lvn_file_read(path, SIGNATURE_BYTES, &signature, &signature_bytes, err)) {
    return false;
  }
  LVN_CLEANUP(clean_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (context == NULL || EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestVerify(context, signature, signature_bytes, manifest, bytes) != 1) {
    ERR_clear_error();
    return lvn_error_set(err, LVN_ERROR_DATA, "the signature of '%.300s' is not this key's over its manifest", folder);
  }
  return true;
}
