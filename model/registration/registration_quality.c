/* From figures to "believe it" or one sentence why not.
 *
 * Recognised or not: a logistic function of five figures, both kinds of pair weighted alike. The blocks' agreement says
 * most: each block of the neighbourhood looks for its own best shift, and blocks of two volumes that do not belong
 * together disagree. The body tells other patients, whose livers can be too much alike; then the likeness of the
 * neighbourhood, the way back, and a best shift at the border of what could be compared.
 * The estimated error is a quantile: nine of ten pairs with the same figures are at most as far off. Fitted by quantile
 * regression of the logarithm of the error at the lesion's centre.
 * Coefficients by tests/bench/registration/calibrate.py; what they reach: docs/decisions/0009. Fitted on phantoms, so
 * they hold for phantoms. */
#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <stdio.h>

#define LEAST_OVERLAP 0.3
#define NO_WAY_BACK_MM 8.0   /* an alignment that cannot find home is none */
#define MOST_INVERSE_MM 20.0 /* beyond, it is not more wrong */

static double damped_mm(double mm) {
  return log1p(isnan(mm) ? MOST_INVERSE_MM : fmin(mm, MOST_INVERSE_MM));
}

/* Above 0: recognised. */
static double score(const struct lvn_reg_evidence *evidence) {
  return -26.69 + 4.83 * evidence->agreement + 22.54 * evidence->body + 4.74 * evidence->similarity -
         0.28 * damped_mm(evidence->inverse_consistency_mm) - (evidence->at_border ? 2.38 : 0.0);
}

static double error_mm(const struct lvn_reg_evidence *evidence) {
  return exp(-0.02 + 0.83 * (1.0 - evidence->agreement) + 0.313 * damped_mm(evidence->inverse_consistency_mm) +
             0.47 * damped_mm(evidence->model_spread_mm) + 0.056 * log(fmax(1.0, evidence->slice_mm)));
}

static const char *reason_against(const struct lvn_reg_evidence *evidence) {
  if (!(evidence->overlap > 0.0)) {
    return "this phase does not cover the lesion";
  }
  if (evidence->overlap < LEAST_OVERLAP) {
    return "this phase covers too little of the lesion's surroundings";
  }
  bool returns = evidence->inverse_consistency_mm <= NO_WAY_BACK_MM; /* false for NAN */
  if (returns && score(evidence) > 0.0) {
    return NULL;
  }
  if (evidence->at_border) {
    return "the displacement between the phases is larger than what can be looked for";
  }
  if (!returns) {
    return "aligning the phases there and back does not return to the lesion";
  }
  return "the anatomy around the lesion was not recognised in this phase";
}

void lvn_reg_judge(const struct lvn_reg_evidence *evidence, double max_error_mm,
                   struct lvn_registration_quality *quality) {
  const char *reason = reason_against(evidence);
  quality->estimated_error_mm = NAN;
  if (reason == NULL) {
    quality->estimated_error_mm = error_mm(evidence);
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
