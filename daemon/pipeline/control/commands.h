/* The commands of the control socket. */
#ifndef LVN_DAEMON_PIPELINE_COMMANDS_H
#define LVN_DAEMON_PIPELINE_COMMANDS_H

#include "daemon/pipeline/control/control.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `request` NULL: it was not JSON. A new reference, or NULL: no memory. */
LVN_MUST_CHECK json_t *lvn_commands_answer(const struct lvn_control_needs *needs, const json_t *request);

#ifdef __cplusplus
}
#endif
#endif
