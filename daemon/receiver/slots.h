/* Who is connected, shared by the receiver and its children: one slot per child in anonymous shared memory. The
 * receiver gives and clears slots, a child writes its peer into its own slot once the AE title is known. No lock, so a
 * child that is killed anywhere holds nothing up. */
#ifndef LVN_DAEMON_RECEIVER_SLOTS_H
#define LVN_DAEMON_RECEIVER_SLOTS_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_slots;

LVN_MUST_CHECK bool lvn_slots_create(size_t count, struct lvn_slots **ret_slots, struct lvn_error *err);
void lvn_slots_destroy(struct lvn_slots *slots); /* NULL is allowed */

/* Child: take one of `max_count` places of the peer. False, and nothing taken, when they are all in use. Two children
 * that ask for the last place at the same instant may both be refused; never are more than `max_count` admitted. */
LVN_MUST_CHECK bool lvn_slots_admit(struct lvn_slots *slots, size_t slot, const char *peer_name, size_t max_count);

/* Receiver. */
LVN_MUST_CHECK bool lvn_slots_is_admitted(const struct lvn_slots *slots, size_t slot);
void lvn_slots_clear(struct lvn_slots *slots, size_t slot);

#ifdef __cplusplus
}
#endif
#endif
