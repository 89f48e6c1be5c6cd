/* One association's DIMSE state, and the exchange of single messages. Internal to the layer. */
#ifndef LVN_DICOM_NET_DIMSE_DIMSE_MESSAGE_H
#define LVN_DICOM_NET_DIMSE_DIMSE_MESSAGE_H

#include "dicom/net/dimse/dimse.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a peer may send of a data set that nobody takes. */
#define LVN_DIMSE_SWALLOW_BYTES_MAX ((uint64_t)1 << 30)

struct lvn_dimse {
  struct lvn_association *association;
  const struct lvn_dimse_service *services;
  size_t service_count;
  enum lvn_admission (*admit)(void *user_data, const struct lvn_association_peer *peer);
  void *user_data; /* admit's */
  uint16_t last_message_id;
  bool is_over; /* released by the peer, or failed */
  /* Of the data set that is to be received next; NULL: none is. */
  const struct lvn_association_context *data_context;
  uint8_t *buffer; /* of one fragment to send */
  size_t buffer_bytes;
};

/* The next message; what is left of a data set before it is swallowed. *ret_is_over after a release, which is answered.
 * The whole command must come within idle_seconds however it is cut. */
LVN_MUST_CHECK bool lvn_message_receive(struct lvn_dimse *dimse, struct lvn_dimse_message *ret_message,
                                        bool *ret_is_over, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_message_send(struct lvn_dimse *dimse, const struct lvn_association_context *context,
                                     const struct lvn_command *command, const struct lvn_dimse_source *data,
                                     struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
