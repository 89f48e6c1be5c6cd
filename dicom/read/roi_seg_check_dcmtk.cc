// What a segmentation says twice and differently: told, since either may be the truth.
#include "dicom/read/roi_seg_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace lvn {
namespace {

// A plane written between two slices names the nearer one.
constexpr double apart_max_slices = 0.75;
constexpr double apart_max_pixels = 0.75;
constexpr double same_cosine = 0.999;

double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// Pixel data that end the data set end the file, too: bytes put in or lost between shift what lies behind them.
bool ends_file(const std::string &path, DcmItem &dataset, DcmElement &pixels) {
  if (dataset.card() == 0 || dataset.getElement(dataset.card() - 1) != &pixels) {
    return true;
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto size = static_cast<int64_t>(file.tellg());
  for (const int64_t header : {8, 12}) {
    char tag[4] = {};
    file.clear();
    file.seekg(size - header - static_cast<int64_t>(pixels.getLength()));
    if (file.read(tag, sizeof tag) && std::string(tag, sizeof tag) == std::string("\xE0\x7F\x10\x00", 4)) {
      return true;
    }
  }
  return false;
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
  DcmElement *element = nullptr;
  const uint64_t bits =
      static_cast<uint64_t>(seg.pixels.rows) * seg.pixels.columns * seg.pixels.frames * seg.pixels.bits_allocated;
  const E_TransferSyntax syntax = DcmXfer(seg.pixels.transfer_syntax_uid.c_str()).getXfer();
  if (syntax != EXS_LittleEndianExplicit && syntax != EXS_LittleEndianImplicit) {
    return;
  }
  if (dataset.findAndGetElement(DCM_PixelData, element).good() && element->getLength() > (bits + 7) / 8 + 1) {
    reader.add_note("segmentation: its pixel data are longer than its " + std::to_string(seg.pixels.frames) +
                    " frames of " + std::to_string(seg.pixels.columns) + " x " + std::to_string(seg.pixels.rows) +
                    " pixels");
  } else if (element != nullptr && !ends_file(seg.pixels.path, dataset, *element)) {
    reader.add_note("segmentation: its file goes on behind the pixel data, which may be shifted");
  }
}

} // namespace lvn
