#include "base/file.h"
#include "base/memory.h"
#include "model/evaluation/evaluation_write.h"
#include "model/evaluation/levels.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* RFC 4180: text in quotes, quotes doubled. */
static void put_text(FILE *stream, const char *text) {
  (void)fputc('"', stream);
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"') {
      (void)fputc('"', stream);
    }
    (void)fputc(*c, stream);
  }
  (void)fputc('"', stream);
}

/* Empty where it is not defined. */
static void put_number(FILE *stream, double value) {
  if (isfinite(value)) {
    (void)fprintf(stream, ",%.9g", value);
  } else {
    (void)fputc(',', stream);
  }
}

static void put_classes(FILE *stream, unsigned classes, const char *prefix) {
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    (void)fprintf(stream, ",%s%s", prefix, lvn_class_name((enum lvn_class)c));
  }
}

static void put_figure(FILE *stream, const char *level, const char *name, double value, struct lvn_interval interval,
                       const char *kind) {
  (void)fprintf(stream, "%s,%s", level, name);
  put_number(stream, value);
  put_number(stream, interval.low);
  put_number(stream, interval.high);
  (void)fprintf(stream, ",%s\n", kind);
}

static void put_level(FILE *stream, unsigned classes, const char *name, const struct lvn_level_result *level) {
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(classes, f)) {
    const struct lvn_interval interval = {lvn_figure_get(&level->bootstrap.low, f),
                                          lvn_figure_get(&level->bootstrap.high, f)};
    put_figure(stream, name, lvn_figure_name(f), lvn_figure_get(&level->figures, f), interval, "patient bootstrap 95");
  }
  put_figure(stream, name, "accuracy", level->figures.accuracy, level->accuracy_wilson, "Wilson 95");
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    put_figure(stream, name, lvn_figure_name(3 + c), level->figures.recall[c], level->recall_wilson[c], "Wilson 95");
    put_figure(stream, name, lvn_figure_name(3 + LVN_CLASS_COUNT + c), level->figures.auc[c], level->auc_delong[c],
               "DeLong 95");
  }
  const struct lvn_interval none = {NAN, NAN};
  put_figure(stream, name, "ece_15_bins", level->ece, none, "");
  put_figure(stream, name, "ece_adaptive_15_bins", level->adaptive_ece, none, "");
  put_figure(stream, name, "brier", level->brier, none, "");
  put_figure(stream, name, "log_loss", level->log_loss, none, "");
}

static void put_figures(FILE *stream, const struct lvn_evaluation_subject *subject) {
  const struct lvn_evaluation *e = subject->evaluation;
  (void)fprintf(stream, "level,figure,value,low,high,interval\n");
  for (int level = LVN_LEVEL_COUNT; level-- > 0;) {
    put_level(stream, e->classes, lvn_level_name((enum lvn_level)level), &e->level[level]);
  }
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(e->classes, f)) {
    const struct lvn_interval spread = {e->paper[f].mean - e->paper[f].deviation,
                                        e->paper[f].mean + e->paper[f].deviation};
    put_figure(stream, "slice by fold", lvn_figure_name(f), e->paper[f].mean, spread, "mean -+ population SD of folds");
  }
}

static void put_lesions(FILE *stream, const struct lvn_evaluation_subject *subject) {
  (void)fprintf(stream, "lesion,patient,fold,truth,answer,abstained,reason,slices,long_axis_mm,slice_thickness_mm,"
                        "margin,feature_distance,order_disagreement");
  put_classes(stream, subject->answers->classes, "cosine_");
  put_classes(stream, subject->answers->classes, "probability_");
  (void)fprintf(stream, ",outlier_score\n");
  for (size_t i = 0; i < subject->answers->lesion_count; i++) {
    const struct lvn_case_prediction *answer = &subject->answers->lesions[i];
    put_text(stream, answer->lesion_id);
    (void)fputc(',', stream);
    put_text(stream, answer->patient_key);
    (void)fprintf(stream, ",%u,%s,%s,%s,", answer->fold, lvn_class_name(answer->truth),
                  lvn_class_name(answer->top_class), answer->abstained ? "yes" : "no");
    put_text(stream, answer->abstention_reason);
    (void)fprintf(stream, ",%zu", answer->slice_count);
    put_number(stream, answer->long_axis_mm);
    put_number(stream, answer->slice_thickness_mm);
    put_number(stream, answer->margin);
    put_number(stream, answer->feature_distance);
    put_number(stream, answer->permutation_disagreement);
    for (unsigned c = lvn_classes_first(subject->answers->classes); c < LVN_CLASS_COUNT;
         c = lvn_classes_next(subject->answers->classes, c)) {
      put_number(stream, answer->cosine[c]);
    }
    for (unsigned c = lvn_classes_first(subject->answers->classes); c < LVN_CLASS_COUNT;
         c = lvn_classes_next(subject->answers->classes, c)) {
      put_number(stream, answer->probability[c]);
    }
    put_number(stream, answer->outlier_score);
    (void)fprintf(stream, "\n");
  }
}

static void put_outliers(FILE *stream, const struct lvn_evaluation_subject *subject) {
  (void)fprintf(stream, "lesion,kind,answer,abstained,probability,outlier_score\n");
  for (size_t i = 0; i < subject->answers->outlier_count; i++) {
    const struct lvn_case_prediction_outlier *outlier = &subject->answers->outliers[i];
    put_text(stream, outlier->lesion_id);
    (void)fputc(',', stream);
    put_text(stream, outlier->kind);
    (void)fprintf(stream, ",%s,%s", lvn_class_name(outlier->top_class), outlier->abstained ? "yes" : "no");
    put_number(stream, outlier->probability);
    put_number(stream, outlier->outlier_score);
    (void)fprintf(stream, "\n");
  }
}

static void put_slices(FILE *stream, const struct lvn_evaluation_subject *subject) {
  (void)fprintf(stream, "lesion,slice,is_key,fold,truth,answer");
  put_classes(stream, subject->answers->classes, "probability_");
  (void)fprintf(stream, "\n");
  for (size_t i = 0; i < subject->answers->slice_count; i++) {
    const struct lvn_case_prediction_slice *slice = &subject->answers->slices[i];
    const struct lvn_case_prediction *answer = &subject->answers->lesions[slice->lesion];
    put_text(stream, answer->lesion_id);
    (void)fprintf(stream, ",%zu,%s,%u,%s,%s", i - answer->first_slice, slice->is_key ? "yes" : "no", answer->fold,
                  lvn_class_name(answer->truth), lvn_class_name(lvn_stats_top_class(slice->probability)));
    for (unsigned c = lvn_classes_first(subject->answers->classes); c < LVN_CLASS_COUNT;
         c = lvn_classes_next(subject->answers->classes, c)) {
      put_number(stream, slice->probability[c]);
    }
    (void)fprintf(stream, "\n");
  }
}

static bool write_table(const struct lvn_evaluation_subject *subject, const char *folder, const char *name,
                        void (*put)(FILE *, const struct lvn_evaluation_subject *), struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE char *text = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&text, &bytes);
  if (stream == NULL) {
    return lvn_error_set_errno(err, errno, "%s", name);
  }
  put(stream, subject);
  if (fclose(stream) != 0) {
    return lvn_error_set_errno(err, errno, "%s", name);
  }
  return lvn_path_join(path, folder, name, err) && lvn_file_replace(path, text, bytes, 0644, err);
}

bool lvn_evaluation_write_tables(const struct lvn_evaluation_subject *subject, const char *folder,
                                 struct lvn_error *err) {
  return write_table(subject, folder, "figures.csv", put_figures, err) &&
         write_table(subject, folder, "lesions.csv", put_lesions, err) &&
         write_table(subject, folder, "slices.csv", put_slices, err) &&
         (subject->answers->outlier_count == 0 || write_table(subject, folder, "outliers.csv", put_outliers, err));
}
