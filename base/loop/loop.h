/* The event loop of every process that waits for more than one thing: libsystemd's sd-event behind this project's
 * errors, units and names. A loop belongs to one thread, and to one process: a forked child makes its own. */
#ifndef LVN_BASE_LOOP_H
#define LVN_BASE_LOOP_H

#include "base/error.h"
#include "base/memory.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_loop;
struct lvn_loop_source;
typedef void (*lvn_loop_handler)(void *user_data);
typedef void (*lvn_loop_signal_handler)(void *user_data, int signal_number);

LVN_MUST_CHECK bool lvn_loop_create(struct lvn_loop **ret_loop, struct lvn_error *err);
/* After its sources. NULL is allowed. */
void lvn_loop_destroy(struct lvn_loop *loop);

/* Calls `handler` whenever `fd` can be read, has ended or is broken. The source is destroyed before `fd` is closed. */
LVN_MUST_CHECK bool lvn_loop_add_fd(struct lvn_loop *loop, int fd, lvn_loop_handler handler, void *user_data,
                                    struct lvn_loop_source **ret_source, struct lvn_error *err);
/* Also whenever it can be written. */
void lvn_loop_watch_writes(struct lvn_loop_source *source, bool wants);
/* Blocks the signal in the calling thread, to take it here. */
LVN_MUST_CHECK bool lvn_loop_add_signal(struct lvn_loop *loop, int signal_number, lvn_loop_signal_handler handler,
                                        void *user_data, struct lvn_loop_source **ret_source, struct lvn_error *err);
/* Never called again. NULL is allowed. A handler may destroy its own source. */
void lvn_loop_source_destroy(struct lvn_loop_source *source);
LVN_DEFINE_CLEANUP(lvn_loop_source, lvn_loop_source_destroy)

/* Tells the service manager that the process lives, as often as it wants that (sd_watchdog_enabled(3)), while the loop
 * runs. Nothing where there is no service manager. */
LVN_MUST_CHECK bool lvn_loop_feed_watchdog(struct lvn_loop *loop, struct lvn_error *err);

/* Waits until something happens, at most timeout_ms (negative: without limit), then calls the handlers of whatever has
 * happened, a bounded number. */
LVN_MUST_CHECK bool lvn_loop_wait(struct lvn_loop *loop, int64_t timeout_ms, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
