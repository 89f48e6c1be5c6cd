#include "dicom/net/dimse/command.h"

#include "base/memory.h"

#include <string.h>

/* Command Data Set Type: any value but NO_DATA_SET means that a data set follows (PS3.7 table E.1-1). */
#define NO_DATA_SET 0x0101U
#define DATA_SET 0x0001U

enum {
  COMMAND_FIELD = 0x0100,
  MESSAGE_ID = 0x0110,
  ANSWERED_MESSAGE_ID = 0x0120,
  DATA_SET_TYPE = 0x0800,
  STATUS = 0x0900
};

enum kind { NUMBER, UID, AE_TITLE, LONG_STRING };

/* Which commands have an element, as bits. */
enum owner {
  STORE_RQ = 1,
  QUERY_RQ = 2, /* C-FIND, C-GET */
  MOVE_RQ = 4,
  ECHO_RQ = 8,
  EVENT_RQ = 16,
  ACTION_RQ = 32,
  CANCEL_RQ = 64,
  STORE_RSP = 128,
  RETRIEVE_RSP = 256, /* C-GET, C-MOVE */
  OTHER_RSP = 512,    /* C-FIND, C-ECHO */
  EVENT_RSP = 1024,
  ACTION_RSP = 2048
};
#define RESPONSES ((unsigned)(STORE_RSP | RETRIEVE_RSP | OTHER_RSP | EVENT_RSP | ACTION_RSP))
#define REQUESTS ((unsigned)(STORE_RQ | QUERY_RQ | MOVE_RQ | ECHO_RQ | EVENT_RQ | ACTION_RQ))
#define WITH_PRIORITY ((unsigned)(STORE_RQ | QUERY_RQ | MOVE_RQ))

/* In ascending order, as they are written. Text is written where there is some; numbers always, or, with a bit of
 * `has`, where the command says so. */
static const struct element {
  uint16_t number;
  enum kind kind;
  unsigned owners;
  unsigned has;
  size_t offset;
} elements[] = {
    {0x0002, UID, (REQUESTS & ~(unsigned)ACTION_RQ) | RESPONSES, 0, offsetof(struct lvn_command, sop_class_uid)},
    {0x0003, UID, ACTION_RQ, 0, offsetof(struct lvn_command, sop_class_uid)},
    {COMMAND_FIELD, NUMBER, ~0U, 0, offsetof(struct lvn_command, field)},
    {MESSAGE_ID, NUMBER, REQUESTS, 0, offsetof(struct lvn_command, message_id)},
    {ANSWERED_MESSAGE_ID, NUMBER, RESPONSES | CANCEL_RQ, 0, offsetof(struct lvn_command, message_id)},
    {0x0600, AE_TITLE, MOVE_RQ, 0, offsetof(struct lvn_command, move_destination)},
    {0x0700, NUMBER, WITH_PRIORITY, 0, offsetof(struct lvn_command, priority)},
    {DATA_SET_TYPE, NUMBER, 0, 0, 0}, /* no member of its own */
    {STATUS, NUMBER, RESPONSES, 0, offsetof(struct lvn_command, status)},
    {0x0902, LONG_STRING, RESPONSES, 0, offsetof(struct lvn_command, error_comment)},
    {0x1000, UID, STORE_RQ | EVENT_RQ | STORE_RSP | EVENT_RSP | ACTION_RSP, 0,
     offsetof(struct lvn_command, sop_instance_uid)},
    {0x1001, UID, ACTION_RQ, 0, offsetof(struct lvn_command, sop_instance_uid)},
    {0x1002, NUMBER, EVENT_RQ | EVENT_RSP, LVN_COMMAND_HAS_EVENT_TYPE, offsetof(struct lvn_command, event_type)},
    {0x1008, NUMBER, ACTION_RQ | ACTION_RSP, LVN_COMMAND_HAS_ACTION_TYPE, offsetof(struct lvn_command, action_type)},
    {0x1020, NUMBER, RETRIEVE_RSP, LVN_COMMAND_HAS_REMAINING, offsetof(struct lvn_command, remaining_count)},
    {0x1021, NUMBER, RETRIEVE_RSP, LVN_COMMAND_HAS_COMPLETED, offsetof(struct lvn_command, completed_count)},
    {0x1022, NUMBER, RETRIEVE_RSP, LVN_COMMAND_HAS_FAILED, offsetof(struct lvn_command, failed_count)},
    {0x1023, NUMBER, RETRIEVE_RSP, LVN_COMMAND_HAS_WARNING, offsetof(struct lvn_command, warning_count)},
    {0x1030, AE_TITLE, STORE_RQ, 0, offsetof(struct lvn_command, move_originator_aet)},
    {0x1031, NUMBER, STORE_RQ, LVN_COMMAND_HAS_MOVE_ORIGINATOR_ID, offsetof(struct lvn_command, move_originator_id)},
};

#define ELEMENT_COUNT (sizeof elements / sizeof elements[0])

static enum owner owner_of(uint16_t field) {
  switch (field) {
  case LVN_COMMAND_C_STORE_RQ:
    return STORE_RQ;
  case LVN_COMMAND_C_FIND_RQ:
  case LVN_COMMAND_C_GET_RQ:
    return QUERY_RQ;
  case LVN_COMMAND_C_MOVE_RQ:
    return MOVE_RQ;
  case LVN_COMMAND_N_EVENT_REPORT_RQ:
    return EVENT_RQ;
  case LVN_COMMAND_N_ACTION_RQ:
    return ACTION_RQ;
  case LVN_COMMAND_C_CANCEL_RQ:
    return CANCEL_RQ;
  case LVN_COMMAND_C_STORE_RQ | LVN_COMMAND_RESPONSE:
    return STORE_RSP;
  case LVN_COMMAND_C_GET_RQ | LVN_COMMAND_RESPONSE:
  case LVN_COMMAND_C_MOVE_RQ | LVN_COMMAND_RESPONSE:
    return RETRIEVE_RSP;
  case LVN_COMMAND_N_EVENT_REPORT_RQ | LVN_COMMAND_RESPONSE:
    return EVENT_RSP;
  case LVN_COMMAND_N_ACTION_RQ | LVN_COMMAND_RESPONSE:
    return ACTION_RSP;
  default: /* also what this node does not know: enough is read of it to refuse it */
    return (field & LVN_COMMAND_RESPONSE) != 0 ? OTHER_RSP : ECHO_RQ;
  }
}

bool lvn_command_is_response(const struct lvn_command *command) {
  return (command->field & LVN_COMMAND_RESPONSE) != 0;
}

bool lvn_command_is_pending(const struct lvn_command *response) {
  return response->status == LVN_STATUS_PENDING || response->status == LVN_STATUS_PENDING_WARNING;
}

static uint16_t get_u16(const uint8_t *at) {
  return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get_u32(const uint8_t *at) {
  return get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static size_t max_length(enum kind kind) {
  return kind == AE_TITLE ? 16 : 64;
}

/* Padded by one NUL or blank; either is a common mistake for the other. */
static bool take_text(enum kind kind, const uint8_t *value, uint32_t length, char *ret_text, struct lvn_error *err) {
  if (kind == LONG_STRING && length > max_length(kind)) {
    length = (uint32_t)max_length(kind); /* nothing hangs on a comment */
  }
  while (length > 0 && (value[length - 1] == '\0' || value[length - 1] == ' ')) {
    length--;
  }
  for (; kind == AE_TITLE && length > 0 && *value == ' '; value++) {
    length--;
  }
  if (length > max_length(kind) || memchr(value, '\0', length) != NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a malformed %s in a command", kind == UID ? "UID" : "text");
  }
  memcpy(ret_text, value, length);
  ret_text[length] = '\0';
  return true;
}

static bool take_u16(const uint8_t *value, uint32_t length, uint16_t *ret_value, struct lvn_error *err) {
  if (length != 2) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a number of %u bytes in a command", length);
  }
  *ret_value = get_u16(value);
  return true;
}

/* Marks what it took in `*found`, a bit for each row of the table. */
static bool take_element(const struct element *element, const uint8_t *value, uint32_t length,
                         struct lvn_command *command, uint32_t *found, struct lvn_error *err) {
  char *member = (char *)command + element->offset;
  uint16_t number = 0;
  *found |= 1U << (element - elements);
  if (element->kind != NUMBER) {
    return take_text(element->kind, value, length, member, err);
  }
  if (!take_u16(value, length, &number, err)) {
    return false;
  }
  memcpy(member, &number, sizeof number);
  command->has |= element->has;
  return true;
}

/* The row of an element that such a command has. */
static const struct element *find_element(uint16_t number, unsigned owner) {
  for (size_t i = 0; i < ELEMENT_COUNT; i++) {
    if (elements[i].number == number && (elements[i].owners & owner) != 0) {
      return &elements[i];
    }
  }
  return NULL;
}

/* The next element from *at on; false at the end, or with the error set. */
static bool next_element(const uint8_t *bytes, size_t count, size_t *at, uint16_t *ret_number, uint32_t *ret_length,
                         struct lvn_error *err) {
  if (count - *at < 8) {
    return *at == count ? false : lvn_error_set(err, LVN_ERROR_PROTOCOL, "an incomplete command set");
  }
  *ret_number = get_u16(bytes + *at + 2);
  *ret_length = get_u32(bytes + *at + 4);
  if (get_u16(bytes + *at) != 0 || *ret_length > count - *at - 8) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a malformed command set");
  }
  *at += 8 + *ret_length;
  return true;
}

/* The structure is whole, and the two elements are there that say how to read the rest. */
static bool take_frame(const uint8_t *bytes, size_t count, struct lvn_command *command, struct lvn_error *err) {
  bool has_field = false;
  bool has_type = false;
  uint16_t type = NO_DATA_SET;
  uint16_t number = 0;
  uint32_t length = 0;
  err->code = LVN_OK;
  for (size_t at = 0; next_element(bytes, count, &at, &number, &length, err);) {
    const uint8_t *value = bytes + at - length;
    if ((number == COMMAND_FIELD && !take_u16(value, length, &command->field, err)) ||
        (number == DATA_SET_TYPE && !take_u16(value, length, &type, err))) {
      return false;
    }
    has_field = has_field || number == COMMAND_FIELD;
    has_type = has_type || number == DATA_SET_TYPE;
  }
  command->has_data_set = type != NO_DATA_SET;
  return err->code == LVN_OK &&
         ((has_field && has_type) || lvn_error_set(err, LVN_ERROR_PROTOCOL, "an incomplete command set"));
}

bool lvn_command_parse(const uint8_t *bytes, size_t count, struct lvn_command *ret_command, struct lvn_error *err) {
  static const uint16_t needed[] = {MESSAGE_ID, ANSWERED_MESSAGE_ID, STATUS};
  uint32_t found = 0;
  uint16_t number = 0;
  uint32_t length = 0;
  *ret_command = (struct lvn_command){0};
  if (!take_frame(bytes, count, ret_command, err)) {
    return false;
  }
  const unsigned owner = owner_of(ret_command->field);
  for (size_t at = 0; next_element(bytes, count, &at, &number, &length, err);) {
    const struct element *element = find_element(number, owner);
    if (element != NULL && !take_element(element, bytes + at - length, length, ret_command, &found, err)) {
      return false;
    }
  }
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    const struct element *element = find_element(needed[i], owner);
    if (element != NULL && (found & 1U << (element - elements)) == 0) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "an incomplete command set");
    }
  }
  return true;
}

static size_t put_element(uint8_t *at, uint16_t element, const void *value, size_t length, char padding) {
  const size_t padded = length + (length & 1);
  const uint8_t head[8] = {0, 0, (uint8_t)element, (uint8_t)(element >> 8), (uint8_t)padded, 0, 0, 0};
  memcpy(at, head, sizeof head);
  memcpy(at + sizeof head, value, length);
  memset(at + sizeof head + length, padding, padded - length);
  return sizeof head + padded;
}

static size_t put_u16(uint8_t *at, uint16_t element, unsigned value) {
  const uint8_t raw[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
  return put_element(at, element, raw, sizeof raw, 0);
}

/* LO: no backslash and no control characters (PS3.5 6.2). */
static size_t put_text(uint8_t *at, const struct element *element, const char *text) {
  char clean[65];
  size_t length = 0;
  for (; text[length] != '\0' && length < max_length(element->kind); length++) {
    const char c = text[length];
    const bool is_clean = element->kind != LONG_STRING || (c >= ' ' && c <= '~' && c != '\\');
    clean[length] = (char)(is_clean ? c : '?');
  }
  return length == 0 ? 0 : put_element(at, element->number, clean, length, element->kind == UID ? '\0' : ' ');
}

static size_t put_member(uint8_t *at, const struct element *element, const struct lvn_command *command) {
  const char *member = (const char *)command + element->offset;
  uint16_t number = 0;
  if (element->kind != NUMBER) {
    return put_text(at, element, member);
  }
  if (element->has != 0 && (command->has & element->has) == 0) {
    return 0;
  }
  memcpy(&number, member, sizeof number);
  return put_u16(at, element->number, number);
}

size_t lvn_command_write(const struct lvn_command *command, uint8_t ret_bytes[LVN_COMMAND_WRITTEN_BYTES_MAX]) {
  const size_t group_length_bytes = 12;
  const unsigned owner = owner_of(command->field);
  size_t at = group_length_bytes;
  for (size_t i = 0; i < ELEMENT_COUNT; i++) {
    if (elements[i].number == DATA_SET_TYPE) {
      at += put_u16(ret_bytes + at, DATA_SET_TYPE, command->has_data_set ? DATA_SET : NO_DATA_SET);
    } else if ((elements[i].owners & owner) != 0) {
      at += put_member(ret_bytes + at, &elements[i], command);
    }
  }
  const size_t rest_bytes = at - group_length_bytes;
  const uint8_t rest[4] = {(uint8_t)rest_bytes, (uint8_t)(rest_bytes >> 8), 0, 0};
  (void)put_element(ret_bytes, 0x0000, rest, sizeof rest, 0);
  return at;
}

void lvn_command_respond(const struct lvn_command *request, uint16_t status, const char *comment,
                         struct lvn_command *ret_response) {
  *ret_response = (struct lvn_command){.field = (uint16_t)(request->field | LVN_COMMAND_RESPONSE),
                                       .message_id = request->message_id,
                                       .status = status,
                                       .has = request->has & (LVN_COMMAND_HAS_EVENT_TYPE | LVN_COMMAND_HAS_ACTION_TYPE),
                                       .event_type = request->event_type,
                                       .action_type = request->action_type};
  (void)lvn_copy(ret_response->sop_class_uid, sizeof ret_response->sop_class_uid, request->sop_class_uid);
  (void)lvn_copy(ret_response->sop_instance_uid, sizeof ret_response->sop_instance_uid, request->sop_instance_uid);
  if (comment != NULL) {
    (void)lvn_copy(ret_response->error_comment, sizeof ret_response->error_comment, comment);
  }
}
