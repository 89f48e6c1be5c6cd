#include "analysis/overview.h"

#include "analysis/findings/words.h"
#include "analysis/page.h"

#include <math.h>
#include <stdio.h>

#define FIRST_ROW 112.0
#define ROW_HIGH 128.0 /* with pictures */
#define ROW_LOW 46.0   /* a line of text */
#define PICTURES_MAX 8 /* lesions; more would need a page that no screen shows */
#define FOOTER 58

enum column { COLUMN_NUMBER, COLUMN_SIZE, COLUMN_ANSWER, COLUMN_PROBABILITY, COLUMN_PLACE, COLUMN_HU, COLUMN_NOTE };
static const struct {
  const char *title;
  double left;
  double width;
} columns[] = {
    [COLUMN_NUMBER] = {"Lesion", 24, 40},       [COLUMN_SIZE] = {"Size", 336, 100},
    [COLUMN_ANSWER] = {"Answer", 476, 250},     [COLUMN_PROBABILITY] = {"Probability", 736, 90},
    [COLUMN_PLACE] = {"Where", 840, 180},       [COLUMN_HU] = {"Lesion HU (less liver)", 1030, 200},
    [COLUMN_NOTE] = {"To be noted", 1240, 200},
};

struct page {
  const struct lvn_findings *findings;
  const struct lvn_capture_request *requests;
};

static double row_height(const struct lvn_findings *findings) {
  return findings->lesion_count <= PICTURES_MAX ? ROW_HIGH : ROW_LOW;
}

static double draw_cell(cairo_t *cr, enum column column, double y, const struct lvn_draw_style *style, int lines,
                        const char *text) {
  return lvn_draw_paragraph(cr, columns[column].left, y, columns[column].width, style, lines, text);
}

static void draw_pictures(cairo_t *cr, double y, const struct lvn_capture_request *request) {
  const double side = ROW_HIGH - 12;
  const struct lvn_capture_locator *locator = &request->locator;
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    if (request->phases[phase].is_reference && request->phases[phase].hounsfield != NULL) {
      lvn_draw_crop(cr, 72, y, side, request->phases[phase].hounsfield, LVN_CAPTURE_SIDE, request->window_low_hu,
                    request->window_high_hu);
      lvn_draw_smooth_outline(cr, 72, y, side, request->mask, LVN_CAPTURE_SIDE, request->pixel_samples,
                              lvn_page_outline);
    }
  }
  if (locator->image.hounsfield != NULL) {
    const struct lvn_draw_fit fit = lvn_draw_image(cr, 72 + side + 8, y, side, side, &locator->image,
                                                   request->window_low_hu, request->window_high_hu);
    lvn_draw_frame(cr, fit.x + locator->first[0] * fit.step_x - 4, fit.y + locator->first[1] * fit.step_y - 4,
                   (locator->last[0] - locator->first[0]) * fit.step_x + 8,
                   (locator->last[1] - locator->first[1]) * fit.step_y + 8, 2, lvn_page_outline);
  }
}

/* One line for each phase where there is room, else the change that it makes alone. */
static void draw_attenuation(cairo_t *cr, double y, const struct lvn_findings_lesion *lesion, bool is_high) {
  const struct lvn_draw_style style = {14, false, lvn_page_white};
  char line[LVN_WORDS_BYTES] = "";
  size_t used = 0;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
    if (!lvn_findings_has_phase(lesion, (enum lvn_phase)phase) || !isfinite(shown->mean_hu)) {
      continue;
    }
    char part[64];
    if (isfinite(shown->liver_hu) && is_high) {
      (void)snprintf(part, sizeof part, "%s  %.0f (%+.0f)", lvn_phase_name((enum lvn_phase)phase), shown->mean_hu,
                     round(shown->mean_hu - shown->liver_hu) + 0.0);
    } else {
      (void)snprintf(part, sizeof part, "%s %.0f", lvn_phase_name((enum lvn_phase)phase), shown->mean_hu);
    }
    if (is_high) {
      y = draw_cell(cr, COLUMN_HU, y, &style, 1, part);
    } else {
      used += (size_t)snprintf(line + used, sizeof line - used, "%s%s", used > 0 ? ", " : "", part);
    }
  }
  if (!is_high) {
    (void)draw_cell(cr, COLUMN_HU, y, &style, 2, line);
  }
}

static void draw_answer(cairo_t *cr, double y, const struct lvn_findings_lesion *lesion, bool is_high) {
  const struct lvn_findings_prediction *prediction = &lesion->prediction;
  bool is_answer = prediction->has_probability && !prediction->abstained;
  const struct lvn_draw_style bold = {16, true, is_answer ? lvn_page_white : lvn_page_amber};
  const struct lvn_draw_style plain = {14, false, lvn_page_grey};
  const struct lvn_draw_style value = {16, true, lvn_page_white};
  char text[LVN_WORDS_BYTES];
  double next = draw_cell(cr, COLUMN_ANSWER, y, &bold, 2, lvn_words_answer(prediction));
  if (!is_answer && is_high) {
    (void)draw_cell(cr, COLUMN_ANSWER, next, &plain, 4, prediction->abstention_reason);
  } else if (is_high) {
    lvn_words_conformal(prediction, text);
    (void)draw_cell(cr, COLUMN_ANSWER, next, &plain, 2, text);
  }
  if (is_answer) {
    lvn_words_percent(prediction->probability[prediction->top_class], text);
    (void)draw_cell(cr, COLUMN_PROBABILITY, y, &value, 1, text);
  }
}

static void draw_notes(cairo_t *cr, double y, const struct lvn_findings_lesion *lesion, bool is_high) {
  const struct lvn_draw_style warning = {14, true, lvn_page_amber};
  const struct lvn_draw_style alarm = {14, true, lvn_page_red};
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    if (!lesion->phases[phase].alignment.is_usable) {
      (void)draw_cell(cr, COLUMN_NOTE, y, &alarm, 2, "phases not aligned");
      return;
    }
  }
  if (lvn_findings_is_small(lesion)) {
    y = draw_cell(cr, COLUMN_NOTE, y, &warning, 1, "small lesion");
  }
  if (lvn_findings_map_is_elsewhere(lesion) && (is_high || !lvn_findings_is_small(lesion))) {
    (void)draw_cell(cr, COLUMN_NOTE, y, &warning, 1, "map points elsewhere");
  }
}

static void draw_row(cairo_t *cr, const struct page *page, size_t index) {
  const struct lvn_findings_lesion *lesion = &page->findings->lesions[index];
  const struct lvn_capture_request *request = &page->requests[index];
  const struct lvn_draw_style number = {20, true, lvn_page_white};
  const struct lvn_draw_style plain = {14, false, lvn_page_white};
  double height = row_height(page->findings);
  bool is_high = height == ROW_HIGH;
  double top = FIRST_ROW + (double)index * height;
  double y = top + 22;
  char text[24];
  (void)snprintf(text, sizeof text, "%zu", index + 1);
  (void)draw_cell(cr, COLUMN_NUMBER, y, &number, 1, text);
  if (is_high) {
    draw_pictures(cr, top + 4, request);
  }
  (void)draw_cell(cr, COLUMN_SIZE, y, &plain, 2, request->size_text);
  draw_answer(cr, y, lesion, is_high);
  (void)draw_cell(cr, COLUMN_PLACE, y, &plain, is_high ? 4 : 2, request->locator.text);
  draw_attenuation(cr, y, lesion, is_high);
  draw_notes(cr, y, lesion, is_high);
  lvn_draw_box(cr, LVN_PAGE_MARGIN, top + height - 4, LVN_CAPTURE_WIDTH - 2 * LVN_PAGE_MARGIN, 1, lvn_page_dim);
}

static int page_height(const struct lvn_findings *findings) {
  return (int)(FIRST_ROW + (double)findings->lesion_count * row_height(findings)) + FOOTER;
}

static void draw_all(cairo_t *cr, const void *context) {
  const struct page *page = context;
  const struct lvn_draw_style heading = {14, false, lvn_page_grey};
  const struct lvn_findings *findings = page->findings;
  char title[64];
  char text[512];
  (void)snprintf(title, sizeof title, "Overview: %zu lesions", findings->lesion_count);
  lvn_page_header(cr, LVN_CAPTURE_WIDTH, title, "details on the pages that follow");
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
    lvn_draw_text(cr, columns[i].left, FIRST_ROW - 18, columns[i].width + 60, &heading, columns[i].title);
  }
  lvn_draw_box(cr, LVN_PAGE_MARGIN, FIRST_ROW - 8, LVN_CAPTURE_WIDTH - 2 * LVN_PAGE_MARGIN, 1, lvn_page_grey);
  for (size_t i = 0; i < findings->lesion_count; i++) {
    draw_row(cr, page, i);
  }
  (void)snprintf(text, sizeof text, "Model %.64s %.32s, trained on %.200s. Each lesion was classified by itself.",
                 findings->model.name, findings->model.version, findings->model.trained_on);
  lvn_draw_text(cr, LVN_PAGE_MARGIN, page_height(findings) - 20, LVN_CAPTURE_WIDTH - 2 * LVN_PAGE_MARGIN, &heading,
                text);
}

bool lvn_overview_render(const struct lvn_findings *findings, const struct lvn_capture_request *requests,
                         struct lvn_picture *ret_picture, struct lvn_error *err) {
  const struct page page = {.findings = findings, .requests = requests};
  return lvn_page_render(LVN_CAPTURE_WIDTH, page_height(findings), draw_all, &page, ret_picture, err);
}
