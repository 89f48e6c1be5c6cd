/* What workers said of their jobs: it goes into the index, or is kept and tried again until it is there. Belongs to the
 * scheduler. */
#ifndef LVN_DAEMON_PIPELINE_VERDICTS_H
#define LVN_DAEMON_PIPELINE_VERDICTS_H

#include "config/config.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_verdict {
  int64_t job_id;
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  struct lvn_jobfile *file; /* owned; an outcome. NULL: a failure: */
  char code[32];
  char message[LVN_INDEX_MESSAGE_BYTES];
  bool is_transient;
  bool is_own_fault; /* this node could not do it: no attempt is counted */
  double seconds;    /* of the analysis */
};
void lvn_verdict_clear(struct lvn_verdict *verdict);

/* Both are borrowed. */
struct lvn_verdicts;
LVN_MUST_CHECK bool lvn_verdicts_create(const struct lvn_config *config, struct lvn_index *index,
                                        struct lvn_verdicts **ret_verdicts, struct lvn_error *err);
void lvn_verdicts_destroy(struct lvn_verdicts *verdicts); /* NULL is allowed */
int64_t lvn_verdicts_tick(struct lvn_verdicts *verdicts);
const char *lvn_verdicts_problem(const struct lvn_verdicts *verdicts);

/* Takes what the verdict owns. */
void lvn_verdicts_add(struct lvn_verdicts *verdicts, struct lvn_verdict *verdict);
/* The index was made again: its jobs are others. */
void lvn_verdicts_forget(struct lvn_verdicts *verdicts);
/* Jobs whose verdict waits; 0 beyond the last. */
int64_t lvn_verdicts_get_job(const struct lvn_verdicts *verdicts, size_t position);
struct lvn_stage lvn_verdicts_get_analysis_stage(const struct lvn_verdicts *verdicts);

#ifdef __cplusplus
}
#endif
#endif
