#include "daemon/pipeline/notify/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/http/certificate.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/notify/event_file.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/outbox.h"

#define RETRY_MS INT64_C(5000)
#define LOOK_MS INT64_C(15000)
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define CERTIFICATE_DAYS 30
#define DELIVERIES_PER_TICK 100U

struct lvn_notify {
  struct lvn_notify_needs needs;
  struct lvn_event_place place;
  int64_t cursor;       /* in the index's event log; -1: from what comes next on */
  bool is_read;         /* the cursor and the files that wait */
  bool is_disk_low;     /* and told */
  bool is_worker_down;  /* and told */
  int64_t no_worker_ms; /* monotonic: since when; 0: there is one */
  int64_t next_look_ms;
  int64_t next_hour_ms;
  struct lvn_trouble trouble;
  int64_t due_ms;
};

bool lvn_notify_create(const struct lvn_notify_needs *needs, struct lvn_notify **ret_notify, struct lvn_error *err) {
  struct lvn_notify *notify = lvn_alloc(1, sizeof *notify, err);
  if (notify == NULL) {
    return false;
  }
  notify->needs = *needs;
  notify->place = (struct lvn_event_place){.config = needs->config, .index = needs->index, .objects = needs->objects};
  notify->cursor = -1;
  *ret_notify = notify;
  return true;
}

void lvn_notify_destroy(struct lvn_notify *notify) {
  lvn_free(notify);
}

const char *lvn_notify_problem(const struct lvn_notify *notify) {
  return notify->trouble.text;
}

void lvn_notify_forget(struct lvn_notify *notify) {
  notify->cursor = -1;
  notify->is_read = false;
}

/* ---- results ---- */

/* A cursor that is missing, or beyond what the index has, is of another index: what was before is not told. */
static bool read_state(struct lvn_notify *notify, struct lvn_error *err) {
  int64_t last = 0;
  int64_t cursor = notify->cursor;
  if (notify->is_read) {
    return true;
  }
  if (!lvn_event_read_cursor(&notify->place, &cursor, err) || !lvn_event_queue_files(&notify->place, err) ||
      !lvn_index_last_event_id(notify->needs.index, &last, err)) {
    return false;
  }
  notify->cursor = cursor < 0 || cursor > last ? last : cursor;
  notify->is_read = true;
  return notify->cursor == cursor || lvn_event_write_cursor(&notify->place, notify->cursor, err);
}

static bool tell_delivery(const struct lvn_notify *notify, const struct lvn_outbox_delivery *delivery,
                          struct lvn_error *err) {
  char key[200];
  char message[LVN_INDEX_MESSAGE_BYTES + 128];
  if (delivery->pending > 0 || delivery->delivered + delivery->failed == 0) {
    return true; /* more is to come, or it was cancelled */
  }
  (void)snprintf(key, sizeof key, "%" PRId64 "-%s-%" PRId64, delivery->job_id, delivery->destination,
                 delivery->event_id);
  if (delivery->failed == 0) {
    (void)snprintf(message, sizeof message, "%" PRId64 " objects were stored by %s", delivery->delivered,
                   delivery->destination);
  } else {
    (void)snprintf(message, sizeof message, "%" PRId64 " of %" PRId64 " objects could not be delivered to %s: %s",
                   delivery->failed, delivery->failed + delivery->delivered, delivery->destination,
                   delivery->status_message);
  }
  const struct lvn_event event = {.name = delivery->failed == 0 ? "result-sent" : "result-failed",
                                  .key = key,
                                  .study_uid = delivery->study_uid,
                                  .study_name = delivery->study_name,
                                  .destination = delivery->destination,
                                  .objects = delivery->failed == 0 ? delivery->delivered : delivery->failed,
                                  .message = message};
  return lvn_event_tell(&notify->place, &event, err);
}

static bool tell_deliveries(struct lvn_notify *notify, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_outbox_delivery *deliveries = NULL;
  size_t count = 0;
  int64_t last = 0;
  if (!lvn_index_last_event_id(notify->needs.index, &last, err)) {
    return false;
  }
  if (last == notify->cursor) {
    return true;
  }
  if (!lvn_outbox_list_deliveries(notify->needs.index, notify->cursor, last, DELIVERIES_PER_TICK, &deliveries, &count,
                                  err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!tell_delivery(notify, &deliveries[i], err)) {
      return false;
    }
  }
  if (count == DELIVERIES_PER_TICK) {
    last = deliveries[count - 1].event_id;
    lvn_tick_at(&notify->due_ms, lvn_tick_now_ms());
  }
  notify->cursor = last;
  /* Behind the truth after a kill: what is found again has its file. */
  return count == 0 || lvn_event_write_cursor(&notify->place, last, err);
}

/* ---- now and then ---- */

static bool tell_of_waiting(const struct lvn_notify *notify, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_COLLECTING};
  int64_t limit_ms = lvn_clock_wall_ms() - 1000 * (int64_t)notify->needs.config->wait_warning_seconds;
  if (!lvn_index_list_studies(notify->needs.index, &filter, &studies, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    char key[64];
    const struct lvn_index_study *study = &studies[i];
    if (study->last_received_ms > limit_ms || study->last_received_ms <= limit_ms - DAY_MS) {
      continue; /* not yet, or so long that a webhook that is new need not hear of it */
    }
    (void)snprintf(key, sizeof key, "%s-%" PRId64, study->name, study->last_received_ms);
    const struct lvn_event event = {.name = "study-waits",
                                    .key = key,
                                    .study_uid = study->study_uid,
                                    .study_name = study->name,
                                    .objects = study->object_count,
                                    .message = study->status_message};
    if (!lvn_event_tell(&notify->place, &event, err)) {
      return false;
    }
  }
  return true;
}

static bool tell_now(const struct lvn_notify *notify, const char *name, const char *message, struct lvn_error *err) {
  char key[32];
  (void)snprintf(key, sizeof key, "%" PRId64, lvn_clock_wall_ms());
  return lvn_event_tell(&notify->place,
                        &(struct lvn_event){.name = name, .key = key, .objects = -1, .message = message}, err);
}

/* Told anew when there was a twentieth more than the limit in between. */
static bool tell_of_disk(struct lvn_notify *notify, struct lvn_error *err) {
  const uint64_t limit = notify->needs.config->spool_warning_bytes;
  uint64_t free_bytes = 0;
  char message[128];
  if (!lvn_file_free_bytes(notify->needs.config->state_folder, &free_bytes, err)) {
    return false;
  }
  if (free_bytes >= limit) {
    notify->is_disk_low = notify->is_disk_low && free_bytes < limit + limit / 20;
    return true;
  }
  if (notify->is_disk_low) {
    return true;
  }
  (void)snprintf(message, sizeof message, "the disk runs full: %.1f GiB are free", (double)free_bytes / 1073741824.0);
  notify->is_disk_low = tell_now(notify, "disk-low", message, err);
  return notify->is_disk_low;
}

static bool tell_of_worker(struct lvn_notify *notify, int64_t now_ms, struct lvn_error *err) {
  if (notify->needs.count_workers(notify->needs.user_data) > 0) {
    notify->no_worker_ms = 0;
    notify->is_worker_down = false;
    return true;
  }
  if (notify->no_worker_ms == 0) {
    notify->no_worker_ms = now_ms;
  }
  if (notify->is_worker_down || now_ms - notify->no_worker_ms < MINUTE_MS) {
    return true;
  }
  notify->is_worker_down = tell_now(notify, "worker-down", "no analysis worker is connected: studies wait", err);
  return notify->is_worker_down;
}

/* ---- once an hour ---- */

/* Once for each certificate and end. */
static bool tell_of_certificate(const struct lvn_notify *notify, const char *section, const char *name,
                                const char *path, struct lvn_error *err) {
  struct lvn_error reason;
  int64_t end_ms = 0;
  char key[128];
  char message[256];
  char end[LVN_TIME_TEXT_BYTES];
  if (path[0] == '\0') {
    return true;
  }
  if (!lvn_certificate_get_end(path, &end_ms, &reason)) {
    lvn_log_error(LVN_LOG_WARNING, "certificate-unreadable", &reason, "%s=%s", section, name);
    return true; /* sending says so, too */
  }
  if (end_ms - lvn_clock_wall_ms() > CERTIFICATE_DAYS * DAY_MS) {
    return true;
  }
  lvn_clock_format_utc(end_ms, end);
  lvn_log(LVN_LOG_WARNING, "event=certificate-ends %s=%s end=%s", section, name, end);
  (void)snprintf(key, sizeof key, "%s-%s-%" PRId64, section, name, end_ms / 1000);
  (void)snprintf(message, sizeof message, "this node's certificate for %s %s ends at %s", section, name, end);
  const struct lvn_event event = {.name = "certificate-ends", .key = key, .objects = -1, .message = message};
  return lvn_event_tell(&notify->place, &event, err);
}

static bool tell_of_certificates(const struct lvn_notify *notify, struct lvn_error *err) {
  const struct lvn_config *config = notify->needs.config;
  bool good = tell_of_certificate(notify, "DICOM", "TLS", config->certificate, err);
  for (size_t i = 0; good && i < config->peer_count; i++) {
    good = tell_of_certificate(notify, "peer", config->peers[i].name, config->peers[i].https_certificate, err);
  }
  for (size_t i = 0; good && i < config->webhook_count; i++) {
    good = tell_of_certificate(notify, "webhook", config->webhooks[i].name, config->webhooks[i].https_certificate, err);
  }
  return good;
}

static bool tell_all(struct lvn_notify *notify, int64_t now_ms, struct lvn_error *err) {
  if (!read_state(notify, err) || !tell_deliveries(notify, err)) {
    return false;
  }
  if (now_ms >= notify->next_look_ms) {
    if (!tell_of_waiting(notify, err) || !tell_of_disk(notify, err) || !tell_of_worker(notify, now_ms, err)) {
      return false;
    }
    notify->next_look_ms = now_ms + LOOK_MS;
  }
  if (now_ms >= notify->next_hour_ms) {
    if (!tell_of_certificates(notify, err) || !lvn_event_remove_old(&notify->place, err)) {
      return false;
    }
    notify->next_hour_ms = now_ms + HOUR_MS;
  }
  return true;
}

int64_t lvn_notify_tick(struct lvn_notify *notify, int64_t now_ms) {
  struct lvn_error err = {0};
  notify->due_ms = LVN_TICK_NEVER;
  if (notify->needs.config->webhook_count == 0) {
    notify->is_read = false; /* what happens meanwhile is told to nobody */
    if (notify->cursor >= 0 && lvn_event_write_cursor(&notify->place, INT64_MAX, &err)) {
      notify->cursor = -1;
    }
    return LVN_TICK_NEVER;
  }
  if (lvn_trouble_holds(&notify->trouble, &notify->due_ms)) {
    return notify->due_ms;
  }
  if (!tell_all(notify, now_ms, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "events-not-told", &err, "action=retry");
    lvn_trouble_set(&notify->trouble, &notify->due_ms, RETRY_MS, "events cannot be told: %.200s", err.message);
  }
  lvn_tick_at(&notify->due_ms, notify->next_look_ms);
  return notify->due_ms;
}
