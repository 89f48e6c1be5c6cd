#include "analysis/findings/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void lvn_words_percent(double share, char ret_text[LVN_WORDS_BYTES]) {
  if (share > 0.99) {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "> 99 %%");
  } else if (share < 0.01) {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "< 1 %%");
  } else {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "%.0f %%", 100.0 * share);
  }
}

const char *lvn_words_answer(const struct lvn_findings_prediction *prediction) {
  return prediction->has_probability && !prediction->abstained ? lvn_class_title(prediction->top_class)
                                                               : "Indeterminate";
}

static void append(char text[LVN_WORDS_BYTES], const char *more) {
  size_t used = strlen(text);
  (void)snprintf(text + used, LVN_WORDS_BYTES - used, "%s", more);
}

void lvn_words_conformal(const struct lvn_findings_prediction *prediction, char ret_text[LVN_WORDS_BYTES]) {
  unsigned left = prediction->conformal_set;
  bool is_first = true;
  ret_text[0] = '\0';
  if (!prediction->has_probability || !isfinite(prediction->conformal_coverage)) {
    return;
  }
  (void)snprintf(ret_text, LVN_WORDS_BYTES, "%.0f %%: ", 100.0 * prediction->conformal_coverage);
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    if (((prediction->conformal_set >> c) & 1U) != 0) {
      left &= ~(1U << c);
      append(ret_text, is_first ? "" : left != 0 ? ", " : " or ");
      append(ret_text, lvn_class_name((enum lvn_class)c));
      is_first = false;
    }
  }
  if (is_first) {
    append(ret_text, "none of the classes; it may be another kind of lesion");
  }
}

void lvn_words_outlier(const struct lvn_findings_prediction *prediction, char ret_text[LVN_WORDS_BYTES]) {
  ret_text[0] = '\0';
  if (!prediction->has_probability || !isfinite(prediction->outlier_score) || !isfinite(prediction->outlier_limit)) {
    return;
  }
  char rate[64] = "";
  if (isfinite(prediction->outlier_alarm_rate)) {
    (void)snprintf(rate, sizeof rate, "; %.0f %% of lesions of the classes exceed it",
                   100.0 * prediction->outlier_alarm_rate);
  }
  (void)snprintf(ret_text, LVN_WORDS_BYTES, "Outlier score %.1f, limit %.1f%s", prediction->outlier_score,
                 prediction->outlier_limit, rate);
}

void lvn_words_map(const struct lvn_findings_lesion *lesion, char ret_text[LVN_WORDS_BYTES]) {
  char percent[LVN_WORDS_BYTES];
  ret_text[0] = '\0';
  if (!lesion->prediction.has_probability || !isfinite(lesion->prediction.map_share)) {
    return;
  }
  lvn_words_percent(lesion->prediction.map_share, percent);
  if (lvn_findings_map_is_elsewhere(lesion)) {
    (void)snprintf(ret_text, LVN_WORDS_BYTES,
                   "The map points elsewhere: only %.16s of it in or next to the outline (limit %.0f %%)", percent,
                   100.0 * lesion->prediction.map_share_limit);
  } else {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "%.16s of the map in or next to the outline", percent);
  }
}

void lvn_words_attenuation(const struct lvn_findings_lesion *lesion, enum lvn_phase phase,
                           char ret_text[LVN_WORDS_BYTES]) {
  const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
  const struct lvn_findings_lesion_phase *plain = &lesion->phases[LVN_PHASE_NC];
  char part[64];
  ret_text[0] = '\0';
  if (!lvn_findings_has_phase(lesion, phase) || !isfinite(shown->mean_hu)) {
    return;
  }
  (void)snprintf(ret_text, LVN_WORDS_BYTES, "%.0f HU", shown->mean_hu);
  if (phase != LVN_PHASE_NC && isfinite(plain->mean_hu)) {
    (void)snprintf(part, sizeof part, ", %+.0f from non-contrast",
                   round(shown->mean_hu - plain->mean_hu) + 0.0); /* no "-0" */
    append(ret_text, part);
  }
  if (isfinite(shown->liver_hu)) {
    (void)snprintf(part, sizeof part, ", %+.0f against liver", round(shown->mean_hu - shown->liver_hu) + 0.0);
    append(ret_text, part);
  }
}

void lvn_words_alignment(const struct lvn_findings_lesion *lesion, enum lvn_phase phase,
                         char ret_text[LVN_WORDS_BYTES]) {
  const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
  const struct lvn_findings_alignment *alignment = &shown->alignment;
  const double *d = alignment->displacement_mm;
  double shift_mm = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
  if (shown->is_reference) {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "the ROI was drawn here");
  } else if (!alignment->is_usable) {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "NOT ALIGNED: %.150s", alignment->reason);
  } else if (isfinite(alignment->estimated_error_mm)) {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "aligned by %.0f mm, est. error %.1f mm", shift_mm,
                   alignment->estimated_error_mm);
  } else {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "aligned by %.0f mm", shift_mm);
  }
}

void lvn_words_small(const struct lvn_findings_lesion *lesion, char ret_text[LVN_WORDS_BYTES]) {
  ret_text[0] = '\0';
  if (lvn_findings_is_small(lesion)) {
    (void)snprintf(ret_text, LVN_WORDS_BYTES, "Small lesion, %u x %u pixels: read with care", lesion->pixels_across[0],
                   lesion->pixels_across[1]);
  }
}
