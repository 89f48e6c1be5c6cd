/* The right-hand panel of a capture: the answer, its warnings, probabilities, and where the lesion lies. Private to
 * analysis. */
#ifndef LVN_ANALYSIS_CAPTURE_PANEL_H
#define LVN_ANALYSIS_CAPTURE_PANEL_H

#include "analysis/capture.h"

#ifdef __cplusplus
extern "C" {
#endif

void lvn_capture_panel(cairo_t *cr, double x, double y, double width, double height,
                       const struct lvn_capture_request *request);

#ifdef __cplusplus
}
#endif
#endif
