/* From the configuration's peers and webhooks to servers of base/http. */
#ifndef LVN_DAEMON_PIPELINE_WEB_SERVER_H
#define LVN_DAEMON_PIPELINE_WEB_SERVER_H

#include "base/http/http.h"
#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Texts are borrowed from what is given. */
struct lvn_http_server lvn_web_server_of_peer(const struct lvn_config_peer *peer, unsigned connect_seconds,
                                              unsigned answer_seconds);
struct lvn_http_server lvn_web_server_of_webhook(const struct lvn_config_webhook *webhook, unsigned connect_seconds,
                                                 unsigned answer_seconds);

#ifdef __cplusplus
}
#endif
#endif
