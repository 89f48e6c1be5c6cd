/* QIDO-RS, and WADO-RS into the spool by the door of fetched objects. */
#include "daemon/pipeline/fetch/source.h"

#include <string.h>

#include "base/memory.h"
#include "daemon/pipeline/shared/intake.h"
#include "daemon/pipeline/shared/web_server.h"
#include "dicom/web/qido.h"
#include "dicom/web/wado.h"

struct link {
  const struct lvn_fetch_route *route;
  struct lvn_http *http;
};

struct retrieval {
  struct lvn_intake *intake;
  lvn_fetch_goes_on goes_on;
  void *user_data;
  uint32_t completed;
};

static bool serves(const struct lvn_config_peer *peer) {
  return lvn_config_is_dicomweb(peer) && lvn_config_is_reachable(peer);
}

static void close_link(void *pointer) {
  struct link *link = pointer;
  lvn_http_close(link->http);
  lvn_free(link);
}

static bool open_link(const struct lvn_fetch_route *route, void **ret_link, struct lvn_error *err) {
  const struct lvn_http_server server =
      lvn_web_server_of_peer(route->peer, route->config->connect_seconds, route->config->dimse_seconds);
  LVN_AUTOFREE struct link *link = lvn_alloc(1, sizeof *link, err);
  if (link == NULL || !lvn_http_open(&server, &link->http, err)) {
    return false;
  }
  link->route = route;
  *ret_link = lvn_steal(&link);
  return true;
}

static bool find(void *pointer, const char *study_uid, size_t max_count, struct lvn_fetch_series **ret_series,
                 size_t *ret_count, struct lvn_error *err) {
  const struct link *link = pointer;
  LVN_AUTOFREE struct lvn_qido_series *found = NULL;
  size_t count = 0;
  bool is_cut = false;
  if (!lvn_qido_list_series(link->http, study_uid, max_count, &found, &count, &is_cut, err)) {
    return false;
  }
  LVN_AUTOFREE struct lvn_fetch_series *series = lvn_alloc(count, sizeof *series, err);
  if (series == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    series[i].object_count = found[i].instance_count;
    (void)lvn_copy(series[i].series_uid, sizeof series[i].series_uid, found[i].series_uid);
    (void)lvn_copy(series[i].modality, sizeof series[i].modality, found[i].modality);
  }
  *ret_series = lvn_steal(&series);
  *ret_count = count;
  return true;
}

static bool begin(void *user_data, struct lvn_error *err) {
  const struct retrieval *retrieval = user_data;
  return lvn_intake_begin(retrieval->intake, err);
}

static bool data(void *user_data, const void *bytes, size_t count, struct lvn_error *err) {
  const struct retrieval *retrieval = user_data;
  return lvn_intake_data(retrieval->intake, bytes, count, err);
}

static bool end(void *user_data, struct lvn_error *err) {
  struct retrieval *retrieval = user_data;
  if (!lvn_intake_end(retrieval->intake, err)) {
    return false;
  }
  retrieval->completed++;
  const struct lvn_fetch_progress progress = {.completed = retrieval->completed};
  return retrieval->goes_on(retrieval->user_data, &progress) ||
         lvn_error_set(err, LVN_ERROR_DATA, "cancelled, as it was too much");
}

/* By which the sender of an object is known again: an address that the peer may call from. */
static void find_address(const struct lvn_config_peer *peer, char ret_address[64]) {
  (void)lvn_copy(ret_address, 64,
                 peer->addresses[0] != '\0' ? peer->addresses + strspn(peer->addresses, ", ") : peer->host);
  ret_address[strcspn(ret_address, ",/ ")] = '\0'; /* of a network, its first */
  if (ret_address[0] == '\0') {
    (void)lvn_copy(ret_address, 64, "0.0.0.0");
  }
}

static bool retrieve(void *pointer, const char *study_uid, const char *series_uid, lvn_fetch_goes_on goes_on,
                     void *user_data, struct lvn_fetch_progress *ret_progress, struct lvn_error *err) {
  const struct link *link = pointer;
  const struct lvn_config *config = link->route->config;
  const struct lvn_config_peer *peer = link->route->peer;
  struct retrieval retrieval = {.goes_on = goes_on, .user_data = user_data};
  char address[64];
  size_t count = 0;
  find_address(peer, address);
  const struct lvn_intake_options options = {.config = config,
                                             .spool = link->route->spool,
                                             .aet = peer->aet[0] != '\0' ? peer->aet : peer->name,
                                             .address = address};
  const struct lvn_wado_limits limits = {.objects = config->fetch_objects_max,
                                         .object_bytes = config->max_object_bytes,
                                         .total_bytes = config->fetch_bytes_max,
                                         .total_seconds = config->total_seconds};
  const struct lvn_wado_handler handler = {.user_data = &retrieval, .begin = begin, .data = data, .end = end};
  *ret_progress = (struct lvn_fetch_progress){0};
  if (!lvn_intake_open(&options, &retrieval.intake, err)) {
    return false;
  }
  bool good = lvn_wado_retrieve(link->http, study_uid, series_uid, NULL, &limits, &handler, &count, err);
  lvn_intake_close(retrieval.intake);
  ret_progress->completed = retrieval.completed;
  ret_progress->failed = good ? 0 : 1;
  return good;
}

const struct lvn_fetch_source lvn_fetch_source_dicomweb = {
    .name = "DICOMweb", .serves = serves, .open = open_link, .find = find, .retrieve = retrieve, .close = close_link};
