#include "base/tls/tls_files.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/tls/tls_openssl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (8U << 20) /* a system's bundle of authorities has some 200 KB */

static bool open_file(const char *path, const char *key, BIO **ret_bio, struct stat *ret_status,
                      struct lvn_error *err) {
  if (path[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "[tls] %s is missing", key);
  }
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, ret_status) != 0) {
    (void)lvn_error_set_errno(err, errno, "[tls] %s: cannot read %s", key, path);
    err->code = LVN_ERROR_USAGE;
    return false;
  }
  if (!S_ISREG(ret_status->st_mode) || ret_status->st_size > FILE_BYTES_MAX) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "[tls] %s: %s is no file of certificates or keys", key, path);
  }
  *ret_bio = BIO_new_fd(fd, BIO_CLOSE);
  if (*ret_bio == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
  }
  fd = -1;
  return true;
}

static bool read_all(BIO *bio, const char *path, const char *key, STACK_OF(X509) * certificates,
                     struct lvn_error *err) {
  char reason[160];
  ERR_clear_error();
  for (X509 *next = NULL; (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;) {
    if (sk_X509_push(certificates, next) <= 0) {
      X509_free(next);
      return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
    }
  }
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!is_end) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "[tls] %s: certificate %d of %s is damaged: %s", key,
                         sk_X509_num(certificates) + 1, path, lvn_tls_take_reason(reason, sizeof reason));
  }
  ERR_clear_error();
  return sk_X509_num(certificates) > 0 ||
         lvn_error_set(err, LVN_ERROR_USAGE, "[tls] %s: there is no certificate (PEM) in %s", key, path);
}

bool lvn_tls_read_certificates(const char *path, const char *key, STACK_OF(X509) * *ret_certificates,
                               struct lvn_error *err) {
  BIO *bio = NULL;
  struct stat status = {0};
  if (!open_file(path, key, &bio, &status, err)) {
    return false;
  }
  STACK_OF(X509) *certificates = sk_X509_new_null();
  const bool good = certificates != NULL ? read_all(bio, path, key, certificates, err)
                                         : lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
  BIO_free(bio);
  if (!good) {
    sk_X509_pop_free(certificates, X509_free);
    return false;
  }
  *ret_certificates = certificates;
  return true;
}

/* Nobody is there to type a passphrase. */
static int note_passphrase(char *passphrase, int bytes, int is_written, void *user_data) {
  bool *is_encrypted = user_data;
  (void)passphrase;
  (void)bytes;
  (void)is_written;
  *is_encrypted = true;
  return -1;
}

bool lvn_tls_read_key(const char *path, EVP_PKEY **ret_key, struct lvn_error *err) {
  BIO *bio = NULL;
  struct stat status = {0};
  bool is_encrypted = false;
  char reason[160];
  if (!open_file(path, "private_key", &bio, &status, err)) {
    return false;
  }
  if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    BIO_free(bio);
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "[tls] private_key: others than its owner may use %s (mode %04o): chmod 0640 or 0600", path,
                         (unsigned)(status.st_mode & 07777U));
  }
  ERR_clear_error();
  *ret_key = PEM_read_bio_PrivateKey(bio, NULL, note_passphrase, &is_encrypted);
  BIO_free(bio);
  if (*ret_key != NULL) {
    return true;
  }
  if (is_encrypted) {
    ERR_clear_error();
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "[tls] private_key: %s is encrypted, and nobody is there to type the passphrase: openssl pkey "
                         "-in OLD -out NEW writes it without",
                         path);
  }
  return lvn_error_set(err, LVN_ERROR_USAGE, "[tls] private_key: there is no private key (PEM) in %s: %s", path,
                       lvn_tls_take_reason(reason, sizeof reason));
}

bool lvn_tls_check_pair(X509 *certificate, EVP_PKEY *key, const struct lvn_tls_files *files, struct lvn_error *err) {
  struct lvn_tls_identity identity;
  if (X509_check_private_key(certificate, key) == 1) {
    return true;
  }
  ERR_clear_error();
  lvn_tls_identify(certificate, &identity);
  return lvn_error_set(err, LVN_ERROR_USAGE, "[tls] private_key: %s is not the key of the first certificate in %s (%s)",
                       files->private_key, files->certificate, identity.subject);
}

static bool is_issued_by(X509 *certificate, X509 *issuer) {
  return X509_check_issued(issuer, certificate) == X509_V_OK;
}

static bool is_anchored(X509 *last, const STACK_OF(X509) * trusted) {
  if (is_issued_by(last, last)) {
    return true;
  }
  for (int i = 0; i < sk_X509_num(trusted); i++) {
    X509 *anchor = sk_X509_value(trusted, i);
    if (X509_cmp(anchor, last) == 0 || is_issued_by(last, anchor)) {
      return true;
    }
  }
  return false;
}

bool lvn_tls_check_chain(const STACK_OF(X509) * chain, const STACK_OF(X509) * trusted,
                         const struct lvn_tls_files *files, struct lvn_error *err) {
  struct lvn_tls_identity identity;
  const int count = sk_X509_num(chain);
  for (int i = 0; i + 1 < count; i++) {
    if (!is_issued_by(sk_X509_value(chain, i), sk_X509_value(chain, i + 1))) {
      lvn_tls_identify(sk_X509_value(chain, i), &identity);
      return lvn_error_set(err, LVN_ERROR_USAGE,
                           "[tls] certificate: in %s the certificate of %s is not followed by its issuer's (%s)",
                           files->certificate, identity.subject, identity.issuer);
    }
  }
  if (is_anchored(sk_X509_value(chain, count - 1), trusted)) {
    return true;
  }
  lvn_tls_identify(sk_X509_value(chain, count - 1), &identity);
  return lvn_error_set(err, LVN_ERROR_USAGE,
                       "[tls] certificate: the chain in %s is incomplete: append the certificate of %s, who issued %s",
                       files->certificate, identity.issuer, identity.subject);
}
