#include "base/tls/tls_openssl.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/tls/tls_files.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* RFC 9325 4.2.1, and the same with ChaCha20 for machines without AES instructions. TLS 1.3 has no other kind. */
#define CIPHERS_TLS12                                                                                                  \
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                           \
  "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SECURITY_LEVEL 2
#define READ_BUFFER_BYTES 262144
#define DAY_MS 86400000LL

struct lvn_tls {
  atomic_size_t holders;
  SSL_CTX *contexts[2]; /* of a requestor, of an acceptor */
  STACK_OF(X509) * chain;
  STACK_OF(X509) * trusted;
  char certificate_path[256];
  char trusted_path[256];
};

LVN_DEFINE_CLEANUP(lvn_tls, lvn_tls_release)

const char *lvn_tls_take_reason(char *text, size_t text_bytes) {
  const unsigned long code = ERR_peek_last_error();
  const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
  (void)lvn_copy(text, text_bytes, reason != NULL ? reason : "unknown reason");
  ERR_clear_error();
  return text;
}

/* Nobody resumes a session: each association shows its certificate anew, and no ticket makes an idle socket readable.
 */
static bool set_rules(SSL_CTX *context) {
  SSL_CTX_set_security_level(context, SECURITY_LEVEL);
  (void)SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, READ_BUFFER_BYTES);
  /* A single peer's certificate may be what is trusted. */
  (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  return SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, CIPHERS_TLS12) == 1;
}

/* The names of the authorities go to callers, whose software may choose its certificate by them. */
static bool set_trust(SSL_CTX *context, const STACK_OF(X509) * trusted, bool is_acceptor) {
  X509_STORE *store = SSL_CTX_get_cert_store(context);
  for (int i = 0; i < sk_X509_num(trusted); i++) {
    X509 *certificate = sk_X509_value(trusted, i);
    if (X509_STORE_add_cert(store, certificate) != 1 ||
        (is_acceptor && X509_check_ca(certificate) > 0 && SSL_CTX_add_client_CA(context, certificate) != 1)) {
      return false;
    }
  }
  return true;
}

static bool make_context(struct lvn_tls *tls, EVP_PKEY *key, bool is_acceptor, struct lvn_error *err) {
  char reason[160];
  SSL_CTX *context = SSL_CTX_new(is_acceptor ? TLS_server_method() : TLS_client_method());
  tls->contexts[is_acceptor ? 1 : 0] = context;
  if (context == NULL || !set_rules(context) || !set_trust(context, tls->trusted, is_acceptor)) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "preparing TLS: %s", lvn_tls_take_reason(reason, sizeof reason));
  }
  STACK_OF(X509) *issuers = sk_X509_dup(tls->chain);
  if (issuers == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
  }
  (void)sk_X509_shift(issuers);
  const bool good = SSL_CTX_use_cert_and_key(context, sk_X509_value(tls->chain, 0), key, issuers, 1) == 1;
  sk_X509_free(issuers);
  return good || lvn_error_set(err, LVN_ERROR_USAGE, "certificate %s cannot be used: %s", tls->certificate_path,
                               lvn_tls_take_reason(reason, sizeof reason));
}

bool lvn_tls_load(const struct lvn_tls_files *files, struct lvn_tls **ret_tls, struct lvn_error *err) {
  LVN_CLEANUP(lvn_tls_cleanup) struct lvn_tls *tls = lvn_alloc(1, sizeof *tls, err);
  EVP_PKEY *key = NULL;
  if (tls == NULL) {
    return false;
  }
  atomic_init(&tls->holders, 1);
  (void)lvn_copy(tls->certificate_path, sizeof tls->certificate_path, files->certificate);
  (void)lvn_copy(tls->trusted_path, sizeof tls->trusted_path, files->trusted_certificates);
  const bool good =
      lvn_tls_read_certificates(files->certificate, "certificate", &tls->chain, err) &&
      lvn_tls_read_certificates(files->trusted_certificates, "trusted_certificates", &tls->trusted, err) &&
      lvn_tls_read_key(files->private_key, &key, err) &&
      lvn_tls_check_pair(sk_X509_value(tls->chain, 0), key, files, err) &&
      lvn_tls_check_chain(tls->chain, tls->trusted, files, err) && make_context(tls, key, false, err) &&
      make_context(tls, key, true, err);
  EVP_PKEY_free(key);
  if (good) {
    *ret_tls = lvn_steal(&tls);
  }
  return good;
}

struct lvn_tls *lvn_tls_hold(struct lvn_tls *tls) {
  if (tls != NULL) {
    (void)atomic_fetch_add(&tls->holders, 1);
  }
  return tls;
}

void lvn_tls_release(struct lvn_tls *tls) {
  if (tls == NULL || atomic_fetch_sub(&tls->holders, 1) != 1) {
    return;
  }
  SSL_CTX_free(tls->contexts[0]);
  SSL_CTX_free(tls->contexts[1]);
  sk_X509_pop_free(tls->chain, X509_free);
  sk_X509_pop_free(tls->trusted, X509_free);
  lvn_free(tls);
}

SSL_CTX *lvn_tls_get_context(const struct lvn_tls *tls, bool is_acceptor) {
  return tls->contexts[is_acceptor ? 1 : 0];
}

/* ---- dates ---- */

static int64_t time_ms(const ASN1_TIME *time) {
  struct tm parts = {0};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? 1000 * (int64_t)timegm(&parts) : 0;
}

static int64_t end_ms(const X509 *certificate) {
  return time_ms(X509_get0_notAfter(certificate));
}

static int64_t begin_ms(const X509 *certificate) {
  return time_ms(X509_get0_notBefore(certificate));
}

static const X509 *find_first_end(const STACK_OF(X509) * certificates) {
  const X509 *first = sk_X509_value(certificates, 0);
  for (int i = 1; i < sk_X509_num(certificates); i++) {
    const X509 *other = sk_X509_value(certificates, i);
    first = end_ms(other) < end_ms(first) ? other : first;
  }
  return first;
}

static bool is_valid_at(const X509 *certificate, int64_t now_ms) {
  return begin_ms(certificate) <= now_ms && now_ms < end_ms(certificate);
}

static void describe_date(int64_t wall_ms, char ret_day[LVN_TIME_TEXT_BYTES]) {
  lvn_clock_format_people(wall_ms, ret_day);
  ret_day[strcspn(ret_day, " ")] = '\0';
}

static bool fail_date(const X509 *certificate, const char *path, int64_t now_ms, struct lvn_error *err) {
  char day[LVN_TIME_TEXT_BYTES];
  struct lvn_tls_identity identity;
  const bool has_begun = begin_ms(certificate) <= now_ms;
  lvn_tls_identify((X509 *)certificate, &identity);
  describe_date(has_begun ? end_ms(certificate) : begin_ms(certificate), day);
  return lvn_error_set(err, LVN_ERROR_USAGE, "%s: the certificate of %s %s %s", path, identity.subject,
                       has_begun ? "ended on" : "is not valid before", day);
}

bool lvn_tls_check_dates(const struct lvn_tls *tls, int64_t now_ms, struct lvn_error *err) {
  for (int i = 0; i < sk_X509_num(tls->chain); i++) {
    if (!is_valid_at(sk_X509_value(tls->chain, i), now_ms)) {
      return fail_date(sk_X509_value(tls->chain, i), tls->certificate_path, now_ms, err);
    }
  }
  for (int i = 0; i < sk_X509_num(tls->trusted); i++) {
    if (is_valid_at(sk_X509_value(tls->trusted, i), now_ms)) {
      return true;
    }
  }
  return fail_date(sk_X509_value(tls->trusted, 0), tls->trusted_path, now_ms, err);
}

int64_t lvn_tls_get_end_ms(const struct lvn_tls *tls) {
  return end_ms(find_first_end(tls->chain));
}

bool lvn_tls_describe_end(const struct lvn_tls *tls, int64_t now_ms, char *ret_text, size_t text_bytes) {
  const X509 *own = find_first_end(tls->chain);
  const X509 *trusted = find_first_end(tls->trusted);
  const X509 *first = end_ms(trusted) < end_ms(own) ? trusted : own;
  const int64_t rest_ms = end_ms(first) - now_ms;
  char day[LVN_TIME_TEXT_BYTES];
  struct lvn_tls_identity identity;
  ret_text[0] = '\0';
  if (rest_ms > LVN_TLS_WARNING_DAYS * DAY_MS) {
    return false;
  }
  lvn_tls_identify((X509 *)first, &identity);
  describe_date(end_ms(first), day);
  if (rest_ms <= 0) {
    (void)snprintf(ret_text, text_bytes, "the certificate of %s ended on %s", identity.subject, day);
  } else {
    (void)snprintf(ret_text, text_bytes, "the certificate of %s ends on %s, in %d days", identity.subject, day,
                   (int)(rest_ms / DAY_MS));
  }
  return true;
}

/* ---- what calls use ---- */

static pthread_mutex_t current_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct lvn_tls *current; /* guarded by the mutex */

void lvn_tls_set_current(struct lvn_tls *tls) {
  (void)pthread_mutex_lock(&current_mutex);
  struct lvn_tls *before = current;
  current = tls;
  (void)pthread_mutex_unlock(&current_mutex);
  lvn_tls_release(before);
}

struct lvn_tls *lvn_tls_hold_current(void) {
  (void)pthread_mutex_lock(&current_mutex);
  struct lvn_tls *tls = lvn_tls_hold(current);
  (void)pthread_mutex_unlock(&current_mutex);
  return tls;
}

/* ---- whose certificate it is ---- */

static void print_name(const X509_NAME *name, char *text, size_t text_bytes) {
  BIO *memory = BIO_new(BIO_s_mem());
  int length = 0;
  if (memory != NULL && X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
    length = BIO_read(memory, text, (int)text_bytes - 1);
  }
  text[length > 0 ? length : 0] = '\0';
  BIO_free(memory);
}

void lvn_tls_identify(X509 *certificate, struct lvn_tls_identity *ret_identity) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  memset(ret_identity, 0, sizeof *ret_identity);
  if (X509_digest(certificate, EVP_sha256(), digest, &length) == 1) {
    for (unsigned i = 0; i < length; i++) {
      (void)snprintf(ret_identity->fingerprint + 2 * (size_t)i, 3, "%02x", digest[i]);
    }
  }
  print_name(X509_get_subject_name(certificate), ret_identity->subject, sizeof ret_identity->subject);
  print_name(X509_get_issuer_name(certificate), ret_identity->issuer, sizeof ret_identity->issuer);
}

/* Without the blanks that people write after a comma. */
static bool is_same_subject(const char *subject, const char *wanted) {
  for (; *wanted != '\0'; wanted++, subject++) {
    if (*subject != *wanted) {
      return false;
    }
    if (*wanted == ',') {
      wanted += strspn(wanted + 1, " ");
    }
  }
  return *subject == '\0';
}

bool lvn_tls_is_wanted(const struct lvn_tls_identity *identity, const char *wanted) {
  if (strchr(wanted, '=') != NULL) {
    return is_same_subject(identity->subject, wanted);
  }
  while (*wanted != '\0') {
    size_t matched = 0;
    bool is_same = true;
    for (; *wanted != '\0' && *wanted != ','; wanted++) {
      if (*wanted != ':' && *wanted != ' ') {
        is_same = is_same && strncasecmp(wanted, identity->fingerprint + matched, 1) == 0;
        matched += is_same ? 1 : 0;
      }
    }
    if (is_same && matched == 64) {
      return true;
    }
    wanted += *wanted == ',' ? 1 : 0;
  }
  return false;
}
