/* Where results go. */
#ifndef LVN_DAEMON_PIPELINE_DESTINATIONS_H
#define LVN_DAEMON_PIPELINE_DESTINATIONS_H

#include "config/config.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Destinations of events are named "webhook:NAME", which no peer is. */
#define LVN_WEBHOOK_PROTOCOL "webhook"
#define LVN_WEBHOOK_PREFIX LVN_WEBHOOK_PROTOCOL ":"

/* Names of the peers that get the results of a study that came from this address and AE title: those of the sender's
 * results_to; else the peers with receives_results; else the sender itself, when it can be reached. They belong to
 * `config`. */
size_t lvn_destinations(const struct lvn_config *config, const char *source_aet, const char *source_address,
                        const char **ret_names, size_t max_count);

/* Does the peer of this name get result objects of this class? `config` is a struct lvn_config. What a peer that is
 * configured no more should get waits for it. */
bool lvn_destination_takes(const void *config, const char *name, const char *sop_class_uid);

#ifdef __cplusplus
}
#endif
#endif
