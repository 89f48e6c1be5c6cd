#include "daemon/pipeline/fetch/source.h"

const struct lvn_fetch_source *const lvn_fetch_sources[] = {&lvn_fetch_source_dicomweb, &lvn_fetch_source_dimse, NULL};

const struct lvn_fetch_source *lvn_fetch_source_find(const struct lvn_config_peer *peer) {
  const struct lvn_fetch_source *const *at = lvn_fetch_sources;
  while (*at != NULL && !(*at)->serves(peer)) {
    at++;
  }
  return *at;
}
