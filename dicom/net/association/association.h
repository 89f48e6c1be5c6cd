/* One DICOM association over DCMTK's upper layer, as requestor or as acceptor: negotiated, then fragments (PDVs) in
 * both directions, then released or aborted. What is offered is told by the caller; what is said on it is the DIMSE
 * layer's. Belongs to one thread at a time; a process may hold one accepted association. Source: PS3.8 9, PS3.7 annex
 * D. */
#ifndef LVN_DICOM_NET_ASSOCIATION_ASSOCIATION_H
#define LVN_DICOM_NET_ASSOCIATION_ASSOCIATION_H

#include "base/error.h"
#include "dicom/net/transport/transport.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_ASSOCIATION_UID_BYTES 65

struct lvn_association;

/* What a side of an association does on a presentation context, as bits (PS3.7 D.3.3.4). */
enum { LVN_ROLE_SCU = 1, LVN_ROLE_SCP = 2 };

struct lvn_association_context {
  uint8_t id;
  unsigned roles; /* ours */
  char abstract_syntax[LVN_ASSOCIATION_UID_BYTES];
  char transfer_syntax[LVN_ASSOCIATION_UID_BYTES];
};

/* ---- as acceptor ---- */

struct lvn_association_limits {
  uint32_t max_pdu_bytes;
  unsigned negotiate_seconds; /* from accept() to the end of negotiation (ARTIM), enforced against dripping peers too */
  unsigned idle_seconds;      /* between two DIMSE commands, and between two PDUs */
  unsigned total_seconds;
};

struct lvn_association_peer { /* borrowed */
  const char *calling_aet;
  const char *called_aet;
  const char *address; /* numeric; no reverse DNS is ever made */
};

enum lvn_admission {
  LVN_ADMIT,
  LVN_REJECT_CALLING_AET, /* A-ASSOCIATE-RJ permanent, calling AE title not recognised */
  LVN_REJECT_CALLED_AET,  /* permanent, called AE title not recognised */
  LVN_REJECT_BUSY         /* transient, local limit exceeded */
};

/* One presentation context that a peer proposes; borrowed. */
struct lvn_association_proposal {
  const char *abstract_syntax;
  const char *const *transfer_syntaxes;
  size_t transfer_syntax_count;
  unsigned roles; /* the peer's: an SCU where it says nothing */
};

/* Result and reason of a presentation context (PS3.8 table 9-18). */
enum lvn_association_result {
  LVN_CONTEXT_ACCEPTED = 0,
  LVN_CONTEXT_USER_REJECTION = 1,
  LVN_CONTEXT_UNKNOWN_CLASS = 3,
  LVN_CONTEXT_UNKNOWN_SYNTAX = 4
};

struct lvn_association_acceptor {
  void *user_data;
  enum lvn_admission (*admit)(void *user_data, const struct lvn_association_peer *peer);
  /* Accepted: with *ret_transfer_syntax, which lives as long as the proposal, and *ret_roles, ours. */
  enum lvn_association_result (*answer)(void *user_data, const struct lvn_association_proposal *proposal,
                                        const char **ret_transfer_syntax, unsigned *ret_roles);
};

/* Negotiate on an accepted connection. `socket_fd` is taken in every case. LVN_ERROR_PROTOCOL: the peer was rejected,
 * as the message says, or broke the rules. `layer` (borrowed) NULL: plain TCP. */
LVN_MUST_CHECK bool lvn_association_accept(int socket_fd, const struct lvn_transport_layer *layer,
                                           const struct lvn_association_limits *limits,
                                           const struct lvn_association_acceptor *acceptor,
                                           struct lvn_association **ret_association, struct lvn_error *err);

/* ---- as requestor ---- */

/* How a peer is called. */
struct lvn_association_security {
  bool uses_tls;           /* with what lvn_tls_set_current() set */
  const char *certificate; /* the peer's, as lvn_tls_is_wanted() takes it; empty or NULL: one with the name `host` */
};

struct lvn_association_target {
  const char *host;
  uint16_t port;
  const char *called_aet;
  const char *calling_aet;
  unsigned connect_seconds; /* for the connection, for the negotiation, and for a goodbye */
  unsigned idle_seconds;    /* for each answer and each PDU */
  struct lvn_association_security security;
  const struct lvn_transport_layer *layer; /* in place of `security`; NULL: none */
};

struct lvn_association_offer {
  const char *abstract_syntax;
  const char *const *transfer_syntaxes; /* in order of preference */
  size_t transfer_syntax_count;
  unsigned roles; /* ours; 0 or LVN_ROLE_SCU: no role selection */
};

#define LVN_ASSOCIATION_OFFERS_MAX 128U /* PS3.8 9.3.2: odd numbers from 1 to 255 */

/* Connect and negotiate. LVN_ERROR_IO or TIMEOUT: the peer cannot be reached, or is busy (transient);
 * LVN_ERROR_PROTOCOL: it rejected the association. Offer i has the presentation context 2 * i + 1. */
LVN_MUST_CHECK bool lvn_association_request(const struct lvn_association_target *target,
                                            const struct lvn_association_offer *offers, size_t offer_count,
                                            struct lvn_association **ret_association, struct lvn_error *err);

/* ---- both ---- */

/* Accepted ones; NULL: there is none of this number. */
const struct lvn_association_context *lvn_association_find_context(const struct lvn_association *association,
                                                                   uint8_t id);
/* Of this class and coding (NULL: any), on which we have these roles; the first. */
const struct lvn_association_context *lvn_association_find_class(const struct lvn_association *association,
                                                                 const char *abstract_syntax,
                                                                 const char *transfer_syntax, unsigned roles);

struct lvn_association_fragment { /* borrowed until the next call */
  uint8_t context_id;
  bool is_command;
  bool is_last;
  const uint8_t *bytes;
  size_t count;
};

enum lvn_association_arrival { LVN_ARRIVAL_FRAGMENT, LVN_ARRIVAL_RELEASE, LVN_ARRIVAL_FAILED };

/* Until end_wait() everything is waiting for the peer, and has idle_seconds. */
void lvn_association_start_wait(struct lvn_association *association);
void lvn_association_end_wait(struct lvn_association *association);
/* Has the peer sent something within so many seconds? */
LVN_MUST_CHECK bool lvn_association_wait(struct lvn_association *association, double seconds);
/* `doing` names the wait in the error. */
LVN_MUST_CHECK enum lvn_association_arrival lvn_association_receive(struct lvn_association *association,
                                                                    struct lvn_association_fragment *ret_fragment,
                                                                    const char *doing, struct lvn_error *err);
/* At most max_send_bytes of them. */
LVN_MUST_CHECK bool lvn_association_send(struct lvn_association *association,
                                         const struct lvn_association_fragment *fragment, const char *doing,
                                         struct lvn_error *err);
/* The longest fragment that the peer takes. */
size_t lvn_association_max_send_bytes(const struct lvn_association *association);

/* What a requestor's TLS is: lvn_tls_call_describe(). Returns `text`. */
const char *lvn_association_describe_security(const struct lvn_association *association, char *text, size_t text_bytes);

/* After LVN_ARRIVAL_RELEASE. */
void lvn_association_answer_release(struct lvn_association *association);
/* The reason of a failure, made more precise by what the connection knows; aborts unless the peer is gone or late. */
void lvn_association_fail(struct lvn_association *association, struct lvn_error *err);
/* A requestor releases first, unless the association has failed. NULL is allowed. */
void lvn_association_close(struct lvn_association *association);

#ifdef __cplusplus
}
#endif
#endif
