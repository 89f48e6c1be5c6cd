/* Whose files a command that works on the state folder of a stopped node writes. */
#ifndef LVN_CLI_OWNER_H
#define LVN_CLI_OWNER_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Root goes on as the folder's owner, so that the node can use what is written; another user who may not write there is
 * refused, with what to type. A folder that does not exist is anybody's. */
LVN_MUST_CHECK bool lvn_cli_act_as_owner(const char *state_folder, const char *command, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
