#include "daemon/receiver/serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/receiver/commitments.h"
#include "dicom/net/dimse/dimse.h"
#include "dicom/net/services/storage.h"
#include "dicom/net/services/verification.h"

#include <unistd.h>

LVN_DEFINE_CLEANUP(lvn_store, lvn_store_destroy)

/* What this node offers to a peer that calls: one row a service. */
static bool serve(const struct lvn_store_options *options, struct lvn_store *store, int socket_fd,
                  struct lvn_error *err) {
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
  const bool good = lvn_dimse_accept(socket_fd, NULL, &limits, lvn_store_admit, store, services,
                                     sizeof services / sizeof services[0], &dimse, err) &&
                    lvn_dimse_serve(dimse, err);
  lvn_dimse_close(dimse);
  lvn_commitments_end(&commitments);
  return good;
}

int lvn_serve_connection(const struct lvn_store_options *options, int socket_fd, const char *address) {
  struct lvn_error err = {0};
  LVN_CLEANUP(lvn_store_cleanup) struct lvn_store *store = NULL;
  if (!lvn_store_create(options, &store, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "association-failed", &err, "address=%s", address);
    (void)close(socket_fd);
    return 1;
  }
  double since = lvn_clock_monotonic_seconds();
  bool good = serve(options, store, socket_fd, &err);
  lvn_store_log_end(store, address, lvn_clock_monotonic_seconds() - since, good, &err);
  return 0;
}
