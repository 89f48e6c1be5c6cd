/* What the pipeline and a worker say to each other of a job, as JSON: {"job":{…}} and {"done":{…}}. */
#ifndef LVN_DAEMON_PIPELINE_MESSAGES_H
#define LVN_DAEMON_PIPELINE_MESSAGES_H

#include "config/config.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "storage/index.h"
#include "storage/objects.h"
#include "storage/queue.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the job's file, whose folder the worker fills, and makes the message: a new reference. */
LVN_MUST_CHECK bool lvn_message_make_job(const struct lvn_config *config, struct lvn_index *index,
                                         const struct lvn_objects *objects, const struct lvn_job *job,
                                         json_t **ret_message, struct lvn_error *err);
/* The outcome of the job, checked against the files that it names. Owned by *file also where that fails. */
LVN_MUST_CHECK bool lvn_message_read_done(const struct lvn_config *config, int64_t job_id, const json_t *done,
                                          struct lvn_jobfile *file, struct lvn_error *err);
/* Empty where there is none. */
const char *lvn_message_text(const json_t *object, const char *key);

#ifdef __cplusplus
}
#endif
#endif
