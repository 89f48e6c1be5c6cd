// Voxels of a grid that a region covers, kept slice by slice in the box that they need: a lesion takes a few
// thousandths of its images.
#ifndef LVN_DICOM_READ_ROI_VOXELS_DCMTK_HH
#define LVN_DICOM_READ_ROI_VOXELS_DCMTK_HH

#include "base/error.h"
#include "model/image/grid.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace lvn {

// A rectangle of one slice, 1 inside and 0 outside, columns innermost.
struct Patch {
  long first[2]{}; // column and row of its first pixel
  long size[2]{};
  std::vector<uint8_t> inside;

  Patch() = default;
  // The rectangle from one pixel to another, both included; empty when they are out of order.
  Patch(const long from[2], const long to[2]);
  // Pixels of `other` that lie in this rectangle: added, or taken away.
  void unite(const Patch &other);
  void subtract(const Patch &other);
  void exclude(const Patch &other); // XOR
};

class Voxels {
public:
  bool is_empty() const;
  size_t count() const;
  bool contains(long x, long y, long z) const;
  // Does the slice hold a voxel of the patch?
  bool meets(long z, const Patch &patch) const;
  // Makes room for the rectangle and adds what it holds.
  void unite(long z, const Patch &patch);
  void unite(const Voxels &other);
  const std::map<long, Patch> &slices() const {
    return slices_;
  }

  template <typename Visit> void for_each(Visit &&visit) const {
    for (const auto &slice : slices_) {
      const Patch &patch = slice.second;
      for (size_t i = 0; i < patch.inside.size(); i++) {
        if (patch.inside[i] != 0) {
          const long at = static_cast<long>(i);
          visit(patch.first[0] + at % patch.size[0], patch.first[1] + at / patch.size[0], slice.first);
        }
      }
    }
  }

private:
  std::map<long, Patch> slices_;
};

// The smallest mask that holds the voxels, at least one.
LVN_MUST_CHECK bool make_mask(const Voxels &voxels, const lvn_grid &grid, lvn_mask &ret_mask, lvn_error *err);

} // namespace lvn

#endif
