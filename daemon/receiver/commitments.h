/* Storage commitment on an association of the receiver: what peers ask and report becomes a letter to the pipeline,
 * which has the index, and is durable before it is answered. The answer to a request goes out on the same association
 * where that is still open when the pipeline has it; else the pipeline calls the peer. Belongs to the association's own
 * process. */
#ifndef LVN_DAEMON_RECEIVER_COMMITMENTS_H
#define LVN_DAEMON_RECEIVER_COMMITMENTS_H

#include "config/config.h"
#include "daemon/receiver/store.h"
#include "dicom/net/services/commitment.h"
#include "storage/letters.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_commitments {
  const struct lvn_config *config; /* borrowed, as the store */
  const struct lvn_store *store;
  struct lvn_letters *letters;
  struct lvn_commitment_handler handler;
  char name[LVN_LETTER_NAME_BYTES]; /* of the request that this association may still answer */
  int held_fd;                      /* while it may */
};
/* The handler points to it: it stays where it is. */
void lvn_commitments_init(struct lvn_commitments *commitments, const struct lvn_config *config,
                          const struct lvn_store *store);
void lvn_commitments_end(struct lvn_commitments *commitments);

#ifdef __cplusplus
}
#endif
#endif
