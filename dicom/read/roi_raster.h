/* Outlines to pixels, at pixel centres. Pure C, private to dicom/read. */
#ifndef LVN_DICOM_READ_ROI_RASTER_H
#define LVN_DICOM_READ_ROI_RASTER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Set the pixels of one slice whose centre lies inside the closed polygon by the non-zero rule: an outline that runs
 * over itself, or is listed twice, counts once, and what the inner way round of a keyhole excludes stays outside.
 * Coordinates are pixel indices: (0, 0) is the centre of the first pixel. A centre on an edge belongs to the inside on
 * the left and upper edges only, so that neighbours share no pixel. Points must be finite. */
LVN_MUST_CHECK bool lvn_raster_fill_polygon(const double (*points)[2], size_t count, uint32_t columns, uint32_t rows,
                                            uint8_t *slice, struct lvn_error *err);

/* Points on an ellipse by centre and two half axes, in any plane coordinates; `ret_points` has
 * LVN_RASTER_ELLIPSE_POINTS elements. */
#define LVN_RASTER_ELLIPSE_POINTS 360
void lvn_raster_ellipse(const double centre[2], const double major[2], const double minor[2], double (*ret_points)[2]);

/* Undo RLE Lossless (PS3.5 annex G) of one frame with `segment_count` segments of `segment_bytes` each, which are
 * written one after another. LVN_ERROR_DATA unless the frame gives exactly that. */
LVN_MUST_CHECK bool lvn_raster_unpack_rle(const uint8_t *frame, size_t frame_bytes, size_t segment_count,
                                          size_t segment_bytes, uint8_t *ret_bytes, struct lvn_error *err);
/* How many segments a frame's RLE header declares; 0 when it is no RLE header. */
size_t lvn_raster_count_rle_segments(const uint8_t *frame, size_t frame_bytes);
/* Bytes that a one-segment frame unpacks to, without writing; stops counting above `limit`. */
size_t lvn_raster_measure_rle(const uint8_t *frame, size_t frame_bytes, size_t limit);

#ifdef __cplusplus
}
#endif
#endif
