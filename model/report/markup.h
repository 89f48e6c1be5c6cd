/* Words of the report's HTML: escaped text, numbers that may be undefined, pictures inside the page. */
#ifndef LVN_MODEL_REPORT_MARKUP_H
#define LVN_MODEL_REPORT_MARKUP_H

#include "base/error.h"
#include "model/stats/distribution.h"

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Escapes what HTML gives a meaning. */
void lvn_markup_text(FILE *stream, const char *text);

#define LVN_MARKUP_NUMBER_BYTES 64
/* "0.873", or an en dash where it is not defined. Returns `ret_text`. */
const char *lvn_markup_number(double value, char ret_text[LVN_MARKUP_NUMBER_BYTES]);
/* "0.873 (0.790–0.930)" */
const char *lvn_markup_interval(double value, struct lvn_interval interval, char ret_text[LVN_MARKUP_NUMBER_BYTES]);

/* <tr><td>…</td>…</tr>, all cells escaped; the first is a heading of its row. */
void lvn_markup_row(FILE *stream, const char *const *cells, size_t count);
/* <table><thead>…</thead><tbody>; the table is left open. */
void lvn_markup_table(FILE *stream, const char *caption, const char *const *headings, size_t count);
void lvn_markup_table_end(FILE *stream);

/* <img> with the bytes as a data URI; `type` is "image/svg+xml" or "image/png". An SVG as an image, not inline: Cairo
 * gives the glyphs of every picture the same ids. */
void lvn_markup_image(FILE *stream, const char *type, const void *data, size_t bytes, unsigned width,
                      const char *description);

#ifdef __cplusplus
}
#endif
#endif
