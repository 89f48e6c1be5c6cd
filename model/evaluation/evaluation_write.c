#include "model/evaluation/evaluation_write.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *lvn_figure_name(size_t figure) {
  static const char *const names[LVN_FIGURE_COUNT] = {
      "accuracy",   "balanced_accuracy", "macro_auc",      "recall_CYST",    "recall_FNH", "recall_HCC",
      "recall_HEM", "recall_METASTASIS", "recall_ICC",     "recall_ABSCESS", "auc_CYST",   "auc_FNH",
      "auc_HCC",    "auc_HEM",           "auc_METASTASIS", "auc_ICC",        "auc_ABSCESS"};
  return names[figure];
}

size_t lvn_figure_next(unsigned classes, size_t figure) {
  size_t next = figure + 1;
  while (next >= 3 && next < LVN_FIGURE_COUNT && !lvn_classes_have(classes, (unsigned)((next - 3) % LVN_CLASS_COUNT))) {
    next++;
  }
  return next;
}

double lvn_figure_get(const struct lvn_figures *figures, size_t figure) {
  double value[LVN_FIGURE_COUNT];
  memcpy(value, figures, sizeof value);
  return value[figure];
}

static void print_folds(FILE *stream, const struct lvn_evaluation *e) {
  if (e->fold_count < 2) {
    return;
  }
  (void)fprintf(stream, "\nper slice, mean of %zu folds +- population deviation, as the paper has it\n", e->fold_count);
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(e->classes, f)) {
    (void)fprintf(stream, "%-21s %.3f +- %.3f\n", lvn_figure_name(f), e->paper[f].mean, e->paper[f].deviation);
  }
}

static void print_comparison(FILE *stream, const struct lvn_evaluation_subject *subject) {
  const struct lvn_comparison *c = subject->comparison;
  if (c == NULL) {
    return;
  }
  (void)fprintf(stream, "\nagainst %s %s, per lesion, paired bootstrap over patients\n", subject->other->name,
                subject->other->version);
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(subject->answers->classes, f)) {
    (void)fprintf(stream, "%-21s %+.3f  (95 %% %+.3f to %+.3f, p %.3f)\n", lvn_figure_name(f),
                  lvn_figure_get(&c->difference, f), lvn_figure_get(&c->bootstrap.low, f),
                  lvn_figure_get(&c->bootstrap.high, f), lvn_figure_get(&c->bootstrap_p, f));
  }
}

static int width_of(enum lvn_class lesion_class) {
  size_t width = strlen(lvn_class_name(lesion_class));
  return width > 5 ? (int)width : 5;
}

static void print_classes(FILE *stream, const struct lvn_evaluation *e) {
  const struct lvn_level_result *lesion = &e->level[LVN_LEVEL_LESION];
  (void)fprintf(stream, "\ntruth       recall  answered    AUC  abstained  answers ");
  for (unsigned c = lvn_classes_first(e->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(e->classes, c)) {
    (void)fprintf(stream, " %*s", width_of((enum lvn_class)c), lvn_class_name((enum lvn_class)c));
  }
  (void)fprintf(stream, "\n");
  for (unsigned truth = lvn_classes_first(e->classes); truth < LVN_CLASS_COUNT;
       truth = lvn_classes_next(e->classes, truth)) {
    (void)fprintf(stream, "%-10s  %6.3f  %8.3f  %5.3f  %9zu          ", lvn_class_name((enum lvn_class)truth),
                  lesion->figures.recall[truth], e->recall_answered[truth], lesion->figures.auc[truth],
                  e->abstained[truth]);
    for (unsigned answer = lvn_classes_first(e->classes); answer < LVN_CLASS_COUNT;
         answer = lvn_classes_next(e->classes, answer)) {
      (void)fprintf(stream, " %*zu", width_of((enum lvn_class)answer), lesion->confusion[truth][answer]);
    }
    (void)fprintf(stream, "\n");
  }
}

static void print_text(FILE *stream, const struct lvn_evaluation_subject *subject) {
  const struct lvn_evaluation *e = subject->evaluation;
  const struct lvn_level_result *lesion = &e->level[LVN_LEVEL_LESION];
  const struct lvn_figure_intervals *boot = &lesion->bootstrap;
  (void)fprintf(stream, "model %s %s", subject->packages[0].name, subject->packages[0].version);
  if (subject->package_count > 1) {
    (void)fprintf(stream, " and %zu others, one per fold,", subject->package_count - 1);
  }
  (void)fprintf(stream, " on %zu lesions of %zu patients\n\n", lesion->count, e->patient_count);
  (void)fprintf(stream, "accuracy              %.3f  (95 %% over patients %.3f-%.3f; Wilson %.3f-%.3f)\n",
                lesion->figures.accuracy, boot->low.accuracy, boot->high.accuracy, lesion->accuracy_wilson.low,
                lesion->accuracy_wilson.high);
  (void)fprintf(stream, "accuracy, answered    %.3f  (Wilson %.3f-%.3f; calibration error %.3f)\n",
                e->accuracy_answered, e->accuracy_answered_wilson.low, e->accuracy_answered_wilson.high,
                e->ece_answered);
  (void)fprintf(stream, "balanced accuracy     %.3f  (%.3f-%.3f)\n", lesion->figures.balanced_accuracy,
                boot->low.balanced_accuracy, boot->high.balanced_accuracy);
  (void)fprintf(stream, "macro AUC             %.3f  (%.3f-%.3f)\n", lesion->figures.macro_auc, boot->low.macro_auc,
                boot->high.macro_auc);
  (void)fprintf(stream, "calibration error     %.3f\n", lesion->ece);
  (void)fprintf(stream, "conformal, 90 %%       %.3f covered, %.2f classes per set\n",
                (double)e->conformal[1].covered / (double)e->conformal[1].count, e->conformal[1].mean_set_size);
  (void)fprintf(stream, "threshold rule        %.3f\n", e->threshold_accuracy);
  if (isfinite(e->nearest_mean_accuracy)) {
    (void)fprintf(stream, "nearest-mean rule     %.3f\n", e->nearest_mean_accuracy);
  }
  print_classes(stream, e);
  lvn_evaluation_print_outliers(stream, subject->answers);
  print_folds(stream, e);
  print_comparison(stream, subject);
}

static bool write_text(const struct lvn_evaluation_subject *subject, const char *path, struct lvn_error *err) {
  LVN_AUTOFREE char *text = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&text, &bytes);
  if (stream == NULL) {
    return lvn_error_set_errno(err, errno, "evaluation.txt");
  }
  print_text(stream, subject);
  if (fclose(stream) != 0) {
    return lvn_error_set_errno(err, errno, "evaluation.txt");
  }
  return lvn_file_replace(path, text, bytes, 0644, err);
}

bool lvn_evaluation_write(const struct lvn_evaluation_subject *subject, const char *folder, struct lvn_error *err) {
  char json[LVN_PATH_BYTES];
  char text[LVN_PATH_BYTES];
  return lvn_file_make_folder(folder, 0755, err) && lvn_path_join(json, folder, "evaluation.json", err) &&
         lvn_evaluation_write_json(subject, json, err) && lvn_path_join(text, folder, "evaluation.txt", err) &&
         write_text(subject, text, err) && lvn_evaluation_write_tables(subject, folder, err);
}
