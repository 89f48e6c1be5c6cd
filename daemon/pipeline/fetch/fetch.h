/* Fetch: what a study lacks is asked for where an archive can be asked. There is nothing to ask yet: no peer of the
 * configuration can be queried, so nothing is ever due. Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_FETCH_H
#define LVN_DAEMON_PIPELINE_FETCH_H

#include "config/config.h"
#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_fetch;
struct lvn_fetch_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
};
LVN_MUST_CHECK bool lvn_fetch_create(const struct lvn_fetch_needs *needs, struct lvn_fetch **ret_fetch,
                                     struct lvn_error *err);
void lvn_fetch_destroy(struct lvn_fetch *fetch);
int64_t lvn_fetch_tick(struct lvn_fetch *fetch, int64_t now_ms);
const char *lvn_fetch_problem(const struct lvn_fetch *fetch);

#ifdef __cplusplus
}
#endif
#endif
