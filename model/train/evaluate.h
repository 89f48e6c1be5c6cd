/* How a model does on a data set, per lesion, beside two rules that look only at mean HU per phase. Plain C over the
 * classifier, so what is measured is what runs. */
#ifndef LVN_MODEL_EVALUATE_H
#define LVN_MODEL_EVALUATE_H

#include "daemon/base/error.h"
#include "daemon/base/vocabulary.h"
#include "model/network/classifier.h"
#include "model/train/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_evaluation {
  size_t lesion_count;
  size_t confusion[LVN_CLASS_COUNT][LVN_CLASS_COUNT]; /* [truth][answer], abstentions counted by their best class */
  size_t abstained[LVN_CLASS_COUNT];
  size_t abstained_wrong;
  double accuracy;
  double accuracy_low; /* Wilson 95 % interval, lesions taken as independent */
  double accuracy_high;
  double accuracy_answered; /* of the lesions without abstention; NAN when there are none */
  double recall[LVN_CLASS_COUNT];
  double auc[LVN_CLASS_COUNT]; /* one against the rest; NAN where a side is empty */
  double macro_auc;
  double ece;
  double threshold_accuracy;    /* the fixed HU rule */
  double nearest_mean_accuracy; /* NAN without a data set to fit it on */
  double seconds;               /* in the classifier */
};

/* The HU rule of a textbook: a cyst stays under 20 HU in all phases; wash-out from the arterial to the portal-venous
 * phase is HCC; much arterial enhancement without it FNH; the rest haemangioma. */
enum lvn_class lvn_evaluate_threshold_rule(const double mean_hu[LVN_PHASE_NETWORK_COUNT]);

/* `baseline` gives the class means of the nearest-mean rule (each phase scaled by its pooled standard deviation); NULL
 * for none. It must not be `dataset`. */
LVN_MUST_CHECK bool lvn_evaluate_run(struct lvn_classifier *classifier, const struct lvn_dataset *dataset,
                                     const struct lvn_dataset *baseline, struct lvn_evaluation *ret_evaluation,
                                     struct lvn_error *err);

/* evaluation.json and evaluation.txt into `folder`, which is made. */
LVN_MUST_CHECK bool lvn_evaluate_write(const struct lvn_evaluation *evaluation, const struct lvn_classifier_info *info,
                                       const struct lvn_dataset *dataset, const char *folder, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
