/* The messages that wait for the repository: a file of lines, bounded, shared by the node's processes under a lock that
 * dies with its holder. Internal to daemon/audit. */
#ifndef LVN_DAEMON_AUDIT_QUEUE_H
#define LVN_DAEMON_AUDIT_QUEUE_H

#include "config/config.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Into the local file and the queue, as the configuration has them. A message that does not fit, or that the disk does
 * not take, counts as dropped; then false. `line` ends with a line's end. */
LVN_MUST_CHECK bool lvn_audit_queue_append(const struct lvn_config *config, const char *line, size_t bytes,
                                           struct lvn_error *err);
/* The first whole lines, at most some 256 KiB of them; *ret_bytes 0: none wait. lvn_free() them. */
LVN_MUST_CHECK bool lvn_audit_queue_read(const struct lvn_config *config, char **ret_lines, size_t *ret_bytes,
                                         struct lvn_error *err);
/* So many bytes from the beginning are where they should be. */
LVN_MUST_CHECK bool lvn_audit_queue_remove(const struct lvn_config *config, size_t bytes, struct lvn_error *err);

struct lvn_audit_queue_state {
  uint64_t waiting_bytes;
  uint64_t dropped; /* messages, since lvn_audit_queue_forget_dropped() */
};
LVN_MUST_CHECK bool lvn_audit_queue_look(const struct lvn_config *config, struct lvn_audit_queue_state *ret_state,
                                         struct lvn_error *err);
/* So many have been told of. */
LVN_MUST_CHECK bool lvn_audit_queue_forget_dropped(const struct lvn_config *config, uint64_t count,
                                                   struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
