/* Sending results: one thread per destination, so that a dead peer delays nobody else. The threads know nothing of the
 * index: the pipeline's thread posts a batch and takes the answers. */
#ifndef LVN_DAEMON_PIPELINE_SENDER_H
#define LVN_DAEMON_PIPELINE_SENDER_H

#include "base/error.h"
#include "config/config.h"
#include "storage/index.h"

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

struct lvn_sender_route {
  char destination[64]; /* name of the peer */
  char host[LVN_CONFIG_TEXT_BYTES];
  uint16_t port;
  char called_aet[LVN_AET_BYTES];
  char calling_aet[LVN_AET_BYTES];
  unsigned connect_seconds;
  unsigned dimse_seconds;
};

/* Sends the rows over one association, in order. The destination must not be busy. Takes `rows` on success. Each row is
 * answered, or none (no memory): the destination is free again and they are as before. */
LVN_MUST_CHECK bool lvn_sender_post(struct lvn_sender *sender, const struct lvn_sender_route *route,
                                    struct lvn_index_outbound *rows, size_t row_count, struct lvn_error *err);

struct lvn_sender_answer {
  int64_t outbound_id;
  int64_t attempt;
  enum lvn_index_send_verdict verdict; /* attempts used up are the caller's business */
  int64_t status;                      /* DIMSE, or -1 when the peer did not answer */
  char destination[64];
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  char message[LVN_INDEX_MESSAGE_BYTES];
  double seconds; /* for the whole batch, on its last answer; else 0 */
};
/* One answer; false: none waits. */
bool lvn_sender_take(struct lvn_sender *sender, struct lvn_sender_answer *ret_answer);

/* What a DIMSE status of C-STORE means for the queue (PS3.4 B.2.3, PS3.7 annex C). Stored: 0000, the warnings Bxxx,
 * 0001, 0107 and 0116, and 0111 (it has this object already). Again, since it commonly passes: A7xx out of resources,
 * 0110 processing failure, 0210, 0213, FE00. The rest, A9xx and Cxxx among them, is permanent. */
enum lvn_index_send_verdict lvn_sender_judge(uint16_t status);
/* Wait before the next attempt: doubled each time, up to the maximum. */
int64_t lvn_sender_backoff_ms(int64_t attempt, unsigned first_seconds, unsigned max_seconds);

#ifdef __cplusplus
}
#endif
#endif
