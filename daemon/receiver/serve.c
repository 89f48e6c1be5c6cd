#include "daemon/receiver/serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/audit/audit.h"
#include "daemon/receiver/caller.h"
#include "daemon/receiver/commitments.h"
#include "dicom/net/dimse/dimse.h"
#include "dicom/net/services/storage.h"
#include "dicom/net/services/verification.h"
#include "dicom/net/transport/tls_call.h"

#include <unistd.h>

LVN_DEFINE_CLEANUP(lvn_store, lvn_store_destroy)
LVN_DEFINE_CLEANUP(lvn_tls_call, lvn_tls_call_destroy)

struct caller {
  const struct lvn_config *config;
  const char *address;
};

static bool authorize(void *user_data, const struct lvn_tls_identity *identity) {
  const struct caller *caller = user_data;
  return lvn_caller_is_known(caller->config, caller->address, identity);
}

/* *ret_call is NULL where the port speaks no TLS. */
static bool prepare_tls(const struct lvn_store_options *options, struct caller *caller, struct lvn_tls_call **ret_call,
                        struct lvn_error *err) {
  const struct lvn_tls_acceptor acceptor = {
      .detects_plain = options->takes_plain, .authorize = authorize, .user_data = caller};
  return options->tls == NULL || lvn_tls_call_create(options->tls, &acceptor, NULL, ret_call, err);
}

/* What this node offers to a peer that calls: one row a service. */
static bool serve(const struct lvn_store_options *options, struct lvn_store *store, const struct lvn_tls_call *call,
                  int socket_fd, struct lvn_error *err) {
  const struct lvn_config *config = options->config;
  const struct lvn_association_limits limits = {.max_pdu_bytes = config->max_pdu_bytes,
                                                .negotiate_seconds = config->negotiate_seconds,
                                                .idle_seconds = config->idle_seconds,
                                                .total_seconds = config->total_seconds};
  struct lvn_storage storage = {.max_object_bytes = config->max_object_bytes,
                                .max_objects = config->max_objects_per_association,
                                .further_classes = config->other_classes};
  struct lvn_commitments commitments;
  lvn_commitments_init(&commitments, config, store);
  const struct lvn_dimse_service services[] = {lvn_verification_service(), lvn_storage_service(&storage),
                                               lvn_commitment_service(&commitments.handler)};
  struct lvn_dimse *dimse = NULL;
  lvn_store_get_handler(store, &storage.handler);
  const bool good =
      lvn_dimse_accept(socket_fd, call != NULL ? lvn_tls_call_get_layer(call) : NULL, &limits, lvn_store_admit, store,
                       services, sizeof services / sizeof services[0], &dimse, err) &&
      lvn_dimse_serve(dimse, err);
  lvn_dimse_close(dimse);
  lvn_commitments_end(&commitments);
  return good;
}

int lvn_serve_connection(const struct lvn_store_options *options, int socket_fd, const char *address) {
  struct lvn_error err = {0};
  LVN_CLEANUP(lvn_store_cleanup) struct lvn_store *store = NULL;
  LVN_CLEANUP(lvn_tls_call_cleanup) struct lvn_tls_call *call = NULL;
  struct caller caller = {.config = options->config, .address = address};
  if (!lvn_store_create(options, &store, &err) || !prepare_tls(options, &caller, &call, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "association-failed", &err, "address=%s", address);
    (void)close(socket_fd);
    return 1;
  }
  double since = lvn_clock_monotonic_seconds();
  lvn_store_set_tls_call(store, call);
  bool good = serve(options, store, call, socket_fd, &err);
  if (call != NULL && lvn_tls_call_is_refused(call)) {
    char reason[sizeof err.message + 64];
    lvn_log(LVN_LOG_WARNING, "event=tls-refused address=%s reason=%s", address,
            lvn_log_quote(reason, sizeof reason, err.message));
    lvn_audit_write(options->config, &(struct lvn_audit_event){.kind = LVN_AUDIT_CALLER_REFUSED,
                                                               .has_failed = true,
                                                               .description = err.message,
                                                               .peer_host = address,
                                                               .subject = address});
    return 0;
  }
  lvn_store_log_end(store, address, lvn_clock_monotonic_seconds() - since, good, &err);
  return 0;
}
