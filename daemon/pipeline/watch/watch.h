/* Watch: what the pipeline did and how it is goes to the log, /metrics and /health. Shape: shared/tick.h; it is the
 * last of a tick. */
#ifndef LVN_DAEMON_PIPELINE_WATCH_H
#define LVN_DAEMON_PIPELINE_WATCH_H

#include "config/config.h"
#include "daemon/pipeline/assembly/assembly.h"
#include "daemon/pipeline/ingest/ingest.h"
#include "daemon/pipeline/outbox/outbox.h"
#include "daemon/pipeline/retention/retention.h"
#include "daemon/pipeline/scheduler/scheduler.h"
#include "daemon/pipeline/watch/attention.h"
#include "daemon/web/web.h"
#include "storage/index.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_watch;
struct lvn_watch_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_web *web; /* NULL: nothing is published */
  const struct lvn_ingest *ingest;
  const struct lvn_assembly *assembly;
  const struct lvn_scheduler *scheduler;
  const struct lvn_outbox *outbox;
  const struct lvn_retention *retention;
  const char *(*get_problem)(void *user_data); /* of the whole pipeline; empty: none */
  void *user_data;
};
LVN_MUST_CHECK bool lvn_watch_create(const struct lvn_watch_needs *needs, struct lvn_watch **ret_watch,
                                     struct lvn_error *err);
void lvn_watch_destroy(struct lvn_watch *watch);
int64_t lvn_watch_tick(struct lvn_watch *watch, int64_t now_ms);
/* The index was made again: its events are others. */
LVN_MUST_CHECK bool lvn_watch_forget(struct lvn_watch *watch, struct lvn_error *err);

int64_t lvn_watch_get_started_ms(const struct lvn_watch *watch); /* wall clock */
/* What an administrator should know now. */
LVN_MUST_CHECK bool lvn_watch_list_attention(const struct lvn_watch *watch, struct lvn_attention *ret_attention,
                                             struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
