// Segmentations: binary, fractional and label map (PS3.3 C.8.20), read with dcmdata alone, since dcmseg 3.6.7 knows
// neither label maps nor RLE. Frames are sparse, in any order, and 1-bit frames are not aligned to bytes (C.8.20.2).
#include "dicom/read/roi_seg_dcmtk.hh"
#include "dicom/read/roi_lattice_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace lvn {
namespace {

constexpr uint64_t seg_max_values = UINT64_C(1) << 29; // two bytes each
constexpr uint64_t seg_max_bits = UINT64_C(1) << 33;   // unpacked frame by frame

constexpr double same_plane_mm = 0.02;
constexpr double position_max_mm = 1e6;

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
                  [&](DcmItem &instance) { seg.images.push_back(reference_of(instance)); });
  });
}

bool read_numbers(DcmItem *item, const DcmTagKey &key, double *values, size_t count, SegFrame &frame) {
  return item != nullptr && numbers_of(*item, key, values, count, &frame.problem, &frame.note);
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
  frame.has_geometry = read_numbers(item, DCM_ImagePositionPatient, frame.position, 3, frame);
  if (std::any_of(frame.position, frame.position + 3, [](double mm) { return std::fabs(mm) > position_max_mm; })) {
    frame.has_geometry = false;
    frame.problem = "Image Position (Patient) is far from any patient";
  }
  item = group(DCM_PlaneOrientationSequence);
  frame.has_geometry =
      read_numbers(item, DCM_ImageOrientationPatient, frame.orientation, 6, frame) && frame.has_geometry;
  item = group(DCM_PixelMeasuresSequence);
  frame.has_geometry = read_numbers(item, DCM_PixelSpacing, spacing, 2, frame) && frame.has_geometry;
  if (frame.has_geometry && !(spacing[0] > 0.0 && spacing[1] > 0.0)) {
    frame.has_geometry = false;
    frame.problem = "Pixel Spacing is not above 0";
  }
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

SegType type_of(DcmItem &dataset) {
  const std::string type = code_of(dataset, DCM_SegmentationType);
  return type == "FRACTIONAL" ? SegType::fractional : type == "LABELMAP" ? SegType::labelmap : SegType::binary;
}

void read_frames(DcmItem &dataset, Seg &seg) {
  DcmItem *shared = first_item(&dataset, DCM_SharedFunctionalGroupsSequence);
  for_each_item(&dataset, DCM_PerFrameFunctionalGroupsSequence, [&](DcmItem &own) {
    SegFrame frame;
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
  uint64_t count = static_cast<uint64_t>(pixels.rows) * pixels.columns;
  if (__builtin_mul_overflow(count, static_cast<uint64_t>(pixels.frames), &count) || count == 0 ||
      count > (pixels.bits_allocated == 1 ? seg_max_bits : seg_max_values)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%u frames of %u x %u pixels are not supported", pixels.frames,
                         pixels.columns, pixels.rows);
  }
  read_frames(dataset, seg);
  if (seg.frames.size() != pixels.frames) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%u frames but functional groups for %zu", pixels.frames,
                         seg.frames.size());
  }
  read_segments(dataset, seg);
  read_references(dataset, seg);
  return true;
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
  if (!frame.has_geometry) {
    return frame.problem.empty()
               ? lvn_error_set(err, LVN_ERROR_DATA, "%s has no position, orientation or pixel spacing", what)
               : lvn_error_set(err, LVN_ERROR_DATA, "%s: %s", what, frame.problem.c_str());
  }
  if (!lvn_plane_from_orientation(frame.orientation, &plane)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has an orientation that is none", what);
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
  const long row = first / raster.columns;
  const long column = first % raster.columns;
  std::vector<double> point(3);
  for (size_t i = 0; i < 3; i++) {
    point[i] = raster.origin_mm[i] + static_cast<double>(column) * raster.spacing_mm[0] * raster.direction[0][i] +
               static_cast<double>(row) * raster.spacing_mm[1] * raster.direction[1][i];
  }
  return point;
}

struct SegmentDrawing {
  RoiReader &reader;
  Seg &seg;
  int segment;
  RoiDraft &draft;
  std::vector<Plane> planes; // that hold something

  size_t elsewhere = 0;    // frames that lie off the image that they name
  bool has_rivals = false; // several frames in one place

  void note() const;
  bool collect(lvn_error *err);
  bool draw(lvn_error *err);
  bool check_volume(size_t pixels, double largest, lvn_error *err) const;
};

bool SegmentDrawing::collect(lvn_error *err) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  std::vector<Raster> empty;
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
    (void)std::snprintf(what, sizeof what, "ROI %u, frame %zu", draft.number, f + 1);
    if (std::find(plane.inside.begin(), plane.inside.end(), 1) == plane.inside.end()) {
      lvn_error ignored{};
      if (make_raster(seg, frame, what, plane.raster, &ignored)) {
        empty.push_back(plane.raster);
      }
      continue;
    }
    if (!make_raster(seg, frame, what, plane.raster, err)) {
      return false;
    }
    const RoiSource source = {frame.sources, seg.images, seg.series_uids, seg.frame_of_reference_uid};
    if (!reader.choose_stack(source, point_of(plane.raster, plane.inside), what, stack, err) ||
        !reader.claim_stack(draft, stack, what, err)) {
      return false;
    }
    plane.frame = f;
    elsewhere += is_elsewhere(reader.study, stack, seg, frame) ? 1 : 0;
    const auto same = std::find_if(planes.begin(), planes.end(),
                                   [&](const Plane &other) { return is_same_raster(plane.raster, other.raster); });
    if (same == planes.end()) {
      planes.push_back(std::move(plane));
    } else {
      has_rivals = true; // equal ones, too: then another place has none
      std::transform(same->inside.begin(), same->inside.end(), plane.inside.begin(), same->inside.begin(),
                     [](uint8_t a, uint8_t b) { return static_cast<uint8_t>(a | b); });
    }
  }
  for (const Plane &plane : planes) {
    has_rivals = has_rivals || std::any_of(empty.begin(), empty.end(),
                                           [&](const Raster &other) { return is_same_raster(plane.raster, other); });
  }
  return true;
}

void SegmentDrawing::note() const {
  const std::string name = "ROI " + std::to_string(draft.number);
  if (elsewhere > 0) {
    reader.add_note(name + ": the position of " + std::to_string(elsewhere) + (elsewhere == 1 ? " frame" : " frames") +
                    " is not that of the image named; drawn by position");
  }
  if (has_rivals) {
    reader.add_note(name + ": several frames lie in one place, and are united");
  }
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
  const std::string &how_read = seg.frames[planes.front().frame].note;
  if (!how_read.empty()) {
    reader.add_note("ROI " + std::to_string(draft.number) + ": " + how_read);
  }
  note();
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
    if (frame.sources.empty() || (seg.type != SegType::labelmap && frame.segment != number)) {
      continue;
    }
    const auto known = std::find_if(frame.sources.begin(), frame.sources.end(), [&](const ImageReference &image) {
      return lvn_study_find_slice(&study, image.sop_instance_uid.c_str(), 0, nullptr, nullptr);
    });
    entry.images.push_back((known == frame.sources.end() ? frame.sources.front() : *known).sop_instance_uid);
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
      !find_values(file, seg, err)) {
    return false;
  }
  note_contradictions(*this, *file.getDataset(), seg);
  find_step(seg);
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
    SegmentDrawing drawing{*this, seg, entry.first, draft, {}, 0, false};
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
