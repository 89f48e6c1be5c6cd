#include "daemon/pipeline/commitment/calls.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

/* A report on the association of the request takes the way of all others: durable before it is answered. */
static uint16_t take_report(void *user_data, const struct lvn_commitment *report) {
  struct lvn_call *call = user_data;
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *content = lvn_commitment_to_json(report, &err);
  const bool good = content != NULL && json_object_set_new(content, "peer", json_string(call->peer.name)) == 0 &&
                    json_object_set_new(content, "at", json_integer((json_int_t)lvn_clock_wall_ms())) == 0 &&
                    lvn_letters_put(call->letters, LVN_LETTER_REPORT, content, NULL, NULL, &err);
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "commitment-not-taken", &err, "peer=%s kind=report", call->peer.name);
    return LVN_STATUS_PROCESSING_FAILURE;
  }
  lvn_errand_end(&call->errand);
  return LVN_STATUS_SUCCESS;
}

static bool stays(void *user_data) {
  const struct lvn_call *call = user_data;
  return !lvn_errand_is_ended(&call->errand);
}

static void run(struct lvn_errand *errand) {
  struct lvn_call *call = (struct lvn_call *)errand;
  const struct lvn_scu_peer peer = {
      .host = call->peer.host,
      .port = call->peer.port,
      .called_aet = call->peer.aet,
      .calling_aet = call->calling_aet,
      .connect_seconds = call->connect_seconds,
      .dimse_seconds = call->answer_seconds,
      .security = {.uses_tls = lvn_config_peer_uses_tls(&call->peer), .certificate = call->peer.certificate}};
  struct lvn_commitment_handler handler = {.user_data = call, .take_report = take_report};
  call->is_answered = call->is_request ? lvn_commitment_request(&peer, &call->commitment, &handler, call->stay_seconds,
                                                                stays, &call->status, &call->was_sent, &call->err)
                                       : lvn_commitment_report(&peer, &call->commitment, &call->status, &call->err);
}

struct lvn_call *lvn_call_create(const struct lvn_config *config, const struct lvn_config_peer *peer, bool is_request,
                                 struct lvn_error *err) {
  struct lvn_call *call = lvn_alloc(1, sizeof *call, err);
  if (call == NULL) {
    return NULL;
  }
  call->errand.run = run;
  call->errand.destroy = lvn_call_destroy;
  lvn_call_name(peer->name, is_request, call->errand.name);
  call->is_request = is_request;
  call->peer = *peer;
  call->connect_seconds = config->connect_seconds;
  call->answer_seconds = config->dimse_seconds;
  call->stay_seconds = config->commitment_stay_seconds;
  (void)lvn_copy(call->calling_aet, sizeof call->calling_aet, config->ae_title);
  return call;
}

void lvn_call_destroy(struct lvn_errand *errand) {
  struct lvn_call *call = (struct lvn_call *)errand;
  if (call != NULL) {
    lvn_commitment_clear(&call->commitment);
    lvn_free(call);
  }
}

void lvn_call_name(const char *peer_name, bool is_request, char ret_name[64]) {
  (void)snprintf(ret_name, 64, "%s%.60s", is_request ? "?" : "!", peer_name);
}
