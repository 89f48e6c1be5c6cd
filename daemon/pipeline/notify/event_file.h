/* One event as a file and a row of the outbox for each webhook that wants it. Internal to notify. */
#ifndef LVN_DAEMON_PIPELINE_EVENT_FILE_H
#define LVN_DAEMON_PIPELINE_EVENT_FILE_H

#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_event_place { /* borrowed */
  const struct lvn_config *config;
  struct lvn_index *index;
  const struct lvn_objects *objects;
};

struct lvn_event {
  const char *name;        /* of lvn_config_event_names */
  const char *key;         /* with the name its identity: letters, digits, "-_." */
  const char *study_uid;   /* NULL: of no study */
  const char *study_name;  /* of logs */
  const char *destination; /* NULL: none */
  int64_t objects;         /* -1: not said */
  const char *message;     /* one sentence */
};
/* What is there already stays as it is. */
LVN_MUST_CHECK bool lvn_event_tell(const struct lvn_event_place *place, const struct lvn_event *event,
                                   struct lvn_error *err);
/* Rows for the files that are there. */
LVN_MUST_CHECK bool lvn_event_queue_files(const struct lvn_event_place *place, struct lvn_error *err);
/* Rows and files of what was told, or given up, some days ago. */
LVN_MUST_CHECK bool lvn_event_remove_old(const struct lvn_event_place *place, struct lvn_error *err);
/* Where the reading of the index's event log goes on; -1: nowhere yet. */
LVN_MUST_CHECK bool lvn_event_read_cursor(const struct lvn_event_place *place, int64_t *ret_event_id,
                                          struct lvn_error *err);
LVN_MUST_CHECK bool lvn_event_write_cursor(const struct lvn_event_place *place, int64_t event_id,
                                           struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
