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

const char *lvn_figure_text(double value, int decimals, char ret_text[LVN_FIGURE_TEXT_BYTES]) {
  (void)snprintf(ret_text, LVN_FIGURE_TEXT_BYTES, "%.*f", decimals, value);
  if (!isfinite(value)) {
    (void)lvn_copy(ret_text, LVN_FIGURE_TEXT_BYTES, "-");
  }
  return ret_text;
}

/* "+0.012" */
static const char *difference_text(double value, char ret_text[LVN_FIGURE_TEXT_BYTES]) {
  (void)snprintf(ret_text, LVN_FIGURE_TEXT_BYTES, "%+.3f", value);
  return isfinite(value) ? ret_text : lvn_figure_text(value, 3, ret_text);
}

/* "0.801-0.932" */
static const char *range_text(double low, double high, char ret_text[2 * LVN_FIGURE_TEXT_BYTES]) {
  char text[2][LVN_FIGURE_TEXT_BYTES];
  (void)snprintf(ret_text, (size_t)2 * LVN_FIGURE_TEXT_BYTES, "%s-%s", lvn_figure_text(low, 3, text[0]),
                 lvn_figure_text(high, 3, text[1]));
  if (!isfinite(low) && !isfinite(high)) {
    (void)lvn_copy(ret_text, (size_t)2 * LVN_FIGURE_TEXT_BYTES, "-");
  }
  return ret_text;
}

static void print_folds(FILE *stream, const struct lvn_evaluation *e) {
  if (e->fold_count < 2) {
    return;
  }
  (void)fprintf(stream, "\nper slice, mean of %zu folds +- population deviation, as the paper has it\n", e->fold_count);
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(e->classes, f)) {
    char text[2][LVN_FIGURE_TEXT_BYTES];
    (void)fprintf(stream, "%-21s %s +- %s\n", lvn_figure_name(f), lvn_figure_text(e->paper[f].mean, 3, text[0]),
                  lvn_figure_text(e->paper[f].deviation, 3, text[1]));
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
    char text[4][LVN_FIGURE_TEXT_BYTES];
    (void)fprintf(stream, "%-21s %s  (95 %% %s to %s, p %s)\n", lvn_figure_name(f),
                  difference_text(lvn_figure_get(&c->difference, f), text[0]),
                  difference_text(lvn_figure_get(&c->bootstrap.low, f), text[1]),
                  difference_text(lvn_figure_get(&c->bootstrap.high, f), text[2]),
                  lvn_figure_text(lvn_figure_get(&c->bootstrap_p, f), 3, text[3]));
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
    char text[3][LVN_FIGURE_TEXT_BYTES];
    (void)fprintf(stream, "%-10s  %6s  %8s  %5s  %9zu          ", lvn_class_name((enum lvn_class)truth),
                  lvn_figure_text(lesion->figures.recall[truth], 3, text[0]),
                  lvn_figure_text(e->recall_answered[truth], 3, text[1]),
                  lvn_figure_text(lesion->figures.auc[truth], 3, text[2]), e->abstained[truth]);
    for (unsigned answer = lvn_classes_first(e->classes); answer < LVN_CLASS_COUNT;
         answer = lvn_classes_next(e->classes, answer)) {
      (void)fprintf(stream, " %*zu", width_of((enum lvn_class)answer), lesion->confusion[truth][answer]);
    }
    (void)fprintf(stream, "\n");
  }
}

static void print_head(FILE *stream, const struct lvn_evaluation_subject *subject) {
  (void)fprintf(stream, "model %s %s", subject->packages[0].name, subject->packages[0].version);
  if (subject->package_count > 1) {
    (void)fprintf(stream, " and %zu others, one per fold,", subject->package_count - 1);
  }
  (void)fprintf(stream, " on %zu lesions of %zu patients\n\n", subject->evaluation->level[LVN_LEVEL_LESION].count,
                subject->evaluation->patient_count);
}

static void print_answered(FILE *stream, const struct lvn_evaluation *e) {
  const struct lvn_interval *wilson = &e->accuracy_answered_wilson;
  char text[2][LVN_FIGURE_TEXT_BYTES];
  char range[2 * LVN_FIGURE_TEXT_BYTES];
  if (!isfinite(e->accuracy_answered)) {
    (void)fprintf(stream, "accuracy, answered    -  (none was answered)\n");
    return;
  }
  (void)fprintf(stream, "accuracy, answered    %s  (Wilson %s; calibration error %s)\n",
                lvn_figure_text(e->accuracy_answered, 3, text[0]), range_text(wilson->low, wilson->high, range),
                lvn_figure_text(e->ece_answered, 3, text[1]));
}

static void print_text(FILE *stream, const struct lvn_evaluation_subject *subject) {
  const struct lvn_evaluation *e = subject->evaluation;
  const struct lvn_level_result *lesion = &e->level[LVN_LEVEL_LESION];
  const struct lvn_figure_intervals *boot = &lesion->bootstrap;
  char text[2][LVN_FIGURE_TEXT_BYTES];
  char range[2][2 * LVN_FIGURE_TEXT_BYTES];
  print_head(stream, subject);
  (void)fprintf(stream, "accuracy              %s  (95 %% over patients %s; Wilson %s)\n",
                lvn_figure_text(lesion->figures.accuracy, 3, text[0]),
                range_text(boot->low.accuracy, boot->high.accuracy, range[0]),
                range_text(lesion->accuracy_wilson.low, lesion->accuracy_wilson.high, range[1]));
  print_answered(stream, e);
  (void)fprintf(stream, "balanced accuracy     %s  (%s)\n",
                lvn_figure_text(lesion->figures.balanced_accuracy, 3, text[0]),
                range_text(boot->low.balanced_accuracy, boot->high.balanced_accuracy, range[0]));
  (void)fprintf(stream, "macro AUC             %s  (%s)\n", lvn_figure_text(lesion->figures.macro_auc, 3, text[0]),
                range_text(boot->low.macro_auc, boot->high.macro_auc, range[0]));
  (void)fprintf(stream, "calibration error     %s\n", lvn_figure_text(lesion->ece, 3, text[0]));
  (void)fprintf(stream, "conformal, 90 %%       %s covered, %s classes per set\n",
                lvn_figure_text((double)e->conformal[1].covered / (double)e->conformal[1].count, 3, text[0]),
                lvn_figure_text(e->conformal[1].count == 0 ? (double)NAN : e->conformal[1].mean_set_size, 2, text[1]));
  (void)fprintf(stream, "threshold rule        %s\n", lvn_figure_text(e->threshold_accuracy, 3, text[0]));
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
