/* The index made again from what it maps: the object store, and the job files beside the results. */
#ifndef LVN_DAEMON_PIPELINE_REBUILD_H
#define LVN_DAEMON_PIPELINE_REBUILD_H

#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_rebuild_report {
  size_t objects;
  size_t unreadable;
  size_t jobs;
  size_t results;
};

/* Replaces the content of `index`. On failure the old index stays. A study whose objects have not changed since its
 * analysis is as the analysis left it, with the job, its UIDs and times, whichever model is in use now; results that a
 * destination is not known to have are sent, with the UIDs that they had. Studies without a finished analysis are
 * collected again. */
LVN_MUST_CHECK bool lvn_rebuild(struct lvn_index *index, const struct lvn_objects *objects,
                                const struct lvn_config *config, struct lvn_rebuild_report *ret_report,
                                struct lvn_error *err);

/* The same into an open, empty index, in one transaction. */
LVN_MUST_CHECK bool lvn_rebuild_fill(struct lvn_index *index, const struct lvn_objects *objects,
                                     const struct lvn_config *config, struct lvn_rebuild_report *ret_report,
                                     struct lvn_error *err);

/* Who wants to see how far it is. */
struct lvn_rebuild_watch {
  void (*show)(void *context, size_t done, size_t total); /* objects */
  void *context;
};

/* Rebuilds the index of a node whose pipeline does not run. LVN_ERROR_CONFLICT when it does. `watch` may be NULL. */
LVN_MUST_CHECK bool lvn_rebuild_offline(const struct lvn_config *config, const struct lvn_rebuild_watch *watch,
                                        struct lvn_rebuild_report *ret_report, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
