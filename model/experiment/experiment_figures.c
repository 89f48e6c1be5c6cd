#include "model/experiment/experiment_figures.h"

#include "base/memory.h"
#include "model/train/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct lvn_bootstrap_options lvn_experiment_bootstrap = {.resamples = 2000, .seed = 1, .level = LVN_STATS_LEVEL};

static int compare_predictions(const void *a, const void *b) {
  const struct lvn_slice_prediction *x = a;
  const struct lvn_slice_prediction *y = b;
  int order = strcmp(x->patient_key, y->patient_key);
  order = order != 0 ? order : strcmp(x->lesion_key, y->lesion_key);
  return order != 0 ? order : (x->slice > y->slice) - (x->slice < y->slice);
}

static bool read_folds(const struct lvn_experiment_row *row, const char *output, const struct lvn_folds *folds,
                       struct lvn_experiment_figures *figures, struct lvn_error *err) {
  LVN_AUTOFREE char *name =
      row->test[0] == '\0' ? lvn_strdup(LVN_PREDICTIONS_FILE, err) : lvn_format(err, "predictions-%s.csv", row->test);
  figures->is_complete = !row->is_missing;
  for (size_t f = 0; name != NULL && figures->is_complete && f < folds->fold_count; f++) {
    char folder[LVN_PATH_BYTES];
    char path[LVN_PATH_BYTES];
    if (!lvn_experiment_fold_folder(row, output, folds->numbers[f], folder, err) ||
        !lvn_path_join(path, folder, name, err)) {
      return false;
    }
    figures->is_complete = lvn_file_exists(path);
    if (figures->is_complete && !lvn_predictions_read(path, &figures->predictions, err)) {
      return false;
    }
  }
  if (name == NULL) {
    return false;
  }
  if (figures->predictions.items != NULL) {
    qsort(figures->predictions.items, figures->predictions.count, sizeof *figures->predictions.items,
          compare_predictions);
  }
  return true;
}

static bool make_cases(size_t capacity, struct lvn_experiment_cases *cases, struct lvn_error *err) {
  cases->label = lvn_alloc(capacity, sizeof *cases->label, err);
  cases->patient = cases->label == NULL ? NULL : lvn_alloc(capacity, sizeof *cases->patient, err);
  cases->probability = cases->patient == NULL ? NULL : lvn_alloc(capacity, sizeof *cases->probability, err);
  return cases->probability != NULL;
}

static void clear_cases(struct lvn_experiment_cases *cases) {
  lvn_free(cases->label);
  lvn_free(cases->patient);
  lvn_free(cases->probability);
  *cases = (struct lvn_experiment_cases){0};
}

static void finish_cases(struct lvn_experiment_cases *cases, unsigned classes, size_t count) {
  cases->sample = (struct lvn_sample){.count = count,
                                      .classes = classes,
                                      .label = cases->label,
                                      .probability = (const double(*)[LVN_CLASS_COUNT])cases->probability,
                                      .patient = cases->patient,
                                      .patient_count = count == 0 ? 0 : cases->patient[count - 1] + 1};
}

/* Number of the patient, ascending with the sorted predictions. */
static size_t next_patient(const struct lvn_predictions *p, size_t i, size_t last_used, size_t last_number) {
  bool same = i > 0 && strcmp(p->items[i].patient_key, p->items[last_used].patient_key) == 0;
  return i == 0 ? 0 : last_number + !same;
}

/* Slices of one fold. */
static bool fold_figures(const struct lvn_predictions *p, unsigned fold, struct lvn_figures *ret_figures,
                         struct lvn_error *err) {
  struct lvn_experiment_cases cases = {0};
  size_t count = 0;
  bool good = make_cases(p->count, &cases, err);
  for (size_t i = 0; good && i < p->count; i++) {
    if (p->items[i].fold == fold) {
      cases.label[count] = p->items[i].truth;
      cases.patient[count] = count; /* the figures alone do not look at it */
      lvn_calibrate_softmax(p->items[i].logit, 1.0, cases.probability[count++]);
    }
  }
  if (good) {
    finish_cases(&cases, p->classes, count);
    good = lvn_stats_figures(&cases.sample, ret_figures, err);
  }
  clear_cases(&cases);
  return good;
}

static bool all_folds(const struct lvn_folds *folds, struct lvn_experiment_figures *figures, struct lvn_error *err) {
  double auc[LVN_TRAIN_FOLDS_MAX];
  double recall[LVN_CLASS_COUNT][LVN_TRAIN_FOLDS_MAX];
  figures->fold_count = folds->fold_count;
  for (size_t f = 0; f < folds->fold_count; f++) {
    struct lvn_figures slice;
    if (!fold_figures(&figures->predictions, folds->numbers[f], &slice, err)) {
      return false;
    }
    figures->fold_accuracy[f] = slice.accuracy;
    auc[f] = slice.macro_auc;
    for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
      recall[c][f] = slice.recall[c];
    }
  }
  figures->accuracy = lvn_stats_population_spread(figures->fold_accuracy, folds->fold_count);
  figures->macro_auc = lvn_stats_population_spread(auc, folds->fold_count);
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    figures->recall[c] = lvn_stats_population_spread(recall[c], folds->fold_count);
  }
  return true;
}

/* Mean of a lesion's logits; log-probabilities differ from logits by a number per slice that the softmax takes away. */
static bool all_lesions(struct lvn_experiment_figures *figures, struct lvn_error *err) {
  const struct lvn_predictions *p = &figures->predictions;
  size_t count = 0;
  size_t last = 0;
  if (!make_cases(p->count, &figures->lesions, err)) {
    return false;
  }
  for (size_t i = 0; i < p->count;) {
    double mean[LVN_CLASS_COUNT] = {0};
    size_t first = i;
    for (; i < p->count && strcmp(p->items[i].lesion_key, p->items[first].lesion_key) == 0; i++) {
      for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
        mean[c] += p->items[i].logit[c];
      }
    }
    for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
      mean[c] /= (double)(i - first);
    }
    figures->lesions.label[count] = p->items[first].truth;
    figures->lesions.patient[count] =
        next_patient(p, first, last, count == 0 ? 0 : figures->lesions.patient[count - 1]);
    lvn_calibrate_softmax(mean, 1.0, figures->lesions.probability[count++]);
    last = first;
  }
  finish_cases(&figures->lesions, p->classes, count);
  return lvn_stats_figures(&figures->lesions.sample, &figures->lesion, err) &&
         lvn_stats_bootstrap(&figures->lesions.sample, &lvn_experiment_bootstrap, &figures->interval, err);
}

bool lvn_experiment_figures(const struct lvn_experiment_row *row, const char *output_folder,
                            const struct lvn_folds *folds, struct lvn_experiment_figures *ret_figures,
                            struct lvn_error *err) {
  struct lvn_experiment_figures figures = {0};
  bool good = read_folds(row, output_folder, folds, &figures, err);
  if (good && figures.is_complete) {
    good = all_folds(folds, &figures, err) && all_lesions(&figures, err);
  }
  if (!good) {
    lvn_experiment_figures_clear(&figures);
    return lvn_error_prefix(err, "row %s", row->name);
  }
  *ret_figures = figures;
  return true;
}

void lvn_experiment_figures_clear(struct lvn_experiment_figures *figures) {
  lvn_predictions_clear(&figures->predictions);
  clear_cases(&figures->lesions);
}
