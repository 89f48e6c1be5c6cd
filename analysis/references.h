/* Which CT images a result refers to. */
#ifndef LVN_ANALYSIS_REFERENCES_H
#define LVN_ANALYSIS_REFERENCES_H

#include "analysis/case.h"
#include "base/error.h"
#include "dicom/write/result.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The image of a stack's slice; strings are borrowed from the stack. `slice` is cut to the stack's range. */
struct lvn_result_reference lvn_reference_of(const struct lvn_stack *stack, size_t slice);

/* The slice of a phase's stack that shows the lesion's centre, as it lies on slice `fixed_slice` of the ROI's stack. */
size_t lvn_reference_slice(const struct lvn_case *study_case, const struct lvn_case_lesion *lesion, int phase,
                           uint32_t fixed_slice);

struct lvn_reference_set {
  struct lvn_result_reference *items; /* owned */
  size_t count;
};
/* Every image that the lesions' crops were interpolated from, each once. */
LVN_MUST_CHECK bool lvn_reference_set_collect(const struct lvn_case *study_case, struct lvn_reference_set *ret_set,
                                              struct lvn_error *err);
void lvn_reference_set_clear(struct lvn_reference_set *set);

#ifdef __cplusplus
}
#endif
#endif
