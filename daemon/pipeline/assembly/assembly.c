#include "daemon/pipeline/assembly/assembly.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

/* A study that already looks whole (three CT series and a ROI, nobody adding to it) is not kept waiting for the quiet
 * time of an unfinished one. */
#define EARLY_CT_SERIES 3
#define EARLY_SETTLE_MS 300
#define OPEN_RECHECK_MS 1000

struct lvn_assembly {
  struct lvn_assembly_needs needs;
  struct lvn_trouble trouble;
  char marker_problem[256]; /* of this tick */
  int64_t due_ms;
  struct lvn_stage stage;
};

bool lvn_assembly_create(const struct lvn_assembly_needs *needs, struct lvn_assembly **ret_assembly,
                         struct lvn_error *err) {
  struct lvn_assembly *assembly = lvn_alloc(1, sizeof *assembly, err);
  if (assembly == NULL) {
    return false;
  }
  assembly->needs = *needs;
  *ret_assembly = assembly;
  return true;
}

void lvn_assembly_destroy(struct lvn_assembly *assembly) {
  lvn_free(assembly);
}

const char *lvn_assembly_problem(const struct lvn_assembly *assembly) {
  return assembly->marker_problem[0] != '\0' ? assembly->marker_problem : assembly->trouble.text;
}

struct lvn_stage lvn_assembly_get_stage(const struct lvn_assembly *assembly) {
  return assembly->stage;
}

static bool find_open_studies(struct lvn_assembly *assembly, struct lvn_file_names *open_studies,
                              struct lvn_error *err) {
  size_t unread = 0;
  if (!lvn_spool_find_open_studies(assembly->needs.spool, open_studies, &unread, err)) {
    return false;
  }
  if (unread > 0) {
    lvn_log_error(LVN_LOG_ERROR, "markers-unreadable", err, "count=%zu action=others-not-held-back", unread);
    (void)snprintf(assembly->marker_problem, sizeof assembly->marker_problem,
                   "the list of what an association sends cannot be read: %.180s", err->message);
  }
  return true;
}

static bool decide(struct lvn_assembly *assembly, const struct lvn_index_study *study, int64_t now_ms,
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
    return lvn_index_study_wait(assembly->needs.index, study->study_uid, status_message, err);
  }
  lvn_stage_count(&assembly->stage, 1e-3 * (double)(now_ms - study->last_received_ms));
  return lvn_index_study_settle(assembly->needs.index, study->study_uid, err);
}

/* When the study may be looked at. A time beyond any wait is of a clock that was set since, or of a rebuild. */
static int64_t settle_time(const struct lvn_assembly *assembly, const struct lvn_index_study *study, int64_t now_ms) {
  bool looks_whole = study->ct_series_count >= EARLY_CT_SERIES && study->roi_count > 0;
  int64_t settle_at_ms = study->settle_at_ms;
  if (looks_whole && study->last_received_ms + EARLY_SETTLE_MS < settle_at_ms) {
    settle_at_ms = study->last_received_ms + EARLY_SETTLE_MS;
  }
  return settle_at_ms > now_ms + 1000 * (int64_t)assembly->needs.config->settle_seconds ? now_ms : settle_at_ms;
}

/* A study that fails is named, and holds up no other. */
static bool settle_studies(struct lvn_assembly *assembly, int64_t now_ms, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names open_studies = {0};
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_COLLECTING, .changed_only = true};
  if (!lvn_index_list_studies(assembly->needs.index, &filter, &studies, &count, err)) {
    return false;
  }
  if (count > 0 && !find_open_studies(assembly, &open_studies, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; i < count; i++) {
    const struct lvn_index_study *study = &studies[i];
    int64_t settle_at_ms = settle_time(assembly, study, now_ms);
    /* Objects of it that were acknowledged and cannot be taken yet: without them the analysis would be of less. */
    if (lvn_spool_is_open_study(&open_studies, study->study_uid) ||
        assembly->needs.holds_study(assembly->needs.user_data, study->study_uid)) {
      lvn_tick_at(&assembly->due_ms, lvn_tick_now_ms() + OPEN_RECHECK_MS); /* the marker's removal wakes us sooner */
    } else if (settle_at_ms > now_ms) {
      lvn_tick_at(&assembly->due_ms, lvn_tick_now_ms() + settle_at_ms - now_ms);
    } else if (!decide(assembly, study, now_ms, err)) {
      good = lvn_error_prefix(err, "study %s", study->name);
    }
  }
  return good;
}

static bool create_jobs(struct lvn_assembly *assembly, int64_t now_ms, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  size_t count = 0;
  const struct lvn_job_model *model = assembly->needs.get_model(assembly->needs.user_data);
  const struct lvn_index_study_filter filter = {.state = LVN_STUDY_READY};
  if (!lvn_index_list_studies(assembly->needs.index, &filter, &studies, &count, err)) {
    return false;
  }
  bool good = true;
  for (size_t i = 0; i < count; i++) {
    int64_t job_id = 0;
    bool is_done = true;
    if (model == NULL) { /* the model is part of the job's name: the first worker's greeting tells it */
      is_done =
          studies[i].status_message[0] != '\0' ||
          lvn_index_study_wait(assembly->needs.index, studies[i].study_uid, "waiting for the analysis worker", err);
    } else if (!studies[i].has_live_job) {
      is_done = lvn_queue_create(assembly->needs.index, studies[i].study_uid, model, now_ms, &job_id, err);
    }
    if (!is_done) {
      good = lvn_error_prefix(err, "study %s", studies[i].name);
    }
  }
  return good;
}

static void assemble(struct lvn_assembly *assembly) {
  struct lvn_error err;
  struct lvn_error reason;
  int64_t now_ms = lvn_clock_wall_ms();
  if (lvn_trouble_holds(&assembly->trouble, &assembly->due_ms)) {
    return;
  }
  bool good = settle_studies(assembly, now_ms, &err);
  if (!create_jobs(assembly, now_ms, &reason)) {
    err = reason;
    good = false;
  }
  if (!good) {
    lvn_log_error(LVN_LOG_ERROR, "assembly-failed", &err, "action=retry");
    lvn_trouble_set(&assembly->trouble, &assembly->due_ms, OPEN_RECHECK_MS, "studies cannot be assembled: %.200s",
                    err.message);
  }
}

int64_t lvn_assembly_tick(struct lvn_assembly *assembly, int64_t now_ms) {
  (void)now_ms;
  assembly->due_ms = LVN_TICK_NEVER;
  assembly->marker_problem[0] = '\0';
  assemble(assembly);
  return assembly->due_ms;
}
