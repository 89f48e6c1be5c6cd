#include "daemon/pipeline/shared/destinations.h"

#include <string.h>

static size_t add_name(const struct lvn_config_peer *peer, const char **names, size_t count, size_t max_count) {
  if (peer == NULL || !lvn_config_is_reachable(peer) || count == max_count) {
    return count;
  }
  for (size_t i = 0; i < count; i++) {
    if (strcmp(names[i], peer->name) == 0) {
      return count;
    }
  }
  names[count] = peer->name;
  return count + 1;
}

/* A peer that never calls has sent nothing by itself: what is here of it was asked for, under its AE title or, where it
 * has none, its name, of which a reception record keeps 16 characters. Where that is of several peers it says nothing:
 * results must not go to another's. */
static const struct lvn_config_peer *find_source(const struct lvn_config *config, const char *aet,
                                                 const char *address) {
  const struct lvn_config_peer *source = lvn_config_admit(config, aet, address);
  size_t count = 0;
  if (source != NULL || aet[0] == '\0') {
    return source;
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    const char *known_as = peer->aet[0] != '\0' ? peer->aet : peer->name;
    if (strncmp(known_as, aet, LVN_AET_BYTES - 1) == 0) {
      source = peer;
      count++;
    }
  }
  return count == 1 && !source->may_send ? source : NULL;
}

size_t lvn_destinations(const struct lvn_config *config, const char *source_aet, const char *source_address,
                        const char **ret_names, size_t max_count) {
  const struct lvn_config_peer *peers[LVN_CONFIG_PEERS_MAX];
  const struct lvn_config_peer *source = find_source(config, source_aet, source_address);
  size_t peer_count = lvn_config_get_destinations(config, source, peers);
  size_t count = 0;
  for (size_t i = 0; i < peer_count; i++) {
    count = add_name(peers[i], ret_names, count, max_count);
  }
  return count;
}

bool lvn_destination_takes(const void *config, const char *name, const char *sop_class_uid) {
  const struct lvn_config_peer *peer = lvn_config_find_peer(config, name);
  return peer == NULL || lvn_config_takes_result(peer, sop_class_uid);
}
