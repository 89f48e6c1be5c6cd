// Pixels of a segmentation's frame to voxels of a stack: exactly where both have the same voxels, in whatever order of
// axes they are written, and to the nearest otherwise.
#ifndef LVN_DICOM_READ_ROI_LATTICE_DCMTK_HH
#define LVN_DICOM_READ_ROI_LATTICE_DCMTK_HH

#include "dicom/read/roi_voxels_dcmtk.hh"
#include "model/image/grid.h"

namespace lvn {

// A raster in patient space.
struct Raster {
  double origin_mm[3]{};    // centre of the first pixel
  double direction[2][3]{}; // along a row, and down a column; orthonormal
  double spacing_mm[2]{};   // [0] between columns
  double step_mm = 0.0;     // to the next plane; 0 when it is not known
  double gap_mm = 0.0;      // smallest distance of written frames, which may leave planes out; 0 when there is one
  long columns = 0;
  long rows = 0;
};

enum class LatticeFit {
  same,    // the pixels are voxels of the grid
  outside, // they are, but pixels inside the region lie off the grid
  other    // other places or sizes
};

// Add the pixels that are not 0 where the raster's pixels are the grid's voxels; adds nothing unless `same`.
LatticeFit draw_same_lattice(const lvn_grid &grid, const Raster &raster, const std::vector<uint8_t> &inside,
                             Voxels &voxels);
// Add the voxels whose centre lies in a pixel that is not 0, within half of a step of the raster's plane.
void draw_nearest(const lvn_grid &grid, const Raster &raster, const std::vector<uint8_t> &inside, Voxels &voxels);

} // namespace lvn

#endif
