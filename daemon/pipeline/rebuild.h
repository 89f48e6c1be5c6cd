/* The index made again from what it maps: the object store, and the job files beside the results. */
#ifndef LVN_DAEMON_PIPELINE_REBUILD_H
#define LVN_DAEMON_PIPELINE_REBUILD_H

#include "daemon/pipeline/control.h"
#include "storage/index.h"
#include "storage/objects.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Replaces the content of `index`. On failure the old index stays. Studies are collected again; a study whose objects
 * have not changed gets its old job back, with its UIDs and times, and its finished results without a new analysis:
 * what is sent again is what was sent before. */
LVN_MUST_CHECK bool lvn_rebuild(struct lvn_index *index, const struct lvn_objects *objects,
                                const struct lvn_config *config, struct lvn_rebuild_report *ret_report,
                                struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
