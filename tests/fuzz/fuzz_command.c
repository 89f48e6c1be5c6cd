/* The reader of command sets on hostile bytes, and the writer on what it read. */
#include "base/memory.h"
#include "dicom/net/dimse/command.h"
#include "tests/fuzz/target.h"

#include <string.h>

static void check(bool holds) {
  if (!holds) {
    __builtin_trap();
  }
}

/* Each text ends within its member. */
static void check_texts(const struct lvn_command *command) {
  check(memchr(command->sop_class_uid, '\0', sizeof command->sop_class_uid) != NULL);
  check(memchr(command->sop_instance_uid, '\0', sizeof command->sop_instance_uid) != NULL);
  check(memchr(command->move_destination, '\0', sizeof command->move_destination) != NULL);
  check(memchr(command->move_originator_aet, '\0', sizeof command->move_originator_aet) != NULL);
  check(memchr(command->error_comment, '\0', sizeof command->error_comment) != NULL);
}

/* An element that is not read changes nothing; a piece of one makes the whole no command set. */
static void check_appended(const uint8_t *data, size_t bytes, const struct lvn_command *command) {
  static const uint8_t error_id[] = {0x00, 0x00, 0x03, 0x09, 0x02, 0x00, 0x00, 0x00, 0x07, 0x00};
  struct lvn_error err;
  struct lvn_command again;
  for (size_t added = 1; added <= sizeof error_id; added++) {
    LVN_AUTOFREE uint8_t *longer = lvn_alloc(bytes + added, 1, &err);
    if (longer == NULL) {
      return;
    }
    memcpy(longer, data, bytes);
    memcpy(longer + bytes, error_id, added);
    bool read = lvn_command_parse(longer, bytes + added, &again, &err);
    check(read == (added == sizeof error_id));
    check(read ? memcmp(&again, command, sizeof again) == 0 : err.code == LVN_ERROR_PROTOCOL);
  }
}

/* What was read can be written, within bounds, and reads as the same but for characters that no text may hold. */
static void check_written(const struct lvn_command *command) {
  uint8_t bytes[LVN_COMMAND_WRITTEN_BYTES_MAX];
  uint8_t again_bytes[LVN_COMMAND_WRITTEN_BYTES_MAX];
  struct lvn_error err;
  struct lvn_command again;
  size_t count = lvn_command_write(command, bytes);
  check(count <= sizeof bytes);
  check(lvn_command_parse(bytes, count, &again, &err));
  check(again.field == command->field && again.message_id == command->message_id && again.status == command->status &&
        again.has_data_set == command->has_data_set && again.has == command->has);
  check(lvn_command_write(&again, again_bytes) == count);
  check(memcmp(again_bytes, bytes, count) == 0);
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
  check_texts(&command);
  check_appended(data, bytes, &command);
  check_written(&command);
  return 0;
}
