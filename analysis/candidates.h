/* Which stacks of a study are looked at for the phases, decoded within a budget of voxels: of too many the best of each
 * scan. Private to analysis. */
#ifndef LVN_ANALYSIS_CANDIDATES_H
#define LVN_ANALYSIS_CANDIDATES_H

#include "analysis/study_case.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One entry per stack of the open study. */
LVN_MUST_CHECK bool lvn_candidates_collect(struct lvn_case *study_case, struct lvn_error *err);
/* Decode and measure a stack, if that is not done. */
LVN_MUST_CHECK bool lvn_candidates_load_one(struct lvn_case *study_case, size_t index, struct lvn_error *err);
/* Mark, decode and measure the conventional stacks. */
LVN_MUST_CHECK bool lvn_candidates_load(struct lvn_case *study_case, struct lvn_error *err);
/* The same for the stacks that are used only where no conventional one shows a phase. How many there are. */
LVN_MUST_CHECK bool lvn_candidates_add_reserves(struct lvn_case *study_case, size_t *ret_added, struct lvn_error *err);
/* Say in the evidence of a chosen reserve what it is. */
void lvn_candidates_note_reserves(struct lvn_case *study_case);
/* Free the volumes that neither serve a phase nor carry a ROI. */
void lvn_candidates_release(struct lvn_case *study_case);
/* "none" or why a stack takes no part: lvn_exclusion_name(), "surplus" or "too large". */
const char *lvn_candidates_exclusion(const struct lvn_case_stack *entry);
/* Adds "; excluded: series 7 (spectral)" for what might have been the missing phase. */
void lvn_candidates_say_excluded(const struct lvn_case *study_case, char status_message[512]);

#ifdef __cplusplus
}
#endif
#endif
