/* The event loop on real descriptors, signals and a service manager's socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop/loop.h"

static struct lvn_error err;
static struct lvn_loop *loop;
static int fds[2]; /* a pair of sockets */

struct seen {
  int count;
  int signal_number;
  bool drains;
  struct lvn_loop_source *source;
};

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static int set_up(void **state) {
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  assert_good(lvn_loop_create(&loop, &err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_loop_destroy(loop);
  (void)close(fds[0]);
  (void)close(fds[1]);
  return 0;
}

static void on_event(void *user_data) {
  struct seen *seen = user_data;
  char byte;
  seen->count++;
  if (seen->drains) {
    (void)!read(fds[0], &byte, 1);
  }
}

static void on_signal(void *user_data, int signal_number) {
  struct seen *seen = user_data;
  seen->count++;
  seen->signal_number = signal_number;
}

static double wait_seconds(int64_t timeout_ms) {
  double since = lvn_clock_monotonic_seconds();
  assert_good(lvn_loop_wait(loop, timeout_ms, &err));
  return lvn_clock_monotonic_seconds() - since;
}

static void test_loop__wakes_when_something_is_there_and_else_in_time(void **state) {
  struct seen seen = {.drains = true};
  (void)state;
  assert_good(lvn_loop_add_fd(loop, fds[0], on_event, &seen, &seen.source, &err));
  double waited = wait_seconds(100);
  assert_true(waited >= 0.099 && waited < 5);
  assert_int_equal(seen.count, 0);
  assert_int_equal(write(fds[1], "ab", 2), 2);
  assert_true(wait_seconds(10000) < 5);
  assert_int_equal(seen.count, 2); /* all that was there, in one wait */
  (void)wait_seconds(0);
  assert_int_equal(seen.count, 2);
  lvn_loop_source_destroy(seen.source);
  assert_int_equal(write(fds[1], "a", 1), 1);
  (void)wait_seconds(0);
  assert_int_equal(seen.count, 2);
}

/* Whoever waits has other things to do, too. */
static void test_loop__a_flood_ends_a_wait(void **state) {
  struct seen seen = {0};
  (void)state;
  assert_good(lvn_loop_add_fd(loop, fds[0], on_event, &seen, &seen.source, &err));
  assert_int_equal(write(fds[1], "a", 1), 1); /* never read */
  (void)wait_seconds(10000);
  assert_in_range(seen.count, 2, 1000);
  lvn_loop_source_destroy(seen.source);
}

static void test_loop__watches_writes_when_asked(void **state) {
  struct seen seen = {0};
  (void)state;
  assert_good(lvn_loop_add_fd(loop, fds[0], on_event, &seen, &seen.source, &err));
  (void)wait_seconds(0);
  assert_int_equal(seen.count, 0);
  lvn_loop_watch_writes(seen.source, true);
  (void)wait_seconds(1000);
  assert_true(seen.count > 0);
  seen.count = 0;
  lvn_loop_watch_writes(seen.source, false);
  (void)wait_seconds(0);
  assert_int_equal(seen.count, 0);
  lvn_loop_source_destroy(seen.source);
}

static void destroy_itself(void *user_data) {
  struct seen *seen = user_data;
  seen->count++;
  lvn_loop_source_destroy(seen->source);
  seen->source = NULL;
}

static void test_loop__a_handler_may_destroy_its_source(void **state) {
  struct seen seen = {0};
  (void)state;
  assert_good(lvn_loop_add_fd(loop, fds[0], destroy_itself, &seen, &seen.source, &err));
  assert_int_equal(shutdown(fds[1], SHUT_WR), 0); /* the end is something, too */
  (void)wait_seconds(1000);
  (void)wait_seconds(0);
  assert_int_equal(seen.count, 1);
}

static void test_loop__takes_signals(void **state) {
  struct seen seen = {0};
  struct seen other = {0};
  (void)state;
  assert_good(lvn_loop_add_signal(loop, SIGUSR1, on_signal, &seen, &seen.source, &err));
  assert_good(lvn_loop_add_signal(loop, SIGHUP, on_signal, &other, &other.source, &err));
  assert_int_equal(kill(getpid(), SIGUSR1), 0);
  (void)wait_seconds(1000);
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.signal_number, SIGUSR1);
  assert_int_equal(other.count, 0);
  lvn_loop_source_destroy(seen.source);
  lvn_loop_source_destroy(other.source);
}

static void test_loop__feeds_the_watchdog_as_often_as_it_wants(void **state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char name[64];
  char text[64] = "";
  int fed = 0;
  (void)state;
  (void)snprintf(name, sizeof name, "@lvn-test-loop-%ld", (long)getpid());
  memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_equal(
      bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
  assert_good(lvn_loop_feed_watchdog(loop, &err)); /* nobody wants it: nothing happens */
  (void)setenv("NOTIFY_SOCKET", name, 1);
  (void)setenv("WATCHDOG_USEC", "400000", 1);
  assert_good(lvn_loop_feed_watchdog(loop, &err));
  for (double until = lvn_clock_monotonic_seconds() + 2; lvn_clock_monotonic_seconds() < until;) {
    (void)wait_seconds(50);
    while (recv(fd, text, sizeof text - 1, 0) > 0) {
      assert_string_equal(text, "WATCHDOG=1");
      fed++;
    }
  }
  assert_in_range(fed, 5, 40); /* at least once in each 0.4 s */
  (void)unsetenv("NOTIFY_SOCKET");
  (void)unsetenv("WATCHDOG_USEC");
  (void)close(fd);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_loop__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(wakes_when_something_is_there_and_else_in_time),
      CASE(a_flood_ends_a_wait),
      CASE(watches_writes_when_asked),
      CASE(a_handler_may_destroy_its_source),
      CASE(takes_signals),
      CASE(feeds_the_watchdog_as_often_as_it_wants),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
