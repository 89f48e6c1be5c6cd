/* An event as one line: RFC 5424's header and PS3.15 A.5's XML. Internal to daemon/audit. */
#ifndef LVN_DAEMON_AUDIT_MESSAGE_H
#define LVN_DAEMON_AUDIT_MESSAGE_H

#include "config/config.h"
#include "daemon/audit/event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Without a line's end. lvn_free() it. */
LVN_MUST_CHECK bool lvn_audit_format(const struct lvn_config *config, const struct lvn_audit_event *event,
                                     int64_t wall_ms, char **ret_line, size_t *ret_bytes, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
