/* DIMSE over one association, the same for requestor and acceptor (PS3.7): messages with their data sets in both
 * directions, message IDs matched to responses, pending responses and cancellation, and the requests of the peer handed
 * to a table of services. Data sets are passed on as bytes, in the transfer syntax of their presentation context, a
 * fragment at a time. Every wait is bounded by the association's limits. Belongs to one thread at a time. */
#ifndef LVN_DICOM_NET_DIMSE_DIMSE_H
#define LVN_DICOM_NET_DIMSE_DIMSE_H

#include "base/error.h"
#include "dicom/net/association/association.h"
#include "dicom/net/dimse/command.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_dimse;

struct lvn_dimse_message {
  const struct lvn_association_context *context; /* borrowed from the association */
  struct lvn_command command;
};

/* What the peer may ask for: a row of the table that an association is made with. Borrowed for its life. */
struct lvn_dimse_service {
  const char *name;
  const char *const *abstract_syntaxes; /* NULL-terminated; NULL: what `offers` says */
  bool (*offers)(void *user_data, const char *abstract_syntax);
  /* Of the transfer syntaxes proposed, or NULL; this member NULL: explicit or implicit VR little endian. */
  const char *(*choose_syntax)(const char *abstract_syntax, const char *const *proposed, size_t count);
  unsigned roles;                 /* of this node: LVN_ROLE_SCP, _SCU (it receives N-EVENT-REPORT) or both */
  const uint16_t *command_fields; /* requests that handle() takes; 0 ends them */
  /* One request: its data set may be read (what is left of it is swallowed), and one final response must be sent by
   * lvn_dimse_respond(), before this returns true. False: the association cannot go on. */
  bool (*handle)(void *user_data, struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                 struct lvn_error *err);
  void *user_data;
};

/* Negotiate on an accepted connection, which is taken in every case: each service is accepted in the roles of its row,
 * every other class refused. `admit` says who may. */
LVN_MUST_CHECK bool lvn_dimse_accept(int socket_fd, const struct lvn_transport_layer *layer,
                                     const struct lvn_association_limits *limits,
                                     enum lvn_admission (*admit)(void *user_data,
                                                                 const struct lvn_association_peer *peer),
                                     void *user_data, const struct lvn_dimse_service *services, size_t service_count,
                                     struct lvn_dimse **ret_dimse, struct lvn_error *err);
/* Connect and negotiate; errors as lvn_association_request(). `services` (NULL: none) serve what the peer asks for in
 * the roles that were offered to it: the objects of a C-GET, the reports of an N-ACTION. */
LVN_MUST_CHECK bool lvn_dimse_request(const struct lvn_association_target *target,
                                      const struct lvn_association_offer *offers, size_t offer_count,
                                      const struct lvn_dimse_service *services, size_t service_count,
                                      struct lvn_dimse **ret_dimse, struct lvn_error *err);
/* A requestor's is released; after a failure, aborted. NULL is allowed. */
void lvn_dimse_close(struct lvn_dimse *dimse);

/* What a requestor's TLS is, for people. Returns `text`. */
const char *lvn_dimse_describe_security(const struct lvn_dimse *dimse, char *text, size_t text_bytes);

/* Accepted presentation contexts. */
const struct lvn_association_context *lvn_dimse_find_context(const struct lvn_dimse *dimse, const char *abstract_syntax,
                                                             const char *transfer_syntax, unsigned roles);

/* Serve the peer's requests until it releases. */
LVN_MUST_CHECK bool lvn_dimse_serve(struct lvn_dimse *dimse, struct lvn_error *err);
/* Serve one request if it comes within so many seconds; *ret_is_served says whether it did. */
LVN_MUST_CHECK bool lvn_dimse_serve_within(struct lvn_dimse *dimse, double seconds, bool *ret_is_served,
                                           struct lvn_error *err);

/* Has the peer sent something, or gone, within so many seconds? */
LVN_MUST_CHECK bool lvn_dimse_wait(struct lvn_dimse *dimse, double seconds);

/* ---- messages ---- */

/* Where the bytes of a data set come from: fills `bytes` as far as there are some, and says when they are the last. */
struct lvn_dimse_source {
  void *user_data;
  bool (*read)(void *user_data, uint8_t *bytes, size_t capacity, size_t *ret_count, bool *ret_is_last,
               struct lvn_error *err);
};
/* Bytes in memory as a source; both are borrowed until the data set is sent. */
struct lvn_dimse_bytes {
  const uint8_t *bytes;
  size_t count;
};
struct lvn_dimse_source lvn_dimse_source_of(struct lvn_dimse_bytes *bytes);

/* A request on a context; its Message ID is given out here (*ret_message_id). `data` NULL: without a data set. */
LVN_MUST_CHECK bool lvn_dimse_send_request(struct lvn_dimse *dimse, const struct lvn_association_context *context,
                                           struct lvn_command *command, const struct lvn_dimse_source *data,
                                           uint16_t *ret_message_id, struct lvn_error *err);
/* The next response to that request, in which more may be pending. What the peer asks for meanwhile is served. */
LVN_MUST_CHECK bool lvn_dimse_await(struct lvn_dimse *dimse, uint16_t message_id,
                                    struct lvn_dimse_message *ret_response, struct lvn_error *err);
/* C-CANCEL of a request that is pending; its last response is still to be awaited. */
LVN_MUST_CHECK bool lvn_dimse_cancel(struct lvn_dimse *dimse, const struct lvn_association_context *context,
                                     uint16_t message_id, struct lvn_error *err);

/* A response, made by lvn_command_respond(). `data` NULL: without a data set. */
LVN_MUST_CHECK bool lvn_dimse_respond(struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                                      struct lvn_command *response, const struct lvn_dimse_source *data,
                                      struct lvn_error *err);
/* The common case of it. */
LVN_MUST_CHECK bool lvn_dimse_answer(struct lvn_dimse *dimse, const struct lvn_dimse_message *request, uint16_t status,
                                     const char *comment, struct lvn_error *err);
/* Has the peer cancelled this request? Between its pending responses. */
LVN_MUST_CHECK bool lvn_dimse_check_cancel(struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                                           bool *ret_is_cancelled, struct lvn_error *err);

/* The data set of the message that came last, in fragments; `take` NULL swallows it. More than `max_bytes` are received
 * and not taken, because an answer before the last fragment would break the protocol (PS3.7 9.3.1); four times as many
 * are an error. */
LVN_MUST_CHECK bool lvn_dimse_receive_data(struct lvn_dimse *dimse, uint64_t max_bytes,
                                           void (*take)(void *user_data, const void *bytes, size_t count),
                                           void *user_data, bool *ret_is_too_large, struct lvn_error *err);
/* A small one as a whole; LVN_ERROR_DATA, and the association goes on, when it is larger. lvn_free() the bytes. */
LVN_MUST_CHECK bool lvn_dimse_receive_bytes(struct lvn_dimse *dimse, size_t max_bytes, uint8_t **ret_bytes,
                                            size_t *ret_count, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
