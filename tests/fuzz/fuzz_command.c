/* The reader of command sets on hostile bytes. */
#include "base/memory.h"
#include "dicom/net/command.h"
#include "tests/fuzz/target.h"

#include <string.h>

static void check(bool holds) {
  if (!holds) {
    __builtin_trap();
  }
}

static bool same(const struct lvn_command *left, const struct lvn_command *right) {
  return left->field == right->field && left->message_id == right->message_id &&
         left->has_data_set == right->has_data_set && strcmp(left->sop_class_uid, right->sop_class_uid) == 0 &&
         strcmp(left->sop_instance_uid, right->sop_instance_uid) == 0;
}

/* An element that is not read changes nothing; a piece of one makes the whole no command set. */
static void check_appended(const uint8_t *data, size_t bytes, const struct lvn_command *command) {
  static const uint8_t move_originator[] = {0x00, 0x00, 0x31, 0x10, 0x02, 0x00, 0x00, 0x00, 0x07, 0x00};
  struct lvn_error err;
  struct lvn_command again;
  for (size_t added = 1; added <= sizeof move_originator; added++) {
    LVN_AUTOFREE uint8_t *longer = lvn_alloc(bytes + added, 1, &err);
    if (longer == NULL) {
      return;
    }
    memcpy(longer, data, bytes);
    memcpy(longer + bytes, move_originator, added);
    bool read = lvn_command_parse(longer, bytes + added, &again, &err);
    check(read == (added == sizeof move_originator));
    check(read ? same(&again, command) : err.code == LVN_ERROR_PROTOCOL);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct lvn_command command;
  struct lvn_error err;
  memset(&command, 0xA5, sizeof command);
  if (!lvn_command_parse(data, bytes, &command, &err)) {
    check(err.code == LVN_ERROR_PROTOCOL);
    return 0;
  }
  /* Three numbers of ten bytes each are the least that makes a command. */
  check(bytes >= 30);
  check(memchr(command.sop_class_uid, '\0', sizeof command.sop_class_uid) != NULL);
  check(memchr(command.sop_instance_uid, '\0', sizeof command.sop_instance_uid) != NULL);
  check_appended(data, bytes, &command);
  return 0;
}
