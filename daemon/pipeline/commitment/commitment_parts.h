/* What the two halves of the module share: promises (asked of destinations) and replies (to peers that ask). */
#ifndef LVN_DAEMON_PIPELINE_COMMITMENT_PARTS_H
#define LVN_DAEMON_PIPELINE_COMMITMENT_PARTS_H

#include "daemon/pipeline/commitment/calls.h"
#include "daemon/pipeline/commitment/commitment.h"
#include "daemon/pipeline/shared/tick.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How calls of one kind to one peer fare. */
struct lvn_lane {
  char name[64];
  unsigned failures; /* in a row */
  int64_t next_ms;   /* monotonic; no call before */
};
#define LVN_LANES_MAX (2U * LVN_CONFIG_PEERS_MAX)

struct lvn_commitment_module {
  struct lvn_commitment_needs needs;
  struct lvn_letters *letters;
  struct lvn_errands *errands;
  struct lvn_loop_source *errands_source;
  int inotify_fd;
  struct lvn_loop_source *inotify_source;
  struct lvn_lane lanes[LVN_LANES_MAX];
  struct lvn_trouble trouble;
  int64_t due_ms;
  char reply_cursor[LVN_LETTER_NAME_BYTES]; /* the request that was looked at last */
  bool stops;
};

/* False: it is too early or a call is under way; due_ms says when to look again. */
bool lvn_lane_is_free(struct lvn_commitment_module *module, const char *peer_name, bool is_request);
void lvn_lane_note(struct lvn_commitment_module *module, const char *peer_name, bool is_request, bool is_good);
/* How long to wait after a failure, from this one on. */
int64_t lvn_lane_pause_ms(const struct lvn_config *config, unsigned failures);

LVN_MUST_CHECK bool lvn_promises_tick(struct lvn_commitment_module *module, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_promises_take(struct lvn_commitment_module *module, struct lvn_call *call,
                                      struct lvn_error *err);
LVN_MUST_CHECK bool lvn_replies_tick(struct lvn_commitment_module *module, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_replies_take(struct lvn_commitment_module *module, struct lvn_call *call,
                                     struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
