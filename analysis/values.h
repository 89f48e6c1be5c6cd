/* Whether what was decoded can be believed: HU that are HU, and series that are different images. Private to
 * analysis. */
#ifndef LVN_ANALYSIS_VALUES_H
#define LVN_ANALYSIS_VALUES_H

#include "analysis/study_case.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Are the numbers of a loaded stack HU? Excludes the stack from the study, and frees its volume, when they are not. */
LVN_MUST_CHECK bool lvn_values_check(struct lvn_case *study_case, size_t stack_index, struct lvn_error *err);

/* For each of `count` loaded stacks the one before it that holds the same images, or NULL. */
LVN_MUST_CHECK bool lvn_values_find_same(const struct lvn_case *study_case, const size_t *stack_index, size_t count,
                                         const struct lvn_stack **ret_same, struct lvn_error *err);

/* "series 2 has no rescale values: its numbers are no HU" for what may be missing since it was excluded; else empty. */
void lvn_values_say_excluded(const struct lvn_case *study_case, char ret_text[LVN_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
