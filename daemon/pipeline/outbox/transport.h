/* A way of sending: one file and one row of lvn_outbox_transports[]. The outbox knows no protocol: a transport says of
 * each row whether the destination has it, in verdicts that are no protocol's, a text for people and its own number. */
#ifndef LVN_DAEMON_PIPELINE_TRANSPORT_H
#define LVN_DAEMON_PIPELINE_TRANSPORT_H

#include "base/error.h"
#include "config/config.h"
#include "storage/outbox.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_OUTBOX_DESTINATIONS_MAX (LVN_CONFIG_PEERS_MAX + LVN_CONFIG_WEBHOOKS_MAX)

struct lvn_outbox_route {
  struct lvn_config_peer peer;       /* the destination; of a webhook its name, and as protocol LVN_WEBHOOK_PROTOCOL */
  struct lvn_config_webhook webhook; /* of a webhook */
  char calling_aet[LVN_AET_BYTES];
  unsigned connect_seconds;
  unsigned answer_seconds;
};

struct lvn_outbox_answer {
  enum lvn_send_verdict verdict; /* attempts used up are the caller's business */
  int64_t status;                /* the protocol's own; -1: none */
  int64_t retry_after_seconds;   /* the destination asked to be left alone so long; 0: it did not */
  char message[LVN_INDEX_MESSAGE_BYTES];
};
/* Fills all of it. */
void lvn_outbox_transport_say(struct lvn_outbox_answer *answer, enum lvn_send_verdict verdict, int64_t status,
                              const char *format, ...) LVN_PRINTF(4, 5);

/* Called by one thread for each destination, of several destinations at once. Every wait is bounded by the route. */
struct lvn_outbox_transport {
  const char *name;
  /* Can this peer be sent to in this way? Of several, the first in the table is taken. */
  bool (*serves)(const struct lvn_config_peer *peer);
  /* One connection for these rows, which stay as they are until close. False: none of them was sent; all are retried.
   */
  bool (*open)(const struct lvn_outbox_route *route, const struct lvn_outbox_row *rows, size_t row_count,
               void **ret_link, struct lvn_error *err);
  /* One of the rows. False: the connection is dead, and the rows after this one are retried. */
  bool (*send)(void *link, const struct lvn_outbox_row *row, struct lvn_outbox_answer *ret_answer);
  void (*close)(void *link);
};

extern const struct lvn_outbox_transport lvn_outbox_transport_cstore;
extern const struct lvn_outbox_transport lvn_outbox_transport_stow;
extern const struct lvn_outbox_transport lvn_outbox_transport_webhook;

/* What the node sends by, ended by NULL. */
extern const struct lvn_outbox_transport *const lvn_outbox_transports[];
/* NULL: none of the table serves the peer. */
const struct lvn_outbox_transport *lvn_outbox_transport_find(const struct lvn_outbox_transport *const *table,
                                                             const struct lvn_config_peer *peer);

/* What a DIMSE status of C-STORE means (PS3.4 B.2.3, PS3.7 annex C). Stored: 0000, the warnings Bxxx, 0001, 0107 and
 * 0116, and 0111 (it has this object already). Retry, since it commonly passes: A7xx out of resources, 0110 processing
 * failure, 0210, 0213, FE00. The rest, A9xx and Cxxx among them, is permanent. */
enum lvn_send_verdict lvn_outbox_transport_judge_cstore(uint16_t status);
/* " (out of resources)", …, or "" */
const char *lvn_outbox_transport_describe_cstore(uint16_t status);
/* What a status of HTTP means where no object is named: 401, 408, 425, 429, 500, 502 to 504 and 507 commonly pass. */
enum lvn_send_verdict lvn_outbox_transport_judge_http(long status);

#ifdef __cplusplus
}
#endif
#endif
