/* C-FIND, and C-MOVE to this node's own port or C-GET into the same reception. */
#include "daemon/pipeline/fetch/source.h"

#include <string.h>

#include "base/memory.h"
#include "daemon/receiver/store.h"
#include "dicom/net/services/query.h"

struct link {
  const struct lvn_config *config;
  struct lvn_query *query;
  struct lvn_store *store; /* of C-GET */
  struct lvn_storage storage;
};

struct retrieval {
  lvn_fetch_goes_on goes_on;
  void *user_data;
};

static bool serves(const struct lvn_config_peer *peer) {
  return !lvn_config_is_dicomweb(peer) && lvn_config_is_reachable(peer);
}

static void close_link(void *pointer) {
  struct link *link = pointer;
  lvn_query_close(link->query);
  lvn_store_destroy(link->store);
  lvn_free(link);
}

/* By which the sender of an object is known again: an address that the peer may call from. */
static void find_address(const struct lvn_config *config, const struct lvn_config_peer *peer, char ret_address[64]) {
  (void)lvn_copy(ret_address, 64, peer->host);
  if (lvn_config_admit(config, peer->aet, ret_address) != peer) {
    (void)lvn_copy(ret_address, 64, peer->addresses + strspn(peer->addresses, ", "));
    ret_address[strcspn(ret_address, ",/ ")] = '\0'; /* of a network, its first */
  }
}

/* Objects that come on our own association go through the same checks and the same spool as any other's. */
static bool open_store(struct link *link, const struct lvn_fetch_route *route, struct lvn_error *err) {
  char address[64];
  const struct lvn_store_options options = {.config = route->config, .spool = route->spool};
  link->storage = (struct lvn_storage){.max_object_bytes = route->config->max_object_bytes,
                                       .max_objects = route->config->fetch_objects_max};
  find_address(route->config, route->peer, address);
  if (!lvn_store_create(&options, &link->store, err) || !lvn_store_admit_own(link->store, route->peer, address, err)) {
    return false;
  }
  lvn_store_get_handler(link->store, &link->storage.handler);
  return true;
}

static bool open_link(const struct lvn_fetch_route *route, void **ret_link, struct lvn_error *err) {
  const struct lvn_scu_peer peer = {
      .host = route->peer->host,
      .port = route->peer->port,
      .called_aet = route->peer->aet,
      .calling_aet = route->config->ae_title,
      .connect_seconds = route->config->connect_seconds,
      .dimse_seconds = route->config->dimse_seconds,
      .security = {.uses_tls = lvn_config_peer_uses_tls(route->peer), .certificate = route->peer->certificate}};
  const bool gets = strcmp(route->peer->retrieve, "get") == 0;
  struct link *link = lvn_alloc(1, sizeof *link, err);
  if (link == NULL) {
    return false;
  }
  link->config = route->config;
  if ((gets && !open_store(link, route, err)) ||
      !lvn_query_open(&peer, gets ? &link->storage : NULL, &link->query, err)) {
    close_link(link);
    return false;
  }
  *ret_link = link;
  return true;
}

static bool find(void *pointer, const char *study_uid, size_t max_count, struct lvn_fetch_series **ret_series,
                 size_t *ret_count, struct lvn_error *err) {
  const struct link *link = pointer;
  LVN_AUTOFREE struct lvn_query_series *found = NULL;
  size_t count = 0;
  if (!lvn_query_list_series(link->query, study_uid, max_count, &found, &count, err)) {
    return false;
  }
  LVN_AUTOFREE struct lvn_fetch_series *series = lvn_alloc(count, sizeof *series, err);
  if (series == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    series[i].object_count = found[i].object_count;
    (void)lvn_copy(series[i].series_uid, sizeof series[i].series_uid, found[i].series_uid);
    (void)lvn_copy(series[i].modality, sizeof series[i].modality, found[i].modality);
  }
  *ret_series = lvn_steal(&series);
  *ret_count = count;
  return true;
}

static bool goes_on(void *user_data, const struct lvn_query_retrieved *retrieved) {
  const struct retrieval *retrieval = user_data;
  const struct lvn_fetch_progress progress = {.completed = retrieved->completed, .failed = retrieved->failed};
  return retrieval->goes_on(retrieval->user_data, &progress);
}

static const char *describe(uint16_t status) {
  switch (status) {
  case 0xA801:
    return " (it does not know this node's AE title as a move destination)";
  case 0xA701:
  case 0xA702:
    return " (out of resources)";
  case 0xB000:
    return " (some objects were not sent)";
  default:
    return "";
  }
}

static bool retrieve(void *pointer, const char *study_uid, const char *series_uid, lvn_fetch_goes_on wish,
                     void *user_data, struct lvn_fetch_progress *ret_progress, struct lvn_error *err) {
  const struct link *link = pointer;
  struct retrieval retrieval = {.goes_on = wish, .user_data = user_data};
  struct lvn_query_retrieved retrieved = {0};
  const bool is_answered = lvn_query_retrieve(link->query, study_uid, series_uid, link->config->ae_title, goes_on,
                                              &retrieval, &retrieved, err);
  *ret_progress = (struct lvn_fetch_progress){.completed = retrieved.completed, .failed = retrieved.failed};
  if (!is_answered || retrieved.is_cancelled) {
    return is_answered ? lvn_error_set(err, LVN_ERROR_DATA, "cancelled, as it was too much") : false;
  }
  return retrieved.status == LVN_STATUS_SUCCESS ||
         lvn_error_set(err, LVN_ERROR_PROTOCOL, "it answered %s with 0x%04X%s",
                       link->store != NULL ? "C-GET" : "C-MOVE", (unsigned)retrieved.status,
                       describe(retrieved.status));
}

const struct lvn_fetch_source lvn_fetch_source_dimse = {
    .name = "DIMSE", .serves = serves, .open = open_link, .find = find, .retrieve = retrieve, .close = close_link};
