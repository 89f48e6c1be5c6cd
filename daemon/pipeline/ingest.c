#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/pipeline/pipeline_internal.h"
#include "dicom/read/scan.h"

#define BATCH_MAX 128U
#define RETRY_MS 5000

bool lvn_ingest_describe(const char *path, const struct lvn_spool_facts *facts, struct lvn_index_object *ret_object,
                         char ret_patient_id[LVN_UID_BYTES], char ret_issuer[LVN_UID_BYTES], struct lvn_error *err) {
  struct lvn_scan scan;
  if (!lvn_scan_file(path, &scan, err)) {
    return false;
  }
  *ret_object = (struct lvn_index_object){.facts = *facts, .role = lvn_assembly_role(facts->sop_class_uid)};
  (void)lvn_copy(ret_object->modality, sizeof ret_object->modality, scan.modality);
  (void)lvn_copy(ret_patient_id, LVN_UID_BYTES, scan.patient_id);
  (void)lvn_copy(ret_issuer, LVN_UID_BYTES, scan.issuer_of_patient_id);
  ret_object->patient_id = ret_patient_id;
  ret_object->issuer_of_patient_id = ret_issuer;
  return true;
}

/* An acknowledged object that cannot be indexed is kept out of the way, never deleted: a person decides. */
static void set_aside(struct lvn_pipeline *pipeline, const char *path, const struct lvn_error *reason) {
  struct lvn_error err;
  char folder[LVN_PATH_BYTES];
  char target[LVN_PATH_BYTES];
  const char *name = strrchr(path, '/');
  pipeline->stats.objects_refused++;
  lvn_log_error(LVN_LOG_ERROR, "object-unreadable", reason, "action=set_aside");
  if (!lvn_path_join(folder, pipeline->config.state_folder, "unreadable", &err) ||
      !lvn_file_make_folder(folder, 0700, &err) || !lvn_path_join(target, folder, name + 1, &err) ||
      (rename(path, target) != 0 && !lvn_error_set_errno(&err, EIO, "cannot rename '%s'", path)) ||
      !lvn_file_sync_folder(folder, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "set-aside-failed", &err, "action=retry");
    pipeline->spool_retry_ms = lvn_clock_wall_ms() + RETRY_MS;
  }
}

static void log_addition(const struct lvn_pipeline *pipeline, const struct lvn_index_object *object,
                         const struct lvn_index_addition *addition) {
  struct lvn_error err;
  char name[LVN_INDEX_STUDY_NAME_BYTES] = "";
  if (!lvn_index_study_name(pipeline->index, object->facts.study_instance_uid, name, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "no-study-name", &err, "action=ignored");
  }
  lvn_log(addition->patient_conflict ? LVN_LOG_WARNING : LVN_LOG_DEBUG,
          "event=indexed study=%s assoc=%s bytes=%llu new=%d replaces=%d own=%d conflict=%d reopened=%d", name,
          object->facts.association_id, (unsigned long long)object->facts.byte_count, addition->is_new,
          addition->replaces, addition->is_own, addition->patient_conflict, addition->reopened);
}

static bool index_one(struct lvn_pipeline *pipeline, const char *path, int64_t settle_at_ms, struct lvn_error *err) {
  struct lvn_index_object object;
  struct lvn_index_addition addition;
  struct lvn_spool_facts facts;
  char patient_id[LVN_UID_BYTES];
  char issuer[LVN_UID_BYTES];
  struct lvn_error reason;
  if (!lvn_spool_read_facts(path, &facts, &reason) ||
      !lvn_ingest_describe(path, &facts, &object, patient_id, issuer, &reason)) {
    if (lvn_error_is_transient(&reason)) {
      *err = reason;
      return false;
    }
    set_aside(pipeline, path, &reason);
    return true;
  }
  bool placed = false;
  if (!lvn_objects_link(pipeline->objects, path, facts.sha256, &placed, err) ||
      !lvn_index_add(pipeline->index, &object, settle_at_ms, &addition, err) ||
      (placed && !addition.is_new && !addition.is_own && !lvn_mending_note(pipeline, &object, settle_at_ms, err))) {
    return false;
  }
  if (addition.is_new) {
    pipeline->stats.objects_stored++;
    pipeline->stats.bytes_stored += facts.byte_count;
  }
  log_addition(pipeline, &object, &addition);
  return true;
}

/* Links first, made durable before the index names them, then the index, then the first names go: a kill at any point
 * leaves the object in spool/new, and doing all of it again is harmless. */
static bool take_batch(struct lvn_pipeline *pipeline, const struct lvn_file_names *paths, struct lvn_error *err) {
  int64_t settle_at_ms = lvn_clock_wall_ms() + 1000 * (int64_t)pipeline->config.settle_seconds;
  if (!lvn_index_begin(pipeline->index, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; good && i < paths->count; i++) {
    good = index_one(pipeline, paths->names[i], settle_at_ms, err);
  }
  if (!good || !lvn_objects_sync(pipeline->objects, err) || !lvn_index_commit(pipeline->index, err)) {
    lvn_index_rollback(pipeline->index);
    return false;
  }
  for (size_t i = 0; i < paths->count; i++) {
    if (!lvn_spool_remove(paths->names[i], err)) {
      return false;
    }
  }
  return true;
}

/* An object that the index refuses must not hold up the others: each is tried alone. */
static bool take_one_by_one(struct lvn_pipeline *pipeline, const struct lvn_file_names *paths, struct lvn_error *err) {
  for (size_t i = 0; i < paths->count; i++) {
    const struct lvn_file_names one = {.names = &paths->names[i], .count = 1};
    if (take_batch(pipeline, &one, err)) {
      continue;
    }
    if (lvn_error_is_transient(err)) {
      return false;
    }
    set_aside(pipeline, paths->names[i], err);
  }
  return true;
}

void lvn_ingest_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  int64_t now_ms = lvn_clock_wall_ms();
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  if (now_ms < pipeline->spool_retry_ms) {
    lvn_pipeline_wake_at(pipeline, pipeline->spool_retry_ms);
    return;
  }
  if (lvn_spool_list_new(pipeline->spool, BATCH_MAX, &paths, &err) &&
      (paths.count == 0 || take_batch(pipeline, &paths, &err) ||
       (!lvn_error_is_transient(&err) && take_one_by_one(pipeline, &paths, &err)))) {
    if (paths.count == BATCH_MAX) {
      lvn_pipeline_wake_at(pipeline, now_ms); /* there may be more */
    }
    return;
  }
  lvn_log_error(LVN_LOG_ERROR, "ingest-failed", &err, "action=retry");
  (void)snprintf(pipeline->problem, sizeof pipeline->problem, "received objects cannot be indexed: %.200s",
                 err.message);
  pipeline->spool_retry_ms = now_ms + RETRY_MS;
  lvn_pipeline_wake_at(pipeline, pipeline->spool_retry_ms);
}
