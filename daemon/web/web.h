/* GET /metrics (Prometheus text) and GET /health, on loopback only, by libmicrohttpd. It shows what the pipeline last
 * published and never touches the index. */
#ifndef LVN_DAEMON_WEB_H
#define LVN_DAEMON_WEB_H

#include "base/error.h"
#include "daemon/web/web_tls.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs a thread of its own; locks itself. */
struct lvn_web;

/* `tls` (borrowed) NULL: HTTP. `address` must be a loopback address, since these pages have no login, unless `tls` lets
 * in only clients whose certificate is trusted. A request is answered when its Host is localhost, a
 * numeric loopback address or one of `hosts` (comma-separated, may be empty): a page of somebody else whose name was
 * made to mean this machine must read nothing here (DNS rebinding). */
LVN_MUST_CHECK bool lvn_web_start(const char *address, uint16_t port, const char *hosts, const struct lvn_web_tls *tls,
                                  struct lvn_web **ret_web, struct lvn_error *err);
/* The same port with other certificates, for connections from now on; those that are open end. On failure it goes on as
 * before. Of a server with TLS. */
LVN_MUST_CHECK bool lvn_web_set_tls(struct lvn_web *web, const struct lvn_web_tls *tls, struct lvn_error *err);
void lvn_web_stop(struct lvn_web *web); /* NULL is allowed */

#define LVN_WEB_NOTICE_BYTES 8192

/* What is shown from now on. `problem` NULL or empty: healthy; `notice` (NULL or empty: none) is what somebody should
 * look at although the node works, in whole lines, which stand below the first. When nothing is published for 20 s,
 * /health says so. */
LVN_MUST_CHECK bool lvn_web_publish(struct lvn_web *web, const char *metrics_text, const char *problem,
                                    const char *notice, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
