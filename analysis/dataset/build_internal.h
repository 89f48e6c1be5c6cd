/* What the parts of the builder share. */
#ifndef LVN_ANALYSIS_DATASET_BUILD_INTERNAL_H
#define LVN_ANALYSIS_DATASET_BUILD_INTERNAL_H

#include "analysis/dataset/build.h"
#include "analysis/dataset/cases.h"
#include "analysis/dataset/pseudonym.h"

#include <jansson.h>

enum lvn_build_state { LVN_BUILD_PENDING, LVN_BUILD_MADE, LVN_BUILD_KEPT, LVN_BUILD_LEFT_OUT };

struct lvn_build_row {
  const struct lvn_case_row *source; /* borrowed */
  char lesion_id[LVN_PSEUDONYM_BYTES];
  char patient[LVN_PSEUDONYM_BYTES];
  unsigned fold;
  enum lvn_build_state state;
  char reason[LVN_BUILD_REASON_BYTES]; /* when left out */
};

/* Rows that share a study and a ROI object: read once. */
struct lvn_build_task {
  size_t *rows; /* indices; owned */
  size_t row_count;
  struct lvn_file_names paths; /* of the study and of the ROI object; filled while the task is under way */
  char roi_uid[LVN_UID_BYTES];
  char fingerprint[LVN_SHA256_TEXT_BYTES]; /* of files, options and program */
};

struct lvn_build {
  const struct lvn_build_options *options;
  struct lvn_cases cases;
  struct lvn_pseudonym_key key;
  char cases_folder[LVN_PATH_BYTES];
  char work_folder[LVN_PATH_BYTES]; /* OUTPUT/building */
  struct lvn_build_row *rows;       /* as many as cases */
  struct lvn_build_task *tasks;
  size_t task_count;
  double started_seconds;
  size_t done;
  size_t left_out;
};

/* build_task.c: where a task's files lie and whether a finished lesion is still good. False with the reason. */
LVN_MUST_CHECK bool lvn_build_find_files(const struct lvn_build *build, struct lvn_build_task *task,
                                         struct lvn_error *err);
LVN_MUST_CHECK bool lvn_build_entry_path(const struct lvn_build *build, const struct lvn_build_row *row,
                                         char ret_path[LVN_PATH_BYTES], struct lvn_error *err);
/* The finished entry of a row; NULL when there is none of this fingerprint (NULL: any). json_decref() it. */
json_t *lvn_build_read_entry(const struct lvn_build *build, const struct lvn_build_row *row, const char *fingerprint);

/* build_lesion.c, in the child: the whole study; one line "INDEX<tab>+" or "INDEX<tab>-<tab>REASON" for each row. */
void lvn_build_study(const struct lvn_build *build, const struct lvn_build_task *task, int fd);

#endif
