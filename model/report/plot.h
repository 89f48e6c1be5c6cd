/* Plots as vector pictures (SVG), for the report, or on a canvas: axes with round ticks, lines, bars, a legend. Colours
 * are Okabe and Ito's, which readers with colour blindness can tell apart; every series also has a dash of its own. */
#ifndef LVN_MODEL_REPORT_PLOT_H
#define LVN_MODEL_REPORT_PLOT_H

#include "base/error.h"
#include "model/draw/draw.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PLOT_STYLES 8
struct lvn_colour lvn_plot_colour(size_t style); /* 0 to 3: the classes; 4 to 7: others, 7 is a quiet grey */

struct lvn_plot_axes {
  const char *title;
  const char *x_label;
  const char *y_label;
  double x_low;
  double x_high;
  double y_low;
  double y_high;
};

/* Belongs to one thread. */
struct lvn_plot;

/* `axes` NULL: an empty canvas. Points (1/96 inch). NULL without memory. */
struct lvn_plot *lvn_plot_create(double width, double height, const struct lvn_plot_axes *axes, struct lvn_error *err);
/* The same with its upper left corner at the origin of a canvas of the caller's; lvn_plot_destroy() ends it. */
struct lvn_plot *lvn_plot_create_on(cairo_t *canvas, double width, double height, const struct lvn_plot_axes *axes,
                                    struct lvn_error *err);
void lvn_plot_destroy(struct lvn_plot *plot); /* NULL is allowed */

/* Borrowed; for what is no curve. */
cairo_t *lvn_plot_canvas(struct lvn_plot *plot);

/* Through the points, clipped to the axes; `name` goes into the legend (NULL: none). */
void lvn_plot_line(struct lvn_plot *plot, size_t style, const char *name, const double *x, const double *y,
                   size_t count);
void lvn_plot_points(struct lvn_plot *plot, size_t style, const double *x, const double *y, size_t count);
/* From y_low to `y` between x_from and x_to. */
void lvn_plot_bar(struct lvn_plot *plot, size_t style, double x_from, double x_to, double y);
/* Error bar. */
void lvn_plot_whisker(struct lvn_plot *plot, size_t style, double x, double low, double high);

/* In the corner that ROC curves leave free, or in one row above the axes, where nothing can lie under it. */
enum lvn_plot_legend { LVN_PLOT_BOTTOM_RIGHT, LVN_PLOT_ABOVE };
void lvn_plot_draw_legend(struct lvn_plot *plot, enum lvn_plot_legend where);

/* The SVG's bytes of lvn_plot_create(), lvn_free() them. No more can be drawn. */
LVN_MUST_CHECK bool lvn_plot_finish(struct lvn_plot *plot, unsigned char **ret_data, size_t *ret_bytes,
                                    struct lvn_error *err);

/* A step of 1, 2 or 5 times a power of ten, so that `span` has at most `most` of them. */
double lvn_plot_step(double span, unsigned most);

#ifdef __cplusplus
}
#endif
#endif
