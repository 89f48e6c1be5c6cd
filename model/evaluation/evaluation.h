/* All figures of an evaluation, from the answers. Per slice as the paper has them, and per lesion and per patient,
 * where cases are nearer to independent. Source: Liver-VLM paper section 4; how each figure is defined stands in
 * model/stats and model/train/calibrate.h. */
#ifndef LVN_MODEL_EVALUATION_EVALUATION_H
#define LVN_MODEL_EVALUATION_EVALUATION_H

#include "model/evaluation/levels.h"
#include "model/stats/compare.h"
#include "model/stats/figures.h"
#include "model/stats/roc.h"
#include "model/train/calibrate.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_level_result {
  size_t count;
  size_t confusion[LVN_CLASS_COUNT][LVN_CLASS_COUNT]; /* [truth][answer], abstentions counted by their best class */
  struct lvn_figures figures;
  struct lvn_figure_intervals bootstrap; /* over patients */
  struct lvn_interval accuracy_wilson;   /* cases taken as independent */
  struct lvn_interval recall_wilson[LVN_CLASS_COUNT];
  struct lvn_interval auc_delong[LVN_CLASS_COUNT]; /* cases taken as independent; {NAN, NAN} with fewer than 2 */
  double ece;
  double adaptive_ece;
  double brier;
  double log_loss;
};

struct lvn_fold_result {
  unsigned fold;
  size_t slice_count;
  size_t lesion_count;
  struct lvn_figures slice; /* the paper's figures are the mean of these over folds, +- population deviation */
  struct lvn_figures lesion;
};

#define LVN_CONFORMAL_COUNT 3
/* Cross-fitted per patient: the limit for a part's cases comes from the other parts. */
struct lvn_conformal_result {
  double alpha;
  size_t covered; /* of the cases per patient */
  size_t count;
  struct lvn_interval achieved; /* Clopper and Pearson's, of the coverage */
  struct lvn_interval expected; /* by the number of calibration cases, of the smallest part */
  double mean_set_size;
  size_t empty;
  size_t single;
};

struct lvn_unlike_result {
  double limit;     /* the package's; INFINITY with several models */
  size_t beyond;    /* lesions further than that */
  double wrong_auc; /* does the package's distance tell wrong from right answers? NAN: one kind */
  double unseen_class_auc[LVN_CLASS_COUNT]; /* a class left out of the fit against the others; NAN where undefined */
};

#define LVN_DECISION_POINTS 99 /* thresholds 0.01 to 0.99 */
struct lvn_decision_point {
  double threshold;
  double model;
  double all;
};

#define LVN_SUBGROUPS_MAX 16
struct lvn_subgroup_result {
  const char *by;   /* "long axis", "slice thickness" */
  const char *name; /* "under 10 mm" */
  size_t count;
  size_t right;
  struct lvn_interval accuracy_wilson;
  struct lvn_figures figures; /* NAN throughout without lesions */
};

struct lvn_roc_curve {
  size_t count; /* 0: not defined */
  struct lvn_roc_point *points;
};

struct lvn_evaluation_options {
  size_t resamples; /* of the bootstrap; 2000 */
  uint64_t seed;
  double feature_distance_limit;               /* of the package; INFINITY: none */
  const struct lvn_nearest_mean *nearest_mean; /* NULL: that rule is left out */
};

/* Owned; lvn_evaluation_clear() it. Per lesion unless it says otherwise. */
struct lvn_evaluation {
  unsigned classes;     /* what the models tell apart; figures of others are NAN, counts 0 */
  size_t patient_count; /* patients, whatever their lesions */
  struct lvn_level_result level[LVN_LEVEL_COUNT];
  size_t fold_count;
  struct lvn_fold_result folds[LVN_FOLDS_MAX];
  struct lvn_spread paper[LVN_FIGURE_COUNT]; /* members as struct lvn_figures has them; per slice, over folds */
  struct lvn_spread lesion_folds[LVN_FIGURE_COUNT];
  size_t abstained[LVN_CLASS_COUNT]; /* by truth */
  size_t abstained_wrong;
  double accuracy_answered; /* of the lesions without abstention; NAN when there are none */
  struct lvn_interval accuracy_answered_wilson;
  double recall_answered[LVN_CLASS_COUNT]; /* likewise; NAN where none was answered */
  double ece_answered;
  struct lvn_reliability_bin reliability[LVN_CALIBRATE_BINS];
  double own_temperature_factor; /* by which the packaged temperature should be multiplied on these lesions */
  double recalibrated_ece;       /* after that factor, cross-fitted; NAN with one part */
  struct lvn_conformal_result conformal[LVN_CONFORMAL_COUNT];
  struct lvn_unlike_result unlike;
  double *risk; /* [lesion_count]: lvn_stats_risk_coverage() */
  double aurc;
  struct lvn_decision_point decision[LVN_DECISION_POINTS]; /* acting on HCC, the malignant one of the four */
  struct lvn_roc_curve roc[LVN_CLASS_COUNT];
  size_t subgroup_count;
  struct lvn_subgroup_result subgroups[LVN_SUBGROUPS_MAX];
  double threshold_accuracy;    /* lvn_rules_threshold() */
  double nearest_mean_accuracy; /* NAN without the rule */
  struct lvn_evaluation_options options;
};

LVN_MUST_CHECK bool lvn_evaluation_run(const struct lvn_case_predictions *answers,
                                       const struct lvn_evaluation_options *options,
                                       struct lvn_evaluation *ret_evaluation, struct lvn_error *err);
void lvn_evaluation_clear(struct lvn_evaluation *evaluation);

/* Two models on the same lesions, a - b. The first test to read is the paired bootstrap per lesion; t tests and DeLong
 * are there because the paper has them. */
struct lvn_comparison {
  struct lvn_figures difference; /* per lesion */
  struct lvn_figure_intervals bootstrap;
  struct lvn_figures bootstrap_p;
  struct lvn_delong delong[LVN_CLASS_COUNT]; /* per patient; p is NAN where it is not defined */
  double delong_holm[LVN_CLASS_COUNT];
  size_t fold_count;
  struct lvn_t_test paired_t;    /* slice accuracy over folds */
  struct lvn_t_test corrected_t; /* test to training cases as 1 to folds - 1 */
};
LVN_MUST_CHECK bool lvn_evaluation_compare(const struct lvn_case_predictions *a, const struct lvn_case_predictions *b,
                                           const struct lvn_evaluation_options *options,
                                           struct lvn_comparison *ret_comparison, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
