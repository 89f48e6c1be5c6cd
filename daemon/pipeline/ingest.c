#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/pipeline_internal.h"
#include "dicom/scan/scan.h"

#define BATCH_MAX 128U
#define RETRY_MS 5000
#define HELD_MAX 4096U

bool lvn_ingest_describe(const char *path, const struct lvn_reception_record *record,
                         struct lvn_index_object *ret_object, char ret_patient_id[LVN_UID_BYTES],
                         char ret_issuer[LVN_UID_BYTES], struct lvn_error *err) {
  struct lvn_scan scan;
  if (!lvn_scan_file(path, &scan, err)) {
    return false;
  }
  *ret_object = (struct lvn_index_object){.record = *record, .role = lvn_assembly_role(record->sop_class_uid)};
  (void)lvn_copy(ret_object->modality, sizeof ret_object->modality, scan.modality);
  (void)lvn_copy(ret_patient_id, LVN_UID_BYTES, scan.patient_id);
  (void)lvn_copy(ret_issuer, LVN_UID_BYTES, scan.issuer_of_patient_id);
  ret_object->patient_id = ret_patient_id;
  ret_object->issuer_of_patient_id = ret_issuer;
  return true;
}

static bool is_held(const struct lvn_pipeline *pipeline, const char *path) {
  for (size_t i = 0; i < pipeline->held_paths.count; i++) {
    if (strcmp(pipeline->held_paths.names[i], path) == 0) {
      return true;
    }
  }
  return false;
}

/* An object that has to stay in the spool for now: it is left out of the next batches, so that the others go on. */
static void hold(struct lvn_pipeline *pipeline, const char *path, const struct lvn_error *reason) {
  struct lvn_error err;
  struct lvn_file_names *held = &pipeline->held_paths;
  lvn_log_error(LVN_LOG_ERROR, "object-held", reason, "action=retry");
  if (!is_held(pipeline, path) &&
      lvn_grow(&held->names, &pipeline->held_capacity, held->count, sizeof *held->names, HELD_MAX, &err)) {
    held->names[held->count] = lvn_strdup(path, &err);
    held->count += held->names[held->count] != NULL ? 1 : 0;
  }
  lvn_pipeline_fail(pipeline, &pipeline->held_trouble, RETRY_MS, "received objects stay in the spool: %.200s",
                    reason->message);
}

bool lvn_ingest_holds_study(const struct lvn_pipeline *pipeline, const char *study_uid) {
  for (size_t i = 0; i < pipeline->held_paths.count; i++) {
    struct lvn_error ignored; /* of whose study nothing is known: it must not hold up the others */
    struct lvn_reception_record record;
    if (lvn_spool_read_record(pipeline->held_paths.names[i], &record, &ignored) &&
        strcmp(record.study_instance_uid, study_uid) == 0) {
      return true;
    }
  }
  return false;
}

static void release_held(struct lvn_pipeline *pipeline) {
  lvn_file_names_clear(&pipeline->held_paths);
  pipeline->held_capacity = 0;
}

/* An acknowledged object that cannot be indexed is kept out of the way, never deleted: a person decides. One that the
 * index has stays where it is. False: the reception still waits, and must. */
static bool set_aside(struct lvn_pipeline *pipeline, const char *path, const struct lvn_error *reason) {
  struct lvn_error err;
  uint8_t sha256[LVN_SHA256_BYTES];
  int64_t sequence = 0;
  bool is_known = false;
  bool is_current = false;
  bool is_lost = false;
  if (!lvn_file_exists(path)) {
    return true;
  }
  if ((lvn_objects_parse_new(strrchr(path, '/') + 1, sha256, &sequence) &&
       !lvn_index_has_object(pipeline->index, sha256, &is_known, &is_current, &err)) ||
      !lvn_spool_set_aside(pipeline->spool, path, is_known, &is_lost, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "set-aside-failed", &err, "action=retry");
    hold(pipeline, path, &err);
    return false;
  }
  if (is_lost) { /* a power cut took it before it was acknowledged */
    lvn_log(LVN_LOG_WARNING, "event=record-without-object name=%s action=removed", strrchr(path, '/') + 1);
    return true;
  }
  lvn_log_error(LVN_LOG_ERROR, "object-unreadable", reason, "action=set_aside");
  pipeline->stats.objects_refused++;
  return true;
}

static void log_addition(const struct lvn_pipeline *pipeline, const struct lvn_index_object *object,
                         const struct lvn_index_addition *addition) {
  struct lvn_error err;
  char name[LVN_INDEX_STUDY_NAME_BYTES] = "";
  if (!lvn_index_study_name(pipeline->index, object->record.study_instance_uid, name, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "no-study-name", &err, "action=ignored");
  }
  bool is_late = addition->is_new && addition->has_superseded && !addition->replaces;
  if (is_late) {
    lvn_log(
        LVN_LOG_WARNING,
        "event=older-version study=%s assoc=%s reason=\"a version of this object that was received later is in use\"",
        name, object->record.association_id);
  }
  lvn_log(addition->patient_conflict ? LVN_LOG_WARNING : LVN_LOG_DEBUG,
          "event=indexed study=%s assoc=%s bytes=%llu new=%d replaces=%d own=%d conflict=%d reopened=%d", name,
          object->record.association_id, (unsigned long long)object->record.byte_count, addition->is_new,
          addition->replaces, addition->is_own, addition->patient_conflict, addition->reopened);
}

enum taking { TAKEN, SET_ASIDE, STAYS, FAILED };

static bool read_one(const struct lvn_pipeline *pipeline, const char *path, struct lvn_index_object *ret_object,
                     char ret_patient_id[LVN_UID_BYTES], char ret_issuer[LVN_UID_BYTES], struct lvn_error *err) {
  struct lvn_reception_record record;
  char object_path[LVN_PATH_BYTES];
  if (!lvn_spool_read_record(path, &record, err) ||
      !lvn_objects_path(pipeline->objects, record.sha256, object_path, err)) {
    return false;
  }
  if (!lvn_file_exists(object_path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "object %.12s is not there", strrchr(object_path, '/') + 1);
  }
  return lvn_ingest_describe(object_path, &record, ret_object, ret_patient_id, ret_issuer, err);
}

static enum taking index_one(struct lvn_pipeline *pipeline, const char *path, int64_t settle_at_ms,
                             struct lvn_error *err) {
  struct lvn_index_object object;
  struct lvn_index_addition addition;
  char patient_id[LVN_UID_BYTES];
  char issuer[LVN_UID_BYTES];
  struct lvn_error reason;
  if (!read_one(pipeline, path, &object, patient_id, issuer, &reason)) {
    if (!lvn_error_is_transient(&reason)) {
      return set_aside(pipeline, path, &reason) ? SET_ASIDE : STAYS;
    }
    hold(pipeline, path, &reason);
    return STAYS;
  }
  if (!lvn_index_add(pipeline->index, &object, settle_at_ms, &addition, err)) {
    return FAILED;
  }
  /* Bytes that were written though the index has them: the stored ones were damaged. */
  bool mends = !object.record.already_stored && !addition.is_new && !addition.is_repeated && !addition.is_own;
  if (mends && !lvn_mending_note(pipeline, &object, settle_at_ms, err)) {
    return FAILED;
  }
  if (addition.is_new) {
    pipeline->stats.objects_stored++;
    pipeline->stats.bytes_stored += object.record.byte_count;
  }
  log_addition(pipeline, &object, &addition);
  return TAKEN;
}

/* The index first, then the receptions wait no longer: after a kill in between they are indexed again, which changes
 * nothing. */
static bool take_batch(struct lvn_pipeline *pipeline, char **paths, size_t count, struct lvn_error *err) {
  int64_t settle_at_ms = lvn_clock_wall_ms() + 1000 * (int64_t)pipeline->config.settle_seconds;
  enum taking takings[BATCH_MAX];
  struct lvn_error reason;
  if (!lvn_index_begin(pipeline->index, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; good && i < count; i++) {
    takings[i] = index_one(pipeline, paths[i], settle_at_ms, err);
    good = takings[i] != FAILED;
  }
  if (!good || !lvn_index_commit(pipeline->index, err)) {
    lvn_index_rollback(pipeline->index);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (takings[i] == TAKEN && !lvn_spool_finish(pipeline->spool, paths[i], &reason)) {
      hold(pipeline, paths[i], &reason);
    }
  }
  return true;
}

/* An object that the index refuses must not hold up the others: each is tried alone. */
static bool take_one_by_one(struct lvn_pipeline *pipeline, char **paths, size_t count, struct lvn_error *err) {
  for (size_t i = 0; i < count; i++) {
    if (is_held(pipeline, paths[i]) || take_batch(pipeline, &paths[i], 1, err)) {
      continue;
    }
    if (lvn_error_is_transient(err)) {
      return false;
    }
    (void)set_aside(pipeline, paths[i], err); /* or held */
  }
  return true;
}

/* The oldest that are not held, at most BATCH_MAX, at the front of `paths`. */
static size_t choose(const struct lvn_pipeline *pipeline, struct lvn_file_names *paths) {
  size_t chosen = 0;
  for (size_t i = 0; i < paths->count && chosen < BATCH_MAX; i++) {
    if (!is_held(pipeline, paths->names[i])) {
      char *other = paths->names[chosen];
      paths->names[chosen++] = paths->names[i];
      paths->names[i] = other;
    }
  }
  return chosen;
}

void lvn_ingest_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  if (!lvn_pipeline_has_to_wait(pipeline, &pipeline->held_trouble)) {
    release_held(pipeline);
  }
  if (lvn_pipeline_has_to_wait(pipeline, &pipeline->ingest_trouble)) {
    return;
  }
  bool good = lvn_spool_list_new(pipeline->spool, BATCH_MAX + pipeline->held_paths.count, &paths, &err);
  size_t count = good ? choose(pipeline, &paths) : 0;
  if (good && (count == 0 || take_batch(pipeline, paths.names, count, &err) ||
               (!lvn_error_is_transient(&err) && take_one_by_one(pipeline, paths.names, count, &err)))) {
    if (count == BATCH_MAX) {
      lvn_pipeline_wake_in(pipeline, 0); /* there may be more */
    }
    return;
  }
  lvn_log_error(LVN_LOG_ERROR, "ingest-failed", &err, "action=retry");
  lvn_pipeline_fail(pipeline, &pipeline->ingest_trouble, RETRY_MS, "received objects cannot be indexed: %.200s",
                    err.message);
}
