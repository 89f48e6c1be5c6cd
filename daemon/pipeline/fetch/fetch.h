/* Fetch: what a study lacks is asked for where an archive can be asked, one study at a time. Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_FETCH_H
#define LVN_DAEMON_PIPELINE_FETCH_H

#include "base/loop/loop.h"
#include "config/config.h"
#include "storage/index.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_fetch;
struct lvn_fetch_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_spool *spool;
  struct lvn_loop *loop;
};
LVN_MUST_CHECK bool lvn_fetch_create(const struct lvn_fetch_needs *needs, struct lvn_fetch **ret_fetch,
                                     struct lvn_error *err);
void lvn_fetch_destroy(struct lvn_fetch *fetch);
int64_t lvn_fetch_tick(struct lvn_fetch *fetch, int64_t now_ms);
const char *lvn_fetch_problem(const struct lvn_fetch *fetch);
/* Nothing new is asked for, and what is under way comes to its end. */
void lvn_fetch_stop(struct lvn_fetch *fetch);

/* Operator: this study now, of this peer (NULL: its sender's query_from, or the only peer that any names). `study` is a
 * name of the log or a UID, which need not be known here. *ret_peer_name is borrowed from the configuration. */
LVN_MUST_CHECK bool lvn_fetch_study(struct lvn_fetch *fetch, const char *study, const char *peer_name,
                                    const char **ret_peer_name, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
