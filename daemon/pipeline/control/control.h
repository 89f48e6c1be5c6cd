/* Control: answers what `livervlm` asks on the control socket (ask.h says what). Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_CONTROL_H
#define LVN_DAEMON_PIPELINE_CONTROL_H

#include "base/loop/loop.h"
#include "config/config.h"
#include "daemon/pipeline/fetch/fetch.h"
#include "daemon/pipeline/outbox/outbox.h"
#include "daemon/pipeline/retention/retention.h"
#include "daemon/pipeline/scheduler/scheduler.h"
#include "daemon/pipeline/watch/watch.h"
#include "storage/index.h"
#include "storage/objects.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_control;
struct lvn_control_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  const struct lvn_objects *objects;
  struct lvn_loop *loop;
  struct lvn_scheduler *scheduler;
  struct lvn_outbox *outbox;
  struct lvn_fetch *fetch;
  struct lvn_retention *retention;
  const struct lvn_watch *watch;
  const char *(*get_problem)(void *user_data); /* of the whole pipeline; empty: none */
  /* The index was made again: whoever holds numbers of the old one forgets them. */
  bool (*forget_index)(void *user_data, struct lvn_error *err);
  /* There is no usable index any more: the process ends, to be started anew. */
  void (*give_up)(void *user_data);
  void *user_data;
};
/* Listens. */
LVN_MUST_CHECK bool lvn_control_create(const struct lvn_control_needs *needs, struct lvn_control **ret_control,
                                       struct lvn_error *err);
void lvn_control_destroy(struct lvn_control *control);
/* Nothing is ever due: it acts when it is asked. */
int64_t lvn_control_tick(struct lvn_control *control, int64_t now_ms);
const char *lvn_control_problem(const struct lvn_control *control);

#ifdef __cplusplus
}
#endif
#endif
