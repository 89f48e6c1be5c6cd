/* The sending side against our own association and against peers that fail. */
#include "association_fixture.h"
#include "tests/unit/scratch.h"

/* DCMTK leaves group lengths out when it writes; what it wrote once stays as it is. */
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
      CASE(test_scu__sends_explicit_little_endian),      CASE(test_scu__sends_jpeg_ls_as_it_is),
      CASE(test_scu__gives_up_on_a_closed_port),         CASE(test_scu__gives_up_on_a_silent_peer),
      CASE(test_scu__gives_up_on_a_silent_answer),       CASE(test_scu__notices_an_abort_within_an_object),
      CASE(test_scu__says_when_no_context_was_accepted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
