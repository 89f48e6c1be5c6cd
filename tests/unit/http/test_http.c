/* The HTTP client against a server that answers whatever a case wants, and the texts of HTTP. TLS is in the system
 * tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/http/hmac.h"
#include "base/http/http.h"
#include "base/http/http_text.h"
#include "base/memory.h"
#include "tests/unit/http/canned_server.h"

static struct lvn_error err;
static struct lvn_http *http;
static struct lvn_http_answer answer;

#define assert_good(condition)                                                                                         \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fail_msg("%s: %s", #condition, err.message);                                                                     \
    }                                                                                                                  \
  } while (0)

static void open_client(const struct lvn_http_server *like) {
  struct lvn_http_server server = like != NULL ? *like : (struct lvn_http_server){0};
  server.url = canned_url;
  server.connect_seconds = 5;
  server.idle_seconds = server.idle_seconds == 0 ? 5 : server.idle_seconds;
  assert_good(lvn_http_open(&server, &http, &err));
}

static void start(const struct canned *answers, size_t count) {
  canned_start(answers, count);
  open_client(NULL);
}

static int tear_down(void **state) {
  (void)state;
  lvn_http_answer_clear(&answer);
  lvn_http_close(http);
  http = NULL;
  canned_stop();
  return 0;
}

static bool get(const char *path, uint64_t bytes_max) {
  const struct lvn_http_request request = {
      .method = "GET", .path = path, .accept = "text/plain", .answer_bytes_max = bytes_max};
  lvn_http_answer_clear(&answer);
  return lvn_http_request(http, &request, &answer, &err);
}

static void test_http__answer_and_request(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello"}};
  (void)state;
  start(answers, 1);
  assert_good(get("a?b=c", 100));
  assert_int_equal(answer.status, 200);
  assert_string_equal(answer.body, "hello");
  assert_true(lvn_http_is_type(answer.content_type, "text/plain"));
  LVN_AUTOFREE char *request = canned_request(0);
  assert_non_null(strstr(request, "GET /web/a?b=c HTTP/1.1\r\n"));
  assert_non_null(strstr(request, "Accept: text/plain\r\n"));
  assert_null(strstr(request, "Authorization"));
}

/* A segment of a file between two of memory, with the length said before. */
static void test_http__body_of_segments_is_streamed(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 204 No Content\r\n\r\n"}};
  char path[SCRATCH_BYTES + 8];
  (void)state;
  start(answers, 1);
  (void)snprintf(path, sizeof path, "%s/file", canned_folder);
  assert_good(lvn_file_replace(path, "FILE", 4, 0600, &err));
  const char *const headers[] = {"X-One: 1", NULL};
  const struct lvn_http_request request = {
      .method = "POST",
      .path = "studies",
      .content_type = "text/plain",
      .headers = headers,
      .segments = {{.data = "<", .bytes = 1}, {.path = path}, {.data = ">", .bytes = 1}},
      .segment_count = 3};
  assert_good(lvn_http_request(http, &request, &answer, &err));
  assert_int_equal(answer.status, 204);
  assert_true(lvn_http_was_sent(http));
  LVN_AUTOFREE char *text = canned_request(0);
  assert_non_null(strstr(text, "Content-Length: 6\r\n"));
  assert_non_null(strstr(text, "X-One: 1\r\n"));
  assert_non_null(strstr(text, "\r\n\r\n<FILE>"));
  assert_null(strstr(text, "Expect"));
}

/* Not even to the same server: a redirect is an answer. */
static void test_http__redirect_is_not_followed(void **state) {
  char redirect[200];
  (void)state;
  (void)snprintf(redirect, sizeof redirect, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
  const struct canned answers[] = {{.bytes = redirect}, {.bytes = "HTTP/1.1 200 OK\r\n\r\n"}};
  start(answers, 2);
  assert_good(get("x", 100));
  assert_int_equal(answer.status, 302);
  assert_string_equal(answer.location, "/elsewhere");
}

static void test_http__retry_after(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"},
      {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n"},
      {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n"}};
  static const int64_t expected[] = {120, 0, -1};
  (void)state;
  start(answers, 3);
  for (size_t i = 0; i < 3; i++) {
    assert_good(get("x", 100));
    assert_int_equal(answer.retry_after_seconds, expected[i]);
  }
}

static void test_http__too_long_answer_is_refused(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n"}};
  (void)state;
  start(answers, 1);
  assert_false(get("x", 11));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_non_null(strstr(err.message, "longer than 11 bytes"));
}

static void test_http__long_header_is_refused(void **state) {
  static char bytes[200000];
  (void)state;
  size_t length = (size_t)snprintf(bytes, sizeof bytes, "HTTP/1.1 200 OK\r\n");
  while (length < 100000) {
    length += (size_t)snprintf(bytes + length, sizeof bytes - length, "X-Filler: %01000d\r\n", 0);
  }
  const struct canned answers[] = {{.bytes = bytes}};
  start(answers, 1);
  assert_false(get("x", 100));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

static void test_http__silent_server_is_given_up(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", .drip = 40}};
  const struct lvn_http_server server = {.idle_seconds = 1};
  (void)state;
  canned_start(answers, 1);
  open_client(&server);
  (void)kill(canned_pid, SIGSTOP); /* the kernel accepts the connection, nobody reads */
  double begin = lvn_clock_monotonic_seconds();
  assert_false(get("x", 100));
  assert_int_equal(err.code, LVN_ERROR_TIMEOUT);
  assert_true(lvn_clock_monotonic_seconds() - begin < 4);
}

/* Each byte in time, all of them not. */
static void test_http__dripping_server_is_given_up(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n12345678901234567890", .drip = 2}};
  const struct lvn_http_request request = {.method = "GET", .path = "x", .answer_bytes_max = 100, .total_seconds = 2};
  (void)state;
  start(answers, 1);
  double begin = lvn_clock_monotonic_seconds();
  assert_false(lvn_http_request(http, &request, &answer, &err));
  assert_int_equal(err.code, LVN_ERROR_TIMEOUT);
  assert_true(lvn_clock_monotonic_seconds() - begin < 5);
}

static void test_http__cut_answer_is_an_error(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"},
                                          {.bytes = "this is no HTTP"}};
  (void)state;
  start(answers, 2);
  assert_false(get("x", 100));
  assert_int_equal(err.code, LVN_ERROR_IO);
  assert_false(get("x", 100));
}

static void test_http__nobody_listens(void **state) {
  (void)state;
  (void)snprintf(canned_url, sizeof canned_url, "http://127.0.0.1:1/web");
  open_client(NULL);
  assert_false(get("x", 100));
  assert_int_equal(err.code, LVN_ERROR_IO);
}

static void test_http__proxy_of_the_environment_is_not_used(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}};
  (void)state;
  assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
  start(answers, 1);
  assert_good(get("x", 100));
  assert_int_equal(unsetenv("http_proxy"), 0);
}

static bool take(void *user_data, const char *content_type, const void *data, size_t bytes, struct lvn_error *error) {
  char *text = user_data;
  assert_string_equal(content_type, "a/b");
  (void)strncat(text, data, bytes);
  return strlen(text) < 8 || lvn_error_set(error, LVN_ERROR_CONFLICT, "enough");
}

static void test_http__body_may_be_taken_as_it_comes(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nfour"},
      {.bytes = "HTTP/1.1 404 Not Found\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nnone"},
      {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nfour"}};
  char text[64] = "";
  const struct lvn_http_request request = {
      .method = "GET", .path = "x", .answer_bytes_max = 100, .take = take, .user_data = text};
  (void)state;
  start(answers, 3);
  assert_good(lvn_http_request(http, &request, &answer, &err));
  assert_null(answer.body);
  assert_string_equal(text, "four");
  assert_good(lvn_http_request(http, &request, &answer, &err));
  assert_string_equal(answer.body, "none"); /* an error's body is none of the data */
  assert_string_equal(text, "four");
  lvn_http_answer_clear(&answer);
  assert_false(lvn_http_request(http, &request, &answer, &err));
  assert_int_equal(err.code, LVN_ERROR_CONFLICT);
}

static void write_secret(char path[SCRATCH_BYTES + 16], const char *text, unsigned mode) {
  (void)snprintf(path, SCRATCH_BYTES + 16, "%s/secret", canned_folder);
  assert_good(lvn_file_replace(path, text, strlen(text), mode, &err));
  assert_int_equal(chmod(path, mode), 0);
}

static void test_http__credentials(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
                                          {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}};
  char path[SCRATCH_BYTES + 16];
  (void)state;
  canned_start(answers, 2);
  write_secret(path, "se cret\n", 0600);
  open_client(&(struct lvn_http_server){.user = "node", .password_file = path});
  assert_good(get("x", 100));
  LVN_AUTOFREE char *basic = canned_request(0);
  assert_non_null(strstr(basic, "Authorization: Basic bm9kZTpzZSBjcmV0\r\n"));
  lvn_http_close(http);
  open_client(&(struct lvn_http_server){.token_file = path});
  assert_good(get("x", 100));
  LVN_AUTOFREE char *bearer = canned_request(1);
  assert_non_null(strstr(bearer, "Authorization: Bearer se cret\r\n"));
}

static void test_http__open_secret_is_refused(void **state) {
  static const struct canned answers[] = {{.bytes = ""}};
  char path[SCRATCH_BYTES + 16];
  struct lvn_http *none = NULL;
  (void)state;
  start(answers, 1);
  const struct lvn_http_server server = {.url = canned_url, .token_file = path};
  write_secret(path, "hush", 0644);
  assert_false(lvn_http_open(&server, &none, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  assert_null(strstr(err.message, "hush"));
  write_secret(path, "", 0600);
  assert_false(lvn_http_open(&server, &none, &err));
}

static void test_http__urls(void **state) {
  static const struct {
    const char *path;
    const char *url; /* NULL: refused */
  } cases[] = {{"studies", "https://pacs:8443/dicom-web/studies"},
               {"?a=b", "https://pacs:8443/dicom-web?a=b"},
               {"/other/x", "https://pacs:8443/other/x"},
               {"https://pacs:8443/other/x", "https://pacs:8443/other/x"},
               {"HTTPS://PACS:8443/other/x", "HTTPS://PACS:8443/other/x"},
               {"http://pacs:8443/other", NULL},
               {"https://pacs:84430/other", NULL},
               {"https://pacs:8443@evil/other", NULL},
               {"https://evil/other", NULL}};
  char url[200];
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bool good = lvn_http_join("https://pacs:8443/dicom-web", cases[i].path, url, sizeof url, &err);
    assert_int_equal(good, cases[i].url != NULL);
    if (good) {
      assert_string_equal(url, cases[i].url);
    }
  }
  assert_false(lvn_http_join("https://pacs", "a-long-path", url, 12, &err));
  assert_true(lvn_http_escape("A b&\xc3\xa9~", url, sizeof url));
  assert_string_equal(url, "A%20b%26%C3%A9~");
  assert_false(lvn_http_escape("&&&", url, 9));
}

static void test_http__parameters(void **state) {
  char text[20];
  (void)state;
  assert_true(lvn_http_get_parameter("a/b; x=1; boundary=\"q;\\\"u\" ; y=2", "boundary", text, sizeof text));
  assert_string_equal(text, "q;\"u");
  assert_true(lvn_http_get_parameter("a/b; x=1; boundary=\"q;u\" ; Y=2", "y", text, sizeof text));
  assert_string_equal(text, "2");
  assert_false(lvn_http_get_parameter("a/b; boundary", "boundary", text, sizeof text));
  assert_false(lvn_http_get_parameter("a/b; boundary=", "boundary", text, sizeof text));
  assert_false(
      lvn_http_get_parameter("a/b; boundary=\"unclosed-and-much-too-long-a-text", "boundary", text, sizeof text));
  assert_true(lvn_http_is_type("Application/DICOM+json;charset=utf-8", "application/dicom+json"));
  assert_false(lvn_http_is_type("application/dicom+json5", "application/dicom+json"));
}

/* RFC 4231 4.3 */
static void test_http__hmac(void **state) {
  char text[LVN_HMAC_TEXT_BYTES];
  (void)state;
  assert_good(lvn_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, text, &err));
  assert_string_equal(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

int main(void) {
#define CASE(name) cmocka_unit_test_teardown(test_http__##name, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(answer_and_request),
      CASE(body_of_segments_is_streamed),
      CASE(redirect_is_not_followed),
      CASE(retry_after),
      CASE(too_long_answer_is_refused),
      CASE(long_header_is_refused),
      CASE(silent_server_is_given_up),
      CASE(dripping_server_is_given_up),
      CASE(cut_answer_is_an_error),
      CASE(nobody_listens),
      CASE(proxy_of_the_environment_is_not_used),
      CASE(body_may_be_taken_as_it_comes),
      CASE(credentials),
      CASE(open_secret_is_refused),
      CASE(urls),
      CASE(parameters),
      CASE(hmac),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
