/* In a process of its own: one study from files to lesion files of the data set. */
#include "analysis/dataset/build_internal.h"
#include "analysis/dataset/facts.h"
#include "analysis/findings_fill.h"
#include "base/memory.h"
#include "dicom/scan/scan.h"
#include "model/dataset/dataset.h"
#include "model/tensor/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)
#define PADDING_HU (-1000) /* the crop's mark for no measurement */

struct work {
  const struct lvn_build *build;
  const struct lvn_build_task *task;
  int fd;
  const char **paths; /* borrowed from the task */
  size_t path_count;
  struct lvn_case study_case;
  struct lvn_findings findings; /* of the study, once it is open */
};

static void report(const struct work *work, size_t row, const char *reason) {
  struct lvn_error ignored = {0};
  char line[LVN_BUILD_REASON_BYTES + 64];
  int length = reason == NULL ? snprintf(line, sizeof line, "%zu\t+\n", row)
                              : snprintf(line, sizeof line, "%zu\t-\t%.*s\n", row, LVN_BUILD_REASON_BYTES - 1, reason);
  for (int i = 0; i < length - 1; i++) {
    line[i] = line[i] == '\n' || line[i] == '\r' ? ' ' : line[i];
  }
  (void)!lvn_file_write_all(work->fd, line, (size_t)length, "report", &ignored);
}

static void report_all(const struct work *work, const char *reason) {
  for (size_t i = 0; i < work->task->row_count; i++) {
    if (work->build->rows[work->task->rows[i]].state == LVN_BUILD_PENDING) {
      report(work, work->task->rows[i], reason);
    }
  }
}

/* The study's CT objects and the row's own ROI object: another ROI object of the study must not take its place. */
static bool choose_paths(struct work *work, struct lvn_error *err) {
  const struct lvn_file_names *all = &work->task->paths;
  LVN_AUTOFREE struct lvn_scan *scans = lvn_alloc(all->count, sizeof *scans, err);
  const struct lvn_scan *roi = NULL;
  work->paths = lvn_alloc(all->count, sizeof *work->paths, err);
  if (scans == NULL || work->paths == NULL) {
    return false;
  }
  for (size_t i = 0; i < all->count; i++) {
    if (!lvn_scan_file(all->names[i], &scans[i], err)) {
      const char *slash = strrchr(all->names[i], '/');
      if (err->code != LVN_ERROR_DATA) {
        return lvn_error_prefix(err, "'%.100s'", slash == NULL ? all->names[i] : slash + 1);
      }
      scans[i] = (struct lvn_scan){0}; /* no DICOM, or an object that nobody can tell */
      continue;
    }
    if (roi == NULL && strcmp(scans[i].sop_instance_uid, work->task->roi_uid) == 0) {
      roi = &scans[i];
      work->paths[work->path_count++] = all->names[i];
    }
  }
  if (roi == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the study does not hold the ROI object");
  }
  for (size_t i = 0; i < all->count; i++) {
    if (strcmp(scans[i].modality, "CT") == 0 && strcmp(scans[i].study_instance_uid, roi->study_instance_uid) == 0) {
      work->paths[work->path_count++] = all->names[i];
    }
  }
  return work->path_count > 1 ||
         lvn_error_set(err, LVN_ERROR_DATA, "no CT image belongs to the study that the ROI object names");
}

/* ---- what may not go in ---- */

/* Of one phase; low > high when nothing was measured. */
static void find_range(const struct lvn_crop *crop, int phase, int *ret_low, int *ret_high) {
  *ret_low = INT16_MAX;
  *ret_high = INT16_MIN;
  for (size_t s = 0; s < crop->slice_count; s++) {
    const struct lvn_crop_slice *slice = &crop->slices[s];
    const int16_t *hu = phase == LVN_PHASE_DL ? slice->delayed : slice->hounsfield + (size_t)phase * SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) {
      if (hu[i] != PADDING_HU) {
        *ret_low = hu[i] < *ret_low ? hu[i] : *ret_low;
        *ret_high = hu[i] > *ret_high ? hu[i] : *ret_high;
      }
    }
  }
}

/* A phase that shows one value everywhere is no image of a patient. */
static bool check_varies(const struct lvn_crop *crop, struct lvn_error *err) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    int low = 0;
    int high = 0;
    find_range(crop, phase, &low, &high);
    if (low > high) {
      return lvn_error_set(err, LVN_ERROR_DATA, "the %s phase does not show the lesion's place",
                           lvn_phase_long_name((enum lvn_phase)phase));
    }
    if (low == high) {
      return lvn_error_set(err, LVN_ERROR_DATA, "the %s phase is constant: %d HU everywhere",
                           lvn_phase_long_name((enum lvn_phase)phase), low);
    }
  }
  return true;
}

/* The delayed phase may be missing, so it alone is left out where it shows nothing. */
static void drop_empty_delayed(struct lvn_crop *crop) {
  int low = 0;
  int high = 0;
  if (crop->delayed_present) {
    find_range(crop, LVN_PHASE_DL, &low, &high);
    if (low >= high) {
      lvn_crop_drop_delayed(crop);
    }
  }
}

static bool check_aligned(const struct lvn_case_lesion *lesion, struct lvn_error *err) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    if (!lesion->quality[phase].usable) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s phase not aligned: %s", lvn_phase_long_name((enum lvn_phase)phase),
                           lesion->quality[phase].reason);
    }
  }
  return true;
}

static bool choose_lesion(const struct lvn_case *c, const struct lvn_case_row *row, size_t *ret_index,
                          struct lvn_error *err) {
  if (row->lesion == 0 && c->lesion_count > 1) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the ROI object holds %zu lesions: the column 'lesion' must say which",
                         c->lesion_count);
  }
  *ret_index = row->lesion == 0 ? 0 : row->lesion - 1U;
  return *ret_index < c->lesion_count ||
         lvn_error_set(err, LVN_ERROR_DATA, "lesion %u is asked for, but the ROI object holds %zu", row->lesion,
                       c->lesion_count);
}

/* ---- one lesion ---- */

static bool write_entry(const struct work *work, const struct lvn_build_row *row, json_t *entry,
                        struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *file = json_pack("{s:s,s:o}", "fingerprint", work->task->fingerprint, "entry", entry);
  return file == NULL ? lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for an entry")
                      : lvn_build_entry_path(work->build, row, path, err) && lvn_json_write(path, file, err);
}

static bool make_lesion(struct work *work, const struct lvn_build_row *row, struct lvn_error *err) {
  struct lvn_case *c = &work->study_case;
  struct lvn_dataset_lesion lesion = {.lesion_class = row->source->lesion_class, .fold = row->fold};
  json_t *entry = NULL;
  size_t index = 0;
  if (!choose_lesion(c, row->source, &index, err) || !check_varies(&c->lesions[index].crop, err) ||
      !check_aligned(&c->lesions[index], err)) {
    return false;
  }
  const struct lvn_case_lesion *found = &c->lesions[index];
  (void)lvn_copy(lesion.lesion_id, sizeof lesion.lesion_id, row->lesion_id);
  (void)lvn_copy(lesion.patient_key, sizeof lesion.patient_key, row->patient);
  (void)lvn_copy(lesion.subtype, sizeof lesion.subtype, row->source->subtype);
  (void)lvn_copy(lesion.reference_standard, sizeof lesion.reference_standard, row->source->reference_standard);
  lesion.long_axis_mm = found->measure.long_axis_mm;
  lesion.slice_thickness_mm = c->stacks[found->roi->stack_index].stack->slice_thickness_mm;
  LVN_CLEANUP(lvn_json_cleanup) json_t *facts = lvn_dataset_facts(c, &work->findings, index, err);
  /* The entry is written last: it is what says that the lesion is finished. */
  return facts != NULL &&
         lvn_dataset_store(work->build->options->output_folder, &lesion, &found->crop, facts, &entry, err) &&
         write_entry(work, row, entry, err);
}

static void make_lesions(struct work *work) {
  struct lvn_error err = {0};
  for (size_t i = 0; i < work->study_case.lesion_count; i++) {
    drop_empty_delayed(&work->study_case.lesions[i].crop);
  }
  if (!lvn_findings_fill(&work->study_case, LVN_ANALYSIS_DONE, "", &work->findings, &err)) {
    report_all(work, err.message);
    return;
  }
  for (size_t i = 0; i < work->task->row_count; i++) {
    const struct lvn_build_row *row = &work->build->rows[work->task->rows[i]];
    if (row->state == LVN_BUILD_PENDING) {
      report(work, work->task->rows[i], make_lesion(work, row, &err) ? NULL : err.message);
    }
  }
}

static void run(struct work *work) {
  struct lvn_error err = {0};
  enum lvn_analysis_outcome outcome = LVN_ANALYSIS_DONE;
  char status_message[512];
  if (!choose_paths(work, &err)) {
    report_all(work, err.message);
  } else if (!lvn_case_open(work->paths, work->path_count, &work->build->options->analysis, &work->study_case, &outcome,
                            status_message, &err)) {
    report_all(work, err.message);
  } else if (outcome != LVN_ANALYSIS_DONE) {
    report_all(work, status_message);
  } else {
    make_lesions(work);
  }
}

void lvn_build_study(const struct lvn_build *build, const struct lvn_build_task *task, int fd) {
  struct lvn_error err = {0};
  /* Processes share the cores; one thread each also makes the result independent of their number. */
  (void)setenv("OMP_NUM_THREADS", "1", 1);
  struct work *work = lvn_alloc(1, sizeof *work, &err); /* too large for a stack frame */
  if (work != NULL) {
    work->build = build;
    work->task = task;
    work->fd = fd;
    run(work);
    lvn_findings_clear(&work->findings);
    lvn_case_clear(&work->study_case);
    lvn_free(work->paths);
    lvn_free(work);
  }
}
