/* Assembly: studies that settled become jobs, or say what they wait for. Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_ASSEMBLY_H
#define LVN_DAEMON_PIPELINE_ASSEMBLY_H

#include "config/config.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/index.h"
#include "storage/queue.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_assembly;
struct lvn_assembly_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_spool *spool;
  /* Was an object of this study acknowledged that is not in the index yet? */
  bool (*holds_study)(void *user_data, const char *study_uid);
  /* The model that analyses now; NULL: none is known yet. */
  const struct lvn_job_model *(*get_model)(void *user_data);
  void *user_data;
};
LVN_MUST_CHECK bool lvn_assembly_create(const struct lvn_assembly_needs *needs, struct lvn_assembly **ret_assembly,
                                        struct lvn_error *err);
void lvn_assembly_destroy(struct lvn_assembly *assembly);
int64_t lvn_assembly_tick(struct lvn_assembly *assembly, int64_t now_ms);
const char *lvn_assembly_problem(const struct lvn_assembly *assembly);

/* From a study's last reception to its settling. */
struct lvn_stage lvn_assembly_get_stage(const struct lvn_assembly *assembly);

#ifdef __cplusplus
}
#endif
#endif
