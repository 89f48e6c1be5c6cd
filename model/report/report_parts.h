/* The parts of the page. Inside of model/report. */
#ifndef LVN_MODEL_REPORT_PARTS_H
#define LVN_MODEL_REPORT_PARTS_H

#include "model/evaluation/evaluation_write.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Head and notices, up to the first figures. */
void lvn_report_head(FILE *stream, const struct lvn_evaluation_subject *subject);
void lvn_report_tables(FILE *stream, const struct lvn_evaluation_subject *subject);
void lvn_report_uncertainty_tables(FILE *stream, const struct lvn_evaluation_subject *subject);
LVN_MUST_CHECK bool lvn_report_plots(FILE *stream, const struct lvn_evaluation_subject *subject, struct lvn_error *err);
/* Loss and held-out accuracy per epoch, from the manifest's training.history; a sentence where there is none. */
LVN_MUST_CHECK bool lvn_report_training(FILE *stream, const struct lvn_package *package, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_report_cases(FILE *stream, const struct lvn_evaluation_subject *subject, struct lvn_error *err);
void lvn_report_provenance(FILE *stream, const struct lvn_evaluation_subject *subject);

#ifdef __cplusplus
}
#endif
#endif
