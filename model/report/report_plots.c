#include "base/memory.h"
#include "model/report/markup.h"
#include "model/report/plot.h"
#include "model/report/report_parts.h"

#include <cairo.h>
#include <math.h>
#include <string.h>

#define WIDTH 430.0
#define HEIGHT 376.0
#define GREY (LVN_PLOT_STYLES - 1)
#define BLACK (LVN_PLOT_STYLES - 2)

static bool put(FILE *stream, struct lvn_plot *plot, double width, const char *description, struct lvn_error *err) {
  LVN_AUTOFREE unsigned char *svg = NULL;
  size_t bytes = 0;
  bool good = lvn_plot_finish(plot, &svg, &bytes, err);
  if (good) {
    (void)fputs("<figure>", stream);
    lvn_markup_image(stream, "image/svg+xml", svg, bytes, (unsigned)width, description);
    (void)fputs("</figure>\n", stream);
  }
  lvn_plot_destroy(plot);
  return good;
}

static bool plot_roc(FILE *stream, const struct lvn_evaluation *e, struct lvn_error *err) {
  static const struct lvn_plot_axes axes = {"ROC, one class against the rest, per lesion",
                                            "False positive rate (1 - specificity)",
                                            "True positive rate (sensitivity)",
                                            0,
                                            1,
                                            0,
                                            1};
  static const double diagonal[2] = {0, 1};
  struct lvn_plot *plot = lvn_plot_create(WIDTH, HEIGHT, &axes, err);
  size_t most = e->level[LVN_LEVEL_LESION].count + 1;
  LVN_AUTOFREE double *x = lvn_alloc(most, sizeof *x, err);
  LVN_AUTOFREE double *y = lvn_alloc(most, sizeof *y, err);
  if (plot == NULL || x == NULL || y == NULL) {
    lvn_plot_destroy(plot);
    return false;
  }
  lvn_plot_line(plot, GREY, NULL, diagonal, diagonal, 2);
  for (unsigned c = lvn_classes_first(e->classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(e->classes, c)) {
    char name[64];
    for (size_t i = 0; i < e->roc[c].count; i++) {
      x[i] = e->roc[c].points[i].false_positive_rate;
      y[i] = e->roc[c].points[i].true_positive_rate;
    }
    if (e->roc[c].count > 0) {
      (void)snprintf(name, sizeof name, "%s  AUC %.3f", lvn_class_name((enum lvn_class)c),
                     e->level[LVN_LEVEL_LESION].figures.auc[c]);
      lvn_plot_line(plot, c, name, x, y, e->roc[c].count);
    }
  }
  lvn_plot_draw_legend(plot, LVN_PLOT_BOTTOM_RIGHT);
  return put(stream, plot, WIDTH, "ROC curve of each class against the rest", err);
}

static void draw_cell(cairo_t *cr, double x, double y, double side, size_t count, size_t of) {
  const double share = of == 0 ? 0.0 : (double)count / (double)of;
  const struct lvn_colour fill = {1.0 - share, 1.0 - 0.553 * share, 1.0 - 0.302 * share}; /* white to blue */
  const struct lvn_colour text = share > 0.55 ? (struct lvn_colour){1, 1, 1} : (struct lvn_colour){0.13, 0.13, 0.13};
  const struct lvn_draw_style number = {.size = 16, .bold = true, .colour = text};
  const struct lvn_draw_style small = {.size = 11, .colour = text};
  char label[32];
  lvn_draw_box(cr, x, y, side - 2, side - 2, fill);
  (void)snprintf(label, sizeof label, "%zu", count);
  lvn_draw_text(cr, x + (side - 2 - lvn_draw_text_width(cr, &number, label)) / 2, y + side / 2, side, &number, label);
  (void)snprintf(label, sizeof label, "%.0f %%", 100.0 * share);
  lvn_draw_text(cr, x + (side - 2 - lvn_draw_text_width(cr, &small, label)) / 2, y + side / 2 + 17, side, &small,
                label);
}

static bool plot_confusion(FILE *stream, const struct lvn_evaluation *e, struct lvn_error *err) {
  static const struct lvn_colour black = {0.13, 0.13, 0.13};
  static const struct lvn_colour edge = {0.75, 0.75, 0.75};
  static const struct lvn_draw_style heading = {.size = 13.5, .bold = true, .colour = {0.13, 0.13, 0.13}};
  static const struct lvn_draw_style label = {.size = 12, .colour = {0.13, 0.13, 0.13}};
  const double left = 92;
  const double top = 72;
  const double side = 66.0 * LVN_CLASS_PAPER_COUNT / fmax(LVN_CLASS_PAPER_COUNT, (double)lvn_classes_count(e->classes));
  double y = top;
  struct lvn_plot *plot = lvn_plot_create(WIDTH, HEIGHT, NULL, err);
  if (plot == NULL) {
    return false;
  }
  cairo_t *cr = lvn_plot_canvas(plot);
  lvn_draw_text(cr, left, 21, WIDTH - left, &heading, "Confusion, lesions (share of the row)");
  lvn_draw_text(cr, left, 43, WIDTH - left, &label, "Answer");
  lvn_draw_text(cr, 14, top - 8, 60, &label, "Truth");
  for (unsigned truth = lvn_classes_first(e->classes); truth < LVN_CLASS_COUNT;
       truth = lvn_classes_next(e->classes, truth), y += side) {
    const size_t *row = e->level[LVN_LEVEL_LESION].confusion[truth];
    const char *name = lvn_class_name((enum lvn_class)truth);
    double x = left;
    size_t of = 0;
    for (unsigned answer = 0; answer < LVN_CLASS_COUNT; answer++) {
      of += row[answer];
    }
    lvn_draw_text(cr, left + (y - top) + (side - lvn_draw_text_width(cr, &label, name)) / 2, top - 8, side, &label,
                  name);
    lvn_draw_text_right(cr, 14, y + side / 2 + 4, left - 24, &label, name);
    for (unsigned answer = lvn_classes_first(e->classes); answer < LVN_CLASS_COUNT;
         answer = lvn_classes_next(e->classes, answer), x += side) {
      draw_cell(cr, x, y, side, row[answer], of);
      lvn_draw_frame(cr, x, y, side - 2, side - 2, answer == truth ? 1.6 : 0.6, answer == truth ? black : edge);
    }
  }
  return put(stream, plot, WIDTH, "Confusion matrix of lesions", err);
}

static bool plot_reliability(FILE *stream, const struct lvn_evaluation *e, struct lvn_error *err) {
  static const struct lvn_plot_axes axes = {"Reliability: is a probability what it says?",
                                            "Probability of the answer, mean of its bin",
                                            "Fraction correct",
                                            0,
                                            1,
                                            0,
                                            1};
  static const double diagonal[2] = {0, 1};
  struct lvn_plot *plot = lvn_plot_create(WIDTH, HEIGHT, &axes, err);
  double x[LVN_CALIBRATE_BINS];
  double y[LVN_CALIBRATE_BINS];
  if (plot == NULL) {
    return false;
  }
  for (size_t b = 0; b < LVN_CALIBRATE_BINS; b++) {
    const struct lvn_reliability_bin *bin = &e->reliability[b];
    x[b] = bin->confidence;
    y[b] = bin->accuracy;
    if (bin->count > 0) {
      lvn_plot_bar(plot, 5, (double)b / LVN_CALIBRATE_BINS, (double)(b + 1) / LVN_CALIBRATE_BINS,
                   (double)bin->count / (double)e->level[LVN_LEVEL_LESION].count);
    }
  }
  lvn_plot_line(plot, GREY, "perfect", diagonal, diagonal, 2);
  for (size_t b = 0; b < LVN_CALIBRATE_BINS; b++) {
    const struct lvn_reliability_bin *bin = &e->reliability[b];
    if (bin->count > 0) {
      size_t right = (size_t)lround(bin->accuracy * (double)bin->count);
      struct lvn_interval wilson = lvn_stats_wilson(right, bin->count, LVN_STATS_LEVEL);
      lvn_plot_whisker(plot, 0, x[b], wilson.low, wilson.high);
    }
  }
  lvn_plot_points(plot, 0, x, y, LVN_CALIBRATE_BINS);
  lvn_plot_line(plot, 0, "bins, 95 %", x, y, 0);
  lvn_plot_line(plot, 5, "share of lesions", x, y, 0);
  lvn_plot_draw_legend(plot, LVN_PLOT_ABOVE);
  return put(stream, plot, WIDTH, "Reliability diagram", err);
}

static bool plot_risk(FILE *stream, const struct lvn_evaluation *e, struct lvn_error *err) {
  size_t count = e->level[LVN_LEVEL_LESION].count;
  LVN_AUTOFREE double *coverage = lvn_alloc(count, sizeof *coverage, err);
  double top = 0.1;
  char title[80];
  if (coverage == NULL) {
    return false;
  }
  for (size_t k = 0; k < count; k++) {
    coverage[k] = (double)(k + 1) / (double)count;
    top = fmax(top, e->risk[k] * 1.08);
  }
  (void)snprintf(title, sizeof title, "Risk and coverage, area %.3f", e->aurc);
  const struct lvn_plot_axes axes = {
      title, "Share of lesions answered, the most confident first", "Fraction wrong", 0, 1, 0, fmin(1.0, top)};
  struct lvn_plot *plot = lvn_plot_create(WIDTH, HEIGHT, &axes, err);
  if (plot == NULL) {
    return false;
  }
  const double ends[2] = {0, 1};
  const double all[2] = {e->risk[count - 1], e->risk[count - 1]};
  lvn_plot_line(plot, GREY, "without order", ends, all, 2);
  lvn_plot_line(plot, 0, "by confidence", coverage, e->risk, count);
  lvn_plot_draw_legend(plot, LVN_PLOT_ABOVE);
  return put(stream, plot, WIDTH, "Risk-coverage curve", err);
}

static bool plot_decision(FILE *stream, const struct lvn_evaluation *e, struct lvn_error *err) {
  double threshold[LVN_DECISION_POINTS];
  double model[LVN_DECISION_POINTS];
  double all[LVN_DECISION_POINTS];
  double top = 0.05;
  for (size_t k = 0; k < LVN_DECISION_POINTS; k++) {
    threshold[k] = e->decision[k].threshold;
    model[k] = e->decision[k].model;
    all[k] = e->decision[k].all;
    top = fmax(top, fmax(model[k], all[k]));
  }
  const struct lvn_plot_axes axes = {"Decision curve: treating as malignant (HCC)",
                                     "Probability from which one would act",
                                     "Net benefit per lesion",
                                     0,
                                     1,
                                     -0.25 * top,
                                     1.25 * top};
  struct lvn_plot *plot = lvn_plot_create(WIDTH, HEIGHT, &axes, err);
  if (plot == NULL) {
    return false;
  }
  const double ends[2] = {0, 1};
  const double none[2] = {0, 0};
  lvn_plot_line(plot, BLACK, "nobody", ends, none, 2);
  lvn_plot_line(plot, GREY, "everybody", threshold, all, LVN_DECISION_POINTS);
  lvn_plot_line(plot, 2, "by the model", threshold, model, LVN_DECISION_POINTS);
  lvn_plot_draw_legend(plot, LVN_PLOT_ABOVE);
  return put(stream, plot, WIDTH, "Decision curve", err);
}

bool lvn_report_plots(FILE *stream, const struct lvn_evaluation_subject *subject, struct lvn_error *err) {
  const struct lvn_evaluation *e = subject->evaluation;
  (void)fputs("<h2>Curves</h2>\n<div class=\"plots\">\n", stream);
  bool good = plot_roc(stream, e, err) && plot_confusion(stream, e, err) && plot_reliability(stream, e, err) &&
              plot_risk(stream, e, err) && plot_decision(stream, e, err);
  (void)fputs("</div>\n", stream);
  return good;
}

/* The curves of one task of the history: "training", or how the encoder was pretrained. */
struct curve {
  const char *task; /* NULL: every other than "training" */
  const char *key;
  const char *title;
  const char *label;
  size_t style;
  double least_top; /* of the axis */
};

static bool is_of_task(const json_t *record, const char *task) {
  const char *found = json_string_value(json_object_get(record, "task"));
  bool is_training = found == NULL || strcmp(found, "training") == 0;
  return task != NULL ? is_training : !is_training;
}

/* One figure per epoch of the task; NAN where an epoch has none. Returns how many epochs the task has. */
static size_t read_history(const json_t *history, const struct curve *curve, double *epoch, double *value,
                           double *ret_top) {
  size_t count = 0;
  *ret_top = NAN;
  for (size_t i = 0; i < json_array_size(history); i++) {
    const json_t *record = json_array_get(history, i);
    if (is_of_task(record, curve->task)) {
      const json_t *member = json_object_get(record, curve->key);
      epoch[count] = (double)(count + 1);
      value[count] = json_is_number(member) ? json_number_value(member) : NAN;
      *ret_top = fmax(*ret_top, value[count++]);
    }
  }
  return count;
}

static bool plot_curve(FILE *stream, const json_t *history, const struct curve *curve, struct lvn_error *err) {
  LVN_AUTOFREE double *epoch = lvn_alloc(json_array_size(history), sizeof *epoch, err);
  LVN_AUTOFREE double *value = lvn_alloc(json_array_size(history), sizeof *value, err);
  double top = NAN;
  if (epoch == NULL || value == NULL) {
    return false;
  }
  size_t count = read_history(history, curve, epoch, value, &top);
  if (!isfinite(top)) {
    return true;
  }
  double low = 0.0;
  for (size_t i = 0; i < count; i++) {
    low = value[i] < low ? value[i] * 1.05 : low; /* SimSiam's loss is a negative cosine */
  }
  top = fmax(top * 1.05, curve->least_top);
  const struct lvn_plot_axes axes = {
      curve->title, "Epoch", curve->label, 0, fmax(2.0, (double)count), low, top > low ? top : low + 1.0};
  struct lvn_plot *plot = lvn_plot_create(WIDTH, HEIGHT, &axes, err);
  if (plot == NULL) {
    return false;
  }
  lvn_plot_line(plot, curve->style, NULL, epoch, value, count);
  if (count < 60) {
    lvn_plot_points(plot, curve->style, epoch, value, count);
  }
  return put(stream, plot, WIDTH, curve->title, err);
}

bool lvn_report_training(FILE *stream, const struct lvn_package *package, struct lvn_error *err) {
  static const struct curve curves[] = {
      {NULL, "loss", "Pretraining loss", "Mean loss of the epoch", 5, 0.0},
      {NULL, "validation", "Held out while pretraining", "Share of phase orders told; SimSiam: spread", 5, 1.0},
      {"training", "loss", "Training loss", "Mean loss of the epoch", 2, 0.0},
      {"training", "validation", "Held-out accuracy while training", "Accuracy, key slices", 0, 1.0},
      {"training", "learning_rate", "Learning rate", "Learning rate", 3, 0.0},
  };
  const json_t *history = json_object_get(json_object_get(package->manifest, "training"), "history");
  bool good = true;
  (void)fputs("<h2>Training</h2>\n", stream);
  if (json_array_size(history) == 0) {
    (void)fputs(package->manifest == NULL
                    ? "<p>A cross-validation keeps no models; the epochs of each fold are in its history.csv.</p>\n"
                    : "<p>The package holds no history of its training, so there are no training curves.</p>\n",
                stream);
    return true;
  }
  (void)fputs("<div class=\"plots\">\n", stream);
  for (size_t i = 0; good && i < sizeof curves / sizeof curves[0]; i++) {
    good = plot_curve(stream, history, &curves[i], err);
  }
  (void)fputs("</div>\n", stream);
  return good;
}
