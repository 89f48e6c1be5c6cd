/* The service manager's socket is played by a real datagram socket, named in the file system and in the abstract
 * namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/notify.h"
#include "tests/unit/scratch.h"

/* `name` as in NOTIFY_SOCKET. */
static int listen_as(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  assert_in_range(length, 1, sizeof address.sun_path - 1);
  memcpy(address.sun_path, name, length);
  if (name[0] == '@') {
    address.sun_path[0] = '\0';
  }
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_true(fd >= 0);
  assert_int_equal(
      bind(fd, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)), 0);
  assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
  return fd;
}

static void assert_received(int fd, const char *wanted) {
  char text[128] = "";
  ssize_t bytes = recv(fd, text, sizeof text - 1, 0);
  assert_int_equal(bytes, (ssize_t)strlen(wanted));
  assert_string_equal(text, wanted);
}

static void test_notify__sends_one_datagram_to_a_path(void **state) {
  char folder[SCRATCH_BYTES];
  char name[SCRATCH_BYTES + 8];
  (void)state;
  (void)snprintf(name, sizeof name, "%s/notify", scratch_make(folder));
  int fd = listen_as(name);
  assert_true(lvn_notify("READY=1"));
  assert_received(fd, "READY=1");
  (void)close(fd);
  assert_false(lvn_notify("READY=1")); /* nobody listens any more */
}

static void test_notify__reaches_an_abstract_socket(void **state) {
  char name[64];
  (void)state;
  (void)snprintf(name, sizeof name, "@lvn-test-notify-%ld", (long)getpid());
  int fd = listen_as(name);
  assert_true(lvn_notify("STOPPING=1"));
  assert_received(fd, "STOPPING=1");
  (void)close(fd);
}

static void test_notify__says_when_it_reloads(void **state) {
  char name[64];
  char text[128] = "";
  (void)state;
  (void)snprintf(name, sizeof name, "@lvn-test-reload-%ld", (long)getpid());
  int fd = listen_as(name);
  assert_true(lvn_notify_reloading());
  assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
  const char start[] = "RELOADING=1\nMONOTONIC_USEC=";
  assert_memory_equal(text, start, strlen(start));
  assert_true(strspn(text + strlen(start), "0123456789") >= 4);
  (void)close(fd);
}

static void test_notify__is_silent_without_a_service_manager(void **state) {
  (void)state;
  (void)unsetenv("NOTIFY_SOCKET");
  assert_false(lvn_notify("READY=1"));
  (void)setenv("NOTIFY_SOCKET", "relative", 1);
  assert_false(lvn_notify("READY=1"));
  char long_name[200];
  memset(long_name, 'a', sizeof long_name - 1);
  long_name[0] = '/';
  long_name[sizeof long_name - 1] = '\0';
  (void)setenv("NOTIFY_SOCKET", long_name, 1);
  assert_false(lvn_notify("READY=1"));
}

static void test_notify__halves_the_watchdog_time(void **state) {
  char pid[32];
  (void)state;
  (void)unsetenv("WATCHDOG_USEC");
  (void)unsetenv("WATCHDOG_PID");
  assert_true(lvn_notify_watchdog_seconds() <= 0);
  (void)setenv("WATCHDOG_USEC", "30000000", 1);
  assert_float_equal(lvn_notify_watchdog_seconds(), 15.0, 1e-9);
  (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
  (void)setenv("WATCHDOG_PID", pid, 1);
  assert_float_equal(lvn_notify_watchdog_seconds(), 15.0, 1e-9);
  (void)setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
  assert_true(lvn_notify_watchdog_seconds() <= 0);
  (void)unsetenv("WATCHDOG_PID");
  (void)setenv("WATCHDOG_USEC", "30s", 1);
  assert_true(lvn_notify_watchdog_seconds() <= 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_notify__sends_one_datagram_to_a_path),
      cmocka_unit_test(test_notify__reaches_an_abstract_socket),
      cmocka_unit_test(test_notify__says_when_it_reloads),
      cmocka_unit_test(test_notify__is_silent_without_a_service_manager),
      cmocka_unit_test(test_notify__halves_the_watchdog_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
