#include "dicom/net/command.h"

#include <string.h>

/* Command Data Set Type: any other value means that a data set follows (PS3.7 table E.1-1). */
#define NO_DATA_SET 0x0101U

enum found { FOUND_FIELD = 1, FOUND_MESSAGE_ID = 2, FOUND_DATA_SET_TYPE = 4, FOUND_ALL = 7 };

static uint16_t get_u16(const uint8_t *at) {
  return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get_u32(const uint8_t *at) {
  return get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static bool take_u16(const uint8_t *value, uint32_t length, uint16_t *ret_value, struct lvn_error *err) {
  if (length != 2) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a number of %u bytes in a command", length);
  }
  *ret_value = get_u16(value);
  return true;
}

/* Padded by one NUL; a blank is a common mistake. */
static bool take_uid(const uint8_t *value, uint32_t length, char ret_uid[65], struct lvn_error *err) {
  while (length > 0 && (value[length - 1] == '\0' || value[length - 1] == ' ')) {
    length--;
  }
  if (length > 64 || memchr(value, '\0', length) != NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a malformed UID in a command");
  }
  memcpy(ret_uid, value, length);
  ret_uid[length] = '\0';
  return true;
}

static bool take_element(uint16_t element, const uint8_t *value, uint32_t length, struct lvn_command *command,
                         unsigned *found, struct lvn_error *err) {
  uint16_t type = NO_DATA_SET;
  switch (element) {
  case 0x0002: /* Affected SOP Class UID */
    return take_uid(value, length, command->sop_class_uid, err);
  case 0x0100: /* Command Field */
    *found |= FOUND_FIELD;
    return take_u16(value, length, &command->field, err);
  case 0x0110: /* Message ID */
    *found |= FOUND_MESSAGE_ID;
    return take_u16(value, length, &command->message_id, err);
  case 0x0800: /* Command Data Set Type */
    *found |= FOUND_DATA_SET_TYPE;
    if (!take_u16(value, length, &type, err)) {
      return false;
    }
    command->has_data_set = type != NO_DATA_SET;
    return true;
  case 0x1000: /* Affected SOP Instance UID */
    return take_uid(value, length, command->sop_instance_uid, err);
  default:
    return true;
  }
}

static size_t put_element(uint8_t *at, uint16_t element, const void *value, size_t length) {
  size_t padded = length + (length & 1);
  const uint8_t head[8] = {0, 0, (uint8_t)element, (uint8_t)(element >> 8), (uint8_t)padded, 0, 0, 0};
  memcpy(at, head, sizeof head);
  memcpy(at + sizeof head, value, length);
  memset(at + sizeof head + length, 0, padded - length);
  return sizeof head + padded;
}

static size_t put_u16(uint8_t *at, uint16_t element, unsigned value) {
  const uint8_t raw[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
  return put_element(at, element, raw, sizeof raw);
}

static size_t put_uid(uint8_t *at, uint16_t element, const char *uid) {
  return uid[0] == '\0' ? 0 : put_element(at, element, uid, strlen(uid));
}

/* LO: 64 characters, no backslash (PS3.5 6.2). */
static size_t put_comment(uint8_t *at, const char *comment) {
  char text[65];
  size_t length = 0;
  for (; comment != NULL && comment[length] != '\0' && length < 64; length++) {
    const char c = comment[length];
    text[length] = (char)(c < ' ' || c > '~' || c == '\\' ? '?' : c);
  }
  if ((length & 1) != 0) {
    text[length++] = ' ';
  }
  return length == 0 ? 0 : put_element(at, 0x0902, text, length);
}

size_t lvn_command_write_response(const struct lvn_command *request, uint16_t status, const char *comment,
                                  uint8_t ret_bytes[LVN_COMMAND_RESPONSE_BYTES_MAX]) {
  const size_t group_length_bytes = 12;
  size_t at = group_length_bytes;
  at += put_uid(ret_bytes + at, 0x0002, request->sop_class_uid);
  at += put_u16(ret_bytes + at, 0x0100, 0x8000U | request->field);
  at += put_u16(ret_bytes + at, 0x0120, request->message_id);
  at += put_u16(ret_bytes + at, 0x0800, NO_DATA_SET);
  at += put_u16(ret_bytes + at, 0x0900, status);
  at += put_comment(ret_bytes + at, comment);
  at += put_uid(ret_bytes + at, 0x1000, request->sop_instance_uid);
  const size_t rest_bytes = at - group_length_bytes; /* at most 280 */
  const uint8_t rest[4] = {(uint8_t)rest_bytes, (uint8_t)(rest_bytes >> 8), 0, 0};
  (void)put_element(ret_bytes, 0x0000, rest, sizeof rest);
  return at;
}

bool lvn_command_parse(const uint8_t *bytes, size_t count, struct lvn_command *ret_command, struct lvn_error *err) {
  unsigned found = 0;
  size_t at = 0;
  *ret_command = (struct lvn_command){0};
  while (count - at >= 8) {
    uint32_t length = get_u32(bytes + at + 4);
    if (get_u16(bytes + at) != 0 || length > count - at - 8) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a malformed command set");
    }
    if (!take_element(get_u16(bytes + at + 2), bytes + at + 8, length, ret_command, &found, err)) {
      return false;
    }
    at += 8 + length;
  }
  if (at != count || found != FOUND_ALL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "an incomplete command set");
  }
  return true;
}
