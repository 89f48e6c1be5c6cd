/* A service that the node does not have, added as one row of the table, spoken to over real associations in both
 * directions: actions, reports, pending answers and their cancellation, and who may do what. */
#include "association_fixture.h"
#include "fake_service.h"
#include "xor_layer.h"

static struct lvn_error err;
static struct lvn_dimse *dimse;
static const struct lvn_association_context *context;

/* An association of CT and the fake class, in `roles`, with a node that has `service`. */
static void open_with(struct fixture *fixture, const struct lvn_dimse_service *service, unsigned roles) {
  fixture->record->more_services = service;
  fixture->record->more_service_count = 1;
  start(fixture);
  const struct lvn_association_target target = {.host = "127.0.0.1",
                                                .port = fixture->port,
                                                .called_aet = "NODE",
                                                .calling_aet = "TESTER",
                                                .connect_seconds = 5,
                                                .idle_seconds = 5,
                                                .layer = fixture->record->layer};
  const struct lvn_association_offer offers[] = {
      {.abstract_syntax = CT_CLASS, .transfer_syntaxes = uncompressed, .transfer_syntax_count = 2},
      {.abstract_syntax = FAKE_CLASS, .transfer_syntaxes = uncompressed, .transfer_syntax_count = 2, .roles = roles}};
  reports = 0;
  if (!lvn_dimse_request(&target, offers, 2, service, 1, &dimse, &err)) {
    fail_msg("%s", err.message);
  }
  context = lvn_dimse_find_context(dimse, FAKE_CLASS, NULL, 0);
  assert_non_null(context);
  assert_string_equal(context->transfer_syntax, EXPLICIT_LITTLE);
}

static void close_and_finish(struct fixture *fixture) {
  lvn_dimse_close(dimse);
  if (!finish(fixture)->is_good) {
    fail_msg("the node: %s", fixture->record->message);
  }
}

/* An N-ACTION with these bytes; the status of its answer. */
static int ask_on(const struct lvn_association_context *on, uint16_t type, const char *text, size_t count,
                  struct lvn_dimse_message *ret_response) {
  struct lvn_command command = {.field = LVN_COMMAND_N_ACTION_RQ,
                                .has = LVN_COMMAND_HAS_ACTION_TYPE,
                                .action_type = type,
                                .sop_instance_uid = FAKE_INSTANCE};
  struct lvn_dimse_bytes bytes = {.bytes = (const uint8_t *)text, .count = count};
  const struct lvn_dimse_source data = lvn_dimse_source_of(&bytes);
  uint16_t message_id = 0;
  (void)snprintf(command.sop_class_uid, sizeof command.sop_class_uid, "%s", on->abstract_syntax);
  if (!lvn_dimse_send_request(dimse, on, &command, &data, &message_id, &err) ||
      !lvn_dimse_await(dimse, message_id, ret_response, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(ret_response->command.field, 0x8130);
  return ret_response->command.status;
}

static void test_services__a_row_adds_one(void **state) {
  struct lvn_dimse_message response;
  uint8_t *bytes = NULL;
  size_t count = 0;
  open_with(*state, &fake_scp, 0);
  assert_int_equal(context->roles, LVN_ROLE_SCU);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(ask_on(context, ACT_ANSWER, "abcdef", 6, &response), LVN_STATUS_SUCCESS);
    assert_int_equal(response.command.action_type, ACT_ANSWER);
    assert_string_equal(response.command.sop_class_uid, FAKE_CLASS);
    assert_string_equal(response.command.sop_instance_uid, FAKE_INSTANCE);
    assert_true(response.command.has_data_set);
    if (i == 1) {
      continue; /* an answer's data set need not be read */
    }
    assert_true(lvn_dimse_receive_bytes(dimse, BYTES_MAX, &bytes, &count, &err));
    assert_int_equal(count, 6);
    assert_memory_equal(bytes, "abcdef", 6);
    lvn_free(bytes);
  }
  close_and_finish(*state);
}

static void test_services__reports_while_an_answer_is_awaited(void **state) {
  struct lvn_dimse_message response;
  open_with(*state, &fake_both, LVN_ROLE_SCU | LVN_ROLE_SCP);
  assert_int_equal(context->roles, LVN_ROLE_SCU | LVN_ROLE_SCP);
  assert_int_equal(ask_on(context, ACT_REPORT_FIRST, "x", 1, &response), LVN_STATUS_SUCCESS);
  assert_int_equal(reports, 1);
  assert_int_equal(report_type, 7);
  assert_string_equal(report_text, "report");
  close_and_finish(*state);
}

static void test_services__reports_after_the_answer(void **state) {
  struct lvn_dimse_message response;
  bool is_served = false;
  open_with(*state, &fake_both, LVN_ROLE_SCU | LVN_ROLE_SCP);
  assert_int_equal(ask_on(context, ACT_REPORT_LATER, "x", 1, &response), LVN_STATUS_SUCCESS);
  assert_int_equal(reports, 0);
  assert_true(lvn_dimse_serve_within(dimse, 5, &is_served, &err));
  assert_true(is_served);
  assert_int_equal(report_type, 8);
  assert_true(lvn_dimse_serve_within(dimse, 0.2, &is_served, &err));
  assert_false(is_served); /* there is no second one */
  close_and_finish(*state);
}

/* As an archive that calls back: the requestor is the SCP. */
static void test_services__takes_a_report_from_a_requestor_that_is_the_scp(void **state) {
  open_with(*state, &fake_both, LVN_ROLE_SCP);
  assert_int_equal(context->roles, LVN_ROLE_SCP);
  assert_true(send_report(dimse, context, 9, &err));
  close_and_finish(*state);
}

static void test_services__turns_down_a_role_that_the_row_lacks(void **state) {
  struct lvn_dimse_message response;
  open_with(*state, &fake_scp, LVN_ROLE_SCP);
  assert_int_equal(context->roles, LVN_ROLE_SCU);
  assert_false(send_report(dimse, context, 9, &err));
  assert_string_equal(err.message, "a report was answered with 0x0122");
  assert_int_equal(ask_on(context, ACT_ANSWER, "x", 1, &response), LVN_STATUS_SUCCESS);
  close_and_finish(*state);
}

static void test_services__takes_no_role_that_was_not_proposed(void **state) {
  open_with(*state, &fake_both, 0);
  assert_int_equal(context->roles, LVN_ROLE_SCU);
  assert_false(send_report(dimse, context, 9, &err));
  assert_string_equal(err.message, "a report was answered with 0x0122");
  close_and_finish(*state);
}

/* A command that one service has, on the presentation context of another. */
static void test_services__answers_a_command_of_another_class(void **state) {
  static const char bytes[100000];
  struct lvn_dimse_message response;
  open_with(*state, &fake_scp, 0);
  const struct lvn_association_context *ct = lvn_dimse_find_context(dimse, CT_CLASS, NULL, LVN_ROLE_SCU);
  assert_non_null(ct);
  assert_int_equal(ask_on(ct, ACT_ANSWER, bytes, sizeof bytes, &response), LVN_STATUS_NO_SUCH_CLASS);
  assert_int_equal(ask_on(context, ACT_ANSWER, "x", 1, &response), LVN_STATUS_SUCCESS);
  close_and_finish(*state);
}

static void test_services__refuses_a_large_data_set_and_goes_on(void **state) {
  static const char bytes[BYTES_MAX + 1];
  struct lvn_dimse_message response;
  open_with(*state, &fake_scp, 0);
  assert_int_equal(ask_on(context, ACT_ANSWER, bytes, sizeof bytes, &response), LVN_STATUS_PROCESSING_FAILURE);
  assert_string_equal(response.command.error_comment, "a data set of more than 1000 bytes");
  assert_int_equal(ask_on(context, ACT_ANSWER, bytes, BYTES_MAX, &response), LVN_STATUS_SUCCESS);
  close_and_finish(*state);
}

/* All pending answers, or so many as came before the cancellation was heard. */
static int count_pending(const char *query, int cancel_after, uint16_t *ret_status) {
  struct lvn_command command = {.field = LVN_COMMAND_C_FIND_RQ, .sop_class_uid = FAKE_CLASS};
  struct lvn_dimse_bytes bytes = {.bytes = (const uint8_t *)query, .count = 4};
  const struct lvn_dimse_source data = lvn_dimse_source_of(&bytes);
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  int pending = 0;
  assert_true(lvn_dimse_send_request(dimse, context, &command, &data, &message_id, &err));
  for (;;) {
    if (!lvn_dimse_await(dimse, message_id, &response, &err)) {
      fail_msg("%s", err.message);
    }
    if (!lvn_command_is_pending(&response.command)) {
      break;
    }
    assert_true(response.command.has_data_set);
    if (++pending == cancel_after) {
      assert_true(lvn_dimse_cancel(dimse, context, message_id, &err));
    }
  }
  *ret_status = response.command.status;
  return pending;
}

static void test_services__sends_pending_answers_until_it_is_cancelled(void **state) {
  uint16_t status = 0;
  open_with(*state, &fake_scp, 0);
  assert_int_equal(count_pending("fast", -1, &status), PENDING_COUNT);
  assert_int_equal(status, LVN_STATUS_SUCCESS);
  const int pending = count_pending("slow", 3, &status);
  assert_int_equal(status, LVN_STATUS_CANCEL);
  assert_true(pending >= 3 && pending < PENDING_COUNT);
  (void)count_pending("fast", PENDING_COUNT, &status); /* heard too late: of no request any more, and ignored */
  assert_int_equal(count_pending("fast", -1, &status), PENDING_COUNT);
  close_and_finish(*state);
}

/* Several messages in one PDU: what comes after the first is seen although the socket has nothing more. */
static void test_services__hears_a_cancellation_in_the_same_pdu(void **state) {
  struct fixture *fixture = *state;
  const struct lvn_command query = {
      .field = LVN_COMMAND_C_FIND_RQ, .message_id = 5, .has_data_set = true, .sop_class_uid = FAKE_CLASS};
  const struct lvn_command cancel = {.field = LVN_COMMAND_C_CANCEL_RQ, .message_id = 5};
  uint8_t command[LVN_COMMAND_WRITTEN_BYTES_MAX];
  uint8_t body[4096];
  struct bytes pdvs = {0};
  struct bytes pdu = {0};
  size_t count = 0;
  int status = LVN_STATUS_PENDING;
  int pending = 0;
  fixture->record->more_services = &fake_scp;
  fixture->record->more_service_count = 1;
  start(fixture);
  int fd = raw_open_class(fixture, FAKE_CLASS, explicit_only);
  put_pdv(&pdvs, 1, PDV_COMMAND | PDV_LAST, command, lvn_command_write(&query, command));
  put_pdv(&pdvs, 1, PDV_LAST, "slow", 4);
  put_pdv(&pdvs, 1, PDV_COMMAND | PDV_LAST, command, lvn_command_write(&cancel, command));
  put_pdu(&pdu, PDU_DATA, &pdvs);
  lvn_free(pdvs.data);
  assert_true(peer_send_bytes(fd, &pdu));
  while (status == LVN_STATUS_PENDING) {
    assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_DATA);
    status = body[5] == (PDV_COMMAND | PDV_LAST) ? find_command_u16(body, count, 0x0900) : status;
    pending += body[5] == PDV_LAST;
  }
  assert_int_equal(status, LVN_STATUS_CANCEL);
  assert_int_equal(pending, 1);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
}

/* Nothing of DICOM is on the wire as it is, in either direction. */
static void test_services__go_through_a_layer(void **state) {
  struct fixture *fixture = *state;
  struct lvn_dimse_message response;
  fixture->record->layer = &xor_layer;
  open_with(fixture, &fake_both, LVN_ROLE_SCU | LVN_ROLE_SCP);
  assert_int_equal(ask_on(context, ACT_REPORT_FIRST, "x", 1, &response), LVN_STATUS_SUCCESS);
  assert_int_equal(reports, 1);
  close_and_finish(fixture);
}

static void test_services__say_when_the_peer_has_not_the_layer(void **state) {
  struct fixture *fixture = *state;
  fixture->record->layer = &xor_layer;
  fixture->record->limits.negotiate_seconds = 2;
  start(fixture);
  int fd = peer_connect(fixture->port);
  assert_true(peer_send(fd, "\x01\x00\x00\x00\x00\x44", 6)); /* an A-ASSOCIATE-RQ begins so */
  const struct record *record = finish(fixture);
  (void)close(fd);
  assert_false(record->is_good);
  assert_string_equal(record->message, "the peer does not know the layer");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_services__a_row_adds_one),
      CASE(test_services__reports_while_an_answer_is_awaited),
      CASE(test_services__reports_after_the_answer),
      CASE(test_services__takes_a_report_from_a_requestor_that_is_the_scp),
      CASE(test_services__turns_down_a_role_that_the_row_lacks),
      CASE(test_services__takes_no_role_that_was_not_proposed),
      CASE(test_services__answers_a_command_of_another_class),
      CASE(test_services__refuses_a_large_data_set_and_goes_on),
      CASE(test_services__sends_pending_answers_until_it_is_cancelled),
      CASE(test_services__hears_a_cancellation_in_the_same_pdu),
      CASE(test_services__go_through_a_layer),
      CASE(test_services__say_when_the_peer_has_not_the_layer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
