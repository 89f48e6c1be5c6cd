/* Files of a folder, grouped into studies for the analysis: what `livervlm analyze` and `dataset build` start from. */
#ifndef LVN_ANALYSIS_INTAKE_H
#define LVN_ANALYSIS_INTAKE_H

#include "base/error.h"
#include "base/sha256.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_intake_study {
  char study_instance_uid[LVN_UID_BYTES];
  char **paths; /* owned, sorted */
  size_t path_count;
  size_t path_capacity;
};

struct lvn_intake {
  struct lvn_intake_study *studies; /* owned, in order of their first path */
  size_t study_count;
  size_t study_capacity;
  size_t other_count;      /* no DICOM, or a DICOMDIR: left out */
  size_t unreadable_count; /* DICOM that cannot be read, of a study that nobody can tell */
  char unreadable[512];    /* the first of them, and why */
};

/* Walk the folder (or take one file) and add its DICOM files, with or without preamble; call again for more folders or
 * files. A DICOM file that cannot be read goes to the study that it names, or whose files alone lie nearest to it,
 * where lvn_study_open() will name it. */
LVN_MUST_CHECK bool lvn_intake_add(struct lvn_intake *intake, const char *path, struct lvn_error *err);
void lvn_intake_clear(struct lvn_intake *intake);

/* Digest of a study's files and of who analyses them: the same inputs give the same job key (64 hex digits). */
LVN_MUST_CHECK bool lvn_intake_job_key(const struct lvn_intake_study *study, const char *analyser,
                                       char ret_job_key[LVN_SHA256_TEXT_BYTES], struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
