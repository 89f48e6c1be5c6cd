#include "dicom/net/transport/tls_call.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/tls/tls_openssl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define TLS_HANDSHAKE_BYTE 0x16 /* RFC 8446 5.1; an A-ASSOCIATE-RQ begins with 0x01 */

struct lvn_tls_call {
  struct lvn_transport_layer layer;
  struct lvn_tls *tls;
  struct lvn_tls_acceptor acceptor;
  struct lvn_tls_expected expected;
  bool is_acceptor;
  SSL *ssl;      /* NULL before the connection and after it */
  bool is_plain; /* it was detected */
  bool is_encrypted;
  bool is_refused;
  bool has_identity;
  struct lvn_tls_identity identity;
  char refusal[512]; /* why the certificate is not taken, more precisely than OpenSSL says it */
  char problem[160];
  char negotiated[768];
};

LVN_DEFINE_CLEANUP(lvn_tls_call, lvn_tls_call_destroy)

/* ---- the socket: OpenSSL's own raises SIGPIPE ---- */

static int read_socket(BIO *bio, char *bytes, size_t capacity, size_t *ret_count) {
  const ssize_t count = recv((int)(intptr_t)BIO_get_data(bio), bytes, capacity, 0);
  BIO_clear_retry_flags(bio);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    BIO_set_retry_read(bio);
  } else if (count == 0) {
    BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  }
  *ret_count = count > 0 ? (size_t)count : 0;
  return count > 0;
}

static int write_socket(BIO *bio, const char *bytes, size_t byte_count, size_t *ret_count) {
  const ssize_t count = send((int)(intptr_t)BIO_get_data(bio), bytes, byte_count, MSG_NOSIGNAL);
  BIO_clear_retry_flags(bio);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    BIO_set_retry_write(bio);
  }
  *ret_count = count > 0 ? (size_t)count : 0;
  return count > 0;
}

static long control_socket(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  const bool is_end = command == BIO_CTRL_EOF && BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return command == BIO_CTRL_FLUSH || is_end ? 1 : 0;
}

static BIO *open_bio(int socket_fd) {
  static BIO_METHOD *method; /* of the process: made once, by whichever thread is first, and never freed */
  BIO_METHOD *made = __atomic_load_n(&method, __ATOMIC_ACQUIRE);
  if (made == NULL) {
    made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    if (made == NULL || BIO_meth_set_read_ex(made, read_socket) != 1 ||
        BIO_meth_set_write_ex(made, write_socket) != 1 || BIO_meth_set_ctrl(made, control_socket) != 1) {
      BIO_meth_free(made);
      return NULL;
    }
    BIO_METHOD *expected = NULL;
    if (!__atomic_compare_exchange_n(&method, &expected, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      BIO_meth_free(made);
      made = expected;
    }
  }
  BIO *bio = BIO_new(made);
  if (bio != NULL) {
    BIO_set_data(bio, (void *)(intptr_t)socket_fd);
    BIO_set_init(bio, 1);
  }
  return bio;
}

/* ---- whose certificate it is ---- */

/* After OpenSSL judged the chain: is it whom we expect? In the handshake, so that the other side hears an alert. */
static int judge_certificate(int is_good, X509_STORE_CTX *store) {
  const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct lvn_tls_call *call = SSL_get_app_data(ssl);
  X509 *certificate = X509_STORE_CTX_get_current_cert(store);
  const int depth = X509_STORE_CTX_get_error_depth(store);
  if (depth == 0 && certificate != NULL) {
    lvn_tls_identify(certificate, &call->identity);
    call->has_identity = true;
  }
  if (is_good != 1) {
    (void)snprintf(call->refusal, sizeof call->refusal, "%s",
                   X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    return 0;
  }
  if (depth != 0) {
    return 1;
  }
  if (call->is_acceptor) {
    is_good = call->acceptor.authorize == NULL || call->acceptor.authorize(call->acceptor.user_data, &call->identity);
    (void)lvn_copy(call->refusal, sizeof call->refusal,
                   is_good ? "" : "no peer that may call from this address has this certificate");
  } else if (call->expected.certificate != NULL && call->expected.certificate[0] != '\0') {
    is_good = lvn_tls_is_wanted(&call->identity, call->expected.certificate);
    (void)lvn_copy(call->refusal, sizeof call->refusal, is_good ? "" : "it is not the peer's certificate");
  }
  if (!is_good) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  }
  return is_good;
}

static bool expect_host(SSL *ssl, const char *host, struct lvn_error *err) {
  X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
  unsigned char address[16];
  const bool is_numeric = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const int good = is_numeric
                       ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host)
                       : X509_VERIFY_PARAM_set1_host(parameters, host, 0) && SSL_set_tlsext_host_name(ssl, host) == 1;
  return good == 1 || lvn_error_set(err, LVN_ERROR_DATA, "'%s' cannot be the name in a certificate", host);
}

/* ---- the layer ---- */

static bool open_tls(void *context, int socket_fd, bool is_acceptor, void **ret_state, struct lvn_error *err) {
  struct lvn_tls_call *call = context;
  const bool has_certificate = call->expected.certificate != NULL && call->expected.certificate[0] != '\0';
  BIO *bio = open_bio(socket_fd);
  SSL_free(call->ssl);
  call->ssl = bio != NULL ? SSL_new(lvn_tls_get_context(call->tls, is_acceptor)) : NULL;
  if (call->ssl == NULL) {
    BIO_free(bio);
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for TLS");
  }
  SSL_set_bio(call->ssl, bio, bio);
  SSL_set_app_data(call->ssl, call);
  SSL_set_verify(call->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, judge_certificate);
  if (is_acceptor) {
    SSL_set_accept_state(call->ssl);
  } else {
    SSL_set_connect_state(call->ssl);
    if (!has_certificate && !expect_host(call->ssl, call->expected.host, err)) {
      SSL_free(call->ssl);
      call->ssl = NULL;
      return false;
    }
  }
  *ret_state = call;
  return true;
}

static bool is_alert_of_peer(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
}

/* Waiting, or why it is over; errno is set. */
static ssize_t judge(struct lvn_tls_call *call, int result) {
  const int saved_errno = errno;
  char reason[sizeof call->problem - 32];
  switch (SSL_get_error(call->ssl, result)) {
  case SSL_ERROR_WANT_READ:
    return LVN_TRANSPORT_WANTS_READ;
  case SSL_ERROR_WANT_WRITE:
    return LVN_TRANSPORT_WANTS_WRITE;
  case SSL_ERROR_ZERO_RETURN:
    return 0;
  case SSL_ERROR_SSL: {
    const bool is_alert = is_alert_of_peer(ERR_peek_last_error());
    (void)snprintf(call->problem, sizeof call->problem, "%s%s", is_alert ? "the peer says " : "",
                   lvn_tls_take_reason(reason, sizeof reason));
    errno = EPROTO;
    return LVN_TRANSPORT_FAILED;
  }
  default:
    ERR_clear_error();
    errno = saved_errno == EINTR || saved_errno == 0 ? ECONNRESET : saved_errno;
    return LVN_TRANSPORT_FAILED;
  }
}

static void note_negotiated(struct lvn_tls_call *call) {
  char day[LVN_TIME_TEXT_BYTES] = "";
  struct tm end = {0};
  X509 *certificate = SSL_get0_peer_certificate(call->ssl);
  if (certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1) {
    lvn_clock_format_people(1000 * (int64_t)timegm(&end), day);
    day[strcspn(day, " ")] = '\0';
  }
  call->is_encrypted = true;
  (void)snprintf(call->negotiated, sizeof call->negotiated, "%s, %s, certificate of %s until %s",
                 SSL_get_version(call->ssl), SSL_get_cipher_name(call->ssl), call->identity.subject, day);
}

static ssize_t fail_handshake(struct lvn_tls_call *call, struct lvn_error *err) {
  call->is_refused = call->refusal[0] != '\0' || call->problem[0] != '\0';
  if (call->refusal[0] != '\0' && call->has_identity) {
    (void)lvn_error_set(err, LVN_ERROR_PROTOCOL, "TLS handshake: certificate of %s: %s", call->identity.subject,
                        call->refusal);
  } else if (call->refusal[0] != '\0') {
    (void)lvn_error_set(err, LVN_ERROR_PROTOCOL, "TLS handshake: certificate: %s", call->refusal);
  } else if (call->problem[0] != '\0') {
    (void)lvn_error_set(err, LVN_ERROR_PROTOCOL, "TLS handshake: %s", call->problem);
  } else {
    (void)lvn_error_set(err, LVN_ERROR_IO, "the peer closed the connection during the TLS handshake");
  }
  return LVN_TRANSPORT_FAILED;
}

/* 1: TLS; 0: not; else what to wait for. */
static ssize_t detect(int socket_fd) {
  unsigned char first = 0;
  const ssize_t count = recv(socket_fd, &first, 1, MSG_PEEK);
  if (count < 0) {
    return errno == EAGAIN || errno == EINTR ? LVN_TRANSPORT_WANTS_READ : 0;
  }
  return count == 1 && first == TLS_HANDSHAKE_BYTE ? 1 : 0;
}

static ssize_t shake_hands(void *state, int socket_fd, struct lvn_error *err) {
  struct lvn_tls_call *call = state;
  if (call->acceptor.detects_plain && SSL_in_before(call->ssl)) {
    const ssize_t detected = detect(socket_fd);
    if (detected != 1) {
      call->is_plain = detected == 0;
      return detected;
    }
  }
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(call->ssl);
  if (result == 1) {
    note_negotiated(call);
    return 0;
  }
  const ssize_t wanted = judge(call, result);
  return wanted == LVN_TRANSPORT_WANTS_READ || wanted == LVN_TRANSPORT_WANTS_WRITE ? wanted : fail_handshake(call, err);
}

static ssize_t judge_plain(ssize_t count, int wanted) {
  return count >= 0 ? count : errno == EAGAIN || errno == EWOULDBLOCK ? wanted : LVN_TRANSPORT_FAILED;
}

static ssize_t read_tls(void *state, int socket_fd, void *bytes, size_t capacity) {
  struct lvn_tls_call *call = state;
  size_t count = 0;
  if (call->is_plain) {
    return judge_plain(recv(socket_fd, bytes, capacity, 0), LVN_TRANSPORT_WANTS_READ);
  }
  ERR_clear_error();
  errno = 0;
  const int result = SSL_read_ex(call->ssl, bytes, capacity, &count);
  return result == 1 ? (ssize_t)count : judge(call, result);
}

static ssize_t write_tls(void *state, int socket_fd, const void *bytes, size_t byte_count) {
  struct lvn_tls_call *call = state;
  size_t count = 0;
  if (call->is_plain) {
    return judge_plain(send(socket_fd, bytes, byte_count, MSG_NOSIGNAL), LVN_TRANSPORT_WANTS_WRITE);
  }
  ERR_clear_error();
  errno = 0;
  const int result = SSL_write_ex(call->ssl, bytes, byte_count, &count);
  const ssize_t judged = result == 1 ? (ssize_t)count : judge(call, result);
  return judged == 0 ? LVN_TRANSPORT_FAILED : judged;
}

/* What is on the socket may be TLS's own: a ticket, a change of keys. */
static ssize_t look(void *state, int socket_fd) {
  struct lvn_tls_call *call = state;
  char byte = 0;
  size_t count = 0;
  if (call->is_plain) {
    return judge_plain(recv(socket_fd, &byte, 1, MSG_PEEK), LVN_TRANSPORT_WANTS_READ);
  }
  ERR_clear_error();
  errno = 0;
  const int result = SSL_peek_ex(call->ssl, &byte, 1, &count);
  return result == 1 ? (ssize_t)count : judge(call, result);
}

static void close_tls(void *state) {
  struct lvn_tls_call *call = state;
  if (call->is_encrypted && call->problem[0] == '\0') {
    (void)SSL_shutdown(call->ssl);
  }
  ERR_clear_error();
  SSL_free(call->ssl);
  call->ssl = NULL;
}

bool lvn_tls_call_create(struct lvn_tls *tls, const struct lvn_tls_acceptor *acceptor,
                         const struct lvn_tls_expected *expected, struct lvn_tls_call **ret_call,
                         struct lvn_error *err) {
  struct lvn_tls_call *call = lvn_alloc(1, sizeof *call, err);
  if (call == NULL) {
    return false;
  }
  call->tls = lvn_tls_hold(tls);
  call->is_acceptor = acceptor != NULL;
  call->acceptor = acceptor != NULL ? *acceptor : (struct lvn_tls_acceptor){0};
  call->expected = expected != NULL ? *expected : (struct lvn_tls_expected){0};
  call->layer = (struct lvn_transport_layer){.context = call,
                                             .open = open_tls,
                                             .handshake = shake_hands,
                                             .read = read_tls,
                                             .write = write_tls,
                                             .look = look,
                                             .close = close_tls};
  *ret_call = call;
  return true;
}

void lvn_tls_call_destroy(struct lvn_tls_call *call) {
  if (call != NULL) {
    SSL_free(call->ssl);
    lvn_tls_release(call->tls);
    lvn_free(call);
  }
}

const struct lvn_transport_layer *lvn_tls_call_get_layer(const struct lvn_tls_call *call) {
  return &call->layer;
}

bool lvn_tls_call_is_encrypted(const struct lvn_tls_call *call) {
  return call->is_encrypted;
}

const struct lvn_tls_identity *lvn_tls_call_get_identity(const struct lvn_tls_call *call) {
  return call->has_identity ? &call->identity : NULL;
}

bool lvn_tls_call_is_refused(const struct lvn_tls_call *call) {
  return call->is_refused;
}

const char *lvn_tls_call_get_problem(const struct lvn_tls_call *call) {
  return call->problem;
}

const char *lvn_tls_call_describe(const struct lvn_tls_call *call, char *text, size_t text_bytes) {
  (void)lvn_copy(text, text_bytes, call->is_encrypted ? call->negotiated : "no TLS");
  return text;
}
