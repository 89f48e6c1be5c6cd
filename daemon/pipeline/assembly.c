#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/pipeline_internal.h"

/* A study that already looks whole (three CT series and a ROI, nobody adding to it) is not kept waiting for the quiet
 * time of an unfinished one. */
#define EARLY_CT_SERIES 3
#define EARLY_SETTLE_MS 300
#define OPEN_RECHECK_MS 1000

enum lvn_index_role lvn_assembly_role(const char *sop_class_uid) {
  static const struct {
    const char *uid;
    enum lvn_index_role role;
  } roles[] = {
      {"1.2.840.10008.5.1.4.1.1.2", LVN_INDEX_ROLE_CT},      /* CT */
      {"1.2.840.10008.5.1.4.1.1.2.1", LVN_INDEX_ROLE_CT},    /* Enhanced CT */
      {"1.2.840.10008.5.1.4.1.1.2.2", LVN_INDEX_ROLE_CT},    /* Legacy Converted Enhanced CT */
      {"1.2.840.10008.5.1.4.1.1.481.3", LVN_INDEX_ROLE_ROI}, /* RT Structure Set */
      {"1.2.840.10008.5.1.4.1.1.66.4", LVN_INDEX_ROLE_ROI},  /* Segmentation */
      {"1.2.840.10008.5.1.4.1.1.66.7", LVN_INDEX_ROLE_ROI},  /* Label Map Segmentation */
      {"1.2.840.10008.5.1.4.1.1.88.22", LVN_INDEX_ROLE_ROI}, /* Enhanced SR */
      {"1.2.840.10008.5.1.4.1.1.88.33", LVN_INDEX_ROLE_ROI}, /* Comprehensive SR */
      {"1.2.840.10008.5.1.4.1.1.88.34", LVN_INDEX_ROLE_ROI}, /* Comprehensive 3D SR */
      {"1.2.840.10008.5.1.4.1.1.11.1", LVN_INDEX_ROLE_ROI},  /* Grayscale Softcopy Presentation State */
  };
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    if (strcmp(roles[i].uid, sop_class_uid) == 0) {
      return roles[i].role;
    }
  }
  return LVN_INDEX_ROLE_OTHER;
}

static bool find_open_studies(struct lvn_pipeline *pipeline, struct lvn_file_names *open_studies,
                              struct lvn_error *err) {
  size_t unread = 0;
  if (!lvn_spool_find_open_studies(pipeline->spool, open_studies, &unread, err)) {
    return false;
  }
  if (unread > 0) {
    lvn_log_error(LVN_LOG_ERROR, "markers-unreadable", err, "count=%zu action=others-not-held-back", unread);
    lvn_pipeline_report(pipeline, "the list of what an association sends cannot be read: %.180s", err->message);
  }
  return true;
}

static bool decide(struct lvn_pipeline *pipeline, const struct lvn_index_study *study, int64_t now_ms,
                   struct lvn_error *err) {
  const char *status_message = NULL;
  if (study->ct_series_count == 0 && study->roi_count == 0) {
    status_message = "waiting for CT images and a ROI";
  } else if (study->ct_series_count == 0) {
    status_message = "waiting for CT images: only a ROI was received";
  } else if (study->roi_count == 0) {
    status_message = "waiting for a ROI (RTSTRUCT, SEG or measurement SR) of a lesion";
  }
  if (status_message != NULL) {
    lvn_log(LVN_LOG_INFO, "event=study-waits study=%s ct_series=%lld rois=%lld reason=\"%s\"", study->name,
            (long long)study->ct_series_count, (long long)study->roi_count, status_message);
    return lvn_index_study_wait(pipeline->index, study->study_uid, status_message, err);
  }
  lvn_pipeline_count_stage(pipeline, LVN_STAGE_SETTLE, 1e-3 * (double)(now_ms - study->last_received_ms));
  return lvn_index_study_settle(pipeline->index, study->study_uid, err);
}

/* When the study may be looked at. A time beyond any wait is of a clock that was set since, or of a rebuild. */
static int64_t settle_time(const struct lvn_pipeline *pipeline, const struct lvn_index_study *study, int64_t now_ms) {
  bool looks_whole = study->ct_series_count >= EARLY_CT_SERIES && study->roi_count > 0;
  int64_t settle_at_ms = study->settle_at_ms;
  if (looks_whole && study->last_received_ms + EARLY_SETTLE_MS < settle_at_ms) {
    settle_at_ms = study->last_received_ms + EARLY_SETTLE_MS;
  }
  return settle_at_ms > now_ms + 1000 * (int64_t)pipeline->config.settle_seconds ? now_ms : settle_at_ms;
}

/* A study that fails is named, and holds up no other. */
static bool settle_studies(struct lvn_pipeline *pipeline, int64_t now_ms, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names open_studies = {0};
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_COLLECTING, .changed_only = true};
  if (!lvn_index_list_studies(pipeline->index, &filter, &studies, &count, err)) {
    return false;
  }
  if (count > 0 && !find_open_studies(pipeline, &open_studies, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; i < count; i++) {
    const struct lvn_index_study *study = &studies[i];
    int64_t settle_at_ms = settle_time(pipeline, study, now_ms);
    /* Objects of it that were acknowledged and cannot be taken yet: without them the analysis would be of less. */
    if (lvn_spool_is_open_study(&open_studies, study->study_uid) ||
        lvn_ingest_holds_study(pipeline, study->study_uid)) {
      lvn_pipeline_wake_in(pipeline, OPEN_RECHECK_MS); /* the marker's removal wakes us sooner */
    } else if (settle_at_ms > now_ms) {
      lvn_pipeline_wake_in(pipeline, settle_at_ms - now_ms);
    } else if (!decide(pipeline, study, now_ms, err)) {
      good = lvn_error_prefix(err, "study %s", study->name);
    }
  }
  return good;
}

static bool create_jobs(struct lvn_pipeline *pipeline, int64_t now_ms, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_READY};
  if (!lvn_index_list_studies(pipeline->index, &filter, &studies, &count, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; i < count; i++) {
    int64_t job_id = 0;
    bool is_done = true;
    if (!pipeline->has_model) { /* the model is part of the job's name: the first worker's greeting tells it */
      is_done = studies[i].status_message[0] != '\0' ||
                lvn_index_study_wait(pipeline->index, studies[i].study_uid, "waiting for the analysis worker", err);
    } else if (!studies[i].has_live_job) {
      is_done = lvn_queue_create(pipeline->index, studies[i].study_uid, &pipeline->model, now_ms, &job_id, err);
    }
    if (!is_done) {
      good = lvn_error_prefix(err, "study %s", studies[i].name);
    }
  }
  return good;
}

void lvn_assembly_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  struct lvn_error reason;
  int64_t now_ms = lvn_clock_wall_ms();
  if (lvn_pipeline_has_to_wait(pipeline, &pipeline->assembly_trouble)) {
    return;
  }
  bool good = settle_studies(pipeline, now_ms, &err);
  if (!create_jobs(pipeline, now_ms, &reason)) {
    err = reason;
    good = false;
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "assembly-failed", &err, "action=retry");
    lvn_pipeline_fail(pipeline, &pipeline->assembly_trouble, OPEN_RECHECK_MS, "studies cannot be assembled: %.200s",
                      err.message);
  }
}
