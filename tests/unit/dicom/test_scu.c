/* The sending side against our own association and against peers that fail. */
#include "association_fixture.h"
#include "tests/unit/scratch.h"

/* What was sent once stays as it is. */
static void check_round_trip(struct fixture *fixture, const char *path, const char *syntax) {
  char folder[SCRATCH_BYTES];
  char again[SCRATCH_BYTES + 8];
  struct bytes first = {0};
  (void)snprintf(again, sizeof again, "%s/again", scratch_make(folder));
  scu_send(fixture, path, syntax, 0x0000);
  assert_string_equal(fixture->record->syntax_uid, syntax);
  assert_true(fixture->record->byte_count > 100000);
  put_meta(&first, syntax);
  size_t at = first.count;
  put_raw(&first, fixture->record->data, fixture->record->byte_count);
  assert_int_equal(write_bytes(again, &first), 0);
  scu_send(fixture, again, syntax, 0x0000);
  assert_int_equal(fixture->record->byte_count, first.count - at);
  assert_memory_equal(fixture->record->data, first.data + at, first.count - at);
  assert_int_equal(fixture->record->ends[LVN_END_WHOLE], 2);
  lvn_free(first.data);
}

static void test_scu__sends_explicit_little_endian(void **state) {
  check_round_trip(*state, EXPLICIT_CT, EXPLICIT_LITTLE);
}

static void test_scu__sends_jpeg_ls_as_it_is(void **state) {
  check_round_trip(*state, LVN_TEST_DATA "/ct_transfer_syntaxes/1.2.840.10008.1.2.4.80.dcm", "1.2.840.10008.1.2.4.80");
}

static void test_scu__gives_up_on_a_closed_port(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  int fd = listen_anywhere(&fixture->port);
  (void)close(fd);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  double since = lvn_clock_monotonic_seconds();
  assert_false(lvn_scu_open(&peer, NULL, 0, &scu, &err));
  assert_int_equal(err.code, LVN_ERROR_IO);
  assert_non_null(strstr(err.message, "connection refused: nothing listens on that port"));
  assert_true(lvn_clock_monotonic_seconds() - since < 3.0);
}

static void test_scu__gives_up_on_a_silent_peer(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  int fd = listen_anywhere(&fixture->port);
  struct lvn_scu_peer peer = scu_peer(fixture);
  peer.connect_seconds = 1;
  double since = lvn_clock_monotonic_seconds();
  assert_false(lvn_scu_open(&peer, NULL, 0, &scu, &err));
  assert_true(err.code == LVN_ERROR_TIMEOUT || err.code == LVN_ERROR_IO);
  assert_true(lvn_clock_monotonic_seconds() - since < 3.0);
  (void)close(fd);
}

static void test_scu__gives_up_on_a_silent_answer(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  fixture->record->end_seconds = 20;
  start(fixture);
  struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file file = {EXPLICIT_CT, CT_CLASS, EXPLICIT_LITTLE};
  peer.connect_seconds = 1; /* also bounds the wait for the peer to close after our A-ABORT */
  peer.dimse_seconds = 1;
  assert_true(lvn_scu_open(&peer, &file, 1, &scu, &err));
  double since = lvn_clock_monotonic_seconds();
  assert_false(lvn_scu_store(scu, &file, &status, &err));
  assert_int_equal(err.code, LVN_ERROR_TIMEOUT);
  lvn_scu_close(scu);
  assert_true(lvn_clock_monotonic_seconds() - since < 5.0);
}

/* ---- peers that drip, each byte in time and the whole never, or answer what was not asked ---- */

enum bad { DRIP_ACCEPTANCE, DRIP_ANSWER, DRIP_READING, OTHER_MESSAGE };

static void put_acceptance(struct bytes *b) {
  struct bytes item = {0};
  struct bytes contexts = {0};
  const uint8_t head[4] = {1, 0, 0, 0};
  put_raw(&item, head, sizeof head);
  put_item(&item, 0x40, EXPLICIT_LITTLE, strlen(EXPLICIT_LITTLE));
  put_item(&contexts, 0x21, item.data, item.count);
  put_associate(b, &contexts);
  b->data[0] = PDU_ASSOCIATE_AC;
  lvn_free(item.data);
  lvn_free(contexts.data);
}

static void drip(int fd, const uint8_t *data, size_t count) {
  for (size_t i = 0; i < count && peer_send(fd, data + i, 1); i++) {
    lvn_clock_sleep_seconds(0.2);
  }
}

static void serve_badly(int listen_fd, enum bad what) {
  static uint8_t body[1 << 20];
  static const uint8_t answer[100] = {PDU_DATA, 0, 0, 0, 0, 94, 0, 0, 0, 90, 1, PDV_COMMAND | PDV_LAST};
  struct bytes acceptance = {0};
  size_t count = 0;
  (void)alarm(20); /* a test that hangs ends */
  const int small = 4096;
  (void)setsockopt(listen_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  int fd = accept(listen_fd, NULL, NULL);
  (void)peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS);
  put_acceptance(&acceptance);
  if (what == DRIP_ACCEPTANCE) {
    drip(fd, acceptance.data, acceptance.count);
    _exit(0); /* allow: the child of a test */
  }
  (void)peer_send(fd, acceptance.data, acceptance.count);
  while (what == DRIP_READING && recv(fd, body, 1, 0) == 1) {
    lvn_clock_sleep_seconds(0.2);
  }
  for (bool is_last = false; !is_last;) {
    is_last = peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS) != PDU_DATA || body[5] == PDV_LAST;
  }
  if (what == OTHER_MESSAGE) {
    uint8_t command[LVN_COMMAND_WRITTEN_BYTES_MAX];
    const struct lvn_command other = {.field = LVN_COMMAND_C_STORE_RQ | LVN_COMMAND_RESPONSE, .message_id = 99};
    (void)peer_send_pdv(fd, 1, PDV_COMMAND | PDV_LAST, command, lvn_command_write(&other, command));
    (void)raw_wait_for_end(fd);
    _exit(0); /* allow: the child of a test */
  }
  drip(fd, answer, sizeof answer);
  _exit(0); /* allow: the child of a test */
}

static void check_bad(struct fixture *fixture, enum bad what, enum lvn_error_code code) {
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  int listen_fd = listen_anywhere(&fixture->port);
  fixture->pid = fork();
  if (fixture->pid == 0) {
    serve_badly(listen_fd, what);
  }
  (void)close(listen_fd);
  struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file file = {EXPLICIT_CT, CT_CLASS, EXPLICIT_LITTLE};
  peer.connect_seconds = 1;
  peer.dimse_seconds = 1;
  double since = lvn_clock_monotonic_seconds();
  const bool is_open = lvn_scu_open(&peer, &file, 1, &scu, &err);
  assert_int_equal(is_open, what != DRIP_ACCEPTANCE);
  if (is_open) {
    assert_false(lvn_scu_store(scu, &file, &status, &err));
  }
  assert_int_equal(err.code, code);
  lvn_scu_close(scu);
  assert_true(code != LVN_ERROR_TIMEOUT || lvn_clock_monotonic_seconds() - since > 0.9);
  assert_true(lvn_clock_monotonic_seconds() - since < 3.5);
}

static void test_scu__takes_no_answer_to_another_message(void **state) {
  check_bad(*state, OTHER_MESSAGE, LVN_ERROR_PROTOCOL);
}

static void test_scu__gives_up_on_an_acceptance_that_drips(void **state) {
  check_bad(*state, DRIP_ACCEPTANCE, LVN_ERROR_TIMEOUT);
}

static void test_scu__gives_up_on_an_answer_that_drips(void **state) {
  check_bad(*state, DRIP_ANSWER, LVN_ERROR_TIMEOUT);
}

static void test_scu__gives_up_on_a_peer_that_reads_in_drips(void **state) {
  check_bad(*state, DRIP_READING, LVN_ERROR_TIMEOUT);
}

/* Explicit to implicit and back: what is sent is what DCMTK makes of the file. */
static void check_conversion(struct fixture *fixture, const char *path, const char *accepted) {
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  fixture->record->only_syntax = accepted;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file file = {path, CT_CLASS, NULL};
  assert_true(lvn_scu_open(&peer, &file, 1, &scu, &err));
  assert_true(lvn_scu_store(scu, &file, &status, &err));
  assert_int_equal(status, 0x0000);
  lvn_scu_close(scu);
  const struct record *record = finish(fixture);
  assert_true(record->is_good);
  assert_string_equal(record->syntax_uid, accepted);
  assert_true(record->byte_count > 100000);
  /* The first element is (0008,0005) or (0008,0008), or its group length, with a VR or without. */
  const bool has_vr = record->data[4] >= 'A' && record->data[4] <= 'Z';
  assert_int_equal(has_vr, strcmp(accepted, EXPLICIT_LITTLE) == 0);
  fixture->record->only_syntax = NULL;
}

static void test_scu__encodes_for_a_peer_that_takes_another_syntax(void **state) {
  check_conversion(*state, EXPLICIT_CT, IMPLICIT_LITTLE);
  check_conversion(*state, LVN_TEST_DATA "/ct_transfer_syntaxes/1.2.840.10008.1.2.dcm", EXPLICIT_LITTLE);
}

/* Group lengths, odd lengths and all: bit by bit. */
static void test_scu__sends_a_file_as_it_is(void **state) {
  struct fixture *fixture = *state;
  size_t count = 0;
  size_t at = 0;
  uint8_t *file = read_file(EXPLICIT_CT, &count, &at);
  scu_send(fixture, EXPLICIT_CT, EXPLICIT_LITTLE, 0x0000);
  assert_int_equal(fixture->record->byte_count, count - at);
  assert_memory_equal(fixture->record->data, file + at, count - at);
  lvn_free(file);
}

static void test_scu__notices_an_abort_within_an_object(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  fixture->record->abort_after_bytes = 200000;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file file = {EXPLICIT_CT, CT_CLASS, EXPLICIT_LITTLE};
  assert_true(lvn_scu_open(&peer, &file, 1, &scu, &err));
  assert_false(lvn_scu_store(scu, &file, &status, &err));
  assert_true(err.code == LVN_ERROR_PROTOCOL || err.code == LVN_ERROR_IO);
  assert_true(lvn_error_is_transient(&err) || err.code == LVN_ERROR_PROTOCOL);
  lvn_scu_close(scu);
  (void)finish(fixture);
}

static void test_scu__says_when_no_context_was_accepted(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file files[] = {{EXPLICIT_CT, CT_CLASS, NULL}, /* an MR class, which the node does not take */
                                       {EXPLICIT_CT, "1.2.840.10008.5.1.4.1.1.4", NULL}};
  assert_true(lvn_scu_open(&peer, files, 2, &scu, &err));
  assert_false(lvn_scu_store(scu, &files[1], &status, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_true(lvn_scu_store(scu, &files[0], &status, &err)); /* the association lives on */
  assert_int_equal(status, 0x0000);
  lvn_scu_close(scu);
  assert_true(finish(fixture)->is_good);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_scu__sends_explicit_little_endian),
      CASE(test_scu__sends_jpeg_ls_as_it_is),
      CASE(test_scu__gives_up_on_a_closed_port),
      CASE(test_scu__gives_up_on_a_silent_peer),
      CASE(test_scu__gives_up_on_a_silent_answer),
      CASE(test_scu__notices_an_abort_within_an_object),
      CASE(test_scu__says_when_no_context_was_accepted),
      CASE(test_scu__gives_up_on_an_acceptance_that_drips),
      CASE(test_scu__takes_no_answer_to_another_message),
      CASE(test_scu__gives_up_on_an_answer_that_drips),
      CASE(test_scu__gives_up_on_a_peer_that_reads_in_drips),
      CASE(test_scu__encodes_for_a_peer_that_takes_another_syntax),
      CASE(test_scu__sends_a_file_as_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
