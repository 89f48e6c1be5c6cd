#include "base/memory.h"
#include "model/experiment/experiment_figures.h"
#include "model/tensor/json.h"

#include <math.h>
#include <string.h>

static const struct {
  unsigned number;
  const char *title;
} tables[] = {
    {3, "Pretraining strategies"},
    {4, "Phase-shuffle pretraining against SimSiam with as many steps"},
    {5, "Image encoders"},
    {6, "Aligned against misregistered phases"},
    {7, "Prompt and phase-shuffle augmentation"},
    {8, "Augmentation with a linear layer and with prompts"},
    {9, "Comparison"},
};

struct report {
  const struct lvn_experiment *experiment;
  struct lvn_experiment_figures *figures; /* one of each row */
  json_t *json;
  FILE *streams[2];
  struct lvn_error *err;
};

static void say(const struct report *report, const char *text) {
  for (size_t i = 0; i < 2; i++) {
    (void)fputs(text, report->streams[i]);
  }
}

static void say_row(const struct report *report, size_t r) {
  const struct lvn_experiment_figures *f = &report->figures[r];
  const struct lvn_experiment_row *row = &report->experiment->rows[r];
  char line[512];
  if (!f->is_complete) {
    (void)snprintf(line, sizeof line, "%-52.52s not run%s\n", row->title,
                   row->is_missing ? ": its weights file is not there" : " to its end");
    say(report, line);
    return;
  }
  (void)snprintf(line, sizeof line,
                 "%-52.52s %5.1f ± %4.1f  %5.1f ± %4.1f  %5.1f ± %4.1f  %5.1f ± %4.1f  %5.2f ± %5.2f  %.2f ± %.2f  | "
                 "%5.1f (%.1f-%.1f)  %.3f (%.3f-%.3f)\n",
                 row->title, 100 * f->recall[0].mean, 100 * f->recall[0].deviation, 100 * f->recall[1].mean,
                 100 * f->recall[1].deviation, 100 * f->recall[2].mean, 100 * f->recall[2].deviation,
                 100 * f->recall[3].mean, 100 * f->recall[3].deviation, 100 * f->accuracy.mean,
                 100 * f->accuracy.deviation, f->macro_auc.mean, f->macro_auc.deviation, 100 * f->lesion.accuracy,
                 100 * f->interval.low.accuracy, 100 * f->interval.high.accuracy, f->lesion.macro_auc,
                 f->interval.low.macro_auc, f->interval.high.macro_auc);
  say(report, line);
}

static json_t *spread_json(struct lvn_spread spread) {
  return json_pack("{s:o,s:o,s:I}", "mean", isfinite(spread.mean) ? json_real(spread.mean) : json_null(),
                   "population_deviation", isfinite(spread.deviation) ? json_real(spread.deviation) : json_null(),
                   "folds", (json_int_t)spread.count);
}

static json_t *number_json(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *row_json(const struct lvn_experiment_row *row, const struct lvn_experiment_figures *f) {
  json_t *json = json_pack("{s:s,s:s,s:s,s:b}", "row", row->name, "title", row->title, "recipe_sha256", row->digest,
                           "complete", f->is_complete);
  if (!f->is_complete) {
    return json;
  }
  json_t *recall = json_object();
  for (unsigned c = lvn_classes_first(f->predictions.classes); c < LVN_CLASS_COUNT;
       c = lvn_classes_next(f->predictions.classes, c)) {
    (void)json_object_set_new(recall, lvn_class_name((enum lvn_class)c), spread_json(f->recall[c]));
  }
  (void)json_object_set_new(json, "per_slice_over_folds",
                            json_pack("{s:o,s:o,s:o}", "accuracy", spread_json(f->accuracy), "macro_auc",
                                      spread_json(f->macro_auc), "recall", recall));
  (void)json_object_set_new(
      json, "per_lesion",
      json_pack("{s:I,s:I,s:o,s:[o,o],s:o,s:[o,o],s:o}", "lesions", (json_int_t)f->lesions.sample.count, "patients",
                (json_int_t)f->lesions.sample.patient_count, "accuracy", number_json(f->lesion.accuracy),
                "accuracy_bootstrap_95", number_json(f->interval.low.accuracy), number_json(f->interval.high.accuracy),
                "macro_auc", number_json(f->lesion.macro_auc), "macro_auc_bootstrap_95",
                number_json(f->interval.low.macro_auc), number_json(f->interval.high.macro_auc), "balanced_accuracy",
                number_json(f->lesion.balanced_accuracy)));
  return json;
}

/* Against the table's last row, which is the paper's proposal: is the difference one? */
static bool say_difference(const struct report *report, size_t r, size_t last, json_t *list) {
  const struct lvn_experiment_figures *a = &report->figures[r];
  const struct lvn_experiment_figures *b = &report->figures[last];
  struct lvn_figure_intervals interval;
  struct lvn_figures p;
  char line[256];
  if (r == last || !a->is_complete || !b->is_complete || a->lesions.sample.count != b->lesions.sample.count) {
    return true;
  }
  if (!lvn_stats_bootstrap_difference(&a->lesions.sample, &b->lesions.sample, &lvn_experiment_bootstrap, &interval, &p,
                                      report->err)) {
    return false;
  }
  double share = 1.0 / (double)(a->fold_count - 1); /* test to training cases */
  struct lvn_t_test paired = lvn_stats_paired_t(a->fold_accuracy, b->fold_accuracy, a->fold_count);
  struct lvn_t_test corrected = lvn_stats_corrected_t(a->fold_accuracy, b->fold_accuracy, a->fold_count, share);
  (void)snprintf(line, sizeof line,
                 "  %s - %s: accuracy per lesion %+.1f points (%+.1f to %+.1f, p %.3f); per slice over folds: paired t "
                 "p %.3f, corrected p %.3f\n",
                 report->experiment->rows[r].name, report->experiment->rows[last].name,
                 100 * (a->lesion.accuracy - b->lesion.accuracy), 100 * interval.low.accuracy,
                 100 * interval.high.accuracy, p.accuracy, paired.p, corrected.p);
  say(report, line);
  (void)json_array_append_new(
      list, json_pack("{s:s,s:s,s:f,s:[o,o],s:o,s:o,s:o}", "a", report->experiment->rows[r].name, "b",
                      report->experiment->rows[last].name, "accuracy_per_lesion",
                      a->lesion.accuracy - b->lesion.accuracy, "bootstrap_95", number_json(interval.low.accuracy),
                      number_json(interval.high.accuracy), "bootstrap_p", number_json(p.accuracy), "paired_t_p",
                      number_json(paired.p), "corrected_t_p", number_json(corrected.p)));
  return true;
}

static bool say_table(const struct report *report, unsigned number, const char *title) {
  size_t members[LVN_EXPERIMENT_ROWS_MAX];
  size_t count = 0;
  char line[256];
  for (size_t r = 0; r < report->experiment->row_count; r++) {
    if (number == 0 || (report->experiment->rows[r].tables >> number & 1U) != 0) {
      members[count++] = r;
    }
  }
  if (count == 0) {
    return true;
  }
  (void)snprintf(line, sizeof line, number == 0 ? "\n%s\n" : "\nTable %2$u. %1$s\n", title, number);
  say(report, line);
  (void)snprintf(line, sizeof line, "%-52s %-12s  %-12s  %-12s  %-12s  %-13s  %-11s  | %-18s %s\n", "", "CYST", "FNH",
                 "HCC", "HEM", "Acc (%)", "AUC", "Acc per lesion", "AUC per lesion");
  say(report, line);
  json_t *differences = json_array();
  json_t *names = json_array();
  bool good = true;
  for (size_t i = 0; i < count; i++) {
    say_row(report, members[i]);
    (void)json_array_append_new(names, json_string(report->experiment->rows[members[i]].name));
  }
  for (size_t i = 0; good && i < count; i++) {
    good = say_difference(report, members[i], members[count - 1], differences);
  }
  (void)json_array_append_new(
      json_object_get(report->json, "tables"),
      json_pack("{s:i,s:s,s:o,s:o}", "number", (int)number, "title", title, "rows", names, "differences", differences));
  return good;
}

static bool write_predictions(const struct report *report, const char *folder) {
  for (size_t r = 0; r < report->experiment->row_count; r++) {
    char path[LVN_PATH_BYTES];
    LVN_AUTOFREE char *name = report->experiment->row_count == 1
                                  ? lvn_strdup(LVN_PREDICTIONS_FILE, report->err)
                                  : lvn_format(report->err, "predictions-%s.csv", report->experiment->rows[r].name);
    if (name == NULL || !lvn_path_join(path, folder, name, report->err) ||
        (report->figures[r].is_complete &&
         !lvn_predictions_write(&report->figures[r].predictions, path, report->err))) {
      return false;
    }
  }
  return true;
}

static bool say_all(const struct report *report) {
  static const char note[] =
      "Recall per class, accuracy and macro AUC: per slice, mean over folds ± population deviation, as the paper has "
      "them.\nPer lesion: all folds together, with 95 % intervals by drawing patients, 2000 times.\n"
      "Every lesion was answered by a model that had not seen its patient.\n";
  bool any = false;
  bool good = true;
  for (size_t r = 0; r < report->experiment->row_count; r++) {
    any = any || report->experiment->rows[r].tables != 0;
    (void)json_array_append_new(json_object_get(report->json, "rows"),
                                row_json(&report->experiment->rows[r], &report->figures[r]));
  }
  say(report, note);
  for (size_t t = 0; good && any && t < sizeof tables / sizeof tables[0]; t++) {
    good = say_table(report, tables[t].number, tables[t].title);
  }
  return good && (any || say_table(report, 0, "Cross-validation"));
}

static bool run_report(struct report *report, const char *folder, char **text, size_t *bytes) {
  char path[LVN_PATH_BYTES];
  FILE *memory = open_memstream(text, bytes);
  if (memory == NULL) {
    return lvn_error_set(report->err, LVN_ERROR_NOMEM, "cannot make a report in memory");
  }
  report->streams[1] = memory;
  bool good = say_all(report);
  good = fclose(memory) == 0 && good;
  return good && lvn_path_join(path, folder, "experiment.txt", report->err) &&
         lvn_file_replace(path, *text, *bytes, 0644, report->err) &&
         lvn_path_join(path, folder, "experiment.json", report->err) &&
         lvn_json_write(path, report->json, report->err) && write_predictions(report, folder);
}

bool lvn_experiment_report(const struct lvn_experiment *experiment, const char *output_folder,
                           const struct lvn_folds *folds, FILE *stream, struct lvn_error *err) {
  struct report report = {.experiment = experiment, .streams = {stream, NULL}, .err = err};
  char *text = NULL; /* open_memstream's own */
  size_t bytes = 0;
  report.figures = lvn_alloc(experiment->row_count, sizeof *report.figures, err);
  report.json = json_pack("{s:s,s:I,s:[],s:[]}", "format", "livervlm-experiment", "folds",
                          (json_int_t)folds->fold_count, "rows", "tables");
  bool good = report.figures != NULL && report.json != NULL;
  for (size_t r = 0; good && r < experiment->row_count; r++) {
    good = lvn_experiment_figures(&experiment->rows[r], output_folder, folds, &report.figures[r], err);
  }
  good = good && run_report(&report, output_folder, &text, &bytes);
  for (size_t r = 0; report.figures != NULL && r < experiment->row_count; r++) {
    lvn_experiment_figures_clear(&report.figures[r]);
  }
  json_decref(report.json);
  lvn_free(report.figures);
  lvn_free(text);
  return good;
}
