/* A service that the node does not have: actions that may be followed by a report, as storage commitment's are, and
 * queries with pending answers. One row of the table, for either role. */
#ifndef LVN_TESTS_FAKE_SERVICE_H
#define LVN_TESTS_FAKE_SERVICE_H

#include "base/clock.h"
#include "base/memory.h"
#include "dicom/net/dimse/dimse.h"

#include <string.h>

#define FAKE_CLASS "1.2.826.0.1.3680043.10.1200.1"
#define FAKE_INSTANCE "1.2.826.0.1.3680043.10.1200.1.1"
#define BYTES_MAX 1000U
#define PENDING_COUNT 1000

static const char *const uncompressed[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"};

/* What the service does with an action, by its type: answer alone, or report before or after the answer. */
enum { ACT_ANSWER = 1, ACT_REPORT_FIRST = 2, ACT_REPORT_LATER = 3 };

/* What was reported to this process. */
static unsigned reports;
static uint16_t report_type;
static char report_text[BYTES_MAX + 1];

static inline bool send_report(struct lvn_dimse *dimse, const struct lvn_association_context *context, uint16_t type,
                               struct lvn_error *err) {
  struct lvn_command command = {.field = LVN_COMMAND_N_EVENT_REPORT_RQ,
                                .has = LVN_COMMAND_HAS_EVENT_TYPE,
                                .event_type = type,
                                .sop_class_uid = FAKE_CLASS,
                                .sop_instance_uid = FAKE_INSTANCE};
  struct lvn_dimse_bytes bytes = {.bytes = (const uint8_t *)"report", .count = 6};
  const struct lvn_dimse_source data = lvn_dimse_source_of(&bytes);
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  return lvn_dimse_send_request(dimse, context, &command, &data, &message_id, err) &&
         lvn_dimse_await(dimse, message_id, &response, err) &&
         (response.command.status == LVN_STATUS_SUCCESS ||
          lvn_error_set(err, LVN_ERROR_DATA, "a report was answered with 0x%04x", response.command.status));
}

/* The data set comes back. */
static inline bool act(struct lvn_dimse *dimse, const struct lvn_dimse_message *request, struct lvn_error *err) {
  struct lvn_command response;
  uint8_t *bytes = NULL;
  size_t count = 0;
  if (!lvn_dimse_receive_bytes(dimse, BYTES_MAX, &bytes, &count, err)) {
    return err->code == LVN_ERROR_DATA &&
           lvn_dimse_answer(dimse, request, LVN_STATUS_PROCESSING_FAILURE, err->message, err);
  }
  struct lvn_dimse_bytes source = {.bytes = bytes, .count = count};
  const struct lvn_dimse_source data = lvn_dimse_source_of(&source);
  const uint16_t type = request->command.action_type;
  lvn_command_respond(&request->command, LVN_STATUS_SUCCESS, NULL, &response);
  const bool is_answered = (type != ACT_REPORT_FIRST || send_report(dimse, request->context, 7, err)) &&
                           lvn_dimse_respond(dimse, request, &response, &data, err);
  lvn_free(bytes);
  return is_answered && (type != ACT_REPORT_LATER || send_report(dimse, request->context, 8, err));
}

static inline bool take_report(struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                               struct lvn_error *err) {
  uint8_t *bytes = NULL;
  size_t count = 0;
  if (!lvn_dimse_receive_bytes(dimse, BYTES_MAX, &bytes, &count, err)) {
    return false;
  }
  reports++;
  report_type = request->command.event_type;
  memcpy(report_text, bytes, count);
  report_text[count] = '\0';
  lvn_free(bytes);
  return lvn_dimse_answer(dimse, request, LVN_STATUS_SUCCESS, NULL, err);
}

/* Slowly where the query is to be cancelled: a thousand answers fit into the socket. */
static inline bool find(struct lvn_dimse *dimse, const struct lvn_dimse_message *request, struct lvn_error *err) {
  struct lvn_command response;
  uint8_t *query = NULL;
  size_t count = 0;
  bool is_cancelled = false;
  if (!lvn_dimse_receive_bytes(dimse, BYTES_MAX, &query, &count, err)) {
    return false;
  }
  const double pause_seconds = memcmp(query, "slow", 4) == 0 ? 0.005 : 0;
  lvn_free(query);
  for (int i = 0; i < PENDING_COUNT && !is_cancelled; i++) {
    lvn_clock_sleep_seconds(pause_seconds);
    struct lvn_dimse_bytes source = {.bytes = (const uint8_t *)"match", .count = 5};
    const struct lvn_dimse_source data = lvn_dimse_source_of(&source);
    lvn_command_respond(&request->command, LVN_STATUS_PENDING, NULL, &response);
    if (!lvn_dimse_respond(dimse, request, &response, &data, err) ||
        !lvn_dimse_check_cancel(dimse, request, &is_cancelled, err)) {
      return false;
    }
  }
  return lvn_dimse_answer(dimse, request, is_cancelled ? LVN_STATUS_CANCEL : LVN_STATUS_SUCCESS, NULL, err);
}

static inline bool handle(void *user_data, struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                          struct lvn_error *err) {
  (void)user_data;
  switch (request->command.field) {
  case LVN_COMMAND_N_ACTION_RQ:
    return act(dimse, request, err);
  case LVN_COMMAND_N_EVENT_REPORT_RQ:
    return take_report(dimse, request, err);
  default:
    return find(dimse, request, err);
  }
}

static const char *const fake_classes[] = {FAKE_CLASS, NULL};
static const uint16_t fake_fields[] = {LVN_COMMAND_N_ACTION_RQ, LVN_COMMAND_N_EVENT_REPORT_RQ, LVN_COMMAND_C_FIND_RQ,
                                       0};

/* The row. */
static const struct lvn_dimse_service fake_both = {.name = "fake",
                                                   .abstract_syntaxes = fake_classes,
                                                   .roles = LVN_ROLE_SCU | LVN_ROLE_SCP,
                                                   .command_fields = fake_fields,
                                                   .handle = handle};
static const struct lvn_dimse_service fake_scp = {.name = "fake",
                                                  .abstract_syntaxes = fake_classes,
                                                  .roles = LVN_ROLE_SCP,
                                                  .command_fields = fake_fields,
                                                  .handle = handle};

#endif
