#include "analysis/capture_panel.h"

#include "analysis/findings/words.h"
#include "analysis/page.h"

#include <math.h>
#include <stdio.h>

#define INSET 16.0
#define LOCATOR_MIN 190.0
#define LOCATOR_MAX 300.0
#define BAR_STEP_MIN 26.0
#define BAR_STEP_MAX 40.0

struct panel {
  cairo_t *cr;
  double left;
  double width; /* of the text */
  double bottom;
  const struct lvn_capture_request *request;
};

static unsigned class_count(unsigned classes) {
  unsigned count = 0;
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    count += (classes >> c) & 1U;
  }
  return count;
}

static double draw_answer(const struct panel *panel, double y) {
  const struct lvn_capture_request *request = panel->request;
  const struct lvn_draw_style label = {15, false, lvn_page_grey};
  const struct lvn_draw_style big = {24, true, lvn_page_white};
  const struct lvn_draw_style indeterminate = {24, true, lvn_page_amber};
  const struct lvn_draw_style reason = {16, false, lvn_page_white};
  char text[32];
  if (request->has_probability && !request->abstained) {
    (void)snprintf(text, sizeof text, "Top class (of %u)", class_count(request->classes));
    lvn_draw_text(panel->cr, panel->left, y, panel->width, &label, text);
    return lvn_draw_paragraph(panel->cr, panel->left, y + 30, panel->width, &big, 2,
                              lvn_class_title(request->top_class));
  }
  lvn_draw_text(panel->cr, panel->left, y, panel->width, &label, "Result");
  y = lvn_draw_paragraph(panel->cr, panel->left, y + 30, panel->width, &indeterminate, 1, "INDETERMINATE");
  return lvn_draw_paragraph(panel->cr, panel->left, y - 4, panel->width, &reason, 5,
                            request->abstention_reason == NULL ? "No reason was given." : request->abstention_reason);
}

static double draw_warnings(const struct panel *panel, double y) {
  const struct lvn_draw_style warning = {15, true, lvn_page_amber};
  if (panel->request->small_text != NULL) {
    y = lvn_draw_paragraph(panel->cr, panel->left, y, panel->width, &warning, 2, panel->request->small_text);
  }
  if (panel->request->map_is_elsewhere && panel->request->map_text != NULL) {
    y = lvn_draw_paragraph(panel->cr, panel->left, y, panel->width, &warning, 3, panel->request->map_text);
  }
  return y;
}

static void draw_bar(const struct panel *panel, double y, enum lvn_class lesion_class) {
  const struct lvn_capture_request *request = panel->request;
  bool is_top = lesion_class == request->top_class && !request->abstained;
  double part = fmin(fmax(request->probability[lesion_class], 0), 1);
  const struct lvn_draw_style name = {14, is_top, is_top ? lvn_page_white : lvn_page_grey};
  const struct lvn_draw_style value = {15, is_top, is_top ? lvn_page_white : lvn_page_grey};
  char text[LVN_WORDS_BYTES];
  lvn_words_percent(part, text);
  lvn_draw_text(panel->cr, panel->left, y, panel->width - 84, &name, lvn_class_title(lesion_class));
  lvn_draw_text_right(panel->cr, panel->left + panel->width - 76, y, 76, &value, text);
  lvn_draw_box(panel->cr, panel->left, y + 6, panel->width, 7, lvn_page_dim);
  lvn_draw_box(panel->cr, panel->left, y + 6, panel->width * part, 7, is_top ? lvn_page_blue : lvn_page_grey);
}

/* In two columns the bars of many classes would be too short to compare: they come closer instead. */
static double draw_probabilities(const struct panel *panel, double y, double bottom) {
  const struct lvn_capture_request *request = panel->request;
  const struct lvn_draw_style label = {15, false, lvn_page_grey};
  unsigned count = class_count(request->classes);
  if (!request->has_probability) {
    lvn_draw_text(panel->cr, panel->left, y, panel->width, &label, "No probability is given.");
    return y + 20;
  }
  lvn_draw_text(panel->cr, panel->left, y, panel->width, &label,
                request->abstained ? "Calibrated probability, not relied on" : "Calibrated probability");
  y += 24;
  double step = fmin(fmax((bottom - y) / fmax(count, 1), BAR_STEP_MIN), BAR_STEP_MAX);
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    if (((request->classes >> c) & 1U) != 0) {
      draw_bar(panel, y, (enum lvn_class)c);
      y += step;
    }
  }
  return y;
}

static double draw_certainty(const struct panel *panel, double y) {
  const struct lvn_capture_request *request = panel->request;
  const struct lvn_draw_style plain = {14, false, lvn_page_white};
  const struct lvn_draw_style small = {14, false, lvn_page_grey};
  char text[LVN_WORDS_BYTES + 32];
  if (request->conformal_text != NULL) {
    (void)snprintf(text, sizeof text, "Not excluded at %s", request->conformal_text);
    y = lvn_draw_paragraph(panel->cr, panel->left, y, panel->width, &plain, 2, text);
  }
  if (request->outlier_text != NULL) {
    y = lvn_draw_paragraph(panel->cr, panel->left, y, panel->width, &small, 2, request->outlier_text);
  }
  return y;
}

static void draw_locator(const struct panel *panel, double top) {
  const struct lvn_capture_locator *locator = &panel->request->locator;
  const struct lvn_draw_style text = {14, false, lvn_page_grey};
  const struct lvn_draw_style edge = {14, true, lvn_page_white};
  double height = fmin(panel->bottom - top, LOCATOR_MAX);
  double y = panel->bottom - height;
  if (locator->image.hounsfield == NULL || height < LOCATOR_MIN / 2) {
    return;
  }
  if (locator->text != NULL) {
    y = lvn_draw_paragraph(panel->cr, panel->left, y + 12, panel->width, &text, 2, locator->text) - 8;
  }
  const struct lvn_draw_fit fit =
      lvn_draw_image(panel->cr, panel->left, y, panel->width, panel->bottom - y, &locator->image,
                     panel->request->window_low_hu, panel->request->window_high_hu);
  double left = fit.x + locator->first[0] * fit.step_x - 5;
  double upper = fit.y + locator->first[1] * fit.step_y - 5;
  lvn_draw_frame(panel->cr, left - 1, upper - 1, (locator->last[0] - locator->first[0]) * fit.step_x + 12,
                 (locator->last[1] - locator->first[1]) * fit.step_y + 12, 4, (struct lvn_colour){0, 0, 0});
  lvn_draw_frame(panel->cr, left, upper, (locator->last[0] - locator->first[0]) * fit.step_x + 10,
                 (locator->last[1] - locator->first[1]) * fit.step_y + 10, 2, lvn_page_outline);
  lvn_draw_frame(panel->cr, fit.x, fit.y, locator->image.columns * fit.step_x, locator->image.rows * fit.step_y, 1,
                 lvn_page_dim);
  const char side[] = {panel->request->left_edge, '\0'};
  if (side[0] != '\0') {
    lvn_draw_text(panel->cr, fit.x + 5, fit.y + 17, 20, &edge, side);
  }
}

void lvn_capture_panel(cairo_t *cr, double x, double y, double width, double height,
                       const struct lvn_capture_request *request) {
  const struct panel panel = {
      .cr = cr, .left = x + INSET, .width = width - 2 * INSET, .bottom = y + height - INSET, .request = request};
  lvn_draw_box(cr, x, y, width, height, lvn_page_panel);
  double at = draw_answer(&panel, y + 27);
  at = draw_warnings(&panel, at + 2);
  lvn_draw_box(cr, panel.left, at - 4, panel.width, 1, lvn_page_dim);
  at = draw_probabilities(&panel, at + 20, panel.bottom - LOCATOR_MIN - 80);
  at = draw_certainty(&panel, at + 4);
  draw_locator(&panel, at);
}
