/* UPS-RS (PS3.18 11, PS3.4 CC; IHE AIW-I RAD-81 to 85) as user agent of a task performer: workitems are searched for,
 * claimed, updated and brought to their end. */
#ifndef LVN_DICOM_WEB_UPS_H
#define LVN_DICOM_WEB_UPS_H

#include "base/http/http.h"
#include "base/json.h"
#include "base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Scheduled workitems of this code whose inputs are ready, at most max_count; what the server answers is looked at
 * again here. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_ups_search(struct lvn_http *http, const char *code, const char *scheme, size_t max_count,
                                   char (**ret_uids)[LVN_UID_BYTES], size_t *ret_count, struct lvn_error *err);

enum lvn_ups_outcome {
  LVN_UPS_DONE,
  LVN_UPS_CONFLICT, /* 409, or 400: its state or lock forbids it */
  LVN_UPS_GONE      /* 404, 410 */
};
/* json_decref() the workitem. False, here and below: no answer, or one that may be another next time. */
LVN_MUST_CHECK bool lvn_ups_get(struct lvn_http *http, const char *uid, json_t **ret_workitem,
                                enum lvn_ups_outcome *ret_outcome, struct lvn_error *err);
/* "IN PROGRESS" claims it, "COMPLETED" and "CANCELED" end it; with the transaction UID of the claim. *ret_message, of a
 * conflict: the server's warning. */
LVN_MUST_CHECK bool lvn_ups_change_state(struct lvn_http *http, const char *uid, const char *state,
                                         const char *transaction_uid, const char *requester,
                                         enum lvn_ups_outcome *ret_outcome, char *ret_message, size_t message_bytes,
                                         struct lvn_error *err);
/* `changes`: a data set; the transaction UID is put into it. */
LVN_MUST_CHECK bool lvn_ups_update(struct lvn_http *http, const char *uid, const char *transaction_uid, json_t *changes,
                                   enum lvn_ups_outcome *ret_outcome, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
