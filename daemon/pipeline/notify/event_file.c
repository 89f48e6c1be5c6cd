#include "daemon/pipeline/notify/event_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/destinations.h"
#include "dicom/scan/scan.h"
#include "storage/outbox.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define TOLD_DAYS 1 /* a rebuilt index tells again what has a file */
#define GIVEN_UP_DAYS 30
#define FILES_MAX 100000U

/* <state>/events/<name>-<key>@<webhook>.json */
static bool make_path(const struct lvn_event_place *place, const struct lvn_event *event, const char *webhook,
                      char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  char name[LVN_PATH_BYTES];
  int length = snprintf(name, sizeof name, "events/%s-%s@%s.json", event->name, event->key, webhook);
  return ((length > 0 && length < 250) || lvn_error_set(err, LVN_ERROR_INTERNAL, "an event's name is too long")) &&
         lvn_path_join(ret_path, place->config->state_folder, name, err);
}

static bool make_folder(const struct lvn_event_place *place, char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  return lvn_path_join(ret_path, place->config->state_folder, "events", err) &&
         lvn_file_make_folder(ret_path, 0700, err);
}

/* Of one of its objects. That it cannot be read is no reason not to tell the event. */
static void add_identity(const struct lvn_event_place *place, const char *study_uid, json_t *event) {
  struct lvn_error ignored;
  struct lvn_scan scan;
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  (void)json_object_set_new(event, "study_instance_uid", json_string(study_uid));
  if (lvn_index_study_objects(place->index, study_uid, &digests, &count, &ignored) && count > 0 &&
      lvn_objects_path(place->objects, digests, path, &ignored) && lvn_scan_file(path, &scan, &ignored)) {
    /* Raw bytes of any character set: what is no UTF-8 is left out by jansson. */
    (void)json_object_set_new(event, "patient_id", json_string(scan.patient_id));
    (void)json_object_set_new(event, "issuer_of_patient_id", json_string(scan.issuer_of_patient_id));
  }
}

static char *format(const struct lvn_event_place *place, const struct lvn_event *event, bool has_identity) {
  char now[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_utc(lvn_clock_wall_ms(), now);
  LVN_AUTOJSON json_t *root = json_pack("{s:s, s:s, s:s, s:s}", "event", event->name, "time", now, "node",
                                        place->config->ae_title, "message", event->message);
  (void)json_object_set_new(root, "id", json_sprintf("%s-%s", event->name, event->key));
  if (event->study_uid != NULL) {
    (void)json_object_set_new(root, "study", json_string(event->study_name));
  }
  if (event->destination != NULL) {
    (void)json_object_set_new(root, "destination", json_string(event->destination));
  }
  if (event->objects >= 0) {
    (void)json_object_set_new(root, "objects", json_integer((json_int_t)event->objects));
  }
  if (event->study_uid != NULL && has_identity) {
    add_identity(place, event->study_uid, root);
  }
  return root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
}

static bool queue(const struct lvn_event_place *place, const char *path, const char *webhook, struct lvn_error *err) {
  char destination[LVN_DESTINATION_BYTES];
  if (!lvn_copy(destination, sizeof destination, LVN_WEBHOOK_PREFIX) ||
      (size_t)snprintf(destination, sizeof destination, LVN_WEBHOOK_PREFIX "%s", webhook) >= sizeof destination) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "a webhook's name is too long");
  }
  const struct lvn_outbox_event event = {.path = path, .destination = destination, .now_ms = lvn_clock_wall_ms()};
  return lvn_outbox_add_event(place->index, &event, err);
}

static bool tell(const struct lvn_event_place *place, const struct lvn_event *event,
                 const struct lvn_config_webhook *webhook, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!make_folder(place, path, err) || !make_path(place, event, webhook->name, path, err)) {
    return false;
  }
  if (lvn_file_exists(path)) {
    return true;
  }
  char *text = format(place, event, webhook->include_identity);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for an event");
  }
  bool good = lvn_file_replace(path, text, strlen(text), 0600, err) && queue(place, path, webhook->name, err);
  free(text); /* allow: jansson's */
  return good;
}

bool lvn_event_tell(const struct lvn_event_place *place, const struct lvn_event *event, struct lvn_error *err) {
  for (size_t i = 0; i < place->config->webhook_count; i++) {
    const struct lvn_config_webhook *webhook = &place->config->webhooks[i];
    if (lvn_config_wants_event(webhook, event->name) && !tell(place, event, webhook, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_event_queue_files(const struct lvn_event_place *place, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  struct lvn_file_names paths = {0};
  if (!make_folder(place, folder, err) || !lvn_file_walk(folder, FILES_MAX, &paths, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; good && i < paths.count; i++) {
    char webhook[64];
    const char *at = strrchr(paths.names[i], '@');
    const char *end = at == NULL ? NULL : strstr(at, ".json");
    if (end != NULL && end[5] == '\0' && (size_t)(end - at) <= sizeof webhook) {
      (void)snprintf(webhook, sizeof webhook, "%.*s", (int)(end - at - 1), at + 1);
      good = queue(place, paths.names[i], webhook, err);
    } else if (strstr(paths.names[i], ".tmp-") != NULL) {
      (void)unlink(paths.names[i]); /* half of one, left by a kill */
    }
  }
  lvn_file_names_clear(&paths);
  return good;
}

bool lvn_event_remove_old(const struct lvn_event_place *place, struct lvn_error *err) {
  const int64_t now_ms = lvn_clock_wall_ms();
  LVN_AUTOFREE struct lvn_outbox_row *rows = NULL;
  size_t count = 0;
  if (!lvn_outbox_list_old_events(place->index, now_ms - TOLD_DAYS * DAY_MS, now_ms - GIVEN_UP_DAYS * DAY_MS, &rows,
                                  &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (unlink(rows[i].path) != 0 && errno != ENOENT) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", rows[i].path);
    }
    if (!lvn_outbox_remove_event(place->index, rows[i].outbox_id, err)) {
      return false;
    }
  }
  return true;
}

static bool cursor_path(const struct lvn_event_place *place, char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  return make_folder(place, ret_path, err) &&
         lvn_path_join(ret_path, place->config->state_folder, "events/cursor", err);
}

bool lvn_event_read_cursor(const struct lvn_event_place *place, int64_t *ret_event_id, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  *ret_event_id = -1;
  if (!cursor_path(place, path, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return true;
  }
  if (!lvn_file_read(path, 64, &data, &bytes, err)) {
    return false;
  }
  *ret_event_id = (int64_t)strtoull((const char *)data, NULL, 10);
  return true;
}

bool lvn_event_write_cursor(const struct lvn_event_place *place, int64_t event_id, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char text[32];
  int length = snprintf(text, sizeof text, "%" PRId64 "\n", event_id);
  return cursor_path(place, path, err) && lvn_file_replace(path, text, (size_t)length, 0600, err);
}
