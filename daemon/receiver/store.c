#include "daemon/receiver/store.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/audit/transfer.h"
#include "daemon/receiver/caller.h"
#include "dicom/scan/meta.h"
#include "dicom/scan/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUOTED_BYTES 300

struct lvn_store {
  struct lvn_store_options options;
  const struct lvn_tls_call *tls_call;
  const struct lvn_config_peer *peer; /* NULL until admitted */
  bool is_rejected;                   /* which has its log line */
  struct lvn_spool_marker *marker;
  struct lvn_store_counts counts;
  struct lvn_audit_transfer *transfer; /* NULL: there is no audit */
  char association_id[33];
  char calling_aet[17];
  char address[64];
  /* The object being received. */
  struct lvn_spool_writer *writer;
  bool is_discarded; /* of a class that is accepted and not kept */
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  bool is_failed;
  struct lvn_error failure; /* the first failed write */
  char refusal[65];         /* why the last object was refused, as the peer may hear it */
};

LVN_DEFINE_CLEANUP(lvn_store, lvn_store_destroy)

bool lvn_store_create(const struct lvn_store_options *options, struct lvn_store **ret_store, struct lvn_error *err) {
  uint8_t random[16];
  LVN_CLEANUP(lvn_store_cleanup) struct lvn_store *store = lvn_alloc(1, sizeof *store, err);
  if (store == NULL || !lvn_file_random(random, sizeof random, err)) {
    return false;
  }
  store->options = *options;
  if (lvn_config_has_audit(options->config) && !lvn_audit_transfer_create(&store->transfer, err)) {
    return false;
  }
  for (size_t i = 0; i < sizeof random; i++) {
    (void)snprintf(store->association_id + 2 * i, 3, "%02x", random[i]);
  }
  *ret_store = lvn_steal(&store);
  return true;
}

void lvn_store_destroy(struct lvn_store *store) {
  if (store != NULL) {
    lvn_spool_abandon(store->writer);
    lvn_spool_marker_destroy(store->marker);
    lvn_audit_transfer_destroy(store->transfer);
    lvn_free(store);
  }
}

const struct lvn_config_peer *lvn_store_get_peer(const struct lvn_store *store) {
  return store->peer;
}

const char *lvn_store_get_association_id(const struct lvn_store *store) {
  return store->association_id;
}

void lvn_store_get_counts(const struct lvn_store *store, struct lvn_store_counts *ret_counts) {
  *ret_counts = store->counts;
}

/* Blanks at the ends of an AE title carry no meaning (PS3.5 6.2). */
static bool is_same_aet(const char *ours, const char *called) {
  called += strspn(called, " ");
  size_t length = strlen(called);
  while (length > 0 && called[length - 1] == ' ') {
    length--;
  }
  return strlen(ours) == length && memcmp(ours, called, length) == 0;
}

/* Unknown counts as too little: an acknowledgement needs a disk that answers. */
static bool has_free_bytes(const struct lvn_store *store, uint64_t wanted) {
  struct lvn_error err;
  uint64_t free_bytes = 0;
  if (!lvn_file_free_bytes(store->options.config->state_folder, &free_bytes, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "free-space-unknown", &err, "assoc=%s", store->association_id);
    return false;
  }
  return free_bytes >= wanted;
}

static enum lvn_admission reject(struct lvn_store *store, const struct lvn_association_peer *caller,
                                 enum lvn_admission admission, const char *reason) {
  char aet[QUOTED_BYTES];
  char address[QUOTED_BYTES];
  store->is_rejected = true;
  lvn_log(LVN_LOG_WARNING, "event=association-rejected assoc=%s calling=%s address=%s reason=\"%s\"",
          store->association_id, lvn_log_quote(aet, sizeof aet, caller->calling_aet),
          lvn_log_quote(address, sizeof address, caller->address), reason);
  if (admission != LVN_REJECT_BUSY) { /* a shortage is no matter of security */
    lvn_audit_write(store->options.config, &(struct lvn_audit_event){.kind = LVN_AUDIT_CALLER_REFUSED,
                                                                     .has_failed = true,
                                                                     .description = reason,
                                                                     .peer_aet = caller->calling_aet,
                                                                     .peer_host = caller->address,
                                                                     .subject = caller->address});
  }
  return admission;
}

void lvn_store_set_tls_call(struct lvn_store *store, const struct lvn_tls_call *call) {
  store->tls_call = call;
}

/* Of the certificate that this connection is encrypted with; NULL: it is not. */
static const struct lvn_tls_identity *find_identity(const struct lvn_store *store) {
  const bool is_encrypted = store->tls_call != NULL && lvn_tls_call_is_encrypted(store->tls_call);
  return is_encrypted ? lvn_tls_call_get_identity(store->tls_call) : NULL;
}

enum lvn_admission lvn_store_admit(void *user_data, const struct lvn_association_peer *caller) {
  struct lvn_store *store = user_data;
  struct lvn_error err;
  const struct lvn_config *config = store->options.config;
  const struct lvn_config_peer *peer = lvn_config_admit(config, caller->calling_aet, caller->address);
  if (peer == NULL) {
    return reject(store, caller, LVN_REJECT_CALLING_AET, "no peer with this AE title may send from this address");
  }
  const char *refusal = lvn_caller_refuse(config, peer, find_identity(store));
  if (refusal != NULL) {
    return reject(store, caller, LVN_REJECT_CALLING_AET, refusal);
  }
  if (config->check_called_aet && !is_same_aet(config->ae_title, caller->called_aet)) {
    return reject(store, caller, LVN_REJECT_CALLED_AET, "it called another AE title");
  }
  if (store->options.is_over_limit) {
    return reject(store, caller, LVN_REJECT_BUSY, "too many associations");
  }
  if (!has_free_bytes(store, config->spool_low_water_bytes)) {
    return reject(store, caller, LVN_REJECT_BUSY, "less disk space than spool_low_water_bytes");
  }
  if (!lvn_slots_admit(store->options.slots, store->options.slot, peer->name, peer->max_associations)) {
    return reject(store, caller, LVN_REJECT_BUSY, "too many associations of this peer");
  }
  if (!lvn_spool_marker_create(store->options.spool, store->association_id, &store->marker, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "marker-failed", &err, "assoc=%s", store->association_id);
    return reject(store, caller, LVN_REJECT_BUSY, "the spool cannot be written");
  }
  store->peer = peer;
  (void)lvn_copy(store->calling_aet, sizeof store->calling_aet, peer->aet);
  (void)lvn_copy(store->address, sizeof store->address, caller->address);
  lvn_log(LVN_LOG_INFO, "event=association-opened assoc=%s peer=%s address=%s tls=%s", store->association_id,
          peer->name, store->address, find_identity(store) != NULL ? "yes" : "no");
  return LVN_ADMIT;
}

bool lvn_store_admit_own(struct lvn_store *store, const struct lvn_config_peer *peer, const char *address,
                         struct lvn_error *err) {
  if (!has_free_bytes(store, store->options.config->spool_low_water_bytes)) {
    return lvn_error_set(err, LVN_ERROR_IO, "less disk space than spool_low_water_bytes");
  }
  if (!lvn_spool_marker_create(store->options.spool, store->association_id, &store->marker, err)) {
    return false;
  }
  store->peer = peer;
  (void)lvn_copy(store->calling_aet, sizeof store->calling_aet, peer->aet);
  (void)lvn_copy(store->address, sizeof store->address, address);
  return true;
}

/* Without the file's path, which is nobody else's concern. */
static const char *explain(void *user_data) {
  const struct lvn_store *store = user_data;
  return store->refusal;
}

static uint16_t refuse(struct lvn_store *store, uint16_t status, const char *reason) {
  char quoted[QUOTED_BYTES];
  const char *path_end = reason[0] == '/' ? strstr(reason, ": ") : NULL;
  (void)lvn_copy(store->refusal, sizeof store->refusal, path_end != NULL ? path_end + 2 : reason);
  store->counts.refused++;
  lvn_log(LVN_LOG_WARNING, "event=object-refused assoc=%s peer=%s status=0x%04x reason=%s", store->association_id,
          store->peer != NULL ? store->peer->name : "", status, lvn_log_quote(quoted, sizeof quoted, reason));
  return status;
}

static uint16_t begin(void *user_data, const struct lvn_storage_object *object) {
  struct lvn_store *store = user_data;
  struct lvn_error err;
  uint8_t header[LVN_META_BYTES_MAX];
  size_t header_bytes = 0;
  lvn_spool_abandon(lvn_steal(&store->writer));
  store->is_failed = false;
  store->is_discarded =
      !lvn_storage_uses_class(object->sop_class_uid) && strcmp(store->options.config->other_objects, "discard") == 0;
  if (store->is_discarded) {
    return LVN_STORE_SUCCESS;
  }
  if (!lvn_meta_format(object->sop_class_uid, object->sop_instance_uid, object->transfer_syntax_uid, header,
                       &header_bytes, &err)) {
    return refuse(store, LVN_STORE_CANNOT_UNDERSTAND, err.message);
  }
  if (!has_free_bytes(store, store->options.config->spool_reserve_bytes)) {
    return refuse(store, LVN_STORE_OUT_OF_RESOURCES, "less disk space than spool_reserve_bytes");
  }
  if (!lvn_spool_begin(store->options.spool, &store->writer, &err)) {
    return refuse(store, LVN_STORE_OUT_OF_RESOURCES, err.message);
  }
  if (!lvn_spool_write(store->writer, header, header_bytes, &err)) {
    lvn_spool_abandon(lvn_steal(&store->writer));
    return refuse(store, LVN_STORE_OUT_OF_RESOURCES, err.message);
  }
  (void)lvn_copy(store->sop_class_uid, sizeof store->sop_class_uid, object->sop_class_uid);
  (void)lvn_copy(store->sop_instance_uid, sizeof store->sop_instance_uid, object->sop_instance_uid);
  (void)lvn_copy(store->transfer_syntax_uid, sizeof store->transfer_syntax_uid, object->transfer_syntax_uid);
  return LVN_STORE_SUCCESS;
}

static void data(void *user_data, const void *bytes, size_t count) {
  struct lvn_store *store = user_data;
  if (store->writer != NULL && !store->is_failed) {
    store->is_failed = !lvn_spool_write(store->writer, bytes, count, &store->failure);
  }
}

/* What failed on our side is a shortage, so that the peer tries again later (PS3.4 table B.2-1). */
static uint16_t commit(struct lvn_store *store, const struct lvn_scan *scan) {
  struct lvn_error err;
  struct lvn_reception_record record = {.received_ms = lvn_clock_wall_ms()};
  (void)lvn_copy(record.sop_class_uid, sizeof record.sop_class_uid, scan->sop_class_uid);
  (void)lvn_copy(record.sop_instance_uid, sizeof record.sop_instance_uid, scan->sop_instance_uid);
  (void)lvn_copy(record.transfer_syntax_uid, sizeof record.transfer_syntax_uid, store->transfer_syntax_uid);
  (void)lvn_copy(record.study_instance_uid, sizeof record.study_instance_uid, scan->study_instance_uid);
  (void)lvn_copy(record.series_instance_uid, sizeof record.series_instance_uid, scan->series_instance_uid);
  (void)lvn_copy(record.calling_aet, sizeof record.calling_aet, store->calling_aet);
  (void)lvn_copy(record.address, sizeof record.address, store->address);
  (void)lvn_copy(record.association_id, sizeof record.association_id, store->association_id);
  /* Named before it exists: the pipeline never sees an object of a study that it takes for quiet. */
  if (!lvn_spool_marker_add_study(store->marker, scan->study_instance_uid, &err) ||
      !lvn_spool_commit(lvn_steal(&store->writer), &record, &err)) {
    lvn_spool_abandon(lvn_steal(&store->writer));
    return refuse(store, LVN_STORE_OUT_OF_RESOURCES, err.message);
  }
  if (store->transfer != NULL &&
      !lvn_audit_transfer_add(store->transfer, scan->study_instance_uid, scan->patient_id, scan->sop_class_uid, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "audit-incomplete", &err, "assoc=%s", store->association_id);
  }
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(record.sha256, digest);
  store->counts.stored++;
  store->counts.duplicate += record.already_stored;
  store->counts.bytes += record.byte_count;
  lvn_log(LVN_LOG_DEBUG, "event=stored assoc=%s object=%.12s bytes=%" PRIu64 " duplicate=%s", store->association_id,
          digest, record.byte_count, record.already_stored ? "yes" : "no");
  return LVN_STORE_SUCCESS;
}

/* Nothing was answered: there is nobody to hear it. */
static uint16_t cut_off(struct lvn_store *store) {
  store->counts.refused++;
  lvn_log(LVN_LOG_WARNING, "event=object-cut-off assoc=%s peer=%s action=removed", store->association_id,
          store->peer != NULL ? store->peer->name : "");
  return LVN_STORE_CANNOT_UNDERSTAND;
}

static uint16_t end_whole(struct lvn_store *store) {
  struct lvn_error err;
  struct lvn_scan scan;
  if (store->is_failed) {
    return refuse(store, LVN_STORE_OUT_OF_RESOURCES, store->failure.message);
  }
  if (!lvn_scan_file(lvn_spool_writer_get_path(store->writer), &scan, &err)) {
    return refuse(store, err.code == LVN_ERROR_DATA ? LVN_STORE_CANNOT_UNDERSTAND : LVN_STORE_OUT_OF_RESOURCES,
                  err.message);
  }
  if (strcmp(scan.sop_class_uid, store->sop_class_uid) != 0 ||
      strcmp(scan.sop_instance_uid, store->sop_instance_uid) != 0) {
    return refuse(store, LVN_STORE_DATASET_MISMATCH, "class or instance UID differ between command and data set");
  }
  if (scan.problem[0] != '\0') {
    char quoted[QUOTED_BYTES];
    lvn_log(LVN_LOG_WARNING, "event=object-not-readable assoc=%s peer=%s action=stored reason=%s",
            store->association_id, store->peer != NULL ? store->peer->name : "",
            lvn_log_quote(quoted, sizeof quoted, scan.problem));
  }
  return commit(store, &scan);
}

static uint16_t end(void *user_data, enum lvn_storage_end how) {
  struct lvn_store *store = user_data;
  uint16_t status = LVN_STORE_CANNOT_UNDERSTAND;
  if (store->is_discarded && how == LVN_END_WHOLE) {
    store->counts.discarded++;
    return LVN_STORE_SUCCESS;
  }
  if (store->writer == NULL && !store->is_discarded) {
    return refuse(store, LVN_STORE_OUT_OF_RESOURCES, "no object was begun");
  }
  switch (how) {
  case LVN_END_WHOLE:
    status = end_whole(store);
    break;
  case LVN_END_CUT_OFF:
    status = cut_off(store);
    break;
  case LVN_END_TOO_LARGE:
    status = refuse(store, LVN_STORE_OUT_OF_RESOURCES, "larger than max_object_bytes");
    break;
  case LVN_END_OTHER_CLASS:
    status = refuse(store, LVN_STORE_DATASET_MISMATCH, "of another SOP class than its presentation context");
    break;
  }
  lvn_spool_abandon(lvn_steal(&store->writer)); /* NULL after a commit */
  return status;
}

/* One line, however many objects follow. */
static void limit_reached(void *user_data) {
  struct lvn_store *store = user_data;
  lvn_log(LVN_LOG_WARNING,
          "event=object-limit assoc=%s peer=%s limit=%" PRIu32
          " status=0x%04x reason=\"more objects than max_objects_per_association\"",
          store->association_id, store->peer != NULL ? store->peer->name : "",
          store->options.config->max_objects_per_association, (unsigned)LVN_STORE_OUT_OF_RESOURCES);
}

void lvn_store_get_handler(struct lvn_store *store, struct lvn_storage_handler *ret_handler) {
  *ret_handler = (struct lvn_storage_handler){
      .user_data = store, .begin = begin, .data = data, .end = end, .limit_reached = limit_reached, .explain = explain};
}

void lvn_store_log_end(const struct lvn_store *store, const char *address, double seconds, bool good,
                       const struct lvn_error *err) {
  char reason[sizeof err->message + 64];
  const char *text = good ? "\"released\"" : lvn_log_quote(reason, sizeof reason, err->message);
  if (store->transfer != NULL) {
    const struct lvn_audit_event event = {.kind = LVN_AUDIT_OBJECTS_RECEIVED,
                                          .has_failed = !good,
                                          .description = good ? NULL : err->message,
                                          .peer_aet = store->calling_aet,
                                          .peer_host = store->address};
    lvn_audit_transfer_write(store->transfer, store->options.config, &event);
  }
  if (store->peer != NULL) {
    lvn_log(LVN_LOG_INFO,
            "event=association-closed assoc=%s peer=%s stored=%" PRIu32 " duplicate=%" PRIu32 " discarded=%" PRIu32
            " refused=%" PRIu32 " bytes=%" PRIu64 " seconds=%.3f reason=%s",
            store->association_id, store->peer->name, store->counts.stored, store->counts.duplicate,
            store->counts.discarded, store->counts.refused, store->counts.bytes, seconds, text);
  } else if (!store->is_rejected) {
    lvn_log(LVN_LOG_INFO, "event=connection-closed assoc=%s address=%s seconds=%.3f reason=%s", store->association_id,
            address, seconds, text);
  }
}
