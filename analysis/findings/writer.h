/* A writer of results: one row of a table for each kind of result, all over the same findings. */
#ifndef LVN_ANALYSIS_FINDINGS_WRITER_H
#define LVN_ANALYSIS_FINDINGS_WRITER_H

#include "analysis/findings/findings.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where results go and for whom. All borrowed. */
struct lvn_result_request {
  const char *folder;       /* exists */
  const char *job_key;      /* UIDs are derived from this text: the same job writes the same UIDs */
  int64_t wall_ms;          /* content time: fixed per job too */
  const char *replaced_key; /* job key of the report that this one replaces, or NULL */
  /* Its content time; without one, that of the earlier results that were sent without their report. 0: none. */
  int64_t replaced_wall_ms;
  const char *ae_title;
  const char *station_name;
  const char *software_version; /* of the node */
  const char *objects;          /* kinds of result objects to write, comma-separated; NULL: LVN_RESULT_OBJECTS */
};

#define LVN_RESULT_OBJECTS "sr, sc"

/* Is the word `kind` in the list? */
LVN_MUST_CHECK bool lvn_result_is_wanted(const struct lvn_result_request *request, const char *kind);

struct lvn_result_writer {
  const char *name;    /* for messages */
  const char *kind;    /* written only when the request's list has this word; NULL: always */
  bool is_further;     /* where it cannot be made, the rest is written without it, and says so */
  bool when_done_only; /* not for a study that waits or was refused */
  /* Into the request's folder, each file by lvn_file_replace()'s rules, so that a crash leaves no half of one; tells
   * result objects by lvn_findings_add_object(). False stops the analysis. */
  bool (*write)(struct lvn_findings *findings, const struct lvn_result_request *request, struct lvn_error *err);
};

#ifdef __cplusplus
}
#endif
#endif
