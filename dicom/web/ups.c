#include "dicom/web/ups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "dicom/web/model.h"

#define ANSWER_BYTES_MAX (16U << 20)
#define TOTAL_SECONDS 60
#define PATH_BYTES 768

#define SOP_INSTANCE_UID "00080018"
#define TRANSACTION_UID "00081195"
#define PROCEDURE_STEP_STATE "00741000"
#define INPUT_READINESS_STATE "00404041"
#define SCHEDULED_WORKITEM_CODE_SEQUENCE "00404018"

static bool judge(const struct lvn_http_answer *answer, enum lvn_ups_outcome *ret_outcome, struct lvn_error *err) {
  if (answer->status / 100 == 2) {
    *ret_outcome = LVN_UPS_DONE;
  } else if (answer->status == 404 || answer->status == 410) {
    *ret_outcome = LVN_UPS_GONE;
  } else if (answer->status == 409 || answer->status == 400) {
    *ret_outcome = LVN_UPS_CONFLICT;
  } else {
    return lvn_error_set(err, answer->status >= 500 || answer->status == 429 ? LVN_ERROR_IO : LVN_ERROR_PROTOCOL,
                         "the workitem manager answered %ld %s", answer->status, lvn_http_status_name(answer->status));
  }
  return true;
}

static bool is_wanted(const json_t *workitem, const char *code, const char *scheme) {
  char text[32];
  if (lvn_model_get_text(workitem, PROCEDURE_STEP_STATE, text, sizeof text) && strcmp(text, "SCHEDULED") != 0) {
    return false;
  }
  if (lvn_model_get_text(workitem, INPUT_READINESS_STATE, text, sizeof text) && strcmp(text, "READY") != 0) {
    return false;
  }
  return lvn_model_get_items(workitem, SCHEDULED_WORKITEM_CODE_SEQUENCE) == NULL ||
         lvn_model_has_code(workitem, SCHEDULED_WORKITEM_CODE_SEQUENCE, code, scheme);
}

static bool take_found(const struct lvn_http_answer *answer, const char *code, const char *scheme, size_t max_count,
                       char (**ret_uids)[LVN_UID_BYTES], size_t *ret_count, struct lvn_error *err) {
  LVN_AUTOJSON json_t *found = NULL;
  size_t i = 0;
  const json_t *workitem = NULL;
  if (!lvn_model_parse(answer->content_type, answer->body, answer->body_bytes, &found, err)) {
    return false;
  }
  char(*uids)[LVN_UID_BYTES] = lvn_alloc(max_count, sizeof *uids, err);
  if (uids == NULL) {
    return false;
  }
  *ret_count = 0;
  json_array_foreach(found, i, workitem) {
    if (*ret_count < max_count && is_wanted(workitem, code, scheme) &&
        lvn_model_get_text(workitem, SOP_INSTANCE_UID, uids[*ret_count], LVN_UID_BYTES) &&
        lvn_uid_is_valid(uids[*ret_count])) {
      (*ret_count)++;
    }
  }
  *ret_uids = uids;
  return true;
}

bool lvn_ups_search(struct lvn_http *http, const char *code, const char *scheme, size_t max_count,
                    char (**ret_uids)[LVN_UID_BYTES], size_t *ret_count, struct lvn_error *err) {
  struct lvn_http_answer answer = {0};
  char path[PATH_BYTES];
  char code_text[100];
  char scheme_text[100];
  enum lvn_ups_outcome outcome = LVN_UPS_DONE;
  if (!lvn_http_escape(code, code_text, sizeof code_text) ||
      !lvn_http_escape(scheme, scheme_text, sizeof scheme_text)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "the workitem code is too long");
  }
  (void)snprintf(path, sizeof path,
                 "workitems?00741000=SCHEDULED&00404041=READY&00404018.00080100=%s&00404018.00080102=%s"
                 "&includefield=00404018&includefield=00404041&limit=%zu",
                 code_text, scheme_text, max_count);
  const struct lvn_http_request request = {.method = "GET",
                                           .path = path,
                                           .accept = LVN_DICOM_JSON,
                                           .total_seconds = TOTAL_SECONDS,
                                           .answer_bytes_max = ANSWER_BYTES_MAX};
  if (!lvn_http_request(http, &request, &answer, err)) {
    return false;
  }
  bool good = judge(&answer, &outcome, err) &&
              (outcome == LVN_UPS_DONE || lvn_error_set(err, LVN_ERROR_PROTOCOL, "the workitem manager answered %ld %s",
                                                        answer.status, lvn_http_status_name(answer.status)));
  good = good && take_found(&answer, code, scheme, max_count, ret_uids, ret_count, err);
  lvn_http_answer_clear(&answer);
  return good;
}

bool lvn_ups_get(struct lvn_http *http, const char *uid, json_t **ret_workitem, enum lvn_ups_outcome *ret_outcome,
                 struct lvn_error *err) {
  struct lvn_http_answer answer = {0};
  LVN_AUTOJSON json_t *found = NULL;
  char path[PATH_BYTES];
  (void)snprintf(path, sizeof path, "workitems/%s", uid);
  const struct lvn_http_request request = {.method = "GET",
                                           .path = path,
                                           .accept = LVN_DICOM_JSON,
                                           .total_seconds = TOTAL_SECONDS,
                                           .answer_bytes_max = ANSWER_BYTES_MAX};
  if (!lvn_http_request(http, &request, &answer, err)) {
    return false;
  }
  bool good = judge(&answer, ret_outcome, err);
  if (good && *ret_outcome == LVN_UPS_DONE) {
    good = lvn_model_parse(answer.content_type, answer.body, answer.body_bytes, &found, err) &&
           (json_array_size(found) == 1 || lvn_error_set(err, LVN_ERROR_PROTOCOL, "a workitem is no data set"));
  }
  if (good && found != NULL) {
    *ret_workitem = json_incref(json_array_get(found, 0));
  }
  lvn_http_answer_clear(&answer);
  return good;
}

/* A data set, as PUT or POST; takes no ownership. */
static bool send_dataset(struct lvn_http *http, const char *method, const char *path, const json_t *dataset,
                         struct lvn_http_answer *ret_answer, struct lvn_error *err) {
  LVN_AUTOJSON json_t *array = json_pack("[O]", dataset); /* PS3.18 F.2.1: an array of one */
  char *text = array == NULL ? NULL : json_dumps(array, JSON_COMPACT);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for a workitem");
  }
  const struct lvn_http_request request = {.method = method,
                                           .path = path,
                                           .accept = LVN_DICOM_JSON,
                                           .content_type = LVN_DICOM_JSON,
                                           .segments = {{.data = text, .bytes = strlen(text)}},
                                           .segment_count = 1,
                                           .total_seconds = TOTAL_SECONDS,
                                           .answer_bytes_max = ANSWER_BYTES_MAX};
  bool good = lvn_http_request(http, &request, ret_answer, err);
  free(text); /* allow: jansson's */
  return good;
}

bool lvn_ups_change_state(struct lvn_http *http, const char *uid, const char *state, const char *transaction_uid,
                          const char *requester, enum lvn_ups_outcome *ret_outcome, char *ret_message,
                          size_t message_bytes, struct lvn_error *err) {
  struct lvn_http_answer answer = {0};
  LVN_AUTOJSON json_t *dataset = json_object();
  char path[PATH_BYTES];
  char escaped[64];
  (void)lvn_http_escape(requester, escaped, sizeof escaped);
  /* The requester is an extension that dcm4chee-arc insists on; other servers pass it over. */
  (void)snprintf(path, sizeof path, "workitems/%s/state?requester=%s", uid, escaped);
  if (!lvn_model_set_text(dataset, PROCEDURE_STEP_STATE, "CS", state) ||
      !lvn_model_set_text(dataset, TRANSACTION_UID, "UI", transaction_uid)) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for a workitem");
  }
  if (!send_dataset(http, "PUT", path, dataset, &answer, err)) {
    return false;
  }
  bool good = judge(&answer, ret_outcome, err);
  (void)lvn_copy(ret_message, message_bytes, answer.warning);
  lvn_http_answer_clear(&answer);
  return good;
}

bool lvn_ups_update(struct lvn_http *http, const char *uid, const char *transaction_uid, json_t *changes,
                    enum lvn_ups_outcome *ret_outcome, struct lvn_error *err) {
  struct lvn_http_answer answer = {0};
  char path[PATH_BYTES];
  /* Editions of the standard and servers differ in where they want it: in the query, or in the data set as in DIMSE. */
  (void)snprintf(path, sizeof path, "workitems/%s?transaction-uid=%s", uid, transaction_uid);
  if (!lvn_model_set_text(changes, TRANSACTION_UID, "UI", transaction_uid)) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for a workitem");
  }
  if (!send_dataset(http, "POST", path, changes, &answer, err)) {
    return false;
  }
  bool good = judge(&answer, ret_outcome, err);
  lvn_http_answer_clear(&answer);
  return good;
}
