/* Pieces of findings as JSON, for the results that are JSON files. Private to analysis. */
#ifndef LVN_ANALYSIS_FINDINGS_JSON_H
#define LVN_ANALYSIS_FINDINGS_JSON_H

#include "analysis/findings/findings.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* JSON has no NaN: what was not measured is null. */
json_t *lvn_findings_json_number(double value);
json_t *lvn_findings_json_numbers(const double *values, size_t count);
/* jansson refuses invalid UTF-8, which an object may well hold. */
json_t *lvn_findings_json_text(const char *value);
/* One member for each phase. */
json_t *lvn_findings_json_phases(const double values[LVN_PHASE_COUNT]);
/* One member for each class; null without probabilities. */
json_t *lvn_findings_json_probability(const struct lvn_findings_prediction *prediction);
/* How a phase was aligned, as members of `object`. */
void lvn_findings_json_put_alignment(json_t *object, const struct lvn_findings_lesion_phase *phase);

#ifdef __cplusplus
}
#endif
#endif
