/* results/<job_id>/sent.jsonl, which destinations have which results: a rebuild must not send them again. */
#ifndef LVN_DAEMON_PIPELINE_SENTFILE_H
#define LVN_DAEMON_PIPELINE_SENTFILE_H

#include "config/config.h"
#include "storage/outbox.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Durable. The job's folder must be there. */
LVN_MUST_CHECK bool lvn_sentfile_append(const struct lvn_config *config, const struct lvn_outbox_sent *sent,
                                        struct lvn_error *err);
typedef bool (*lvn_sentfile_visitor)(void *user_data, const struct lvn_outbox_sent *sent, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_sentfile_each(const struct lvn_config *config, int64_t job_id, lvn_sentfile_visitor visit,
                                      void *user_data, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
