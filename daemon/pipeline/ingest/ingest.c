#include "daemon/pipeline/ingest/ingest.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/describe.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/index_keep.h"

#define BATCH_MAX 128U
#define RETRY_MS 5000
#define HELD_MAX 4096U

struct lvn_ingest {
  struct lvn_ingest_needs needs;
  struct lvn_file_names held_paths; /* in spool/new, which cannot be taken: tried again when held_trouble is over */
  size_t held_capacity;
  struct lvn_trouble held_trouble;
  struct lvn_trouble trouble;
  int64_t due_ms;
  struct lvn_ingest_counts counts;
};

bool lvn_ingest_create(const struct lvn_ingest_needs *needs, struct lvn_ingest **ret_ingest, struct lvn_error *err) {
  struct lvn_ingest *ingest = lvn_alloc(1, sizeof *ingest, err);
  if (ingest == NULL) {
    return false;
  }
  ingest->needs = *needs;
  *ret_ingest = ingest;
  return true;
}

void lvn_ingest_destroy(struct lvn_ingest *ingest) {
  if (ingest != NULL) {
    lvn_file_names_clear(&ingest->held_paths);
    lvn_free(ingest);
  }
}

const char *lvn_ingest_problem(const struct lvn_ingest *ingest) {
  return ingest->held_trouble.text[0] != '\0' ? ingest->held_trouble.text : ingest->trouble.text;
}

struct lvn_ingest_counts lvn_ingest_get_counts(const struct lvn_ingest *ingest) {
  return ingest->counts;
}

static bool is_held(const struct lvn_ingest *ingest, const char *path) {
  for (size_t i = 0; i < ingest->held_paths.count; i++) {
    if (strcmp(ingest->held_paths.names[i], path) == 0) {
      return true;
    }
  }
  return false;
}

/* An object that has to stay in the spool for now: it is left out of the next batches, so that the others go on. */
static void hold(struct lvn_ingest *ingest, const char *path, const struct lvn_error *reason) {
  struct lvn_error err;
  struct lvn_file_names *held = &ingest->held_paths;
  lvn_log_error(LVN_LOG_ERROR, "object-held", reason, "action=retry");
  if (!is_held(ingest, path) &&
      lvn_grow(&held->names, &ingest->held_capacity, held->count, sizeof *held->names, HELD_MAX, &err)) {
    held->names[held->count] = lvn_strdup(path, &err);
    held->count += held->names[held->count] != NULL ? 1 : 0;
  }
  lvn_trouble_set(&ingest->held_trouble, &ingest->due_ms, RETRY_MS, "received objects stay in the spool: %.200s",
                  reason->message);
}

bool lvn_ingest_holds_study(const struct lvn_ingest *ingest, const char *study_uid) {
  for (size_t i = 0; i < ingest->held_paths.count; i++) {
    struct lvn_error ignored; /* of whose study nothing is known: it must not hold up the others */
    struct lvn_reception_record record;
    if (lvn_spool_read_record(ingest->held_paths.names[i], &record, &ignored) &&
        lvn_spool_may_be_of_study(&record, study_uid, /* if_unknown= */ false)) {
      return true;
    }
  }
  return false;
}

static void release_held(struct lvn_ingest *ingest) {
  lvn_file_names_clear(&ingest->held_paths);
  ingest->held_capacity = 0;
}

/* An acknowledged object that cannot be indexed is kept out of the way, never deleted: a person decides. One that the
 * index has stays where it is. False: the reception still waits, and must. */
static bool set_aside(struct lvn_ingest *ingest, const char *path, const struct lvn_error *reason) {
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
       !lvn_index_has_object(ingest->needs.index, sha256, &is_known, &is_current, &err)) ||
      !lvn_spool_set_aside(ingest->needs.spool, path, is_known, &is_lost, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "set-aside-failed", &err, "action=retry");
    hold(ingest, path, &err);
    return false;
  }
  if (is_lost) { /* a power cut took it before it was acknowledged */
    lvn_log(LVN_LOG_WARNING, "event=record-without-object name=%s action=removed", strrchr(path, '/') + 1);
    return true;
  }
  lvn_log_error(LVN_LOG_ERROR, "object-unreadable", reason, "action=set_aside");
  ingest->counts.objects_refused++;
  return true;
}

/* A damaged object was replaced; what was decided with it is decided again. */
static bool note_mending(struct lvn_ingest *ingest, const struct lvn_index_object *object, int64_t settle_at_ms,
                         struct lvn_error *err) {
  const struct lvn_reception_record *record = &object->record;
  char name[LVN_INDEX_STUDY_NAME_BYTES] = "";
  char digest[LVN_SHA256_TEXT_BYTES];
  bool is_known = false;
  bool is_current = false;
  int64_t job_id = 0;
  if (!lvn_index_has_object(ingest->needs.index, record->sha256, &is_known, &is_current, err) ||
      !lvn_index_study_name(ingest->needs.index, record->study_instance_uid, name, err)) {
    return false;
  }
  lvn_sha256_to_text(record->sha256, digest);
  lvn_log(LVN_LOG_WARNING, "event=object-mended study=%s object=%.12s current=%d action=%s", name, digest, is_current,
          is_current ? "study-looked-at-again" : "none");
  if (!is_current) {
    return true;
  }
  return lvn_index_study_mended(ingest->needs.index, record->study_instance_uid, settle_at_ms, &job_id, err) &&
         (job_id == 0 || lvn_jobfile_forget(ingest->needs.config, job_id, err));
}

static void log_addition(const struct lvn_ingest *ingest, const struct lvn_index_object *object,
                         const struct lvn_index_addition *addition) {
  struct lvn_error err;
  char name[LVN_INDEX_STUDY_NAME_BYTES] = "";
  if (!lvn_index_study_name(ingest->needs.index, object->record.study_instance_uid, name, &err)) {
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

enum taking { TAKEN_FIRST, TAKEN_AGAIN, SET_ASIDE, STAYS, FAILED };

static bool read_one(const struct lvn_ingest *ingest, const char *path, struct lvn_index_object *ret_object,
                     char ret_patient_id[LVN_UID_BYTES], char ret_issuer[LVN_UID_BYTES], struct lvn_error *err) {
  struct lvn_reception_record record;
  char object_path[LVN_PATH_BYTES];
  if (!lvn_spool_read_record(path, &record, err) ||
      !lvn_objects_path(ingest->needs.objects, record.sha256, object_path, err)) {
    return false;
  }
  if (!lvn_file_exists(object_path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "object %.12s is not there", strrchr(object_path, '/') + 1);
  }
  return lvn_describe_object(object_path, &record, ret_object, ret_patient_id, ret_issuer, err);
}

static enum taking index_one(struct lvn_ingest *ingest, const char *path, int64_t settle_at_ms, struct lvn_error *err) {
  struct lvn_index_object object = {0};
  struct lvn_index_addition addition = {0};
  char patient_id[LVN_UID_BYTES];
  char issuer[LVN_UID_BYTES];
  struct lvn_error reason;
  if (!read_one(ingest, path, &object, patient_id, issuer, &reason)) {
    if (!lvn_error_is_transient(&reason)) {
      return set_aside(ingest, path, &reason) ? SET_ASIDE : STAYS;
    }
    hold(ingest, path, &reason);
    return STAYS;
  }
  if (!lvn_index_add(ingest->needs.index, &object, settle_at_ms, &addition, err)) {
    return FAILED;
  }
  /* Bytes that were written though the index has them: the stored ones were damaged. */
  bool mends = !object.record.already_stored && !addition.is_new && !addition.is_repeated && !addition.is_own;
  if (mends && !note_mending(ingest, &object, settle_at_ms, err)) {
    return FAILED;
  }
  if (addition.is_new) {
    ingest->counts.objects_stored++;
    ingest->counts.bytes_stored += object.record.byte_count;
  }
  log_addition(ingest, &object, &addition);
  return addition.is_new ? TAKEN_FIRST : TAKEN_AGAIN;
}

/* The index first, then the receptions wait no longer: after a kill in between they are indexed again, which changes
 * nothing. */
static bool take_batch(struct lvn_ingest *ingest, char **paths, size_t count, struct lvn_error *err) {
  int64_t settle_at_ms = lvn_clock_wall_ms() + 1000 * (int64_t)ingest->needs.config->settle_seconds;
  enum taking takings[BATCH_MAX];
  struct lvn_error reason;
  if (!lvn_index_begin(ingest->needs.index, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; good && i < count; i++) {
    takings[i] = index_one(ingest, paths[i], settle_at_ms, err);
    good = takings[i] != FAILED;
  }
  if (!good || !lvn_index_commit(ingest->needs.index, err)) {
    lvn_index_rollback(ingest->needs.index);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    bool is_first = takings[i] == TAKEN_FIRST;
    if ((is_first || takings[i] == TAKEN_AGAIN) &&
        !lvn_spool_finish(ingest->needs.spool, paths[i], is_first, &reason)) {
      hold(ingest, paths[i], &reason);
    }
  }
  return true;
}

/* An object that the index refuses must not hold up the others: each is tried alone. */
static bool take_one_by_one(struct lvn_ingest *ingest, char **paths, size_t count, struct lvn_error *err) {
  for (size_t i = 0; i < count; i++) {
    if (is_held(ingest, paths[i]) || take_batch(ingest, &paths[i], 1, err)) {
      continue;
    }
    if (lvn_error_is_transient(err)) {
      return false;
    }
    (void)set_aside(ingest, paths[i], err); /* or held */
  }
  return true;
}

/* The oldest that are not held, at most BATCH_MAX, at the front of `paths`. */
static size_t choose(const struct lvn_ingest *ingest, struct lvn_file_names *paths) {
  size_t chosen = 0;
  for (size_t i = 0; i < paths->count && chosen < BATCH_MAX; i++) {
    if (!is_held(ingest, paths->names[i])) {
      char *other = paths->names[chosen];
      paths->names[chosen++] = paths->names[i];
      paths->names[i] = other;
    }
  }
  return chosen;
}

static void take_what_waits(struct lvn_ingest *ingest, int64_t now_ms) {
  struct lvn_error err;
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  if (!lvn_trouble_holds(&ingest->held_trouble, &ingest->due_ms)) {
    release_held(ingest);
  }
  if (lvn_trouble_holds(&ingest->trouble, &ingest->due_ms)) {
    return;
  }
  bool good = lvn_spool_list_new(ingest->needs.spool, BATCH_MAX + ingest->held_paths.count, &paths, &err);
  size_t count = good ? choose(ingest, &paths) : 0;
  if (good && (count == 0 || take_batch(ingest, paths.names, count, &err) ||
               (!lvn_error_is_transient(&err) && take_one_by_one(ingest, paths.names, count, &err)))) {
    if (count == BATCH_MAX) {
      lvn_tick_at(&ingest->due_ms, now_ms); /* there may be more */
    }
    return;
  }
  lvn_log_error(LVN_LOG_ERROR, "ingest-failed", &err, "action=retry");
  lvn_trouble_set(&ingest->trouble, &ingest->due_ms, RETRY_MS, "received objects cannot be indexed: %.200s",
                  err.message);
}

int64_t lvn_ingest_tick(struct lvn_ingest *ingest, int64_t now_ms) {
  ingest->due_ms = LVN_TICK_NEVER;
  take_what_waits(ingest, now_ms);
  return ingest->due_ms;
}
