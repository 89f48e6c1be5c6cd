/* TLS over a connection, with OpenSSL itself as the other side where it must do what this node never does. */
#include "dicom/net/transport/tls_call.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"
#include "tls_fixture.h"

static struct tls_owner authority;
static struct tls_owner node;
static struct tls_owner peer;
static struct tls_owner stranger;
static struct tls_owner ended;
static struct lvn_error err;
static int pair[2];
static pid_t child;

static int set_up_all(void **state) {
  static char folder[SCRATCH_BYTES];
  (void)state;
  scratch_make(folder);
  tls_make(&authority, folder, "authority", NULL, NULL, 1000);
  tls_make(&node, folder, "node", &authority, "DNS:node.example,IP:127.0.0.1", 300);
  tls_make(&peer, folder, "peer", &authority, "DNS:peer.example,IP:10.1.2.3", 20);
  tls_make(&stranger, folder, "stranger", NULL, "DNS:peer.example", 300);
  tls_make(&ended, folder, "ended", &authority, "DNS:peer.example", -1);
  return 0;
}

static int tear_down_all(void **state) {
  (void)state;
  struct tls_owner *const owners[] = {&authority, &node, &peer, &stranger, &ended};
  for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
    tls_free(owners[i]);
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  if (child > 0) {
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    child = 0;
  }
  return 0;
}

/* The other side in a process of its own: OpenSSL's client or server with this certificate, then `go_on`. */
static void start_other(const struct tls_owner *owner, bool is_server, void (*go_on)(SSL *ssl)) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  child = fork();
  if (child == 0) {
    SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    (void)SSL_CTX_use_certificate(context, owner->certificate);
    (void)SSL_CTX_use_PrivateKey(context, owner->key);
    (void)SSL_CTX_set_num_tickets(context, 2);
    SSL *ssl = SSL_new(context);
    (void)SSL_set_fd(ssl, pair[1]);
    (void)close(pair[0]);
    if ((is_server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1) {
      go_on(ssl);
    }
    _exit(0); /* allow: the child of a test */
  }
  (void)close(pair[1]);
}

static void say_hello(SSL *ssl) {
  (void)SSL_write(ssl, "hello", 5);
  char byte = 0;
  (void)SSL_read(ssl, &byte, 1);
}

static void stay_silent(SSL *ssl) {
  (void)ssl;
  lvn_clock_sleep_seconds(20);
}

static bool accept_all(void *user_data, const struct lvn_tls_identity *identity) {
  (void)lvn_copy(user_data, 64, identity->subject);
  return true;
}

static bool accept_none(void *user_data, const struct lvn_tls_identity *identity) {
  (void)user_data;
  (void)identity;
  return false;
}

struct side {
  struct lvn_tls_call *call;
  struct lvn_transport *transport;
};

static bool shake(struct side *side, const struct lvn_tls_acceptor *acceptor, const struct lvn_tls_expected *expected) {
  struct lvn_tls *tls = tls_load(&node, &authority);
  memset(&err, 0, sizeof err);
  assert_true(lvn_tls_call_create(tls, acceptor, expected, &side->call, &err));
  lvn_tls_release(tls);
  assert_true(
      lvn_transport_open(pair[0], acceptor != NULL, lvn_tls_call_get_layer(side->call), &side->transport, &err));
  lvn_transport_set_end(side->transport, 1);
  return lvn_transport_handshake(side->transport, &err);
}

static void end(struct side *side) {
  lvn_transport_destroy(side->transport);
  lvn_tls_call_destroy(side->call);
}

static void test_tls_call__accepts_and_reads(void **state) {
  char subject[64] = "";
  char bytes[16] = "";
  char text[256];
  struct side side = {0};
  (void)state;
  start_other(&peer, false, say_hello);
  assert_true(shake(&side, &(struct lvn_tls_acceptor){.authorize = accept_all, .user_data = subject}, NULL));
  assert_string_equal(subject, "CN=peer");
  assert_true(lvn_tls_call_is_encrypted(side.call));
  assert_int_equal(lvn_transport_read(side.transport, bytes, sizeof bytes), 5);
  assert_memory_equal(bytes, "hello", 5);
  assert_non_null(strstr(lvn_tls_call_describe(side.call, text, sizeof text), "TLSv1.3, TLS_AES_256_GCM_SHA384, "));
  end(&side);
}

static void assert_acceptor_refuses(const struct tls_owner *other, const struct lvn_tls_acceptor *acceptor,
                                    const char *reason) {
  struct side side = {0};
  start_other(other, false, say_hello);
  assert_false(shake(&side, acceptor, NULL));
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
  assert_true(lvn_tls_call_is_refused(side.call));
  assert_false(lvn_tls_call_is_encrypted(side.call));
  if (strstr(err.message, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, reason);
  }
  end(&side);
  (void)tear_down(NULL);
}

static void test_tls_call__acceptor_refuses(void **state) {
  const struct lvn_tls_acceptor plain = {0};
  (void)state;
  assert_acceptor_refuses(&stranger, &plain, "certificate of CN=stranger: self-signed certificate");
  assert_acceptor_refuses(&ended, &plain, "certificate of CN=ended: certificate has expired");
  assert_acceptor_refuses(&peer, &(struct lvn_tls_acceptor){.authorize = accept_none},
                          "certificate of CN=peer: no peer that may call from this address has this certificate");
}

static void assert_requestor(const struct tls_owner *other, const char *host, const char *certificate,
                             const char *reason) {
  struct side side = {0};
  start_other(other, true, say_hello);
  const bool good = shake(&side, NULL, &(struct lvn_tls_expected){.host = host, .certificate = certificate});
  assert_int_equal(good, reason == NULL);
  if (reason != NULL && strstr(err.message, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, reason);
  }
  end(&side);
  (void)tear_down(NULL);
}

static void test_tls_call__requestor_checks_who_answers(void **state) {
  (void)state;
  assert_requestor(&peer, "peer.example", "", NULL);
  assert_requestor(&peer, "10.1.2.3", NULL, NULL);
  assert_requestor(&peer, "other.example", "", "hostname mismatch");
  assert_requestor(&peer, "10.1.2.4", "", "IP address mismatch");
  assert_requestor(&peer, "other.example", "CN=peer", NULL); /* the certificate is named: its names do not matter */
  assert_requestor(&peer, "peer.example", "CN=pee", "it is not the peer's certificate");
  assert_requestor(&stranger, "peer.example", "CN=stranger", "self-signed certificate");
  assert_requestor(&ended, "peer.example", "CN=ended", "certificate has expired");
}

/* Tickets come after the handshake: they are on the socket, and are no byte of the peer's. */
static void test_tls_call__tickets_are_nothing_to_read(void **state) {
  struct side side = {0};
  (void)state;
  start_other(&peer, true, stay_silent);
  assert_true(shake(&side, NULL, &(struct lvn_tls_expected){.certificate = "CN=peer", .host = "x"}));
  lvn_transport_set_end(side.transport, 0);
  const double start = lvn_clock_monotonic_seconds();
  assert_false(lvn_transport_wait(side.transport, 0.3));
  assert_true(lvn_clock_monotonic_seconds() - start > 0.25);
  end(&side);
}

static void test_tls_call__silence_ends_the_handshake(void **state) {
  struct side side = {0};
  const double start = lvn_clock_monotonic_seconds();
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  assert_false(shake(&side, &(struct lvn_tls_acceptor){.detects_plain = true}, NULL));
  assert_int_equal(err.code, LVN_ERROR_TIMEOUT);
  assert_true(lvn_clock_monotonic_seconds() - start < 1.5);
  assert_false(lvn_tls_call_is_refused(side.call)); /* a slow machine is no stranger */
  end(&side);
  (void)close(pair[1]);
}

static void test_tls_call__detects_what_is_plain(void **state) {
  char bytes[4] = "";
  struct side side = {0};
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  assert_int_equal(send(pair[1], "\x01\x02\x03", 3, 0), 3);
  assert_true(shake(&side, &(struct lvn_tls_acceptor){.detects_plain = true}, NULL));
  assert_false(lvn_tls_call_is_encrypted(side.call));
  assert_true(lvn_transport_wait(side.transport, 0));
  assert_int_equal(lvn_transport_read(side.transport, bytes, sizeof bytes), 3);
  assert_memory_equal(bytes, "\x01\x02\x03", 3);
  assert_true(lvn_transport_write(side.transport, "abc", 3));
  assert_int_equal(recv(pair[1], bytes, sizeof bytes, 0), 3);
  assert_false(lvn_transport_wait(side.transport, 0));
  end(&side);
  (void)close(pair[1]);

  memset(&side, 0, sizeof side); /* where TLS is all that is spoken, the same bytes end it */
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  assert_int_equal(send(pair[1], "\x01\x00\x00\x00\x00\xcd\x00\x01", 8, 0), 8);
  assert_false(shake(&side, &(struct lvn_tls_acceptor){0}, NULL));
  assert_true(lvn_tls_call_is_refused(side.call));
  end(&side);
  (void)close(pair[1]);
}

static void test_tls_call__certificates_that_are_wanted(void **state) {
  struct lvn_tls_identity identity = {.subject = "CN=ct1,O=Hospital"};
  (void)state;
  for (int i = 0; i < 32; i++) {
    (void)snprintf(identity.fingerprint + 2 * i, 3, "%02x", 0xA0 + i);
  }
  assert_true(lvn_tls_is_wanted(&identity, "CN=ct1,O=Hospital"));
  assert_true(lvn_tls_is_wanted(&identity, "CN=ct1, O=Hospital"));
  assert_false(lvn_tls_is_wanted(&identity, "CN=ct1"));
  assert_false(lvn_tls_is_wanted(&identity, "CN=ct1,O=Hospital,C=CH"));
  assert_false(lvn_tls_is_wanted(&identity, ""));
  assert_true(lvn_tls_is_wanted(&identity, identity.fingerprint));
  assert_true(lvn_tls_is_wanted(&identity, "A0:A1:A2:A3:A4:A5:A6:A7:A8:A9:AA:AB:AC:AD:AE:AF:"
                                           "B0:B1:B2:B3:B4:B5:B6:B7:B8:B9:BA:BB:BC:BD:BE:BF"));
  assert_false(lvn_tls_is_wanted(&identity, "a0a1"));
  char list[200];
  (void)snprintf(list, sizeof list, "00%.62s, %.64s", identity.fingerprint + 2, identity.fingerprint);
  assert_true(lvn_tls_is_wanted(&identity, list));
  list[64] = '\0';
  assert_false(lvn_tls_is_wanted(&identity, list));
}

static void test_tls_call__ends_are_told(void **state) {
  char text[256];
  const int64_t now_ms = lvn_clock_wall_ms();
  struct lvn_tls *tls = tls_load(&node, &authority);
  (void)state;
  assert_false(lvn_tls_describe_end(tls, now_ms, text, sizeof text));
  assert_string_equal(text, "");
  assert_true(lvn_tls_check_dates(tls, now_ms, &err));
  assert_true(lvn_tls_describe_end(tls, now_ms + 275 * 86400000LL, text, sizeof text));
  assert_non_null(strstr(text, "the certificate of CN=node ends on "));
  assert_false(lvn_tls_check_dates(tls, now_ms + 301 * 86400000LL, &err));
  assert_false(lvn_tls_check_dates(tls, now_ms - 500 * 86400000LL, &err));
  assert_true(lvn_tls_describe_end(tls, now_ms + 301 * 86400000LL, text, sizeof text));
  assert_non_null(strstr(text, "the certificate of CN=node ended on "));
  lvn_tls_release(tls);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_tls_call__accepts_and_reads, tear_down),
      cmocka_unit_test_teardown(test_tls_call__acceptor_refuses, tear_down),
      cmocka_unit_test_teardown(test_tls_call__requestor_checks_who_answers, tear_down),
      cmocka_unit_test_teardown(test_tls_call__tickets_are_nothing_to_read, tear_down),
      cmocka_unit_test_teardown(test_tls_call__silence_ends_the_handshake, tear_down),
      cmocka_unit_test_teardown(test_tls_call__detects_what_is_plain, tear_down),
      cmocka_unit_test(test_tls_call__certificates_that_are_wanted),
      cmocka_unit_test(test_tls_call__ends_are_told),
  };
  return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
