#include "base/memory.h"
#include "model/evaluation/levels.h"
#include "model/report/markup.h"
#include "model/report/report_parts.h"

#include <math.h>

#define CELL LVN_MARKUP_NUMBER_BYTES

static struct lvn_interval bootstrap_of(const struct lvn_level_result *level, size_t figure) {
  return (struct lvn_interval){lvn_figure_get(&level->bootstrap.low, figure),
                               lvn_figure_get(&level->bootstrap.high, figure)};
}

static const char *write_count(size_t value, char ret_text[CELL]) {
  (void)snprintf(ret_text, CELL, "%zu", value);
  return ret_text;
}

static void level_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {"Figure", "Per slice", "Per lesion", "Per patient"};
  static const char *const names[] = {"Accuracy", "Balanced accuracy", "Macro AUC"};
  char cell[LVN_LEVEL_COUNT][CELL];
  lvn_markup_table(stream, "Figures with 95 % intervals by the bootstrap over patients", headings, 4);
  for (size_t f = 0; f < 3; f++) {
    const char *row[4] = {names[f]};
    for (size_t l = 0; l < LVN_LEVEL_COUNT; l++) {
      row[l + 1] = lvn_markup_interval(lvn_figure_get(&e->level[l].figures, f), bootstrap_of(&e->level[l], f), cell[l]);
    }
    lvn_markup_row(stream, row, 4);
  }
  const char *wilson[4] = {"Accuracy, Wilson's interval, cases taken as independent"};
  for (size_t l = 0; l < LVN_LEVEL_COUNT; l++) {
    wilson[l + 1] = lvn_markup_interval(e->level[l].figures.accuracy, e->level[l].accuracy_wilson, cell[l]);
  }
  lvn_markup_row(stream, wilson, 4);
  static const char *const scores[] = {"Calibration error (15 equal bins)", "Calibration error (15 equally full bins)",
                                       "Brier score", "Log loss"};
  for (size_t s = 0; s < 4; s++) {
    const char *row[4] = {scores[s]};
    for (size_t l = 0; l < LVN_LEVEL_COUNT; l++) {
      const double values[4] = {e->level[l].ece, e->level[l].adaptive_ece, e->level[l].brier, e->level[l].log_loss};
      row[l + 1] = lvn_markup_number(values[s], cell[l]);
    }
    lvn_markup_row(stream, row, 4);
  }
  const char *counts[4] = {"Cases"};
  for (size_t l = 0; l < LVN_LEVEL_COUNT; l++) {
    counts[l + 1] = write_count(e->level[l].count, cell[l]);
  }
  lvn_markup_row(stream, counts, 4);
  lvn_markup_table_end(stream);
}

static void class_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {"Class, per lesion", "Lesions",      "Recall (bootstrap)", "Recall (Wilson)",
                                         "AUC (bootstrap)",   "AUC (DeLong)", "Abstained"};
  const struct lvn_level_result *lesion = &e->level[LVN_LEVEL_LESION];
  lvn_markup_table(stream, "Each class against the rest, 95 % intervals", headings, 7);
  for (unsigned c = lvn_classes_first(e->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(e->classes, c)) {
    const size_t *row = lesion->confusion[c];
    size_t members = 0;
    for (unsigned answer = 0; answer < LVN_CLASS_COUNT; answer++) {
      members += row[answer];
    }
    char cell[6][CELL];
    const char *cells[7] = {
        lvn_class_title((enum lvn_class)c),
        write_count(members, cell[0]),
        lvn_markup_interval(lesion->figures.recall[c], bootstrap_of(lesion, 3 + c), cell[1]),
        lvn_markup_interval(lesion->figures.recall[c], lesion->recall_wilson[c], cell[2]),
        lvn_markup_interval(lesion->figures.auc[c], bootstrap_of(lesion, 3 + LVN_CLASS_COUNT + c), cell[3]),
        lvn_markup_interval(lesion->figures.auc[c], lesion->auc_delong[c], cell[4]),
        write_count(e->abstained[c], cell[5])};
    lvn_markup_row(stream, cells, 7);
  }
  lvn_markup_table_end(stream);
}

static const char *write_spread(const struct lvn_spread *spread, char ret_text[CELL]) {
  if (spread->count == 0) {
    return lvn_markup_number(NAN, ret_text);
  }
  (void)snprintf(ret_text, CELL, "%.2f ± %.2f", 100.0 * spread->mean, 100.0 * spread->deviation);
  return ret_text;
}

static void paper_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {
      "Per cent, mean of folds ± SD", "Accuracy", "CYST", "FNH", "HCC", "HEM", "Macro AUC"};
  if (e->fold_count < 2) {
    (void)fputs("<p>The lesions are all of one fold, so there is no spread over folds.</p>\n", stream);
    return;
  }
  lvn_markup_table(stream, "The paper's way: per slice, recall of each class, population deviation over the folds",
                   headings, 7);
  const struct lvn_spread *rows[2] = {e->paper, e->lesion_folds};
  static const char *const names[2] = {"Per slice (the paper's)", "Per lesion"};
  for (size_t r = 0; r < 2; r++) {
    char cell[6][CELL];
    const char *cells[7] = {names[r],
                            write_spread(&rows[r][0], cell[0]),
                            write_spread(&rows[r][3], cell[1]),
                            write_spread(&rows[r][4], cell[2]),
                            write_spread(&rows[r][5], cell[3]),
                            write_spread(&rows[r][6], cell[4]),
                            write_spread(&rows[r][2], cell[5])};
    lvn_markup_row(stream, cells, 7);
  }
  lvn_markup_table_end(stream);
  (void)fputs("<p class=\"note\">Slices of one patient are not independent: these figures look surer than they are. "
              "They are here to be laid beside the paper's.</p>\n",
              stream);
}

static void fold_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {
      "Fold", "Lesions", "Slices", "Accuracy per slice", "Accuracy per lesion", "Macro AUC per lesion"};
  if (e->fold_count < 2) {
    return;
  }
  lvn_markup_table(stream, "Folds", headings, 6);
  for (size_t f = 0; f < e->fold_count; f++) {
    const struct lvn_fold_result *fold = &e->folds[f];
    char cell[6][CELL];
    const char *cells[6] = {write_count(fold->fold, cell[0]),
                            write_count(fold->lesion_count, cell[1]),
                            write_count(fold->slice_count, cell[2]),
                            lvn_markup_number(fold->slice.accuracy, cell[3]),
                            lvn_markup_number(fold->lesion.accuracy, cell[4]),
                            lvn_markup_number(fold->lesion.macro_auc, cell[5])};
    lvn_markup_row(stream, cells, 6);
  }
  lvn_markup_table_end(stream);
}

static void subgroup_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {"Subgroup", "Lesions", "Accuracy (Wilson 95 %)", "Macro AUC"};
  lvn_markup_table(stream, "Subgroups by size and slice thickness, per lesion", headings, 4);
  for (size_t g = 0; g < e->subgroup_count; g++) {
    const struct lvn_subgroup_result *group = &e->subgroups[g];
    char name[2 * CELL];
    char cell[3][CELL];
    if (group->count == 0) {
      continue;
    }
    (void)snprintf(name, sizeof name, "%s: %s", group->by, group->name);
    const char *cells[4] = {name, write_count(group->count, cell[0]),
                            lvn_markup_interval(group->figures.accuracy, group->accuracy_wilson, cell[1]),
                            lvn_markup_number(group->figures.macro_auc, cell[2])};
    lvn_markup_row(stream, cells, 4);
  }
  lvn_markup_table_end(stream);
}

static void rule_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {"Who answers", "Accuracy per lesion"};
  char cell[CELL];
  const char *model[2] = {"The model", lvn_markup_number(e->level[LVN_LEVEL_LESION].figures.accuracy, cell)};
  lvn_markup_table(stream, "Is it more than mean HU?", headings, 2);
  lvn_markup_row(stream, model, 2);
  const char *threshold[2] = {"Thresholds on the three phases' mean HU",
                              lvn_markup_number(e->threshold_accuracy, cell)};
  lvn_markup_row(stream, threshold, 2);
  if (isfinite(e->nearest_mean_accuracy)) {
    const char *nearest[2] = {"Nearest class mean of the three phases' HU, fitted on other lesions",
                              lvn_markup_number(e->nearest_mean_accuracy, cell)};
    lvn_markup_row(stream, nearest, 2);
  }
  lvn_markup_table_end(stream);
}

static void comparison_figures(FILE *stream, unsigned classes, const struct lvn_comparison *c) {
  static const char *const headings[] = {"Figure per lesion", "Difference, 95 % over patients", "p (paired bootstrap)"};
  lvn_markup_table(stream, "Difference of the two models on the same lesions", headings, 3);
  for (size_t f = 0; f < LVN_FIGURE_COUNT; f = lvn_figure_next(classes, f)) {
    char cell[2][CELL];
    const struct lvn_interval interval = {lvn_figure_get(&c->bootstrap.low, f), lvn_figure_get(&c->bootstrap.high, f)};
    const char *cells[3] = {lvn_figure_name(f),
                            lvn_markup_interval(lvn_figure_get(&c->difference, f), interval, cell[0]),
                            lvn_markup_number(lvn_figure_get(&c->bootstrap_p, f), cell[1])};
    lvn_markup_row(stream, cells, 3);
  }
  lvn_markup_table_end(stream);
}

static void comparison_tests(FILE *stream, unsigned classes, const struct lvn_comparison *c) {
  static const char *const headings[] = {"DeLong, per patient", "AUC", "AUC, other", "p", "p, Holm"};
  static const char *const t_headings[] = {"Slice accuracy over folds", "Difference", "t", "p"};
  char cell[4][CELL];
  lvn_markup_table(stream, "Area under the curve of each class", headings, 5);
  for (unsigned k = lvn_classes_first(classes); k < LVN_CLASS_COUNT; k = lvn_classes_next(classes, k)) {
    const char *cells[5] = {lvn_class_name((enum lvn_class)k), lvn_markup_number(c->delong[k].auc_a, cell[0]),
                            lvn_markup_number(c->delong[k].auc_b, cell[1]), lvn_markup_number(c->delong[k].p, cell[2]),
                            lvn_markup_number(c->delong_holm[k], cell[3])};
    lvn_markup_row(stream, cells, 5);
  }
  lvn_markup_table_end(stream);
  if (c->fold_count < 2) {
    return;
  }
  const struct lvn_t_test *tests[2] = {&c->paired_t, &c->corrected_t};
  static const char *const names[2] = {"Paired t, as the paper has it", "Corrected for overlapping training sets"};
  lvn_markup_table(stream, "t tests", t_headings, 4);
  for (size_t t = 0; t < 2; t++) {
    const char *cells[4] = {names[t], lvn_markup_number(tests[t]->difference, cell[0]),
                            lvn_markup_number(tests[t]->t, cell[1]), lvn_markup_number(tests[t]->p, cell[2])};
    lvn_markup_row(stream, cells, 4);
  }
  lvn_markup_table_end(stream);
}

void lvn_report_tables(FILE *stream, const struct lvn_evaluation_subject *subject) {
  const struct lvn_evaluation *e = subject->evaluation;
  (void)fputs("<h2>Figures</h2>\n", stream);
  level_table(stream, e);
  (void)fputs("<p class=\"note\">Per patient: the lesions of one class in one patient are one case. Figures per slice "
              "count a large lesion several times.</p>\n",
              stream);
  class_table(stream, e);
  (void)fputs(
      "<p class=\"note\">Where a class has no error the bootstrap's and DeLong's intervals have no width, which "
      "says nothing; read Wilson's.</p>\n",
      stream);
  rule_table(stream, e);
  (void)fputs("<h2>Over the folds</h2>\n", stream);
  paper_table(stream, e);
  fold_table(stream, e);
  (void)fputs("<h2>Subgroups</h2>\n", stream);
  subgroup_table(stream, e);
  if (subject->comparison != NULL) {
    (void)fputs("<h2>Against ", stream);
    lvn_markup_text(stream, subject->other->name);
    (void)fputc(' ', stream);
    lvn_markup_text(stream, subject->other->version);
    (void)fputs("</h2>\n", stream);
    comparison_figures(stream, subject->evaluation->classes, subject->comparison);
    comparison_tests(stream, subject->evaluation->classes, subject->comparison);
  }
}

static void json_cleanup(json_t **value) {
  json_decref(*value);
}

static void conformal_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {
      "Wanted", "Achieved (95 %)", "To be expected (95 %)", "Classes per set", "One class", "None", "Cases"};
  lvn_markup_table(stream, "Conformal sets per patient: does the set of possible classes hold the truth?", headings, 7);
  for (size_t a = 0; a < LVN_CONFORMAL_COUNT; a++) {
    const struct lvn_conformal_result *r = &e->conformal[a];
    char cell[7][CELL];
    (void)snprintf(cell[0], CELL, "%.0f %%", 100.0 * (1.0 - r->alpha));
    (void)snprintf(cell[2], CELL, "%.3f to %.3f", r->expected.low, r->expected.high);
    (void)snprintf(cell[3], CELL, "%.2f", r->mean_set_size);
    const char *cells[7] = {cell[0],
                            lvn_markup_interval((double)r->covered / (double)r->count, r->achieved, cell[1]),
                            cell[2],
                            cell[3],
                            write_count(r->single, cell[4]),
                            write_count(r->empty, cell[5]),
                            write_count(r->count, cell[6])};
    lvn_markup_row(stream, cells, 7);
  }
  lvn_markup_table_end(stream);
  (void)fputs(
      "<p class=\"note\">The limit for a case comes from the cases of other patients (other folds, or the other "
      "half where there is one fold). Cases of one patient are not independent, so a little less than wanted "
      "is no surprise.</p>\n",
      stream);
}

static void abstention_table(FILE *stream, const struct lvn_evaluation *e) {
  static const char *const headings[] = {"Abstention and distance", "Value"};
  char cell[CELL];
  size_t abstained = 0;
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    abstained += e->abstained[c];
  }
  lvn_markup_table(stream, "What the model does not answer", headings, 2);
  const char *first[2] = {"Lesions it abstained from", write_count(abstained, cell)};
  lvn_markup_row(stream, first, 2);
  const char *wrong[2] = {"of these, its best class was wrong", write_count(e->abstained_wrong, cell)};
  lvn_markup_row(stream, wrong, 2);
  const char *answered[2] = {"Accuracy of those it answered (Wilson 95 %)",
                             lvn_markup_interval(e->accuracy_answered, e->accuracy_answered_wilson, cell)};
  lvn_markup_row(stream, answered, 2);
  const char *beyond[2] = {"Lesions beyond the package's distance limit", write_count(e->unlike.beyond, cell)};
  lvn_markup_row(stream, beyond, 2);
  const char *auc[2] = {"AUC of the distance for wrong answers", lvn_markup_number(e->unlike.wrong_auc, cell)};
  lvn_markup_row(stream, auc, 2);
  for (unsigned c = lvn_classes_first(e->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(e->classes, c)) {
    char name[CELL];
    (void)snprintf(name, sizeof name, "AUC of the distance for %s when left out of its fit",
                   lvn_class_name((enum lvn_class)c));
    const char *unseen[2] = {name, lvn_markup_number(e->unlike.unseen_class_auc[c], cell)};
    lvn_markup_row(stream, unseen, 2);
  }
  const char *factor[2] = {"Factor on the temperature that would fit these lesions",
                           lvn_markup_number(e->own_temperature_factor, cell)};
  lvn_markup_row(stream, factor, 2);
  const char *after[2] = {"Calibration error with such a factor, cross-fitted",
                          lvn_markup_number(e->recalibrated_ece, cell)};
  lvn_markup_row(stream, after, 2);
  lvn_markup_table_end(stream);
  (void)fputs("<p class=\"note\">Distance: Mahalanobis, of the features from the nearest class (shared covariance, "
              "shrunk). A class left out of the fit stands in for lesions that are outside the classes; the "
              "network itself has seen it, so true strangers may be told apart less well, or better.</p>\n",
              stream);
}

static void outlier_table(FILE *stream, const struct lvn_case_predictions *answers) {
  static const char *const headings[] = {"None of the classes", "Lesions", "Indeterminate (right)", "Named"};
  LVN_CLEANUP(json_cleanup) json_t *outliers = lvn_evaluation_outliers_json(answers);
  const char *kind = NULL;
  json_t *entry = NULL;
  if (outliers == NULL) {
    return;
  }
  lvn_markup_table(stream, "Lesions and tissue that are none of the classes", headings, 4);
  json_object_foreach(json_object_get(outliers, "by_kind"), kind, entry) {
    const char *name = NULL;
    json_t *count = NULL;
    char cell[2][CELL];
    char named[CELL] = "";
    size_t used = 0;
    json_object_foreach(json_object_get(entry, "answers"), name, count) {
      int wrote = json_integer_value(count) == 0 ? 0
                                                 : snprintf(named + used, sizeof named - used, "%s %lld ", name,
                                                            (long long)json_integer_value(count));
      used += wrote > 0 && (size_t)wrote < sizeof named - used ? (size_t)wrote : 0;
    }
    const char *cells[4] = {kind, write_count((size_t)json_integer_value(json_object_get(entry, "lesions")), cell[0]),
                            lvn_markup_number(json_number_value(json_object_get(entry, "indeterminate")), cell[1]),
                            named};
    lvn_markup_row(stream, cells, 4);
  }
  lvn_markup_table_end(stream);
}

void lvn_report_uncertainty_tables(FILE *stream, const struct lvn_evaluation_subject *subject) {
  (void)fputs("<h2>Uncertainty</h2>\n", stream);
  conformal_table(stream, subject->evaluation);
  abstention_table(stream, subject->evaluation);
  outlier_table(stream, subject->answers);
}
