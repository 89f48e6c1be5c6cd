/* JSON lines over real socket pairs: in pieces, too long, not JSON, to a reader that is slow or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_lines.h"
#include "base/socket.h"
#include "tests/unit/scratch.h"

#define MAX_BYTES 100000U

static struct lvn_error err;
static struct lvn_json_lines *lines;
static int other_fd;

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static int set_up(void **state) {
  int fds[2];
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  assert_good(lvn_json_lines_create(fds[0], MAX_BYTES, MAX_BYTES, &lines, &err));
  other_fd = fds[1];
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_json_lines_destroy(lines);
  (void)close(other_fd);
  return 0;
}

static void say(const char *text) {
  assert_int_equal(write(other_fd, text, strlen(text)), strlen(text));
}

static void assert_takes(json_int_t expected) {
  LVN_AUTOJSON json_t *value = NULL;
  assert_true(lvn_json_lines_take(lines, &value));
  assert_int_equal(json_integer_value(json_object_get(value, "n")), expected);
}

static void assert_takes_nothing(void) {
  json_t *value = NULL;
  assert_false(lvn_json_lines_take(lines, &value));
  assert_null(value);
}

static void test_json_lines__come_in_pieces_and_together(void **state) {
  (void)state;
  assert_takes_nothing();
  say("{\"n\":");
  assert_good(lvn_json_lines_receive(lines, &err));
  assert_takes_nothing();
  say("1}\n{\"n\":2}\n{\"n\"");
  assert_good(lvn_json_lines_receive(lines, &err));
  assert_takes(1);
  assert_takes(2);
  assert_takes_nothing();
  say(":3}\n");
  assert_good(lvn_json_lines_receive(lines, &err));
  assert_takes(3);
  assert_good(lvn_json_lines_receive(lines, &err)); /* nothing is there: no error */
  assert_takes_nothing();
}

static void test_json_lines__what_is_no_json_is_told(void **state) {
  json_t *value = NULL;
  (void)state;
  say("nonsense\n\n{\"n\":1,\"n\":2}\n{\"n\":4}\n");
  assert_good(lvn_json_lines_receive(lines, &err));
  for (int i = 0; i < 3; i++) { /* a word, nothing, a key twice */
    assert_true(lvn_json_lines_take(lines, &value));
    assert_null(value);
  }
  assert_takes(4);
}

/* Reads until the end or an error. */
static size_t read_all(void) {
  size_t count = 0;
  while (count < 1000 && lvn_json_lines_receive(lines, &err)) {
    count++;
  }
  return count;
}

static void test_json_lines__end_after_what_was_said(void **state) {
  (void)state;
  say("{\"n\":1}\n{\"n\":2");
  assert_int_equal(shutdown(other_fd, SHUT_WR), 0);
  assert_int_equal(read_all(), 1);
  assert_int_equal(err.code, LVN_OK);
  assert_takes(1);
  assert_takes_nothing(); /* half a line is none */
}

static void test_json_lines__a_line_has_a_limit(void **state) {
  static char text[MAX_BYTES];
  bool is_good = true;
  (void)state;
  memset(text, ' ', sizeof text);
  for (size_t sent = 0; is_good && sent < 10 * sizeof text;) {
    ssize_t count = write(other_fd, text, sizeof text);
    sent += count > 0 ? (size_t)count : 0;
    is_good = lvn_json_lines_receive(lines, &err);
    assert_takes_nothing();
  }
  assert_false(is_good);
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
}

/* Many lines are no long line, however much of them lies there at once. */
static void test_json_lines__many_lines_have_none(void **state) {
  static char text[MAX_BYTES];
  json_int_t next = 0;
  (void)state;
  for (json_int_t n = 0; n < 50000;) {
    size_t used = 0;
    for (int i = 0; i < 1000; i++, n++) {
      used += (size_t)snprintf(text + used, sizeof text - used, "{\"n\":%" JSON_INTEGER_FORMAT "}\n", n);
    }
    say(text);
    assert_good(lvn_json_lines_receive(lines, &err));
    for (json_t *value = NULL; lvn_json_lines_take(lines, &value);) {
      assert_int_equal(json_integer_value(json_object_get(value, "n")), next++);
      json_decref(value);
    }
  }
  assert_int_equal(next, 50000);
}

/* As much as the bound of a reader that reads nothing, then it is an error; what was queued arrives whole. */
static void test_json_lines__a_slow_reader_bounds_what_is_queued(void **state) {
  LVN_AUTOJSON json_t *value = json_pack("{s:s}", "text", "a text of some length, to fill the socket and the queue");
  int small = 4096;
  size_t sent = 0;
  size_t seen = 0;
  char bytes[65536];
  (void)state;
  assert_int_equal(setsockopt(lvn_json_lines_get_fd(lines), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  while (sent < 100000 && lvn_json_lines_send(lines, value, &err)) {
    sent++;
  }
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
  assert_true(lvn_json_lines_wants_to_write(lines));
  while (lvn_json_lines_wants_to_write(lines)) {
    for (ssize_t got = read(other_fd, bytes, sizeof bytes); got > 0; got = read(other_fd, bytes, sizeof bytes)) {
      for (ssize_t i = 0; i < got; i++) {
        seen += bytes[i] == '\n' ? 1 : 0;
      }
    }
    assert_good(lvn_json_lines_flush(lines, &err));
  }
  for (ssize_t got = read(other_fd, bytes, sizeof bytes); got > 0; got = read(other_fd, bytes, sizeof bytes)) {
    for (ssize_t i = 0; i < got; i++) {
      seen += bytes[i] == '\n' ? 1 : 0;
    }
  }
  assert_int_equal(seen, sent);
}

static void test_json_lines__a_reader_that_is_gone_is_an_error(void **state) {
  LVN_AUTOJSON json_t *value = json_object();
  (void)state;
  (void)close(other_fd);
  other_fd = -1;
  assert_false(lvn_json_lines_send(lines, value, &err)); /* and no SIGPIPE */
  assert_int_equal(err.code, LVN_ERROR_IO);
  assert_false(lvn_json_lines_send(lines, NULL, &err));
  assert_int_equal(err.code, LVN_ERROR_NOMEM);
}

static void make_blocking(void) {
  int fd = lvn_json_lines_get_fd(lines);
  assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

static void test_json_lines__asks_and_waits(void **state) {
  LVN_AUTOJSON json_t *request = json_pack("{s:s}", "command", "status");
  LVN_AUTOJSON json_t *answer = NULL;
  json_t *none = NULL;
  char text[64] = "";
  (void)state;
  make_blocking();
  say("{\"n\":7}\n");
  assert_good(lvn_json_lines_ask(lines, request, 5, &answer, &err));
  assert_int_equal(json_integer_value(json_object_get(answer, "n")), 7);
  assert_true(read(other_fd, text, sizeof text - 1) > 0);
  assert_string_equal(text, "{\"command\":\"status\"}\n");
  double since = lvn_clock_monotonic_seconds();
  assert_false(lvn_json_lines_ask(lines, request, 1, &none, &err));
  assert_int_equal(err.code, LVN_ERROR_TIMEOUT);
  assert_true(lvn_clock_monotonic_seconds() - since < 5);
  say("nonsense\n");
  assert_false(lvn_json_lines_ask(lines, request, 5, &none, &err));
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
  assert_int_equal(shutdown(other_fd, SHUT_WR), 0);
  assert_false(lvn_json_lines_ask(lines, request, 5, &none, &err));
  assert_int_equal(err.code, LVN_ERROR_IO);
}

static void test_socket__is_ours_alone_and_names_its_peer(void **state) {
  char folder[SCRATCH_BYTES];
  char path[LVN_PATH_BYTES];
  struct stat status;
  pid_t pid = 0;
  int fd = -1;
  (void)state;
  (void)scratch_make(folder);
  (void)snprintf(path, sizeof path, "%s/socket", folder);
  for (int i = 0; i < 2; i++) { /* the second replaces what the first left */
    LVN_AUTOCLOSE int listen_fd = -1;
    LVN_AUTOCLOSE int client_fd = -1;
    assert_good(lvn_socket_listen(path, &listen_fd, &err));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_good(lvn_socket_accept(listen_fd, &fd, &pid, &err));
    assert_int_equal(fd, -1);
    assert_good(lvn_socket_connect(path, &client_fd, &err));
    assert_good(lvn_socket_accept(listen_fd, &fd, &pid, &err));
    assert_true(fd >= 0);
    assert_int_equal(pid, getpid());
    (void)close(fd);
  }
  assert_false(lvn_socket_connect(path, &fd, &err)); /* nobody listens any more */
  assert_int_equal(err.code, LVN_ERROR_IO);
  memset(path, 'a', 200);
  path[200] = '\0';
  assert_false(lvn_socket_listen(path, &fd, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  scratch_remove(folder);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_json_lines__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(come_in_pieces_and_together),
      CASE(what_is_no_json_is_told),
      CASE(end_after_what_was_said),
      CASE(a_line_has_a_limit),
      CASE(many_lines_have_none),
      CASE(a_slow_reader_bounds_what_is_queued),
      CASE(a_reader_that_is_gone_is_an_error),
      CASE(asks_and_waits),
      cmocka_unit_test(test_socket__is_ours_alone_and_names_its_peer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
