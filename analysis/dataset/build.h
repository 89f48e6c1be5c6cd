/* A data set from a list of cases, by the node's own path from DICOM to crops: phases, registration, crop. Each study
 * is read in a process of its own. What is finished lies in OUTPUT/building and is not done again after an
 * interruption; the result is the same as that of an unbroken build. */
#ifndef LVN_ANALYSIS_DATASET_BUILD_H
#define LVN_ANALYSIS_DATASET_BUILD_H

#include "analysis/case.h"
#include "base/error.h"
#include "base/file.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_BUILD_REASON_BYTES 512

struct lvn_build_progress {
  size_t rows;
  size_t done; /* made, kept or left out */
  size_t left_out;
  double seconds;
};

struct lvn_build_options {
  const char *cases_path;
  const char *output_folder;
  const char *key_path;    /* NULL: pseudonym.key beside the list of cases */
  const char *report_path; /* NULL: the list's name and ".report.csv" */
  const char *source;      /* for the manifest: where the cases are from; at most 255 characters */
  unsigned jobs;           /* processes at a time */
  unsigned fold_count;     /* that are made when the list has none; patients stay whole, classes are spread */
  double study_seconds_max;
  struct lvn_case_options analysis;
  /* The objects of a study that the node holds. NULL: the list may name folders alone. */
  bool (*find_study)(void *context, const char *study_uid, struct lvn_file_names *ret_paths, struct lvn_error *err);
  void (*progress)(void *context, const struct lvn_build_progress *progress); /* NULL: none */
  void *context;
};
void lvn_build_options_default(struct lvn_build_options *ret_options);

struct lvn_build_summary {
  size_t rows;
  size_t made;
  size_t kept; /* finished by an earlier build */
  size_t left_out;
  size_t first_bad_row; /* 0: none */
  char first_reason[LVN_BUILD_REASON_BYTES];
  char report_path[LVN_PATH_BYTES];
};

/* True when every row was looked at; rows that could not be used are counted in the summary and stand with their reason
 * in the report (row, outcome, lesion, reason), which ties rows to pseudonyms and so belongs with the list of cases,
 * not with the data set. LVN_ERROR_USAGE for a fault of the list or when no row at all could be used;
 * LVN_ERROR_CONFLICT when the folder holds a whole data set or another build is at work in it. */
LVN_MUST_CHECK bool lvn_dataset_build(const struct lvn_build_options *options, struct lvn_build_summary *ret_summary,
                                      struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
