/* Command sets as peers send them, and as none should. */
#include "dicom/net/command.h"

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
  uint8_t bytes[LVN_COMMAND_RESPONSE_BYTES_MAX];
  struct lvn_command longest = {.field = LVN_COMMAND_C_STORE_RQ};
  (void)state;
  size_t count = lvn_command_write_response(&request, 0xA700, NULL, bytes);
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
  memset(longest.sop_class_uid, '1', 64);
  memset(longest.sop_instance_uid, '1', 64);
  assert_true(lvn_command_write_response(&longest, 0, NULL, bytes) <= sizeof bytes);
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
      cmocka_unit_test(test_command__reads_a_store_request),
      cmocka_unit_test(test_command__knows_a_request_without_data_set),
      cmocka_unit_test(test_command__refuses_every_prefix),
      cmocka_unit_test(test_command__refuses_bad_elements),
      cmocka_unit_test(test_command__takes_uids_of_full_length_and_padding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
