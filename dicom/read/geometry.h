/* From slice positions to a right-angled grid: order, duplicates, gaps, drift and gantry tilt. Pure C, private to
 * dicom/read. Geometry by Image Position/Orientation alone (PS3.3 C.7.6.2.1.1). */
#ifndef LVN_DICOM_READ_GEOMETRY_H
#define LVN_DICOM_READ_GEOMETRY_H

#include "base/error.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_GEOMETRY_TEXT_BYTES 256

/* What the slices of one stack have in common. */
struct lvn_plane {
  uint32_t columns;
  uint32_t rows;
  double spacing_mm[2];   /* [0] between columns, [1] between rows: the reverse of Pixel Spacing's order */
  double direction[2][3]; /* unit vectors along a row and down a column */
  double thickness_mm;    /* 0 when absent; the spacing of a single slice */
};

/* Unit vectors at right angles (within 0.001) from Image Orientation (Patient)? */
LVN_MUST_CHECK bool lvn_plane_from_orientation(const double orientation[6], struct lvn_plane *ret_plane);
void lvn_plane_normal(const struct lvn_plane *plane, double ret_normal[3]);

struct lvn_geometry {
  struct lvn_grid grid;
  /* Slice k of the sorted input lies in grid plane k. Where the slices are sheared, its pixel (0,0) is at
   * first_shift + k * step_shift in-plane voxels of the grid. */
  bool is_sheared;
  double first_shift[2];
  double step_shift[2];
  bool is_respaced;                      /* grid plane k must be interpolated between the slices at distances_mm */
  char problem[LVN_GEOMETRY_TEXT_BYTES]; /* one sentence, empty when the slices make a volume */
  char note[LVN_GEOMETRY_TEXT_BYTES];    /* what was done to make one, empty when nothing */
};

/* `positions` sorted along the plane's normal, none repeated. */
void lvn_geometry_measure(const struct lvn_plane *plane, const double (*positions)[3], size_t count,
                          struct lvn_geometry *ret_geometry);

/* Where sorted, repeat-free distances along the normal fall into runs of different but regular spacing, each of at
 * least four slices, gives the index of the first slice after the first run; else `count`. */
size_t lvn_geometry_first_run(const double *distances_mm, size_t count);

/* Voxels of the whole volume from its slices' HU (columns x rows x count, slice k at positions[k]) on the geometry's
 * grid. Only for is_sheared or is_respaced. */
LVN_MUST_CHECK bool lvn_geometry_resample(const struct lvn_geometry *geometry, const struct lvn_plane *plane,
                                          const double (*positions)[3], size_t count, const int16_t *slices,
                                          struct lvn_volume *ret_volume, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
