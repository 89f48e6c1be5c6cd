/* report.html: an evaluation as one page that needs nothing beside it. Plots are vector pictures inside the page; no
 * script, no font, no address outside. */
#ifndef LVN_MODEL_REPORT_H
#define LVN_MODEL_REPORT_H

#include "model/evaluation/evaluation_write.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_REPORT_FILE "report.html"

/* Into `folder`, which exists. */
LVN_MUST_CHECK bool lvn_report_write(const struct lvn_evaluation_subject *subject, const char *folder,
                                     struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
