/* The analysis of one study, from files to result files: `livervlm analyze` and the worker call exactly this.
 * read -> phases -> volumes -> ROIs -> registration -> crop -> network -> explanation -> findings -> SR, SC,
 * analysis.json. No network access, no database. */
#ifndef LVN_ANALYSIS_ANALYSIS_H
#define LVN_ANALYSIS_ANALYSIS_H

#include "analysis/findings/writer.h"
#include "base/error.h"
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
  int64_t replaced_wall_ms; /* as in struct lvn_result_request */
  const char *ae_title;
  const char *station_name;
  const char *objects; /* kinds of result objects; NULL: LVN_RESULT_OBJECTS */
  double max_registration_error_mm;
  /* A second model that answers too, into shadow.json; borrowed, NULL: none. Whatever becomes of it, the results are
   * those of the first model alone. */
  struct lvn_classifier *shadow;
  const struct lvn_result_writer *more_writers; /* rows beside lvn_result_writers, written last; borrowed */
  size_t more_writer_count;
};

#define LVN_ANALYSIS_OBJECTS_MAX 208

struct lvn_analysis_result {
  enum lvn_analysis_outcome outcome;
  char status_message[512]; /* for a radiographer; empty when done */
  size_t object_count;
  struct lvn_result_object objects[LVN_ANALYSIS_OBJECTS_MAX];
};

/* True with an outcome; false when it failed in a way that is not the study's fault (transient or a bug), with `err`.
 * Always writes analysis.json (schema: docs/analysis-json.md) when it returns true. */
LVN_MUST_CHECK bool lvn_analysis_run(struct lvn_classifier *classifier, const struct lvn_analysis_request *request,
                                     struct lvn_analysis_result *ret_result, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
