/* One turn of the task performer, on a thread of its own: what each claimed workitem needs next, then new ones. It sees
 * the network, the spool and the workitems' files, never the index. Internal to workflow. */
#ifndef LVN_DAEMON_PIPELINE_PERFORMER_H
#define LVN_DAEMON_PIPELINE_PERFORMER_H

#include "config/config.h"
#include "daemon/pipeline/workflow/workitem.h"
#include "storage/outbox.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is to become of a workitem whose inputs are here. */
enum lvn_performer_order_kind { LVN_PERFORM_WAIT, LVN_PERFORM_COMPLETE, LVN_PERFORM_CANCEL };
struct lvn_performer_order {
  enum lvn_performer_order_kind kind;
  char reason[LVN_WORKITEM_REASON_BYTES]; /* of a cancellation */
  struct lvn_outbox_row *outputs;         /* of a completion: objects that were sent; lvn_free() */
  size_t output_count;
};

struct lvn_performer_turn {
  struct lvn_config config; /* a copy: a reload changes the other */
  struct lvn_spool *spool;
  struct lvn_workitem items[LVN_WORKITEMS_MAX];
  struct lvn_performer_order orders[LVN_WORKITEMS_MAX]; /* by item */
  size_t count;
  bool may_claim;
  bool (*is_cancelled)(void *user_data); /* the node stops: no more steps */
  void *user_data;
  char problem[256]; /* filled: of the manager; empty: none */
};
/* Changes items and count. */
void lvn_performer_run(struct lvn_performer_turn *turn);

#ifdef __cplusplus
}
#endif
#endif
