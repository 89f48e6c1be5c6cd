#include "base/clock.h"
#include "base/memory.h"
#include "model/evaluation/evaluation_write.h"
#include "model/evaluation/levels.h"
#include "model/network/lineage.h"
#include "model/tensor/json.h"

#include <math.h>

static void set(json_t *object, const char *key, json_t *value) {
  (void)json_object_set_new(object, key, value);
}

static json_t *real(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *count(size_t value) {
  return json_integer((json_int_t)value);
}

static json_t *interval(struct lvn_interval value) {
  json_t *pair = json_array();
  (void)json_array_append_new(pair, real(value.low));
  (void)json_array_append_new(pair, real(value.high));
  return pair;
}

static json_t *class_names(unsigned classes) {
  json_t *names = json_array();
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    (void)json_array_append_new(names, json_string(lvn_class_name((enum lvn_class)c)));
  }
  return names;
}

static json_t *per_class(unsigned classes, const double value[LVN_CLASS_COUNT]) {
  json_t *object = json_object();
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    set(object, lvn_class_name((enum lvn_class)c), real(value[c]));
  }
  return object;
}

static json_t *intervals_per_class(unsigned classes, const struct lvn_interval value[LVN_CLASS_COUNT]) {
  json_t *object = json_object();
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    set(object, lvn_class_name((enum lvn_class)c), interval(value[c]));
  }
  return object;
}

static json_t *confusion(unsigned classes, const size_t table[LVN_CLASS_COUNT][LVN_CLASS_COUNT]) {
  json_t *rows = json_array();
  for (unsigned truth = lvn_classes_first(classes); truth < LVN_CLASS_COUNT; truth = lvn_classes_next(classes, truth)) {
    json_t *row = json_array();
    for (unsigned answer = lvn_classes_first(classes); answer < LVN_CLASS_COUNT;
         answer = lvn_classes_next(classes, answer)) {
      (void)json_array_append_new(row, count(table[truth][answer]));
    }
    (void)json_array_append_new(rows, row);
  }
  return rows;
}

static json_t *figures(unsigned classes, const struct lvn_figures *value) {
  json_t *object = json_object();
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(classes, f)) {
    set(object, lvn_figure_name(f), real(lvn_figure_get(value, f)));
  }
  return object;
}

static json_t *figure_intervals(unsigned classes, const struct lvn_figure_intervals *value) {
  json_t *object = json_object();
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(classes, f)) {
    set(object, lvn_figure_name(f),
        interval((struct lvn_interval){lvn_figure_get(&value->low, f), lvn_figure_get(&value->high, f)}));
  }
  return object;
}

static json_t *level_json(unsigned classes, const struct lvn_level_result *level) {
  json_t *object = json_object();
  set(object, "cases", count(level->count));
  set(object, "figures", figures(classes, &level->figures));
  set(object, "patient_bootstrap_95", figure_intervals(classes, &level->bootstrap));
  set(object, "patient_bootstrap_defined_share", figures(classes, &level->bootstrap.defined));
  set(object, "accuracy_wilson_95", interval(level->accuracy_wilson));
  set(object, "recall_wilson_95", intervals_per_class(classes, level->recall_wilson));
  set(object, "auc_delong_95", intervals_per_class(classes, level->auc_delong));
  set(object, "confusion_truth_by_answer", confusion(classes, level->confusion));
  set(object, "ece_15_bins", real(level->ece));
  set(object, "ece_adaptive_15_bins", real(level->adaptive_ece));
  set(object, "brier", real(level->brier));
  set(object, "log_loss", real(level->log_loss));
  return object;
}

static json_t *spreads(unsigned classes, const struct lvn_spread *spread) {
  json_t *object = json_object();
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(classes, f)) {
    set(object, lvn_figure_name(f),
        json_pack("{s:o,s:o,s:o}", "mean", real(spread[f].mean), "population_sd", real(spread[f].deviation),
                  "folds_defined", count(spread[f].count)));
  }
  return object;
}

static json_t *folds_json(const struct lvn_evaluation *e) {
  json_t *rows = json_array();
  for (size_t f = 0; f < e->fold_count; f++) {
    const struct lvn_fold_result *fold = &e->folds[f];
    (void)json_array_append_new(rows, json_pack("{s:I,s:o,s:o,s:o,s:o}", "fold", (json_int_t)fold->fold, "slices",
                                                count(fold->slice_count), "lesions", count(fold->lesion_count),
                                                "slice_figures", figures(e->classes, &fold->slice), "lesion_figures",
                                                figures(e->classes, &fold->lesion)));
  }
  return json_pack("{s:o,s:o,s:o}", "each", rows, "paper_per_slice", spreads(e->classes, e->paper), "per_lesion",
                   spreads(e->classes, e->lesion_folds));
}

static json_t *calibration_json(const struct lvn_evaluation *e) {
  json_t *bins = json_array();
  for (size_t b = 0; b < LVN_CALIBRATE_BINS; b++) {
    (void)json_array_append_new(bins, json_pack("{s:o,s:o,s:o}", "lesions", count(e->reliability[b].count),
                                                "confidence", real(e->reliability[b].confidence), "accuracy",
                                                real(e->reliability[b].accuracy)));
  }
  return json_pack("{s:o,s:o,s:o}", "reliability_bins", bins, "temperature_factor_on_these_lesions",
                   real(e->own_temperature_factor), "ece_after_cross_fitted_factor", real(e->recalibrated_ece));
}

static json_t *conformal_json(const struct lvn_evaluation *e) {
  json_t *rows = json_array();
  for (size_t a = 0; a < LVN_CONFORMAL_COUNT; a++) {
    const struct lvn_conformal_result *r = &e->conformal[a];
    (void)json_array_append_new(rows, json_pack("{s:f,s:o,s:o,s:o,s:o,s:f,s:o,s:o}", "wanted_coverage", 1.0 - r->alpha,
                                                "cases", count(r->count), "achieved_coverage",
                                                real(r->count == 0 ? NAN : (double)r->covered / (double)r->count),
                                                "achieved_coverage_95", interval(r->achieved), "expected_coverage_95",
                                                interval(r->expected), "mean_set_size", r->mean_set_size, "empty_sets",
                                                count(r->empty), "single_class_sets", count(r->single)));
  }
  return rows;
}

static json_t *unlike_json(unsigned classes, const struct lvn_unlike_result *unlike) {
  return json_pack("{s:o,s:o,s:o,s:o}", "distance_limit", real(unlike->limit), "lesions_beyond", count(unlike->beyond),
                   "auc_of_distance_for_wrong_answers", real(unlike->wrong_auc), "auc_of_distance_for_unseen_class",
                   per_class(classes, unlike->unseen_class_auc));
}

static json_t *decision_json(const struct lvn_evaluation *e) {
  json_t *threshold = json_array();
  json_t *model = json_array();
  json_t *all = json_array();
  for (size_t k = 0; k < LVN_DECISION_POINTS; k++) {
    (void)json_array_append_new(threshold, real(e->decision[k].threshold));
    (void)json_array_append_new(model, real(e->decision[k].model));
    (void)json_array_append_new(all, real(e->decision[k].all));
  }
  return json_pack("{s:s,s:o,s:o,s:o}", "acted_on", "HCC", "threshold", threshold, "net_benefit_model", model,
                   "net_benefit_all", all);
}

static json_t *roc_json(const struct lvn_evaluation *e) {
  json_t *object = json_object();
  for (unsigned c = lvn_classes_first(e->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(e->classes, c)) {
    json_t *fpr = json_array();
    json_t *tpr = json_array();
    for (size_t i = 0; i < e->roc[c].count; i++) {
      (void)json_array_append_new(fpr, real(e->roc[c].points[i].false_positive_rate));
      (void)json_array_append_new(tpr, real(e->roc[c].points[i].true_positive_rate));
    }
    set(object, lvn_class_name((enum lvn_class)c),
        json_pack("{s:o,s:o}", "false_positive_rate", fpr, "true_positive_rate", tpr));
  }
  return object;
}

static json_t *risk_json(const struct lvn_evaluation *e) {
  json_t *risk = json_array();
  for (size_t i = 0; i < e->level[LVN_LEVEL_LESION].count; i++) {
    (void)json_array_append_new(risk, real(e->risk[i]));
  }
  return json_pack("{s:o,s:o}", "aurc", real(e->aurc), "risk_by_lesions_taken", risk);
}

static json_t *subgroups_json(const struct lvn_evaluation *e) {
  json_t *rows = json_array();
  for (size_t g = 0; g < e->subgroup_count; g++) {
    const struct lvn_subgroup_result *group = &e->subgroups[g];
    (void)json_array_append_new(rows, json_pack("{s:s,s:s,s:o,s:o,s:o,s:o}", "by", group->by, "group", group->name,
                                                "lesions", count(group->count), "right", count(group->right),
                                                "accuracy_wilson_95", interval(group->accuracy_wilson), "figures",
                                                figures(e->classes, &group->figures)));
  }
  return rows;
}

static json_t *model_json(const struct lvn_package *package) {
  char digest[LVN_SHA256_TEXT_BYTES];
  if (package->manifest == NULL) {
    return json_null(); /* answers that no package gave */
  }
  lvn_sha256_to_text(package->manifest_sha256, digest);
  return json_pack("{s:s,s:s,s:s,s:s}", "name", package->name, "version", package->version, "manifest_sha256", digest,
                   "trained_on", package->trained_on);
}

static json_t *t_json(const struct lvn_t_test *test) {
  return json_pack("{s:o,s:o,s:o,s:o}", "difference", real(test->difference), "t", real(test->t), "degrees_of_freedom",
                   real(test->degrees), "p", real(test->p));
}

static json_t *comparison_json(const struct lvn_evaluation_subject *subject) {
  const unsigned classes = subject->evaluation->classes;
  const struct lvn_comparison *c = subject->comparison;
  json_t *areas = json_object();
  for (unsigned k = lvn_classes_first(classes); k < LVN_CLASS_COUNT; k = lvn_classes_next(classes, k)) {
    set(areas, lvn_class_name((enum lvn_class)k),
        json_pack("{s:o,s:o,s:o,s:o,s:o}", "auc", real(c->delong[k].auc_a), "auc_other", real(c->delong[k].auc_b), "z",
                  real(c->delong[k].z), "p", real(c->delong[k].p), "p_holm", real(c->delong_holm[k])));
  }
  return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "other", model_json(subject->other), "difference_per_lesion",
                   figures(classes, &c->difference), "paired_patient_bootstrap_95",
                   figure_intervals(classes, &c->bootstrap), "paired_patient_bootstrap_p",
                   figures(classes, &c->bootstrap_p), "delong_per_patient", areas, "paired_t_slice_accuracy",
                   t_json(&c->paired_t), "nadeau_bengio_t_slice_accuracy", t_json(&c->corrected_t));
}

/* What promotion compares with what the model has seen. */
static json_t *pixels_json(const struct lvn_dataset *dataset) {
  LVN_CLEANUP(lvn_lineage_clear) struct lvn_lineage lineage = {0};
  struct lvn_error err = {0};
  bool good = true;
  for (size_t i = 0; good && i < lvn_dataset_count(dataset); i++) {
    size_t images = 0;
    const uint8_t *image = lvn_dataset_images(dataset, i, &images);
    good = lvn_lineage_add(&lineage, lvn_dataset_pixels(dataset, i), &err);
    for (size_t k = 0; good && k < images; k++) {
      good = lvn_lineage_add(&lineage, image + k * LVN_SHA256_BYTES, &err);
    }
  }
  LVN_AUTOFREE char *text = good ? lvn_lineage_to_text(&lineage, &err) : NULL;
  return json_string(text == NULL ? "" : text);
}

static void set_heads(json_t *root, const struct lvn_evaluation_subject *subject) {
  char data[LVN_SHA256_TEXT_BYTES];
  char now[LVN_TIME_TEXT_BYTES];
  json_t *models = json_array();
  size_t total = lvn_dataset_count(subject->dataset);
  size_t answered = subject->answers->lesion_count + subject->answers->outlier_count;
  lvn_clock_format_utc(lvn_clock_wall_ms(), now);
  lvn_sha256_to_text(lvn_dataset_sha256(subject->dataset), data);
  for (size_t i = 0; i < subject->package_count; i++) {
    (void)json_array_append_new(models, model_json(&subject->packages[i]));
  }
  set(root, "format", json_string("livervlm-evaluation"));
  set(root, "format_version", json_integer(1));
  set(root, "created", json_string(now));
  set(root, "notice", json_string(LVN_RESEARCH_NOTICE));
  /* Several models have answered a part each: no figure here is that of one of them. */
  set(root, "model", subject->package_count == 1 ? model_json(&subject->packages[0]) : json_null());
  set(root, "models", models);
  set(root, "data",
      json_pack("{s:s,s:s,s:o,s:o,s:o}", "source", lvn_dataset_source(subject->dataset), "manifest_sha256", data,
                "lesions_left_out", count(total > answered ? total - answered : 0), "lesions_seen_in_training",
                count(subject->seen_in_training), "pixels", pixels_json(subject->dataset)));
  set(root, "device", json_string(subject->device));
  set(root, "order_ensemble", json_boolean(subject->permutation_ensemble));
}

/* The figures per lesion that are looked for first. */
static void set_summary(json_t *root, const struct lvn_evaluation_subject *subject) {
  const struct lvn_evaluation *e = subject->evaluation;
  const struct lvn_level_result *lesion = &e->level[LVN_LEVEL_LESION];
  size_t abstained = 0;
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    abstained += e->abstained[c];
  }
  set(root, "classes", class_names(e->classes));
  set(root, "lesions", count(lesion->count));
  set(root, "slices", count(e->level[LVN_LEVEL_SLICE].count));
  set(root, "patients", count(e->patient_count));
  set(root, "accuracy", real(lesion->figures.accuracy));
  set(root, "accuracy_wilson_95", interval(lesion->accuracy_wilson));
  set(root, "accuracy_answered", real(e->accuracy_answered));
  set(root, "accuracy_answered_wilson_95", interval(e->accuracy_answered_wilson));
  set(root, "recall_answered", per_class(e->classes, e->recall_answered));
  set(root, "ece_answered", real(e->ece_answered));
  set(root, "abstained", count(abstained));
  set(root, "abstained_wrong", count(e->abstained_wrong));
  set(root, "balanced_accuracy", real(lesion->figures.balanced_accuracy));
  set(root, "recall", per_class(e->classes, lesion->figures.recall));
  set(root, "auc", per_class(e->classes, lesion->figures.auc));
  set(root, "macro_auc", real(lesion->figures.macro_auc));
  set(root, "ece_15_bins", real(lesion->ece));
  set(root, "confusion_truth_by_answer", confusion(e->classes, lesion->confusion));
  set(root, "threshold_rule_accuracy", real(e->threshold_accuracy));
  set(root, "nearest_mean_accuracy", real(e->nearest_mean_accuracy));
  set(root, "seconds_in_classifier", real(subject->answers->seconds));
}

bool lvn_evaluation_write_json(const struct lvn_evaluation_subject *subject, const char *path, struct lvn_error *err) {
  const struct lvn_evaluation *e = subject->evaluation;
  LVN_CLEANUP(lvn_json_cleanup) json_t *root = json_object();
  json_t *levels = json_object();
  set_heads(root, subject);
  set_summary(root, subject);
  for (int level = LVN_LEVEL_COUNT; level-- > 0;) {
    set(levels, lvn_level_name((enum lvn_level)level), level_json(e->classes, &e->level[level]));
  }
  set(root, "levels", levels);
  set(root, "bootstrap",
      json_pack("{s:o,s:I}", "resamples", count(e->options.resamples), "seed", (json_int_t)e->options.seed));
  set(root, "folds", folds_json(e));
  set(root, "calibration", calibration_json(e));
  set(root, "conformal_per_patient", conformal_json(e));
  set(root, "out_of_distribution", unlike_json(e->classes, &e->unlike));
  json_t *outliers = lvn_evaluation_outliers_json(subject->answers);
  if (outliers != NULL) {
    set(root, "outliers", outliers);
  }
  set(root, "risk_coverage", risk_json(e));
  set(root, "decision_curve", decision_json(e));
  set(root, "roc", roc_json(e));
  set(root, "subgroups", subgroups_json(e));
  if (subject->comparison != NULL) {
    set(root, "comparison", comparison_json(subject));
  }
  return lvn_json_write(path, root, err);
}
