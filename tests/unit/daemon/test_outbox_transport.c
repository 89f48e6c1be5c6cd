/* The outbox over transports: C-STORE to a real storescp, and another one that this file adds by a row of a table of
 * its own. It "sends" into a folder, and does there what files in the folder tell it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "daemon/pipeline/outbox/outbox.h"
#include "dicom/scan/scan.h"
#include "storage/queue.h"
#include "tests/unit/http/canned_server.h"
#include "tests/unit/scratch.h"

#define STUDY "1.2.3.4"
#define REPORT LVN_TEST_DATA "/sr/ohif_dcmjs_sample-sr.dcm"
#define PATIENCE_SECONDS 20.0

static char folder[SCRATCH_BYTES];
static struct lvn_config config;
static struct lvn_index *index_;
static struct lvn_loop *loop;
static struct lvn_outbox *outbox;
static struct lvn_error err;
static char event_path[LVN_PATH_BYTES];
static pid_t storescp_pid; /* 0: none */

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

/* ---- the file transport: all that a new way of sending needs ---- */

static bool serves(const struct lvn_config_peer *peer) {
  return peer->host[0] == '/';
}

static bool open_folder(const struct lvn_outbox_route *route, const struct lvn_outbox_row *rows, size_t row_count,
                        void **ret_link, struct lvn_error *reason) {
  (void)rows;
  (void)row_count;
  if (!lvn_file_exists(route->peer.host)) {
    return lvn_error_set(reason, LVN_ERROR_IO, "there is no folder '%s'", route->peer.host);
  }
  char *path = lvn_format(reason, "%s", route->peer.host);
  *ret_link = path;
  return path != NULL;
}

static bool is_told(const char *path, const char *word) {
  char mark[LVN_PATH_BYTES];
  (void)snprintf(mark, sizeof mark, "%s/%s", path, word);
  return lvn_file_exists(mark);
}

static bool send_file(void *link, const struct lvn_outbox_row *row, struct lvn_outbox_answer *ret_answer) {
  struct lvn_error reason;
  char target[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (is_told(link, "full")) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_RETRY, 28, "the folder is full");
    return true;
  }
  if (is_told(link, "closed")) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_FAILED, 13, "the folder takes no %s",
                             lvn_outbox_kind_name(row->kind));
    return true;
  }
  (void)snprintf(target, sizeof target, "%s/%s", (const char *)link, strrchr(row->path, '/') + 1);
  if (!lvn_file_read(row->path, 1U << 24, &data, &bytes, &reason) ||
      !lvn_file_replace(target, data, bytes, 0600, &reason)) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_FAILED, -1, "%s", reason.message);
    return true;
  }
  if (is_told(link, "mute")) {
    lvn_outbox_transport_say(ret_answer, LVN_SEND_UNKNOWN, -1, "the folder went away after the last byte");
    return false;
  }
  lvn_outbox_transport_say(ret_answer, LVN_SEND_STORED, 0, "stored");
  return true;
}

static void close_folder(void *link) {
  lvn_free(link);
}

static const struct lvn_outbox_transport transport_folder = {
    .name = "folder", .serves = serves, .open = open_folder, .send = send_file, .close = close_folder};
static const struct lvn_outbox_transport *const table[] = {&lvn_outbox_transport_cstore, &transport_folder, NULL};

/* ---- a study with a report, and an event ---- */

static void add_peer(const char *name, const char *host, uint16_t port) {
  struct lvn_config_peer *peer = &config.peers[config.peer_count++];
  *peer = (struct lvn_config_peer){.port = port};
  (void)lvn_copy(peer->name, sizeof peer->name, name);
  (void)lvn_copy(peer->aet, sizeof peer->aet, "PACS");
  (void)lvn_copy(peer->host, sizeof peer->host, host);
}

static void make_result(struct lvn_job_result *result) {
  struct lvn_scan scan;
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  char results[LVN_PATH_BYTES];
  assert_good(lvn_path_join(results, folder, "results", &err) && lvn_file_make_folder(results, 0700, &err) &&
              lvn_path_join(results, folder, "results/1", &err) && lvn_file_make_folder(results, 0700, &err) &&
              lvn_path_join(result->path, results, "report.dcm", &err));
  assert_good(lvn_file_read(REPORT, 1U << 24, &data, &bytes, &err) &&
              lvn_file_replace(result->path, data, bytes, 0600, &err) && lvn_scan_file(result->path, &scan, &err) &&
              lvn_sha256_of_file(result->path, result->sha256, &err));
  (void)lvn_copy(result->sop_class_uid, LVN_UID_BYTES, scan.sop_class_uid);
  (void)lvn_copy(result->sop_instance_uid, LVN_UID_BYTES, scan.sop_instance_uid);
  (void)lvn_copy(result->transfer_syntax_uid, LVN_UID_BYTES, scan.transfer_syntax_uid);
}

/* A finished job whose report, with an event, goes to this peer. */
static void queue_for(const char *destination) {
  static const struct lvn_job_model model = {.name = "m", .version = "1", .digest = {7}};
  struct lvn_index_object object = {.role = LVN_INDEX_ROLE_CT, .modality = "CT", .patient_id = "P1"};
  struct lvn_index_addition addition;
  struct lvn_job job;
  struct lvn_job_result result = {0};
  bool found = false;
  object.issuer_of_patient_id = "";
  (void)lvn_copy(object.record.sop_instance_uid, LVN_UID_BYTES, "1.1");
  (void)lvn_copy(object.record.study_instance_uid, LVN_UID_BYTES, STUDY);
  assert_good(lvn_index_add(index_, &object, 1, &addition, &err) && lvn_index_study_settle(index_, STUDY, &err) &&
              lvn_queue_create(index_, STUDY, &model, 1, &job.job_id, &err) &&
              lvn_queue_claim(index_, 1, 60000, &job, &found, &err));
  make_result(&result);
  const struct lvn_job_finish finish = {.job_id = job.job_id,
                                        .outcome = LVN_OUTCOME_DONE,
                                        .status_message = "",
                                        .results = &result,
                                        .result_count = 1,
                                        .destinations = &destination,
                                        .destination_count = 1,
                                        .now_ms = 1};
  const struct lvn_outbox_event event = {
      .path = event_path, .destination = destination, .job_id = job.job_id, .now_ms = 1};
  assert_good(lvn_queue_finish(index_, &finish, &err) && lvn_outbox_add_event(index_, &event, &err));
}

/* ---- the module ---- */

static void start_outbox(const struct lvn_outbox_transport *const *transports) {
  const struct lvn_outbox_needs needs = {.config = &config, .index = index_, .loop = loop, .transports = transports};
  assert_good(lvn_outbox_create(&needs, &outbox, &err));
}

static struct lvn_outbox_row get_row(enum lvn_outbox_kind kind) {
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  struct lvn_outbox_row found = {0};
  size_t count = 0;
  assert_good(lvn_outbox_list(index_, LVN_OUTBOX_ANY, 0, &rows, &count, &err));
  for (size_t i = 0; i < count; i++) {
    found = rows[i].kind == kind ? rows[i] : found;
  }
  return found;
}

/* Ticks until the row of this kind says so. */
static struct lvn_outbox_row await(enum lvn_outbox_kind kind, enum lvn_outbox_state state,
                                   enum lvn_send_verdict verdict) {
  double deadline = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
  struct lvn_outbox_row row = get_row(kind);
  while (row.state != state || row.verdict != verdict) {
    if (lvn_clock_monotonic_seconds() > deadline) {
      fail_msg("%s is %s, %s: %s", lvn_outbox_kind_name(kind), lvn_outbox_state_name(row.state),
               lvn_send_verdict_name(row.verdict), row.status_message);
    }
    (void)lvn_outbox_tick(outbox, lvn_tick_now_ms());
    assert_string_equal(lvn_outbox_problem(outbox), "");
    assert_good(lvn_loop_wait(loop, 20, &err));
    row = get_row(kind);
  }
  return row;
}

static void tell(const char *word) {
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/peer/%s", folder, word);
  assert_good(lvn_file_replace(path, "", 0, 0600, &err));
}

static void tell_no_more(const char *word) {
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/peer/%s", folder, word);
  assert_int_equal(unlink(path), 0);
}

static int set_up(void **state) {
  char path[LVN_PATH_BYTES];
  (void)state;
  (void)scratch_make(folder);
  config = (struct lvn_config){.ae_title = "LIVERVLM",
                               .retry_first_seconds = 1,
                               .retry_max_seconds = 1,
                               .retry_count_max = 100,
                               .connect_seconds = 3,
                               .dimse_seconds = 3};
  (void)lvn_copy(config.state_folder, sizeof config.state_folder, folder);
  (void)snprintf(path, sizeof path, "%s/peer", folder);
  assert_good(lvn_file_make_folder(path, 0700, &err));
  add_peer("folder", path, 0);
  assert_good(lvn_path_join(event_path, folder, "event.json", &err) &&
              lvn_file_replace(event_path, "{\"study\": 1}", 12, 0600, &err));
  assert_good(lvn_index_open(folder, 3, &index_, &err) && lvn_loop_create(&loop, &err));
  start_outbox(table);
  return 0;
}

static void stop_storescp(void) {
  if (storescp_pid > 0) {
    (void)kill(storescp_pid, SIGKILL);
    (void)waitpid(storescp_pid, NULL, 0);
    storescp_pid = 0;
  }
}

static int tear_down(void **state) {
  (void)state;
  stop_storescp();
  canned_stop();
  lvn_outbox_destroy(outbox);
  lvn_loop_destroy(loop);
  lvn_index_close(index_);
  scratch_remove(folder);
  return 0;
}

static bool has_file(const char *name) {
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  return lvn_file_exists(path);
}

static void test_outbox_transport__object_and_event_arrive(void **state) {
  (void)state;
  queue_for("folder");
  struct lvn_outbox_row object = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_SENT, LVN_SEND_STORED);
  struct lvn_outbox_row event = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_SENT, LVN_SEND_STORED);
  assert_int_equal(object.attempt, 1);
  assert_int_equal(event.attempt, 1);
  assert_string_equal(event.status_message, "stored");
  assert_true(has_file("peer/report.dcm"));
  assert_true(has_file("peer/event.json"));
  assert_true(has_file("results/1/sent.jsonl")); /* what a rebuild must know: of the object */
  assert_int_equal(lvn_outbox_get_stage(outbox).count, 1);
}

/* It is not left to the look for missing notes that comes once a minute. */
static void test_outbox_transport__note_that_fails_is_soon_made_up_for(void **state) {
  char path[LVN_PATH_BYTES];
  (void)state;
  (void)lvn_outbox_tick(outbox, lvn_tick_now_ms()); /* the minute begins */
  queue_for("folder");
  (void)snprintf(path, sizeof path, "%s/results/1/sent.jsonl", folder);
  assert_good(lvn_file_make_folder(path, 0700, &err)); /* a folder where the file should be */
  (void)await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_SENT, LVN_SEND_STORED);
  assert_int_equal(rmdir(path), 0);
  int64_t due_ms = lvn_outbox_tick(outbox, lvn_tick_now_ms());
  assert_true(due_ms <= lvn_tick_now_ms() + 6000);
  (void)lvn_outbox_tick(outbox, due_ms);
  assert_true(has_file("results/1/sent.jsonl"));
}

static void test_outbox_transport__retry_goes_on_until_it_is_stored(void **state) {
  (void)state;
  tell("full");
  queue_for("folder");
  struct lvn_outbox_row row = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_QUEUED, LVN_SEND_RETRY);
  assert_int_equal(row.status, 28); /* the transport's own number */
  assert_string_equal(row.status_message, "the folder is full");
  assert_false(has_file("results/1/sent.jsonl"));
  tell_no_more("full");
  row = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_SENT, LVN_SEND_STORED);
  assert_true(row.attempt >= 2);
  (void)await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_SENT, LVN_SEND_STORED);
}

static void test_outbox_transport__failed_is_final(void **state) {
  (void)state;
  tell("closed");
  queue_for("folder");
  (void)await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_FAILED, LVN_SEND_FAILED);
  struct lvn_outbox_row row = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_FAILED, LVN_SEND_FAILED);
  assert_int_equal(row.attempt, 1);
  assert_string_equal(row.status_message, "the folder takes no event");
}

/* The object's bytes are there, but nobody said so: it is sent again. The event after it was not sent at all. */
static void test_outbox_transport__unknown_is_said_and_tried_again(void **state) {
  (void)state;
  tell("mute");
  queue_for("folder");
  struct lvn_outbox_row row = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_QUEUED, LVN_SEND_UNKNOWN);
  assert_true(has_file("peer/report.dcm"));
  assert_string_equal(row.status_message, "the folder went away after the last byte");
  row = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_QUEUED, LVN_SEND_RETRY);
  assert_non_null(strstr(row.status_message, "the connection ended before it was sent"));
  tell_no_more("mute");
  row = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_SENT, LVN_SEND_STORED);
  assert_true(row.attempt >= 2);
  (void)await(LVN_OUTBOX_EVENT, LVN_OUTBOX_SENT, LVN_SEND_STORED);
}

/* What was said last stays: whoever reads it must not take "unknown" for "it does not have it". */
static void test_outbox_transport__attempts_end(void **state) {
  (void)state;
  config.retry_count_max = 2;
  tell("mute");
  queue_for("folder");
  assert_int_equal(await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_FAILED, LVN_SEND_UNKNOWN).attempt, 2);
  /* The event is retried behind the object, or sent by itself where it is due a moment later. */
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
       get_row(LVN_OUTBOX_EVENT).state != LVN_OUTBOX_FAILED && lvn_clock_monotonic_seconds() < until;) {
    (void)lvn_outbox_tick(outbox, lvn_tick_now_ms());
    assert_good(lvn_loop_wait(loop, 20, &err));
  }
  assert_int_equal(get_row(LVN_OUTBOX_EVENT).state, LVN_OUTBOX_FAILED);
  assert_int_equal(get_row(LVN_OUTBOX_EVENT).attempt, 2);
}

static void test_outbox_transport__connection_that_fails_is_retried(void **state) {
  (void)state;
  (void)lvn_copy(config.peers[0].host, sizeof config.peers[0].host, "/nowhere");
  queue_for("folder");
  struct lvn_outbox_row row = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_QUEUED, LVN_SEND_RETRY);
  assert_string_equal(row.status_message, "there is no folder '/nowhere'");
}

/* The node's own table has no way to a folder: nothing waits for ever. */
static void test_outbox_transport__peer_that_nothing_serves_fails(void **state) {
  (void)state;
  lvn_outbox_destroy(outbox);
  start_outbox(NULL);
  queue_for("folder");
  (void)await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_FAILED, LVN_SEND_FAILED);
}

/* ---- C-STORE ---- */

static void start_storescp(const char *option) {
  char port[8];
  char inbox[LVN_PATH_BYTES];
  (void)snprintf(inbox, sizeof inbox, "%s/peer", folder);
  (void)snprintf(port, sizeof port, "%u", 20000U + (unsigned)getpid() % 20000U);
  add_peer("pacs", "127.0.0.1", (uint16_t)strtoul(port, NULL, 10)); /* allow: our own digits */
  storescp_pid = fork();
  assert_true(storescp_pid >= 0);
  if (storescp_pid == 0) {
    (void)execlp("storescp", "storescp", "-aet", "PACS", "-od", inbox, "--quiet", option, port, (char *)NULL);
    _exit(127);
  }
}

static void test_outbox_transport__cstore_stores_objects_and_refuses_events(void **state) {
  (void)state;
  start_storescp("--prefer-uncompr");
  queue_for("pacs");
  assert_int_equal(await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_SENT, LVN_SEND_STORED).status, 0);
  struct lvn_outbox_row row = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_FAILED, LVN_SEND_FAILED);
  assert_string_equal(row.status_message, "C-STORE carries DICOM objects only");
}

/* The peer takes all of the object, then its association dies before the answer. */
static void test_outbox_transport__cstore_without_an_answer_is_unknown(void **state) {
  (void)state;
  start_storescp("--abort-after");
  queue_for("pacs");
  struct lvn_outbox_row row = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_QUEUED, LVN_SEND_UNKNOWN);
  assert_int_equal(row.status, -1);
  assert_non_null(strstr(row.status_message, "all of it was sent, but no answer came"));
  stop_storescp();
  row = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_QUEUED, LVN_SEND_RETRY); /* nobody listens: nothing was sent */
}

/* ---- STOW-RS and webhooks ---- */

static void add_web_peer(const struct canned *answers, size_t count) {
  canned_start(answers, count);
  add_peer("web", "", 0);
  struct lvn_config_peer *peer = &config.peers[config.peer_count - 1];
  (void)lvn_copy(peer->protocol, sizeof peer->protocol, "dicomweb");
  (void)lvn_copy(peer->url, sizeof peer->url, canned_url);
  lvn_outbox_destroy(outbox);
  start_outbox(NULL); /* the node's own table */
}

static void test_outbox_transport__stow_keeps_to_retry_after(void **state) {
  static const struct canned answers[] = {
      {.bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n"}};
  (void)state;
  add_web_peer(answers, 1);
  queue_for("web");
  struct lvn_outbox_row row = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_QUEUED, LVN_SEND_RETRY);
  assert_int_equal(row.status, 503);
  assert_true(row.not_before_ms > lvn_clock_wall_ms() + 80000); /* retry_max_seconds is 1 */
  row = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_FAILED, LVN_SEND_FAILED);
  assert_string_equal(row.status_message, "STOW-RS carries DICOM objects only");
}

static void test_outbox_transport__stow_answer_that_is_cut_is_unknown(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"}};
  (void)state;
  add_web_peer(answers, 1);
  queue_for("web");
  struct lvn_outbox_row row = await(LVN_OUTBOX_OBJECT, LVN_OUTBOX_QUEUED, LVN_SEND_UNKNOWN);
  assert_non_null(strstr(row.status_message, "all of it was sent, but no answer came"));
}

static void test_outbox_transport__webhook_that_is_gone_is_given_up(void **state) {
  static const struct canned answers[] = {{.bytes = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"}};
  char path[LVN_PATH_BYTES];
  (void)state;
  canned_start(answers, 1);
  (void)snprintf(path, sizeof path, "%s/secret", folder);
  assert_good(lvn_file_replace(path, "key\n", 4, 0600, &err));
  struct lvn_config_webhook *webhook = &config.webhooks[config.webhook_count++];
  *webhook = (struct lvn_config_webhook){.name = "RIS"};
  (void)lvn_copy(webhook->url, sizeof webhook->url, canned_url);
  (void)lvn_copy(webhook->secret_file, sizeof webhook->secret_file, path);
  lvn_outbox_destroy(outbox);
  start_outbox(NULL);
  const struct lvn_outbox_event event = {.path = event_path, .destination = "webhook:RIS", .now_ms = 1};
  assert_good(lvn_outbox_add_event(index_, &event, &err));
  struct lvn_outbox_row row = await(LVN_OUTBOX_EVENT, LVN_OUTBOX_FAILED, LVN_SEND_FAILED);
  assert_string_equal(row.status_message, "the webhook answered 410 gone");
  LVN_AUTOFREE char *request = canned_request(0);
  assert_non_null(strstr(request, "\r\nLivervlm-Signature: sha256="));
  assert_non_null(strstr(request, "\r\n\r\n{\"study\": 1}"));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_outbox_transport__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(object_and_event_arrive),
      CASE(note_that_fails_is_soon_made_up_for),
      CASE(retry_goes_on_until_it_is_stored),
      CASE(failed_is_final),
      CASE(unknown_is_said_and_tried_again),
      CASE(attempts_end),
      CASE(connection_that_fails_is_retried),
      CASE(peer_that_nothing_serves_fails),
      CASE(cstore_stores_objects_and_refuses_events),
      CASE(cstore_without_an_answer_is_unknown),
      CASE(stow_keeps_to_retry_after),
      CASE(stow_answer_that_is_cut_is_unknown),
      CASE(webhook_that_is_gone_is_given_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
