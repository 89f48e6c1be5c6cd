#include "analysis/page.h"

#include "model/image/vocabulary.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const struct lvn_colour lvn_page_background = {0.055, 0.063, 0.078};
const struct lvn_colour lvn_page_panel = {0.094, 0.106, 0.129};
const struct lvn_colour lvn_page_white = {0.95, 0.96, 0.97};
const struct lvn_colour lvn_page_grey = {0.72, 0.75, 0.79};
const struct lvn_colour lvn_page_dim = {0.20, 0.22, 0.26};
const struct lvn_colour lvn_page_outline = {0.25, 0.95, 1.0};
const struct lvn_colour lvn_page_amber = {1.0, 0.72, 0.20};
const struct lvn_colour lvn_page_red = {1.0, 0.42, 0.38};
const struct lvn_colour lvn_page_blue = {0.35, 0.62, 0.98};

void lvn_page_header(cairo_t *cr, int width, const char *title, const char *subtitle) {
  const struct lvn_draw_style large = {26, true, lvn_page_white};
  const struct lvn_draw_style small = {20, false, lvn_page_grey};
  const struct lvn_draw_style notice = {15, true, lvn_page_amber};
  double notice_width = lvn_draw_text_width(cr, &notice, LVN_RESEARCH_NOTICE);
  double notice_left = width - LVN_PAGE_MARGIN - notice_width - 24;
  double title_width = fmin(lvn_draw_text_width(cr, &large, title), 400);
  lvn_draw_text(cr, LVN_PAGE_MARGIN, 41, 400, &large, title);
  if (subtitle != NULL) {
    lvn_draw_text(cr, LVN_PAGE_MARGIN + title_width + 18, 41, notice_left - LVN_PAGE_MARGIN - title_width - 36, &small,
                  subtitle);
  }
  lvn_draw_frame(cr, notice_left, 17, notice_width + 24, 34, 1.5, lvn_page_amber);
  lvn_draw_text(cr, notice_left + 12, 39, notice_width + 1, &notice, LVN_RESEARCH_NOTICE);
}

void lvn_page_window(double low_hu, double high_hu, char ret_text[32]) {
  (void)snprintf(ret_text, 32, "W %.0f L %.0f", high_hu - low_hu, 0.5 * (low_hu + high_hu));
}

static bool copy_pixels(cairo_surface_t *surface, int width, int height, struct lvn_picture *ret_picture,
                        struct lvn_error *err) {
  cairo_surface_flush(surface);
  const unsigned char *data = cairo_image_surface_get_data(surface);
  int stride = cairo_image_surface_get_stride(surface);
  if (!lvn_picture_create((uint32_t)width, (uint32_t)height, ret_picture, err)) {
    return false;
  }
  for (int row = 0; row < height; row++) {
    for (int column = 0; column < width; column++) {
      uint8_t *rgb = ret_picture->rgb + 3 * ((size_t)row * (size_t)width + (size_t)column);
      uint32_t value = 0;
      memcpy(&value, data + (ptrdiff_t)row * stride + (ptrdiff_t)4 * column, sizeof value);
      rgb[0] = (uint8_t)(value >> 16);
      rgb[1] = (uint8_t)(value >> 8);
      rgb[2] = (uint8_t)value;
    }
  }
  return true;
}

bool lvn_page_render(int width, int height, void (*draw)(cairo_t *cr, const void *context), const void *context,
                     struct lvn_picture *ret_picture, struct lvn_error *err) {
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
  cairo_t *cr = cairo_create(surface);
  lvn_draw_box(cr, 0, 0, width, height, lvn_page_background);
  draw(cr, context);
  cairo_status_t status = cairo_status(cr);
  bool good = false;
  if (status != CAIRO_STATUS_SUCCESS) {
    (void)lvn_error_set(err, status == CAIRO_STATUS_NO_MEMORY ? LVN_ERROR_NOMEM : LVN_ERROR_INTERNAL,
                        "cannot draw the page: %s", cairo_status_to_string(status));
  } else {
    good = copy_pixels(surface, width, height, ret_picture, err);
  }
  cairo_destroy(cr);
  cairo_surface_destroy(surface);
  return good;
}
