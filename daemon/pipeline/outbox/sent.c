#include "daemon/pipeline/outbox/sent.h"

#include "base/log.h"
#include "base/memory.h"
#include "daemon/audit/transfer.h"
#include "dicom/scan/scan.h"

#include <string.h>

struct item {
  int64_t outbox_id;
  char sop_class_uid[LVN_UID_BYTES];
  char study_uid[LVN_UID_BYTES];
  char patient_id[LVN_UID_BYTES];
  bool is_answered;
};

struct batch {
  char destination[sizeof((struct lvn_config_peer *)0)->name]; /* empty: a free place */
  char aet[LVN_AET_BYTES];
  char host[LVN_CONFIG_TEXT_BYTES];
  struct item *items;
  size_t count;
  size_t open_count;
  struct lvn_audit_transfer *stored;
  struct lvn_audit_transfer *failed;
  char failure[256]; /* the last */
};

struct lvn_sent {
  struct batch batches[LVN_CONFIG_PEERS_MAX];
};

LVN_DEFINE_CLEANUP(lvn_audit_transfer, lvn_audit_transfer_destroy)

bool lvn_sent_create(struct lvn_sent **ret_sent, struct lvn_error *err) {
  *ret_sent = lvn_alloc(1, sizeof **ret_sent, err);
  return *ret_sent != NULL;
}

static void clear(struct batch *batch) {
  lvn_free(batch->items);
  lvn_audit_transfer_destroy(batch->stored);
  lvn_audit_transfer_destroy(batch->failed);
  *batch = (struct batch){0};
}

void lvn_sent_destroy(struct lvn_sent *sent) {
  for (size_t i = 0; sent != NULL && i < LVN_CONFIG_PEERS_MAX; i++) {
    clear(&sent->batches[i]);
  }
  lvn_free(sent);
}

/* NULL: there is none, and all places are taken. `destination` empty: a free place. */
static struct batch *find_batch(struct lvn_sent *sent, const char *destination) {
  for (size_t i = 0; i < LVN_CONFIG_PEERS_MAX; i++) {
    if (strcmp(sent->batches[i].destination, destination) == 0) {
      return &sent->batches[i];
    }
  }
  return NULL;
}

static struct lvn_audit_event event_of(const struct batch *batch, enum lvn_audit_kind kind) {
  return (struct lvn_audit_event){.kind = kind, .peer_aet = batch->aet, .peer_host = batch->host};
}

static bool fill(struct batch *batch, const struct lvn_outbox_row *rows, size_t row_count, struct lvn_error *err) {
  batch->items = lvn_alloc(row_count, sizeof *batch->items, err);
  if (batch->items == NULL || !lvn_audit_transfer_create(&batch->stored, err) ||
      !lvn_audit_transfer_create(&batch->failed, err)) {
    return false;
  }
  for (size_t i = 0; i < row_count; i++) {
    struct lvn_scan scan;
    struct lvn_error ignored;
    struct item *item = &batch->items[batch->count];
    if (rows[i].kind != LVN_OUTBOX_OBJECT || !lvn_scan_file(rows[i].path, &scan, &ignored)) {
      continue;
    }
    item->outbox_id = rows[i].outbox_id;
    (void)lvn_copy(item->sop_class_uid, sizeof item->sop_class_uid, scan.sop_class_uid);
    (void)lvn_copy(item->study_uid, sizeof item->study_uid, scan.study_instance_uid);
    (void)lvn_copy(item->patient_id, sizeof item->patient_id, scan.patient_id);
    batch->count++;
  }
  batch->open_count = batch->count;
  return true;
}

static bool tell_begin(const struct lvn_config *config, const struct batch *batch, struct lvn_error *err) {
  const struct lvn_audit_event event = event_of(batch, LVN_AUDIT_SENDING_BEGUN);
  LVN_CLEANUP(lvn_audit_transfer_cleanup) struct lvn_audit_transfer *all = NULL;
  if (!lvn_audit_transfer_create(&all, err)) {
    return false;
  }
  for (size_t i = 0; i < batch->count; i++) {
    const struct item *item = &batch->items[i];
    if (!lvn_audit_transfer_add(all, item->study_uid, item->patient_id, item->sop_class_uid, err)) {
      return false;
    }
  }
  lvn_audit_transfer_write(all, config, &event);
  return true;
}

void lvn_sent_begin(struct lvn_sent *sent, const struct lvn_config *config, const struct lvn_config_peer *peer,
                    const struct lvn_outbox_row *rows, size_t row_count) {
  struct lvn_error err;
  if (!lvn_config_has_audit(config)) {
    return;
  }
  struct batch *batch = find_batch(sent, peer->name); /* one whose answers never came */
  batch = batch != NULL ? batch : find_batch(sent, "");
  if (batch == NULL) {
    return;
  }
  clear(batch);
  (void)lvn_copy(batch->aet, sizeof batch->aet, peer->aet);
  (void)lvn_copy(batch->host, sizeof batch->host, peer->host);
  if (!fill(batch, rows, row_count, &err) || !tell_begin(config, batch, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "audit-incomplete", &err, "destination=%s", peer->name);
    clear(batch);
  } else if (batch->count > 0) {
    (void)lvn_copy(batch->destination, sizeof batch->destination, peer->name);
  } else {
    clear(batch);
  }
}

static void tell_end(const struct lvn_config *config, const struct batch *batch) {
  struct lvn_audit_event event = event_of(batch, LVN_AUDIT_OBJECTS_SENT);
  lvn_audit_transfer_write(batch->stored, config, &event);
  event.has_failed = true;
  event.description = batch->failure;
  lvn_audit_transfer_write(batch->failed, config, &event);
}

void lvn_sent_answer(struct lvn_sent *sent, const struct lvn_config *config, const char *destination, int64_t outbox_id,
                     bool is_stored, const char *message) {
  struct lvn_error err;
  struct batch *batch = destination[0] != '\0' ? find_batch(sent, destination) : NULL;
  for (size_t i = 0; batch != NULL && i < batch->count; i++) {
    struct item *item = &batch->items[i];
    if (item->outbox_id != outbox_id || item->is_answered) {
      continue;
    }
    item->is_answered = true;
    batch->open_count--;
    if (!lvn_audit_transfer_add(is_stored ? batch->stored : batch->failed, item->study_uid, item->patient_id,
                                item->sop_class_uid, &err)) {
      lvn_log_error(LVN_LOG_ERROR, "audit-incomplete", &err, "destination=%s", destination);
    }
    if (!is_stored) {
      (void)lvn_copy(batch->failure, sizeof batch->failure, message);
    }
    if (batch->open_count == 0) {
      tell_end(config, batch);
      clear(batch);
    }
    return;
  }
}
