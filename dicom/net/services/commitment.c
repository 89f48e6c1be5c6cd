#include "dicom/net/services/commitment.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "dicom/net/services/elements.h"

#include <stdio.h>
#include <string.h>

#define INSTANCE "1.2.840.10008.1.20.1.1" /* well-known */
#define DATA_BYTES_MAX ((size_t)8 << 20)
#define TRANSACTION_UID 0x00081195U
#define FAILED_SEQUENCE 0x00081198U
#define REFERENCED_SEQUENCE 0x00081199U
#define CLASS_UID 0x00081150U
#define INSTANCE_UID 0x00081155U
#define FAILURE_REASON 0x00081197U
#define STATUS_NO_SUCH_INSTANCE 0x0112U
#define STATUS_NO_SUCH_EVENT 0x0113U
#define STATUS_NO_SUCH_ACTION 0x0123U
#define STATUS_INVALID_ARGUMENT 0x0115U
#define WAIT_SECONDS 0.1

enum { ACTION_REQUEST = 1 };
enum { EVENT_ALL_KEPT = 1, EVENT_FAILURES = 2 };

static const char *const uncompressed[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"};

bool lvn_commitment_add(struct lvn_commitment *commitment, const char *sop_class_uid, const char *sop_instance_uid,
                        uint16_t reason, struct lvn_error *err) {
  if (!lvn_grow(&commitment->references, &commitment->capacity, commitment->count, sizeof *commitment->references,
                LVN_COMMITMENT_REFERENCES_MAX, err)) {
    return false;
  }
  struct lvn_commitment_reference *reference = &commitment->references[commitment->count++];
  reference->reason = reason;
  (void)lvn_copy(reference->sop_class_uid, sizeof reference->sop_class_uid, sop_class_uid);
  (void)lvn_copy(reference->sop_instance_uid, sizeof reference->sop_instance_uid, sop_instance_uid);
  return true;
}

void lvn_commitment_clear(struct lvn_commitment *commitment) {
  lvn_free(commitment->references);
  *commitment = (struct lvn_commitment){0};
}

/* ---- between processes ---- */

json_t *lvn_commitment_to_json(const struct lvn_commitment *commitment, struct lvn_error *err) {
  json_t *references = json_array();
  for (size_t i = 0; i < commitment->count; i++) {
    const struct lvn_commitment_reference *reference = &commitment->references[i];
    (void)json_array_append_new(references, json_pack("{s:s, s:s, s:i}", "class", reference->sop_class_uid, "instance",
                                                      reference->sop_instance_uid, "reason", (int)reference->reason));
  }
  json_t *root = json_pack("{s:s, s:o}", "transaction", commitment->transaction_uid, "references", references);
  if (root == NULL || json_array_size(references) != commitment->count) {
    json_decref(root);
    (void)lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a commitment");
    return NULL;
  }
  return root;
}

bool lvn_commitment_from_json(const json_t *json, struct lvn_commitment *ret_commitment, struct lvn_error *err) {
  const json_t *references = json_object_get(json, "references");
  const char *transaction = json_string_value(json_object_get(json, "transaction"));
  if (transaction == NULL || !lvn_copy(ret_commitment->transaction_uid, LVN_UID_BYTES, transaction)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "a commitment without a transaction");
  }
  for (size_t i = 0; i < json_array_size(references); i++) {
    const json_t *item = json_array_get(references, i);
    const char *sop_class = json_string_value(json_object_get(item, "class"));
    const char *instance = json_string_value(json_object_get(item, "instance"));
    if (sop_class == NULL || instance == NULL) {
      return lvn_error_set(err, LVN_ERROR_DATA, "a commitment with a reference to nothing");
    }
    if (!lvn_commitment_add(ret_commitment, sop_class, instance,
                            (uint16_t)json_integer_value(json_object_get(item, "reason")), err)) {
      return false;
    }
  }
  return true;
}

/* ---- data sets ---- */

static void put_references(struct lvn_elements *elements, const struct lvn_commitment *commitment, uint32_t sequence,
                           bool failed) {
  lvn_elements_begin_sequence(elements, sequence);
  for (size_t i = 0; i < commitment->count; i++) {
    const struct lvn_commitment_reference *reference = &commitment->references[i];
    if (failed != (reference->reason != LVN_COMMITMENT_KEPT)) {
      continue;
    }
    lvn_elements_begin_item(elements);
    lvn_elements_put_text(elements, CLASS_UID, "UI", reference->sop_class_uid);
    lvn_elements_put_text(elements, INSTANCE_UID, "UI", reference->sop_instance_uid);
    if (failed) {
      lvn_elements_put_u16(elements, FAILURE_REASON, reference->reason);
    }
    lvn_elements_end_item(elements);
  }
  lvn_elements_end_sequence(elements);
}

static size_t count_failed(const struct lvn_commitment *commitment) {
  size_t count = 0;
  for (size_t i = 0; i < commitment->count; i++) {
    count += commitment->references[i].reason != LVN_COMMITMENT_KEPT ? 1 : 0;
  }
  return count;
}

static bool write(const struct lvn_commitment *commitment, struct lvn_elements *elements, struct lvn_error *err) {
  const size_t failed = count_failed(commitment);
  lvn_elements_put_text(elements, TRANSACTION_UID, "UI", commitment->transaction_uid);
  if (failed > 0) {
    put_references(elements, commitment, FAILED_SEQUENCE, true);
  }
  if (failed < commitment->count) {
    put_references(elements, commitment, REFERENCED_SEQUENCE, false);
  }
  return lvn_elements_check(elements, err);
}

static bool take_element(void *user_data, const struct lvn_element *element, struct lvn_error *err) {
  struct lvn_commitment *commitment = user_data;
  const bool is_listed = element->sequence == REFERENCED_SEQUENCE || element->sequence == FAILED_SEQUENCE;
  if (element->depth == 0 && element->tag == TRANSACTION_UID) {
    return lvn_elements_get_text(element, commitment->transaction_uid, sizeof commitment->transaction_uid) ||
           lvn_error_set(err, LVN_ERROR_DATA, "a malformed transaction UID");
  }
  if (element->depth != 1 || !is_listed) {
    return true;
  }
  if (element->tag == LVN_ELEMENTS_ITEM) { /* a failure without a reason is one all the same */
    return lvn_commitment_add(commitment, "", "",
                              element->sequence == FAILED_SEQUENCE ? LVN_COMMITMENT_PROCESSING_FAILURE : 0, err);
  }
  if (commitment->count == 0) {
    return true;
  }
  struct lvn_commitment_reference *reference = &commitment->references[commitment->count - 1];
  bool good = true;
  if (element->tag == CLASS_UID) {
    good = lvn_elements_get_text(element, reference->sop_class_uid, sizeof reference->sop_class_uid);
  } else if (element->tag == INSTANCE_UID) {
    good = lvn_elements_get_text(element, reference->sop_instance_uid, sizeof reference->sop_instance_uid);
  } else if (element->tag == FAILURE_REASON && element->sequence == FAILED_SEQUENCE && element->count == 2) {
    const uint16_t reason = (uint16_t)(element->value[0] | element->value[1] << 8);
    reference->reason = reason != 0 ? reason : LVN_COMMITMENT_PROCESSING_FAILURE;
  }
  return good || lvn_error_set(err, LVN_ERROR_DATA, "a malformed UID in a reference");
}

static bool read_commitment(const uint8_t *bytes, size_t count, bool is_explicit, struct lvn_commitment *ret_commitment,
                            struct lvn_error *err) {
  if (!lvn_elements_read(bytes, count, is_explicit, take_element, ret_commitment, err)) {
    return false;
  }
  bool good = lvn_uid_is_valid(ret_commitment->transaction_uid) && ret_commitment->count > 0;
  for (size_t i = 0; good && i < ret_commitment->count; i++) {
    good = lvn_uid_is_valid(ret_commitment->references[i].sop_class_uid) &&
           lvn_uid_is_valid(ret_commitment->references[i].sop_instance_uid);
  }
  return good || lvn_error_set(err, LVN_ERROR_DATA, "a transaction or reference without a valid UID");
}

/* ---- what a peer sends ---- */

static uint16_t judge(const struct lvn_dimse_message *request) {
  const struct lvn_command *command = &request->command;
  const bool is_action = command->field == LVN_COMMAND_N_ACTION_RQ;
  if (strcmp(command->sop_class_uid, LVN_COMMITMENT_CLASS) != 0) {
    return LVN_STATUS_NO_SUCH_CLASS;
  }
  if (strcmp(command->sop_instance_uid, INSTANCE) != 0) {
    return STATUS_NO_SUCH_INSTANCE;
  }
  if (is_action && command->action_type != ACTION_REQUEST) {
    return STATUS_NO_SUCH_ACTION;
  }
  if (!is_action && command->event_type != EVENT_ALL_KEPT && command->event_type != EVENT_FAILURES) {
    return STATUS_NO_SUCH_EVENT;
  }
  return command->has_data_set ? LVN_STATUS_SUCCESS : STATUS_INVALID_ARGUMENT;
}

/* Its data set, checked and handed on. False: the association cannot go on. */
static bool take(const struct lvn_commitment_handler *handler, struct lvn_dimse *dimse,
                 const struct lvn_dimse_message *request, uint16_t *ret_status, struct lvn_error *err) {
  LVN_AUTOCOMMITMENT struct lvn_commitment commitment = {0};
  LVN_AUTOFREE uint8_t *bytes = NULL;
  size_t count = 0;
  if (!lvn_dimse_receive_bytes(dimse, DATA_BYTES_MAX, &bytes, &count, err)) {
    *ret_status = LVN_COMMITMENT_OUT_OF_RESOURCES;
    return err->code == LVN_ERROR_DATA;
  }
  if (!read_commitment(bytes, count, lvn_elements_is_explicit(request->context->transfer_syntax), &commitment, err)) {
    *ret_status = err->code == LVN_ERROR_DATA ? STATUS_INVALID_ARGUMENT : LVN_STATUS_PROCESSING_FAILURE;
    return true;
  }
  *ret_status = (request->command.field == LVN_COMMAND_N_ACTION_RQ ? handler->take_request : handler->take_report)(
      handler->user_data, &commitment);
  return true;
}

static bool handle(void *user_data, struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                   struct lvn_error *err) {
  const struct lvn_commitment_handler *handler = user_data;
  const bool is_action = request->command.field == LVN_COMMAND_N_ACTION_RQ;
  struct lvn_error reason = {0};
  uint16_t status = judge(request);
  if (is_action && handler->take_request == NULL) {
    status = LVN_STATUS_NO_SUCH_CLASS;
  }
  if (status == LVN_STATUS_SUCCESS && !take(handler, dimse, request, &status, &reason)) {
    *err = reason;
    return false;
  }
  const char *comment = status == LVN_STATUS_SUCCESS || reason.message[0] == '\0' ? NULL : reason.message;
  return lvn_dimse_answer(dimse, request, status, comment, err) &&
         (!is_action || status != LVN_STATUS_SUCCESS || handler->follow_up == NULL ||
          handler->follow_up(handler->user_data, dimse, err));
}

struct lvn_dimse_service lvn_commitment_service(struct lvn_commitment_handler *handler) {
  static const char *const classes[] = {LVN_COMMITMENT_CLASS, NULL};
  static const uint16_t fields[] = {LVN_COMMAND_N_ACTION_RQ, LVN_COMMAND_N_EVENT_REPORT_RQ, 0};
  return (struct lvn_dimse_service){.name = "storage commitment",
                                    .abstract_syntaxes = classes,
                                    .roles = (handler->take_request != NULL ? (unsigned)LVN_ROLE_SCP : 0U) |
                                             (handler->take_report != NULL ? (unsigned)LVN_ROLE_SCU : 0U),
                                    .command_fields = fields,
                                    .handle = handle,
                                    .user_data = handler};
}

/* ---- what this node sends ---- */

static bool send(struct lvn_dimse *dimse, const struct lvn_association_context *context, struct lvn_command *command,
                 const struct lvn_commitment *commitment, uint16_t *ret_message_id, struct lvn_error *err) {
  struct lvn_elements elements = {.is_explicit = lvn_elements_is_explicit(context->transfer_syntax)};
  (void)lvn_copy(command->sop_class_uid, sizeof command->sop_class_uid, LVN_COMMITMENT_CLASS);
  (void)lvn_copy(command->sop_instance_uid, sizeof command->sop_instance_uid, INSTANCE);
  bool good = write(commitment, &elements, err);
  if (good) {
    struct lvn_dimse_bytes bytes = {.bytes = elements.bytes, .count = elements.count};
    const struct lvn_dimse_source data = lvn_dimse_source_of(&bytes);
    good = lvn_dimse_send_request(dimse, context, command, &data, ret_message_id, err);
  }
  lvn_free(elements.bytes);
  return good;
}

static const struct lvn_association_context *find_context(const struct lvn_dimse *dimse, unsigned role,
                                                          struct lvn_error *err) {
  const struct lvn_association_context *context = lvn_dimse_find_context(dimse, LVN_COMMITMENT_CLASS, NULL, role);
  if (context == NULL) {
    (void)lvn_error_set(err, LVN_ERROR_DATA, "the peer does not accept storage commitment%s",
                        role == LVN_ROLE_SCP ? " with this node as its SCP" : "");
  }
  return context;
}

bool lvn_commitment_send_report(struct lvn_dimse *dimse, const struct lvn_commitment *report, uint16_t *ret_status,
                                struct lvn_error *err) {
  struct lvn_command command = {.field = LVN_COMMAND_N_EVENT_REPORT_RQ,
                                .has = LVN_COMMAND_HAS_EVENT_TYPE,
                                .event_type = count_failed(report) > 0 ? EVENT_FAILURES : EVENT_ALL_KEPT};
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  const struct lvn_association_context *context = find_context(dimse, LVN_ROLE_SCP, err);
  if (context == NULL || !send(dimse, context, &command, report, &message_id, err) ||
      !lvn_dimse_await(dimse, message_id, &response, err)) {
    return false;
  }
  *ret_status = response.command.status;
  return true;
}

static bool associate(const struct lvn_scu_peer *peer, unsigned roles, const struct lvn_dimse_service *services,
                      size_t service_count, struct lvn_dimse **ret_dimse, struct lvn_error *err) {
  const struct lvn_association_target target = lvn_scu_target(peer);
  const struct lvn_association_offer offer = {.abstract_syntax = LVN_COMMITMENT_CLASS,
                                              .transfer_syntaxes = uncompressed,
                                              .transfer_syntax_count = 2,
                                              .roles = roles};
  return lvn_dimse_request(&target, &offer, 1, services, service_count, ret_dimse, err);
}

bool lvn_commitment_report(const struct lvn_scu_peer *peer, const struct lvn_commitment *report, uint16_t *ret_status,
                           struct lvn_error *err) {
  struct lvn_dimse *dimse = NULL;
  const bool good =
      associate(peer, LVN_ROLE_SCP, NULL, 0, &dimse, err) && lvn_commitment_send_report(dimse, report, ret_status, err);
  lvn_dimse_close(dimse);
  return good;
}

/* Until the time is over or the caller has enough. The peer may go when it likes. */
static void stay(struct lvn_dimse *dimse, const struct lvn_commitment_handler *handler, double seconds,
                 bool (*stays)(void *user_data)) {
  const double until = lvn_clock_monotonic_seconds() + seconds;
  struct lvn_error ignored;
  bool is_served = false;
  while (lvn_clock_monotonic_seconds() < until && stays(handler->user_data) &&
         lvn_dimse_serve_within(dimse, WAIT_SECONDS, &is_served, &ignored)) {
  }
}

static bool ask(struct lvn_dimse *dimse, const struct lvn_commitment *request, uint16_t *ret_status, bool *ret_was_sent,
                struct lvn_error *err) {
  struct lvn_command command = {
      .field = LVN_COMMAND_N_ACTION_RQ, .has = LVN_COMMAND_HAS_ACTION_TYPE, .action_type = ACTION_REQUEST};
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  const struct lvn_association_context *context = find_context(dimse, LVN_ROLE_SCU, err);
  if (context == NULL || !send(dimse, context, &command, request, &message_id, err)) {
    return false;
  }
  *ret_was_sent = true;
  if (!lvn_dimse_await(dimse, message_id, &response, err)) {
    return false;
  }
  *ret_status = response.command.status;
  return true;
}

bool lvn_commitment_request(const struct lvn_scu_peer *peer, const struct lvn_commitment *request,
                            struct lvn_commitment_handler *handler, double stay_seconds, bool (*stays)(void *user_data),
                            uint16_t *ret_status, bool *ret_was_sent, struct lvn_error *err) {
  struct lvn_dimse *dimse = NULL;
  const struct lvn_dimse_service service = lvn_commitment_service(handler);
  *ret_was_sent = false;
  const bool good =
      associate(peer, LVN_ROLE_SCU, &service, 1, &dimse, err) && ask(dimse, request, ret_status, ret_was_sent, err);
  if (good && *ret_status == LVN_STATUS_SUCCESS) {
    stay(dimse, handler, stay_seconds, stays);
  }
  lvn_dimse_close(dimse);
  return good;
}
