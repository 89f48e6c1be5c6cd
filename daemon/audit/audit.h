/* The audit trail: who did what with which patient's objects, as DICOM audit messages (PS3.15 A.5, IHE ITI-20) in
 * RFC 5424 lines, to a local file and into a queue that forward.h empties into a repository. Every process of the node
 * may write, at any time; what cannot be kept is counted. Unlike the log it holds patient identity. */
#ifndef LVN_DAEMON_AUDIT_AUDIT_H
#define LVN_DAEMON_AUDIT_AUDIT_H

#include "config/config.h"
#include "daemon/audit/event.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Does nothing where [audit] names neither file nor repository. A failure is logged and counted, and stops nobody. */
void lvn_audit_write(const struct lvn_config *config, const struct lvn_audit_event *event);

/* The model that works from now on; a message where it is another than before, also before a restart. */
void lvn_audit_note_model(const struct lvn_config *config, const char *name, const char *version);

/* One sentence when messages were dropped or wait for long; else empty. */
void lvn_audit_describe(const struct lvn_config *config, char *ret_text, size_t text_bytes);

#ifdef __cplusplus
}
#endif
#endif
