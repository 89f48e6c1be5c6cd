/* Commitment: destinations with `commitment = yes` are asked to promise what was sent to them, and what they report is
 * brought into the index; peers that ask this node are told what its store holds. Both by letters of the receiver
 * (storage/letters.h) and calls of this module's own. Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_COMMITMENT_H
#define LVN_DAEMON_PIPELINE_COMMITMENT_H

#include "base/loop/loop.h"
#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_commitment_module;
struct lvn_commitment_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  const struct lvn_objects *objects;
  struct lvn_spool *spool;
  struct lvn_loop *loop;
};
LVN_MUST_CHECK bool lvn_commitment_module_create(const struct lvn_commitment_needs *needs,
                                                 struct lvn_commitment_module **ret_module, struct lvn_error *err);
void lvn_commitment_module_destroy(struct lvn_commitment_module *module);
int64_t lvn_commitment_module_tick(struct lvn_commitment_module *module, int64_t now_ms);
const char *lvn_commitment_module_problem(const struct lvn_commitment_module *module);
/* Nothing new is asked or told. */
void lvn_commitment_module_stop(struct lvn_commitment_module *module);

#ifdef __cplusplus
}
#endif
#endif
