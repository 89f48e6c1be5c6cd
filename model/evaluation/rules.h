/* Two rules that look only at mean HU per phase. A model that is no better than these has learnt nothing from the
 * image.
 */
#ifndef LVN_MODEL_EVALUATION_RULES_H
#define LVN_MODEL_EVALUATION_RULES_H

#include "model/dataset/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The HU rule of a textbook: a cyst stays under 20 HU in all phases; wash-out from the arterial to the portal-venous
 * phase is HCC; much arterial enhancement without it FNH; the rest haemangioma. */
enum lvn_class lvn_rules_threshold(const double mean_hu[LVN_PHASE_NETWORK_COUNT]);

/* Class means of each phase, scaled by the pooled standard deviation. */
struct lvn_nearest_mean {
  unsigned classes; /* that there were lesions of */
  double mean[LVN_CLASS_COUNT][LVN_PHASE_NETWORK_COUNT];
  double deviation[LVN_PHASE_NETWORK_COUNT];
};
void lvn_rules_fit_nearest_mean(const struct lvn_dataset *dataset, struct lvn_nearest_mean *ret_rule);
enum lvn_class lvn_rules_nearest_mean(const struct lvn_nearest_mean *rule,
                                      const double mean_hu[LVN_PHASE_NETWORK_COUNT]);

#ifdef __cplusplus
}
#endif
#endif
