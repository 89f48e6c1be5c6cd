/* Storage commitment, push model: who asks (N-ACTION) and who promises (N-EVENT-REPORT), in both roles. A report comes
 * on the association of the request, before or after its answer, or on another one that the SCP opens and on which it
 * is the SCP by role selection. Source: PS3.4 annex J, PS3.3 C.14. */
#ifndef LVN_DICOM_NET_SERVICES_COMMITMENT_H
#define LVN_DICOM_NET_SERVICES_COMMITMENT_H

#include "base/json.h"
#include "dicom/net/dimse/dimse.h"
#include "dicom/net/services/scu.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_COMMITMENT_CLASS "1.2.840.10008.1.20.1"
#define LVN_COMMITMENT_REFERENCES_MAX 20000U

/* Failure Reason (0008,1197), PS3.3 C.14.1.1. */
enum lvn_commitment_reason {
  LVN_COMMITMENT_KEPT = 0,
  LVN_COMMITMENT_PROCESSING_FAILURE = 0x0110,
  LVN_COMMITMENT_NO_SUCH_INSTANCE = 0x0112,
  LVN_COMMITMENT_CLASS_CONFLICT = 0x0119,
  LVN_COMMITMENT_NO_SUCH_CLASS = 0x0122,
  LVN_COMMITMENT_DUPLICATE_TRANSACTION = 0x0131,
  LVN_COMMITMENT_OUT_OF_RESOURCES = 0x0213
};

struct lvn_commitment_reference {
  char sop_class_uid[65];
  char sop_instance_uid[65];
  uint16_t reason; /* of a report; 0: it is kept */
};

/* A request, or the report on one. */
struct lvn_commitment {
  char transaction_uid[65];
  struct lvn_commitment_reference *references; /* owned */
  size_t count;
  size_t capacity;
};
LVN_MUST_CHECK bool lvn_commitment_add(struct lvn_commitment *commitment, const char *sop_class_uid,
                                       const char *sop_instance_uid, uint16_t reason, struct lvn_error *err);
void lvn_commitment_clear(struct lvn_commitment *commitment);
#define LVN_AUTOCOMMITMENT LVN_CLEANUP(lvn_commitment_clear)

/* As it is handed on between processes; LVN_ERROR_DATA for what is none. */
LVN_MUST_CHECK json_t *lvn_commitment_to_json(const struct lvn_commitment *commitment, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_commitment_from_json(const json_t *json, struct lvn_commitment *ret_commitment,
                                             struct lvn_error *err);

/* What becomes of messages; each returns the status that is answered. */
struct lvn_commitment_handler {
  void *user_data;
  /* As SCP: the request must be durable before this returns success. NULL: this node is no SCP. */
  uint16_t (*take_request)(void *user_data, const struct lvn_commitment *request);
  /* After the answer: waits, a short while, for the report on the request just taken, and sends it by
   * lvn_commitment_send_report() if it comes. May be NULL. */
  bool (*follow_up)(void *user_data, struct lvn_dimse *dimse, struct lvn_error *err);
  /* As SCU: the report must be durable before this returns success. */
  uint16_t (*take_report)(void *user_data, const struct lvn_commitment *report);
};
/* The row of the service table. `handler` is borrowed for the association's life. */
struct lvn_dimse_service lvn_commitment_service(struct lvn_commitment_handler *handler);

/* On this association; *ret_status is what the peer answered. */
LVN_MUST_CHECK bool lvn_commitment_send_report(struct lvn_dimse *dimse, const struct lvn_commitment *report,
                                               uint16_t *ret_status, struct lvn_error *err);

/* On a new association, as the SCP of it. LVN_ERROR_DATA: the peer refuses this service, or this role. */
LVN_MUST_CHECK bool lvn_commitment_report(const struct lvn_scu_peer *peer, const struct lvn_commitment *report,
                                          uint16_t *ret_status, struct lvn_error *err);

/* Asks on an association of its own, and stays on it for up to `stay_seconds` after the answer, or until `stays` says
 * no: reports that come meanwhile go to the handler. *ret_was_sent: the request went out, so that a report may come
 * even if this fails. LVN_ERROR_DATA: the peer refuses this service. */
LVN_MUST_CHECK bool lvn_commitment_request(const struct lvn_scu_peer *peer, const struct lvn_commitment *request,
                                           struct lvn_commitment_handler *handler, double stay_seconds,
                                           bool (*stays)(void *user_data), uint16_t *ret_status, bool *ret_was_sent,
                                           struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
