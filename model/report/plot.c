#include "model/report/plot.h"

#include "base/memory.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SVG_BYTES_MAX (64UL * 1024 * 1024)
#define LEFT 70.0
#define RIGHT 14.0
#define TOP 52.0
#define BOTTOM 48.0
#define LEGEND_MAX 8
#define NAME_BYTES 80
#define TICKS_MAX 6
#define LEGEND_SIZE 11.5
#define LEGEND_LINE 17.0
#define LEGEND_DASH 26.0

struct legend_entry {
  char name[NAME_BYTES];
  size_t style;
};

struct lvn_plot {
  cairo_surface_t *surface;
  cairo_t *cr;
  unsigned char *data;
  size_t bytes;
  size_t room;
  struct lvn_plot_axes axes;
  double width;
  double height;
  struct legend_entry legend[LEGEND_MAX];
  size_t legend_count;
};

static const struct lvn_colour black = {0.13, 0.13, 0.13};
static const struct lvn_colour grid = {0.88, 0.88, 0.88};

struct lvn_colour lvn_plot_colour(size_t style) {
  static const struct lvn_colour colours[LVN_PLOT_STYLES] = {
      {0.000, 0.447, 0.698}, {0.902, 0.624, 0.000}, {0.835, 0.369, 0.000}, {0.000, 0.620, 0.451},
      {0.800, 0.475, 0.655}, {0.337, 0.706, 0.914}, {0.130, 0.130, 0.130}, {0.550, 0.550, 0.550}};
  return colours[style % LVN_PLOT_STYLES];
}

static void set_dash(cairo_t *cr, size_t style) {
  static const double dashes[LVN_PLOT_STYLES][4] = {{0},          {7, 3}, {2, 2}, {8, 3, 2, 3},
                                                    {4, 2, 1, 2}, {5, 5}, {0},    {3, 3}};
  static const int counts[LVN_PLOT_STYLES] = {0, 2, 2, 4, 4, 2, 0, 2};
  cairo_set_dash(cr, dashes[style % LVN_PLOT_STYLES], counts[style % LVN_PLOT_STYLES], 0.0);
}

static void set_style(struct lvn_plot *plot, size_t style, double width) {
  struct lvn_colour colour = lvn_plot_colour(style);
  cairo_set_source_rgb(plot->cr, colour.red, colour.green, colour.blue);
  cairo_set_line_width(plot->cr, width);
  set_dash(plot->cr, style);
}

static cairo_status_t receive(void *closure, const unsigned char *data, unsigned length) {
  struct lvn_plot *plot = closure;
  struct lvn_error err = {0};
  while (plot->room < plot->bytes + length) {
    if (!lvn_grow(&plot->data, &plot->room, plot->room, 1, SVG_BYTES_MAX, &err)) {
      return CAIRO_STATUS_NO_MEMORY;
    }
  }
  memcpy(plot->data + plot->bytes, data, length);
  plot->bytes += length;
  return CAIRO_STATUS_SUCCESS;
}

static double to_x(const struct lvn_plot *plot, double x) {
  const struct lvn_plot_axes *axes = &plot->axes;
  return LEFT + (x - axes->x_low) / (axes->x_high - axes->x_low) * (plot->width - LEFT - RIGHT);
}

static double to_y(const struct lvn_plot *plot, double y) {
  const struct lvn_plot_axes *axes = &plot->axes;
  return plot->height - BOTTOM - (y - axes->y_low) / (axes->y_high - axes->y_low) * (plot->height - TOP - BOTTOM);
}

double lvn_plot_step(double span, unsigned most) {
  double raw = span / most;
  double power = pow(10.0, floor(log10(raw)));
  double lead = raw / power;
  return power * (lead <= 1.0 ? 1.0 : lead <= 2.0 ? 2.0 : lead <= 5.0 ? 5.0 : 10.0);
}

static void write_tick(char text[32], double value, double step) {
  int digits = step >= 1.0 ? 0 : (int)ceil(-log10(step) - 1e-9);
  (void)snprintf(text, 32, "%.*f", digits, fabs(value) < step * 1e-6 ? 0.0 : value);
}

static void draw_rule(struct lvn_plot *plot, double x0, double y0, double x1, double y1, struct lvn_colour colour) {
  cairo_set_source_rgb(plot->cr, colour.red, colour.green, colour.blue);
  cairo_set_line_width(plot->cr, 1.0);
  cairo_set_dash(plot->cr, NULL, 0, 0.0);
  cairo_move_to(plot->cr, x0, y0);
  cairo_line_to(plot->cr, x1, y1);
  cairo_stroke(plot->cr);
}

static void draw_ticks(struct lvn_plot *plot) {
  const struct lvn_plot_axes *axes = &plot->axes;
  const struct lvn_draw_style style = {.size = 11.5, .colour = black};
  double bottom = plot->height - BOTTOM;
  double step = lvn_plot_step(axes->x_high - axes->x_low, TICKS_MAX);
  char text[32];
  for (double x = ceil(axes->x_low / step - 1e-9) * step; x <= axes->x_high + step * 1e-6; x += step) {
    write_tick(text, x, step);
    draw_rule(plot, to_x(plot, x), TOP, to_x(plot, x), bottom, grid);
    double width = lvn_draw_text_width(plot->cr, &style, text);
    lvn_draw_text(plot->cr, to_x(plot, x) - width / 2, bottom + 16, 80, &style, text);
  }
  step = lvn_plot_step(axes->y_high - axes->y_low, TICKS_MAX);
  for (double y = ceil(axes->y_low / step - 1e-9) * step; y <= axes->y_high + step * 1e-6; y += step) {
    write_tick(text, y, step);
    draw_rule(plot, LEFT, to_y(plot, y), plot->width - RIGHT, to_y(plot, y), grid);
    lvn_draw_text_right(plot->cr, 18, to_y(plot, y) + 4, LEFT - 25, &style, text);
  }
}

static void draw_axes(struct lvn_plot *plot) {
  const struct lvn_plot_axes *axes = &plot->axes;
  const struct lvn_draw_style heading = {.size = 13.5, .bold = true, .colour = black};
  const struct lvn_draw_style label = {.size = 12, .colour = black};
  double bottom = plot->height - BOTTOM;
  double right = plot->width - RIGHT;
  draw_ticks(plot);
  draw_rule(plot, LEFT, bottom, right, bottom, black);
  draw_rule(plot, LEFT, TOP, LEFT, bottom, black);
  lvn_draw_text(plot->cr, LEFT, 19, right - LEFT, &heading, axes->title);
  double width = lvn_draw_text_width(plot->cr, &label, axes->x_label);
  lvn_draw_text(plot->cr, fmax(LEFT, (LEFT + right - width) / 2), plot->height - 11, right - LEFT, &label,
                axes->x_label);
  width = lvn_draw_text_width(plot->cr, &label, axes->y_label);
  cairo_save(plot->cr);
  cairo_translate(plot->cr, 13, (TOP + bottom + width) / 2);
  cairo_rotate(plot->cr, -M_PI / 2);
  lvn_draw_text(plot->cr, 0, 0, plot->height, &label, axes->y_label);
  cairo_restore(plot->cr);
}

static void begin(struct lvn_plot *plot, double width, double height, const struct lvn_plot_axes *axes) {
  plot->width = width;
  plot->height = height;
  cairo_set_source_rgb(plot->cr, 1, 1, 1);
  cairo_rectangle(plot->cr, 0, 0, width, height);
  cairo_fill(plot->cr);
  if (axes != NULL) {
    plot->axes = *axes;
    draw_axes(plot);
  }
}

struct lvn_plot *lvn_plot_create(double width, double height, const struct lvn_plot_axes *axes, struct lvn_error *err) {
  struct lvn_plot *plot = lvn_alloc(1, sizeof *plot, err);
  if (plot == NULL) {
    return NULL;
  }
  plot->surface = cairo_svg_surface_create_for_stream(receive, plot, width, height);
  plot->cr = cairo_create(plot->surface);
  begin(plot, width, height, axes);
  return plot;
}

struct lvn_plot *lvn_plot_create_on(cairo_t *canvas, double width, double height, const struct lvn_plot_axes *axes,
                                    struct lvn_error *err) {
  struct lvn_plot *plot = lvn_alloc(1, sizeof *plot, err);
  if (plot == NULL) {
    return NULL;
  }
  plot->cr = cairo_reference(canvas);
  begin(plot, width, height, axes);
  return plot;
}

void lvn_plot_destroy(struct lvn_plot *plot) {
  if (plot != NULL) {
    if (plot->cr != NULL) {
      cairo_destroy(plot->cr);
      cairo_surface_destroy(plot->surface); /* none on a canvas of the caller's */
    }
    lvn_free(plot->data);
    lvn_free(plot);
  }
}

cairo_t *lvn_plot_canvas(struct lvn_plot *plot) {
  return plot->cr;
}

static void clip(struct lvn_plot *plot) {
  cairo_rectangle(plot->cr, LEFT - 1.5, TOP - 1.5, plot->width - LEFT - RIGHT + 3, plot->height - TOP - BOTTOM + 3);
  cairo_clip(plot->cr);
}

void lvn_plot_line(struct lvn_plot *plot, size_t style, const char *name, const double *x, const double *y,
                   size_t count) {
  cairo_save(plot->cr);
  clip(plot);
  cairo_new_path(plot->cr);
  for (size_t i = 0; i < count; i++) {
    if (isfinite(x[i]) && isfinite(y[i])) {
      cairo_line_to(plot->cr, to_x(plot, x[i]), to_y(plot, y[i]));
    }
  }
  set_style(plot, style, style == LVN_PLOT_STYLES - 1 ? 1.2 : 2.0);
  cairo_set_line_join(plot->cr, CAIRO_LINE_JOIN_ROUND);
  cairo_stroke(plot->cr);
  cairo_restore(plot->cr);
  if (name != NULL && plot->legend_count < LEGEND_MAX) {
    struct legend_entry *entry = &plot->legend[plot->legend_count++];
    (void)lvn_copy(entry->name, sizeof entry->name, name);
    entry->style = style;
  }
}

void lvn_plot_points(struct lvn_plot *plot, size_t style, const double *x, const double *y, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (isfinite(x[i]) && isfinite(y[i])) {
      set_style(plot, style, 1.0);
      cairo_new_path(plot->cr);
      cairo_arc(plot->cr, to_x(plot, x[i]), to_y(plot, y[i]), 3.6, 0, 2 * M_PI);
      cairo_fill(plot->cr);
    }
  }
}

void lvn_plot_bar(struct lvn_plot *plot, size_t style, double x_from, double x_to, double y) {
  struct lvn_colour colour = lvn_plot_colour(style);
  cairo_set_source_rgba(plot->cr, colour.red, colour.green, colour.blue, 0.28);
  cairo_rectangle(plot->cr, to_x(plot, x_from), to_y(plot, y), to_x(plot, x_to) - to_x(plot, x_from),
                  to_y(plot, plot->axes.y_low) - to_y(plot, y));
  cairo_fill(plot->cr);
}

void lvn_plot_whisker(struct lvn_plot *plot, size_t style, double x, double low, double high) {
  set_style(plot, style, 1.4);
  cairo_set_dash(plot->cr, NULL, 0, 0.0);
  cairo_move_to(plot->cr, to_x(plot, x), to_y(plot, low));
  cairo_line_to(plot->cr, to_x(plot, x), to_y(plot, high));
  for (int end = 0; end < 2; end++) {
    cairo_move_to(plot->cr, to_x(plot, x) - 3, to_y(plot, end == 0 ? low : high));
    cairo_rel_line_to(plot->cr, 6, 0);
  }
  cairo_stroke(plot->cr);
}

static void draw_entry(struct lvn_plot *plot, const struct legend_entry *entry, double x, double baseline) {
  const struct lvn_draw_style style = {.size = LEGEND_SIZE, .colour = black};
  set_style(plot, entry->style, 2.0);
  cairo_move_to(plot->cr, x, baseline - 4);
  cairo_rel_line_to(plot->cr, LEGEND_DASH, 0);
  cairo_stroke(plot->cr);
  lvn_draw_text(plot->cr, x + LEGEND_DASH + 6, baseline, plot->width, &style, entry->name);
}

void lvn_plot_draw_legend(struct lvn_plot *plot, enum lvn_plot_legend where) {
  const struct lvn_draw_style style = {.size = LEGEND_SIZE, .colour = black};
  double widest = 0.0;
  double x = LEFT + 2;
  for (size_t i = 0; i < plot->legend_count; i++) {
    double width = lvn_draw_text_width(plot->cr, &style, plot->legend[i].name);
    widest = fmax(widest, width);
    if (where == LVN_PLOT_ABOVE) {
      draw_entry(plot, &plot->legend[i], x, TOP - 13);
      x += LEGEND_DASH + width + 24;
    }
  }
  if (where == LVN_PLOT_ABOVE) {
    return;
  }
  double width = widest + LEGEND_DASH + 20;
  double height = LEGEND_LINE * (double)plot->legend_count + 8;
  double y = plot->height - BOTTOM - height - 8;
  x = plot->width - RIGHT - width - 6;
  cairo_set_source_rgba(plot->cr, 1, 1, 1, 0.88);
  cairo_rectangle(plot->cr, x, y, width, height);
  cairo_fill(plot->cr);
  for (size_t i = 0; i < plot->legend_count; i++) {
    draw_entry(plot, &plot->legend[i], x + 6, y + LEGEND_LINE * (double)(i + 1) - 2);
  }
}

bool lvn_plot_finish(struct lvn_plot *plot, unsigned char **ret_data, size_t *ret_bytes, struct lvn_error *err) {
  cairo_status_t status = cairo_status(plot->cr);
  cairo_destroy(plot->cr);
  cairo_surface_finish(plot->surface);
  status = status == CAIRO_STATUS_SUCCESS ? cairo_surface_status(plot->surface) : status;
  cairo_surface_destroy(plot->surface);
  plot->cr = NULL;
  plot->surface = NULL;
  if (status != CAIRO_STATUS_SUCCESS) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "a plot: %s", cairo_status_to_string(status));
  }
  *ret_data = lvn_steal(&plot->data);
  *ret_bytes = plot->bytes;
  return true;
}
