/* One association's way into the spool: who may call, when the disk is too full, and what makes an object durable
 * before it is acknowledged. Serves lvn_storage_handler; belongs to the association's own process. */
#ifndef LVN_DAEMON_RECEIVER_STORE_H
#define LVN_DAEMON_RECEIVER_STORE_H

#include "config/config.h"
#include "daemon/receiver/slots.h"
#include "dicom/net/association/association.h"
#include "dicom/net/services/storage.h"
#include "dicom/net/transport/tls_call.h"
#include "storage/spool.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_store_options { /* borrowed for the life of the association */
  const struct lvn_config *config;
  struct lvn_spool *spool;
  struct lvn_slots *slots; /* places per peer */
  size_t slot;             /* this process's */
  bool is_over_limit;      /* one connection too many: reject whoever it is */
  struct lvn_tls *tls;     /* NULL: this port speaks no TLS */
  bool takes_plain;        /* this port is for callers without TLS, too */
};

struct lvn_store_counts {
  uint32_t stored;    /* acknowledged */
  uint32_t duplicate; /* of these: the same bytes were there */
  uint32_t discarded; /* answered as stored and not kept, by configuration */
  uint32_t refused;
  uint64_t bytes; /* of the stored Part 10 files */
};

struct lvn_store;
LVN_MUST_CHECK bool lvn_store_create(const struct lvn_store_options *options, struct lvn_store **ret_store,
                                     struct lvn_error *err);
/* Abandons what is unfinished and removes the association's marker; NULL is allowed. */
void lvn_store_destroy(struct lvn_store *store);

/* The connection's TLS, for lvn_store_admit(); borrowed. NULL, as at first: none. */
void lvn_store_set_tls_call(struct lvn_store *store, const struct lvn_tls_call *call);
/* Who may call; `store` is the user data of an acceptor. */
enum lvn_admission lvn_store_admit(void *store, const struct lvn_association_peer *caller);
/* Instead: what this node itself asks the peer for (C-GET), which takes no peer's place. False: not now, as `err` says.
 */
LVN_MUST_CHECK bool lvn_store_admit_own(struct lvn_store *store, const struct lvn_config_peer *peer,
                                        const char *address, struct lvn_error *err);
/* The callbacks, with `store` as user data. */
void lvn_store_get_handler(struct lvn_store *store, struct lvn_storage_handler *ret_handler);
/* The peer that was admitted; NULL: none yet. Borrowed. */
const struct lvn_config_peer *lvn_store_get_peer(const struct lvn_store *store);
const char *lvn_store_get_association_id(const struct lvn_store *store);
void lvn_store_get_counts(const struct lvn_store *store, struct lvn_store_counts *ret_counts);

/* The line that ends the association, or the connection that never became one. `err` is read unless it is `good`. */
void lvn_store_log_end(const struct lvn_store *store, const char *address, double seconds, bool good,
                       const struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
