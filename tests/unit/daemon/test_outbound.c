/* Where results go, what a peer's answer means, how long to wait, and a dead destination beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <poll.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "daemon/pipeline/outbox/outbox.h"
#include "daemon/pipeline/outbox/sender.h"
#include "daemon/pipeline/shared/destinations.h"

static void add_peer(struct lvn_config *config, const char *name, const char *results_to, uint16_t port,
                     bool receives_results) {
  struct lvn_config_peer *peer = &config->peers[config->peer_count++];
  (void)lvn_copy(peer->name, sizeof peer->name, name);
  (void)lvn_copy(peer->aet, sizeof peer->aet, name);
  (void)lvn_copy(peer->host, sizeof peer->host, "127.0.0.1");
  (void)lvn_copy(peer->results_to, sizeof peer->results_to, results_to);
  peer->port = port;
  peer->may_send = true;
  peer->receives_results = receives_results;
}

static void test_outbound__destinations(void **state) {
  static struct lvn_config config;
  const char *names[8];
  (void)state;
  config = (struct lvn_config){0};
  add_peer(&config, "CT1", "", 104, false);
  add_peer(&config, "CT2", "pacs, archive ,nobody, pacs", 104, false);
  add_peer(&config, "CT3", "", 0, false); /* cannot be sent to */
  add_peer(&config, "pacs", "", 104, false);
  add_peer(&config, "archive", "", 104, false);
  assert_int_equal(lvn_destinations(&config, "CT1", "127.0.0.1", names, 8), 1);
  assert_string_equal(names[0], "CT1"); /* back to the sender */
  assert_int_equal(lvn_destinations(&config, "CT2", "127.0.0.1", names, 8), 2);
  assert_string_equal(names[0], "pacs"); /* named twice, sent once */
  assert_string_equal(names[1], "archive");
  assert_int_equal(lvn_destinations(&config, "CT3", "127.0.0.1", names, 8), 0);
  assert_int_equal(lvn_destinations(&config, "STRANGER", "127.0.0.1", names, 8), 0);
  assert_int_equal(lvn_destinations(&config, "CT1", "10.0.0.1", names, 8), 0);
  config.peers[4].receives_results = true; /* the default destination, instead of the sender */
  assert_int_equal(lvn_destinations(&config, "CT1", "127.0.0.1", names, 8), 1);
  assert_string_equal(names[0], "archive");
  assert_int_equal(lvn_destinations(&config, "CT2", "127.0.0.1", names, 8), 2);
}

/* Peers that never call, and whose objects were asked for: known by their name, cut to 16 characters, if by one alone.
 */
static void test_outbound__back_to_whom_was_asked(void **state) {
  static struct lvn_config config;
  const char *names[8];
  (void)state;
  config = (struct lvn_config){0};
  static const char *const archives[] = {"cloud", "archive-of-the-north-1", "archive-of-the-north-2"};
  for (size_t i = 0; i < 3; i++) {
    add_peer(&config, archives[i], "", 104, false);
    config.peers[i].aet[0] = '\0';
    config.peers[i].may_send = false;
  }
  add_peer(&config, "CT1", "", 104, false);
  assert_int_equal(lvn_destinations(&config, "cloud", "0.0.0.0", names, 8), 1);
  assert_string_equal(names[0], "cloud");
  assert_int_equal(lvn_destinations(&config, "archive-of-the-n", "0.0.0.0", names, 8), 0); /* which of the two? */
  assert_int_equal(lvn_destinations(&config, "CT1", "10.0.0.1", names, 8), 0); /* it calls, and not from there */
  assert_int_equal(lvn_destinations(&config, "", "0.0.0.0", names, 8), 0);
}

static void test_outbound__statuses(void **state) {
  (void)state;
  assert_int_equal(lvn_outbox_transport_judge_cstore(0x0000), LVN_SEND_STORED);
  assert_int_equal(lvn_outbox_transport_judge_cstore(0xB000), LVN_SEND_STORED);
  assert_int_equal(lvn_outbox_transport_judge_cstore(0xB007), LVN_SEND_STORED);
  assert_int_equal(lvn_outbox_transport_judge_cstore(0xA700), LVN_SEND_RETRY);
  assert_int_equal(lvn_outbox_transport_judge_cstore(0xA701), LVN_SEND_RETRY);
  assert_int_equal(lvn_outbox_transport_judge_cstore(0xA900), LVN_SEND_FAILED);
  assert_int_equal(lvn_outbox_transport_judge_cstore(0xC000), LVN_SEND_FAILED);
  static const uint16_t stored[] = {0x0001, 0x0107, 0x0116, 0x0111, 0xB006, 0xBFFF};
  static const uint16_t passing[] = {0x0110, 0x0210, 0x0213, 0xA7FF, 0xFE00};
  static const uint16_t permanent[] = {0x0105, 0x0112, 0x0117, 0x0122, 0x0124, 0x0211, 0x0212, 0xA801, 0xA9FF, 0xC123};
  for (size_t i = 0; i < sizeof stored / sizeof stored[0]; i++) {
    assert_int_equal(lvn_outbox_transport_judge_cstore(stored[i]), LVN_SEND_STORED);
  }
  for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
    assert_int_equal(lvn_outbox_transport_judge_cstore(passing[i]), LVN_SEND_RETRY);
  }
  for (size_t i = 0; i < sizeof permanent / sizeof permanent[0]; i++) {
    assert_int_equal(lvn_outbox_transport_judge_cstore(permanent[i]), LVN_SEND_FAILED);
  }
}

static void test_outbound__backoff(void **state) {
  static const int64_t expected_seconds[] = {30, 60, 120, 240, 480, 600, 600, 600, 600};
  (void)state;
  for (size_t i = 0; i < sizeof expected_seconds / sizeof expected_seconds[0]; i++) {
    assert_int_equal(lvn_outbox_backoff_ms((int64_t)i + 1, 30, 600), 1000 * expected_seconds[i]);
  }
}

static void post(struct lvn_sender *sender, const char *destination, uint16_t port) {
  struct lvn_error err;
  struct lvn_outbox_route route = {
      .peer.port = port, .calling_aet = "LIVERVLM", .connect_seconds = 2, .answer_seconds = 2};
  struct lvn_outbox_row *rows = lvn_alloc(1, sizeof *rows, &err);
  assert_non_null(rows);
  rows[0].outbox_id = port;
  rows[0].attempt = 1;
  (void)lvn_copy(rows[0].path, sizeof rows[0].path, LVN_TEST_DATA "/sr/ohif_dcmjs_sample-sr.dcm");
  (void)lvn_copy(rows[0].sop_class_uid, sizeof rows[0].sop_class_uid, "1.2.840.10008.5.1.4.1.1.88.33");
  (void)lvn_copy(route.peer.name, sizeof route.peer.name, destination);
  (void)lvn_copy(route.peer.host, sizeof route.peer.host, "127.0.0.1");
  (void)lvn_copy(route.peer.aet, sizeof route.peer.aet, "PEER");
  assert_true(lvn_sender_post(sender, &lvn_outbox_transport_cstore, &route, rows, 1, &err));
}

/* Nobody listens on port 1 or 2: both are to be retried, and both destinations are free for the next. */
static void test_outbound__unreachable_peers_are_retried(void **state) {
  struct lvn_error err;
  struct lvn_sender *sender = NULL;
  struct lvn_sender_answer answer;
  int64_t seen = 0;
  double deadline = lvn_clock_monotonic_seconds() + 20;
  (void)state;
  assert_true(lvn_sender_create(&sender, &err));
  post(sender, "first", 1);
  post(sender, "second", 2);
  while (seen != 3 && lvn_clock_monotonic_seconds() < deadline) {
    struct pollfd wait = {.fd = lvn_sender_get_fd(sender), .events = POLLIN};
    (void)poll(&wait, 1, 100);
    while (lvn_sender_take(sender, &answer)) {
      assert_int_equal(answer.said.verdict, LVN_SEND_RETRY);
      assert_int_equal(answer.said.status, -1);
      assert_true(strlen(answer.said.message) > 0);
      seen |= answer.outbox_id;
    }
  }
  assert_int_equal(seen, 3);
  while (lvn_sender_count_busy(sender) > 0 && lvn_clock_monotonic_seconds() < deadline) {
    lvn_clock_sleep_seconds(0.01);
  }
  assert_false(lvn_sender_is_busy(sender, "first"));
  post(sender, "first", 1);
  lvn_sender_destroy(sender, 10);
}

/* Peers that were renamed at reloads leave lanes behind: they serve whoever comes next. */
static void test_outbound__more_destinations_than_lanes_in_time(void **state) {
  struct lvn_error err;
  struct lvn_sender *sender = NULL;
  struct lvn_sender_answer answer;
  char name[32];
  int answers = 0;
  double deadline = lvn_clock_monotonic_seconds() + 20;
  (void)state;
  assert_true(lvn_sender_create(&sender, &err));
  for (int i = 0; i < LVN_CONFIG_PEERS_MAX + 3; i++) {
    (void)snprintf(name, sizeof name, "peer-%d", i);
    while (i >= LVN_CONFIG_PEERS_MAX && lvn_sender_count_busy(sender) == LVN_CONFIG_PEERS_MAX) {
      assert_true(lvn_clock_monotonic_seconds() < deadline);
      lvn_clock_sleep_seconds(0.01);
    }
    post(sender, name, 1);
  }
  while (answers < LVN_CONFIG_PEERS_MAX + 3 && lvn_clock_monotonic_seconds() < deadline) {
    answers += lvn_sender_take(sender, &answer) ? 1 : 0;
  }
  assert_int_equal(answers, LVN_CONFIG_PEERS_MAX + 3);
  lvn_sender_destroy(sender, 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_outbound__destinations),
      cmocka_unit_test(test_outbound__back_to_whom_was_asked),
      cmocka_unit_test(test_outbound__statuses),
      cmocka_unit_test(test_outbound__backoff),
      cmocka_unit_test(test_outbound__unreachable_peers_are_retried),
      cmocka_unit_test(test_outbound__more_destinations_than_lanes_in_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
