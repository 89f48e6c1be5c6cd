#include "model/draw/draw.h"

#include "base/memory.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 1024
#define LINE_FACTOR 1.32

static double clamp01(double value) {
  return value > 0 ? (value < 1 ? value : 1) : 0; /* NaN becomes 0 */
}

struct lvn_colour lvn_draw_heat_colour(double value) {
  static const double anchors[9][3] = {{0, 0, 4},     {31, 12, 72},   {85, 15, 109},  {136, 34, 106}, {186, 54, 85},
                                       {227, 89, 51}, {249, 140, 10}, {249, 201, 50}, {252, 255, 164}};
  double position = clamp01(value) * 8;
  int index = position >= 8 ? 7 : (int)position;
  double part = position - index;
  double mixed[3];
  for (int i = 0; i < 3; i++) {
    mixed[i] = (anchors[index][i] * (1 - part) + anchors[index + 1][i] * part) / 255;
  }
  return (struct lvn_colour){mixed[0], mixed[1], mixed[2]};
}

double lvn_draw_heat_alpha(double value) {
  return 0.68 * sqrt(clamp01((value - 0.08) / 0.92));
}

static void set_colour(cairo_t *cr, struct lvn_colour colour) {
  cairo_set_source_rgb(cr, colour.red, colour.green, colour.blue);
}

void lvn_draw_box(cairo_t *cr, double x, double y, double width, double height, struct lvn_colour colour) {
  set_colour(cr, colour);
  cairo_rectangle(cr, x, y, width, height);
  cairo_fill(cr);
}

void lvn_draw_frame(cairo_t *cr, double x, double y, double width, double height, double line,
                    struct lvn_colour colour) {
  set_colour(cr, colour);
  cairo_set_line_width(cr, line);
  cairo_rectangle(cr, x + line / 2, y + line / 2, width - line, height - line);
  cairo_stroke(cr);
}

/* Length of the UTF-8 character at `text`, 0 when it is not one: cairo stops drawing for good at invalid text. */
static size_t character_bytes(const char *text) {
  unsigned char first = (unsigned char)text[0];
  size_t bytes = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : 0;
  for (size_t i = 1; i < bytes; i++) {
    if (((unsigned char)text[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  bool is_surrogate = bytes == 3 && first == 0xed && (unsigned char)text[1] >= 0xa0;
  bool is_overlong = bytes == 3 && first == 0xe0 && (unsigned char)text[1] < 0xa0;
  return is_surrogate || is_overlong ? 0 : bytes;
}

/* Copy of the text with '?' for what is not printable UTF-8. */
static void clean_text(const char *text, char ret_clean[TEXT_BYTES]) {
  size_t used = 0;
  while (*text != '\0' && used + 4 < TEXT_BYTES) {
    size_t bytes = character_bytes(text);
    if (bytes == 0 || (bytes == 1 && (unsigned char)*text < 0x20)) {
      ret_clean[used++] = '?';
      text++;
      continue;
    }
    memcpy(ret_clean + used, text, bytes);
    used += bytes;
    text += bytes;
  }
  ret_clean[used] = '\0';
}

static void set_font(cairo_t *cr, const struct lvn_draw_style *style) {
  cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                         style->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, style->size);
}

static double clean_width(cairo_t *cr, const char *clean) {
  cairo_text_extents_t extents;
  cairo_text_extents(cr, clean, &extents);
  return extents.x_advance;
}

double lvn_draw_text_width(cairo_t *cr, const struct lvn_draw_style *style, const char *text) {
  char clean[TEXT_BYTES];
  clean_text(text, clean);
  set_font(cr, style);
  return clean_width(cr, clean);
}

/* Shortens `clean` to the width, whole characters, "..." at the end. The font is set. */
static void cut_to_width(cairo_t *cr, char clean[TEXT_BYTES], double width) {
  size_t length = strlen(clean);
  while (length > 0 && clean_width(cr, clean) > width) {
    length = length > 3 && strcmp(clean + length - 3, "...") == 0 ? length - 3 : length;
    do {
      length--;
    } while (length > 0 && ((unsigned char)clean[length] & 0xc0) == 0x80);
    (void)snprintf(clean + length, TEXT_BYTES - length, "...");
    if (length == 0) {
      return;
    }
    length += 3;
  }
}

static void show(cairo_t *cr, double x, double y, struct lvn_colour colour, const char *clean) {
  set_colour(cr, colour);
  cairo_move_to(cr, x, y);
  cairo_show_text(cr, clean);
}

void lvn_draw_text(cairo_t *cr, double x, double y, double width, const struct lvn_draw_style *style,
                   const char *text) {
  char clean[TEXT_BYTES];
  clean_text(text, clean);
  set_font(cr, style);
  cut_to_width(cr, clean, width);
  show(cr, x, y, style->colour, clean);
}

void lvn_draw_text_right(cairo_t *cr, double x, double y, double width, const struct lvn_draw_style *style,
                         const char *text) {
  char clean[TEXT_BYTES];
  clean_text(text, clean);
  set_font(cr, style);
  cut_to_width(cr, clean, width);
  show(cr, x + width - clean_width(cr, clean), y, style->colour, clean);
}

/* How many bytes of `text` fit into one line: up to the last space that fits, or, in a word longer than the line, up to
 * the last character. At least one character. */
static size_t line_bytes(cairo_t *cr, const char *text, double width) {
  char line[TEXT_BYTES];
  size_t best = 0;
  size_t best_space = 0;
  for (size_t i = 0; text[i] != '\0';) {
    size_t bytes = character_bytes(text + i);
    i += bytes == 0 ? 1 : bytes;
    memcpy(line, text, i);
    line[i] = '\0';
    if (best > 0 && clean_width(cr, line) > width) {
      return best_space > 0 ? best_space : best;
    }
    best = i;
    if (text[i] == ' ' || text[i] == '\0') {
      best_space = i;
    }
  }
  return best;
}

double lvn_draw_paragraph(cairo_t *cr, double x, double y, double width, const struct lvn_draw_style *style,
                          int max_lines, const char *text) {
  char clean[TEXT_BYTES];
  char line[TEXT_BYTES];
  const char *rest = clean;
  clean_text(text, clean);
  set_font(cr, style);
  for (int i = 0; i < max_lines && *rest != '\0'; i++) {
    size_t bytes = i + 1 < max_lines ? line_bytes(cr, rest, width) : strlen(rest);
    memcpy(line, rest, bytes);
    line[bytes] = '\0';
    cut_to_width(cr, line, width);
    show(cr, x, y, style->colour, line);
    y += style->size * LINE_FACTOR;
    rest += bytes;
    rest += strspn(rest, " ");
  }
  return y;
}

/* Paints `surface` (samples x samples) over the square. Extended at its border, so that no dark edge appears. */
static void paint_square(cairo_t *cr, cairo_surface_t *surface, double x, double y, double side, int samples) {
  cairo_save(cr);
  cairo_rectangle(cr, x, y, side, side);
  cairo_clip(cr);
  cairo_translate(cr, x, y);
  cairo_scale(cr, side / samples, side / samples);
  cairo_set_source_surface(cr, surface, 0, 0);
  cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
  cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_BILINEAR);
  cairo_paint(cr);
  cairo_restore(cr);
}

static uint32_t packed(double alpha, struct lvn_colour colour) {
  uint32_t a = (uint32_t)lround(255 * alpha);
  uint32_t r = (uint32_t)lround(255 * alpha * colour.red); /* premultiplied, as ARGB32 wants it */
  uint32_t g = (uint32_t)lround(255 * alpha * colour.green);
  uint32_t b = (uint32_t)lround(255 * alpha * colour.blue);
  return a << 24 | r << 16 | g << 8 | b;
}

static cairo_surface_t *create_surface(int columns, int rows) {
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, columns, rows);
  cairo_surface_flush(surface);
  return surface;
}

static void set_sample(cairo_surface_t *surface, int column, int row, uint32_t value) {
  unsigned char *data = cairo_image_surface_get_data(surface);
  if (data != NULL) { /* NULL for a surface in error, which the caller finds by its status */
    memcpy(data + row * cairo_image_surface_get_stride(surface) + 4 * column, &value, sizeof value);
  }
}

/* Grey levels of the window; owned by the caller. */
static cairo_surface_t *grey_surface(const int16_t *hounsfield, int columns, int rows, double low_hu, double high_hu) {
  cairo_surface_t *surface = create_surface(columns, rows);
  for (int row = 0; row < rows; row++) {
    for (int column = 0; column < columns; column++) {
      double grey = clamp01((hounsfield[(size_t)row * (size_t)columns + (size_t)column] - low_hu) / (high_hu - low_hu));
      set_sample(surface, column, row, packed(1, (struct lvn_colour){grey, grey, grey}));
    }
  }
  cairo_surface_mark_dirty(surface);
  return surface;
}

void lvn_draw_crop(cairo_t *cr, double x, double y, double side, const int16_t *hounsfield, int samples, double low_hu,
                   double high_hu) {
  cairo_surface_t *surface = grey_surface(hounsfield, samples, samples, low_hu, high_hu);
  paint_square(cr, surface, x, y, side, samples);
  cairo_surface_destroy(surface);
}

struct lvn_draw_fit lvn_draw_image(cairo_t *cr, double x, double y, double width, double height,
                                   const struct lvn_draw_image *image, double low_hu, double high_hu) {
  double per_mm = fmin(width / (image->columns * image->column_mm), height / (image->rows * image->row_mm));
  struct lvn_draw_fit fit = {.step_x = per_mm * image->column_mm, .step_y = per_mm * image->row_mm};
  fit.x = x + (width - image->columns * fit.step_x) / 2;
  fit.y = y + (height - image->rows * fit.step_y) / 2;
  cairo_surface_t *surface = grey_surface(image->hounsfield, image->columns, image->rows, low_hu, high_hu);
  cairo_save(cr);
  cairo_rectangle(cr, fit.x, fit.y, image->columns * fit.step_x, image->rows * fit.step_y);
  cairo_clip(cr);
  cairo_translate(cr, fit.x, fit.y);
  cairo_scale(cr, fit.step_x, fit.step_y);
  cairo_set_source_surface(cr, surface, 0, 0);
  cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
  cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
  cairo_paint(cr);
  cairo_restore(cr);
  cairo_surface_destroy(surface);
  return fit;
}

static double largest(const float *values, int count) {
  float top = 0;
  for (int i = 0; i < count; i++) {
    top = values[i] > top ? values[i] : top; /* NaN is never larger */
  }
  return (double)top;
}

void lvn_draw_heat(cairo_t *cr, double x, double y, double side, const float *heat, int samples) {
  const double top = largest(heat, samples * samples);
  if (!(top > 0)) {
    return;
  }
  cairo_surface_t *surface = create_surface(samples, samples);
  for (int row = 0; row < samples; row++) {
    for (int column = 0; column < samples; column++) {
      double value = (double)heat[row * samples + column] / top;
      set_sample(surface, column, row, packed(lvn_draw_heat_alpha(value), lvn_draw_heat_colour(value)));
    }
  }
  cairo_surface_mark_dirty(surface);
  paint_square(cr, surface, x, y, side, samples);
  cairo_surface_destroy(surface);
}

static bool inside(const uint8_t *mask, int samples, int column, int row) {
  return column >= 0 && row >= 0 && column < samples && row < samples && mask[row * samples + column] != 0;
}

/* Light on dark, so that it shows on any ground. */
static void stroke_outline(cairo_t *cr, struct lvn_colour colour) {
  cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
  cairo_set_source_rgba(cr, 0, 0, 0, 0.55);
  cairo_set_line_width(cr, 3.2);
  cairo_stroke_preserve(cr);
  set_colour(cr, colour);
  cairo_set_line_width(cr, 1.4);
  cairo_stroke(cr);
}

void lvn_draw_outline(cairo_t *cr, double x, double y, double side, const uint8_t *mask, int samples,
                      struct lvn_colour colour) {
  double step = side / samples;
  cairo_save(cr);
  cairo_rectangle(cr, x, y, side, side);
  cairo_clip(cr);
  cairo_new_path(cr);
  for (int row = 0; row <= samples; row++) {
    for (int column = 0; column <= samples; column++) {
      bool here = inside(mask, samples, column, row);
      if (here != inside(mask, samples, column, row - 1)) {
        cairo_move_to(cr, x + column * step, y + row * step);
        cairo_rel_line_to(cr, step, 0);
      }
      if (here != inside(mask, samples, column - 1, row)) {
        cairo_move_to(cr, x + column * step, y + row * step);
        cairo_rel_line_to(cr, 0, step);
      }
    }
  }
  stroke_outline(cr, colour);
  cairo_restore(cr);
}

/* Mean over 2 * radius + 1 neighbours along a row (stride 1) or a column (stride `samples`), nothing outside. */
static void blur(const float *from, float *to, size_t samples, size_t stride, int radius) {
  for (size_t line = 0; line < samples; line++) {
    const float *source = from + (stride == 1 ? line * samples : line);
    float *target = to + (stride == 1 ? line * samples : line);
    double sum = 0;
    for (int i = -radius; i < (int)samples; i++) { /* `i` is the middle of the run that `sum` is of */
      int in = i + radius;
      int out = i - radius - 1;
      sum += in < (int)samples ? (double)source[(size_t)in * stride] : 0;
      sum -= out >= 0 ? (double)source[(size_t)out * stride] : 0;
      if (i >= 0) {
        target[(size_t)i * stride] = (float)(sum / (2 * radius + 1));
      }
    }
  }
}

/* Where the level 0.5 lies between two neighbours on either side of it. */
static double crossing(float from, float to) {
  return (0.5 - (double)from) / ((double)to - (double)from);
}

/* Marching squares over the cell whose first corner is the centre of sample (column, row). */
static void add_cell(cairo_t *cr, const float *field, int samples, int column, int row, const double place[3]) {
  const float *at = field + (size_t)row * (size_t)samples + (size_t)column;
  const float corner[4] = {at[0], at[1], at[samples + 1], at[samples]}; /* clockwise */
  static const int corner_x[5] = {0, 1, 1, 0, 0};
  static const int corner_y[5] = {0, 0, 1, 1, 0};
  bool is_open = false;
  for (int edge = 0; edge < 4; edge++) {
    float from = corner[edge];
    float to = corner[(edge + 1) % 4];
    if ((from >= 0.5F) != (to >= 0.5F)) {
      double part = crossing(from, to);
      double x = column + 0.5 + corner_x[edge] + part * (corner_x[edge + 1] - corner_x[edge]);
      double y = row + 0.5 + corner_y[edge] + part * (corner_y[edge + 1] - corner_y[edge]);
      if (is_open) {
        cairo_line_to(cr, place[0] + x * place[2], place[1] + y * place[2]);
      } else {
        cairo_move_to(cr, place[0] + x * place[2], place[1] + y * place[2]);
      }
      is_open = !is_open;
    }
  }
}

void lvn_draw_smooth_outline(cairo_t *cr, double x, double y, double side, const uint8_t *mask, int samples,
                             double pixel_samples, struct lvn_colour colour) {
  const size_t count = (size_t)samples * (size_t)samples;
  const int radius = (int)fmin(fmax(round(0.75 * pixel_samples), 1), samples / 4.0);
  const double place[3] = {x, y, side / samples};
  struct lvn_error ignored = {0};
  LVN_AUTOFREE float *field = lvn_alloc(2 * count, sizeof *field, &ignored);
  if (field == NULL) {
    lvn_draw_outline(cr, x, y, side, mask, samples, colour);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    field[i] = mask[i] != 0 ? 1.0F : 0.0F;
  }
  for (int pass = 0; pass < 2; pass++) {
    blur(field, field + count, (size_t)samples, 1, radius);
    blur(field + count, field, (size_t)samples, (size_t)samples, radius);
  }
  cairo_save(cr);
  cairo_rectangle(cr, x, y, side, side);
  cairo_clip(cr);
  cairo_new_path(cr);
  for (int row = 0; row + 1 < samples; row++) {
    for (int column = 0; column + 1 < samples; column++) {
      add_cell(cr, field, samples, column, row, place);
    }
  }
  stroke_outline(cr, colour);
  cairo_restore(cr);
}
