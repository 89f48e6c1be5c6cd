#include "daemon/pipeline/rebuild/rebuild.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/retention/removal.h"
#include "daemon/pipeline/shared/describe.h"
#include "daemon/pipeline/shared/destinations.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "daemon/pipeline/shared/sentfile.h"
#include "storage/commitment.h"
#include "storage/restore.h"
#include "storage/spool.h"

#define OBJECTS_MAX (1U << 24)
#define JOB_DIGITS_MAX 18U

struct found_object {
  struct lvn_reception_record record;
};

struct visit {
  struct found_object *objects;
  size_t count;
  size_t capacity;
  size_t unreadable;
};

static bool visit_object(void *user_data, const struct lvn_objects_entry *entry, struct lvn_error *err) {
  struct visit *visit = user_data;
  struct lvn_error reason;
  struct lvn_reception_record record;
  if (entry->record_name == NULL && entry->waits) {
    return true; /* a reception that the index never had: it hears of it from the spool */
  }
  if (entry->record_name == NULL
          ? !lvn_error_set(&reason, LVN_ERROR_DATA, "there is no reception record of '%s'", entry->path)
          : !lvn_spool_record_from_name(entry->record_name, &record, &reason)) {
    lvn_log_error(LVN_LOG_WARNING, "object-without-record", &reason, "action=left-out");
    visit->unreadable++;
    return true;
  }
  if (!lvn_grow(&visit->objects, &visit->capacity, visit->count, sizeof *visit->objects, OBJECTS_MAX, err)) {
    return false;
  }
  memcpy(record.sha256, entry->sha256, LVN_SHA256_BYTES);
  visit->objects[visit->count++].record = record;
  return true;
}

static int compare_objects(const void *left_pointer, const void *right_pointer) {
  const struct lvn_reception_record *left = &((const struct found_object *)left_pointer)->record;
  const struct lvn_reception_record *right = &((const struct found_object *)right_pointer)->record;
  if (left->sequence != right->sequence) {
    return left->sequence < right->sequence ? -1 : 1;
  }
  if (left->received_ms != right->received_ms) {
    return left->received_ms < right->received_ms ? -1 : 1;
  }
  return memcmp(left->sha256, right->sha256, LVN_SHA256_BYTES);
}

static bool add_objects(struct lvn_index *index, const struct lvn_objects *objects, struct visit *visit,
                        const struct lvn_rebuild_watch *watch, struct lvn_rebuild_report *report,
                        struct lvn_error *err) {
  for (size_t i = 0; i < visit->count; i++) {
    const struct lvn_reception_record *record = &visit->objects[i].record;
    struct lvn_index_object object;
    struct lvn_index_addition addition;
    struct lvn_error reason;
    char path[LVN_PATH_BYTES];
    char patient_id[LVN_UID_BYTES];
    char issuer[LVN_UID_BYTES];
    if (watch != NULL) {
      watch->show(watch->context, i, visit->count);
    }
    if (!lvn_objects_path(objects, record->sha256, path, err)) {
      return false;
    }
    if (!lvn_describe_object(path, record, &object, patient_id, issuer, &reason)) {
      lvn_log_error(LVN_LOG_WARNING, "object-unreadable", &reason, "action=left-out");
      report->unreadable++;
      continue;
    }
    if (!lvn_index_add(index, &object, record->received_ms, &addition, err)) {
      return false;
    }
    report->objects++;
  }
  return true;
}

static bool restore_sent(void *user_data, const struct lvn_outbox_sent *sent, struct lvn_error *err) {
  return lvn_index_sent_restore(user_data, sent, err);
}

static bool restore_job(struct lvn_index *index, const struct lvn_config *config, int64_t job_id,
                        struct lvn_rebuild_report *report, struct lvn_error *err) {
  struct lvn_jobfile file = {0};
  bool found = false;
  if (!lvn_jobfile_read(config, job_id, &file, &found, err)) {
    return false;
  }
  if (!found) {
    return true;
  }
  file.job.outcome = file.recorded;
  bool good = lvn_index_job_restore(index, &file.job, err);
  for (size_t i = 0; good && i < file.result_count; i++) {
    good = lvn_index_result_restore(index, job_id, &file.results[i], err);
  }
  good = good && lvn_sentfile_each(config, job_id, restore_sent, index, err);
  report->jobs++;
  report->results += file.result_count;
  lvn_jobfile_clear(&file);
  return good;
}

static bool restore_study(struct lvn_index *index, const struct lvn_config *config, const struct lvn_index_study *study,
                          struct lvn_error *err) {
  struct lvn_jobfile file = {0};
  const char *names[LVN_CONFIG_PEERS_MAX];
  int64_t job_id = 0;
  bool found = false;
  if ((study->is_locked && !lvn_index_restore_release(index, study->study_uid, err)) ||
      !lvn_index_restorable_job(index, study->study_uid, &job_id, err) ||
      (job_id != 0 && !lvn_jobfile_read(config, job_id, &file, &found, err))) {
    return false;
  }
  if (!found || file.outcome == LVN_OUTCOME_NONE) { /* an operator wants it once more, or a result is gone */
    lvn_jobfile_clear(&file);
    return true;
  }
  struct lvn_job_finish finish = {.job_id = job_id,
                                  .outcome = file.outcome,
                                  .status_message = file.status_message,
                                  .results = file.results,
                                  .result_count = file.result_count,
                                  .destinations = names,
                                  .destination_count = file.destination_count,
                                  .goes_to = lvn_destination_takes,
                                  .user_data = config,
                                  .now_ms = file.job.finished_ms};
  for (size_t i = 0; i < file.destination_count; i++) {
    names[i] = file.destinations[i];
  }
  if (!file.has_destinations) {
    finish.destination_count =
        lvn_destinations(config, study->source_aet, study->source_address, names, LVN_CONFIG_PEERS_MAX);
  }
  bool good = lvn_index_study_restore(index, &finish, err);
  lvn_jobfile_clear(&file);
  return good;
}

/* A finished analysis stands: its study is as it left it, whichever model is in use now. */
static bool restore_studies(struct lvn_index *index, const struct lvn_config *config, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.limit = OBJECTS_MAX};
  bool good = lvn_index_list_studies(index, &filter, &studies, &count, err);
  for (size_t i = 0; good && i < count; i++) {
    good = restore_study(index, config, &studies[i], err);
  }
  return good;
}

static bool restore_jobs(struct lvn_index *index, const struct lvn_config *config, struct lvn_rebuild_report *report,
                         struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  char folder[LVN_PATH_BYTES];
  if (!lvn_path_join(folder, config->state_folder, "results", err)) {
    return false;
  }
  if (!lvn_file_exists(folder)) {
    return true;
  }
  if (!lvn_file_list(folder, OBJECTS_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    const char *name = names.names[i];
    size_t length = strlen(name);
    int64_t job_id = 0;
    if (length == 0 || length > JOB_DIGITS_MAX || strspn(name, "0123456789") != length) {
      continue;
    }
    for (size_t k = 0; k < length; k++) {
      job_id = 10 * job_id + (name[k] - '0');
    }
    if (!restore_job(index, config, job_id, report, err)) {
      return false;
    }
  }
  return true;
}

/* What was sent and is not noted as committed is asked for again: to promise a thing twice costs nothing. */
static bool want_commitments(struct lvn_index *index, const struct lvn_config *config, struct lvn_error *err) {
  bool good = true;
  for (size_t i = 0; good && i < config->peer_count; i++) {
    good = !config->peers[i].commitment ||
           lvn_commitment_want(index, config->peers[i].name, true, lvn_clock_wall_ms(), err);
  }
  return good;
}

static bool fill(struct lvn_index *index, const struct lvn_objects *objects, const struct lvn_config *config,
                 const struct lvn_rebuild_watch *watch, struct lvn_rebuild_report *report, struct lvn_error *err) {
  struct visit visit = {0};
  if (!lvn_index_begin(index, err)) {
    return false;
  }
  bool good = lvn_objects_each(objects, visit_object, &visit, err);
  if (good && visit.count > 1) {
    qsort(visit.objects, visit.count, sizeof *visit.objects, compare_objects);
  }
  report->unreadable = visit.unreadable;
  good = good && add_objects(index, objects, &visit, watch, report, err) && restore_jobs(index, config, report, err) &&
         restore_studies(index, config, err) && want_commitments(index, config, err) && lvn_index_commit(index, err);
  if (!good) {
    lvn_index_rollback(index);
  }
  lvn_free(visit.objects);
  return good;
}

bool lvn_rebuild_fill(struct lvn_index *index, const struct lvn_objects *objects, const struct lvn_config *config,
                      struct lvn_rebuild_report *ret_report, struct lvn_error *err) {
  *ret_report = (struct lvn_rebuild_report){0};
  return fill(index, objects, config, NULL, ret_report, err);
}

/* A folder that was restored from a backup is like one after a power cut, or of an earlier release. */
static bool recover(const struct lvn_config *config, struct lvn_error *err) {
  struct lvn_spool *spool = NULL;
  bool good = lvn_spool_open(config->state_folder, &spool, err) && lvn_spool_recover(spool, /* always= */ true, err);
  lvn_spool_close(spool);
  return good;
}

static bool rebuild(struct lvn_index *index, const struct lvn_objects *objects, const struct lvn_config *config,
                    const struct lvn_rebuild_watch *watch, struct lvn_rebuild_report *ret_report,
                    struct lvn_error *err) {
  struct lvn_error ignored;
  struct lvn_rebuild_report report = {0};
  const struct lvn_removal removal = {.config = config, .index = index, .objects = objects};
  if (!recover(config, err) ||
      !lvn_removal_finish_pending(&removal, err)) { /* while an index says what came again since */
    return false;
  }
  if (lvn_index_rebuild_begin(index, err) && fill(index, objects, config, watch, &report, err) &&
      lvn_index_rebuild_commit(index, err)) {
    *ret_report = report;
    return true;
  }
  if (!lvn_index_rebuild_abandon(index, &ignored)) {
    (void)lvn_error_prefix(err, "and the old index could not be opened again (%.200s)", ignored.message);
  }
  return false;
}

bool lvn_rebuild(struct lvn_index *index, const struct lvn_objects *objects, const struct lvn_config *config,
                 struct lvn_rebuild_report *ret_report, struct lvn_error *err) {
  return rebuild(index, objects, config, NULL, ret_report, err);
}

bool lvn_rebuild_offline(const struct lvn_config *config, const struct lvn_rebuild_watch *watch,
                         struct lvn_rebuild_report *ret_report, struct lvn_error *err) {
  struct lvn_index *index = NULL;
  struct lvn_objects *objects = NULL;
  if (!lvn_index_open(config->state_folder, config->job_attempts_max, &index, err)) {
    /* A damaged index is what a rebuild is for; one in use is not. */
    if (err->code != LVN_ERROR_DATA || !lvn_index_set_aside(config->state_folder, err) ||
        !lvn_index_open(config->state_folder, config->job_attempts_max, &index, err)) {
      return false;
    }
  }
  bool good =
      lvn_objects_open(config->state_folder, &objects, err) && rebuild(index, objects, config, watch, ret_report, err);
  lvn_objects_close(objects);
  lvn_index_close(index);
  return good;
}
