#include "daemon/pipeline/workflow/performer_report.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "dicom/scan/scan.h"
#include "dicom/web/model.h"

void lvn_performer_split_code(const struct lvn_config *config, char ret_value[64], char ret_scheme[64]) {
  size_t length = strcspn(config->workitem_code, "^");
  (void)snprintf(ret_value, 64, "%.*s", (int)length, config->workitem_code);
  (void)lvn_copy(ret_scheme, 64, config->workitem_code[length] == '^' ? config->workitem_code + length + 1 : "");
}

json_t *lvn_performer_report_progress(unsigned percent, const char *description) {
  char text[16];
  json_t *root = json_object();
  json_t *progress = lvn_model_add_item(root, "00741002");
  (void)snprintf(text, sizeof text, "%u", percent);
  if (progress == NULL || !lvn_model_set_text(progress, "00741004", "DS", text) ||
      !lvn_model_set_text(progress, "00741006", "ST", description)) {
    json_decref(root);
    return NULL;
  }
  return root;
}

json_t *lvn_performer_report_cancellation(const char *reason) {
  char now[LVN_TIME_TEXT_BYTES];
  json_t *root = json_object();
  json_t *progress = lvn_model_add_item(root, "00741002");
  json_t *code = progress == NULL ? NULL : lvn_model_add_item(progress, "0074100E");
  lvn_clock_format_dt(lvn_clock_wall_ms(), now);
  if (code == NULL || !lvn_model_set_text(progress, "00404052", "DT", now) ||
      !lvn_model_set_text(progress, "00741238", "LT", reason) ||
      !lvn_model_set_code(code, "110513", "DCM", "Discontinued for unspecified reason")) {
    json_decref(root);
    return NULL;
  }
  return root;
}

/* The item of this series at this destination; a new one where there is none. */
static json_t *find_output(const struct lvn_config *config, json_t *performed, const struct lvn_scan *scan,
                           const char *destination) {
  const struct lvn_config_peer *peer = lvn_config_find_peer(config, destination);
  const json_t *items = lvn_model_get_items(performed, "00404033");
  const bool is_web = peer != NULL && lvn_config_is_dicomweb(peer);
  char url[LVN_CONFIG_TEXT_BYTES + 3 * LVN_UID_BYTES] = "";
  char text[sizeof url];
  (void)snprintf(url, sizeof url, "%s%sstudies/%s/series/%s", is_web ? peer->url : "",
                 is_web && peer->url[strlen(peer->url) - 1] == '/' ? "" : "/", scan->study_instance_uid,
                 scan->series_instance_uid);
  const char *tag = is_web ? "00081190" : "00080054";
  const char *where = is_web ? url : peer != NULL ? peer->aet : destination;
  for (size_t i = 0; i < json_array_size(items); i++) {
    json_t *item = json_array_get(items, i);
    const json_t *from = json_array_get(lvn_model_get_items(item, is_web ? "0040E025" : "0040E021"), 0);
    if (lvn_model_get_text(item, "0020000E", text, sizeof text) && strcmp(text, scan->series_instance_uid) == 0 &&
        lvn_model_get_text(from, tag, text, sizeof text) && strcmp(text, where) == 0) {
      return item;
    }
  }
  json_t *item = lvn_model_add_item(performed, "00404033");
  json_t *from = item == NULL ? NULL : lvn_model_add_item(item, is_web ? "0040E025" : "0040E021");
  return from != NULL && lvn_model_set_text(item, "0040E020", "CS", "DICOM") &&
                 lvn_model_set_text(item, "0020000D", "UI", scan->study_instance_uid) &&
                 lvn_model_set_text(item, "0020000E", "UI", scan->series_instance_uid) &&
                 lvn_model_set_text(from, tag, is_web ? "UR" : "AE", where)
             ? item
             : NULL;
}

static bool add_outputs(const struct lvn_config *config, json_t *performed, const struct lvn_performer_order *order) {
  for (size_t i = 0; i < order->output_count; i++) {
    struct lvn_error ignored;
    struct lvn_scan scan;
    const struct lvn_outbox_row *row = &order->outputs[i];
    if (!lvn_scan_file(row->path, &scan, &ignored)) {
      return false;
    }
    json_t *output = find_output(config, performed, &scan, row->destination);
    json_t *reference = output == NULL ? NULL : lvn_model_add_item(output, "00081199");
    if (reference == NULL || !lvn_model_set_text(reference, "00081150", "UI", scan.sop_class_uid) ||
        !lvn_model_set_text(reference, "00081155", "UI", scan.sop_instance_uid)) {
      return false;
    }
  }
  return order->output_count > 0 || json_object_set_new(performed, "00404033", json_pack("{s:s}", "vr", "SQ")) == 0;
}

json_t *lvn_performer_report_completion(const struct lvn_config *config, const struct lvn_workitem *item,
                                        const struct lvn_performer_order *order) {
  char begin[LVN_TIME_TEXT_BYTES];
  char end[LVN_TIME_TEXT_BYTES];
  char value[64];
  char scheme[64];
  json_t *root = lvn_performer_report_progress(100, "results are stored");
  json_t *performed = root == NULL ? NULL : lvn_model_add_item(root, "00741216");
  json_t *station = performed == NULL ? NULL : lvn_model_add_item(performed, "00404028");
  json_t *code = station == NULL ? NULL : lvn_model_add_item(performed, "00404019");
  lvn_performer_split_code(config, value, scheme);
  lvn_clock_format_dt(item->fetched_ms, begin);
  lvn_clock_format_dt(lvn_clock_wall_ms(), end);
  if (code == NULL || !lvn_model_set_code(station, config->station_name, "99LVN", config->station_name) ||
      !lvn_model_set_code(code, value, scheme, "Classification of liver lesions") ||
      !lvn_model_set_text(performed, "00404050", "DT", begin) ||
      !lvn_model_set_text(performed, "00404051", "DT", end) || !add_outputs(config, performed, order)) {
    json_decref(root);
    return NULL;
  }
  return root;
}
