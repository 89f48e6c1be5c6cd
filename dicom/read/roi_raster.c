#include "dicom/read/roi_raster.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define RLE_HEADER_BYTES 64
#define RLE_SEGMENTS_MAX 15

/* Turns at the pixels of one row, at the first pixel to the right of each edge that crosses it. Edges count for the
 * half-open interval of rows [upper, lower), so that a vertex is met once. */
static void count_turns(const double (*points)[2], size_t count, uint32_t columns, double y, int32_t *turns) {
  for (size_t i = 0, j = count - 1; i < count; j = i++) {
    const double *a = points[j];
    const double *b = points[i];
    if ((a[1] <= y) == (b[1] <= y)) {
      continue;
    }
    double first = ceil(a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
    if (first < (double)columns) {
      turns[first > 0.0 ? (uint32_t)first : 0] += a[1] <= y ? 1 : -1;
    }
  }
}

bool lvn_raster_fill_polygon(const double (*points)[2], size_t count, uint32_t columns, uint32_t rows, uint8_t *slice,
                             struct lvn_error *err) {
  double top = INFINITY;
  double bottom = -INFINITY;
  if (count < 3) {
    return true;
  }
  LVN_AUTOFREE int32_t *turns = lvn_alloc(columns, sizeof *turns, err);
  if (turns == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    top = fmin(top, points[i][1]);
    bottom = fmax(bottom, points[i][1]);
  }
  top = fmax(ceil(top), 0.0);
  bottom = fmin(floor(bottom), (double)rows - 1.0);
  for (double y = top; y <= bottom; y += 1.0) {
    uint8_t *row = slice + (size_t)y * columns;
    int32_t winding = 0;
    memset(turns, 0, columns * sizeof *turns);
    count_turns(points, count, columns, y, turns);
    for (uint32_t x = 0; x < columns; x++) {
      winding += turns[x];
      row[x] = winding != 0 ? 1 : row[x];
    }
  }
  return true;
}

void lvn_raster_ellipse(const double centre[2], const double major[2], const double minor[2], double (*ret_points)[2]) {
  for (int i = 0; i < LVN_RASTER_ELLIPSE_POINTS; i++) {
    double angle = 2.0 * M_PI * i / LVN_RASTER_ELLIPSE_POINTS;
    for (int xy = 0; xy < 2; xy++) {
      ret_points[i][xy] = centre[xy] + cos(angle) * major[xy] + sin(angle) * minor[xy];
    }
  }
}

static uint32_t read_u32(const uint8_t *p) {
  return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

size_t lvn_raster_count_rle_segments(const uint8_t *frame, size_t frame_bytes) {
  uint32_t count = frame_bytes >= RLE_HEADER_BYTES ? read_u32(frame) : 0;
  return count <= RLE_SEGMENTS_MAX ? count : 0;
}

/* One PackBits segment (PS3.5 G.3.2). `target` NULL only counts. Returns the bytes made, at most `limit`. */
static size_t unpack_segment(const uint8_t *packed, size_t packed_bytes, uint8_t *target, size_t limit) {
  size_t at = 0;
  size_t made = 0;
  while (at < packed_bytes && made < limit) {
    int8_t code = (int8_t)packed[at++];
    size_t count = 0;
    if (code == -128) {
      continue;
    }
    count = code >= 0 ? (size_t)code + 1 : (size_t)(1 - code);
    count = count < limit - made ? count : limit - made;
    if (code >= 0) {
      count = count < packed_bytes - at ? count : packed_bytes - at;
      if (target != NULL) {
        memcpy(target + made, packed + at, count);
      }
      at += count;
    } else if (at < packed_bytes) {
      if (target != NULL) {
        memset(target + made, packed[at], count);
      }
      at++;
    } else {
      break;
    }
    made += count;
  }
  return made;
}

/* Segment `which` of the frame lies at [*ret_first, *ret_end). */
static bool find_segment(const uint8_t *frame, size_t frame_bytes, size_t which, size_t *ret_first, size_t *ret_end) {
  size_t count = lvn_raster_count_rle_segments(frame, frame_bytes);
  if (which >= count) {
    return false;
  }
  *ret_first = read_u32(frame + 4 + 4 * which);
  *ret_end = which + 1 < count ? read_u32(frame + 8 + 4 * which) : frame_bytes;
  return *ret_first >= RLE_HEADER_BYTES && *ret_first <= *ret_end && *ret_end <= frame_bytes;
}

size_t lvn_raster_measure_rle(const uint8_t *frame, size_t frame_bytes, size_t limit) {
  size_t first = 0;
  size_t end = 0;
  return find_segment(frame, frame_bytes, 0, &first, &end) ? unpack_segment(frame + first, end - first, NULL, limit)
                                                           : 0;
}

bool lvn_raster_unpack_rle(const uint8_t *frame, size_t frame_bytes, size_t segment_count, size_t segment_bytes,
                           uint8_t *ret_bytes, struct lvn_error *err) {
  if (lvn_raster_count_rle_segments(frame, frame_bytes) != segment_count) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the RLE frame has %zu segments, not %zu",
                         lvn_raster_count_rle_segments(frame, frame_bytes), segment_count);
  }
  for (size_t which = 0; which < segment_count; which++) {
    size_t first = 0;
    size_t end = 0;
    size_t made = 0;
    if (!find_segment(frame, frame_bytes, which, &first, &end)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "RLE segment %zu lies outside its frame", which + 1);
    }
    made = unpack_segment(frame + first, end - first, ret_bytes + which * segment_bytes, segment_bytes);
    if (made != segment_bytes) {
      return lvn_error_set(err, LVN_ERROR_DATA, "RLE segment %zu gives %zu of %zu bytes", which + 1, made,
                           segment_bytes);
    }
  }
  return true;
}
