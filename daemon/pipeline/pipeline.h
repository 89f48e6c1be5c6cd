/* The pipeline: its modules, wired, on what the process opened. */
#ifndef LVN_DAEMON_PIPELINE_PIPELINE_H
#define LVN_DAEMON_PIPELINE_PIPELINE_H

#include "base/loop/loop.h"
#include "config/config.h"
#include "daemon/web/web.h"
#include "storage/index.h"
#include "storage/objects.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_pipeline;
struct lvn_pipeline_needs { /* borrowed */
  const struct lvn_config *config;
  struct lvn_loop *loop;
  struct lvn_index *index;
  struct lvn_objects *objects;
  struct lvn_spool *spool;
  struct lvn_web *web; /* NULL: nothing is published */
};
/* Listens on the sockets for workers and for commands. */
LVN_MUST_CHECK bool lvn_pipeline_create(const struct lvn_pipeline_needs *needs, struct lvn_pipeline **ret_pipeline,
                                        struct lvn_error *err);
void lvn_pipeline_destroy(struct lvn_pipeline *pipeline); /* NULL is allowed */
/* Every module does what is due; returns when something is due next (monotonic ms). */
int64_t lvn_pipeline_tick(struct lvn_pipeline *pipeline);
/* Nothing new is begun; what runs may end, for a while. */
void lvn_pipeline_stop(struct lvn_pipeline *pipeline);
/* It was stopped, and nothing runs any more, or has had its time. */
bool lvn_pipeline_is_done(const struct lvn_pipeline *pipeline);
/* It stopped by itself, to be started anew. */
bool lvn_pipeline_is_broken(const struct lvn_pipeline *pipeline);

#ifdef __cplusplus
}
#endif
#endif
