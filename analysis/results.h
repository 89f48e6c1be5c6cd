/* The table of results that an analysis writes. */
#ifndef LVN_ANALYSIS_RESULTS_H
#define LVN_ANALYSIS_RESULTS_H

#include "analysis/findings/writer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SHADOW_FILE "shadow.json"

/* The node's own, in the order in which they are written: what tells of written objects comes after them. */
extern const struct lvn_result_writer lvn_result_writers[];
extern const size_t lvn_result_writer_count;

/* LVN_ERROR_USAGE for a word in a list of kinds that no row of the node's own has; NULL is allowed. */
LVN_MUST_CHECK bool lvn_results_check_kinds(const char *kinds, struct lvn_error *err);

/* Runs the rows that are meant for the findings' outcome, one after the other. */
LVN_MUST_CHECK bool lvn_results_write(const struct lvn_result_writer *writers, size_t writer_count,
                                      struct lvn_findings *findings, const struct lvn_result_request *request,
                                      struct lvn_error *err);

/* document.dcm: an encapsulated PDF of one page a lesion, which shows its capture and says the same in text. */
LVN_MUST_CHECK bool lvn_result_write_pdf(struct lvn_findings *findings, const struct lvn_result_request *request,
                                         struct lvn_error *err);
/* analysis.json (schema: docs/analysis-json.md). */
LVN_MUST_CHECK bool lvn_result_write_analysis(struct lvn_findings *findings, const struct lvn_result_request *request,
                                              struct lvn_error *err);
/* shadow.json: both models by digest, and for each lesion what each of them said; nothing without a second model. That
 * it could not be written is logged, no error. */
LVN_MUST_CHECK bool lvn_result_write_shadow(struct lvn_findings *findings, const struct lvn_result_request *request,
                                            struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
