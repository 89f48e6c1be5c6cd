#include "model/report/markup.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

void lvn_markup_text(FILE *stream, const char *text) {
  for (const char *c = text; *c != '\0'; c++) {
    switch (*c) {
    case '&':
      (void)fputs("&amp;", stream);
      break;
    case '<':
      (void)fputs("&lt;", stream);
      break;
    case '>':
      (void)fputs("&gt;", stream);
      break;
    case '"':
      (void)fputs("&quot;", stream);
      break;
    default:
      (void)fputc(*c, stream);
    }
  }
}

const char *lvn_markup_number(double value, char ret_text[LVN_MARKUP_NUMBER_BYTES]) {
  if (isfinite(value)) {
    (void)snprintf(ret_text, LVN_MARKUP_NUMBER_BYTES, "%.3f", value);
  } else {
    (void)snprintf(ret_text, LVN_MARKUP_NUMBER_BYTES, "–");
  }
  return ret_text;
}

const char *lvn_markup_interval(double value, struct lvn_interval interval, char ret_text[LVN_MARKUP_NUMBER_BYTES]) {
  if (isfinite(value) && isfinite(interval.low) && isfinite(interval.high)) {
    const char *between = interval.low < 0.0 ? " to " : "–"; /* a dash before a minus would be read wrongly */
    (void)snprintf(ret_text, LVN_MARKUP_NUMBER_BYTES, "%.3f (%.3f%s%.3f)", value, interval.low, between, interval.high);
    return ret_text;
  }
  return lvn_markup_number(value, ret_text);
}

void lvn_markup_row(FILE *stream, const char *const *cells, size_t count) {
  (void)fputs("<tr>", stream);
  for (size_t i = 0; i < count; i++) {
    (void)fputs(i == 0 ? "<th scope=\"row\">" : "<td>", stream);
    lvn_markup_text(stream, cells[i]);
    (void)fputs(i == 0 ? "</th>" : "</td>", stream);
  }
  (void)fputs("</tr>\n", stream);
}

void lvn_markup_table(FILE *stream, const char *caption, const char *const *headings, size_t count) {
  (void)fputs("<table><caption>", stream);
  lvn_markup_text(stream, caption);
  (void)fputs("</caption>\n<thead><tr>", stream);
  for (size_t i = 0; i < count; i++) {
    (void)fputs("<th scope=\"col\">", stream);
    lvn_markup_text(stream, headings[i]);
    (void)fputs("</th>", stream);
  }
  (void)fputs("</tr></thead>\n<tbody>\n", stream);
}

void lvn_markup_table_end(FILE *stream) {
  (void)fputs("</tbody></table>\n", stream);
}

/* RFC 4648 section 4. */
static void put_base64(FILE *stream, const uint8_t *data, size_t bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes; i += 3) {
    size_t left = bytes - i;
    uint32_t group = (uint32_t)data[i] << 16U;
    group |= left > 1 ? (uint32_t)data[i + 1] << 8U : 0;
    group |= left > 2 ? (uint32_t)data[i + 2] : 0;
    (void)fputc(digits[group >> 18U], stream);
    (void)fputc(digits[(group >> 12U) & 63U], stream);
    (void)fputc(left > 1 ? digits[(group >> 6U) & 63U] : '=', stream);
    (void)fputc(left > 2 ? digits[group & 63U] : '=', stream);
  }
}

void lvn_markup_image(FILE *stream, const char *type, const void *data, size_t bytes, unsigned width,
                      const char *description) {
  (void)fprintf(stream, "<img width=\"%u\" alt=\"", width);
  lvn_markup_text(stream, description);
  (void)fprintf(stream, "\" src=\"data:%s;base64,", type);
  put_base64(stream, data, bytes);
  (void)fputs("\">", stream);
}
