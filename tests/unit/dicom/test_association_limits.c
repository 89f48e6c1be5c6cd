/* Peers that waste time or break the protocol cost one association, for a bounded time. */
#include "association_fixture.h"

/* ---- peers that waste time ---- */

static void check_cut(struct fixture *fixture, double least_seconds, double most_seconds) {
  const struct record *record = finish(fixture);
  assert_false(record->is_good);
  assert_int_equal(record->code, LVN_ERROR_TIMEOUT);
  assert_true(record->seconds > least_seconds);
  assert_true(record->seconds < most_seconds);
}

static void test_association__cuts_a_half_open_peer(void **state) {
  struct fixture *fixture = *state;
  fixture->record->limits.negotiate_seconds = 1;
  start(fixture);
  int fd = peer_connect(fixture->port);
  (void)raw_wait_for_end(fd);
  check_cut(fixture, 0.8, 2.5);
}

static void drip(int fd, const void *data, size_t count, double interval_seconds) {
  for (size_t i = 0; i < count && peer_send(fd, (const uint8_t *)data + i, 1); i++) {
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    if (poll(&gone, 1, (int)(interval_seconds * 1000)) != 0) {
      break;
    }
  }
  (void)close(fd);
}

static void test_association__cuts_a_peer_that_drips_its_request(void **state) {
  struct fixture *fixture = *state;
  struct bytes contexts = {0};
  struct bytes request = {0};
  fixture->record->limits.negotiate_seconds = 2;
  start(fixture);
  int fd = peer_connect(fixture->port);
  put_context(&contexts, 1, CT_CLASS, explicit_only);
  put_associate(&request, &contexts);
  drip(fd, request.data, request.count, 0.2);
  lvn_free(contexts.data);
  lvn_free(request.data);
  check_cut(fixture, 1.8, 3.5);
}

static void test_association__cuts_an_idle_peer(void **state) {
  struct fixture *fixture = *state;
  fixture->record->limits.idle_seconds = 1;
  start(fixture);
  int fd = raw_open(fixture);
  (void)raw_wait_for_end(fd);
  check_cut(fixture, 0.8, 2.9);
}

static void test_association__cuts_a_peer_that_drips_its_command(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t pdu[64] = {PDU_DATA, 0, 0, 0, 0, 58, 0, 0, 0, 54, 1, PDV_COMMAND};
  fixture->record->limits.idle_seconds = 2;
  start(fixture);
  int fd = raw_open(fixture);
  drip(fd, pdu, sizeof pdu, 0.2);
  check_cut(fixture, 1.8, 3.5);
}

static void test_association__cuts_a_peer_idle_within_an_object(void **state) {
  struct fixture *fixture = *state;
  fixture->record->limits.idle_seconds = 1;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, 0, "abcd", 4));
  (void)raw_wait_for_end(fd);
  check_cut(fixture, 0.8, 2.9);
  assert_int_equal(fixture->record->ends[LVN_END_CUT_OFF], 1);
}

static void test_association__ends_at_total_seconds(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[64] = {0};
  fixture->record->limits.total_seconds = 2;
  start(fixture);
  int fd = raw_open(fixture);
  for (int i = 0; i < 60 && raw_store(fd, data, sizeof data, 64) == 0; i++) {
    lvn_clock_sleep_seconds(0.1);
  }
  (void)close(fd);
  check_cut(fixture, 1.8, 3.5);
}

/* ---- peers that break the protocol ---- */

static void check_broken(struct fixture *fixture, int fd) {
  (void)raw_wait_for_end(fd);
  const struct record *record = finish(fixture);
  assert_false(record->is_good);
  assert_true(record->is_served);
  assert_true(record->message[0] != '\0');
  assert_int_equal(record->ends[LVN_END_WHOLE], 0);
  assert_true(record->seconds < 4.0);
}

static void test_association__refuses_garbage(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = peer_connect(fixture->port);
  assert_true(peer_send(fd, "GET / HTTP/1.1\r\nHost: node\r\n\r\n", 30));
  check_broken(fixture, fd);
}

static void test_association__refuses_a_huge_associate_length(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t head[] = {PDU_ASSOCIATE_RQ, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0};
  start(fixture);
  int fd = peer_connect(fixture->port);
  assert_true(peer_send(fd, head, sizeof head));
  check_broken(fixture, fd);
}

static void test_association__refuses_a_huge_data_pdu(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t head[] = {PDU_DATA, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 8, 1, 3};
  start(fixture);
  int fd = raw_open(fixture);
  assert_true(peer_send(fd, head, sizeof head));
  check_broken(fixture, fd);
  assert_true(fixture->record->peak_kib < 64 * 1024);
}

static void test_association__refuses_a_command_within_a_data_set(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, 0, "abcd", 4));
  raw_command(fd, 1);
  check_broken(fixture, fd);
  assert_int_equal(fixture->record->ends[LVN_END_CUT_OFF], 1);
}

static void test_association__refuses_a_context_not_accepted(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 3);
  assert_true(peer_send_pdv(fd, 3, PDV_LAST, "abcd", 4));
  check_broken(fixture, fd);
  assert_int_equal(fixture->record->begins, 0);
}

static void test_association__refuses_another_context_within_a_data_set(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 5, PDV_LAST, "abcd", 4));
  check_broken(fixture, fd);
}

static void test_association__refuses_pdvs_of_no_length(void **state) {
  struct fixture *fixture = *state;
  for (uint8_t length = 0; length < 2; length++) {
    const uint8_t pdu[] = {PDU_DATA, 0, 0, 0, 0, 6, 0, 0, 0, length, 1, 0};
    start(fixture);
    int fd = raw_open(fixture);
    raw_command(fd, 1);
    assert_true(peer_send(fd, pdu, sizeof pdu));
    check_broken(fixture, fd);
  }
}

static void test_association__refuses_a_pdv_longer_than_its_pdu(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t pdu[] = {PDU_DATA, 0, 0, 0, 0, 8, 0, 0, 0xFF, 0xFF, 1, 0, 'a', 'b'};
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send(fd, pdu, sizeof pdu));
  check_broken(fixture, fd);
  assert_true(fixture->record->byte_count <= 2);
}

/* A fragment without bytes is allowed; one that is alone is an object of no bytes, which the handler judges. */
static void test_association__takes_empty_fragments(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, 0, "", 0));
  assert_true(peer_send_pdv(fd, 1, 0, "abcd", 4));
  assert_true(peer_send_pdv(fd, 1, PDV_LAST, "", 0));
  assert_int_equal(raw_status(fd), 0x0000);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
  assert_int_equal(fixture->record->byte_count, 4);
}

/* Command and data set in one PDU, in pieces of different lengths: DCMTK alone would lose its way. */
static void test_association__takes_several_fragments_of_one_pdu(void **state) {
  struct fixture *fixture = *state;
  static const size_t lengths[] = {1, 300, 2, 0, 77, 5000};
  struct bytes command = {0};
  struct bytes data = {0};
  struct bytes pdvs = {0};
  struct bytes pdu = {0};
  start(fixture);
  int fd = raw_open(fixture);
  put_store_command(&command, CT_CLASS, "1.2.3.4");
  put_pdv(&pdvs, 1, PDV_COMMAND, command.data, 20);
  put_pdv(&pdvs, 1, PDV_COMMAND | PDV_LAST, command.data + 20, command.count - 20);
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    const size_t at = data.count;
    for (size_t k = 0; k < lengths[i]; k++) {
      const uint8_t byte = (uint8_t)(31 * k + i);
      put_raw(&data, &byte, 1);
    }
    put_pdv(&pdvs, 1, i + 1 == sizeof lengths / sizeof lengths[0] ? PDV_LAST : 0, data.data + at, lengths[i]);
  }
  put_pdu(&pdu, PDU_DATA, &pdvs);
  assert_true(peer_send_bytes(fd, &pdu));
  assert_int_equal(raw_status(fd), 0x0000);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
  assert_int_equal(fixture->record->byte_count, data.count);
  assert_memory_equal(fixture->record->data, data.data, data.count);
  lvn_free(command.data);
  lvn_free(data.data);
  lvn_free(pdvs.data);
}

static void test_association__refuses_a_data_set_without_a_command(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  assert_true(peer_send_pdv(fd, 1, PDV_LAST, "abcd", 4));
  check_broken(fixture, fd);
}

static void test_association__refuses_a_command_without_end(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[65000] = {0x00, 0x00, 0x00, 0x10, 0xFF, 0xFF, 0xFF, 0x7F};
  start(fixture);
  int fd = raw_open(fixture);
  int sent = 0;
  while (sent < 2000 && peer_send_pdv(fd, 1, PDV_COMMAND, data, sizeof data)) {
    sent++;
  }
  assert_true(sent < 2000);
  check_broken(fixture, fd);
  assert_true(fixture->record->peak_kib < 64 * 1024);
}

static void test_association__refuses_nested_sequences_in_a_command(void **state) {
  struct fixture *fixture = *state;
  struct bytes nested = {0};
  for (int i = 0; i < 4000; i++) {
    static const uint8_t open_item[] = {0x00, 0x00, 0x01, 0x60, 0xFF, 0xFF, 0xFF, 0xFF,
                                        0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF};
    put_raw(&nested, open_item, sizeof open_item);
  }
  start(fixture);
  int fd = raw_open(fixture);
  assert_true(peer_send_pdv(fd, 1, PDV_COMMAND | PDV_LAST, nested.data, nested.count));
  lvn_free(nested.data);
  check_broken(fixture, fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_association__cuts_a_half_open_peer),
      CASE(test_association__cuts_a_peer_that_drips_its_request),
      CASE(test_association__cuts_an_idle_peer),
      CASE(test_association__cuts_a_peer_that_drips_its_command),
      CASE(test_association__cuts_a_peer_idle_within_an_object),
      CASE(test_association__ends_at_total_seconds),
      CASE(test_association__refuses_garbage),
      CASE(test_association__refuses_a_huge_associate_length),
      CASE(test_association__refuses_a_huge_data_pdu),
      CASE(test_association__refuses_a_command_within_a_data_set),
      CASE(test_association__refuses_a_context_not_accepted),
      CASE(test_association__refuses_another_context_within_a_data_set),
      CASE(test_association__refuses_pdvs_of_no_length),
      CASE(test_association__refuses_a_pdv_longer_than_its_pdu),
      CASE(test_association__takes_empty_fragments),
      CASE(test_association__takes_several_fragments_of_one_pdu),
      CASE(test_association__refuses_a_data_set_without_a_command),
      CASE(test_association__refuses_a_command_without_end),
      CASE(test_association__refuses_nested_sequences_in_a_command),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
