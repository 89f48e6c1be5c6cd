/* Certificates made in the test, and what tls.h reads them from. After cmocka.h and scratch.h. */
#ifndef LVN_TESTS_TLS_FIXTURE_H
#define LVN_TESTS_TLS_FIXTURE_H

#include "base/tls/tls.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct tls_owner {
  EVP_PKEY *key;
  X509 *certificate;
  char certificate_path[SCRATCH_BYTES + 32];
  char key_path[SCRATCH_BYTES + 32];
};

static inline void tls_extend(X509 *certificate, X509 *issuer, int kind, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
  assert_non_null(extension);
  assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

/* `issuer` NULL: by itself, an authority. `names` as "DNS:a,IP:127.0.0.1". */
static inline void tls_make(struct tls_owner *owner, const char *folder, const char *name,
                            const struct tls_owner *issuer, const char *names, long days) {
  static long serial;
  X509_NAME *subject = X509_NAME_new();
  owner->key = EVP_EC_gen("P-256");
  owner->certificate = X509_new();
  assert_non_null(owner->key);
  assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0), 1);
  X509 *made = owner->certificate;
  (void)X509_set_version(made, 2);
  (void)ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
  (void)X509_gmtime_adj(X509_getm_notBefore(made), -400L * 86400);
  (void)X509_gmtime_adj(X509_getm_notAfter(made), days * 86400);
  (void)X509_set_subject_name(made, subject);
  (void)X509_set_issuer_name(made, issuer != NULL ? X509_get_subject_name(issuer->certificate) : subject);
  (void)X509_set_pubkey(made, owner->key);
  tls_extend(made, issuer != NULL ? issuer->certificate : made, NID_basic_constraints,
             issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
  if (names != NULL) {
    tls_extend(made, issuer != NULL ? issuer->certificate : made, NID_subject_alt_name, names);
  }
  assert_true(X509_sign(made, issuer != NULL ? issuer->key : owner->key, EVP_sha256()) > 0);
  X509_NAME_free(subject);
  (void)snprintf(owner->certificate_path, sizeof owner->certificate_path, "%s/%s.pem", folder, name);
  (void)snprintf(owner->key_path, sizeof owner->key_path, "%s/%s.key", folder, name);
  FILE *file = fopen(owner->certificate_path, "we");
  assert_int_equal(PEM_write_X509(file, made), 1);
  (void)fclose(file);
  file = fopen(owner->key_path, "we");
  assert_int_equal(PEM_write_PrivateKey(file, owner->key, NULL, NULL, 0, NULL, NULL), 1);
  (void)fclose(file);
  assert_int_equal(chmod(owner->key_path, 0600), 0);
}

static inline void tls_free(struct tls_owner *owner) {
  EVP_PKEY_free(owner->key);
  X509_free(owner->certificate);
}

static inline struct lvn_tls *tls_load(const struct tls_owner *owner, const struct tls_owner *trusted) {
  struct lvn_error err = {0};
  struct lvn_tls *tls = NULL;
  const struct lvn_tls_files files = {.certificate = owner->certificate_path,
                                      .private_key = owner->key_path,
                                      .trusted_certificates = trusted->certificate_path};
  if (!lvn_tls_load(&files, &tls, &err)) {
    fail_msg("%s", err.message);
  }
  return tls;
}

#endif
