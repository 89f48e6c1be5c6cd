#include "analysis/capture.h"

#include "analysis/capture_panel.h"
#include "analysis/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TILE_SIDE 320.0
#define TILE_STEP 336.0
#define ROW_ONE_TOP 96.0
#define ROW_TWO_TOP 522.0
#define PANEL_WIDTH 400.0

static double tile_left(int index) {
  return LVN_PAGE_MARGIN + index * TILE_STEP;
}

static int tile_count(const struct lvn_capture_request *request) {
  return request->phases[LVN_PHASE_DL].title != NULL ? LVN_PHASE_COUNT : LVN_PHASE_NETWORK_COUNT;
}

static int page_width(const struct lvn_capture_request *request) {
  return tile_count(request) == LVN_PHASE_COUNT ? LVN_CAPTURE_DELAYED_WIDTH : LVN_CAPTURE_WIDTH;
}

/* The longest of 5, 10, 20, 50 … mm that takes at most 35 % of the tile. */
static double scale_bar_mm(double side_mm) {
  static const double lengths[] = {5, 10, 20, 50, 100, 200};
  double best = lengths[0];
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    best = lengths[i] <= 0.35 * side_mm ? lengths[i] : best;
  }
  return best;
}

static void draw_scale_bar(cairo_t *cr, double x, double y, double sample_spacing_mm) {
  const struct lvn_draw_style style = {14, true, lvn_page_white};
  double side_mm = sample_spacing_mm * LVN_CAPTURE_SIDE;
  double length_mm = scale_bar_mm(side_mm);
  double length = length_mm / side_mm * TILE_SIDE;
  char text[32];
  (void)snprintf(text, sizeof text, "%.0f mm", length_mm);
  lvn_draw_box(cr, x + 9, y + TILE_SIDE - 33, fmax(length, lvn_draw_text_width(cr, &style, text)) + 10, 26,
               (struct lvn_colour){0, 0, 0});
  lvn_draw_box(cr, x + 14, y + TILE_SIDE - 13, length, 3, lvn_page_white);
  lvn_draw_text(cr, x + 14, y + TILE_SIDE - 17, 120, &style, text);
}

/* Where the picture's left and upper edges lie in the patient, as viewers mark it. */
static void draw_edges(cairo_t *cr, double x, double y, const struct lvn_capture_request *request) {
  const struct lvn_draw_style style = {15, true, lvn_page_white};
  const char left[] = {request->left_edge, '\0'};
  const char top[] = {request->top_edge, '\0'};
  if (request->left_edge != '\0') {
    lvn_draw_box(cr, x + 4, y + TILE_SIDE / 2 - 10, lvn_draw_text_width(cr, &style, left) + 6, 19, lvn_page_background);
    lvn_draw_text(cr, x + 7, y + TILE_SIDE / 2 + 5, 20, &style, left);
  }
  if (request->top_edge != '\0') {
    double width = lvn_draw_text_width(cr, &style, top);
    lvn_draw_box(cr, x + (TILE_SIDE - width) / 2 - 3, y + 4, width + 6, 19, lvn_page_background);
    lvn_draw_text(cr, x + (TILE_SIDE - width) / 2, y + 19, 20, &style, top);
  }
}

static void draw_tag(cairo_t *cr, double x, double y, const char *text, struct lvn_colour colour) {
  const struct lvn_draw_style style = {14, true, {0, 0, 0}};
  double width = lvn_draw_text_width(cr, &style, text);
  lvn_draw_box(cr, x + TILE_SIDE - width - 20, y + 8, width + 12, 22, colour);
  lvn_draw_text(cr, x + TILE_SIDE - width - 14, y + 24, width + 1, &style, text);
}

static void draw_empty_tile(cairo_t *cr, double x, double y, const char *text) {
  const struct lvn_draw_style style = {16, false, lvn_page_grey};
  lvn_draw_box(cr, x, y, TILE_SIDE, TILE_SIDE, lvn_page_panel);
  (void)lvn_draw_paragraph(cr, x + 28, y + TILE_SIDE / 2 - 10, TILE_SIDE - 56, &style, 4, text);
  lvn_draw_frame(cr, x, y, TILE_SIDE, TILE_SIDE, 1, lvn_page_dim);
}

static void draw_outline(cairo_t *cr, double x, double y, const struct lvn_capture_request *request,
                         struct lvn_colour colour) {
  lvn_draw_smooth_outline(cr, x, y, TILE_SIDE, request->mask, LVN_CAPTURE_SIDE, request->pixel_samples, colour);
}

/* "111 HU  +63 from NC  +12 vs liver": what a radiologist looks at first. */
static void draw_attenuation(cairo_t *cr, double x, double y, const struct lvn_capture_phase *phase) {
  const struct lvn_draw_style value = {18, true, lvn_page_white};
  const struct lvn_draw_style change = {14, false, lvn_page_white};
  char text[64];
  double left = x;
  if (!isfinite(phase->mean_hu)) {
    return;
  }
  (void)snprintf(text, sizeof text, "%.0f HU", phase->mean_hu);
  lvn_draw_text(cr, left, y, 120, &value, text);
  left += lvn_draw_text_width(cr, &value, text) + 14;
  if (isfinite(phase->from_plain_hu)) {
    (void)snprintf(text, sizeof text, "%+.0f from NC", round(phase->from_plain_hu) + 0.0);
    lvn_draw_text(cr, left, y, x + TILE_SIDE - left, &change, text);
    left += lvn_draw_text_width(cr, &change, text) + 14;
  }
  if (isfinite(phase->against_liver_hu)) {
    (void)snprintf(text, sizeof text, "%+.0f vs liver", round(phase->against_liver_hu) + 0.0);
    lvn_draw_text(cr, left, y, x + TILE_SIDE - left, &change, text);
  }
}

static void draw_phase(cairo_t *cr, const struct lvn_capture_request *request, int index) {
  const struct lvn_capture_phase *phase = &request->phases[index];
  const struct lvn_draw_style title = {18, true, lvn_page_white};
  const struct lvn_draw_style detail = {13, false, phase->is_unusable ? lvn_page_red : lvn_page_grey};
  double x = tile_left(index);
  bool has_pixels = phase->hounsfield != NULL;
  lvn_draw_text(cr, x, ROW_ONE_TOP - 9, TILE_SIDE, &title, phase->title);
  if (has_pixels) {
    lvn_draw_crop(cr, x, ROW_ONE_TOP, TILE_SIDE, phase->hounsfield, LVN_CAPTURE_SIDE, request->window_low_hu,
                  request->window_high_hu);
    draw_outline(cr, x, ROW_ONE_TOP, request, phase->is_unusable ? lvn_page_red : lvn_page_outline);
    draw_scale_bar(cr, x, ROW_ONE_TOP, request->sample_spacing_mm);
    draw_edges(cr, x, ROW_ONE_TOP, request);
    lvn_draw_frame(cr, x, ROW_ONE_TOP, TILE_SIDE, TILE_SIDE, phase->is_unusable ? 3 : 1,
                   phase->is_unusable ? lvn_page_red : lvn_page_dim);
  } else {
    draw_empty_tile(cr, x, ROW_ONE_TOP,
                    phase->is_unusable ? "This phase could not be aligned." : "This phase is missing.");
  }
  if (phase->is_reference) {
    draw_tag(cr, x, ROW_ONE_TOP, "ROI drawn here", lvn_page_outline);
  } else if (phase->is_unusable) {
    draw_tag(cr, x, ROW_ONE_TOP, "NOT ALIGNED", lvn_page_red);
  }
  bool has_hu = has_pixels && !phase->is_unusable && isfinite(phase->mean_hu);
  if (has_hu) {
    draw_attenuation(cr, x, ROW_ONE_TOP + TILE_SIDE + 22, phase);
  }
  if (phase->detail != NULL) {
    (void)lvn_draw_paragraph(cr, x, ROW_ONE_TOP + TILE_SIDE + (has_hu ? 43 : 22), TILE_SIDE, &detail, has_hu ? 2 : 3,
                             phase->detail);
  }
}

static bool has_map(const struct lvn_capture_request *request) {
  return request->heat != NULL && request->has_probability;
}

static const char *why_no_overlay(const struct lvn_capture_request *request, int index) {
  const struct lvn_capture_phase *phase = &request->phases[index];
  if (index >= LVN_PHASE_NETWORK_COUNT) {
    return "The model does not use the delayed phase.";
  }
  if (phase->hounsfield == NULL) {
    return "This phase is missing.";
  }
  if (phase->is_unusable) {
    return "No overlay: this phase could not be aligned.";
  }
  return NULL;
}

/* One box in place of the maps. */
static void draw_no_map(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style style = {16, false, lvn_page_grey};
  double width = tile_left(tile_count(request) - 1) + TILE_SIDE - LVN_PAGE_MARGIN;
  lvn_draw_box(cr, LVN_PAGE_MARGIN, ROW_TWO_TOP, width, TILE_SIDE, lvn_page_panel);
  lvn_draw_frame(cr, LVN_PAGE_MARGIN, ROW_TWO_TOP, width, TILE_SIDE, 1, lvn_page_dim);
  (void)lvn_draw_paragraph(cr, LVN_PAGE_MARGIN + 28, ROW_TWO_TOP + TILE_SIDE / 2, width - 56, &style, 3,
                           "A map is shown where every phase that the network needs is there and aligned.");
}

static void draw_explanation(cairo_t *cr, const struct lvn_capture_request *request, int index) {
  double x = tile_left(index);
  const char *reason = why_no_overlay(request, index);
  if (reason != NULL) {
    draw_empty_tile(cr, x, ROW_TWO_TOP, reason);
    return;
  }
  lvn_draw_crop(cr, x, ROW_TWO_TOP, TILE_SIDE, request->phases[index].hounsfield, LVN_CAPTURE_SIDE,
                request->window_low_hu, request->window_high_hu);
  lvn_draw_heat(cr, x, ROW_TWO_TOP, TILE_SIDE, request->heat, LVN_CAPTURE_SIDE);
  draw_outline(cr, x, ROW_TWO_TOP, request, lvn_page_outline);
  lvn_draw_frame(cr, x, ROW_TWO_TOP, TILE_SIDE, TILE_SIDE, 1, lvn_page_dim);
}

/* Under the maps: what share of the map is about the outline, and the scale of its colours. */
static void draw_map_line(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style plain = {15, false, lvn_page_white};
  const struct lvn_draw_style warning = {15, true, lvn_page_amber};
  const struct lvn_draw_style tick = {14, false, lvn_page_grey};
  const double width = 180;
  double right = tile_left(LVN_PHASE_NETWORK_COUNT - 1) + TILE_SIDE;
  double left = right - width - 40;
  double y = ROW_TWO_TOP + TILE_SIDE + 12;
  for (int i = 0; i < (int)width; i++) {
    lvn_draw_box(cr, left + i, y, 1, 12, lvn_draw_heat_colour((i + 0.5) / width));
  }
  lvn_draw_frame(cr, left, y, width, 12, 1, lvn_page_grey);
  lvn_draw_text_right(cr, left - 24, y + 11, 18, &tick, "0");
  lvn_draw_text(cr, left + width + 6, y + 11, 40, &tick, "max");
  if (request->map_text != NULL) {
    lvn_draw_text(cr, LVN_PAGE_MARGIN, y + 12, left - 40 - LVN_PAGE_MARGIN,
                  request->map_is_elsewhere ? &warning : &plain, request->map_text);
  }
}

static void draw_row_two_title(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style title = {18, true, lvn_page_white};
  const struct lvn_draw_style note = {14, false, lvn_page_grey};
  char text[128];
  if (!has_map(request)) {
    lvn_draw_text(cr, LVN_PAGE_MARGIN, ROW_TWO_TOP - 10, 900, &title, "Grad-CAM: not available");
    return;
  }
  (void)snprintf(text, sizeof text, "Grad-CAM: %s", lvn_class_title(request->top_class));
  lvn_draw_text(cr, LVN_PAGE_MARGIN, ROW_TWO_TOP - 10, 520, &title, text);
  double left = LVN_PAGE_MARGIN + fmin(lvn_draw_text_width(cr, &title, text), 520) + 16;
  lvn_draw_text(cr, left, ROW_TWO_TOP - 10, tile_left(2) + TILE_SIDE - left, &note,
                request->weighs_measurements ? "of the network alone, measured HU weigh too; 7 x 7 cells"
                                             : "one map for all phases, 7 x 7 cells: coarse; relative colours");
}

static void draw_footer(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style style = {14, false, lvn_page_grey};
  double width = page_width(request) - 2 * LVN_PAGE_MARGIN;
  char window[32];
  char text[512];
  unsigned count = 0;
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    count += (request->classes >> c) & 1U;
  }
  (void)snprintf(text, sizeof text,
                 "Model %.64s %.32s%s%.200s. It knows these %u classes only: it takes any other lesion for one of "
                 "them, unless it finds it unlike all.",
                 request->model_name, request->model_version, request->trained_on != NULL ? ", trained on " : "",
                 request->trained_on != NULL ? request->trained_on : "", count);
  lvn_draw_text(cr, LVN_PAGE_MARGIN, LVN_CAPTURE_HEIGHT - 34, width, &style, text);
  lvn_page_window(request->window_low_hu, request->window_high_hu, window);
  (void)snprintf(
      text, sizeof text,
      "%s. Slice of the lesion's largest outline; other phases are resampled onto the ROI's. HU: mean in the "
      "outline over the lesion's slices; liver: median of what is about it.",
      window);
  lvn_draw_text(cr, LVN_PAGE_MARGIN, LVN_CAPTURE_HEIGHT - 13, width, &style, text);
}

static void draw_all(cairo_t *cr, const void *context) {
  const struct lvn_capture_request *request = context;
  int tiles = tile_count(request);
  double panel_left = tile_left(tiles);
  lvn_page_header(cr, page_width(request), request->lesion_label, request->size_text);
  draw_row_two_title(cr, request);
  for (int i = 0; i < tiles; i++) {
    draw_phase(cr, request, i);
    if (has_map(request)) {
      draw_explanation(cr, request, i);
    }
  }
  if (has_map(request)) {
    draw_map_line(cr, request);
  } else {
    draw_no_map(cr, request);
  }
  lvn_capture_panel(cr, panel_left + 8, ROW_ONE_TOP, PANEL_WIDTH, ROW_TWO_TOP + TILE_SIDE - ROW_ONE_TOP, request);
  draw_footer(cr, request);
}

bool lvn_capture_render(const struct lvn_capture_request *request, struct lvn_picture *ret_picture,
                        struct lvn_error *err) {
  return lvn_page_render(page_width(request), LVN_CAPTURE_HEIGHT, draw_all, request, ret_picture, err);
}
