/* Removing a study. What goes is written down first (<state>/removing/<study>.json), then its rows go, then its files:
 * a kill in between leaves a list that the next start works off, never rows without files, nor objects that a rebuild
 * would take for a study to analyse. */
#ifndef LVN_DAEMON_REMOVAL_H
#define LVN_DAEMON_REMOVAL_H

#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_removal {
  const struct lvn_config *config;
  struct lvn_index *index;
  const struct lvn_objects *objects;
};

LVN_MUST_CHECK bool lvn_removal_run(const struct lvn_removal *removal, const struct lvn_index_study *study,
                                    size_t *ret_objects, size_t *ret_jobs, struct lvn_error *err);
/* Works off what an earlier process, or an earlier failure, left. What was received since then stays. */
LVN_MUST_CHECK bool lvn_removal_finish_pending(const struct lvn_removal *removal, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
