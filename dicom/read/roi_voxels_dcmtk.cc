#include "dicom/read/roi_voxels_dcmtk.hh"

#include <algorithm>

namespace lvn {

Patch::Patch(const long from[2], const long to[2]) {
  for (int axis = 0; axis < 2; axis++) {
    first[axis] = from[axis];
    size[axis] = std::max(0L, to[axis] - from[axis] + 1);
  }
  inside.assign(static_cast<size_t>(size[0]) * static_cast<size_t>(size[1]), 0);
}

namespace {

// Calls visit(mine, its) for each pixel that both rectangles hold.
template <typename Mine, typename Visit> void for_shared(Mine &mine, const Patch &its, Visit &&visit) {
  long low[2];
  long high[2];
  for (int axis = 0; axis < 2; axis++) {
    low[axis] = std::max(mine.first[axis], its.first[axis]);
    high[axis] = std::min(mine.first[axis] + mine.size[axis], its.first[axis] + its.size[axis]);
  }
  for (long y = low[1]; y < high[1]; y++) {
    for (long x = low[0]; x < high[0]; x++) {
      visit(mine.inside[static_cast<size_t>((y - mine.first[1]) * mine.size[0] + x - mine.first[0])],
            its.inside[static_cast<size_t>((y - its.first[1]) * its.size[0] + x - its.first[0])]);
    }
  }
}

} // namespace

void Patch::unite(const Patch &other) {
  for_shared(*this, other, [](uint8_t &mine, uint8_t its) { mine |= its; });
}

void Patch::subtract(const Patch &other) {
  for_shared(*this, other, [](uint8_t &mine, uint8_t its) { mine = its != 0 ? 0 : mine; });
}

void Patch::exclude(const Patch &other) {
  for_shared(*this, other, [](uint8_t &mine, uint8_t its) { mine ^= its; });
}

bool Voxels::is_empty() const {
  return count() == 0;
}

size_t Voxels::count() const {
  size_t count = 0;
  for (const auto &slice : slices_) {
    count += static_cast<size_t>(std::count(slice.second.inside.begin(), slice.second.inside.end(), 1));
  }
  return count;
}

bool Voxels::contains(long x, long y, long z) const {
  const auto found = slices_.find(z);
  if (found == slices_.end()) {
    return false;
  }
  const Patch &patch = found->second;
  const long column = x - patch.first[0];
  const long row = y - patch.first[1];
  return column >= 0 && row >= 0 && column < patch.size[0] && row < patch.size[1] &&
         patch.inside[static_cast<size_t>(row * patch.size[0] + column)] != 0;
}

bool Voxels::meets(long z, const Patch &patch) const {
  const auto found = slices_.find(z);
  bool is_met = false;
  if (found != slices_.end()) {
    for_shared(found->second, patch, [&](uint8_t mine, uint8_t its) { is_met = is_met || (mine != 0 && its != 0); });
  }
  return is_met;
}

void Voxels::unite(long z, const Patch &patch) {
  if (patch.inside.empty()) {
    return;
  }
  Patch &mine = slices_[z];
  if (mine.inside.empty()) {
    mine = patch;
    return;
  }
  long from[2];
  long to[2];
  bool fits = true;
  for (int axis = 0; axis < 2; axis++) {
    from[axis] = std::min(mine.first[axis], patch.first[axis]);
    to[axis] = std::max(mine.first[axis] + mine.size[axis], patch.first[axis] + patch.size[axis]) - 1;
    fits = fits && from[axis] == mine.first[axis] && to[axis] - from[axis] + 1 == mine.size[axis];
  }
  if (!fits) {
    Patch grown(from, to);
    grown.unite(mine);
    mine = std::move(grown);
  }
  mine.unite(patch);
}

bool make_mask(const Voxels &voxels, const lvn_grid &grid, lvn_mask &ret_mask, lvn_error *err) {
  uint32_t first[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
  uint32_t last[3] = {0, 0, 0};
  voxels.for_each([&](long x, long y, long z) {
    const uint32_t at[3] = {static_cast<uint32_t>(x), static_cast<uint32_t>(y), static_cast<uint32_t>(z)};
    for (int axis = 0; axis < 3; axis++) {
      first[axis] = std::min(first[axis], at[axis]);
      last[axis] = std::max(last[axis], at[axis]);
    }
  });
  const uint32_t size[3] = {last[0] - first[0] + 1, last[1] - first[1] + 1, last[2] - first[2] + 1};
  if (!lvn_mask_create_box(&grid, first, size, &ret_mask, err)) {
    return false;
  }
  voxels.for_each([&](long x, long y, long z) {
    const size_t row = (static_cast<size_t>(z) - first[2]) * size[1] + static_cast<size_t>(y) - first[1];
    ret_mask.inside[row * size[0] + static_cast<size_t>(x) - first[0]] = 1;
  });
  return true;
}

void Voxels::unite(const Voxels &other) {
  for (const auto &slice : other.slices_) {
    unite(slice.first, slice.second);
  }
}

} // namespace lvn
