/* Command sets as peers send them, and as none should. */
#include "dicom/net/dimse/command.h"

#include "pdu_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool parse(const struct bytes *bytes, struct lvn_command *command, struct lvn_error *err) {
  return lvn_command_parse(bytes->data, bytes->count, command, err);
}

static void assert_refused(struct bytes *taken) {
  struct lvn_error err = {0};
  struct lvn_command command;
  assert_false(parse(taken, &command, &err));
  assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
  lvn_free(taken->data);
  *taken = (struct bytes){0};
}

static void test_command__reads_a_store_request(void **state) {
  struct bytes bytes = {0};
  struct lvn_error err;
  struct lvn_command command;
  (void)state;
  put_store_command(&bytes, CT_CLASS, "1.2.3");
  assert_true(parse(&bytes, &command, &err));
  assert_int_equal(command.field, LVN_COMMAND_C_STORE_RQ);
  assert_int_equal(command.message_id, 7);
  assert_true(command.has_data_set);
  assert_string_equal(command.sop_class_uid, CT_CLASS);
  assert_string_equal(command.sop_instance_uid, "1.2.3");
  lvn_free(bytes.data);
}

static void test_command__knows_a_request_without_data_set(void **state) {
  struct bytes bytes = {0};
  struct lvn_error err;
  struct lvn_command command;
  (void)state;
  put_command_u16(&bytes, 0x0100, LVN_COMMAND_C_ECHO_RQ);
  put_command_u16(&bytes, 0x0110, 65535);
  put_command_u16(&bytes, 0x0800, 0x0101);
  assert_true(parse(&bytes, &command, &err));
  assert_int_equal(command.field, LVN_COMMAND_C_ECHO_RQ);
  assert_int_equal(command.message_id, 65535);
  assert_false(command.has_data_set);
  assert_string_equal(command.sop_class_uid, "");
  lvn_free(bytes.data);
}

static void test_command__answers_a_request(void **state) {
  const struct lvn_command request = {
      .field = LVN_COMMAND_C_STORE_RQ, .message_id = 515, .sop_class_uid = CT_CLASS, .sop_instance_uid = "1.2.3"};
  uint8_t bytes[LVN_COMMAND_WRITTEN_BYTES_MAX];
  struct lvn_command response;
  (void)state;
  lvn_command_respond(&request, 0xA700, NULL, &response);
  size_t count = lvn_command_write(&response, bytes);
  static const uint8_t expected[] = {
      0,   0,   0,    0,    4,   0,   0,   0,   88,  0,    0,   0, /* group length */
      0,   0,   2,    0,    26,  0,   0,   0,   '1', '.',  '2', '.', '8', '4', '0', '.', '1',
      '0', '0', '0',  '8',  '.', '5', '.', '1', '.', '4',  '.', '1', '.', '1', '.', '2', 0, /* SOP class, padded */
      0,   0,   0,    1,    2,   0,   0,   0,   1,   0x80,                                  /* C-STORE-RSP */
      0,   0,   0x20, 1,    2,   0,   0,   0,   3,   2,                                     /* message 515 */
      0,   0,   0,    8,    2,   0,   0,   0,   1,   1,                                     /* no data set */
      0,   0,   0,    9,    2,   0,   0,   0,   0,   0xA7,                                  /* status */
      0,   0,   0,    0x10, 6,   0,   0,   0,   '1', '.',  '2', '.', '3', 0};               /* SOP instance */
  assert_int_equal(count, sizeof expected);
  assert_memory_equal(bytes, expected, sizeof expected);
}

/* As DCMTK's storescu writes it. */
static void test_command__asks_for_storage(void **state) {
  const struct lvn_command request = {.field = LVN_COMMAND_C_STORE_RQ,
                                      .message_id = 1,
                                      .has_data_set = true,
                                      .sop_class_uid = CT_CLASS,
                                      .sop_instance_uid = "1.2.3"};
  uint8_t bytes[LVN_COMMAND_WRITTEN_BYTES_MAX];
  (void)state;
  size_t count = lvn_command_write(&request, bytes);
  static const uint8_t expected[] = {
      0,   0,   0,    0,    4,   0,   0,   0,   88,  0,   0,   0, /* group length */
      0,   0,   2,    0,    26,  0,   0,   0,   '1', '.', '2', '.', '8', '4', '0', '.', '1',
      '0', '0', '0',  '8',  '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '2', 0, /* SOP class, padded */
      0,   0,   0,    1,    2,   0,   0,   0,   1,   0,                                    /* C-STORE-RQ */
      0,   0,   0x10, 1,    2,   0,   0,   0,   1,   0,                                    /* message 1 */
      0,   0,   0,    7,    2,   0,   0,   0,   0,   0,                                    /* priority: medium */
      0,   0,   0,    8,    2,   0,   0,   0,   1,   0,                                    /* a data set follows */
      0,   0,   0,    0x10, 6,   0,   0,   0,   '1', '.', '2', '.', '3', 0};               /* SOP instance */
  assert_int_equal(count, sizeof expected);
  assert_memory_equal(bytes, expected, sizeof expected);
}

static const uint16_t requests[] = {LVN_COMMAND_C_STORE_RQ,        LVN_COMMAND_C_GET_RQ,   LVN_COMMAND_C_FIND_RQ,
                                    LVN_COMMAND_C_MOVE_RQ,         LVN_COMMAND_C_ECHO_RQ,  LVN_COMMAND_N_ACTION_RQ,
                                    LVN_COMMAND_N_EVENT_REPORT_RQ, LVN_COMMAND_C_CANCEL_RQ};

/* Every member full; what a command has no element for is not there afterwards. */
static struct lvn_command full_command(uint16_t field) {
  struct lvn_command command = {.field = field,
                                .message_id = 0xFFFE,
                                .has_data_set = true,
                                .status = 0xC001,
                                .priority = 2,
                                .has = 127,
                                .move_originator_id = 1001,
                                .remaining_count = 1002,
                                .completed_count = 1003,
                                .failed_count = 1004,
                                .warning_count = 1005,
                                .event_type = 1006,
                                .action_type = 1007,
                                .move_destination = "DESTINATION_AE16",
                                .move_originator_aet = "ORIGINATOR_AE_16"};
  memset(command.sop_class_uid, '1', 64);
  memset(command.sop_instance_uid, '2', 64);
  memset(command.error_comment, 'c', 64);
  return command;
}

static void test_command__reads_what_it_wrote(void **state) {
  struct lvn_error err;
  (void)state;
  for (size_t i = 0; i < 2 * sizeof requests / sizeof requests[0]; i++) {
    const uint16_t field = (uint16_t)(requests[i / 2] | (i % 2 == 0 ? 0 : LVN_COMMAND_RESPONSE));
    const struct lvn_command command = full_command(field);
    uint8_t bytes[LVN_COMMAND_WRITTEN_BYTES_MAX];
    uint8_t again_bytes[LVN_COMMAND_WRITTEN_BYTES_MAX];
    struct lvn_command again;
    size_t count = lvn_command_write(&command, bytes);
    assert_true(count <= sizeof bytes);
    assert_int_equal(bytes[8] | bytes[9] << 8, count - 12);
    assert_true(lvn_command_parse(bytes, count, &again, &err));
    assert_int_equal(again.field, field);
    assert_int_equal(again.message_id, 0xFFFE);
    assert_true(again.has_data_set);
    assert_int_equal(again.status, (field & LVN_COMMAND_RESPONSE) != 0 ? 0xC001 : 0);
    assert_int_equal(lvn_command_write(&again, again_bytes), count);
    assert_memory_equal(again_bytes, bytes, count);
  }
}

/* The element numbers of PS3.7, beside those of C-STORE: what both directions here could agree on and be wrong. */
static void check_element(uint16_t field, unsigned element, int expected) {
  const struct lvn_command command = full_command(field);
  uint8_t bytes[6 + LVN_COMMAND_WRITTEN_BYTES_MAX] = {0};
  size_t count = lvn_command_write(&command, bytes + 6);
  assert_int_equal(find_command_u16(bytes, 6 + count, element), expected);
}

static void test_command__puts_elements_where_they_belong(void **state) {
  const int ones = '1' | '1' << 8;
  const int twos = '2' | '2' << 8;
  (void)state;
  check_element(LVN_COMMAND_N_ACTION_RQ, 0x0003, ones); /* requested class and instance */
  check_element(LVN_COMMAND_N_ACTION_RQ, 0x1001, twos);
  check_element(LVN_COMMAND_N_ACTION_RQ, 0x0002, -1);
  check_element(LVN_COMMAND_N_ACTION_RQ, 0x1000, -1);
  check_element(LVN_COMMAND_N_ACTION_RQ, 0x1008, 1007);
  check_element(0x8130, 0x0002, ones); /* its response: affected */
  check_element(0x8130, 0x1000, twos);
  check_element(0x8130, 0x1008, 1007);
  check_element(LVN_COMMAND_N_EVENT_REPORT_RQ, 0x0002, ones);
  check_element(LVN_COMMAND_N_EVENT_REPORT_RQ, 0x1000, twos);
  check_element(LVN_COMMAND_N_EVENT_REPORT_RQ, 0x1002, 1006);
  check_element(0x8100, 0x1002, 1006);
  check_element(LVN_COMMAND_C_MOVE_RQ, 0x0600, 'D' | 'E' << 8);
  check_element(LVN_COMMAND_C_MOVE_RQ, 0x1000, -1);
  check_element(LVN_COMMAND_C_STORE_RQ, 0x1030, 'O' | 'R' << 8);
  check_element(LVN_COMMAND_C_STORE_RQ, 0x1031, 1001);
  check_element(0x8021, 0x1020, 1002);
  check_element(0x8010, 0x1021, 1003);
  check_element(0x8010, 0x1022, 1004);
  check_element(0x8021, 0x1023, 1005);
  check_element(0x8020, 0x1020, -1);
  check_element(LVN_COMMAND_C_CANCEL_RQ, 0x0110, -1);
  check_element(LVN_COMMAND_C_CANCEL_RQ, 0x0120, 0xFFFE);
}

/* A response without a status, and a cancellation of nothing, cannot be matched or judged. */
static void test_command__refuses_what_cannot_be_matched(void **state) {
  struct bytes bytes = {0};
  (void)state;
  put_command_u16(&bytes, 0x0100, 0x8001);
  put_command_u16(&bytes, 0x0120, 7);
  put_command_u16(&bytes, 0x0800, 0x0101);
  assert_refused(&bytes);
  put_command_u16(&bytes, 0x0100, LVN_COMMAND_C_CANCEL_RQ);
  put_command_u16(&bytes, 0x0110, 7);
  put_command_u16(&bytes, 0x0800, 0x0101);
  assert_refused(&bytes);
}

/* Each prefix of a good command is refused: none is read past its end (the sanitizer build would see it). */
static void test_command__refuses_every_prefix(void **state) {
  struct bytes bytes = {0};
  (void)state;
  put_store_command(&bytes, CT_CLASS, "1.2.3");
  size_t required = bytes.count - 14; /* the instance UID alone may be missing */
  for (size_t count = 0; count < bytes.count; count++) {
    struct bytes prefix = {0};
    put_raw(&prefix, bytes.data, count);
    if (count == required) {
      struct lvn_error err;
      struct lvn_command command;
      assert_true(parse(&prefix, &command, &err));
      lvn_free(prefix.data);
    } else {
      assert_refused(&prefix);
    }
  }
  lvn_free(bytes.data);
}

static void test_command__refuses_bad_elements(void **state) {
  static const uint8_t other_group[] = {0x08, 0x00, 0x18, 0x00, 0, 0, 0, 0};
  static const uint8_t undefined_length[] = {0x00, 0x00, 0x01, 0x60, 0xFF, 0xFF, 0xFF, 0xFF};
  struct bytes bytes = {0};
  char uid[67];
  (void)state;
  put_store_command(&bytes, CT_CLASS, "1.2.3");
  put_raw(&bytes, other_group, sizeof other_group);
  assert_refused(&bytes);
  put_store_command(&bytes, CT_CLASS, "1.2.3");
  put_raw(&bytes, undefined_length, sizeof undefined_length);
  assert_refused(&bytes);
  put_store_command(&bytes, CT_CLASS, "1.2.3");
  put_command_element(&bytes, 0x0110, "abcd", 4); /* a Message ID of four bytes */
  assert_refused(&bytes);
  memset(uid, '1', sizeof uid);
  uid[65] = '\0';
  put_store_command(&bytes, CT_CLASS, uid);
  assert_refused(&bytes);
  put_store_command(&bytes, CT_CLASS, "1.2.3");
  put_command_element(&bytes, 0x1000, "1\0002", 3);
  assert_refused(&bytes);
}

static void test_command__takes_uids_of_full_length_and_padding(void **state) {
  struct bytes bytes = {0};
  struct lvn_error err;
  struct lvn_command command;
  char uid[65];
  (void)state;
  memset(uid, '1', 64);
  uid[64] = '\0';
  put_store_command(&bytes, uid, "1.2.3 ");
  assert_true(parse(&bytes, &command, &err));
  assert_string_equal(command.sop_class_uid, uid);
  assert_string_equal(command.sop_instance_uid, "1.2.3");
  lvn_free(bytes.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_command__answers_a_request),
      cmocka_unit_test(test_command__asks_for_storage),
      cmocka_unit_test(test_command__reads_what_it_wrote),
      cmocka_unit_test(test_command__puts_elements_where_they_belong),
      cmocka_unit_test(test_command__refuses_what_cannot_be_matched),
      cmocka_unit_test(test_command__reads_a_store_request),
      cmocka_unit_test(test_command__knows_a_request_without_data_set),
      cmocka_unit_test(test_command__refuses_every_prefix),
      cmocka_unit_test(test_command__refuses_bad_elements),
      cmocka_unit_test(test_command__takes_uids_of_full_length_and_padding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
