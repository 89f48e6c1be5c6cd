/* The PDF document: one page a lesion, its capture as a picture and the same answer in text. */
#include "analysis/findings/words.h"
#include "analysis/results.h"
#include "base/clock.h"
#include "base/memory.h"
#include "dicom/write/result.h"
#include "model/draw/draw.h"

#include <cairo-pdf.h>
#include <cairo.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A4 in points. */
#define PAGE_WIDTH 595.0
#define PAGE_HEIGHT 842.0
#define MARGIN 40.0
#define TEXT_WIDTH (PAGE_WIDTH - 2 * MARGIN)
#define DOCUMENT_MAX (64U << 20)

static const struct lvn_colour amber = {0.65, 0.38, 0.0};
static const struct lvn_draw_style title = {16, true, {0, 0, 0}};
static const struct lvn_draw_style strong = {11, true, {0, 0, 0}};
static const struct lvn_draw_style plain = {10, false, {0, 0, 0}};
static const struct lvn_draw_style small = {8.5, false, {0.35, 0.35, 0.35}};

struct page {
  cairo_t *cr;
  double y; /* baseline of the next line */
};

static void LVN_PRINTF(4, 5)
    say(struct page *page, const struct lvn_draw_style *style, int max_lines, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  page->y = lvn_draw_paragraph(page->cr, MARGIN, page->y, TEXT_WIDTH, style, max_lines, text);
}

/* The picture is kept in the document as it is, pixel by pixel. */
static bool draw_picture(struct page *page, const struct lvn_picture *picture, struct lvn_error *err) {
  const double scale = fmin(TEXT_WIDTH / picture->width, 0.5 * PAGE_HEIGHT / picture->height);
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)picture->width, (int)picture->height);
  if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS) {
    cairo_surface_destroy(surface);
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for the page's picture");
  }
  cairo_surface_flush(surface);
  unsigned char *data = cairo_image_surface_get_data(surface);
  const int stride = cairo_image_surface_get_stride(surface);
  for (uint32_t row = 0; row < picture->height; row++) {
    for (uint32_t column = 0; column < picture->width; column++) {
      const uint8_t *rgb = picture->rgb + 3 * ((size_t)row * picture->width + column);
      const uint32_t value = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
      memcpy(data + (ptrdiff_t)row * stride + 4 * (ptrdiff_t)column, &value, sizeof value);
    }
  }
  cairo_surface_mark_dirty(surface);
  cairo_save(page->cr);
  cairo_translate(page->cr, MARGIN, page->y);
  cairo_scale(page->cr, scale, scale);
  cairo_set_source_surface(page->cr, surface, 0, 0);
  cairo_paint(page->cr);
  cairo_restore(page->cr);
  cairo_surface_destroy(surface);
  page->y += scale * picture->height + 22;
  return true;
}

static void say_finding(struct page *page, const struct lvn_findings_lesion *lesion) {
  const struct lvn_findings_prediction *prediction = &lesion->prediction;
  char words[LVN_WORDS_BYTES];
  if (prediction->has_probability && !prediction->abstained) {
    say(page, &strong, 2, "Most likely of the model's classes: %s", lvn_words_answer(prediction));
  } else {
    say(page, &strong, 3, "%s: %s", lvn_words_answer(prediction), prediction->abstention_reason);
  }
  for (unsigned c = lvn_classes_first(prediction->classes); prediction->has_probability && c < LVN_CLASS_COUNT;
       c = lvn_classes_next(prediction->classes, c)) {
    lvn_words_percent(prediction->probability[c], words);
    say(page, &plain, 1, "%s: %s", lvn_class_title((enum lvn_class)c), words);
  }
  lvn_words_conformal(prediction, words);
  if (words[0] != '\0') {
    say(page, &plain, 2, "Not excluded at %s", words);
  }
  lvn_words_small(lesion, words);
  if (words[0] != '\0') {
    say(page, &strong, 2, "%s", words);
  }
}

static void say_phase(struct page *page, const struct lvn_findings *findings, const struct lvn_findings_lesion *lesion,
                      enum lvn_phase phase) {
  char how[LVN_WORDS_BYTES];
  char attenuation[LVN_WORDS_BYTES];
  lvn_words_alignment(lesion, phase, how);
  lvn_words_attenuation(lesion, phase, attenuation);
  say(page, &plain, 2, "%s: series %d, %s%s%s", lvn_phase_long_name(phase),
      findings->series[lesion->phases[phase].series].series_number, how, attenuation[0] != '\0' ? "; " : "",
      attenuation);
}

static void say_origin(struct page *page, const struct lvn_findings *findings,
                       const struct lvn_result_request *request) {
  char when[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_people(request->wall_ms, when);
  page->y += 6;
  if (request->replaced_wall_ms != 0) {
    char replaced[LVN_TIME_TEXT_BYTES];
    lvn_clock_format_people(request->replaced_wall_ms, replaced);
    say(page, &strong, 2, "This replaces the results of %s: the study's objects, or the model, have changed since.",
        replaced);
  }
  if (findings->roi_note != NULL && findings->roi_note[0] != '\0') {
    say(page, &small, 4, "Remark: %s", findings->roi_note);
  }
  say(page, &small, 2, "Made %s by the Liver-VLM node %s. Model %s %s, trained on %s.", when, request->software_version,
      findings->model.name, findings->model.version, findings->model.trained_on);
  say(page, &small, 3,
      "Preliminary and unverified. The page does not say who the patient is: the document belongs to the study in "
      "which it is filed.");
}

static bool draw_page(cairo_t *cr, const struct lvn_findings *findings, const struct lvn_result_request *request,
                      size_t index, struct lvn_error *err) {
  const struct lvn_findings_lesion *lesion = &findings->lesions[index];
  const struct lvn_draw_style notice = {11, true, amber};
  struct page page = {.cr = cr, .y = MARGIN + 12};
  say(&page, &title, 1, "Liver lesion %zu of %zu: result of an AI model", index + 1, findings->lesion_count);
  say(&page, &notice, 2, "%s", LVN_RESEARCH_NOTICE);
  if (lesion->capture.rgb != NULL && !draw_picture(&page, &lesion->capture, err)) {
    return false;
  }
  say_finding(&page, lesion);
  page.y += 6;
  say(&page, &plain, 1, "Size on the slice of the largest outline: %.0f x %.0f mm; volume %.1f ml",
      lesion->long_axis_mm, lesion->short_axis_mm, lesion->volume_ml);
  say(&page, &plain, 2, "Tracking identifier: %s", lesion->tracking_id);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (lvn_findings_has_phase(lesion, (enum lvn_phase)phase)) {
      say_phase(&page, findings, lesion, (enum lvn_phase)phase);
    }
  }
  say_origin(&page, findings, request);
  lvn_draw_text_right(cr, MARGIN, PAGE_HEIGHT - MARGIN + 10, TEXT_WIDTH, &small,
                      index + 1 < findings->lesion_count ? "more lesions on the next page" : "last page");
  cairo_show_page(cr);
  return true;
}

struct document {
  uint8_t *bytes; /* owned */
  size_t count;
  size_t capacity;
};

static cairo_status_t append(void *user_data, const unsigned char *data, unsigned length) {
  struct document *document = user_data;
  struct lvn_error err;
  for (unsigned i = 0; i < length; i++) {
    if (!lvn_grow(&document->bytes, &document->capacity, document->count, 1, DOCUMENT_MAX, &err)) {
      return CAIRO_STATUS_NO_MEMORY;
    }
    document->bytes[document->count++] = data[i];
  }
  return CAIRO_STATUS_SUCCESS;
}

/* Cairo's own date would be the moment of writing: the same job would not give the same bytes. */
static void put_metadata(cairo_surface_t *surface, const struct lvn_result_request *request) {
  char when[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_utc(request->wall_ms, when);
  (void)memcpy(when + strlen("YYYY-MM-DDThh:mm:ss"), "Z", 2); /* Cairo takes no fraction */
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, "AI liver lesion result, unverified");
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, "Liver-VLM node");
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, when);
}

static bool draw_document(const struct lvn_findings *findings, const struct lvn_result_request *request,
                          struct document *document, struct lvn_error *err) {
  cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(append, document, PAGE_WIDTH, PAGE_HEIGHT);
  cairo_t *cr = cairo_create(surface);
  bool good = true;
  put_metadata(surface, request);
  for (size_t i = 0; good && i < findings->lesion_count; i++) {
    good = draw_page(cr, findings, request, i, err);
  }
  cairo_status_t status = cairo_status(cr);
  cairo_destroy(cr);
  cairo_surface_finish(surface);
  status = status != CAIRO_STATUS_SUCCESS ? status : cairo_surface_status(surface);
  cairo_surface_destroy(surface);
  if (good && status != CAIRO_STATUS_SUCCESS) {
    return lvn_error_set(err, status == CAIRO_STATUS_NO_MEMORY ? LVN_ERROR_NOMEM : LVN_ERROR_INTERNAL,
                         "cannot draw the document: %s", cairo_status_to_string(status));
  }
  return good;
}

bool lvn_result_write_pdf(struct lvn_findings *findings, const struct lvn_result_request *request,
                          struct lvn_error *err) {
  struct document document = {0};
  bool good = draw_document(findings, request, &document, err) &&
              lvn_result_write_document(findings, request, document.bytes, document.count, err);
  lvn_free(document.bytes);
  return good;
}
