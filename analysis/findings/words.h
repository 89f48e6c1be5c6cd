/* What results say of a lesion, in the same words in the report, in the pictures and for whoever else reads findings.
 * Texts are ASCII. */
#ifndef LVN_ANALYSIS_FINDINGS_WORDS_H
#define LVN_ANALYSIS_FINDINGS_WORDS_H

#include "analysis/findings/findings.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_WORDS_BYTES 256

/* "87 %"; "> 99 %" and "< 1 %" at the ends: a calibration carries no decimals. */
void lvn_words_percent(double share, char ret_text[LVN_WORDS_BYTES]);
/* The answer in one line: "Hepatocellular carcinoma" or "Indeterminate". */
const char *lvn_words_answer(const struct lvn_findings_prediction *prediction);
/* The classes that cannot be excluded: "90 %: HCC or FNH", with what an empty or a full set means; empty without sets.
 */
void lvn_words_conformal(const struct lvn_findings_prediction *prediction, char ret_text[LVN_WORDS_BYTES]);
/* "Outlier score 1.2 (limit 3.4; 5 % of lesions like the training ones exceed it)"; empty without a score. */
void lvn_words_outlier(const struct lvn_findings_prediction *prediction, char ret_text[LVN_WORDS_BYTES]);
/* "61 % of the map lies in or next to the outline", and that it points elsewhere where it does; empty without a map. */
void lvn_words_map(const struct lvn_findings_lesion *lesion, char ret_text[LVN_WORDS_BYTES]);
/* "111 HU, +63 from non-contrast, +12 against liver"; empty without a measurement. */
void lvn_words_attenuation(const struct lvn_findings_lesion *lesion, enum lvn_phase phase,
                           char ret_text[LVN_WORDS_BYTES]);
/* "aligned by 29 mm, est. error 1.1 mm", "the ROI was drawn here", or why it is not aligned. */
void lvn_words_alignment(const struct lvn_findings_lesion *lesion, enum lvn_phase phase,
                         char ret_text[LVN_WORDS_BYTES]);
/* "Small lesion, 5 x 5 pixels: read with care"; empty for others. */
void lvn_words_small(const struct lvn_findings_lesion *lesion, char ret_text[LVN_WORDS_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
