/* Slices averaged to about 2 mm and the discs that could be a vessel in them: what phase recognition looks at. */
#ifndef LVN_DICOM_READ_PHASE_SLICE_H
#define LVN_DICOM_READ_PHASE_SLICE_H

#include "base/error.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One slice, patient-oriented (x to the left, y to the back), averaged. */
struct lvn_phase_slice {
  int width;
  int height;
  double step_mm;
  double origin_mm[3]; /* of pixel (0,0) */
  float *hu;           /* owned; padding and outside: -1000 */
  int spine_x;
  int spine_y;
  int centre_x; /* of the body */
  bool has_spine;
};

/* Up to LVN_PHASE_SLICES slices spread over the middle of the stack; none when the stack is not axial. */
#define LVN_PHASE_SLICES 11
struct lvn_phase_slices {
  struct lvn_phase_slice items[LVN_PHASE_SLICES];
  size_t count;
};
LVN_MUST_CHECK bool lvn_phase_slices_make(const struct lvn_volume *volume, struct lvn_phase_slices *ret_slices,
                                          struct lvn_error *err);
void lvn_phase_slices_clear(struct lvn_phase_slices *slices);
/* The vertebral body, where there is one: sets spine_x, spine_y, centre_x and has_spine. */
void lvn_phase_slice_find_spine(struct lvn_phase_slice *slice);

/* A disc and the ring that it is compared with. */
struct lvn_phase_disc {
  double inside_mm;
  double ring_in_mm;
  double ring_out_mm;
};

struct lvn_phase_spot {
  double score;    /* -HUGE_VAL when the disc cannot be a vessel */
  double hu;       /* mean of the disc */
  double contrast; /* against the ring */
  double spread;   /* standard deviation in the disc */
  double brighter; /* part of the ring that is clearly brighter than the disc, and clearly darker */
  double darker;
  int x;
  int y;
};
/* Even inside, darker around: mean inside minus mean of the ring, less twice the unevenness. */
struct lvn_phase_spot lvn_phase_slice_rate(const struct lvn_phase_slice *slice, int x, int y,
                                           const struct lvn_phase_disc *disc);

/* Sorts the values; NAN of none. */
double lvn_phase_median(double *values, size_t count);

#ifdef __cplusplus
}
#endif
#endif
