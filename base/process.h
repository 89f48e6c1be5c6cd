/* A forked child's first steps, and how a process ended. */
#ifndef LVN_BASE_PROCESS_H
#define LVN_BASE_PROCESS_H

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What every forked child does first: takes a name, dies with its parent, no signal blocked (but SIGHUP on demand),
 * handled or (but SIGPIPE) ignored. False when the parent is gone already. */
LVN_MUST_CHECK bool lvn_process_enter_child(const char *process_name, pid_t parent_pid, bool blocks_hangup);

/* One byte to the descriptor that the environment's LVN_READY_FD names, which is closed: this role works. Nothing where
 * nobody waits to hear that. */
void lvn_process_tell_ready(void);

/* "exit=1", "signal=11". Returns `text`. */
const char *lvn_process_describe_end(int wait_status, char *text, size_t text_bytes);

#ifdef __cplusplus
}
#endif
#endif
