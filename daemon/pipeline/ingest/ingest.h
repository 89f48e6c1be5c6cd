/* Ingest: everything that waits in the spool goes to the object store and the index. Shape: shared/tick.h. */
#ifndef LVN_DAEMON_PIPELINE_INGEST_H
#define LVN_DAEMON_PIPELINE_INGEST_H

#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_ingest;
struct lvn_ingest_needs {
  const struct lvn_config *config;
  struct lvn_index *index;
  struct lvn_objects *objects;
  struct lvn_spool *spool;
};
LVN_MUST_CHECK bool lvn_ingest_create(const struct lvn_ingest_needs *needs, struct lvn_ingest **ret_ingest,
                                      struct lvn_error *err);
void lvn_ingest_destroy(struct lvn_ingest *ingest);
int64_t lvn_ingest_tick(struct lvn_ingest *ingest, int64_t now_ms);
const char *lvn_ingest_problem(const struct lvn_ingest *ingest);

/* Does the spool hold an object of this study that could not be taken and is to be tried again? */
LVN_MUST_CHECK bool lvn_ingest_holds_study(const struct lvn_ingest *ingest, const char *study_uid);

struct lvn_ingest_counts { /* since creation */
  uint64_t objects_stored;
  uint64_t bytes_stored;
  uint64_t objects_refused;
};
struct lvn_ingest_counts lvn_ingest_get_counts(const struct lvn_ingest *ingest);

#ifdef __cplusplus
}
#endif
#endif
