/* What the pages of a result share: colours, the notice in its frame, and the way from a Cairo surface to pixels.
 * Private to analysis. */
#ifndef LVN_ANALYSIS_PAGE_H
#define LVN_ANALYSIS_PAGE_H

#include "base/error.h"
#include "model/draw/draw.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PAGE_MARGIN 24.0

extern const struct lvn_colour lvn_page_background;
extern const struct lvn_colour lvn_page_panel;
extern const struct lvn_colour lvn_page_white;
extern const struct lvn_colour lvn_page_grey;
extern const struct lvn_colour lvn_page_dim;
extern const struct lvn_colour lvn_page_outline;
extern const struct lvn_colour lvn_page_amber; /* warnings */
extern const struct lvn_colour lvn_page_red;   /* not aligned */
extern const struct lvn_colour lvn_page_blue;

/* Title, a subtitle after it (NULL: none), and the research-use notice at the right. */
void lvn_page_header(cairo_t *cr, int width, const char *title, const char *subtitle);

/* The window as viewers say it: "W 350 L 75". */
void lvn_page_window(double low_hu, double high_hu, char ret_text[32]);

/* Draws a page of this size by `draw(cr, context)`. */
LVN_MUST_CHECK bool lvn_page_render(int width, int height, void (*draw)(cairo_t *cr, const void *context),
                                    const void *context, struct lvn_picture *ret_picture, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
