/* Outlines of a mask's slice along pixel edges, and back by the pixel-centre rule. */
#ifndef LVN_MODEL_IMAGE_CONTOUR_H
#define LVN_MODEL_IMAGE_CONTOUR_H

#include "base/error.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Column and row of a pixel corner: (0,0) is the outer corner of the first pixel, so a pixel's centre is (0.5,0.5). */
struct lvn_contour_point {
  uint32_t column;
  uint32_t row;
};

/* One closed outline; the first point is not repeated. */
struct lvn_contour {
  struct lvn_contour_point *points; /* owned */
  size_t count;
};
struct lvn_contour_list {
  struct lvn_contour *items; /* owned */
  size_t count;
};

/* The outlines of one slice: one per 4-connected region, its holes joined to it by keyholes (PS3.3 C.8.8.6.3), so that
 * filling each outline by the even-odd rule at pixel centres gives the mask back, in whatever way a reader combines
 * outlines of one slice. No collinear points outside keyholes. An empty slice gives an empty list. */
LVN_MUST_CHECK bool lvn_contour_trace(const struct lvn_mask *mask, uint32_t slice, struct lvn_contour_list *ret_list,
                                      struct lvn_error *err);
void lvn_contour_list_clear(struct lvn_contour_list *list);

#ifdef __cplusplus
}
#endif
#endif
