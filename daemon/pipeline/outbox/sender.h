/* Sending: one thread per destination, so that a dead peer delays nobody else. The threads know transports and nothing
 * of the index: the pipeline's thread posts a batch and takes the answers. */
#ifndef LVN_DAEMON_PIPELINE_SENDER_H
#define LVN_DAEMON_PIPELINE_SENDER_H

#include "base/error.h"
#include "daemon/pipeline/outbox/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Create, post, take and destroy on one thread. */
struct lvn_sender;
LVN_MUST_CHECK bool lvn_sender_create(struct lvn_sender **ret_sender, struct lvn_error *err);
/* Waits at most `seconds` for sends that run; threads that take longer are left to the end of the process. */
void lvn_sender_destroy(struct lvn_sender *sender, double seconds); /* NULL is allowed */

/* Readable when answers wait. */
int lvn_sender_get_fd(const struct lvn_sender *sender);
bool lvn_sender_is_busy(const struct lvn_sender *sender, const char *destination);
size_t lvn_sender_count_busy(const struct lvn_sender *sender);

/* Sends the rows over one connection, in order. The destination must not be busy. Takes `rows` on success. Each row is
 * answered, or none (no memory): the destination is free again and they are as before. */
LVN_MUST_CHECK bool lvn_sender_post(struct lvn_sender *sender, const struct lvn_outbox_transport *transport,
                                    const struct lvn_outbox_route *route, struct lvn_outbox_row *rows, size_t row_count,
                                    struct lvn_error *err);

struct lvn_sender_answer {
  int64_t outbox_id;
  enum lvn_outbox_kind kind;
  int64_t attempt;
  struct lvn_outbox_answer said;
  char destination[LVN_DESTINATION_BYTES];
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  double seconds; /* for the whole batch, on its last answer; else 0 */
};
/* One answer; false: none waits. */
bool lvn_sender_take(struct lvn_sender *sender, struct lvn_sender_answer *ret_answer);

#ifdef __cplusplus
}
#endif
#endif
