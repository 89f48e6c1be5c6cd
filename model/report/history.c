#include "model/report/history.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/report/plot.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCHS_MAX 100000U
#define LINE_BYTES 256U
#define CSV_MAX_BYTES (EPOCHS_MAX * LINE_BYTES)
#define HEADER "task,epoch,side,loss,learning_rate,validation,images_per_second,seconds\n"

/* Pixels of the picture: two plots under one another. */
#define WIDTH 900
#define HEIGHT 640

struct lvn_history {
  char csv_path[LVN_PATH_BYTES];
  char png_path[LVN_PATH_BYTES];
  struct lvn_history_epoch *epochs;
  size_t count;
  size_t capacity;
};

LVN_DEFINE_CLEANUP(lvn_history, lvn_history_destroy)

static bool append(struct lvn_history *history, const struct lvn_history_epoch *epoch, struct lvn_error *err) {
  if (!lvn_grow(&history->epochs, &history->capacity, history->count, sizeof *history->epochs, EPOCHS_MAX, err)) {
    return false;
  }
  history->epochs[history->count++] = *epoch;
  return true;
}

/* ---- the table ---- */

/* The next cell, ended by a comma, a line's end or the text's. */
static const char *cell(char **rest) {
  char *start = *rest;
  char *end = start + strcspn(start, ",\n");
  *rest = *end == '\0' ? end : end + 1;
  *end = '\0';
  return start;
}

static struct lvn_history_epoch parse_line(char *line) {
  struct lvn_history_epoch epoch = {0};
  (void)lvn_copy(epoch.task, sizeof epoch.task, cell(&line));
  epoch.number = (unsigned)strtoul(cell(&line), NULL, 10);
  epoch.side = (unsigned)strtoul(cell(&line), NULL, 10);
  epoch.loss = strtod(cell(&line), NULL);
  epoch.learning_rate = strtod(cell(&line), NULL);
  const char *validation = cell(&line);
  epoch.validation = *validation == '\0' ? (double)NAN : strtod(validation, NULL);
  epoch.images_per_second = strtod(cell(&line), NULL);
  epoch.seconds = strtod(cell(&line), NULL);
  return epoch;
}

/* What another program made of the table is no reason not to train: it begins anew. */
static bool read_table(struct lvn_history *history, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_exists(history->csv_path)) {
    return true;
  }
  if (!lvn_file_read(history->csv_path, CSV_MAX_BYTES, &data, &bytes, err)) {
    return false;
  }
  char *text = (char *)data;
  if (bytes < strlen(HEADER) || strncmp(text, HEADER, strlen(HEADER)) != 0) {
    return true;
  }
  for (char *line = text + strlen(HEADER); *line != '\0';) {
    char *end = line + strcspn(line, "\n");
    char *next = *end == '\0' ? end : end + 1;
    *end = '\0';
    const struct lvn_history_epoch epoch = parse_line(line);
    if (epoch.number > 0 && !append(history, &epoch, err)) {
      return false;
    }
    line = next;
  }
  return true;
}

static bool write_table(const struct lvn_history *history, struct lvn_error *err) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&text, &bytes);
  if (stream == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the table of epochs");
  }
  (void)fputs(HEADER, stream);
  for (size_t i = 0; i < history->count; i++) {
    const struct lvn_history_epoch *epoch = &history->epochs[i];
    char validation[32] = "";
    if (isfinite(epoch->validation)) {
      (void)snprintf(validation, sizeof validation, "%.6g", epoch->validation);
    }
    (void)fprintf(stream, "%s,%u,%u,%.9g,%.9g,%s,%.4g,%.4g\n", epoch->task, epoch->number, epoch->side, epoch->loss,
                  epoch->learning_rate, validation, epoch->images_per_second, epoch->seconds);
  }
  bool good = fclose(stream) == 0 || lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the table of epochs");
  good = good && lvn_file_replace(history->csv_path, text, bytes, 0644, err);
  free(text); /* allow: of open_memstream */
  return good;
}

/* ---- the picture ---- */

/* One line a task, as their losses cannot be compared. */
static bool draw_tasks(struct lvn_plot *plot, const struct lvn_history *history, bool is_loss, struct lvn_error *err) {
  LVN_AUTOFREE double *x = lvn_alloc(history->count, sizeof *x, err);
  LVN_AUTOFREE double *y = lvn_alloc(history->count, sizeof *y, err);
  size_t end = 0;
  if (x == NULL || y == NULL) {
    return false;
  }
  for (size_t i = 0; i < history->count; i++) {
    x[i] = (double)i + 1.0;
    y[i] = is_loss ? history->epochs[i].loss : history->epochs[i].validation;
  }
  for (size_t start = 0, style = 0; start < history->count; start = end, style++) {
    const char *task = history->epochs[start].task;
    for (end = start; end < history->count && strcmp(history->epochs[end].task, task) == 0;) {
      end++;
    }
    lvn_plot_line(plot, style, task, x + start, y + start, end - start);
    lvn_plot_points(plot, style, x + start, y + start, end - start);
  }
  lvn_plot_draw_legend(plot, LVN_PLOT_ABOVE);
  return true;
}

static bool draw_plot(cairo_t *cr, const struct lvn_history *history, bool is_loss, struct lvn_error *err) {
  struct lvn_plot_axes axes = {.title = is_loss ? "Loss" : "Held-out lesions: accuracy; of pretraining, orders told",
                               .x_label = "epochs",
                               .y_label = is_loss ? "mean of the epoch" : "share",
                               .x_low = 0.0,
                               .x_high = (double)history->count + 1.0,
                               .y_high = is_loss ? 0.0 : 1.0};
  for (size_t i = 0; is_loss && i < history->count; i++) {
    axes.y_high = isfinite(history->epochs[i].loss) ? fmax(axes.y_high, history->epochs[i].loss) : axes.y_high;
  }
  axes.y_high = axes.y_high > 0.0 ? axes.y_high : 1.0;
  struct lvn_plot *plot = lvn_plot_create_on(cr, WIDTH, HEIGHT / 2.0, &axes, err);
  bool good = plot != NULL && draw_tasks(plot, history, is_loss, err);
  lvn_plot_destroy(plot);
  return good;
}

static bool write_picture(const struct lvn_history *history, struct lvn_error *err) {
  char partial[LVN_PATH_BYTES + 8];
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
  cairo_t *cr = cairo_create(surface);
  bool good = draw_plot(cr, history, /* is_loss= */ true, err);
  cairo_translate(cr, 0.0, HEIGHT / 2.0);
  good = good && draw_plot(cr, history, /* is_loss= */ false, err);
  cairo_destroy(cr);
  (void)snprintf(partial, sizeof partial, "%s.part", history->png_path);
  cairo_status_t status = cairo_surface_write_to_png(surface, partial);
  cairo_surface_destroy(surface);
  if (good && (status != CAIRO_STATUS_SUCCESS || rename(partial, history->png_path) != 0)) {
    return lvn_error_set(err, LVN_ERROR_IO, "cannot write '%s': %s", history->png_path, cairo_status_to_string(status));
  }
  return good;
}

/* ---- both ---- */

bool lvn_history_create(const char *package_folder, bool resume, struct lvn_history **ret_history,
                        struct lvn_error *err) {
  LVN_CLEANUP(lvn_history_cleanup) struct lvn_history *history = lvn_alloc(1, sizeof *history, err);
  size_t length = strlen(package_folder);
  while (length > 1 && package_folder[length - 1] == '/') {
    length--;
  }
  if (history == NULL) {
    return false;
  }
  int csv = snprintf(history->csv_path, LVN_PATH_BYTES, "%.*s.history.csv", (int)length, package_folder);
  int png = snprintf(history->png_path, LVN_PATH_BYTES, "%.*s.history.png", (int)length, package_folder);
  if (csv < 0 || png < 0 || csv >= LVN_PATH_BYTES || png >= LVN_PATH_BYTES) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "path too long: '%.200s…'", package_folder);
  }
  if (resume && !read_table(history, err)) {
    return false;
  }
  *ret_history = lvn_steal(&history);
  return true;
}

void lvn_history_destroy(struct lvn_history *history) {
  if (history != NULL) {
    lvn_free(history->epochs);
    lvn_free(history);
  }
}

bool lvn_history_add(struct lvn_history *history, const struct lvn_history_epoch *epoch, struct lvn_error *err) {
  while (history->count > 0 && strcmp(history->epochs[history->count - 1].task, epoch->task) == 0 &&
         history->epochs[history->count - 1].number >= epoch->number) {
    history->count--;
  }
  return append(history, epoch, err) && write_table(history, err) && write_picture(history, err);
}
