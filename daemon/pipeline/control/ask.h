/* The control socket <run_folder>/control.sock: one JSON request a line, one JSON answer a line. What `livervlm
 * status|studies|jobs|outbound|retry|send|release|rebuild-index` ask; the index has no other reader.
 *   {"command":"status"}                              {"command":"studies", LIST}
 *   {"command":"jobs", LIST}                          {"command":"outbound", LIST}
 *   {"command":"retry","study":NAME | "job":N | "outbound":N | "failed_outbound":true | "to":PEER | "now":true}
 *   {"command":"release","study":NAME}                {"command":"rebuild-index"}
 *   {"command":"remove","study":NAME,"force":BOOL}    {"command":"copy-index"}
 *   {"command":"fetch","study":NAME or UID,"from":PEER}
 *   {"command":"send","study":NAME,"to":PEER}
 * LIST: "state", "study":NAME, "since_ms", "limit" and "after" (the "next" of the answer before); of studies also
 * "holds":UID and "samples":true; of outbound "to":PEER.
 * Answers hold "ok": true, or "ok": false with "error". A study is named by its UID or by its name in the log. */
#ifndef LVN_DAEMON_PIPELINE_ASK_H
#define LVN_DAEMON_PIPELINE_ASK_H

#include "base/error.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CONTROL_SOCKET "control.sock"

/* Sends one request (borrowed) and waits at most two minutes for the answer, a new reference. LVN_ERROR_IO: no pipeline
 * listens there. True also when the answer says "ok": false. */
LVN_MUST_CHECK bool lvn_control_ask(const char *socket_path, const json_t *request, json_t **ret_answer,
                                    struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
