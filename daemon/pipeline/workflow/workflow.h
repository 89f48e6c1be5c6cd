/* Workflow: the node as task performer of a workitem manager (UPS-RS; IHE AIW-I, pull). Workitems of the node's code
 * are found, claimed, their inputs fetched into the spool; when the results of the study are delivered, the workitem is
 * completed with them, or it is cancelled with the reason. Shape: shared/tick.h. The network is a thread's, one turn at
 * a time; what was claimed is in <state>/workitems, so that a restart goes on with it. */
#ifndef LVN_DAEMON_PIPELINE_WORKFLOW_H
#define LVN_DAEMON_PIPELINE_WORKFLOW_H

#include "base/loop/loop.h"
#include "config/config.h"
#include "storage/index.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_workflow;
struct lvn_workflow_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_spool *spool;
  struct lvn_loop *loop;
  bool (*holds_study)(void *user_data, const char *study_uid); /* objects of it wait for the index */
  void *user_data;
};
LVN_MUST_CHECK bool lvn_workflow_create(const struct lvn_workflow_needs *needs, struct lvn_workflow **ret_workflow,
                                        struct lvn_error *err);
/* Waits a few seconds for a turn that runs. */
void lvn_workflow_destroy(struct lvn_workflow *workflow);
int64_t lvn_workflow_tick(struct lvn_workflow *workflow, int64_t now_ms);
const char *lvn_workflow_problem(const struct lvn_workflow *workflow);
/* No new turn. */
void lvn_workflow_stop(struct lvn_workflow *workflow);

#ifdef __cplusplus
}
#endif
#endif
