/* What outbound.c, sentfile.c and sender.c work on. */
#ifndef LVN_DAEMON_PIPELINE_OUTBOX_INTERNAL_H
#define LVN_DAEMON_PIPELINE_OUTBOX_INTERNAL_H

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "config/config.h"
#include "daemon/pipeline/outbox/sender.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/index.h"
#include "storage/index_restore.h"

#define LVN_STAGE_SEND 0

struct lvn_pipeline {
  struct lvn_config config;
  struct lvn_index *index;
  struct lvn_sender *sender;
  bool stops;
  struct lvn_sender_answer *answers; /* of senders, that the index does not have yet */
  size_t answer_count;
  size_t answer_capacity;
  struct lvn_trouble outbound_trouble;
  struct lvn_trouble answer_trouble;
  int64_t sent_complete_to; /* outbound row */
  bool has_missing_notes;   /* of deliveries: lvn_sentfile_complete() is due */
  int64_t due_ms;
  struct lvn_stage send;
};

#define lvn_pipeline_fail(pipeline, trouble, delay_ms, ...)                                                            \
  lvn_trouble_set((trouble), &(pipeline)->due_ms, (delay_ms), __VA_ARGS__)
#define lvn_pipeline_has_to_wait(pipeline, trouble) lvn_trouble_holds((trouble), &(pipeline)->due_ms)
#define lvn_pipeline_count_stage(pipeline, stage, seconds) lvn_stage_count(&(pipeline)->send, (seconds))

/* outbound.c */
void lvn_outbound_turn(struct lvn_pipeline *pipeline);
void lvn_outbound_clear(struct lvn_pipeline *pipeline);

/* sentfile.c: results/<job_id>/sent.jsonl, which destinations have which results: a rebuild must not send them again.
 */
void lvn_sentfile_remember(struct lvn_pipeline *pipeline, int64_t outbound_id);
/* Some of the notes that could not be made, or that an older release did not make, a turn; each row is looked at once.
 */
LVN_MUST_CHECK bool lvn_sentfile_complete(struct lvn_pipeline *pipeline, struct lvn_error *err);
typedef bool (*lvn_sentfile_visitor)(void *user_data, const struct lvn_index_sent *sent, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_sentfile_each(const struct lvn_config *config, int64_t job_id, lvn_sentfile_visitor visit,
                                      void *user_data, struct lvn_error *err);

#endif
