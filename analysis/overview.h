/* One page of all lesions of a study, for studies with many: a row for each, as on its own capture. */
#ifndef LVN_ANALYSIS_OVERVIEW_H
#define LVN_ANALYSIS_OVERVIEW_H

#include "analysis/capture.h"
#include "analysis/findings/findings.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_OVERVIEW_LESIONS_MIN 3 /* fewer lesions are as quickly seen on their own captures */

/* `requests` are those of the lesions' captures, in the findings' order. */
LVN_MUST_CHECK bool lvn_overview_render(const struct lvn_findings *findings, const struct lvn_capture_request *requests,
                                        struct lvn_picture *ret_picture, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
