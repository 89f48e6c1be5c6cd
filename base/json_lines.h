/* JSON values over a stream socket, one a line, both ways, with bounds: what local processes speak to each other. Works
 * on a non-blocking descriptor (an event loop) and on a blocking one (a client that asks and waits). */
#ifndef LVN_BASE_JSON_LINES_H
#define LVN_BASE_JSON_LINES_H

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One end of a connection. Belongs to one thread. */
struct lvn_json_lines;
/* Takes `fd` on success. A line longer than max_input_bytes, and more than max_output_bytes that the other side has
 * not taken, are LVN_ERROR_PROTOCOL. */
LVN_MUST_CHECK bool lvn_json_lines_create(int fd, size_t max_input_bytes, size_t max_output_bytes,
                                          struct lvn_json_lines **ret_lines, struct lvn_error *err);
void lvn_json_lines_destroy(struct lvn_json_lines *lines); /* closes; NULL is allowed */
int lvn_json_lines_get_fd(const struct lvn_json_lines *lines);

/* Reads once what is there. False at the end of the connection (LVN_OK) or an error; what came before is still there
 * to take. */
LVN_MUST_CHECK bool lvn_json_lines_receive(struct lvn_json_lines *lines, struct lvn_error *err);
/* The next whole line as a new reference, NULL when it is not JSON. False: no whole line is there. */
LVN_MUST_CHECK bool lvn_json_lines_take(struct lvn_json_lines *lines, json_t **ret_value);

/* Queues the value (borrowed; NULL, as json_pack() returns it, is LVN_ERROR_NOMEM), and sends what the socket takes. */
LVN_MUST_CHECK bool lvn_json_lines_send(struct lvn_json_lines *lines, const json_t *value, struct lvn_error *err);
/* Sends what is queued, as far as the socket takes it. */
LVN_MUST_CHECK bool lvn_json_lines_flush(struct lvn_json_lines *lines, struct lvn_error *err);
bool lvn_json_lines_wants_to_write(const struct lvn_json_lines *lines);

/* On a blocking descriptor: sends `request` and waits for the answer, a new reference, at most `seconds`
 * (LVN_ERROR_TIMEOUT). */
LVN_MUST_CHECK bool lvn_json_lines_ask(struct lvn_json_lines *lines, const json_t *request, unsigned seconds,
                                       json_t **ret_answer, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
