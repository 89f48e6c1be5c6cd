// What a binary Segmentation (PS3.3 A.51) has whoever writes it.
#ifndef LVN_DICOM_WRITE_SEG_COMMON_HH
#define LVN_DICOM_WRITE_SEG_COMMON_HH

#include "dicom/write/build_dcmtk.hh"
#include "model/image/grid.h"

namespace lvn_write {

// Segmentation Image and General Image: frames of 1 bit, as large as the grid's slices.
void put_seg_image(DcmItem &dataset, const struct lvn_grid &grid, size_t frame_count);

// Multi-frame Dimension: by segment, then by position.
void put_seg_dimensions(DcmItem &dataset, const std::string &organization_uid);

// The functional groups that all frames share: orientation and pixel measures.
void put_seg_shared_groups(DcmItem &dataset, const struct lvn_grid &grid, double slice_thickness_mm);

// One bit per pixel, first pixel in the lowest bit, frames following one another without padding (PS3.5 8.1.1, D).
class SegBits {
public:
  SegBits(const struct lvn_grid &grid, size_t frame_count);
  void set(size_t frame, size_t column, size_t row);
  const std::vector<uint8_t> &bytes() const {
    return bytes_;
  }

private:
  size_t columns_;
  size_t pixels_;
  std::vector<uint8_t> bytes_;
};

} // namespace lvn_write

#endif
