// Segmentations: binary, fractional and label map (PS3.3 C.8.20), read with dcmdata alone, since dcmseg 3.6.7 knows
// neither label maps nor RLE. Frames are sparse, in any order, and 1-bit frames are not aligned to bytes (C.8.20.2).
#include "dicom/read/j2k.h"
#include "dicom/read/roi_dcmtk.hh"
#include "dicom/read/roi_lattice_dcmtk.hh"
#include "dicom/read/roi_raster.h"

#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

namespace lvn {
namespace {

constexpr uint64_t seg_max_values = UINT64_C(1) << 29; // two bytes each
constexpr uint64_t seg_max_bits = UINT64_C(1) << 33;   // unpacked frame by frame

constexpr double same_plane_mm = 0.02;

enum class SegType { binary, fractional, labelmap };

struct Segment {
  std::string label;
  std::string property;
  std::string tracking_id;
  std::string tracking_uid;
};

struct SegFrame {
  int segment = -1;
  bool has_geometry = false;
  double position[3]{};
  double orientation[6]{};
  double spacing[2]{};       // [0] between columns
  double between_mm = 0.0;   // Spacing Between Slices; 0 when absent
  double thickness_mm = 0.0; // Slice Thickness; 0 when absent
  std::vector<ImageReference> sources;
};

struct Seg {
  SegType type = SegType::binary;
  Pixels pixels;
  unsigned maximum_fraction = 255;
  int background = 0;
  std::map<int, Segment> segments;
  std::vector<SegFrame> frames;
  std::vector<std::string> series_uids;
  std::vector<ImageReference> images;
  std::string frame_of_reference_uid;
  double step_mm = 0.0;                  // between planes; 0 when nothing tells
  double gap_mm = 0.0;                   // between written frames
  std::vector<uint16_t> values;          // columns * rows * frames; empty for 1-bit pixels
  const Uint8 *bits = nullptr;           // of native 1-bit pixels, in the loaded file
  DcmPixelSequence *fragments = nullptr; // of RLE, likewise
  std::vector<uint16_t> unpacked;        // one frame
  size_t unpacked_frame = SIZE_MAX;
};

template <typename Visit> void for_each_item(DcmItem *parent, const DcmTagKey &key, Visit &&visit) {
  DcmSequenceOfItems *sequence = nullptr;
  DcmObject *object = nullptr;
  if (parent == nullptr || parent->findAndGetSequence(key, sequence).bad() || sequence == nullptr) {
    return;
  }
  while ((object = sequence->nextInContainer(object)) != nullptr) {
    auto *item = dynamic_cast<DcmItem *>(object);
    if (item != nullptr) {
      visit(*item);
    }
  }
}

void read_segments(DcmItem &dataset, Seg &seg) {
  for_each_item(&dataset, DCM_SegmentSequence, [&](DcmItem &item) {
    Segment segment;
    DcmItem *property = first_item(&item, DCM_SegmentedPropertyTypeCodeSequence);
    segment.label = text_of(item, DCM_SegmentLabel);
    segment.property = property == nullptr ? "" : text_of(*property, DCM_CodeMeaning);
    segment.tracking_id = text_of(item, DCM_TrackingID);
    segment.tracking_uid = code_of(item, DCM_TrackingUID);
    seg.segments[integer_of(item, DCM_SegmentNumber, -1)] = segment;
  });
}

void read_references(DcmItem &dataset, Seg &seg) {
  seg.frame_of_reference_uid = code_of(dataset, DCM_FrameOfReferenceUID);
  for_each_item(&dataset, DCM_ReferencedSeriesSequence, [&](DcmItem &series) {
    seg.series_uids.push_back(code_of(series, DCM_SeriesInstanceUID));
    for_each_item(&series, DCM_ReferencedInstanceSequence,
                  [&](DcmItem &instance) { seg.images.push_back(reference_of(instance)); });
  });
}

void read_frame(DcmItem *own, DcmItem *shared, SegFrame &frame) {
  const auto group = [&](const DcmTagKey &key) {
    DcmItem *found = first_item(own, key);
    return found != nullptr ? found : first_item(shared, key);
  };
  DcmItem *item = group(DCM_SegmentIdentificationSequence);
  double spacing[2] = {0.0, 0.0};
  frame.segment = item == nullptr ? -1 : integer_of(*item, DCM_ReferencedSegmentNumber, -1);
  item = group(DCM_PlanePositionSequence);
  frame.has_geometry = item != nullptr && numbers_of(*item, DCM_ImagePositionPatient, frame.position, 3);
  item = group(DCM_PlaneOrientationSequence);
  frame.has_geometry =
      frame.has_geometry && item != nullptr && numbers_of(*item, DCM_ImageOrientationPatient, frame.orientation, 6);
  item = group(DCM_PixelMeasuresSequence);
  frame.has_geometry = frame.has_geometry && item != nullptr && numbers_of(*item, DCM_PixelSpacing, spacing, 2) &&
                       spacing[0] > 0.0 && spacing[1] > 0.0;
  if (item != nullptr) {
    frame.between_mm = std::fabs(number_of(*item, DCM_SpacingBetweenSlices, 0.0));
    frame.thickness_mm = number_of(*item, DCM_SliceThickness, 0.0);
  }
  frame.spacing[0] = spacing[1];
  frame.spacing[1] = spacing[0];
  for (DcmItem *level : {own, shared}) {
    for_each_item(level, DCM_DerivationImageSequence, [&](DcmItem &derivation) {
      for_each_item(&derivation, DCM_SourceImageSequence,
                    [&](DcmItem &source) { frame.sources.push_back(reference_of(source)); });
    });
  }
}

bool read_header(DcmItem &dataset, const lvn_other_object &object, Seg &seg, lvn_error *err) {
  const std::string type = code_of(dataset, DCM_SegmentationType);
  Uint16 value = 0;
  Pixels &pixels = seg.pixels;
  seg.type = type == "FRACTIONAL" ? SegType::fractional : type == "LABELMAP" ? SegType::labelmap : SegType::binary;
  pixels.path = object.path;
  pixels.sop_instance_uid = object.sop_instance_uid;
  const auto get = [&](const DcmTagKey &key, uint16_t otherwise) {
    return dataset.findAndGetUint16(key, value).good() ? value : otherwise;
  };
  pixels.rows = get(DCM_Rows, 0);
  pixels.columns = get(DCM_Columns, 0);
  pixels.bits_allocated = get(DCM_BitsAllocated, 0);
  pixels.bits_stored = get(DCM_BitsStored, pixels.bits_allocated);
  pixels.high_bit = get(DCM_HighBit, static_cast<uint16_t>(pixels.bits_stored - 1));
  pixels.samples = get(DCM_SamplesPerPixel, 1);
  seg.maximum_fraction = get(DCM_MaximumFractionalValue, 255);
  seg.background = get(DCM_PixelPaddingValue, 0);
  const int frames = integer_of(dataset, DCM_NumberOfFrames, 1);
  pixels.frames = frames < 1 ? 1 : static_cast<uint32_t>(frames);
  uint64_t count = static_cast<uint64_t>(pixels.rows) * pixels.columns;
  if (__builtin_mul_overflow(count, static_cast<uint64_t>(pixels.frames), &count) || count == 0 ||
      count > (pixels.bits_allocated == 1 ? seg_max_bits : seg_max_values)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%u frames of %u x %u pixels are not supported", pixels.frames,
                         pixels.columns, pixels.rows);
  }
  DcmItem *shared = first_item(&dataset, DCM_SharedFunctionalGroupsSequence);
  for_each_item(&dataset, DCM_PerFrameFunctionalGroupsSequence, [&](DcmItem &own) {
    SegFrame frame;
    read_frame(&own, shared, frame);
    seg.frames.push_back(frame);
  });
  if (seg.frames.size() != pixels.frames) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%u frames but functional groups for %zu", pixels.frames,
                         seg.frames.size());
  }
  read_segments(dataset, seg);
  read_references(dataset, seg);
  return true;
}

// 1 bit per pixel, least significant first, frames one behind the other without alignment (PS3.5 8.1.1).
bool find_bits(DcmItem &dataset, Seg &seg, lvn_error *err) {
  unsigned long count = 0;
  const size_t bits = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns * seg.pixels.frames;
  if (dataset.findAndGetUint8Array(DCM_PixelData, seg.bits, &count).bad() || seg.bits == nullptr ||
      count < (bits + 7) / 8) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%lu bytes of pixel data where %zu are needed", count, (bits + 7) / 8);
  }
  return true;
}

// One RLE frame: bits packed in bytes, or one byte per pixel, as writers differ on 1-bit images.
bool unpack_rle_frame(const Seg &seg, const uint8_t *packed, size_t packed_bytes, uint16_t *target, lvn_error *err) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  const size_t segments = seg.pixels.bits_allocated > 8 ? seg.pixels.bits_allocated / 8U : 1;
  if (seg.pixels.bits_allocated == 1 && lvn_raster_measure_rle(packed, packed_bytes, pixels) < pixels) {
    std::vector<uint8_t> bytes((pixels + 7) / 8);
    if (!lvn_raster_unpack_rle(packed, packed_bytes, 1, bytes.size(), bytes.data(), err)) {
      return false;
    }
    for (size_t i = 0; i < pixels; i++) {
      target[i] = bytes[i / 8] >> (i % 8) & 1;
    }
    return true;
  }
  std::vector<uint8_t> bytes(pixels * segments);
  if (!lvn_raster_unpack_rle(packed, packed_bytes, segments, pixels, bytes.data(), err)) {
    return false;
  }
  for (size_t i = 0; i < pixels; i++) {
    const unsigned high = segments == 2 ? bytes[i] : 0U;
    const unsigned low = segments == 2 ? bytes[pixels + i] : bytes[i];
    target[i] = static_cast<uint16_t>(high << 8 | low);
  }
  return true;
}

bool find_fragments(DcmItem &dataset, Seg &seg, lvn_error *err) {
  DcmElement *element = nullptr;
  (void)dataset.findAndGetElement(DCM_PixelData, element);
  auto *data = dynamic_cast<DcmPixelData *>(element);
  if (data == nullptr || data->getEncapsulatedRepresentation(EXS_RLELossless, nullptr, seg.fragments).bad() ||
      seg.fragments == nullptr || seg.fragments->card() != seg.pixels.frames + 1UL || seg.pixels.bits_allocated > 16) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the RLE fragments do not match the %u frames", seg.pixels.frames);
  }
  return true;
}

// What the frames' values are read from; the file stays open.
bool find_values(DcmFileFormat &file, Seg &seg, lvn_error *err) {
  DcmDataset &dataset = *file.getDataset();
  const DcmXfer syntax(dataset.getOriginalXfer());
  seg.pixels.transfer_syntax_uid = syntax.getXferID();
  if (syntax.getXfer() == EXS_RLELossless) {
    return find_fragments(dataset, seg, err);
  }
  if (seg.pixels.bits_allocated == 1) {
    return syntax.isEncapsulated()
               ? lvn_error_set(err, LVN_ERROR_DATA, "1-bit pixel data in transfer syntax %s are not supported",
                               syntax.getXferID())
               : find_bits(dataset, seg, err);
  }
  return decode_pixels(seg.pixels, seg.values, err);
}

// The values of one frame; nullptr with the error set.
const uint16_t *values_of(Seg &seg, size_t frame, lvn_error *err) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  if (!seg.values.empty()) {
    return seg.values.data() + frame * pixels;
  }
  if (seg.unpacked_frame == frame) {
    return seg.unpacked.data();
  }
  seg.unpacked.resize(pixels);
  if (seg.bits != nullptr) {
    for (size_t i = 0, bit = frame * pixels; i < pixels; i++, bit++) {
      seg.unpacked[i] = seg.bits[bit / 8] >> (bit % 8) & 1;
    }
  } else {
    DcmPixelItem *item = nullptr;
    Uint8 *bytes = nullptr;
    if (seg.fragments->getItem(item, static_cast<unsigned long>(frame) + 1).bad() || item->getUint8Array(bytes).bad() ||
        bytes == nullptr) {
      (void)lvn_error_set(err, LVN_ERROR_DATA, "RLE fragment %zu cannot be read", frame + 1);
      return nullptr;
    }
    if (!unpack_rle_frame(seg, bytes, item->getLength(), seg.unpacked.data(), err)) {
      (void)lvn_error_prefix(err, "frame %zu", frame + 1);
      return nullptr;
    }
  }
  seg.unpacked_frame = frame;
  return seg.unpacked.data();
}

bool is_inside(const Seg &seg, int segment, uint16_t value) {
  switch (seg.type) {
  case SegType::binary:
    return value != 0;
  case SegType::fractional:
    return 2U * value >= seg.maximum_fraction && value > 0;
  case SegType::labelmap:
    return value == segment;
  }
  return false;
}

double along(const SegFrame &frame, const double normal[3]) {
  return frame.position[0] * normal[0] + frame.position[1] * normal[1] + frame.position[2] * normal[2];
}

// How far apart the segmentation's own planes are. Frames without content are often not written, so that the smallest
// distance that occurs may span several of them: then what the object states goes before it.
void find_step(Seg &seg) {
  double normal[3];
  lvn_plane plane{};
  std::vector<double> places;
  const SegFrame *first = nullptr;
  for (const SegFrame &frame : seg.frames) {
    if (!frame.has_geometry || (first == nullptr && !lvn_plane_from_orientation(frame.orientation, &plane))) {
      continue;
    }
    if (first == nullptr) {
      first = &frame;
      lvn_plane_normal(&plane, normal);
    }
    places.push_back(along(frame, normal));
  }
  std::sort(places.begin(), places.end());
  double gap = 0.0;
  for (size_t i = 1; i < places.size(); i++) {
    const double here = places[i] - places[i - 1];
    gap = here > same_plane_mm && (gap == 0.0 || here < gap) ? here : gap;
  }
  seg.gap_mm = gap;
  seg.step_mm = gap;
  if (first != nullptr && first->between_mm > 0.0) {
    seg.step_mm = gap > 0.0 ? std::min(gap, first->between_mm) : first->between_mm;
  } else if (first != nullptr && first->thickness_mm > 0.0 && first->thickness_mm < gap) {
    seg.step_mm = first->thickness_mm;
  }
}

// Frames of one segment in one place are one: united before they are drawn and counted.
struct Plane {
  Raster raster;
  std::vector<uint8_t> inside;
  size_t frame = 0; // the first of them
};

bool is_same_raster(const Raster &a, const Raster &b) {
  double apart = 0.0;
  for (int i = 0; i < 3; i++) {
    apart = std::max(apart, std::fabs(a.origin_mm[i] - b.origin_mm[i]));
    for (int axis = 0; axis < 2; axis++) {
      apart = std::max(apart, std::fabs(a.direction[axis][i] - b.direction[axis][i]));
    }
  }
  return apart < same_plane_mm;
}

bool make_raster(const Seg &seg, const SegFrame &frame, const char *what, Raster &raster, lvn_error *err) {
  lvn_plane plane{};
  if (!frame.has_geometry || !lvn_plane_from_orientation(frame.orientation, &plane)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has no position, orientation or pixel spacing", what);
  }
  std::memcpy(raster.origin_mm, frame.position, sizeof raster.origin_mm);
  std::memcpy(raster.direction, plane.direction, sizeof raster.direction);
  std::memcpy(raster.spacing_mm, frame.spacing, sizeof raster.spacing_mm);
  raster.step_mm = seg.step_mm;
  raster.gap_mm = seg.gap_mm;
  raster.columns = seg.pixels.columns;
  raster.rows = seg.pixels.rows;
  return true;
}

// Patient position of the first pixel inside: the raster's own corner may lie outside the images.
std::vector<double> point_of(const Raster &raster, const std::vector<uint8_t> &inside) {
  const auto first = static_cast<long>(std::find(inside.begin(), inside.end(), 1) - inside.begin());
  std::vector<double> point(3);
  for (size_t i = 0; i < 3; i++) {
    point[i] = raster.origin_mm[i] +
               static_cast<double>(first % raster.columns) * raster.spacing_mm[0] * raster.direction[0][i] +
               static_cast<double>(first / raster.columns) * raster.spacing_mm[1] * raster.direction[1][i];
  }
  return point;
}

struct SegmentDrawing {
  RoiReader &reader;
  Seg &seg;
  int segment;
  RoiDraft &draft;
  std::vector<Plane> planes; // that hold something

  bool collect(lvn_error *err);
  bool draw(lvn_error *err);
  bool check_volume(size_t pixels, double largest, lvn_error *err) const;
};

bool SegmentDrawing::collect(lvn_error *err) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  for (size_t f = 0; f < seg.frames.size(); f++) {
    const SegFrame &frame = seg.frames[f];
    char what[64];
    Plane plane;
    size_t stack = 0;
    if (seg.type != SegType::labelmap && frame.segment != segment) {
      continue;
    }
    const uint16_t *values = values_of(seg, f, err);
    if (values == nullptr) {
      return false;
    }
    plane.inside.resize(pixels);
    for (size_t i = 0; i < pixels; i++) {
      plane.inside[i] = is_inside(seg, segment, values[i]) ? 1 : 0;
    }
    if (std::find(plane.inside.begin(), plane.inside.end(), 1) == plane.inside.end()) {
      continue;
    }
    (void)std::snprintf(what, sizeof what, "ROI %u, frame %zu", draft.number, f + 1);
    if (!make_raster(seg, frame, what, plane.raster, err)) {
      return false;
    }
    const RoiSource source = {frame.sources, seg.images, seg.series_uids, seg.frame_of_reference_uid};
    if (!reader.choose_stack(source, point_of(plane.raster, plane.inside), what, stack, err) ||
        !reader.claim_stack(draft, stack, what, err)) {
      return false;
    }
    plane.frame = f;
    const auto same = std::find_if(planes.begin(), planes.end(),
                                   [&](const Plane &other) { return is_same_raster(plane.raster, other.raster); });
    if (same == planes.end()) {
      planes.push_back(std::move(plane));
    } else {
      std::transform(same->inside.begin(), same->inside.end(), plane.inside.begin(), same->inside.begin(),
                     [](uint8_t a, uint8_t b) { return static_cast<uint8_t>(a | b); });
    }
  }
  return true;
}

// The mask against what the segmentation counts itself. Resampled, a mask may be off by half of what its rims pass, and
// by a slice at both ends together.
bool SegmentDrawing::check_volume(size_t pixels, double largest, lvn_error *err) const {
  const lvn_grid &grid = reader.study.stacks[draft.stack].info.grid;
  const Raster &raster = planes.front().raster;
  const double step = raster.step_mm;
  const double pixel_mm2 = raster.spacing_mm[0] * raster.spacing_mm[1];
  const double own_ml = static_cast<double>(pixels) * pixel_mm2 * step / 1000.0;
  const double voxel_ml = grid.spacing_mm[0] * grid.spacing_mm[1] * grid.spacing_mm[2] / 1000.0;
  const double mask_ml = static_cast<double>(draft.inside.count()) * voxel_ml;
  const double slab_ml = largest * pixel_mm2 * std::max(step, grid.spacing_mm[2]) / 1000.0;
  if (std::fabs(own_ml - mask_ml) > 0.25 * std::max(own_ml, mask_ml) + slab_ml) {
    return lvn_error_set(err, LVN_ERROR_DATA,
                         "ROI %u: its segmentation has %.2f ml but its mask on series %d has %.2f ml", draft.number,
                         own_ml, reader.study.stacks[draft.stack].info.series_number, mask_ml);
  }
  return true;
}

bool SegmentDrawing::draw(lvn_error *err) {
  if (!collect(err)) {
    return false;
  }
  if (planes.empty()) {
    return true;
  }
  const lvn_stack &stack = reader.study.stacks[draft.stack].info;
  bool is_other = false;
  double largest = 0.0;
  size_t pixels = 0;
  for (Plane &plane : planes) {
    const LatticeFit fit =
        is_other ? LatticeFit::other : draw_same_lattice(stack.grid, plane.raster, plane.inside, draft.inside);
    if (fit == LatticeFit::outside) {
      return lvn_error_set(err, LVN_ERROR_DATA, "ROI %u, frame %zu has pixels outside the images of series %d",
                           draft.number, plane.frame + 1, stack.series_number);
    }
    is_other = fit == LatticeFit::other;
    if (is_other) {
      break;
    }
  }
  if (!is_other) {
    return true;
  }
  draft.inside = Voxels();
  for (Plane &plane : planes) {
    if (!(plane.raster.step_mm > 0.0)) {
      plane.raster.step_mm = stack.grid.spacing_mm[2];
    }
    const auto count = static_cast<size_t>(std::count(plane.inside.begin(), plane.inside.end(), 1));
    pixels += count;
    largest = std::max(largest, static_cast<double>(count));
    draw_nearest(stack.grid, plane.raster, plane.inside, draft.inside);
  }
  char text[160];
  (void)std::snprintf(text, sizeof text, "ROI %u is resampled to series %d: its segmentation has other voxels",
                      draft.number, stack.series_number);
  reader.add_note(text);
  return check_volume(pixels, largest, err);
}

} // namespace

bool RoiReader::read_seg(const lvn_other_object &object, lvn_error *err) {
  DcmFileFormat file;
  Seg seg;
  if (!load_file(object.path, true, file, err) || !read_header(*file.getDataset(), object, seg, err) ||
      !find_values(file, seg, err)) {
    return false;
  }
  find_step(seg);
  for (const auto &entry : seg.segments) {
    const Segment &segment = entry.second;
    RoiDraft draft;
    if (seg.type == SegType::labelmap && (entry.first == seg.background || entry.first == 0)) {
      continue;
    }
    draft.number = entry.first < 0 ? 0 : static_cast<unsigned>(entry.first);
    draft.label = segment.label;
    draft.tracking_id = segment.tracking_id;
    draft.tracking_uid = segment.tracking_uid;
    if (leave_out(draft.number, segment.label, segment.property)) {
      continue;
    }
    SegmentDrawing drawing{*this, seg, entry.first, draft, {}};
    if (!drawing.draw(err)) {
      return false;
    }
    if (draft.stack == SIZE_MAX) {
      add_note("ROI " + std::to_string(draft.number) + " is empty");
    } else {
      drafts.push_back(std::move(draft));
    }
  }
  return true;
}

} // namespace lvn
