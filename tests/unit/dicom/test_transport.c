/* Every wait on a connection ends, whoever waits for whom, and whatever the peer drips meanwhile. */
#include "dicom/net/transport/transport.h"

#include "base/clock.h"
#include "xor_layer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <sys/wait.h>

#include <cmocka.h>

static struct lvn_error err;
static struct lvn_transport *transport;
static int other_fd;
static pid_t peer;
static double start_seconds;

static void open_as(bool is_acceptor, const struct lvn_transport_layer *layer) {
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  other_fd = pair[1];
  assert_true(lvn_transport_open(pair[0], is_acceptor, layer, &transport, &err));
  start_seconds = lvn_clock_monotonic_seconds();
}

/* A peer that sends, or takes, a byte every tenth of a second. */
static void start_dripping(bool sends, const char *bytes, size_t count) {
  peer = fork();
  if (peer == 0) {
    for (size_t i = 0; i < 100; i++) {
      char byte = count > 0 ? bytes[i % count] : 'x';
      if ((sends ? send(other_fd, &byte, 1, MSG_NOSIGNAL) : recv(other_fd, &byte, 1, 0)) != 1) {
        break;
      }
      lvn_clock_sleep_seconds(0.1);
    }
    _exit(0); /* allow: the child of a test */
  }
  assert_true(peer > 0);
}

static int tear_down(void **state) {
  (void)state;
  lvn_transport_destroy(transport);
  transport = NULL;
  (void)close(other_fd);
  if (peer > 0) {
    (void)kill(peer, SIGKILL);
    (void)waitpid(peer, NULL, 0);
    peer = 0;
  }
  return 0;
}

static void assert_ended_after(double seconds) {
  const double passed = lvn_clock_monotonic_seconds() - start_seconds;
  assert_true(lvn_transport_is_late(transport));
  if (passed < seconds - 0.05 || passed > seconds + 0.6) {
    fail_msg("ended after %.2f s instead of %.2f s", passed, seconds);
  }
}

/* As a PDU is read: until all of it is there. */
static bool read_all(char *bytes, size_t count) {
  for (size_t at = 0; at < count;) {
    const ssize_t part = lvn_transport_read(transport, bytes + at, count - at);
    if (part <= 0) {
      return false;
    }
    at += (size_t)part;
  }
  return true;
}

static void test_transport__passes_bytes_in_both_directions(void **state) {
  char bytes[6] = "";
  (void)state;
  open_as(true, NULL);
  assert_true(lvn_transport_handshake(transport, &err));
  assert_int_equal(send(other_fd, "hello", 5, 0), 5);
  assert_true(read_all(bytes, 5));
  assert_string_equal(bytes, "hello");
  assert_true(lvn_transport_write(transport, "world", 5));
  assert_int_equal(recv(other_fd, bytes, 5, 0), 5);
  assert_string_equal(bytes, "world");
  assert_false(lvn_transport_wait(transport, 0));
  (void)shutdown(other_fd, SHUT_WR);
  assert_true(lvn_transport_wait(transport, 0));
  assert_int_equal(lvn_transport_read(transport, bytes, 5), 0);
  assert_false(lvn_transport_is_late(transport));
}

static void test_transport__ends_a_wait_for_a_silent_peer(void **state) {
  char byte = 0;
  (void)state;
  open_as(true, NULL);
  lvn_transport_start_wait(transport, 0.3);
  assert_false(lvn_transport_wait(transport, 100));
  assert_false(lvn_transport_is_late(transport)); /* nothing was begun that is cut */
  assert_int_equal(lvn_transport_read(transport, &byte, 1), -1);
  assert_int_equal(errno, ETIMEDOUT);
  assert_ended_after(0.3);
}

static void test_transport__ends_a_read_that_drips(void **state) {
  char bytes[64];
  (void)state;
  open_as(false, NULL);
  start_dripping(true, NULL, 0);
  lvn_transport_start_wait(transport, 0.5);
  assert_false(read_all(bytes, sizeof bytes));
  assert_ended_after(0.5);
  assert_false(lvn_transport_write(transport, "x", 1)); /* the connection is over */
}

static void test_transport__ends_a_write_that_nobody_takes(void **state) {
  static const char bytes[4 << 20];
  (void)state;
  open_as(false, NULL);
  lvn_transport_start_wait(transport, 0.3);
  assert_false(lvn_transport_write(transport, bytes, sizeof bytes));
  assert_ended_after(0.3);
}

static void test_transport__ends_a_write_that_is_taken_in_drips(void **state) {
  static const char bytes[4 << 20];
  (void)state;
  open_as(true, NULL);
  start_dripping(false, NULL, 0);
  lvn_transport_start_wait(transport, 0.5);
  assert_false(lvn_transport_write(transport, bytes, sizeof bytes));
  assert_ended_after(0.5);
}

static void test_transport__ends_all_waits_at_the_end(void **state) {
  char byte = 0;
  (void)state;
  open_as(true, NULL);
  start_dripping(true, NULL, 0);
  lvn_transport_set_end(transport, 0.5);
  do {
    lvn_transport_start_wait(transport, 0.3); /* each of which is in time */
  } while (lvn_transport_read(transport, &byte, 1) == 1);
  assert_ended_after(0.5);
}

static void test_transport__goes_on_after_a_slow_caller(void **state) {
  char byte = 0;
  (void)state;
  open_as(true, NULL);
  lvn_transport_start_wait(transport, 0.2);
  lvn_transport_end_wait(transport);
  lvn_clock_sleep_seconds(0.3); /* a slow disk is no silent peer */
  assert_int_equal(send(other_fd, "x", 1, 0), 1);
  assert_int_equal(lvn_transport_read(transport, &byte, 1), 1);
}

static void check_handshake(bool is_acceptor, bool drips) {
  open_as(is_acceptor, &xor_layer);
  if (drips) {
    start_dripping(true, "abcd", 4); /* the fourth would come after 0.3 s */
  }
  lvn_transport_set_end(transport, 0.25);
  assert_false(lvn_transport_handshake(transport, &err));
  assert_int_equal(err.code, LVN_ERROR_TIMEOUT);
  assert_ended_after(0.25);
  (void)tear_down(NULL);
}

static void test_transport__ends_a_handshake(void **state) {
  (void)state;
  for (int is_acceptor = 0; is_acceptor < 2; is_acceptor++) {
    check_handshake(is_acceptor != 0, false);
    check_handshake(is_acceptor != 0, true);
  }
}

static void test_transport__says_why_a_handshake_failed(void **state) {
  (void)state;
  open_as(true, &xor_layer);
  assert_int_equal(send(other_fd, "\x16\x03", 2, 0), 2);
  assert_false(lvn_transport_handshake(transport, &err));
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
  assert_string_equal(err.message, "the peer does not know the layer");
}

static void test_transport__fails_when_it_is_closed(void **state) {
  char byte = 0;
  (void)state;
  open_as(true, NULL);
  lvn_transport_close(transport);
  lvn_transport_close(transport);
  assert_int_equal(lvn_transport_read(transport, &byte, 1), -1);
  assert_false(lvn_transport_write(transport, "x", 1));
  assert_false(lvn_transport_wait(transport, 0));
  assert_int_equal(recv(other_fd, &byte, 1, 0), 0);
}

#define CASE(name) cmocka_unit_test_teardown(name, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_transport__passes_bytes_in_both_directions),
      CASE(test_transport__ends_a_wait_for_a_silent_peer),
      CASE(test_transport__ends_a_read_that_drips),
      CASE(test_transport__ends_a_write_that_nobody_takes),
      CASE(test_transport__ends_a_write_that_is_taken_in_drips),
      CASE(test_transport__ends_all_waits_at_the_end),
      CASE(test_transport__goes_on_after_a_slow_caller),
      CASE(test_transport__ends_a_handshake),
      CASE(test_transport__says_why_a_handshake_failed),
      CASE(test_transport__fails_when_it_is_closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
