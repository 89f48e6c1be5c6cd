/* Drawing words of the pictures (secondary captures, reports): text that stays in its box, crops in grey, heat,
 * outlines.
 */
#ifndef LVN_MODEL_DRAW_H
#define LVN_MODEL_DRAW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct _cairo cairo_t; /* as cairo.h declares it, so that this header stands alone */

struct lvn_colour {
  double red;
  double green;
  double blue;
};

struct lvn_draw_style {
  double size; /* pixels */
  bool bold;
  struct lvn_colour colour;
};

/* Inferno-like map, perceptually ordered: darker is always less. `value` is cut to 0..1. */
struct lvn_colour lvn_draw_heat_colour(double value);
/* Opacity of the heat at `value`, so that cold regions leave the anatomy visible. */
double lvn_draw_heat_alpha(double value);

void lvn_draw_box(cairo_t *cr, double x, double y, double width, double height, struct lvn_colour colour);
void lvn_draw_frame(cairo_t *cr, double x, double y, double width, double height, double line,
                    struct lvn_colour colour);

double lvn_draw_text_width(cairo_t *cr, const struct lvn_draw_style *style, const char *text);
/* One line with its baseline at y; cut with "..." where it would be wider than `width`. */
void lvn_draw_text(cairo_t *cr, double x, double y, double width, const struct lvn_draw_style *style, const char *text);
/* As above, ending at x + width. */
void lvn_draw_text_right(cairo_t *cr, double x, double y, double width, const struct lvn_draw_style *style,
                         const char *text);
/* Wrapped at spaces into at most `max_lines`; the last one is cut with "...". Returns the baseline after the last line.
 */
double lvn_draw_paragraph(cairo_t *cr, double x, double y, double width, const struct lvn_draw_style *style,
                          int max_lines, const char *text);

/* `samples` x `samples` Hounsfield units in the window low..high, stretched over the square at (x, y). */
void lvn_draw_crop(cairo_t *cr, double x, double y, double side, const int16_t *hounsfield, int samples, double low_hu,
                   double high_hu);
/* The map's own maximum takes the hottest colour; nothing is drawn where there is no positive value. */
void lvn_draw_heat(cairo_t *cr, double x, double y, double side, const float *heat, int samples);
/* Boundary of the mask along sample edges, light on dark so that it shows on any ground. */
void lvn_draw_outline(cairo_t *cr, double x, double y, double side, const uint8_t *mask, int samples,
                      struct lvn_colour colour);
/* The same, without the steps of the image's pixels, each of which covers `pixel_samples` samples: at most a pixel off
 * the edges, and none where they are straight. */
void lvn_draw_smooth_outline(cairo_t *cr, double x, double y, double side, const uint8_t *mask, int samples,
                             double pixel_samples, struct lvn_colour colour);

/* A slice of an image; pixels may be oblong. */
struct lvn_draw_image {
  const int16_t *hounsfield;
  int columns;
  int rows;
  double column_mm; /* from one column to the next */
  double row_mm;
};
/* Where an image's pixel corner (column, row) was drawn: x + column * step_x, y + row * step_y. */
struct lvn_draw_fit {
  double x;
  double y;
  double step_x;
  double step_y;
};
/* The whole image, as large as fits into the box in its true proportions, in its middle. */
struct lvn_draw_fit lvn_draw_image(cairo_t *cr, double x, double y, double width, double height,
                                   const struct lvn_draw_image *image, double low_hu, double high_hu);

#endif
