/* One attempt to fetch one study, as an errand: asks the source which series there are, and has those sent that can
 * take part and are not here. Knows nothing of the index. */
#ifndef LVN_DAEMON_PIPELINE_TRIP_H
#define LVN_DAEMON_PIPELINE_TRIP_H

#include "daemon/pipeline/fetch/source.h"
#include "daemon/pipeline/shared/errands.h"
#include "storage/fetch.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_trip_end {
  LVN_TRIP_UNREACHED, /* nothing was learned */
  LVN_TRIP_UNKNOWN,   /* the archive does not have the study */
  LVN_TRIP_NOTHING,   /* it has, but nothing that is missing here */
  LVN_TRIP_PARTLY,    /* some of what was asked for did not come */
  LVN_TRIP_DONE
};

struct lvn_trip {
  struct lvn_errand errand;
  /* Set before it starts; owned. */
  struct lvn_config *config;
  const struct lvn_config_peer *peer; /* of that configuration */
  struct lvn_spool *spool;            /* borrowed */
  char study_uid[LVN_UID_BYTES];
  char study_name[LVN_INDEX_STUDY_NAME_BYTES];
  struct lvn_fetch_held *held;
  size_t held_count;
  int64_t asked_ms;
  int64_t last_sequence; /* of receptions before it */
  /* What came of it; series_count may be read while it runs. */
  int series_count; /* asked for */
  enum lvn_trip_end end;
  uint32_t completed;
  uint32_t failed;
  struct lvn_error err;
};

/* lvn_trip_destroy() it. */
LVN_MUST_CHECK struct lvn_trip *lvn_trip_create(const struct lvn_config *config, const char *peer_name,
                                                struct lvn_error *err);
void lvn_trip_destroy(struct lvn_errand *errand);
int lvn_trip_count_series(const struct lvn_trip *trip);
/* One sentence for the list of studies: "asked ARCHIVE for 2 series at 10:42 UTC". */
void lvn_trip_describe(const struct lvn_trip *trip, bool is_over, char *text, size_t text_bytes);

#ifdef __cplusplus
}
#endif
#endif
