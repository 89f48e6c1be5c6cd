#include "daemon/pipeline/shared/destinations.h"

#include <string.h>

static size_t add_name(const struct lvn_config_peer *peer, const char **names, size_t count, size_t max_count) {
  if (peer == NULL || peer->port == 0 || peer->host[0] == '\0' || count == max_count) {
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

size_t lvn_destinations(const struct lvn_config *config, const char *source_aet, const char *source_address,
                        const char **ret_names, size_t max_count) {
  const struct lvn_config_peer *peers[LVN_CONFIG_PEERS_MAX];
  const struct lvn_config_peer *source = lvn_config_admit(config, source_aet, source_address);
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
