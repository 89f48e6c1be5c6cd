// Groups slices into stacks. Slices of one series belong together when matrix, orientation, spacing, frame of reference
// and kernel agree; what else tells acquisitions apart is tried where slices lie in the same places or between one
// another (parting_dcmtk.hh).
#include "base/memory.h"
#include "dicom/read/exclusion.h"
#include "dicom/read/parting_dcmtk.hh"
#include "dicom/read/stack_compare_dcmtk.hh"
#include "dicom/read/study_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

namespace lvn {
namespace {

constexpr size_t depth_max = 4;
constexpr size_t least_slices = 3;
// Phases of a liver are five or six, an early and a late arterial one among them; a perfusion run has dozens over what
// the detector covers.
constexpr size_t phases_max = 6;
constexpr size_t passes_max = 12;
constexpr double perfusion_mm = 200.0;

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
  (void)std::snprintf(numbers, sizeof numbers, "%u|%u|%.2f|%.2f|%.2f|%.2f|%.2f|%.2f|%.3f|%.3f|%d", pixels.columns,
                      pixels.rows, r(o[0]), r(o[1]), r(o[2]), r(o[3]), r(o[4]), r(o[5]), frame.spacing_mm[0],
                      frame.spacing_mm[1], frame.has_geometry ? 1 : 0);
  return std::string(frame.header.series_instance_uid) + "|" + frame.header.frame_of_reference_uid + "|" +
         frame.header.kernel + "|" + flavour_of(frame.header.image_type) + "|" + numbers;
}

// Slices that become one stack, or several where their spacing changes.
struct Leaf {
  Indices slices;   // sorted along the normal
  Indices absorbed; // further frames that belong to these places
  size_t slice_count = 0;
  size_t position_count = 0;
  size_t pass_count = 1;
  std::string note;
  std::string problem;
};

void add_note(std::string &note, const std::string &more) {
  note += (note.empty() || more.empty() ? "" : "; ") + more;
}

std::string counted(size_t count, const char *one, const char *many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

struct Builder {
  lvn_study &study;
  std::map<size_t, Indices> copies{}; // of each kept frame, the identical ones that are not

  const Frame &frame(size_t index) const {
    return study.frames[index];
  }

  void sort(const lvn_plane &plane, Indices &indices) const {
    std::stable_sort(indices.begin(), indices.end(),
                     [&](size_t a, size_t b) { return along(plane, frame(a).slice) < along(plane, frame(b).slice); });
  }

  // The newer of two slices in one place; ties by SOP instance UID, so that the order of files is nothing.
  bool is_newer(size_t a, size_t b) const {
    const int by_time = frame(a).content_datetime.compare(frame(b).content_datetime);
    return by_time > 0 ||
           (by_time == 0 && std::strcmp(frame(a).slice.sop_instance_uid, frame(b).slice.sop_instance_uid) > 0);
  }

  void finish(const Leaf &leaf, const Indices &slices, const lvn_plane &plane, const std::string &run_note);
  void emit(const Leaf &leaf, const lvn_plane &plane);
  bool drop_copies(Indices &sorted);
  Indices take_newest(const Indices &sorted, Indices &dropped) const;
  bool is_corrected(const Indices &sorted) const;
  bool is_copied(const Indices &sorted) const;
  void settle(const Indices &sorted, Leaf leaf, std::vector<Leaf> &leaves) const;
  void part(const Indices &sorted, const lvn_plane &plane, const std::string &note, size_t depth,
            std::vector<Leaf> &leaves);
  bool is_perfusion(const std::vector<Leaf> &leaves, const lvn_plane &plane, size_t *ret_passes) const;
  void build(Indices indices);
};

void fill_info(const Frame &first, const Stack &stack, const Leaf &leaf, const std::string &note, lvn_stack &info) {
  double normal[3];
  lvn_plane_normal(&stack.plane, normal);
  put_text(info.geometry_note, LVN_TEXT_BYTES, note);
  put_text(info.geometry_problem, LVN_TEXT_BYTES, stack.geometry.problem);
  info.grid = stack.geometry.grid;
  info.slice_count = stack.slices.size();
  info.temporal_position =
      std::isnan(first.acquisition.temporal_position) ? -1 : static_cast<int>(first.acquisition.temporal_position);
  const lvn_exclusion_traits facts = {first.header.image_type,
                                      first.header.series_description,
                                      first.header.protocol_name,
                                      first.header.image_comments,
                                      first.acquisition.derivation.c_str(),
                                      first.rescale_type.c_str(),
                                      first.volume_calculation.c_str(),
                                      first.volumetric_properties.c_str(),
                                      first.acquisition.kv,
                                      first.acquisition.energy_kev,
                                      first.is_grey,
                                      normal[2],
                                      leaf.slice_count,
                                      leaf.position_count,
                                      leaf.pass_count > phases_max};
  info.exclusion = lvn_exclusion_decide(&facts, info.reserve_reason);
  if (info.exclusion == LVN_EXCLUSION_NONE && info.geometry_problem[0] != '\0') {
    info.exclusion = LVN_EXCLUSION_GEOMETRY;
  }
}

void Builder::finish(const Leaf &leaf, const Indices &slices, const lvn_plane &plane, const std::string &run_note) {
  Stack stack;
  std::vector<double> positions;
  size_t copy_count = 0;
  stack.info = frame(slices.front()).header;
  stack.plane = plane;
  stack.frames = slices;
  stack.absorbed = leaf.absorbed;
  for (const size_t index : stack.frames) {
    const lvn_slice &slice = frame(index).slice;
    const double seconds = frame(index).header.acquisition_seconds;
    positions.insert(positions.end(), slice.position_mm, slice.position_mm + 3);
    stack.slices.push_back(slice);
    stack.slices.back().rescale_slope = frame(index).slope;
    stack.slices.back().rescale_intercept = frame(index).intercept;
    if (seconds >= 0.0 && (stack.info.acquisition_seconds < 0.0 || seconds < stack.info.acquisition_seconds)) {
      stack.info.acquisition_seconds = seconds;
    }
    const auto copied = copies.find(index);
    if (copied != copies.end()) {
      stack.absorbed.insert(stack.absorbed.end(), copied->second.begin(), copied->second.end());
      copy_count += copied->second.size();
    }
  }
  lvn_geometry_measure(&plane, reinterpret_cast<const double(*)[3]>(positions.data()), stack.frames.size(),
                       &stack.geometry);
  if (!leaf.problem.empty()) {
    put_text(stack.geometry.problem, sizeof stack.geometry.problem, leaf.problem);
  }
  std::string note = leaf.note;
  add_note(note, copy_count == 0 ? "" : counted(copy_count, "duplicate slice left out", "duplicate slices left out"));
  add_note(note, run_note);
  add_note(note, stack.geometry.note);
  fill_info(frame(slices.front()), stack, leaf, note, stack.info);
  study.stacks.push_back(std::move(stack));
}

void Builder::emit(const Leaf &leaf, const lvn_plane &plane) {
  Indices rest = leaf.slices;
  while (leaf.problem.empty() && !rest.empty()) {
    std::vector<double> distances;
    for (const size_t index : rest) {
      distances.push_back(along(plane, frame(index).slice));
    }
    const size_t end = lvn_geometry_first_run(distances.data(), distances.size());
    const bool is_split = end < rest.size() || rest.size() < leaf.slices.size();
    finish(leaf, Indices(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(end)), plane,
           is_split ? "part of a series with changing slice spacing" : "");
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(end));
  }
  if (!leaf.problem.empty()) {
    finish(leaf, leaf.slices, plane, "");
  }
}

// Slices in one place with the same HU are one slice, sent or imported twice. False when there are none.
bool Builder::drop_copies(Indices &sorted) {
  HuReader reader(study);
  std::map<size_t, std::string> digest;
  for (size_t i = 1; i < sorted.size(); i++) {
    if (is_same_place(frame(sorted[i - 1]).slice, frame(sorted[i]).slice)) {
      digest[sorted[i - 1]];
      digest[sorted[i]];
    }
  }
  for (auto &entry : digest) {
    entry.second = reader.digest_of({entry.first}); // in the order of files, so that each is decoded once
  }
  Indices kept;
  for (const size_t index : sorted) {
    size_t at = kept.size();
    while (at > 0 && is_same_place(frame(kept[at - 1]).slice, frame(index).slice) &&
           (digest[index].empty() || digest[kept[at - 1]] != digest[index])) {
      at--;
    }
    if (at == 0 || !is_same_place(frame(kept[at - 1]).slice, frame(index).slice)) {
      kept.push_back(index);
      continue;
    }
    const size_t other = kept[at - 1];
    const size_t keeps = is_newer(index, other) ? index : other;
    const size_t goes = keeps == index ? other : index;
    Indices moved = std::move(copies[goes]);
    copies.erase(goes);
    moved.push_back(goes);
    copies[keeps].insert(copies[keeps].end(), moved.begin(), moved.end());
    kept[at - 1] = keeps;
  }
  const bool has_dropped = kept.size() < sorted.size();
  sorted = std::move(kept);
  return has_dropped;
}

Indices Builder::take_newest(const Indices &sorted, Indices &dropped) const {
  Indices kept;
  for (const size_t index : sorted) {
    if (kept.empty() || !is_same_place(frame(kept.back()).slice, frame(index).slice)) {
      kept.push_back(index);
    } else if (is_newer(index, kept.back())) {
      dropped.push_back(kept.back());
      kept.back() = index;
    } else {
      dropped.push_back(index);
    }
  }
  return kept;
}

// Few slices lie where an older one lies?
bool Builder::is_corrected(const Indices &sorted) const {
  Indices dropped;
  const Indices kept = take_newest(sorted, dropped);
  return dropped.size() * 4 <= kept.size() && std::all_of(dropped.begin(), dropped.end(), [&](size_t index) {
           return std::any_of(kept.begin(), kept.end(), [&](size_t other) {
             return is_same_place(frame(other).slice, frame(index).slice) &&
                    frame(other).content_datetime > frame(index).content_datetime;
           });
         });
}

// Are the slices of the middlemost place with several of them copies of one another?
bool Builder::is_copied(const Indices &sorted) const {
  HuReader reader(study);
  size_t at = 0;
  for (size_t i = 1; i < sorted.size(); i++) {
    if (is_same_place(frame(sorted[i - 1]).slice, frame(sorted[i]).slice) && (at == 0 || i <= sorted.size() / 2)) {
      at = i;
    }
  }
  const std::string digest = at == 0 ? std::string() : reader.digest_of({sorted[at - 1]});
  return !digest.empty() && digest == reader.digest_of({sorted[at]});
}

// What nothing parts any more.
void Builder::settle(const Indices &sorted, Leaf leaf, std::vector<Leaf> &leaves) const {
  const size_t repeats = count_repeats(study, sorted);
  Indices dropped;
  leaf.slice_count = sorted.size();
  leaf.position_count = sorted.size() - repeats;
  leaf.slices = take_newest(sorted, dropped);
  if (leaf.position_count == 1) {
    leaf.absorbed = dropped;
  } else if (repeats > 0 && !is_corrected(sorted)) {
    leaf.absorbed = dropped;
    leaf.pass_count = repeats >= phases_max * leaf.position_count ? sorted.size() / leaf.position_count : 1;
    leaf.problem = std::to_string(repeats) + " of " + std::to_string(sorted.size()) +
                   " slices lie where another slice with other pixels lies, and " + parting_means() +
                   " do not part them into volumes";
  } else if (repeats > 0) {
    add_note(leaf.note, counted(repeats, "slice", "slices") + " left out where a newer one lies");
  }
  leaves.push_back(std::move(leaf));
}

void Builder::part(const Indices &sorted, const lvn_plane &plane, const std::string &note, size_t depth,
                   std::vector<Leaf> &leaves) {
  const size_t repeats = count_repeats(study, sorted);
  Leaf leaf;
  leaf.note = note;
  if (repeats + 1 == sorted.size() || depth >= depth_max) {
    settle(sorted, leaf, leaves);
    return;
  }
  const Parting parting = part_slices(study, plane, sorted);
  if (repeats > 0 && (parting.parts.empty() || parting.lost > 0 || is_copied(sorted))) {
    Indices unique = sorted;
    if (drop_copies(unique)) {
      part(unique, plane, note, depth, leaves);
      return;
    }
  }
  // A slice or two that came later are a correction; what an attribute names is an acquisition.
  const auto makes_volume = [](const Indices &piece) { return piece.size() >= least_slices; };
  const auto volumes = std::count_if(parting.parts.begin(), parting.parts.end(), makes_volume);
  if (parting.parts.empty() || (volumes < 2 && !parting.names_acquisitions && is_corrected(sorted))) {
    settle(sorted, leaf, leaves);
    return;
  }
  std::string further = note;
  add_note(further, "parted by " + parting.means + " from other slices in the same places");
  for (const Indices &piece : parting.parts) {
    if (piece.size() < least_slices && sorted.size() >= 3 * least_slices) {
      leaf.slices = piece;
      leaf.slice_count = leaf.position_count = piece.size();
      leaf.problem = counted(piece.size(), "slice that makes", "slices that make") +
                     " no volume among those of another acquisition";
      leaves.push_back(leaf);
    } else {
      part(piece, plane, further, depth + 1, leaves);
    }
  }
}

// Many passes over the same places?
bool Builder::is_perfusion(const std::vector<Leaf> &leaves, const lvn_plane &plane, size_t *ret_passes) const {
  std::map<double, size_t> passes; // by thickness: reconstructions are no passes
  *ret_passes = 0;
  if (leaves.empty()) {
    return false;
  }
  const auto most = std::max_element(leaves.begin(), leaves.end(),
                                     [](const Leaf &a, const Leaf &b) { return a.slices.size() < b.slices.size(); });
  for (const Leaf &leaf : leaves) {
    if (leaf.problem.empty() && leaf.position_count > 1 &&
        shared_range(study, plane, leaf.slices, most->slices) >= 0.5) {
      const size_t count = ++passes[frame(leaf.slices.front()).header.slice_thickness_mm];
      *ret_passes = std::max(*ret_passes, count);
    }
  }
  const double covered =
      along(plane, frame(most->slices.back()).slice) - along(plane, frame(most->slices.front()).slice);
  return *ret_passes > passes_max || (*ret_passes > phases_max && covered < perfusion_mm);
}

void Builder::build(Indices indices) {
  const Frame &first = frame(indices.front());
  const Pixels &pixels = study.instances[first.instance];
  std::vector<Leaf> leaves;
  lvn_plane plane{};
  plane.columns = pixels.columns;
  plane.rows = pixels.rows;
  plane.thickness_mm = first.header.slice_thickness_mm;
  std::memcpy(plane.spacing_mm, first.spacing_mm, sizeof plane.spacing_mm);
  if (!first.has_geometry || !lvn_plane_from_orientation(first.orientation, &plane)) {
    plane.direction[0][0] = plane.direction[1][1] = 1.0;
    Leaf leaf;
    leaf.slices = indices;
    leaf.slice_count = leaf.position_count = indices.size();
    leaf.problem = "the slices have no usable position and orientation";
    emit(leaf, plane);
    return;
  }
  sort(plane, indices);
  part(indices, plane, "", 0, leaves);
  size_t passes = 0;
  if (is_perfusion(leaves, plane, &passes)) {
    Leaf run = leaves.front();
    for (size_t i = 1; i < leaves.size(); i++) {
      run.absorbed.insert(run.absorbed.end(), leaves[i].slices.begin(), leaves[i].slices.end());
      run.absorbed.insert(run.absorbed.end(), leaves[i].absorbed.begin(), leaves[i].absorbed.end());
    }
    run.pass_count = passes;
    run.note = counted(passes, "pass", "passes") + " over the same places";
    emit(run, plane);
    return;
  }
  for (const Leaf &leaf : leaves) {
    emit(leaf, plane);
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
    if (a.info.series_number != b.info.series_number) {
      return a.info.series_number < b.info.series_number;
    }
    return a.info.acquisition_seconds != b.info.acquisition_seconds
               ? a.info.acquisition_seconds < b.info.acquisition_seconds
               : a.info.temporal_position < b.info.temporal_position;
  });
  compare_stacks(study);
  for (size_t s = 0; s < study.stacks.size(); s++) {
    Stack &stack = study.stacks[s];
    stack.info.slices = stack.slices.data();
    for (size_t k = 0; k < stack.slices.size(); k++) {
      study.places[stack.slices[k].sop_instance_uid].push_back({stack.slices[k].frame_number, s, k});
    }
    for (const size_t index : stack.absorbed) {
      const lvn_slice &slice = study.frames[index].slice;
      study.places[slice.sop_instance_uid].push_back({slice.frame_number, s, nearest_slice(stack, slice)});
    }
  }
  (void)err;
  return true;
}

} // namespace lvn
