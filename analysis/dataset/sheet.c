#include "analysis/dataset/sheet.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/draw/draw.h"

#include <stdio.h>
#include <string.h>

#include <cairo.h>

#define TILE 112.0 /* half of a crop */
#define GAP 6.0
#define GROUP_GAP 18.0
#define LABEL_WIDTH 64.0
#define HEADER_HEIGHT 30.0
#define CAPTION_HEIGHT 18.0
/* The usual window of liver lesions: a data set belongs to no package whose own window could be taken. */
#define LOW_HU (-100.0)
#define HIGH_HU 250.0
#define PNG_BYTES_MAX (64U << 20U)

static const struct lvn_colour background = {0.07, 0.07, 0.08};
static const struct lvn_colour outline = {1.0, 0.85, 0.2};
static const struct lvn_draw_style heading = {14.0, true, {0.95, 0.95, 0.95}};
static const struct lvn_draw_style caption = {10.0, false, {0.75, 0.75, 0.75}};

static double group_width(void) {
  return LVN_PHASE_NETWORK_COUNT * TILE + (LVN_PHASE_NETWORK_COUNT - 1) * GAP + GROUP_GAP;
}

static double row_height(void) {
  return TILE + CAPTION_HEIGHT + GAP;
}

static bool draw_lesion(cairo_t *cr, const struct lvn_dataset *dataset, size_t index, double x, double y,
                        struct lvn_error *err) {
  const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, index);
  LVN_CLEANUP(lvn_crop_clear) struct lvn_crop crop = {0};
  char text[LVN_DATASET_KEY_BYTES + 64];
  if (!lvn_dataset_load(dataset, index, &crop, err)) {
    return false;
  }
  const struct lvn_crop_slice *slice = &crop.slices[crop.key_slice];
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    double left = x + phase * (TILE + GAP);
    lvn_draw_crop(cr, left, y, TILE, slice->hounsfield + (size_t)phase * LVN_CROP_SIDE * LVN_CROP_SIDE, LVN_CROP_SIDE,
                  LOW_HU, HIGH_HU);
    lvn_draw_outline(cr, left, y, TILE, slice->mask, LVN_CROP_SIDE, outline);
  }
  (void)snprintf(text, sizeof text, "%s, fold %u, %.0f mm box", lesion->lesion_id, lesion->fold, lesion->side_mm);
  lvn_draw_text(cr, x, y + TILE + 13.0, group_width() - GROUP_GAP, &caption, text);
  return true;
}

/* The n-th of `wanted` lesions of a class, evenly over the data set; SIZE_MAX: there are fewer. */
static size_t pick(const struct lvn_dataset *dataset, enum lvn_class lesion_class, size_t count, size_t wanted,
                   size_t n) {
  size_t shown = count < wanted ? count : wanted;
  size_t target = shown == 0 ? 0 : n * count / shown;
  for (size_t i = 0, seen = 0; n < shown && i < lvn_dataset_count(dataset); i++) {
    if (lvn_dataset_get(dataset, i)->lesion_class == lesion_class && seen++ == target) {
      return i;
    }
  }
  return SIZE_MAX;
}

static bool draw_class(cairo_t *cr, const struct lvn_dataset *dataset, enum lvn_class lesion_class, unsigned per_class,
                       double y, struct lvn_error *err) {
  size_t count = 0;
  char text[32];
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    count += lvn_dataset_get(dataset, i)->lesion_class == lesion_class;
  }
  lvn_draw_text(cr, GAP, y + TILE / 2.0, LABEL_WIDTH - GAP, &heading, lvn_class_name(lesion_class));
  (void)snprintf(text, sizeof text, "of %zu", count);
  lvn_draw_text(cr, GAP, y + TILE / 2.0 + 16.0, LABEL_WIDTH - GAP, &caption, text);
  for (unsigned n = 0; n < per_class; n++) {
    size_t index = pick(dataset, lesion_class, count, per_class, n);
    if (index != SIZE_MAX && !draw_lesion(cr, dataset, index, LABEL_WIDTH + n * group_width(), y, err)) {
      return false;
    }
  }
  return true;
}

/* The paper's, and others that there are lesions of. */
static unsigned shown_classes(const struct lvn_dataset *dataset) {
  unsigned classes = LVN_CLASSES_PAPER;
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    const enum lvn_class own = lvn_dataset_get(dataset, i)->lesion_class;
    classes |= own < LVN_CLASS_COUNT ? 1U << (unsigned)own : 0;
  }
  return classes;
}

static bool draw_sheet(cairo_t *cr, const struct lvn_dataset *dataset, unsigned per_class, double width, double height,
                       struct lvn_error *err) {
  lvn_draw_box(cr, 0.0, 0.0, width, height, background);
  for (unsigned n = 0; n < per_class; n++) {
    for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      lvn_draw_text(cr, LABEL_WIDTH + n * group_width() + phase * (TILE + GAP), 20.0, TILE, &heading,
                    lvn_phase_name((enum lvn_phase)phase));
    }
  }
  const unsigned classes = shown_classes(dataset);
  double y = HEADER_HEIGHT;
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT;
       c = lvn_classes_next(classes, c), y += row_height()) {
    if (!draw_class(cr, dataset, (enum lvn_class)c, per_class, y, err)) {
      return false;
    }
  }
  return true;
}

struct png {
  uint8_t *bytes;
  size_t used;
  size_t capacity;
};

static cairo_status_t take_png(void *context, const unsigned char *data, unsigned length) {
  struct png *png = context;
  struct lvn_error ignored = {0};
  while (png->capacity - png->used < length) {
    if (!lvn_grow(&png->bytes, &png->capacity, png->capacity, 1, PNG_BYTES_MAX, &ignored)) {
      return CAIRO_STATUS_NO_MEMORY;
    }
  }
  memcpy(png->bytes + png->used, data, length);
  png->used += length;
  return CAIRO_STATUS_SUCCESS;
}

bool lvn_dataset_sheet(const struct lvn_dataset *dataset, unsigned per_class, const char *path, struct lvn_error *err) {
  double width = LABEL_WIDTH + per_class * group_width();
  double height = HEADER_HEIGHT + (double)lvn_classes_count(shown_classes(dataset)) * row_height();
  struct png png = {0};
  if (per_class < 1 || per_class > 16) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "a contact sheet shows 1 to 16 lesions of a class");
  }
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
  cairo_t *cr = cairo_create(surface);
  bool good = draw_sheet(cr, dataset, per_class, width, height, err);
  if (good &&
      (cairo_status(cr) != CAIRO_STATUS_SUCCESS || cairo_surface_write_to_png_stream(surface, take_png, &png) != 0)) {
    good = lvn_error_set(err, LVN_ERROR_NOMEM, "the contact sheet cannot be drawn");
  }
  cairo_destroy(cr);
  cairo_surface_destroy(surface);
  good = good && lvn_file_replace(path, png.bytes, png.used, 0644, err);
  lvn_free(png.bytes);
  return good;
}
