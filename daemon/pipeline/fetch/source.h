/* A way of asking an archive: one file and one row of lvn_fetch_sources[]. Fetching knows no protocol: a source says
 * which series of a study there are, and has one of them sent to this node's reception, or puts it there itself. */
#ifndef LVN_DAEMON_PIPELINE_SOURCE_H
#define LVN_DAEMON_PIPELINE_SOURCE_H

#include "base/error.h"
#include "base/sha256.h"
#include "config/config.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_fetch_route { /* borrowed */
  const struct lvn_config *config;
  const struct lvn_config_peer *peer; /* of that configuration: who is asked */
  struct lvn_spool *spool;
};

struct lvn_fetch_series {
  char series_uid[LVN_UID_BYTES];
  char modality[17];
  int64_t object_count; /* -1: the archive does not say */
};

struct lvn_fetch_progress {
  uint32_t completed;
  uint32_t failed;
};
/* Asked now and then: false ends the retrieval. */
typedef bool (*lvn_fetch_goes_on)(void *user_data, const struct lvn_fetch_progress *progress);

/* Called on a thread of its own; every wait is bounded by the configuration. */
struct lvn_fetch_source {
  const char *name;
  /* Can this peer be asked in this way? Of several, the first in the table is taken. */
  bool (*serves)(const struct lvn_config_peer *peer);
  bool (*open)(const struct lvn_fetch_route *route, void **ret_link, struct lvn_error *err);
  /* At most `max_count` series of the study; none: the archive does not have it. lvn_free() the array. */
  bool (*find)(void *link, const char *study_uid, size_t max_count, struct lvn_fetch_series **ret_series,
               size_t *ret_count, struct lvn_error *err);
  /* *ret_progress is filled also on failure; `err` says why not all of it came. */
  bool (*retrieve)(void *link, const char *study_uid, const char *series_uid, lvn_fetch_goes_on goes_on,
                   void *user_data, struct lvn_fetch_progress *ret_progress, struct lvn_error *err);
  void (*close)(void *link);
};

extern const struct lvn_fetch_source lvn_fetch_source_dimse;    /* C-FIND, C-MOVE or C-GET */
extern const struct lvn_fetch_source lvn_fetch_source_dicomweb; /* QIDO-RS, WADO-RS */

/* What the node asks by, ended by NULL. */
extern const struct lvn_fetch_source *const lvn_fetch_sources[];
/* NULL: none serves the peer. */
const struct lvn_fetch_source *lvn_fetch_source_find(const struct lvn_config_peer *peer);

#ifdef __cplusplus
}
#endif
#endif
