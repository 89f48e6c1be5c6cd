// Where a drawing lies: the stack that its references, series and frame of reference name, and its plane there.
#include "dicom/read/number.h"
#include "dicom/read/roi_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

namespace lvn {
namespace {

// A plane half of a slice beyond the first or last one still belongs to it.
constexpr double beyond_slices = 0.52;
// Points of one outline that are rounded, or lie in a slightly tilted plane.
constexpr double tilt_max_slices = 0.5;
// Thinner than a written decimal: a line.
constexpr double line_pixels = 0.02;
constexpr double far_pixels = 1e6;

// The slice index that points have in common; false when they span several slices or leave the stack.
bool find_plane(const lvn_grid &grid, const std::vector<double> &points_mm, double &ret_plane, double &ret_tilt) {
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  double sum = 0.0;
  for (size_t i = 0; i + 2 < points_mm.size(); i += 3) {
    double index[3];
    lvn_grid_to_index(&grid, &points_mm[i], index);
    low = std::min(low, index[2]);
    high = std::max(high, index[2]);
    sum += index[2];
  }
  if (points_mm.size() < 3) {
    return false;
  }
  const size_t count = points_mm.size() / 3;
  ret_plane = sum / static_cast<double>(count);
  // Written by rounded cosines, the slice's own plane comes back with an error in the last digits.
  const double nearest = std::round(ret_plane);
  ret_plane = std::fabs(ret_plane - nearest) < 1e-6 ? nearest : ret_plane;
  ret_tilt = std::max(high - ret_plane, ret_plane - low);
  return ret_tilt <= tilt_max_slices && ret_plane >= -beyond_slices &&
         ret_plane <= static_cast<double>(grid.size[2]) - 1.0 + beyond_slices;
}

bool is_in_plane(const lvn_stack &stack, const std::vector<double> &points_mm) {
  double plane = 0.0;
  double tilt = 0.0;
  return find_plane(stack.grid, points_mm, plane, tilt);
}

bool names(const ImageReference &image, uint32_t frame) {
  return image.frames.empty() || frame == 0 ||
         std::find(image.frames.begin(), image.frames.end(), frame) != image.frames.end();
}

// The stacks that hold the referenced frames.
std::set<size_t> stacks_of(const lvn_study &study, const std::vector<ImageReference> &images) {
  std::set<size_t> stacks;
  for (const ImageReference &image : images) {
    const auto found = study.places.find(image.sop_instance_uid);
    if (found == study.places.end()) {
      continue;
    }
    for (const Place &place : found->second) {
      if (names(image, place.frame_number)) {
        stacks.insert(place.stack);
      }
    }
  }
  return stacks;
}

std::string series_numbers(const lvn_study &study, const std::vector<size_t> &stacks) {
  const lvn_stack &a = study.stacks[stacks[0]].info;
  const lvn_stack &b = study.stacks[stacks[1]].info;
  if (a.series_number == b.series_number) {
    return "several parts of series " + std::to_string(a.series_number) + " fit";
  }
  return "series " + std::to_string(a.series_number) + " and " + std::to_string(b.series_number) + " both fit";
}

bool encloses_area(const Polygon &points) {
  size_t farthest = 0;
  const auto from_first = [&](size_t i, size_t axis) { return points[i][axis] - points[0][axis]; };
  const auto away = [&](size_t i) { return std::hypot(from_first(i, 0), from_first(i, 1)); };
  for (size_t i = 1; i < points.size(); i++) {
    farthest = away(i) > away(farthest) ? i : farthest;
  }
  const double length = away(farthest);
  return std::any_of(points.begin(), points.end(), [&](const PlanePoint &point) {
    const double cross =
        from_first(farthest, 0) * (point[1] - points[0][1]) - from_first(farthest, 1) * (point[0] - points[0][0]);
    return length > 0.0 && std::fabs(cross) / length > line_pixels;
  });
}

} // namespace

ImageReference reference_of(DcmItem &item) {
  ImageReference image{code_of(item, DCM_ReferencedSOPInstanceUID), {}};
  std::string text;
  if (!bytes_of(item, DCM_ReferencedFrameNumber, text)) {
    return image;
  }
  for (const std::string &component : components_of(text)) {
    double number = 0.0;
    if (lvn_number_read(component.data(), component.size(), &number) != LVN_NUMBER_GOOD || number < 1.0 ||
        number > INT32_MAX || number != std::floor(number)) {
      image.frames.clear();
      break;
    }
    image.frames.push_back(static_cast<uint32_t>(number));
  }
  return image;
}

bool is_of_one_stack(const lvn_study &study, const std::vector<ImageReference> &images) {
  return stacks_of(study, images).size() <= 1;
}

size_t named_slice_of(const lvn_study &study, size_t stack, const std::vector<ImageReference> &images) {
  size_t slice = SIZE_MAX;
  for (const ImageReference &image : images) {
    const auto found = study.places.find(image.sop_instance_uid);
    if (found == study.places.end()) {
      continue;
    }
    for (const Place &place : found->second) {
      if (place.stack == stack && names(image, place.frame_number)) {
        if (slice != SIZE_MAX && slice != place.slice) {
          return SIZE_MAX;
        }
        slice = place.slice;
      }
    }
  }
  return slice;
}

bool check_frame_named(const lvn_study &study, const std::string &sop_instance_uid, uint32_t frame, const char *what,
                       lvn_error *err) {
  const auto found = study.places.find(sop_instance_uid);
  if (frame != 0 || found == study.places.end() || found->second.size() < 2) {
    return true;
  }
  return lvn_error_set(err, LVN_ERROR_DATA, "%s does not say on which of %zu frames it is drawn", what,
                       found->second.size());
}

bool RoiReader::choose_stack(const RoiSource &source, const std::vector<double> &points_mm, const char *what,
                             size_t &ret_stack, lvn_error *err) const {
  const std::set<size_t> named = stacks_of(study, source.images);
  const std::set<size_t> listed = stacks_of(study, source.listed_images);
  if (named.size() == 1) {
    ret_stack = *named.begin();
    return true;
  }
  // Each level narrows down what the levels before it leave open.
  std::vector<size_t> by_image;
  std::vector<size_t> by_list;
  std::vector<size_t> by_series;
  std::vector<size_t> by_frame_of_reference;
  for (size_t s = 0; s < study.stacks.size(); s++) {
    const lvn_stack &stack = study.stacks[s].info;
    const bool is_named = named.count(s) != 0;
    if (stack.exclusion != LVN_EXCLUSION_NONE || !is_in_plane(stack, points_mm) || (!named.empty() && !is_named)) {
      continue;
    }
    const bool is_of_series = std::find(source.series_uids.begin(), source.series_uids.end(),
                                        stack.series_instance_uid) != source.series_uids.end();
    if (is_named) {
      by_image.push_back(s);
    }
    if (listed.count(s) != 0) {
      by_list.push_back(s);
    }
    if (is_of_series) {
      by_series.push_back(s);
    }
    if (!source.frame_of_reference_uid.empty() && source.frame_of_reference_uid == stack.frame_of_reference_uid) {
      by_frame_of_reference.push_back(s);
    }
  }
  const std::vector<size_t> *found = &by_frame_of_reference;
  for (const std::vector<size_t> *level : {&by_list, &by_series, &by_image}) {
    if (!level->empty()) {
      found = level;
      break;
    }
  }
  if (found->empty()) {
    return lvn_error_set(err, LVN_ERROR_DATA,
                         "%s does not lie on a CT slice of this study: another frame of reference, or an absent slice",
                         what);
  }
  if (found->size() > 1) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s does not say which images it was drawn on: %s", what,
                         series_numbers(study, *found).c_str());
  }
  ret_stack = found->front();
  return true;
}

bool RoiReader::claim_stack(RoiDraft &draft, size_t stack, const char *what, lvn_error *err) const {
  const lvn_stack &info = study.stacks[stack].info;
  if (info.exclusion != LVN_EXCLUSION_NONE) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on series %d, which is excluded (%s%s%s)", what,
                         info.series_number, lvn_exclusion_name(info.exclusion),
                         info.geometry_problem[0] == '\0' ? "" : ": ", info.geometry_problem);
  }
  if (draft.stack != SIZE_MAX && draft.stack != stack) {
    const int first = study.stacks[draft.stack].info.series_number;
    return first == info.series_number
               ? lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on several parts of series %d", what, first)
               : lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on two series, %d and %d", what, first,
                               info.series_number);
  }
  draft.stack = stack;
  return true;
}

bool RoiReader::add_outline(RoiDraft &draft, const std::vector<double> &points_mm, const Outline &how, const char *what,
                            lvn_error *err) const {
  const lvn_stack &stack = study.stacks[draft.stack].info;
  Outline outline = how;
  if (!find_plane(stack.grid, points_mm, outline.plane, outline.tilt)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s does not lie in one slice of series %d: absent, or oblique", what,
                         stack.series_number);
  }
  for (size_t i = 0; i + 2 < points_mm.size(); i += 3) {
    double index[3];
    lvn_grid_to_index(&stack.grid, &points_mm[i], index);
    if (!std::isfinite(index[0]) || !std::isfinite(index[1]) || std::fabs(index[0]) > far_pixels ||
        std::fabs(index[1]) > far_pixels) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s has a point far outside the image", what);
    }
    // Voxel centres lie exactly where contours traced along pixels run: a nanometre decides nothing.
    outline.points.push_back({std::round(index[0] * 1e6) / 1e6, std::round(index[1] * 1e6) / 1e6});
  }
  if (encloses_area(outline.points)) {
    draft.outlines.push_back(std::move(outline));
  }
  return true;
}

bool RoiReader::draw(RoiDraft &draft, lvn_error *err) {
  char text[160];
  OutlineReport report;
  if (draft.outlines.empty()) {
    return true;
  }
  if (!draw_outlines(std::move(draft.outlines), study.stacks[draft.stack].info.grid, draft.inside, report, err)) {
    return lvn_error_prefix(err, "ROI %u", draft.number);
  }
  draft.outlines.clear();
  if (report.planes_left_out > 0) {
    (void)std::snprintf(text, sizeof text, "ROI %u: outlines lie between the slices; each slice has the nearest",
                        draft.number);
    add_note(text);
  }
  if (report.slices_without > 0) {
    (void)std::snprintf(text, sizeof text, "ROI %u: no outline on %zu slice%s between its outlines", draft.number,
                        report.slices_without, report.slices_without == 1 ? "" : "s");
    add_note(text);
  }
  return true;
}

void image_to_patient(const lvn_study &study, size_t stack, size_t slice, double column, double row, double ret_mm[3]) {
  const Stack &s = study.stacks[stack];
  for (int i = 0; i < 3; i++) {
    ret_mm[i] = s.slices[slice].position_mm[i] + s.plane.direction[0][i] * s.plane.spacing_mm[0] * (column - 0.5) +
                s.plane.direction[1][i] * s.plane.spacing_mm[1] * (row - 0.5);
  }
}

} // namespace lvn
