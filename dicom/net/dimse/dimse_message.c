#include "dicom/net/dimse/dimse_message.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* One whole command; *ret_is_over after a release. */
static bool receive_command(struct lvn_dimse *dimse, struct lvn_command *command, uint8_t *ret_context_id,
                            bool *ret_is_over, struct lvn_error *err) {
  uint8_t bytes[LVN_COMMAND_BYTES_MAX];
  size_t count = 0;
  for (bool is_last = false; !is_last;) {
    struct lvn_association_fragment fragment;
    switch (lvn_association_receive(dimse->association, &fragment, "waiting for a command", err)) {
    case LVN_ARRIVAL_FRAGMENT:
      break;
    case LVN_ARRIVAL_RELEASE:
      *ret_is_over = count == 0;
      return *ret_is_over || lvn_error_set(err, LVN_ERROR_PROTOCOL, "a release within a command");
    case LVN_ARRIVAL_FAILED:
      return false;
    }
    if (!fragment.is_command || (count > 0 && fragment.context_id != *ret_context_id)) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a data set or another presentation context within a command");
    }
    if (fragment.count > sizeof bytes - count) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a command of more than %zu bytes", sizeof bytes);
    }
    if (fragment.count > 0) {
      memcpy(bytes + count, fragment.bytes, fragment.count);
    }
    count += fragment.count;
    *ret_context_id = fragment.context_id;
    is_last = fragment.is_last;
  }
  return lvn_command_parse(bytes, count, command, err);
}

bool lvn_message_receive(struct lvn_dimse *dimse, struct lvn_dimse_message *ret_message, bool *ret_is_over,
                         struct lvn_error *err) {
  uint8_t context_id = 0;
  bool is_too_large = false;
  if (dimse->data_context != NULL &&
      !lvn_dimse_receive_data(dimse, LVN_DIMSE_SWALLOW_BYTES_MAX, NULL, NULL, &is_too_large, err)) {
    return false;
  }
  *ret_is_over = false;
  lvn_association_start_wait(dimse->association);
  const bool is_good = receive_command(dimse, &ret_message->command, &context_id, ret_is_over, err);
  lvn_association_end_wait(dimse->association);
  if (*ret_is_over) {
    dimse->is_over = true;
    lvn_association_answer_release(dimse->association);
    return true;
  }
  if (!is_good) {
    return false;
  }
  ret_message->context = lvn_association_find_context(dimse->association, context_id);
  if (ret_message->context == NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a command on a presentation context that was not accepted");
  }
  dimse->data_context = ret_message->command.has_data_set ? ret_message->context : NULL;
  return true;
}

bool lvn_dimse_receive_data(struct lvn_dimse *dimse, uint64_t max_bytes,
                            void (*take)(void *user_data, const void *bytes, size_t count), void *user_data,
                            bool *ret_is_too_large, struct lvn_error *err) {
  const struct lvn_association_context *context = dimse->data_context;
  uint64_t bytes = 0;
  *ret_is_too_large = false;
  if (context == NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a message without its data set");
  }
  dimse->data_context = NULL;
  for (bool is_last = false; !is_last;) {
    struct lvn_association_fragment fragment;
    lvn_association_start_wait(dimse->association);
    const enum lvn_association_arrival arrival =
        lvn_association_receive(dimse->association, &fragment, "receiving a data set", err);
    lvn_association_end_wait(dimse->association);
    if (arrival == LVN_ARRIVAL_RELEASE) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a release within a data set");
    }
    if (arrival == LVN_ARRIVAL_FAILED) {
      return false;
    }
    if (fragment.is_command || fragment.context_id != context->id) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a command or another presentation context within a data set");
    }
    bytes += fragment.count;
    *ret_is_too_large = bytes > max_bytes;
    if (bytes / 4 > max_bytes) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a data set of more than four times the allowed size");
    }
    if (take != NULL && !*ret_is_too_large) {
      take(user_data, fragment.bytes, fragment.count);
    }
    is_last = fragment.is_last;
  }
  return true;
}

struct collection {
  uint8_t *bytes;
  size_t capacity;
  size_t count;
  bool is_failed;
  struct lvn_error failure;
};

static void collect(void *user_data, const void *bytes, size_t count) {
  struct collection *all = user_data;
  while (!all->is_failed && all->capacity - all->count < count) {
    all->is_failed = !lvn_grow(&all->bytes, &all->capacity, all->capacity, 1, SIZE_MAX / 2, &all->failure);
  }
  if (!all->is_failed && count > 0) {
    memcpy(all->bytes + all->count, bytes, count);
    all->count += count;
  }
}

bool lvn_dimse_receive_bytes(struct lvn_dimse *dimse, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_count,
                             struct lvn_error *err) {
  struct collection all = {0};
  bool is_too_large = false;
  bool is_good = lvn_dimse_receive_data(dimse, max_bytes, collect, &all, &is_too_large, err);
  if (is_good && is_too_large) {
    is_good = lvn_error_set(err, LVN_ERROR_DATA, "a data set of more than %zu bytes", max_bytes);
  } else if (is_good && all.is_failed) {
    *err = all.failure;
    is_good = false;
  }
  if (!is_good) {
    lvn_free(all.bytes);
    return false;
  }
  *ret_bytes = all.bytes;
  *ret_count = all.count;
  return true;
}

static bool read_bytes(void *user_data, uint8_t *bytes, size_t capacity, size_t *ret_count, bool *ret_is_last,
                       struct lvn_error *err) {
  struct lvn_dimse_bytes *rest = user_data;
  (void)err;
  *ret_count = rest->count < capacity ? rest->count : capacity;
  if (*ret_count > 0) {
    memcpy(bytes, rest->bytes, *ret_count);
  }
  rest->bytes += *ret_count;
  rest->count -= *ret_count;
  *ret_is_last = rest->count == 0;
  return true;
}

struct lvn_dimse_source lvn_dimse_source_of(struct lvn_dimse_bytes *bytes) {
  return (struct lvn_dimse_source){.user_data = bytes, .read = read_bytes};
}

/* All of what the source has, in fragments of what the peer takes. */
static bool send_all(struct lvn_dimse *dimse, uint8_t context_id, bool is_command, const struct lvn_dimse_source *data,
                     const char *doing, struct lvn_error *err) {
  struct lvn_association_fragment fragment = {
      .context_id = context_id, .is_command = is_command, .bytes = dimse->buffer};
  while (!fragment.is_last) {
    if (!data->read(data->user_data, dimse->buffer, dimse->buffer_bytes, &fragment.count, &fragment.is_last, err)) {
      return false;
    }
    lvn_association_start_wait(dimse->association);
    const bool is_sent = lvn_association_send(dimse->association, &fragment, doing, err);
    lvn_association_end_wait(dimse->association);
    if (!is_sent) {
      return false;
    }
  }
  return true;
}

static const char *name_of(uint16_t field) {
  switch (field & ~LVN_COMMAND_RESPONSE) {
  case LVN_COMMAND_C_STORE_RQ:
    return "C-STORE";
  case LVN_COMMAND_C_GET_RQ:
    return "C-GET";
  case LVN_COMMAND_C_FIND_RQ:
    return "C-FIND";
  case LVN_COMMAND_C_MOVE_RQ:
    return "C-MOVE";
  case LVN_COMMAND_C_ECHO_RQ:
    return "C-ECHO";
  case LVN_COMMAND_N_EVENT_REPORT_RQ:
    return "N-EVENT-REPORT";
  case LVN_COMMAND_N_ACTION_RQ:
    return "N-ACTION";
  case LVN_COMMAND_C_CANCEL_RQ:
    return "C-CANCEL";
  default:
    return "DIMSE";
  }
}

bool lvn_message_send(struct lvn_dimse *dimse, const struct lvn_association_context *context,
                      const struct lvn_command *command, const struct lvn_dimse_source *data, struct lvn_error *err) {
  uint8_t bytes[LVN_COMMAND_WRITTEN_BYTES_MAX];
  char doing[64];
  if (dimse->buffer == NULL) {
    dimse->buffer_bytes = lvn_association_max_send_bytes(dimse->association);
    dimse->buffer = lvn_alloc(dimse->buffer_bytes, 1, err);
  }
  if (dimse->buffer == NULL) {
    return false;
  }
  (void)snprintf(doing, sizeof doing, "sending a %s-%s", name_of(command->field),
                 lvn_command_is_response(command) ? "RSP" : "RQ");
  struct lvn_dimse_bytes written = {.bytes = bytes, .count = lvn_command_write(command, bytes)};
  const struct lvn_dimse_source source = lvn_dimse_source_of(&written);
  return send_all(dimse, context->id, /* is_command= */ true, &source, doing, err) &&
         (data == NULL || send_all(dimse, context->id, /* is_command= */ false, data, doing, err));
}
