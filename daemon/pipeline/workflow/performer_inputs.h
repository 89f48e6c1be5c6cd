/* The inputs of a workitem, into the spool. Internal to workflow. */
#ifndef LVN_DAEMON_PIPELINE_PERFORMER_INPUTS_H
#define LVN_DAEMON_PIPELINE_PERFORMER_INPUTS_H

#include "base/json.h"
#include "base/sha256.h"
#include "config/config.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_performer_source { /* borrowed */
  const struct lvn_config *config;
  struct lvn_spool *spool;
  const struct lvn_config_peer *manager;
  bool (*is_cancelled)(void *user_data);
  void *user_data;
};

/* All that the workitem's Input Information Sequence names, by WADO-RS: from the peer whose url its Retrieve URL begins
 * with, or that has its Retrieve AE Title, or else from the manager. LVN_ERROR_DATA: it never will be. */
LVN_MUST_CHECK bool lvn_performer_fetch(const struct lvn_performer_source *source, const json_t *workitem,
                                        char ret_study_uid[LVN_UID_BYTES], size_t *ret_objects, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
