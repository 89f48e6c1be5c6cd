#include "daemon/receiver/caller.h"

/* The peer whose `certificate` names this one, or NULL. */
static const struct lvn_config_peer *find_owner(const struct lvn_config *config,
                                                const struct lvn_tls_identity *identity) {
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    if (peer->certificate[0] != '\0' && lvn_tls_is_wanted(identity, peer->certificate)) {
      return peer;
    }
  }
  return NULL;
}

const char *lvn_caller_refuse(const struct lvn_config *config, const struct lvn_config_peer *peer,
                              const struct lvn_tls_identity *identity) {
  if (identity == NULL) {
    return lvn_config_peer_uses_tls(peer) ? "it called without TLS" : NULL;
  }
  if (!lvn_config_peer_takes_tls(peer)) {
    return "it called with TLS, which is off for this peer";
  }
  const struct lvn_config_peer *owner = find_owner(config, identity);
  if (peer->certificate[0] != '\0') {
    return owner == peer ? NULL : "its certificate is not this peer's";
  }
  return owner == NULL ? NULL : "its certificate is another peer's";
}

bool lvn_caller_is_known(const struct lvn_config *config, const char *address,
                         const struct lvn_tls_identity *identity) {
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    if (lvn_config_admit(config, peer->aet, address) == peer && lvn_caller_refuse(config, peer, identity) == NULL) {
      return true;
    }
  }
  return false;
}
