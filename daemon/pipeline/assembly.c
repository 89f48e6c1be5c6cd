#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
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

static bool is_open(const struct lvn_file_names *open_studies, const char *study_uid) {
  for (size_t i = 0; i < open_studies->count; i++) {
    if (strcmp(open_studies->names[i], study_uid) == 0) {
      return true;
    }
  }
  return false;
}

static bool decide(struct lvn_pipeline *pipeline, const struct lvn_index_study *study, int64_t now_ms,
                   struct lvn_error *err) {
  const char *sentence = NULL;
  if (study->ct_series_count == 0 && study->roi_count == 0) {
    sentence = "waiting for CT images and a ROI";
  } else if (study->ct_series_count == 0) {
    sentence = "waiting for CT images: only a ROI was received";
  } else if (study->roi_count == 0) {
    sentence = "waiting for a ROI (RTSTRUCT, SEG or measurement SR) of a lesion";
  }
  if (sentence != NULL) {
    lvn_log(LVN_LOG_INFO, "event=study-waits study=%s ct_series=%lld rois=%lld reason=\"%s\"", study->name,
            (long long)study->ct_series_count, (long long)study->roi_count, sentence);
    return lvn_index_study_wait(pipeline->index, study->study_uid, sentence, err);
  }
  lvn_pipeline_count_stage(pipeline, LVN_STAGE_SETTLE, 1e-3 * (double)(now_ms - study->last_received_ms));
  return lvn_index_study_settle(pipeline->index, study->study_uid, err);
}

static bool settle_studies(struct lvn_pipeline *pipeline, int64_t now_ms, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names open_studies = {0};
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = "collecting", .changed_only = 1};
  if (!lvn_index_list_studies(pipeline->index, &filter, &studies, &count, err)) {
    return false;
  }
  if (count > 0 && !lvn_spool_open_studies(pipeline->spool, &open_studies, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    const struct lvn_index_study *study = &studies[i];
    bool looks_whole = study->ct_series_count >= EARLY_CT_SERIES && study->roi_count > 0;
    int64_t settle_at_ms = study->settle_at_ms;
    if (is_open(&open_studies, study->study_uid)) {
      lvn_pipeline_wake_at(pipeline, now_ms + OPEN_RECHECK_MS); /* the marker's removal wakes us sooner */
      continue;
    }
    if (looks_whole && study->last_received_ms + EARLY_SETTLE_MS < settle_at_ms) {
      settle_at_ms = study->last_received_ms + EARLY_SETTLE_MS;
    }
    if (settle_at_ms > now_ms) {
      lvn_pipeline_wake_at(pipeline, settle_at_ms);
    } else if (!decide(pipeline, study, now_ms, err)) {
      return false;
    }
  }
  return true;
}

static bool create_jobs(struct lvn_pipeline *pipeline, int64_t now_ms, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = "ready"};
  if (!lvn_index_list_studies(pipeline->index, &filter, &studies, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    int64_t job_id = 0;
    if (!pipeline->has_model) { /* the model is part of the job's name: the first worker's greeting tells it */
      if (studies[i].sentence[0] == '\0' &&
          !lvn_index_study_wait(pipeline->index, studies[i].study_uid, "waiting for the analysis worker", err)) {
        return false;
      }
      continue;
    }
    if (!studies[i].has_live_job &&
        !lvn_index_job_create(pipeline->index, studies[i].study_uid, &pipeline->model, now_ms, &job_id, err)) {
      return false;
    }
  }
  return true;
}

void lvn_assembly_turn(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  int64_t now_ms = lvn_clock_wall_ms();
  if (!settle_studies(pipeline, now_ms, &err) || !create_jobs(pipeline, now_ms, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "assembly-failed", &err, "action=retry");
    (void)lvn_copy(pipeline->problem, sizeof pipeline->problem, "studies cannot be assembled; see the log");
    lvn_pipeline_wake_at(pipeline, now_ms + OPEN_RECHECK_MS);
  }
}
