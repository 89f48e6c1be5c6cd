/* Telling somebody: by the site's own command, or by its sendmail. */
#ifndef LVN_CLI_ALERT_H
#define LVN_CLI_ALERT_H

#include "base/error.h"
#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs what the configuration names: alert_command with the subject as its one argument and the text on its standard
 * input, LIVERVLM_ALERT=`occasion` (attention, over, test) in its environment; and alert_sendmail for alert_mail. No
 * shell is involved. Each has 30 s, then it and what it started are killed. LVN_ERROR_USAGE: neither is configured;
 * LVN_ERROR_IO: one of them failed; the other was run all the same. */
LVN_MUST_CHECK bool lvn_alert_tell(const struct lvn_config *config, const char *occasion, const char *subject,
                                   const char *text, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
