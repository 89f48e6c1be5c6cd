/* From figures to "believe it" or one sentence why not. The limits are set on synthetic pairs of known truth: the same
 * patient with breathing, other patients, noise, upside down; half the seeds to choose, the other half to confirm. */
#include "daemon/base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <stdio.h>

#define LEAST_SIMILARITY 0.15
#define LEAST_PEAK 3.0
#define MOST_INVERSE_MM 6.0

static const char *reason_against(const struct lvn_reg_evidence *evidence) {
  if (!(evidence->overlap > 0.0)) {
    return "this phase does not cover the lesion";
  }
  if (evidence->overlap < 0.3) {
    return "this phase covers too little of the lesion's surroundings";
  }
  if (evidence->similarity < LEAST_SIMILARITY || evidence->peak < LEAST_PEAK) {
    return "the anatomy around the lesion was not recognised in this phase";
  }
  if (evidence->at_border) {
    return "the displacement between the phases is larger than what is looked for";
  }
  if (!(evidence->inverse_consistency_mm <= MOST_INVERSE_MM)) {
    return "aligning the phases there and back does not return to the lesion";
  }
  return NULL;
}

void lvn_reg_judge(const struct lvn_reg_evidence *evidence, double max_error_mm,
                   struct lvn_registration_quality *quality) {
  const char *reason = reason_against(evidence);
  double inverse = isnan(evidence->inverse_consistency_mm) ? 10.0 : evidence->inverse_consistency_mm;
  double spread = evidence->model_spread_mm;
  quality->estimated_error_mm = NAN;
  if (evidence->overlap >= 0.3) {
    quality->estimated_error_mm = sqrt(1.0 + 0.5 * inverse * inverse + 0.2 * spread * spread);
    if (evidence->planar) { /* the displacement across the slices was hardly searched */
      quality->estimated_error_mm += 2.0;
    }
  }
  quality->usable = reason == NULL && quality->estimated_error_mm <= max_error_mm;
  quality->reason[0] = '\0';
  if (reason != NULL) {
    lvn_copy(quality->reason, sizeof quality->reason, reason);
  } else if (!quality->usable) {
    (void)snprintf(quality->reason, sizeof quality->reason,
                   "the estimated alignment error of %.1f mm is above the limit of %.1f mm",
                   quality->estimated_error_mm, max_error_mm);
  }
}
