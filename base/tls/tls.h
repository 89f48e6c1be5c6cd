/* What this node shows of itself on TLS, and whom it believes: certificate, private key and trusted certificates, read
 * from PEM files, checked, and made into OpenSSL's settings. TLS 1.2 and later, forward secrecy and authenticated
 * encryption alone (RFC 9325, which BCP 195 is), security level 2: 112 bits, no SHA-1. Immutable after load, counted,
 * and shared by any number of threads and forked processes. */
#ifndef LVN_BASE_TLS_TLS_H
#define LVN_BASE_TLS_TLS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_tls;

struct lvn_tls_files {              /* paths of PEM files; borrowed */
  const char *certificate;          /* this node's, then those of its issuers */
  const char *private_key;          /* not encrypted, readable by the node alone */
  const char *trusted_certificates; /* of authorities, or of single peers */
};

/* LVN_ERROR_USAGE: one line that says what is wrong with which file, dates apart: files, their access, a key that is
 * encrypted or another's, too weak a key, a chain that ends before an authority, no trusted certificate. */
LVN_MUST_CHECK bool lvn_tls_load(const struct lvn_tls_files *files, struct lvn_tls **ret_tls, struct lvn_error *err);
struct lvn_tls *lvn_tls_hold(struct lvn_tls *tls); /* one more to release; NULL is allowed */
void lvn_tls_release(struct lvn_tls *tls);         /* NULL is allowed */

/* LVN_ERROR_USAGE: a certificate of the chain, or every trusted one, has ended or has not begun. */
LVN_MUST_CHECK bool lvn_tls_check_dates(const struct lvn_tls *tls, int64_t now_ms, struct lvn_error *err);
#define LVN_TLS_WARNING_DAYS 30
/* One sentence about the certificate that ends first, of the chain and the trusted ones, when that is within 30 days or
 * past; else false and an empty text. */
bool lvn_tls_describe_end(const struct lvn_tls *tls, int64_t now_ms, char *ret_text, size_t text_bytes);
/* When the first certificate of the own chain ends: wall clock. */
int64_t lvn_tls_get_end_ms(const struct lvn_tls *tls);

/* What calls of this process show and believe from now on: `tls` is taken; NULL: nothing. For any thread. */
void lvn_tls_set_current(struct lvn_tls *tls);
struct lvn_tls *lvn_tls_hold_current(void); /* NULL: none was set; else to be released */

/* The other side's certificate, after its chain was checked. */
struct lvn_tls_identity {
  char fingerprint[65]; /* SHA-256 of the certificate (DER), lower-case hexadecimal */
  char subject[256];    /* RFC 2253: "CN=ct1.example.org,O=Hospital" */
  char issuer[256];
};
/* Is this certificate the `wanted` one: SHA-256 fingerprints, comma-separated, with or without colons; or the whole
 * subject as RFC 2253 writes it, blanks after a comma aside. */
LVN_MUST_CHECK bool lvn_tls_is_wanted(const struct lvn_tls_identity *identity, const char *wanted);

#ifdef __cplusplus
}
#endif
#endif
