/* The control socket <run_folder>/control.sock: one JSON request a line, one JSON answer a line. What `livervlm
 * status|studies|jobs|outbound|retry|release|rebuild-index` ask; the index has no other reader.
 *   {"command":"status"}                              {"command":"studies","state":"done"}
 *   {"command":"jobs","state":…}                      {"command":"outbound","state":…}
 *   {"command":"retry","study":NAME | "job":N | "outbound":N | "failed_outbound":true}
 *   {"command":"release","study":NAME}                {"command":"rebuild-index"}
 *   {"command":"remove","study":NAME,"force":BOOL}    {"command":"copy-index"}
 * Answers hold "ok": true, or "ok": false with "error". A study is named by its UID or by its name in the log. */
#ifndef LVN_DAEMON_PIPELINE_CONTROL_H
#define LVN_DAEMON_PIPELINE_CONTROL_H

#include "base/error.h"
#include "config/config.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CONTROL_SOCKET "control.sock"
#define LVN_WORKER_SOCKET "worker.sock"

/* Sends one request (a JSON object on one line) and waits at most two minutes for the answer, which lvn_free() frees.
 * LVN_ERROR_IO: no pipeline listens there. True also when the answer says "ok": false. */
LVN_MUST_CHECK bool lvn_control_request(const char *socket_path, const char *request_json, char **ret_response,
                                        struct lvn_error *err);

struct lvn_rebuild_report {
  size_t objects;
  size_t unreadable;
  size_t jobs;
  size_t results;
};
/* Rebuilds the index of a node whose pipeline does not run. LVN_ERROR_CONFLICT when it does. */
LVN_MUST_CHECK bool lvn_rebuild_offline(const struct lvn_config *config, struct lvn_rebuild_report *ret_report,
                                        struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
