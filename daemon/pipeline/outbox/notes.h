/* What destinations have is noted beside the results, for a rebuild (shared/sentfile.h); a note that fails is made up
 * for from the index. */
#ifndef LVN_DAEMON_PIPELINE_NOTES_H
#define LVN_DAEMON_PIPELINE_NOTES_H

#include "config/config.h"
#include "storage/outbox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_notes {
  const struct lvn_config *config; /* borrowed, as the index */
  struct lvn_index *index;
  int64_t complete_to; /* outbox row */
  bool is_behind;      /* some note could not be made */
  int64_t next_ms;     /* monotonic */
};

/* Before the row is recorded as sent: what the index says must be noted, not the other way round. */
void lvn_notes_remember(struct lvn_notes *notes, int64_t outbox_id);
/* Now and then looks for notes that are missing (an older release made none), some rows each time. Returns when it is
 * next due, monotonic as now_ms. */
int64_t lvn_notes_tick(struct lvn_notes *notes, int64_t now_ms);

#ifdef __cplusplus
}
#endif
#endif
