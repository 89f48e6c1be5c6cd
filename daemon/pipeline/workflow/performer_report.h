/* What a workitem is told of its progress and end (PS3.3 C.30.1, C.30.3; PS3.4 table CC.2.5-3). Internal to workflow.
 */
#ifndef LVN_DAEMON_PIPELINE_PERFORMER_REPORT_H
#define LVN_DAEMON_PIPELINE_PERFORMER_REPORT_H

#include "base/json.h"
#include "daemon/pipeline/workflow/performer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Data sets; json_decref() them. NULL: no memory, or an output cannot be read. */
json_t *lvn_performer_report_progress(unsigned percent, const char *description);
json_t *lvn_performer_report_cancellation(const char *reason);
json_t *lvn_performer_report_completion(const struct lvn_config *config, const struct lvn_workitem *item,
                                        const struct lvn_performer_order *order);

/* Value and scheme of the configuration's workitem_code. */
void lvn_performer_split_code(const struct lvn_config *config, char ret_value[64], char ret_scheme[64]);

#ifdef __cplusplus
}
#endif
#endif
