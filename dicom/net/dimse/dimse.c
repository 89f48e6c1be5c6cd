#include "dicom/net/dimse/dimse.h"

#include "base/memory.h"
#include "dicom/net/dimse/dimse_message.h"

#include <string.h>
#include <unistd.h>

#define EXPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2.1"
#define IMPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2"

LVN_DEFINE_CLEANUP(lvn_dimse, lvn_dimse_close)

static bool is_offered(const struct lvn_dimse_service *service, const char *abstract_syntax) {
  for (const char *const *at = service->abstract_syntaxes; at != NULL && *at != NULL; at++) {
    if (strcmp(*at, abstract_syntax) == 0) {
      return true;
    }
  }
  return service->offers != NULL && service->offers(service->user_data, abstract_syntax);
}

static bool takes_command(const struct lvn_dimse_service *service, uint16_t field) {
  for (const uint16_t *at = service->command_fields; *at != 0; at++) {
    if (*at == field) {
      return true;
    }
  }
  return false;
}

static const char *choose_uncompressed(const char *const *proposed, size_t count) {
  static const char *const wanted[] = {EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN};
  for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++) {
    for (size_t i = 0; i < count; i++) {
      if (strcmp(wanted[k], proposed[i]) == 0) {
        return wanted[k];
      }
    }
  }
  return NULL;
}

/* Ours is the other side of each of the peer's roles. A peer that proposes to be an SCP alone of what we serve as one
 * is left the default role, as PS3.7 D.3.3.4 has it. */
static unsigned roles_beside(unsigned of_service, unsigned of_peer) {
  const unsigned scp = (of_peer & LVN_ROLE_SCU) != 0 ? of_service & LVN_ROLE_SCP : 0U;
  const unsigned scu = (of_peer & LVN_ROLE_SCP) != 0 ? of_service & LVN_ROLE_SCU : 0U;
  return (scp | scu) != 0 ? scp | scu : of_service & LVN_ROLE_SCP;
}

static enum lvn_association_result answer_context(void *user_data, const struct lvn_association_proposal *proposal,
                                                  const char **ret_transfer_syntax, unsigned *ret_roles) {
  const struct lvn_dimse *dimse = user_data;
  enum lvn_association_result result = LVN_CONTEXT_UNKNOWN_CLASS;
  for (size_t i = 0; i < dimse->service_count; i++) {
    const struct lvn_dimse_service *service = &dimse->services[i];
    if (!is_offered(service, proposal->abstract_syntax)) {
      continue;
    }
    *ret_roles = roles_beside(service->roles, proposal->roles);
    *ret_transfer_syntax = service->choose_syntax != NULL
                               ? service->choose_syntax(proposal->abstract_syntax, proposal->transfer_syntaxes,
                                                        proposal->transfer_syntax_count)
                               : choose_uncompressed(proposal->transfer_syntaxes, proposal->transfer_syntax_count);
    result = *ret_transfer_syntax == NULL ? LVN_CONTEXT_UNKNOWN_SYNTAX
             : *ret_roles == 0            ? LVN_CONTEXT_USER_REJECTION
                                          : LVN_CONTEXT_ACCEPTED;
    break;
  }
  return result;
}

static enum lvn_admission admit_peer(void *user_data, const struct lvn_association_peer *peer) {
  const struct lvn_dimse *dimse = user_data;
  return dimse->admit(dimse->user_data, peer);
}

static struct lvn_dimse *create(const struct lvn_dimse_service *services, size_t service_count, struct lvn_error *err) {
  struct lvn_dimse *dimse = lvn_alloc(1, sizeof *dimse, err);
  if (dimse != NULL) {
    dimse->services = services;
    dimse->service_count = service_count;
  }
  return dimse;
}

bool lvn_dimse_accept(int socket_fd, const struct lvn_transport_layer *layer,
                      const struct lvn_association_limits *limits,
                      enum lvn_admission (*admit)(void *user_data, const struct lvn_association_peer *peer),
                      void *user_data, const struct lvn_dimse_service *services, size_t service_count,
                      struct lvn_dimse **ret_dimse, struct lvn_error *err) {
  LVN_CLEANUP(lvn_dimse_cleanup) struct lvn_dimse *dimse = create(services, service_count, err);
  if (dimse == NULL) {
    (void)close(socket_fd);
    return false;
  }
  const struct lvn_association_acceptor acceptor = {.user_data = dimse, .admit = admit_peer, .answer = answer_context};
  dimse->admit = admit;
  dimse->user_data = user_data;
  if (!lvn_association_accept(socket_fd, layer, limits, &acceptor, &dimse->association, err)) {
    return false;
  }
  *ret_dimse = lvn_steal(&dimse);
  return true;
}

bool lvn_dimse_request(const struct lvn_association_target *target, const struct lvn_association_offer *offers,
                       size_t offer_count, const struct lvn_dimse_service *services, size_t service_count,
                       struct lvn_dimse **ret_dimse, struct lvn_error *err) {
  LVN_CLEANUP(lvn_dimse_cleanup) struct lvn_dimse *dimse = create(services, service_count, err);
  if (dimse == NULL || !lvn_association_request(target, offers, offer_count, &dimse->association, err)) {
    return false;
  }
  *ret_dimse = lvn_steal(&dimse);
  return true;
}

void lvn_dimse_close(struct lvn_dimse *dimse) {
  struct lvn_error ignored;
  bool is_too_large = false;
  if (dimse == NULL) {
    return;
  }
  if (dimse->data_context != NULL && !dimse->is_over) { /* a release among it would be none (PS3.8 7.2) */
    (void)!lvn_dimse_receive_data(dimse, LVN_DIMSE_SWALLOW_BYTES_MAX, NULL, NULL, &is_too_large, &ignored);
  }
  lvn_association_close(dimse->association);
  lvn_free(dimse->buffer);
  lvn_free(dimse);
}

const char *lvn_dimse_describe_security(const struct lvn_dimse *dimse, char *text, size_t text_bytes) {
  return lvn_association_describe_security(dimse->association, text, text_bytes);
}

const struct lvn_association_context *lvn_dimse_find_context(const struct lvn_dimse *dimse, const char *abstract_syntax,
                                                             const char *transfer_syntax, unsigned roles) {
  return lvn_association_find_class(dimse->association, abstract_syntax, transfer_syntax, roles);
}

/* After a failure there is nothing more to say on the association. */
static bool fail(struct lvn_dimse *dimse, struct lvn_error *err) {
  dimse->is_over = true;
  lvn_association_fail(dimse->association, err);
  return false;
}

/* N-EVENT-REPORT is what an SCP sends to an SCU; all else goes the other way (PS3.7 7.5). */
static bool is_for_our_role(const struct lvn_dimse_message *request) {
  const bool is_report = request->command.field == LVN_COMMAND_N_EVENT_REPORT_RQ;
  return (request->context->roles & (unsigned)(is_report ? LVN_ROLE_SCU : LVN_ROLE_SCP)) != 0;
}

static bool dispatch(struct lvn_dimse *dimse, const struct lvn_dimse_message *request, struct lvn_error *err) {
  bool is_known = false;
  for (size_t i = 0; i < dimse->service_count; i++) {
    const struct lvn_dimse_service *service = &dimse->services[i];
    if (!takes_command(service, request->command.field)) {
      continue;
    }
    is_known = true;
    if (is_offered(service, request->context->abstract_syntax) && is_for_our_role(request)) {
      return service->handle(service->user_data, dimse, request, err);
    }
  }
  if (is_known) {
    return lvn_dimse_answer(dimse, request, LVN_STATUS_NO_SUCH_CLASS, NULL, err);
  }
  if (request->command.field == LVN_COMMAND_C_CANCEL_RQ) {
    return true; /* of what was answered in the meantime */
  }
  return lvn_error_set(err, LVN_ERROR_PROTOCOL, "DIMSE command 0x%04x is not offered",
                       (unsigned)request->command.field);
}

bool lvn_dimse_serve(struct lvn_dimse *dimse, struct lvn_error *err) {
  for (;;) {
    struct lvn_dimse_message message;
    bool is_over = false;
    if (!lvn_message_receive(dimse, &message, &is_over, err)) {
      return fail(dimse, err);
    }
    if (is_over) {
      return true;
    }
    if (!dispatch(dimse, &message, err)) {
      return fail(dimse, err);
    }
  }
}

bool lvn_dimse_serve_within(struct lvn_dimse *dimse, double seconds, bool *ret_is_served, struct lvn_error *err) {
  struct lvn_dimse_message message;
  bool is_over = false;
  *ret_is_served = false;
  if (!lvn_association_wait(dimse->association, seconds)) {
    return true;
  }
  if (!lvn_message_receive(dimse, &message, &is_over, err) || is_over) {
    return is_over ? lvn_error_set(err, LVN_ERROR_IO, "the peer released the association") : fail(dimse, err);
  }
  *ret_is_served = dispatch(dimse, &message, err);
  return *ret_is_served || fail(dimse, err);
}

bool lvn_dimse_wait(struct lvn_dimse *dimse, double seconds) {
  return lvn_association_wait(dimse->association, seconds);
}

bool lvn_dimse_send_request(struct lvn_dimse *dimse, const struct lvn_association_context *context,
                            struct lvn_command *command, const struct lvn_dimse_source *data, uint16_t *ret_message_id,
                            struct lvn_error *err) {
  command->message_id = ++dimse->last_message_id;
  command->has_data_set = data != NULL;
  *ret_message_id = command->message_id;
  return lvn_message_send(dimse, context, command, data, err) || fail(dimse, err);
}

bool lvn_dimse_await(struct lvn_dimse *dimse, uint16_t message_id, struct lvn_dimse_message *ret_response,
                     struct lvn_error *err) {
  for (;;) {
    bool is_over = false;
    if (!lvn_message_receive(dimse, ret_response, &is_over, err)) {
      return fail(dimse, err);
    }
    if (is_over) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the peer released the association instead of answering");
    }
    if (lvn_command_is_response(&ret_response->command)) {
      break;
    }
    if (!dispatch(dimse, ret_response, err)) {
      return fail(dimse, err);
    }
  }
  if (ret_response->command.message_id != message_id) {
    (void)lvn_error_set(err, LVN_ERROR_PROTOCOL, "an answer to message %u, which was not asked",
                        (unsigned)ret_response->command.message_id);
    return fail(dimse, err);
  }
  return true;
}

bool lvn_dimse_cancel(struct lvn_dimse *dimse, const struct lvn_association_context *context, uint16_t message_id,
                      struct lvn_error *err) {
  const struct lvn_command command = {.field = LVN_COMMAND_C_CANCEL_RQ, .message_id = message_id};
  return lvn_message_send(dimse, context, &command, NULL, err) || fail(dimse, err);
}

bool lvn_dimse_respond(struct lvn_dimse *dimse, const struct lvn_dimse_message *request, struct lvn_command *response,
                       const struct lvn_dimse_source *data, struct lvn_error *err) {
  bool is_too_large = false;
  response->has_data_set = data != NULL;
  if (dimse->data_context != NULL && request->command.has_data_set &&
      !lvn_dimse_receive_data(dimse, LVN_DIMSE_SWALLOW_BYTES_MAX, NULL, NULL, &is_too_large, err)) {
    return false;
  }
  return lvn_message_send(dimse, request->context, response, data, err);
}

bool lvn_dimse_answer(struct lvn_dimse *dimse, const struct lvn_dimse_message *request, uint16_t status,
                      const char *comment, struct lvn_error *err) {
  struct lvn_command response;
  lvn_command_respond(&request->command, status, comment, &response);
  return lvn_dimse_respond(dimse, request, &response, NULL, err);
}

bool lvn_dimse_check_cancel(struct lvn_dimse *dimse, const struct lvn_dimse_message *request, bool *ret_is_cancelled,
                            struct lvn_error *err) {
  struct lvn_dimse_message message;
  bool is_over = false;
  *ret_is_cancelled = false;
  if (!lvn_association_wait(dimse->association, 0)) {
    return true;
  }
  if (!lvn_message_receive(dimse, &message, &is_over, err)) {
    return false;
  }
  *ret_is_cancelled = !is_over && message.command.field == LVN_COMMAND_C_CANCEL_RQ &&
                      message.command.message_id == request->command.message_id;
  return *ret_is_cancelled ||
         lvn_error_set(err, LVN_ERROR_PROTOCOL, "another message before the last answer to the one before");
}
