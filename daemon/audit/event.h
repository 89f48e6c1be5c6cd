/* What the audit trail tells of: one kind of event each row of message.c's table. */
#ifndef LVN_DAEMON_AUDIT_EVENT_H
#define LVN_DAEMON_AUDIT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_audit_kind {
  LVN_AUDIT_NODE_STARTED,
  LVN_AUDIT_NODE_STOPPED,
  LVN_AUDIT_CALLER_REFUSED,   /* an association, or a handshake of TLS */
  LVN_AUDIT_OBJECTS_RECEIVED, /* of one study, over one association */
  LVN_AUDIT_SENDING_BEGUN,    /* of one study, to one destination */
  LVN_AUDIT_OBJECTS_SENT,     /* the end of that */
  LVN_AUDIT_STUDY_USED,       /* analysed */
  LVN_AUDIT_STUDY_REMOVED,
  LVN_AUDIT_QUERY_SENT, /* this node asked */
  LVN_AUDIT_CONFIGURATION_CHANGED,
  LVN_AUDIT_MODEL_CHANGED,
  LVN_AUDIT_USER_ACTION,
  LVN_AUDIT_MESSAGES_DROPPED,
  LVN_AUDIT_KINDS
};

struct lvn_audit_class {
  const char *sop_class_uid;
  uint32_t instances;
};

/* All borrowed; what is NULL, empty or zero is left out. */
struct lvn_audit_event {
  enum lvn_audit_kind kind;
  bool has_failed;
  const char *description; /* of the outcome, or of what was done */
  const char *peer_aet;
  const char *peer_host; /* numeric address or name */
  const char *user;      /* somebody on this machine who asked for it */
  const char *study_uid;
  const char *patient_id; /* any bytes */
  const struct lvn_audit_class *classes;
  size_t class_count;
  const char *subject;     /* of an alert: a file, a model, a certificate's owner */
  const char *query_class; /* SOP class of a query, and its identifier as it was sent */
  const void *query;
  size_t query_bytes;
};

#ifdef __cplusplus
}
#endif
#endif
