// Segmentations: binary, fractional and label map (PS3.3 C.8.20), read with dcmdata alone, since dcmseg 3.6.7 knows
// neither label maps nor RLE. Frames are sparse, in any order, and 1-bit frames are not aligned to bytes (C.8.20.2).
#include "dicom/read/j2k.h"
#include "dicom/read/roi_dcmtk.hh"
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

constexpr uint64_t seg_max_values = UINT64_C(1) << 30;

enum class SegType { binary, fractional, labelmap };

struct Segment {
  std::string label;
  RoiVerdict verdict;
  bool is_automatic = false;
  bool is_wanted = false;
  std::string tracking_id;
  std::string tracking_uid;
};

struct SegFrame {
  size_t number = 0; // in the object, from 0: frames that are not wanted are not kept
  int segment = -1;
  bool has_geometry = false;
  double position[3]{};
  double orientation[6]{};
  double spacing[2]{}; // [0] between columns
  std::vector<std::string> source_uids;
};

struct Seg {
  SegType type = SegType::binary;
  Pixels pixels;
  unsigned maximum_fraction = 255;
  int background = 0;
  std::map<int, Segment> segments;
  std::vector<SegFrame> frames;
  std::vector<std::string> series_uids;
  std::vector<std::string> sop_uids;
  std::string frame_of_reference_uid;
  std::vector<uint16_t> values; // columns * rows * frames
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
    segment.label = text_of(item, DCM_SegmentLabel);
    segment.verdict = judge_segment(item, segment.is_automatic);
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
                  [&](DcmItem &instance) { seg.sop_uids.push_back(code_of(instance, DCM_ReferencedSOPInstanceUID)); });
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
  frame.has_geometry = frame.has_geometry && item != nullptr && numbers_of(*item, DCM_PixelSpacing, spacing, 2);
  frame.spacing[0] = spacing[1];
  frame.spacing[1] = spacing[0];
  for (DcmItem *level : {own, shared}) {
    for_each_item(level, DCM_DerivationImageSequence, [&](DcmItem &derivation) {
      for_each_item(&derivation, DCM_SourceImageSequence, [&](DcmItem &source) {
        frame.source_uids.push_back(code_of(source, DCM_ReferencedSOPInstanceUID));
      });
    });
  }
}

SegType type_of(DcmItem &dataset) {
  const std::string type = code_of(dataset, DCM_SegmentationType);
  return type == "FRACTIONAL" ? SegType::fractional : type == "LABELMAP" ? SegType::labelmap : SegType::binary;
}

void read_frames(DcmItem &dataset, Seg &seg) {
  DcmItem *shared = first_item(&dataset, DCM_SharedFunctionalGroupsSequence);
  for_each_item(&dataset, DCM_PerFrameFunctionalGroupsSequence, [&](DcmItem &own) {
    SegFrame frame;
    frame.number = seg.frames.size();
    read_frame(&own, shared, frame);
    seg.frames.push_back(frame);
  });
}

bool read_header(DcmItem &dataset, const lvn_other_object &object, Seg &seg, lvn_error *err) {
  Uint16 value = 0;
  Pixels &pixels = seg.pixels;
  seg.type = type_of(dataset);
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
  read_frames(dataset, seg);
  if (seg.frames.size() != pixels.frames) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%u frames but functional groups for %zu", pixels.frames,
                         seg.frames.size());
  }
  read_segments(dataset, seg);
  read_references(dataset, seg);
  return true;
}

// Only frames of wanted segments stay; a label map's frames hold all segments.
bool keep_wanted_frames(Seg &seg, std::map<int, Segment> &listed, lvn_error *err) {
  if (seg.type != SegType::labelmap) {
    seg.frames.erase(std::remove_if(seg.frames.begin(), seg.frames.end(),
                                    [&](const SegFrame &frame) { return !listed[frame.segment].is_wanted; }),
                     seg.frames.end());
  }
  // One-bit frames are unpacked one by one, all others at once.
  const size_t frames = seg.pixels.bits_allocated == 1 ? seg.frames.size() : seg.pixels.frames;
  uint64_t count = static_cast<uint64_t>(seg.pixels.rows) * seg.pixels.columns;
  if (__builtin_mul_overflow(count, static_cast<uint64_t>(frames), &count) || count == 0 || count > seg_max_values) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%u frames of %u x %u pixels are not supported", seg.pixels.frames,
                         seg.pixels.columns, seg.pixels.rows);
  }
  return true;
}

// 1 bit per pixel, least significant first, frames one behind the other without alignment (PS3.5 8.1.1).
bool unpack_bits(DcmItem &dataset, Seg &seg, lvn_error *err) {
  const Uint8 *bytes = nullptr;
  unsigned long count = 0;
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  const size_t bits = pixels * seg.pixels.frames;
  if (dataset.findAndGetUint8Array(DCM_PixelData, bytes, &count).bad() || bytes == nullptr || count < (bits + 7) / 8) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%lu bytes of pixel data where %zu are needed", count, (bits + 7) / 8);
  }
  for (size_t f = 0; f < seg.frames.size(); f++) {
    for (size_t i = 0; i < pixels; i++) {
      const size_t bit = seg.frames[f].number * pixels + i;
      seg.values[f * pixels + i] = bytes[bit / 8] >> (bit % 8) & 1;
    }
  }
  return true;
}

// One RLE frame: bits packed in bytes, or one byte per pixel, as writers differ on 1-bit images.
bool unpack_rle_frame(Seg &seg, size_t frame, const uint8_t *packed, size_t packed_bytes, lvn_error *err) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  uint16_t *target = seg.values.data() + frame * pixels;
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

bool unpack_rle(DcmItem &dataset, Seg &seg, lvn_error *err) {
  DcmElement *element = nullptr;
  DcmPixelSequence *sequence = nullptr;
  (void)dataset.findAndGetElement(DCM_PixelData, element);
  auto *data = dynamic_cast<DcmPixelData *>(element);
  if (data == nullptr || data->getEncapsulatedRepresentation(EXS_RLELossless, nullptr, sequence).bad() ||
      sequence == nullptr || sequence->card() != seg.pixels.frames + 1UL || seg.pixels.bits_allocated > 16) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the RLE fragments do not match the %u frames", seg.pixels.frames);
  }
  for (size_t f = 0; f < seg.frames.size(); f++) {
    const auto i = static_cast<unsigned long>(seg.frames[f].number + 1);
    DcmPixelItem *item = nullptr;
    Uint8 *bytes = nullptr;
    if (sequence->getItem(item, i).bad() || item->getUint8Array(bytes).bad() || bytes == nullptr) {
      return lvn_error_set(err, LVN_ERROR_DATA, "RLE fragment %lu cannot be read", i);
    }
    if (!unpack_rle_frame(seg, f, bytes, item->getLength(), err)) {
      return lvn_error_prefix(err, "frame %lu", i);
    }
  }
  return true;
}

bool load_values(DcmFileFormat &file, Seg &seg, lvn_error *err) {
  DcmDataset &dataset = *file.getDataset();
  const DcmXfer syntax(dataset.getOriginalXfer());
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  seg.values.assign(pixels * seg.frames.size(), 0);
  seg.pixels.transfer_syntax_uid = syntax.getXferID();
  if (syntax.getXfer() == EXS_RLELossless) {
    return unpack_rle(dataset, seg, err);
  }
  if (seg.pixels.bits_allocated == 1) {
    return syntax.isEncapsulated()
               ? lvn_error_set(err, LVN_ERROR_DATA, "1-bit pixel data in transfer syntax %s are not supported",
                               syntax.getXferID())
               : unpack_bits(dataset, seg, err);
  }
  std::vector<uint16_t> all;
  if (!decode_pixels(seg.pixels, all, err)) {
    return false;
  }
  if (all.size() < pixels * seg.pixels.frames) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the pixel data are too short for %u frames", seg.pixels.frames);
  }
  for (size_t f = 0; f < seg.frames.size(); f++) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(seg.frames[f].number * pixels);
    std::copy(from, from + static_cast<std::ptrdiff_t>(pixels),
              seg.values.begin() + static_cast<std::ptrdiff_t>(f * pixels));
  }
  return true;
}

bool is_inside(const Seg &seg, const SegFrame &frame, int segment, uint16_t value) {
  switch (seg.type) {
  case SegType::binary:
    return frame.segment == segment && value != 0;
  case SegType::fractional:
    return frame.segment == segment && 2U * value >= seg.maximum_fraction && value > 0;
  case SegType::labelmap:
    return value == segment;
  }
  return false;
}

bool is_any_inside(const Seg &seg, size_t frame, int segment) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  for (size_t i = 0; i < pixels; i++) {
    if (is_inside(seg, seg.frames[frame], segment, seg.values[frame * pixels + i])) {
      return true;
    }
  }
  return false;
}

// Same orientation and pixel size as the stack? A frame on another raster would have to be bent.
bool check_raster(const lvn_stack &stack, const SegFrame &frame, const char *what, lvn_error *err) {
  lvn_plane plane{};
  bool is_same = lvn_plane_from_orientation(frame.orientation, &plane);
  for (int axis = 0; axis < 2 && is_same; axis++) {
    is_same = std::fabs(frame.spacing[axis] / stack.grid.spacing_mm[axis] - 1.0) < 0.005;
    for (int i = 0; i < 3; i++) {
      is_same = is_same && std::fabs(plane.direction[axis][i] - stack.grid.direction[axis][i]) < 2e-3;
    }
  }
  return is_same ||
         lvn_error_set(err, LVN_ERROR_DATA, "%s has another orientation or pixel size than series %d it is drawn on",
                       what, stack.series_number);
}

// The frame's pixels of one segment onto the stack's plane that it lies in.
bool draw_frame(const lvn_study &study, const Seg &seg, size_t number, int segment, RoiDraft &draft, const char *what,
                lvn_error *err) {
  const SegFrame &frame = seg.frames[number];
  const lvn_stack &stack = study.stacks[draft.stack].info;
  const lvn_grid &grid = stack.grid;
  double index[3];
  if (!check_raster(stack, frame, what, err)) {
    return false;
  }
  lvn_grid_to_index(&grid, frame.position, index);
  const long plane = std::lround(index[2]);
  const long x0 = std::lround(index[0]);
  const long y0 = std::lround(index[1]);
  if (plane < 0 || plane >= static_cast<long>(grid.size[2]) ||
      std::fabs(index[2] - static_cast<double>(plane)) > 0.45) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s does not lie on a slice of series %d", what, stack.series_number);
  }
  const uint16_t *value = seg.values.data() + number * seg.pixels.rows * seg.pixels.columns;
  for (long y = 0; y < seg.pixels.rows; y++) {
    for (long x = 0; x < seg.pixels.columns; x++, value++) {
      if (!is_inside(seg, frame, segment, *value)) {
        continue;
      }
      if (x + x0 < 0 || y + y0 < 0 || x + x0 >= static_cast<long>(grid.size[0]) ||
          y + y0 >= static_cast<long>(grid.size[1])) {
        return lvn_error_set(err, LVN_ERROR_DATA, "%s has pixels outside the images of series %d", what,
                             stack.series_number);
      }
      draft.inside[(static_cast<size_t>(plane) * grid.size[1] + static_cast<size_t>(y + y0)) * grid.size[0] +
                   static_cast<size_t>(x + x0)] = 1;
    }
  }
  return true;
}

// The middle of the first row's ends and of the last row: enough to find the plane.
std::vector<double> corners_of(const SegFrame &frame) {
  return std::vector<double>(frame.position, frame.position + 3);
}

bool draw_segment(const RoiReader &reader, const Seg &seg, int segment, RoiDraft &draft, lvn_error *err) {
  for (size_t f = 0; f < seg.frames.size(); f++) {
    const SegFrame &frame = seg.frames[f];
    char what[64];
    size_t stack = 0;
    (void)std::snprintf(what, sizeof what, "ROI %u, frame %zu", draft.number, frame.number + 1);
    if (!is_any_inside(seg, f, segment)) {
      continue;
    }
    if (!frame.has_geometry) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s has no position, orientation or pixel spacing", what);
    }
    RoiSource source = {frame.source_uids, seg.series_uids, seg.frame_of_reference_uid};
    source.sop_instance_uids.insert(source.sop_instance_uids.end(), seg.sop_uids.begin(), seg.sop_uids.end());
    if (!reader.choose_stack(source, corners_of(frame), what, stack, err) ||
        !reader.claim_stack(draft, stack, what, err) || !draw_frame(reader.study, seg, f, segment, draft, what, err)) {
      return false;
    }
  }
  return true;
}

bool has_frame(const Seg &seg, int segment) {
  return seg.type == SegType::labelmap || std::any_of(seg.frames.begin(), seg.frames.end(),
                                                      [&](const SegFrame &frame) { return frame.segment == segment; });
}

RoiEntry entry_of(const lvn_study &study, const Seg &seg, int number, const Segment &segment) {
  RoiEntry entry;
  entry.number = number < 0 ? 0 : static_cast<unsigned>(number);
  entry.label = segment.label;
  entry.tracking_uid = segment.tracking_uid;
  entry.verdict = segment.verdict;
  entry.is_automatic = segment.is_automatic;
  entry.series = seg.series_uids;
  for (const SegFrame &frame : seg.frames) {
    if (frame.source_uids.empty() || (seg.type != SegType::labelmap && frame.segment != number)) {
      continue;
    }
    const auto known = std::find_if(frame.source_uids.begin(), frame.source_uids.end(), [&](const std::string &uid) {
      return lvn_study_find_slice(&study, uid.c_str(), 0, nullptr, nullptr);
    });
    entry.images.push_back(known == frame.source_uids.end() ? frame.source_uids.front() : *known);
  }
  return entry;
}

// The segments as the header describes them; pixels are read for those alone that are wanted.
bool list_seg(RoiReader &reader, const lvn_other_object &object, Seg &seg, bool &ret_any, lvn_error *err) {
  DcmFileFormat file;
  if (!load_file(object.path, false, file, err)) {
    return false;
  }
  seg.type = type_of(*file.getDataset());
  seg.background = integer_of(*file.getDataset(), DCM_PixelPaddingValue, 0);
  read_frames(*file.getDataset(), seg);
  read_segments(*file.getDataset(), seg);
  read_references(*file.getDataset(), seg);
  reader.references.read(*file.getDataset(), reader.study.uid);
  ret_any = false;
  for (auto &entry : seg.segments) {
    Segment &segment = entry.second;
    if (seg.type == SegType::labelmap && (entry.first == seg.background || entry.first == 0)) {
      continue;
    }
    if (!has_frame(seg, entry.first)) {
      reader.without_area.push_back(entry.first < 0 ? 0 : static_cast<unsigned>(entry.first));
      continue;
    }
    segment.is_wanted = reader.wants(entry_of(reader.study, seg, entry.first, segment));
    ret_any = ret_any || segment.is_wanted;
  }
  return true;
}

} // namespace

bool RoiReader::read_seg(const lvn_other_object &object, lvn_error *err) {
  DcmFileFormat file;
  Seg listed;
  Seg seg;
  bool any = false;
  if (!list_seg(*this, object, listed, any, err)) {
    return false;
  }
  if (!any) {
    return true;
  }
  if (!load_file(object.path, true, file, err) || !read_header(*file.getDataset(), object, seg, err) ||
      !keep_wanted_frames(seg, listed.segments, err) || !load_values(file, seg, err)) {
    return false;
  }
  for (const auto &entry : seg.segments) {
    const Segment &segment = entry.second;
    RoiDraft draft;
    if (!listed.segments[entry.first].is_wanted) {
      continue;
    }
    draft.number = entry.first < 0 ? 0 : static_cast<unsigned>(entry.first);
    draft.label = segment.label;
    draft.tracking_id = segment.tracking_id;
    draft.tracking_uid = segment.tracking_uid;
    if (!draw_segment(*this, seg, entry.first, draft, err)) {
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
