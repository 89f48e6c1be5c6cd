#include "analysis/capture.h"

#include "base/memory.h"
#include "model/draw/draw.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TILE_SIDE 320.0
#define TILE_LEFT 24.0
#define TILE_STEP 336.0
#define ROW_ONE_TOP 96.0
#define ROW_TWO_TOP 496.0
#define PANEL_LEFT 1104.0
#define PANEL_WIDTH 312.0
#define CAUTION_HEIGHT 85.0

static const struct lvn_colour background = {0.055, 0.063, 0.078};
static const struct lvn_colour panel = {0.094, 0.106, 0.129};
static const struct lvn_colour white = {0.95, 0.96, 0.97};
static const struct lvn_colour grey = {0.66, 0.69, 0.74};
static const struct lvn_colour dim = {0.20, 0.22, 0.26};
static const struct lvn_colour outline_colour = {0.25, 0.95, 1.0};
static const struct lvn_colour amber = {1.0, 0.72, 0.20};
static const struct lvn_colour red = {1.0, 0.42, 0.38};
static const struct lvn_colour blue = {0.35, 0.62, 0.98};

static double tile_left(int index) {
  return TILE_LEFT + index * TILE_STEP;
}

static void draw_header(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style title = {26, true, white};
  const struct lvn_draw_style size = {20, false, grey};
  const struct lvn_draw_style notice = {14, true, amber};
  double width = lvn_draw_text_width(cr, &title, request->lesion_label);
  double notice_width = lvn_draw_text_width(cr, &notice, LVN_RESEARCH_NOTICE);
  double notice_left = LVN_CAPTURE_WIDTH - 24 - notice_width - 24;
  lvn_draw_text(cr, TILE_LEFT, 40, 400, &title, request->lesion_label);
  width = width < 400 ? width : 400;
  lvn_draw_text(cr, TILE_LEFT + width + 18, 40, notice_left - TILE_LEFT - width - 36, &size, request->size_text);
  lvn_draw_frame(cr, notice_left, 17, notice_width + 24, 32, 1.5, amber);
  lvn_draw_text(cr, notice_left + 12, 38, notice_width + 1, &notice, LVN_RESEARCH_NOTICE);
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
  const struct lvn_draw_style style = {13, true, white};
  double side_mm = sample_spacing_mm * LVN_CAPTURE_SIDE;
  double length_mm = scale_bar_mm(side_mm);
  double length = length_mm / side_mm * TILE_SIDE;
  char text[32];
  (void)snprintf(text, sizeof text, "%.0f mm", length_mm);
  lvn_draw_box(cr, x + 9, y + TILE_SIDE - 32, fmax(length, lvn_draw_text_width(cr, &style, text)) + 10, 25,
               (struct lvn_colour){0, 0, 0});
  lvn_draw_box(cr, x + 14, y + TILE_SIDE - 13, length, 3, white);
  lvn_draw_text(cr, x + 14, y + TILE_SIDE - 17, 120, &style, text);
}

/* Where the picture's left and upper edges lie in the patient, as viewers mark it. */
static void draw_edges(cairo_t *cr, double x, double y, const struct lvn_capture_request *request) {
  const struct lvn_draw_style style = {15, true, white};
  const char left[] = {request->left_edge, '\0'};
  const char top[] = {request->top_edge, '\0'};
  if (request->left_edge != '\0') {
    lvn_draw_box(cr, x + 4, y + TILE_SIDE / 2 - 10, lvn_draw_text_width(cr, &style, left) + 6, 19, background);
    lvn_draw_text(cr, x + 7, y + TILE_SIDE / 2 + 5, 20, &style, left);
  }
  if (request->top_edge != '\0') {
    double width = lvn_draw_text_width(cr, &style, top);
    lvn_draw_box(cr, x + (TILE_SIDE - width) / 2 - 3, y + 4, width + 6, 19, background);
    lvn_draw_text(cr, x + (TILE_SIDE - width) / 2, y + 19, 20, &style, top);
  }
}

static void draw_tag(cairo_t *cr, double x, double y, const char *text, struct lvn_colour colour) {
  const struct lvn_draw_style style = {13, true, {0, 0, 0}};
  double width = lvn_draw_text_width(cr, &style, text);
  lvn_draw_box(cr, x + TILE_SIDE - width - 20, y + 8, width + 12, 21, colour);
  lvn_draw_text(cr, x + TILE_SIDE - width - 14, y + 23, width + 1, &style, text);
}

static void draw_empty_tile(cairo_t *cr, double x, double y, const char *text) {
  const struct lvn_draw_style style = {16, false, grey};
  lvn_draw_box(cr, x, y, TILE_SIDE, TILE_SIDE, panel);
  (void)lvn_draw_paragraph(cr, x + 28, y + TILE_SIDE / 2 - 10, TILE_SIDE - 56, &style, 4, text);
  lvn_draw_frame(cr, x, y, TILE_SIDE, TILE_SIDE, 1, dim);
}

static void draw_phase(cairo_t *cr, const struct lvn_capture_request *request, int index) {
  const struct lvn_capture_phase *phase = &request->phases[index];
  const struct lvn_draw_style title = {18, true, white};
  const struct lvn_draw_style detail = {13, false, phase->is_unusable ? red : grey};
  double x = tile_left(index);
  lvn_draw_text(cr, x, ROW_ONE_TOP - 9, TILE_SIDE, &title, phase->title);
  if (phase->hounsfield == NULL) {
    draw_empty_tile(cr, x, ROW_ONE_TOP, "This phase is missing.");
  } else {
    lvn_draw_crop(cr, x, ROW_ONE_TOP, TILE_SIDE, phase->hounsfield, LVN_CAPTURE_SIDE, request->window_low_hu,
                  request->window_high_hu);
    lvn_draw_outline(cr, x, ROW_ONE_TOP, TILE_SIDE, request->mask, LVN_CAPTURE_SIDE,
                     phase->is_unusable ? red : outline_colour);
    draw_scale_bar(cr, x, ROW_ONE_TOP, request->sample_spacing_mm);
    draw_edges(cr, x, ROW_ONE_TOP, request);
    lvn_draw_frame(cr, x, ROW_ONE_TOP, TILE_SIDE, TILE_SIDE, phase->is_unusable ? 3 : 1,
                   phase->is_unusable ? red : dim);
  }
  if (phase->is_reference) {
    draw_tag(cr, x, ROW_ONE_TOP, "ROI drawn here", outline_colour);
  } else if (phase->is_unusable && phase->hounsfield != NULL) {
    draw_tag(cr, x, ROW_ONE_TOP, "NOT ALIGNED", red);
  }
  if (phase->detail != NULL) {
    (void)lvn_draw_paragraph(cr, x, ROW_ONE_TOP + TILE_SIDE + 18, TILE_SIDE, &detail, 2, phase->detail);
  }
}

static void draw_explanation(cairo_t *cr, const struct lvn_capture_request *request, int index) {
  const struct lvn_capture_phase *phase = &request->phases[index];
  double x = tile_left(index);
  if (phase->hounsfield == NULL || phase->is_unusable) {
    draw_empty_tile(cr, x, ROW_TWO_TOP,
                    phase->hounsfield == NULL ? "This phase is missing."
                                              : "No overlay: this phase could not be aligned.");
    return;
  }
  if (request->heat == NULL || !request->has_probability) {
    draw_empty_tile(cr, x, ROW_TWO_TOP, "No overlay: the network's answer is not used.");
    return;
  }
  lvn_draw_crop(cr, x, ROW_TWO_TOP, TILE_SIDE, phase->hounsfield, LVN_CAPTURE_SIDE, request->window_low_hu,
                request->window_high_hu);
  lvn_draw_heat(cr, x, ROW_TWO_TOP, TILE_SIDE, request->heat, LVN_CAPTURE_SIDE);
  lvn_draw_outline(cr, x, ROW_TWO_TOP, TILE_SIDE, request->mask, LVN_CAPTURE_SIDE, outline_colour);
  lvn_draw_frame(cr, x, ROW_TWO_TOP, TILE_SIDE, TILE_SIDE, 1, dim);
}

static void draw_colour_bar(cairo_t *cr) {
  static const char *const ticks[] = {"0", "0.25", "0.5", "0.75", "1"};
  const struct lvn_draw_style style = {12, false, grey};
  double x = tile_left(2) + TILE_SIDE + 12;
  for (int i = 0; i < (int)TILE_SIDE; i++) {
    lvn_draw_box(cr, x, ROW_TWO_TOP + i, 14, 1, lvn_draw_heat_colour(1 - (i + 0.5) / TILE_SIDE));
  }
  lvn_draw_frame(cr, x, ROW_TWO_TOP, 14, TILE_SIDE, 1, grey);
  for (int i = 0; i < 5; i++) {
    double y = ROW_TWO_TOP + TILE_SIDE * (1 - i / 4.0);
    lvn_draw_box(cr, x + 14, fmin(y, ROW_TWO_TOP + TILE_SIDE - 1), 5, 1, grey);
    lvn_draw_text(cr, x + 22, i == 0 ? y : i == 4 ? y + 10 : y + 4, 40, &style, ticks[i]);
  }
}

static void draw_row_two_title(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style title = {18, true, white};
  const struct lvn_draw_style note = {13, false, grey};
  char text[128];
  if (request->heat == NULL || !request->has_probability) {
    lvn_draw_text(cr, TILE_LEFT, ROW_TWO_TOP - 10, 900, &title, "Grad-CAM: not available");
    return;
  }
  (void)snprintf(text, sizeof text, "Grad-CAM for \"%s\"", lvn_class_long_name(request->top_class));
  lvn_draw_text(cr, TILE_LEFT, ROW_TWO_TOP - 10, 520, &title, text);
  double left = TILE_LEFT + fmin(lvn_draw_text_width(cr, &title, text), 520) + 16;
  lvn_draw_text(cr, left, ROW_TWO_TOP - 10, tile_left(2) + TILE_SIDE - left, &note,
                "one map for all phases; 7x7 cells: coarse, no boundary; 1 is its maximum");
}

static double draw_finding(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style label = {14, false, grey};
  const struct lvn_draw_style big = {23, true, white};
  const struct lvn_draw_style warning = {23, true, amber};
  const struct lvn_draw_style reason = {15, false, white};
  bool is_classified = request->has_probability && !request->abstained;
  double y = ROW_ONE_TOP + 26;
  char text[48];
  (void)snprintf(text, sizeof text, "Most likely of %zu classes", lvn_classes_count(request->classes));
  lvn_draw_text(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 32, &label, is_classified ? text : "Result");
  y += 32;
  if (is_classified) {
    return lvn_draw_paragraph(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 32, &big, 2,
                              lvn_class_long_name(request->top_class));
  }
  y = lvn_draw_paragraph(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 32, &warning, 1,
                         request->has_probability ? "INDETERMINATE" : "NOT CLASSIFIED");
  return lvn_draw_paragraph(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 32, &reason, 8,
                            request->abstention_reason == NULL ? "No reason was given." : request->abstention_reason);
}

static void draw_bar(cairo_t *cr, double y, const struct lvn_capture_request *request, enum lvn_class lesion_class) {
  bool is_top = lesion_class == request->top_class && !request->abstained;
  double part = fmin(fmax(request->probability[lesion_class], 0), 1);
  const struct lvn_draw_style name = {13.5, is_top, is_top ? white : grey};
  const struct lvn_draw_style value = {16, is_top, is_top ? white : grey};
  char text[16];
  (void)snprintf(text, sizeof text, "%.1f %%", 100 * part);
  lvn_draw_text(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 104, &name, lvn_class_long_name(lesion_class));
  lvn_draw_text_right(cr, PANEL_LEFT + PANEL_WIDTH - 92, y, 76, &value, text);
  lvn_draw_box(cr, PANEL_LEFT + 16, y + 8, PANEL_WIDTH - 32, 14, dim);
  lvn_draw_box(cr, PANEL_LEFT + 16, y + 8, (PANEL_WIDTH - 32) * part, 14, is_top ? blue : grey);
}

static void draw_panel(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style label = {14, false, grey};
  const struct lvn_draw_style caution = {13, false, grey};
  double bottom = ROW_TWO_TOP + TILE_SIDE;
  lvn_draw_box(cr, PANEL_LEFT, ROW_ONE_TOP, PANEL_WIDTH, bottom - ROW_ONE_TOP, panel);
  double y = draw_finding(cr, request);
  y = fmax(y + 14, ROW_ONE_TOP + 130);
  lvn_draw_box(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 32, 1, dim);
  y += 26;
  if (request->has_probability) {
    lvn_draw_text(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 32, &label, "Calibrated probability");
    y += 34;
    const double room = bottom - CAUTION_HEIGHT - y;
    const double pitch = fmin(50, room / (double)lvn_classes_count(request->classes));
    for (unsigned k = lvn_classes_first(request->classes); k < LVN_CLASS_COUNT;
         k = lvn_classes_next(request->classes, k)) {
      draw_bar(cr, y, request, (enum lvn_class)k);
      y += pitch;
    }
  } else {
    lvn_draw_text(cr, PANEL_LEFT + 16, y, PANEL_WIDTH - 32, &label, "No probability is given.");
  }
  char text[320] = "The model knows these classes only. ";
  for (unsigned c = lvn_classes_first(~request->classes); c < LVN_CLASS_COUNT;
       c = lvn_classes_next(~request->classes, c)) {
    size_t used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, "%s, ", lvn_class_long_name((enum lvn_class)c));
  }
  size_t used = strlen(text);
  (void)snprintf(text + used, sizeof text - used, "%s other lesions are outside of them.",
                 lvn_classes_first(~request->classes) < LVN_CLASS_COUNT ? "and all" : "All");
  (void)lvn_draw_paragraph(cr, PANEL_LEFT + 16, bottom - CAUTION_HEIGHT + 13, PANEL_WIDTH - 32, &caution, 4, text);
}

static void draw_footer(cairo_t *cr, const struct lvn_capture_request *request) {
  const struct lvn_draw_style style = {14, false, grey};
  char text[256];
  (void)snprintf(text, sizeof text, "Model %s %s%s%s", request->model_name, request->model_version,
                 request->trained_on != NULL ? ", trained on " : "",
                 request->trained_on != NULL ? request->trained_on : "");
  lvn_draw_text(cr, TILE_LEFT, 848, 1392, &style, text);
  (void)snprintf(text, sizeof text,
                 "Window %.0f to %.0f HU. Slice of the lesion's largest outline. Other phases are resampled onto the "
                 "phase that the ROI was drawn on.",
                 request->window_low_hu, request->window_high_hu);
  lvn_draw_text(cr, TILE_LEFT, 872, 1392, &style, text);
}

static void draw_all(cairo_t *cr, const struct lvn_capture_request *request) {
  lvn_draw_box(cr, 0, 0, LVN_CAPTURE_WIDTH, LVN_CAPTURE_HEIGHT, background);
  draw_header(cr, request);
  draw_row_two_title(cr, request);
  for (int i = 0; i < LVN_PHASE_NETWORK_COUNT; i++) {
    draw_phase(cr, request, i);
    draw_explanation(cr, request, i);
  }
  if (request->heat != NULL && request->has_probability) {
    draw_colour_bar(cr);
  }
  draw_panel(cr, request);
  draw_footer(cr, request);
}

static bool copy_pixels(cairo_surface_t *surface, struct lvn_picture *ret_picture, struct lvn_error *err) {
  cairo_surface_flush(surface);
  const unsigned char *data = cairo_image_surface_get_data(surface);
  int stride = cairo_image_surface_get_stride(surface);
  if (!lvn_picture_create(LVN_CAPTURE_WIDTH, LVN_CAPTURE_HEIGHT, ret_picture, err)) {
    return false;
  }
  for (int row = 0; row < LVN_CAPTURE_HEIGHT; row++) {
    for (int column = 0; column < LVN_CAPTURE_WIDTH; column++) {
      uint8_t *rgb = ret_picture->rgb + 3 * ((size_t)row * LVN_CAPTURE_WIDTH + (size_t)column);
      uint32_t value = 0;
      memcpy(&value, data + row * stride + 4 * column, sizeof value);
      rgb[0] = (uint8_t)(value >> 16);
      rgb[1] = (uint8_t)(value >> 8);
      rgb[2] = (uint8_t)value;
    }
  }
  return true;
}

bool lvn_capture_render(const struct lvn_capture_request *request, struct lvn_picture *ret_picture,
                        struct lvn_error *err) {
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, LVN_CAPTURE_WIDTH, LVN_CAPTURE_HEIGHT);
  cairo_t *cr = cairo_create(surface);
  draw_all(cr, request);
  cairo_status_t status = cairo_status(cr);
  bool good = false;
  if (status != CAIRO_STATUS_SUCCESS) {
    (void)lvn_error_set(err, status == CAIRO_STATUS_NO_MEMORY ? LVN_ERROR_NOMEM : LVN_ERROR_INTERNAL,
                        "cannot draw the capture: %s", cairo_status_to_string(status));
  } else {
    good = copy_pixels(surface, ret_picture, err);
  }
  cairo_destroy(cr);
  cairo_surface_destroy(surface);
  return good;
}
