/* What goes over one connection, for the audit: collected object by object, told study by study. Belongs to one thread.
 */
#ifndef LVN_DAEMON_AUDIT_TRANSFER_H
#define LVN_DAEMON_AUDIT_TRANSFER_H

#include "daemon/audit/audit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_audit_transfer;

LVN_MUST_CHECK bool lvn_audit_transfer_create(struct lvn_audit_transfer **ret_transfer, struct lvn_error *err);
void lvn_audit_transfer_destroy(struct lvn_audit_transfer *transfer); /* NULL is allowed */

/* The first patient that is named for a study is the one that is told. */
LVN_MUST_CHECK bool lvn_audit_transfer_add(struct lvn_audit_transfer *transfer, const char *study_uid,
                                           const char *patient_id, const char *sop_class_uid, struct lvn_error *err);
/* One message for each study, of `event` with the study's part filled in. */
void lvn_audit_transfer_write(const struct lvn_audit_transfer *transfer, const struct lvn_config *config,
                              const struct lvn_audit_event *event);

#ifdef __cplusplus
}
#endif
#endif
