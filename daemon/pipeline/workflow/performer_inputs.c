#include "daemon/pipeline/workflow/performer_inputs.h"

#include <string.h>

#include "base/memory.h"
#include "daemon/pipeline/shared/intake.h"
#include "daemon/pipeline/shared/web_server.h"
#include "dicom/web/model.h"
#include "dicom/web/wado.h"

#define TOTAL_BYTES_MAX ((uint64_t)64 << 30)

#define STUDY_INSTANCE_UID "0020000D"
#define SERIES_INSTANCE_UID "0020000E"
#define INPUT_INFORMATION_SEQUENCE "00404021"
#define DICOM_RETRIEVAL_SEQUENCE "0040E021"
#define WADO_RS_RETRIEVAL_SEQUENCE "0040E025"
#define RETRIEVE_URL "00081190"
#define RETRIEVE_AE_TITLE "00080054"

struct input {
  char study_uid[LVN_UID_BYTES];
  char series_uid[LVN_UID_BYTES]; /* empty: the whole study */
  char url[LVN_HTTP_URL_BYTES];   /* empty: by the UIDs */
  const struct lvn_config_peer *peer;
};

static bool begins_with(const char *url, const char *base) {
  size_t length = strlen(base);
  while (length > 0 && base[length - 1] == '/') {
    length--;
  }
  return length > 0 && strncmp(url, base, length) == 0 && url[length] == '/';
}

/* Credentials go to their own peer alone; a URL of nobody that we know is not asked. */
static void find_peer(const struct lvn_config *config, const json_t *item, struct input *input) {
  char aet[LVN_AET_BYTES] = "";
  const json_t *web = json_array_get(lvn_model_get_items(item, WADO_RS_RETRIEVAL_SEQUENCE), 0);
  const json_t *dimse = json_array_get(lvn_model_get_items(item, DICOM_RETRIEVAL_SEQUENCE), 0);
  (void)lvn_model_get_text(web, RETRIEVE_URL, input->url, sizeof input->url);
  (void)lvn_model_get_text(dimse, RETRIEVE_AE_TITLE, aet, sizeof aet);
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    if (lvn_config_is_dicomweb(peer) && begins_with(input->url, peer->url)) {
      input->peer = peer;
      return;
    }
  }
  input->url[0] = '\0';
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    if (lvn_config_is_dicomweb(peer) && aet[0] != '\0' && strcmp(peer->aet, aet) == 0) {
      input->peer = peer;
      return;
    }
  }
}

static bool read_input(const struct lvn_config *config, const struct lvn_config_peer *manager, const json_t *item,
                       struct input *input, struct lvn_error *err) {
  *input = (struct input){.peer = manager};
  if (!lvn_model_get_text(item, STUDY_INSTANCE_UID, input->study_uid, sizeof input->study_uid) ||
      !lvn_uid_is_valid(input->study_uid)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "an input of the workitem names no study");
  }
  (void)lvn_model_get_text(item, SERIES_INSTANCE_UID, input->series_uid, sizeof input->series_uid);
  find_peer(config, item, input);
  return true;
}

static bool fetch_input(const struct lvn_performer_source *source, struct lvn_intake *intake, const struct input *input,
                        size_t *ret_count, struct lvn_error *err) {
  const struct lvn_config *config = source->config;
  struct lvn_http *http = NULL;
  struct lvn_http_server server = lvn_web_server_of_peer(input->peer, config->connect_seconds, config->dimse_seconds);
  server.is_cancelled = source->is_cancelled;
  server.user_data = source->user_data;
  const struct lvn_wado_limits limits = {.objects = config->max_objects_per_association,
                                         .object_bytes = config->max_object_bytes,
                                         .total_bytes = TOTAL_BYTES_MAX,
                                         .total_seconds = config->total_seconds};
  const struct lvn_wado_handler handler = {
      .user_data = intake, .begin = lvn_intake_begin, .data = lvn_intake_data, .end = lvn_intake_end};
  if (!lvn_http_open(&server, &http, err)) {
    return false;
  }
  bool good = input->url[0] != '\0'
                  ? lvn_wado_retrieve_url(http, input->url, &limits, &handler, ret_count, err)
                  : lvn_wado_retrieve(http, input->study_uid, input->series_uid[0] == '\0' ? NULL : input->series_uid,
                                      NULL, &limits, &handler, ret_count, err);
  lvn_http_close(http);
  return good || lvn_error_prefix(err, "an input cannot be retrieved");
}

bool lvn_performer_fetch(const struct lvn_performer_source *source, const json_t *workitem,
                         char ret_study_uid[LVN_UID_BYTES], size_t *ret_objects, struct lvn_error *err) {
  const struct lvn_config_peer *manager = source->manager;
  const json_t *items = lvn_model_get_items(workitem, INPUT_INFORMATION_SEQUENCE);
  const struct lvn_intake_options options = {.config = source->config,
                                             .spool = source->spool,
                                             .aet = manager->aet[0] != '\0' ? manager->aet : manager->name,
                                             .address = manager->host[0] != '\0' ? manager->host : "0.0.0.0"};
  struct lvn_intake *intake = NULL;
  bool good = true;
  *ret_objects = 0;
  ret_study_uid[0] = '\0';
  if (items == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the workitem names no inputs");
  }
  if (!lvn_intake_open(&options, &intake, err)) {
    return false;
  }
  for (size_t i = 0; good && i < json_array_size(items); i++) {
    struct input input;
    size_t count = 0;
    good = read_input(source->config, manager, json_array_get(items, i), &input, err);
    if (good && ret_study_uid[0] != '\0' && strcmp(ret_study_uid, input.study_uid) != 0) {
      good = lvn_error_set(err, LVN_ERROR_DATA, "the inputs of the workitem are of several studies");
    }
    if (good) {
      (void)lvn_copy(ret_study_uid, LVN_UID_BYTES, input.study_uid);
      good = fetch_input(source, intake, &input, &count, err);
      *ret_objects += count;
    }
  }
  lvn_intake_close(intake);
  return good;
}
