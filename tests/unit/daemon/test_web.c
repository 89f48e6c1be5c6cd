/* The metrics server over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/web/web.h"

static uint16_t port;

static void pick_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
  port = ntohs(address.sin_port);
  (void)close(fd);
}

static void ask(const char *request, char *answer, size_t answer_bytes) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  size_t used = 0;
  address.sin_port = htons(port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(write(fd, request, strlen(request)), strlen(request));
  for (ssize_t got = 1; got > 0 && used + 1 < answer_bytes; used += got > 0 ? (size_t)got : 0) {
    got = read(fd, answer + used, answer_bytes - 1 - used);
  }
  answer[used] = '\0';
  (void)close(fd);
}

static void test_web__pages(void **state) {
  struct lvn_error err = {0};
  struct lvn_web *web = NULL;
  char answer[4096];
  (void)state;
  pick_port();
  assert_true(lvn_web_start("127.0.0.1", port, "", NULL, &web, &err));
  assert_true(lvn_web_publish(web, "livervlm_objects 7\n", NULL, NULL, &err));
  ask("GET /metrics HTTP/1.0\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 200 "));
  assert_non_null(strstr(answer, "livervlm_objects 7"));
  ask("GET /health HTTP/1.0\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 200 "));
  assert_true(lvn_web_publish(web, "", "disk nearly full", "2 results are missing\n", &err));
  ask("GET /health HTTP/1.0\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 503 "));
  assert_non_null(strstr(answer, "disk nearly full"));
  assert_true(lvn_web_publish(web, "", "", "2 results are missing\n", &err));
  ask("GET /health HTTP/1.0\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 200 "));
  assert_non_null(strstr(answer, "ok\n2 results are missing\n"));
  ask("GET /etc/passwd HTTP/1.0\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 404 "));
  ask("DELETE /metrics HTTP/1.0\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 405 "));
  lvn_web_stop(web);
}

static void test_web__loopback_only(void **state) {
  struct lvn_error err = {0};
  struct lvn_web *web = NULL;
  (void)state;
  assert_false(lvn_web_start("0.0.0.0", 1, "", NULL, &web, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  assert_false(lvn_web_start("::", 1, "", NULL, &web, &err));
  assert_false(lvn_web_start("localhost", 1, "", NULL, &web, &err));
  assert_null(web);
}

static void assert_host(const char *host, bool is_allowed) {
  char request[512];
  char answer[4096];
  (void)snprintf(request, sizeof request, "GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
  ask(request, answer, sizeof answer);
  if ((strstr(answer, " 200 ") != NULL) != is_allowed || (strstr(answer, "livervlm_objects") != NULL) != is_allowed) {
    fail_msg("Host '%s': %s", host, answer);
  }
}

/* A page under a name that was made to mean 127.0.0.1 is of the same origin for a browser. */
static void test_web__is_asked_by_its_own_names_only(void **state) {
  static const char *const allowed[] = {"localhost",       "LOCALHOST:8117",    "localhost.:1", "127.0.0.1",
                                        "127.0.0.1:65535", "127.3.2.1",         "[::1]:8117",   "[::1]",
                                        "node.ward.test",  "Node.Ward.Test:80", "proxy.test"};
  static const char *const refused[] = {"evil.example",
                                        "evil.example:8117",
                                        "127.0.0.1.evil.example",
                                        "localhost.evil.test",
                                        "192.0.2.1",
                                        "[2001:db8::1]:8117",
                                        "node.ward",
                                        "xnode.ward.test",
                                        "0.0.0.0",
                                        "[::1",
                                        "ward.test, evil.test",
                                        "localhost\r\nHost: evil.example"};
  struct lvn_error err = {0};
  struct lvn_web *web = NULL;
  (void)state;
  pick_port();
  assert_true(lvn_web_start("127.0.0.1", port, "node.ward.test, proxy.test", NULL, &web, &err));
  assert_true(lvn_web_publish(web, "livervlm_objects 7\n", NULL, NULL, &err));
  for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
    assert_host(allowed[i], true);
  }
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    assert_host(refused[i], false);
  }
  lvn_web_stop(web);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_web__pages), cmocka_unit_test(test_web__loopback_only),
                                     cmocka_unit_test(test_web__is_asked_by_its_own_names_only)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
