/* The analysis of one study, from files to result files: `livervlm analyze` and the worker call exactly this.
 * read -> phases -> volumes -> ROIs -> registration -> crop -> network -> explanation -> SR, SC, analysis.json. No
 * network access, no database. */
#ifndef LVN_ANALYSIS_ANALYSIS_H
#define LVN_ANALYSIS_ANALYSIS_H

#include "base/error.h"
#include "model/image/vocabulary.h"
#include "model/network/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_analysis_request {
  const char *const *paths; /* all current objects of one study, ROI objects among them */
  size_t path_count;
  const char *output_folder; /* exists; results and analysis.json are written here */
  const char *job_key;       /* result UIDs are derived from this */
  int64_t wall_ms;           /* content date and time of the results: the same when a job runs again */
  /* Job key and time of the earlier report of this study, in the destinations' hands, that the new one replaces; NULL:
   * there is none. */
  const char *replaced_key;
  int64_t replaced_wall_ms;
  const char *ae_title;
  const char *station_name;
  double max_registration_error_mm;
  /* A second model that answers too, into shadow.json; borrowed, NULL: none. Whatever becomes of it, the results are
   * those of the first model alone. */
  struct lvn_classifier *shadow;
};

enum lvn_analysis_outcome {
  LVN_ANALYSIS_DONE,    /* result objects were written */
  LVN_ANALYSIS_WAITING, /* something is missing that may still come: a phase, a ROI; see sentence */
  LVN_ANALYSIS_REFUSED  /* cannot be analysed as it is: conflicting or unusable objects; see sentence */
};

const char *lvn_analysis_outcome_name(enum lvn_analysis_outcome outcome); /* "done", "waiting", "refused" */

struct lvn_analysis_result {
  enum lvn_analysis_outcome outcome;
  char status_message[512]; /* for a radiographer; empty when done */
  size_t object_count;
  struct {
    char path[4096];
    char sop_class_uid[65];
    char sop_instance_uid[65];
  } objects[64];
};

/* True with an outcome; false when it failed in a way that is not the study's fault (transient or a bug), with `err`.
 * Always writes analysis.json (schema: docs/analysis-json.md) when it returns true. */
LVN_MUST_CHECK bool lvn_analysis_run(struct lvn_classifier *classifier, const struct lvn_analysis_request *request,
                                     struct lvn_analysis_result *ret_result, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
