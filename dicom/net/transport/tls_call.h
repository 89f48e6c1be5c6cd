/* TLS as a layer of one connection, and what came of it. The other side's certificate is demanded, its chain, dates and
 * purpose are checked in both directions, and it must be the one that is expected; all of that within the handshake, so
 * that nobody else's bytes go further. Belongs to one thread at a time. Source: PS3.15 B.12 (BCP 195), RFC 8446. */
#ifndef LVN_DICOM_NET_TRANSPORT_TLS_CALL_H
#define LVN_DICOM_NET_TRANSPORT_TLS_CALL_H

#include "base/error.h"
#include "base/tls/tls.h"
#include "dicom/net/transport/transport.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_tls_call;

/* As acceptor. */
struct lvn_tls_acceptor {
  bool detects_plain; /* a first byte that begins no TLS is served without it */
  /* May the owner of this certificate, whose chain is good, go on? */
  bool (*authorize)(void *user_data, const struct lvn_tls_identity *identity);
  void *user_data;
};
/* As requestor. */
struct lvn_tls_expected {
  const char *certificate; /* as lvn_tls_is_wanted() takes it; empty or NULL: one with the name `host` */
  const char *host;        /* name or numeric address */
};

/* `tls` is held for as long as the call lives; one of the two is given, and borrowed. Destroy after the connection. */
LVN_MUST_CHECK bool lvn_tls_call_create(struct lvn_tls *tls, const struct lvn_tls_acceptor *acceptor,
                                        const struct lvn_tls_expected *expected, struct lvn_tls_call **ret_call,
                                        struct lvn_error *err);
void lvn_tls_call_destroy(struct lvn_tls_call *call); /* NULL is allowed */
const struct lvn_transport_layer *lvn_tls_call_get_layer(const struct lvn_tls_call *call);

/* After the handshake: false, too, where it was served without TLS. */
bool lvn_tls_call_is_encrypted(const struct lvn_tls_call *call);
/* Of the certificate that was shown, however the handshake ended; NULL: none was. */
const struct lvn_tls_identity *lvn_tls_call_get_identity(const struct lvn_tls_call *call);
/* Did the handshake fail for what the other side showed or wanted, and not for a connection that ended? */
bool lvn_tls_call_is_refused(const struct lvn_tls_call *call);
/* Why TLS ended, where it did for a reason of its own, such as the alert of a peer that refuses our certificate; empty:
 * it did not. */
const char *lvn_tls_call_get_problem(const struct lvn_tls_call *call);
/* "TLSv1.3, TLS_AES_256_GCM_SHA384, certificate of CN=pacs.example.org until 2027-03-01"; "no TLS". Returns `text`. */
const char *lvn_tls_call_describe(const struct lvn_tls_call *call, char *text, size_t text_bytes);

#ifdef __cplusplus
}
#endif
#endif
