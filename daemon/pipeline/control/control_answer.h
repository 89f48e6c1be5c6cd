/* Inside of control: what its answers are made of, and the lists. Every list has its rows made by one function, so that
 * a member has one name and one form wherever it is shown. */
#ifndef LVN_DAEMON_PIPELINE_CONTROL_CONTROL_ANSWER_H
#define LVN_DAEMON_PIPELINE_CONTROL_CONTROL_ANSWER_H

#include "daemon/pipeline/control/control.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* New references, but the text, which is the request's; NULL when it is not there. */
json_t *lvn_answer_refuse(const struct lvn_error *err);
json_t *lvn_answer_time(int64_t wall_ms); /* UTC; 0: null */
const char *lvn_answer_text(const json_t *request, const char *key);

/* Newest first, a page at a time: "next" of an answer is "after" of the request for the following page; it is absent on
 * the last one. */
json_t *lvn_answer_studies(const struct lvn_control_needs *needs, const json_t *request);
json_t *lvn_answer_jobs(const struct lvn_control_needs *needs, const json_t *request);
json_t *lvn_answer_outbound(const struct lvn_control_needs *needs, const json_t *request);

#ifdef __cplusplus
}
#endif
#endif
