// Closed outlines of one ROI to the voxels that they enclose (PS3.3 C.8.8.6, TID 1410).
#ifndef LVN_DICOM_READ_ROI_OUTLINES_DCMTK_HH
#define LVN_DICOM_READ_ROI_OUTLINES_DCMTK_HH

#include "base/error.h"
#include "dicom/read/roi_spans_dcmtk.hh"
#include "dicom/read/roi_voxels_dcmtk.hh"
#include "model/image/grid.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lvn {

enum class OutlineRule {
  nested, // united with the others of its plane, but a hole where it lies truly inside another, and an island in a hole
  exclusive, // XOR with the others of its plane (CLOSEDPLANAR_XOR)
  united     // never a hole
};

// One outline in indices of the grid that it is drawn on.
struct Outline {
  Polygon points;
  double plane = 0.0;            // slice index; between slices where it was drawn between them
  double tilt = 0.0;             // by how much of a slice its points leave that plane at most
  double slab_mm = 0.0;          // Contour Slab Thickness; 0 when absent
  size_t named_slice = SIZE_MAX; // of the image that it refers to
  OutlineRule rule = OutlineRule::nested;
};

// What was done with the outlines, and what they enclose by themselves: area times distance of outlines.
struct OutlineReport {
  double outlines_ml = 0.0;
  double mask_ml = 0.0;
  size_t planes_left_out = 0;   // not the nearest of their slice
  size_t slices_without = 0;    // between slices with an outline
  double outline_step_mm = 0.0; // usual distance of planes; 0 when there is one
};

// An outline may visit its inner part by a channel of no width, walked twice (the keyhole technique, PS3.3 C.8.8.6.3):
// its parts, the inner ones behind the one that they lie in. Repeated points are dropped.
std::vector<Polygon> split_keyhole(const Polygon &points);

// Adds the voxels to `voxels`. Each slice takes the outlines of the plane nearest to it, since planning systems
// interpolate outlines at distances of their own; from other planes it takes only what meets none of these, unless too
// little would be left. Refuses (LVN_ERROR_DATA, a sentence that goes on from the name of the ROI) when voxels and
// outlines disagree in volume by more than pixels can explain, whatever the cause.
LVN_MUST_CHECK bool draw_outlines(std::vector<Outline> outlines, const lvn_grid &grid, Voxels &voxels,
                                  OutlineReport &ret_report, lvn_error *err);

} // namespace lvn

#endif
