/* Notify: what happens at this node is told to the webhooks of the configuration. An event becomes a file in
 * <state>/events, a JSON object, for each webhook that wants it, and a row of the outbox, which sends it. The file's
 * name is the event's identity: what is found twice, after a kill too, is told once. Nothing of the patient is in it,
 * unless the webhook's include_identity says so. Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_NOTIFY_H
#define LVN_DAEMON_PIPELINE_NOTIFY_H

#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_notify;
struct lvn_notify_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  const struct lvn_objects *objects;
  size_t (*count_workers)(void *user_data);
  void *user_data;
};
LVN_MUST_CHECK bool lvn_notify_create(const struct lvn_notify_needs *needs, struct lvn_notify **ret_notify,
                                      struct lvn_error *err);
void lvn_notify_destroy(struct lvn_notify *notify);
int64_t lvn_notify_tick(struct lvn_notify *notify, int64_t now_ms);
const char *lvn_notify_problem(const struct lvn_notify *notify);

/* The index was made again: its events are others, and its outbox has forgotten what waits to be told. */
void lvn_notify_forget(struct lvn_notify *notify);

#ifdef __cplusplus
}
#endif
#endif
