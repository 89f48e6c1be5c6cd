#include "base/memory.h"
#include "model/report/markup.h"
#include "model/report/report_parts.h"

#include "model/draw/draw.h"

#include <cairo.h>
#include <math.h>
#include <string.h>

#define TILE 148.0
#define GAP 4.0
#define TILES 5
#define CAPTION 18.0
#define PNG_BYTES_MAX (16UL * 1024 * 1024)

struct bytes {
  unsigned char *data;
  size_t used;
  size_t room;
};

static cairo_status_t receive(void *closure, const unsigned char *data, unsigned length) {
  struct bytes *bytes = closure;
  struct lvn_error err = {0};
  while (bytes->room < bytes->used + length) {
    if (!lvn_grow(&bytes->data, &bytes->room, bytes->room, 1, PNG_BYTES_MAX, &err)) {
      return CAIRO_STATUS_NO_MEMORY;
    }
  }
  memcpy(bytes->data + bytes->used, data, length);
  bytes->used += length;
  return CAIRO_STATUS_SUCCESS;
}

static void draw_tile(cairo_t *cr, size_t column, const struct lvn_case_prediction_picture *picture,
                      enum lvn_phase phase, const struct lvn_package_recipe *recipe, const float *heat,
                      const char *caption) {
  static const struct lvn_draw_style style = {.size = 11.5, .colour = {0.13, 0.13, 0.13}};
  static const struct lvn_colour outline = {1, 1, 1};
  const double x = (TILE + GAP) * (double)column;
  const size_t samples = (size_t)LVN_CROP_SIDE * LVN_CROP_SIDE;
  lvn_draw_text(cr, x + 1, 13, TILE - 2, &style, caption);
  lvn_draw_crop(cr, x, CAPTION, TILE, picture->hounsfield + (size_t)phase * samples, LVN_CROP_SIDE,
                recipe->window_low_hu, recipe->window_high_hu);
  if (heat != NULL) {
    lvn_draw_heat(cr, x, CAPTION, TILE, heat, LVN_CROP_SIDE);
  }
  lvn_draw_outline(cr, x, CAPTION, TILE, picture->mask, LVN_CROP_SIDE, outline);
}

static enum lvn_class second_class(const struct lvn_case_prediction *answer) {
  enum lvn_class second = answer->top_class == LVN_CLASS_CYST ? LVN_CLASS_FNH : LVN_CLASS_CYST;
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    if ((enum lvn_class)c != answer->top_class && answer->probability[c] > answer->probability[second]) {
      second = (enum lvn_class)c;
    }
  }
  return second;
}

static bool draw_case(const struct lvn_case_prediction *answer, const struct lvn_case_prediction_picture *picture,
                      const struct lvn_package_recipe *recipe, struct bytes *png, struct lvn_error *err) {
  const bool is_wrong = answer->top_class != answer->truth;
  const enum lvn_class other = is_wrong ? answer->truth : second_class(answer);
  char caption[64];
  cairo_surface_t *surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)((TILE + GAP) * TILES - GAP), (int)(TILE + CAPTION));
  cairo_t *cr = cairo_create(surface);
  cairo_set_source_rgb(cr, 1, 1, 1);
  cairo_paint(cr);
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    draw_tile(cr, phase, picture, (enum lvn_phase)phase, recipe, NULL, lvn_phase_name((enum lvn_phase)phase));
  }
  if (picture->heat[other] != NULL) {
    (void)snprintf(caption, sizeof caption, "CAM: %s (answer)", lvn_class_name(answer->top_class));
    draw_tile(cr, 3, picture, LVN_PHASE_PV, recipe, picture->heat[answer->top_class], caption);
    (void)snprintf(caption, sizeof caption, "CAM: %s (%s)", lvn_class_name(other), is_wrong ? "truth" : "second");
    draw_tile(cr, 4, picture, LVN_PHASE_PV, recipe, picture->heat[other], caption);
  }
  cairo_status_t status = cairo_status(cr);
  cairo_destroy(cr);
  status = status == CAIRO_STATUS_SUCCESS ? cairo_surface_write_to_png_stream(surface, receive, png) : status;
  cairo_surface_destroy(surface);
  return status == CAIRO_STATUS_SUCCESS ||
         lvn_error_set(err, LVN_ERROR_INTERNAL, "a case's picture: %s", cairo_status_to_string(status));
}

static bool put_case(FILE *stream, const struct lvn_evaluation_subject *subject,
                     const struct lvn_case_prediction_picture *picture, struct lvn_error *err) {
  const struct lvn_case_prediction *answer = &subject->answers->lesions[picture->lesion];
  const unsigned classes = subject->answers->classes;
  struct bytes png = {0};
  char text[512];
  char shares[160] = "";
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    size_t used = strlen(shares);
    (void)snprintf(shares + used, sizeof shares - used, "%s%s %.2f", used == 0 ? "" : ", ",
                   lvn_class_name((enum lvn_class)c), answer->probability[c]);
  }
  bool good = draw_case(answer, picture, &subject->packages[0].recipe, &png, err);
  if (good) {
    (void)snprintf(text, sizeof text, "Three phases and two Grad-CAMs of lesion %s", answer->lesion_id);
    (void)fputs("<figure class=\"case\">", stream);
    lvn_markup_image(stream, "image/png", png.data, png.used, 760, text);
    (void)snprintf(text, sizeof text, "%s: truth %s, answer %s %.2f; %s; %.0f mm%s%s", answer->lesion_id,
                   lvn_class_name(answer->truth), lvn_class_name(answer->top_class),
                   answer->probability[answer->top_class], shares, answer->long_axis_mm,
                   answer->abstained ? "; abstained: " : "", answer->abstained ? answer->abstention_reason : "");
    (void)fputs("<figcaption>", stream);
    lvn_markup_text(stream, text);
    (void)fputs("</figcaption></figure>\n", stream);
  }
  lvn_free(png.data);
  return good;
}

bool lvn_report_cases(FILE *stream, const struct lvn_evaluation_subject *subject, struct lvn_error *err) {
  const struct lvn_case_predictions *answers = subject->answers;
  (void)fprintf(
      stream,
      "<h2>Cases</h2>\n<p>The key slice with the outlined lesion. %s</p>\n"
      "<h3>Wrong answers, the most confident first</h3>\n",
      subject->packages[0].manifest == NULL
          ? "There is no Grad-CAM without a model."
          : "Grad-CAM, laid over the portal-venous phase, is 7 x 7 fields of 32 pixels, each map up to its own "
            "largest value: it shows where, not "
            "what.");
  if (answers->wrong_count == 0) {
    (void)fputs("<p>There is none.</p>\n", stream);
  }
  for (size_t i = 0; i < answers->wrong_count; i++) {
    if (!put_case(stream, subject, &answers->wrong[i], err)) {
      return false;
    }
  }
  (void)fputs("<h3>Right answers, the first of each class</h3>\n", stream);
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    for (size_t i = 0; i < answers->right_count; i++) {
      if (answers->lesions[answers->right[i].lesion].truth == (enum lvn_class)c &&
          !put_case(stream, subject, &answers->right[i], err)) {
        return false;
      }
    }
  }
  return true;
}
