/* STOW-RS, QIDO-RS and WADO-RS against answers of every kind, those of broken and hostile servers among them. Real
 * servers are in the system tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "dicom/web/qido.h"
#include "dicom/web/stow.h"
#include "dicom/web/wado.h"
#include "tests/unit/http/canned_server.h"

#define JSON "Content-Type: application/dicom+json\r\n\r\n"
#define UID(value) "{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"" value "\"]}"
#define STORED "{\"00081199\":{\"vr\":\"SQ\",\"Value\":[" UID("1.2.3") "}]}}"
#define FAILED(reason)                                                                                                 \
  "{\"00081198\":{\"vr\":\"SQ\",\"Value\":[" UID("1.2.3") ",\"00081197\":{\"vr\":\"US\",\"Value\":[" reason "]}}]}}"

static struct lvn_error err;
static struct lvn_http *http;
static char path[SCRATCH_BYTES + 16];

#define assert_good(condition)                                                                                         \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fail_msg("%s: %s", #condition, err.message);                                                                     \
    }                                                                                                                  \
  } while (0)

static void start(const struct canned *answers, size_t count) {
  canned_start(answers, count);
  const struct lvn_http_server server = {.url = canned_url, .connect_seconds = 5, .idle_seconds = 5};
  assert_good(lvn_http_open(&server, &http, &err));
  (void)snprintf(path, sizeof path, "%s/object.dcm", canned_folder);
  assert_good(lvn_file_replace(path, "DICM-BYTES", 10, 0600, &err));
}

static int tear_down(void **state) {
  (void)state;
  lvn_http_close(http);
  http = NULL;
  canned_stop();
  return 0;
}

static struct lvn_stow_answer store(void) {
  const struct lvn_stow_object object = {.path = path, .sop_instance_uid = "1.2.3"};
  struct lvn_stow_answer answer;
  assert_good(lvn_stow_store(http, &object, 10, &answer, &err));
  return answer;
}

static void test_web_services__stow_request(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\n" JSON STORED}};
  char boundary[64] = "";
  (void)state;
  start(answers, 1);
  assert_int_equal(store().outcome, LVN_STOW_STORED);
  LVN_AUTOFREE char *request = canned_request(0);
  const char *type = strstr(request, "Content-Type: multipart/related; type=\"application/dicom\"; boundary=");
  assert_non_null(type);
  (void)snprintf(boundary, sizeof boundary, "%.*s", (int)strcspn(strstr(type, "boundary=") + 9, "\r"),
                 strstr(type, "boundary=") + 9);
  char expected[512];
  (void)snprintf(expected, sizeof expected,
                 "\r\n\r\n--%s\r\nContent-Type: application/dicom\r\n\r\n"
                 "DICM-BYTES\r\n--%s--\r\n",
                 boundary, boundary);
  assert_non_null(strstr(request, expected));
  assert_non_null(strstr(request, "POST /web/studies HTTP/1.1"));
}

static void test_web_services__stow_answers(void **state) {
  static const struct {
    const char *answer;
    enum lvn_stow_outcome outcome;
    int status;
    int reason;
    const char *message;
  } cases[] = {
      {"HTTP/1.1 202 Accepted\r\n" JSON FAILED("272"), LVN_STOW_REFUSED, 202, 0x0110, "reason 0x0110"},
      {"HTTP/1.1 409 Conflict\r\nWarning: 299 pacs \"no space\"\r\n" JSON FAILED("42752"), LVN_STOW_REFUSED, 409,
       0xA700, "no space"},
      {"HTTP/1.1 409 Conflict\r\n" JSON FAILED("\"273\""), LVN_STOW_REFUSED, 409, 0x0111, "0x0111"},
      {"HTTP/1.1 202 Accepted\r\n" JSON "{\"00081199\":{\"vr\":\"SQ\",\"Value\":[" UID("9.9") "}," UID(
           "1.2.3") ",\"00081196\":{\"vr\":\"US\",\"Value\":[45056]}}]}}",
       LVN_STOW_STORED, 202, 0xB000, "warning 0xB000"},
      {"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+xml\r\n\r\n<NativeDicomModel><DicomAttribute "
       "tag=\"00081199\" vr=\"SQ\">"
       "<Item number=\"1\"><DicomAttribute tag=\"00081155\" vr=\"UI\"><Value "
       "number=\"1\">1.2.3</Value></DicomAttribute></Item>"
       "</DicomAttribute></NativeDicomModel>",
       LVN_STOW_STORED, 200, 0, "stored"},
      {"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", LVN_STOW_ANSWERED, 409, 0, "409 conflict"},
      {"HTTP/1.1 413 Payload Too Large\r\nContent-Type: text/html\r\n\r\n<html>", LVN_STOW_ANSWERED, 413, 0,
       "413 too large"},
      {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", LVN_STOW_ANSWERED, 302, 0,
       "302"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct canned answers[] = {{.bytes = cases[i].answer}};
    start(answers, 1);
    struct lvn_stow_answer answer = store();
    if (answer.outcome != cases[i].outcome || answer.status != cases[i].status || answer.reason != cases[i].reason ||
        strstr(answer.message, cases[i].message) == NULL) {
      fail_msg("case %zu: %d %ld %04x %s", i, answer.outcome, answer.status, answer.reason, answer.message);
    }
    (void)tear_down(NULL);
  }
}

static void test_web_services__stow_busy_server_says_when(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"}};
  (void)state;
  start(answers, 1);
  struct lvn_stow_answer answer = store();
  assert_int_equal(answer.outcome, LVN_STOW_ANSWERED);
  assert_int_equal(answer.retry_after_seconds, 7);
}

/* A proxy's login page is no proof; the archive is asked. */
static void test_web_services__stow_success_without_a_list_is_looked_up(void **state) {
  static const struct canned found[] = {
      {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"},
      {.bytes = "HTTP/1.1 200 OK\r\n" JSON "[{\"00080018\":{\"vr\":\"UI\",\"Value\":[\"1.2.3\"]}}]"}};
  static const struct canned missing[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
                                          {.bytes = "HTTP/1.1 204 No Content\r\n\r\n"}};
  (void)state;
  start(found, 2);
  assert_int_equal(store().outcome, LVN_STOW_STORED);
  (void)tear_down(NULL);
  start(missing, 2);
  struct lvn_stow_answer answer = store();
  assert_int_equal(answer.outcome, LVN_STOW_UNKNOWN);
  assert_string_equal(answer.message, "the answer does not say what was stored");
}

static void test_web_services__stow_without_an_answer_is_unknown(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"}};
  (void)state;
  start(answers, 1);
  struct lvn_stow_answer answer = store();
  assert_int_equal(answer.outcome, LVN_STOW_UNKNOWN);
  assert_int_equal(answer.status, 0);
}

/* ---- QIDO-RS ---- */

#define TEXT(tag, text) "\"" tag "\":{\"vr\":\"LO\",\"Value\":[\"" text "\"]}"

static void test_web_services__qido_series(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 200 OK\r\n" JSON "[{" TEXT("0020000E", "1.2.1") "," TEXT("00080060", "CT") "," TEXT(
           "0008103E", "ART") ","
                              "\"00201209\":{\"vr\":\"IS\",\"Value\":[60]}},{" TEXT("0020000E", "../x") "},{" TEXT(
                                  "0020000E", "1.2.2") "}]"},
      {.bytes = "HTTP/1.1 204 No Content\r\n\r\n"},
      {.bytes = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"},
      {.bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"}};
  LVN_AUTOFREE struct lvn_qido_series *series = NULL;
  size_t count = 0;
  bool is_cut = false;
  (void)state;
  start(answers, 4);
  assert_good(lvn_qido_list_series(http, "1.2", 10, &series, &count, &is_cut, &err));
  assert_int_equal(count, 2); /* one has no UID */
  assert_string_equal(series[0].series_uid, "1.2.1");
  assert_string_equal(series[0].modality, "CT");
  assert_string_equal(series[0].description, "ART");
  assert_int_equal(series[0].instance_count, 60);
  assert_int_equal(series[1].instance_count, -1);
  assert_false(is_cut);
  lvn_free(series);
  series = NULL;
  assert_good(lvn_qido_list_series(http, "1.2", 10, &series, &count, &is_cut, &err));
  assert_int_equal(count, 0);
  lvn_free(series);
  series = NULL;
  assert_false(lvn_qido_list_series(http, "1.2", 10, &series, &count, &is_cut, &err));
  assert_int_equal(err.code, LVN_ERROR_IO); /* may pass */
  assert_false(lvn_qido_list_series(http, "1.2", 10, &series, &count, &is_cut, &err));
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
  assert_false(lvn_qido_list_series(http, "1.2/../x", 10, &series, &count, &is_cut, &err));
}

static void test_web_services__qido_more_than_wanted_is_cut(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 200 OK\r\n" JSON "[{" TEXT("0020000E", "1.2.1") "},{" TEXT("0020000E", "1.2.2") "}]"}};
  LVN_AUTOFREE struct lvn_qido_series *series = NULL;
  size_t count = 0;
  bool is_cut = false;
  (void)state;
  start(answers, 1);
  assert_good(lvn_qido_list_series(http, "1.2", 1, &series, &count, &is_cut, &err));
  assert_int_equal(count, 1);
  assert_true(is_cut);
}

static void test_web_services__qido_studies_of_a_patient(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\n" JSON "[{" TEXT("0020000D", "1.2") "," TEXT(
                                               "00100020", "P 1") "," TEXT("00100030", "19700101") "}]"}};
  LVN_AUTOFREE struct lvn_qido_study *studies = NULL;
  size_t count = 0;
  bool is_cut = false;
  (void)state;
  start(answers, 1);
  assert_good(lvn_qido_list_studies(http, "P 1", "20250101-20261231", "CT", 5, &studies, &count, &is_cut, &err));
  assert_int_equal(count, 1);
  assert_string_equal(studies[0].patient_id, "P 1");
  assert_string_equal(studies[0].birth_date, "19700101");
  LVN_AUTOFREE char *request = canned_request(0);
  assert_non_null(strstr(request, "00100020=P%201&00080020=20250101-20261231&00080061=CT"));
  LVN_AUTOFREE struct lvn_qido_study *none = NULL;
  assert_false(
      lvn_qido_list_studies(http, "P*", "20250101-", "CT", 5, &none, &count, &is_cut, &err)); /* no wildcards */
}

/* ---- WADO-RS ---- */

static char objects[4096];

static bool begin(void *user_data, struct lvn_error *error) {
  (void)user_data;
  (void)error;
  (void)strncat(objects, "[", 2);
  return true;
}

static bool data(void *user_data, const void *bytes, size_t count, struct lvn_error *error) {
  (void)user_data;
  (void)error;
  (void)strncat(objects, bytes, count);
  return true;
}

static bool end(void *user_data, struct lvn_error *error) {
  (void)user_data;
  (void)error;
  (void)strncat(objects, "]", 2);
  return true;
}

#define PARTS "HTTP/1.1 200 OK\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=\"b b\"\r\n\r\n"
#define PART "--b b\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n"

static void test_web_services__wado_answers(void **state) {
  static const struct {
    const char *answer;
    enum lvn_error_code code; /* LVN_OK: it is good */
    const char *objects;
    size_t count;
  } cases[] = {
      {PARTS PART "one\r\n" PART "two\r\n--b b--\r\n", LVN_OK, "[one][two]", 2},
      {PARTS "--b b\r\nContent-Type: text/plain\r\n\r\nnote\r\n" PART "two\r\n--b b--", LVN_OK, "[two]", 1},
      {PARTS PART "one\r\n" PART "tw", LVN_ERROR_PROTOCOL, "[one][", 1},                      /* cut off */
      {PARTS PART "one\r\n" PART "two\r\n" PART "three\r\n--b b--", LVN_ERROR_DATA, NULL, 2}, /* more than was asked */
      {PARTS PART "1234567890123456789012345678901\r\n--b b--", LVN_ERROR_DATA, NULL, 0},     /* an object too large */
      {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", LVN_ERROR_PROTOCOL, "", 0},
      {"HTTP/1.1 200 OK\r\nContent-Type: application/dicom\r\n\r\nDICM", LVN_ERROR_PROTOCOL, "", 0},
      {"HTTP/1.1 200 OK\r\nContent-Type: multipart/related\r\n\r\n" PART, LVN_ERROR_PROTOCOL, "", 0},
      {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", LVN_ERROR_DATA, "", 0},
      {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", LVN_ERROR_IO, "", 0},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", LVN_ERROR_PROTOCOL, "", 0},
  };
  static const struct lvn_wado_limits limits = {
      .objects = 2, .object_bytes = 30, .total_bytes = 1000, .total_seconds = 10};
  const struct lvn_wado_handler handler = {.begin = begin, .data = data, .end = end};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct canned answers[] = {{.bytes = cases[i].answer, .drip = 0}};
    size_t count = 0;
    start(answers, 1);
    objects[0] = '\0';
    err.code = LVN_OK;
    bool good = lvn_wado_retrieve(http, "1.2", "1.2.1", NULL, &limits, &handler, &count, &err);
    if (good != (cases[i].code == LVN_OK) || (!good && err.code != cases[i].code) || count != cases[i].count ||
        (cases[i].objects != NULL && strcmp(objects, cases[i].objects) != 0)) {
      fail_msg("case %zu: %zu %s %s", i, count, objects, good ? "" : err.message);
    }
    if (i == 0) {
      LVN_AUTOFREE char *request = canned_request(0);
      assert_non_null(strstr(request, "GET /web/studies/1.2/series/1.2.1 HTTP/1.1"));
      assert_non_null(strstr(request, "Accept: multipart/related; type=\"application/dicom\"; transfer-syntax=*\r\n"));
    }
    (void)tear_down(NULL);
  }
}

int main(void) {
#define CASE(name) cmocka_unit_test_teardown(test_web_services__##name, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(stow_request),
      CASE(stow_answers),
      CASE(stow_busy_server_says_when),
      CASE(stow_success_without_a_list_is_looked_up),
      CASE(stow_without_an_answer_is_unknown),
      CASE(qido_series),
      CASE(qido_more_than_wanted_is_cut),
      CASE(qido_studies_of_a_patient),
      CASE(wado_answers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
