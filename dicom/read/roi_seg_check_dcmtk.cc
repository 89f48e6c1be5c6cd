// What a segmentation says twice and differently: told, since either may be the truth.
#include "dicom/read/roi_seg_dcmtk.hh"

#include <algorithm>
#include <cmath>

namespace lvn {
namespace {

// A plane written between two slices names the nearer one.
constexpr double apart_max_slices = 0.75;
constexpr double apart_max_pixels = 0.75;
constexpr double same_cosine = 0.999;

double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

} // namespace

bool is_elsewhere(const lvn_study &study, size_t stack, const Seg &seg, const SegFrame &frame) {
  const size_t named = named_slice_of(study, stack, frame.sources);
  lvn_plane own{};
  if (named == SIZE_MAX || !lvn_plane_from_orientation(frame.orientation, &own)) {
    return false;
  }
  const Stack &images = study.stacks[stack];
  const lvn_grid &grid = images.info.grid;
  const lvn_plane &plane = images.plane;
  double normal[3];
  double own_normal[3];
  double apart[3];
  lvn_plane_normal(&plane, normal);
  lvn_plane_normal(&own, own_normal);
  for (int i = 0; i < 3; i++) {
    apart[i] = frame.position[i] - images.slices[named].position_mm[i];
  }
  if (std::fabs(dot(normal, own_normal)) < same_cosine) {
    return false; // a cut across the images
  }
  if (std::fabs(dot(apart, normal)) > apart_max_slices * grid.spacing_mm[2]) {
    return true;
  }
  // Of the image's size and direction, a frame has the image's corner; a smaller one may lie anywhere in it.
  const uint32_t size[2] = {seg.pixels.columns, seg.pixels.rows};
  bool is_whole = true;
  bool is_shifted = false;
  for (int axis = 0; axis < 2; axis++) {
    is_whole = is_whole && size[axis] == grid.size[axis] &&
               dot(own.direction[axis], plane.direction[axis]) > same_cosine &&
               std::fabs(frame.spacing[axis] / plane.spacing_mm[axis] - 1.0) < 1.0 - same_cosine;
    is_shifted = is_shifted || std::fabs(dot(apart, plane.direction[axis])) > apart_max_pixels * plane.spacing_mm[axis];
  }
  return is_whole && is_shifted;
}

void note_contradictions(RoiReader &reader, DcmItem &dataset, const Seg &seg) {
  const auto unknown = std::count_if(seg.frames.begin(), seg.frames.end(), [&](const SegFrame &frame) {
    return seg.type != SegType::labelmap && seg.segments.count(frame.segment) == 0;
  });
  if (unknown > 0) {
    reader.add_note("segmentation: " + std::to_string(unknown) + (unknown == 1 ? " frame" : " frames") +
                    " left out, of no segment that it describes");
  }
  const std::string doubt = pixel_length_doubt(dataset, seg.pixels);
  if (!doubt.empty()) {
    reader.add_note("segmentation: " + doubt);
  }
}

} // namespace lvn
