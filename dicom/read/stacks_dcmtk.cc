// Groups slices into stacks. Slices of one series belong together when matrix, orientation, spacing, frame of reference
// and kernel agree; Acquisition Number alone says nothing (GE counts it per slice) and serves only to part slices that
// lie in the same place.
#include "daemon/base/memory.h"
#include "dicom/read/aside.h"
#include "dicom/read/study_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>

namespace lvn {
namespace {

constexpr double same_place_mm = 0.02;
constexpr size_t parts_max = 12;
constexpr size_t part_min_slices = 3;

using Indices = std::vector<size_t>;

double along(const lvn_plane &plane, const lvn_slice &slice) {
  double normal[3];
  lvn_plane_normal(&plane, normal);
  return slice.position_mm[0] * normal[0] + slice.position_mm[1] * normal[1] + slice.position_mm[2] * normal[2];
}

// Third value of Image Type: a localizer may share the series of the axial slices.
std::string flavour_of(const char *image_type) {
  std::string text(image_type);
  for (int skip = 0; skip < 2 && !text.empty(); skip++) {
    const size_t at = text.find('\\');
    text = at == std::string::npos ? std::string() : text.substr(at + 1);
  }
  return text;
}

std::string key_of(const lvn_study &study, const Frame &frame) {
  const Pixels &pixels = study.instances[frame.instance];
  char numbers[256];
  const double *o = frame.orientation;
  // Rounded so that the same cosines written with other digits still agree; + 0.0 turns -0 into 0.
  const auto r = [](double value) { return std::round(value * 100.0) / 100.0 + 0.0; };
  (void)std::snprintf(numbers, sizeof numbers, "%u|%u|%.2f|%.2f|%.2f|%.2f|%.2f|%.2f|%.3f|%.3f|%d|%d", pixels.columns,
                      pixels.rows, r(o[0]), r(o[1]), r(o[2]), r(o[3]), r(o[4]), r(o[5]), frame.spacing_mm[0],
                      frame.spacing_mm[1], frame.has_geometry ? 1 : 0, frame.temporal_index);
  return std::string(frame.header.series_instance_uid) + "|" + frame.header.frame_of_reference_uid + "|" +
         frame.header.kernel + "|" + flavour_of(frame.header.image_type) + "|" + numbers;
}

struct Builder {
  lvn_study &study;

  const Frame &frame(size_t index) const {
    return study.frames[index];
  }

  void sort(const lvn_plane &plane, Indices &indices) const {
    std::stable_sort(indices.begin(), indices.end(),
                     [&](size_t a, size_t b) { return along(plane, frame(a).slice) < along(plane, frame(b).slice); });
  }

  bool is_same_place(size_t a, size_t b) const {
    double sum = 0.0;
    for (int i = 0; i < 3; i++) {
      const double d = frame(a).slice.position_mm[i] - frame(b).slice.position_mm[i];
      sum += d * d;
    }
    return std::sqrt(sum) < same_place_mm;
  }

  // Of sorted slices: how many lie where their predecessor lies.
  size_t count_repeats(const Indices &sorted) const {
    size_t repeats = 0;
    for (size_t i = 1; i < sorted.size(); i++) {
      repeats += is_same_place(sorted[i - 1], sorted[i]) ? 1 : 0;
    }
    return repeats;
  }

  // Parts by a property, if that leaves no repeats and no splinters; else empty.
  std::vector<Indices> part_by(const Indices &sorted, const std::function<double(const Frame &)> &property) const {
    std::map<double, Indices> parts;
    for (const size_t index : sorted) {
      parts[property(frame(index))].push_back(index);
    }
    std::vector<Indices> result;
    for (auto &part : parts) {
      if (part.second.size() < part_min_slices || count_repeats(part.second) > 0) {
        return {};
      }
      result.push_back(part.second);
    }
    return parts.size() < 2 || parts.size() > parts_max ? std::vector<Indices>() : result;
  }

  void finish(Indices sorted, const lvn_plane &plane, size_t slice_count, size_t position_count,
              const std::string &note, const std::string &problem);
  void split_runs(const Indices &sorted, const lvn_plane &plane, size_t slice_count, const std::string &note);
  void drop_repeats(Indices &sorted, std::string &note) const;
  void build(Indices indices);
};

void Builder::finish(Indices sorted, const lvn_plane &plane, size_t slice_count, size_t position_count,
                     const std::string &note, const std::string &problem) {
  Stack stack;
  const Frame &first = frame(sorted.front());
  std::vector<double> positions;
  stack.info = first.header;
  stack.plane = plane;
  stack.frames = std::move(sorted);
  for (const size_t index : stack.frames) {
    const lvn_slice &slice = frame(index).slice;
    const double seconds = frame(index).header.acquisition_seconds;
    positions.insert(positions.end(), slice.position_mm, slice.position_mm + 3);
    stack.slices.push_back(slice);
    if (seconds >= 0.0 && (stack.info.acquisition_seconds < 0.0 || seconds < stack.info.acquisition_seconds)) {
      stack.info.acquisition_seconds = seconds;
    }
  }
  lvn_geometry_measure(&plane, reinterpret_cast<const double(*)[3]>(positions.data()), stack.frames.size(),
                       &stack.geometry);
  if (!problem.empty()) {
    put_text(stack.geometry.problem, sizeof stack.geometry.problem, problem);
  }
  const std::string notes = note + (note.empty() || stack.geometry.note[0] == '\0' ? "" : "; ") + stack.geometry.note;
  put_text(stack.info.geometry_note, LVN_TEXT_BYTES, notes);
  put_text(stack.info.geometry_problem, LVN_TEXT_BYTES, stack.geometry.problem);
  stack.info.grid = stack.geometry.grid;
  stack.info.slice_count = stack.slices.size();
  double normal[3];
  lvn_plane_normal(&plane, normal);
  const lvn_aside_facts facts = {first.header.image_type,
                                 first.header.series_description,
                                 first.header.protocol_name,
                                 first.rescale_type.c_str(),
                                 first.volume_calculation.c_str(),
                                 first.volumetric_properties.c_str(),
                                 first.is_grey,
                                 normal[2],
                                 slice_count,
                                 position_count};
  stack.info.aside = lvn_aside_decide(&facts);
  if (stack.info.aside == LVN_ASIDE_NONE && stack.info.geometry_problem[0] != '\0') {
    stack.info.aside = LVN_ASIDE_GEOMETRY;
  }
  study.stacks.push_back(std::move(stack));
}

void Builder::split_runs(const Indices &sorted, const lvn_plane &plane, size_t slice_count, const std::string &note) {
  Indices rest = sorted;
  for (;;) {
    std::vector<double> distances;
    for (const size_t index : rest) {
      distances.push_back(along(plane, frame(index).slice));
    }
    const size_t end = lvn_geometry_first_run(distances.data(), distances.size());
    const bool is_split = end < rest.size() || rest.size() < sorted.size();
    const std::string run_note = is_split ? "part of a series with changing slice spacing" : "";
    finish(Indices(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(end)), plane, slice_count, sorted.size(),
           note + (note.empty() || run_note.empty() ? "" : "; ") + run_note, "");
    if (end >= rest.size()) {
      return;
    }
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

// Of slices in one place the newest stays (ties: the greater SOP instance UID, so that the order of files is nothing).
void Builder::drop_repeats(Indices &sorted, std::string &note) const {
  Indices kept;
  for (const size_t index : sorted) {
    if (kept.empty() || !is_same_place(kept.back(), index)) {
      kept.push_back(index);
      continue;
    }
    const Frame &a = frame(kept.back());
    const Frame &b = frame(index);
    const int by_time = b.content_datetime.compare(a.content_datetime);
    if (by_time > 0 || (by_time == 0 && std::strcmp(b.slice.sop_instance_uid, a.slice.sop_instance_uid) > 0)) {
      kept.back() = index;
    }
  }
  const size_t dropped = sorted.size() - kept.size();
  if (dropped > 0) {
    note = std::to_string(dropped) + (dropped == 1 ? " duplicate slice left out" : " duplicate slices left out");
  }
  sorted = std::move(kept);
}

void Builder::build(Indices indices) {
  const Frame &first = frame(indices.front());
  const Pixels &pixels = study.instances[first.instance];
  lvn_plane plane{};
  plane.columns = pixels.columns;
  plane.rows = pixels.rows;
  plane.thickness_mm = first.header.slice_thickness_mm;
  std::memcpy(plane.spacing_mm, first.spacing_mm, sizeof plane.spacing_mm);
  if (!first.has_geometry || !lvn_plane_from_orientation(first.orientation, &plane)) {
    plane.direction[0][0] = plane.direction[1][1] = 1.0;
    finish(indices, plane, indices.size(), indices.size(), "", "the slices have no usable position and orientation");
    return;
  }
  sort(plane, indices);
  const size_t slice_count = indices.size();
  const size_t repeats = count_repeats(indices);
  const size_t position_count = slice_count - repeats;
  if (repeats > 0 && position_count > 1) {
    const std::function<double(const Frame &)> properties[] = {
        [](const Frame &f) { return f.header.acquisition_number; },
        [](const Frame &f) { return std::round(f.header.acquisition_seconds); },
        [](const Frame &f) { return f.header.slice_thickness_mm; },
    };
    for (const auto &property : properties) {
      const std::vector<Indices> parts = part_by(indices, property);
      for (const Indices &part : parts) {
        split_runs(part, plane, part.size(), "parted from other slices in the same places");
      }
      if (!parts.empty()) {
        return;
      }
    }
  }
  std::string note;
  Indices unique = indices;
  drop_repeats(unique, note);
  if (position_count > 1 && repeats * 4 > position_count) {
    finish(unique, plane, slice_count, position_count, "",
           std::to_string(repeats) + " of " + std::to_string(slice_count) +
               " slices lie where another slice lies, and nothing tells the acquisitions apart");
  } else if (position_count == 1) {
    finish(unique, plane, slice_count, position_count, note, "");
  } else {
    split_runs(unique, plane, slice_count, note);
  }
}

} // namespace

bool build_stacks(lvn_study &study, lvn_error *err) {
  std::map<std::string, Indices> groups;
  Builder builder{study};
  for (size_t i = 0; i < study.frames.size(); i++) {
    groups[key_of(study, study.frames[i])].push_back(i);
  }
  for (auto &group : groups) {
    builder.build(group.second);
  }
  exclude_doubtful(study);
  std::stable_sort(study.stacks.begin(), study.stacks.end(), [](const Stack &a, const Stack &b) {
    return a.info.series_number != b.info.series_number ? a.info.series_number < b.info.series_number
                                                        : a.info.acquisition_seconds < b.info.acquisition_seconds;
  });
  for (size_t s = 0; s < study.stacks.size(); s++) {
    Stack &stack = study.stacks[s];
    stack.info.slices = stack.slices.data();
    for (size_t k = 0; k < stack.slices.size(); k++) {
      study.places[stack.slices[k].sop_instance_uid].push_back({stack.slices[k].frame_number, s, k});
    }
  }
  (void)err;
  return true;
}

} // namespace lvn
