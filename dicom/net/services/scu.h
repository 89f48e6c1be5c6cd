/* Sending: C-ECHO and C-STORE to one peer. Blocking, every wait bounded. */
#ifndef LVN_DICOM_NET_SERVICES_SCU_H
#define LVN_DICOM_NET_SERVICES_SCU_H

#include "base/error.h"
#include "dicom/net/association/association.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_scu_peer {
  const char *host;
  uint16_t port;
  const char *called_aet;
  const char *calling_aet;
  unsigned connect_seconds; /* for the connection, for the negotiation, and for a goodbye */
  unsigned dimse_seconds;   /* for each answer and each PDU */
  struct lvn_association_security security;
};

/* For services that call on their own; borrows the strings. */
struct lvn_association_target lvn_scu_target(const struct lvn_scu_peer *peer);

/* Belongs to one thread at a time. */
struct lvn_scu;

/* A file that will be sent over the association: the presentation contexts are negotiated for these. Borrowed strings.
 */
struct lvn_scu_file {
  const char *path;
  const char *sop_class_uid;
  const char *transfer_syntax_uid; /* of the file; NULL: explicit VR little endian */
};

/* Connect and negotiate. LVN_ERROR_IO or TIMEOUT: the peer cannot be reached (transient); LVN_ERROR_PROTOCOL: it
 * rejected the association (the message says why). `files` may be empty: Verification alone is proposed. */
LVN_MUST_CHECK bool lvn_scu_open(const struct lvn_scu_peer *peer, const struct lvn_scu_file *files, size_t file_count,
                                 struct lvn_scu **ret_scu, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_scu_echo(struct lvn_scu *scu, struct lvn_error *err);
/* True when the peer answered; *ret_status is its DIMSE status (0x0000 and Bxxx: stored). The data set goes out as it
 * is in the file, unless the peer takes another uncompressed transfer syntax only. LVN_ERROR_DATA: the file cannot be
 * read, or the peer accepted no presentation context for it (permanent for this peer). Other errors: the association is
 * dead. */
LVN_MUST_CHECK bool lvn_scu_store(struct lvn_scu *scu, const struct lvn_scu_file *file, uint16_t *ret_status,
                                  struct lvn_error *err);
/* Did all of the last object go out, whether or not an answer came? Then the peer may have it. */
bool lvn_scu_was_sent(const struct lvn_scu *scu);
/* What TLS was negotiated, for people. Returns `text`. */
const char *lvn_scu_describe_security(const struct lvn_scu *scu, char *text, size_t text_bytes);
void lvn_scu_close(struct lvn_scu *scu); /* releases, or aborts after an error; NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
