#include "dicom/read/roi_outlines_dcmtk.hh"
#include "dicom/read/roi_raster.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace lvn {

namespace {

constexpr double same_plane_mm = 0.06; // coordinates are written with one or two decimals
constexpr double half_way = 0.02;      // of a slice: as near to one slice as to the other
constexpr size_t outlines_max_per_plane = 512;
constexpr size_t fills_max_per_plane = 8192;
// One outline drawn twice, if what lies between the two is thinner than half a pixel and little of the whole.
constexpr double same_outline_pixels = 0.5;
constexpr double same_outline_share = 0.2;
// Rounded coordinates leave slivers of an inner outline outside the outer one.
constexpr double inside_share = 0.01;
constexpr double inside_pixels = 0.01;
// Farther apart, two planes are two parts of a lesion.
constexpr double gap_max_steps = 2.5;
constexpr double gap_max_slices = 1.25;
constexpr double stripe_min_slices = 1.5;

// How the outlines of one plane lie to one another.
struct Node {
  Polygon points;
  OutlineRule rule;
  Spans spans;
  Spans region; // without its holes
  double area = 0.0;
  double perimeter = 0.0;
  PlaneBox box;
  std::vector<size_t> containers;
  std::vector<size_t> children; // directly inside
  size_t group = 0;             // of outlines that meet
};

struct Plane {
  double index = 0.0;
  double slab_mm = 0.0;
  long slice = 0;
  std::vector<Node> nodes;
  Lines lines;
};

// Parts of a plane that meet, as one.
struct Group {
  double area = 0.0; // pixels
  double perimeter = 0.0;
  PlaneBox box;
  std::vector<size_t> roots;
  bool is_exclusive = false;
};

bool is_inside(const Node &inner, const Node &outer, const Lines &lines) {
  if (inner.rule != OutlineRule::nested || outer.rule != OutlineRule::nested || !inner.box.meets(outer.box)) {
    return false;
  }
  const double outside = inner.area - Spans::combine(inner.spans, outer.spans, SpanRule::both).area(lines);
  return outside <= inside_share * inner.area + inside_pixels * inner.perimeter;
}

bool is_same(const Node &a, const Node &b, const Lines &lines) {
  if (a.rule == OutlineRule::exclusive || b.rule == OutlineRule::exclusive || !a.box.meets(b.box)) {
    return false;
  }
  const double between = Spans::combine(a.spans, b.spans, SpanRule::one_of_both).area(lines);
  return 2.0 * between <= same_outline_pixels * (a.perimeter + b.perimeter) &&
         between <= same_outline_share * std::max(a.area, b.area);
}

// Largest first, each outline once.
void measure_nodes(Plane &plane) {
  std::vector<Polygon> all;
  for (const Node &node : plane.nodes) {
    all.push_back(node.points);
  }
  plane.lines = Lines::across(all);
  for (Node &node : plane.nodes) {
    node.spans = Spans::of(node.points, plane.lines);
    node.area = node.spans.area(plane.lines);
    node.perimeter = perimeter_of(node.points);
    node.box.include(node.points);
  }
  std::stable_sort(plane.nodes.begin(), plane.nodes.end(),
                   [](const Node &a, const Node &b) { return a.area > b.area; });
  std::vector<Node> kept;
  for (Node &node : plane.nodes) {
    if (std::none_of(kept.begin(), kept.end(), [&](const Node &other) { return is_same(node, other, plane.lines); })) {
      kept.push_back(std::move(node));
    }
  }
  plane.nodes = std::move(kept);
}

void nest_nodes(Plane &plane) {
  std::vector<Node> &nodes = plane.nodes;
  for (size_t i = 0; i < nodes.size(); i++) {
    for (size_t j = 0; j < i; j++) {
      if (is_inside(nodes[i], nodes[j], plane.lines)) {
        nodes[i].containers.push_back(j);
      }
    }
    for (const size_t j : nodes[i].containers) {
      const bool is_direct = std::none_of(nodes[i].containers.begin(), nodes[i].containers.end(), [&](size_t k) {
        return std::find(nodes[k].containers.begin(), nodes[k].containers.end(), j) != nodes[k].containers.end();
      });
      if (is_direct) {
        nodes[j].children.push_back(i);
      }
    }
  }
  for (size_t i = nodes.size(); i-- > 0;) {
    nodes[i].region = nodes[i].spans;
    for (const size_t child : nodes[i].children) {
      nodes[i].region = Spans::combine(nodes[i].region, nodes[child].region, SpanRule::first_only);
    }
  }
}

std::vector<Group> group_nodes(const Plane &plane) {
  const std::vector<Node> &nodes = plane.nodes;
  std::vector<size_t> group(nodes.size());
  std::map<size_t, Group> groups;
  std::map<size_t, Spans> covered;
  for (size_t i = 0; i < nodes.size(); i++) {
    group[i] = i;
    for (size_t j = 0; j < i; j++) {
      const bool is_met = (nodes[i].rule == OutlineRule::exclusive && nodes[j].rule == OutlineRule::exclusive) ||
                          (nodes[i].box.meets(nodes[j].box) &&
                           Spans::combine(nodes[i].spans, nodes[j].spans, SpanRule::both).area(plane.lines) > 0.0);
      if (is_met && group[j] != group[i]) {
        std::replace(group.begin(), group.begin() + static_cast<std::ptrdiff_t>(i) + 1, std::max(group[i], group[j]),
                     std::min(group[i], group[j]));
      }
    }
  }
  for (size_t i = 0; i < nodes.size(); i++) {
    Group &mine = groups[group[i]];
    Spans &area = covered[group[i]];
    mine.box.include(nodes[i].box);
    mine.perimeter += nodes[i].perimeter;
    mine.is_exclusive = nodes[i].rule == OutlineRule::exclusive;
    if (nodes[i].containers.empty()) {
      mine.roots.push_back(i);
      area = Spans::combine(area, nodes[i].region, mine.is_exclusive ? SpanRule::one_of_both : SpanRule::either);
    }
  }
  std::vector<Group> result;
  for (auto &entry : groups) {
    entry.second.area = covered[entry.first].area(plane.lines);
    result.push_back(entry.second);
  }
  return result;
}

} // namespace

std::vector<Polygon> split_keyhole(const Polygon &points) {
  std::vector<Polygon> parts(1);
  if (points.empty()) {
    return parts;
  }
  // The way so far; a point that comes back over the edge that it left by closes the part between.
  Polygon way;
  for (const PlanePoint &point : points) {
    if (way.empty() || way.back() != point) {
      way.push_back(point);
    }
  }
  while (way.size() > 1 && way.front() == way.back()) {
    way.pop_back();
  }
  std::map<std::pair<PlanePoint, PlanePoint>, size_t> edges; // directed edge to the place of its start in `outer`
  Polygon outer;
  way.push_back(way.front()); // the channel may be the last edge
  for (const PlanePoint &point : way) {
    outer.push_back(point);
    const size_t last = outer.size() - 1;
    if (last == 0) {
      continue;
    }
    const auto back = edges.find({outer[last], outer[last - 1]});
    const size_t channel = back != edges.end() ? back->second : last; // its own edge is among those that go
    if (channel + 1 < last && outer[channel] == outer[last]) {
      const size_t start = channel + 1;
      if (last - 1 - start >= 3) {
        parts.emplace_back(outer.begin() + static_cast<std::ptrdiff_t>(start),
                           outer.begin() + static_cast<std::ptrdiff_t>(last) - 1);
      }
      for (size_t i = channel; i < last; i++) {
        edges.erase({outer[i], outer[i + 1]});
      }
      outer.resize(channel + 1);
    } else {
      edges[{outer[last - 1], outer[last]}] = last - 1;
    }
  }
  if (outer.size() > 1 && outer.front() == outer.back()) {
    outer.pop_back();
  }
  parts.front() = outer;
  return parts;
}

namespace {

std::vector<Plane> make_planes(std::vector<Outline> &outlines, const lvn_grid &grid) {
  std::vector<Plane> planes;
  double tilt = 0.0;
  std::stable_sort(outlines.begin(), outlines.end(),
                   [](const Outline &a, const Outline &b) { return a.plane < b.plane; });
  for (const Outline &outline : outlines) {
    const double apart =
        same_plane_mm / grid.spacing_mm[2] + std::max(tilt, outline.tilt); // an inner outline of a tilted plane
    if (planes.empty() || outline.plane - planes.back().index > apart) {
      planes.emplace_back();
      planes.back().index = outline.plane;
      const double below = std::floor(outline.plane);
      planes.back().slice = std::lround(outline.plane);
      if (std::fabs(outline.plane - below - 0.5) <= half_way) {
        const bool is_above_named = outline.named_slice == static_cast<size_t>(below + 1.0);
        planes.back().slice = static_cast<long>(below) + (is_above_named || below < 0.0 ? 1 : 0);
      }
      tilt = 0.0;
    }
    tilt = std::max(tilt, outline.tilt);
    planes.back().slab_mm = std::max(planes.back().slab_mm, outline.slab_mm);
    for (Polygon &part : split_keyhole(outline.points)) {
      if (part.size() >= 3) {
        planes.back().nodes.push_back({std::move(part), outline.rule, {}, {}, 0.0, 0.0, {}, {}, {}, 0});
      }
    }
  }
  return planes;
}

struct Drawing {
  const lvn_grid &grid;
  std::vector<Plane> &planes;
  std::vector<std::vector<Group>> groups; // of each plane
  double step = 1.0;                      // usual distance of planes in slices
  bool unites_planes = false;             // of one slice, instead of the nearest

  double gap_of(size_t plane, const Group &group, int side) const;
  void find_step();
  double own_slices(size_t plane, const Group &group) const;
  std::vector<size_t> planes_of(long slice) const;
  bool fill(const Plane &plane, size_t node, size_t &budget, Patch &ret_patch, lvn_error *err) const;
  bool fill_group(const Plane &plane, const Group &group, Patch &ret_patch, lvn_error *err) const;
};

// Distance in slices to the next plane on one side that goes on with the group; infinite without one.
double Drawing::gap_of(size_t plane, const Group &group, int side) const {
  for (size_t i = plane + static_cast<size_t>(side); i < planes.size(); i += static_cast<size_t>(side)) {
    if (std::any_of(groups[i].begin(), groups[i].end(),
                    [&](const Group &other) { return other.box.meets(group.box); })) {
      return std::fabs(planes[i].index - planes[plane].index);
    }
  }
  return HUGE_VAL;
}

void Drawing::find_step() {
  std::vector<double> gaps;
  for (size_t p = 0; p < planes.size(); p++) {
    for (const Group &group : groups[p]) {
      const double gap = gap_of(p, group, 1);
      if (gap < HUGE_VAL) {
        gaps.push_back(gap);
      }
    }
  }
  if (!gaps.empty()) {
    const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
    std::nth_element(gaps.begin(), middle, gaps.end());
    step = *middle;
  }
}

// Slices that a group stands for: half of the way to the next plane that goes on with it, on either side.
double Drawing::own_slices(size_t plane, const Group &group) const {
  double sum = 0.0;
  for (const int side : {-1, 1}) {
    const double gap = gap_of(plane, group, side);
    sum += (gap > std::max(gap_max_steps * step, gap_max_slices) ? step : gap) / 2.0;
  }
  return sum;
}

// The planes that may be drawn on a slice, the nearest first.
std::vector<size_t> Drawing::planes_of(long slice) const {
  std::vector<size_t> found;
  for (size_t i = 0; i < planes.size(); i++) {
    // A slab wider than a slice covers those between the planes, up to the next plane at most.
    const double slab = planes.size() < 2 ? 0.0 : std::min(planes[i].slab_mm / grid.spacing_mm[2], step);
    const double away = std::fabs(planes[i].index - static_cast<double>(slice));
    if (planes[i].slice == slice || (slab > 1.0 + half_way && away <= slab / 2.0 + half_way)) {
      found.push_back(i);
    }
  }
  std::stable_sort(found.begin(), found.end(), [&](size_t a, size_t b) {
    return std::fabs(planes[a].index - static_cast<double>(slice)) <
           std::fabs(planes[b].index - static_cast<double>(slice));
  });
  return found;
}

// An outline less what lies inside it, by pixel centres.
bool Drawing::fill(const Plane &plane, size_t node, size_t &budget, Patch &ret_patch, lvn_error *err) const {
  const Node &mine = plane.nodes[node];
  long from[2];
  long to[2];
  if (budget-- == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "has outlines that lie inside one another in too many ways");
  }
  for (int axis = 0; axis < 2; axis++) {
    from[axis] = std::max(0L, static_cast<long>(std::ceil(mine.box.low[axis])));
    to[axis] = std::min(static_cast<long>(grid.size[axis]) - 1, static_cast<long>(std::floor(mine.box.high[axis])));
  }
  ret_patch = from[0] > to[0] || from[1] > to[1] ? Patch() : Patch(from, to);
  if (ret_patch.inside.empty()) {
    return true;
  }
  std::vector<double> points;
  for (const PlanePoint &point : mine.points) {
    points.push_back(point[0] - static_cast<double>(from[0]));
    points.push_back(point[1] - static_cast<double>(from[1]));
  }
  if (!lvn_raster_fill_polygon(reinterpret_cast<const double(*)[2]>(points.data()), mine.points.size(),
                               static_cast<uint32_t>(ret_patch.size[0]), static_cast<uint32_t>(ret_patch.size[1]),
                               ret_patch.inside.data(), err)) {
    return false;
  }
  for (const size_t child : mine.children) {
    Patch inner;
    if (!fill(plane, child, budget, inner, err)) {
      return false;
    }
    ret_patch.subtract(inner);
  }
  return true;
}

bool Drawing::fill_group(const Plane &plane, const Group &group, Patch &ret_patch, lvn_error *err) const {
  size_t budget = fills_max_per_plane;
  long from[2];
  long to[2];
  for (int axis = 0; axis < 2; axis++) {
    from[axis] = std::max(0L, static_cast<long>(std::ceil(group.box.low[axis])));
    to[axis] = std::min(static_cast<long>(grid.size[axis]) - 1, static_cast<long>(std::floor(group.box.high[axis])));
  }
  ret_patch = from[0] > to[0] || from[1] > to[1] ? Patch() : Patch(from, to);
  for (const size_t root : group.roots) {
    Patch part;
    if (!fill(plane, root, budget, part, err)) {
      return false;
    }
    if (group.is_exclusive) {
      ret_patch.exclude(part);
    } else {
      ret_patch.unite(part);
    }
  }
  return true;
}

// Volumes in voxels.
struct Sums {
  double outlines = 0.0; // by the distances of the outlines
  double drawn = 0.0;    // areas of what was drawn
  double largest = 0.0;  // area of one slice
  double edge = 0.0;     // pixels that the rims of what was drawn pass
  size_t voxels = 0;
};

bool draw_slice(const Drawing &drawing, long slice, Voxels &voxels, std::vector<bool> &used, Sums &sums,
                lvn_error *err) {
  Voxels drawn;
  double area = 0.0;
  for (const size_t p : drawing.planes_of(slice)) {
    Voxels fresh;
    for (const Group &group : drawing.groups[p]) {
      Patch patch;
      if (!drawing.fill_group(drawing.planes[p], group, patch, err)) {
        return false;
      }
      if (!drawing.unites_planes && drawn.meets(slice, patch)) {
        continue;
      }
      fresh.unite(slice, patch);
      sums.edge += 2.0 + 0.5 * group.perimeter;
      area += group.area;
      used[p] = true;
    }
    drawn.unite(fresh);
  }
  voxels.unite(drawn);
  sums.voxels += drawn.count();
  // Outlines of several planes lie over one another: their areas do not add up.
  sums.drawn += drawing.unites_planes ? static_cast<double>(drawn.count()) : area;
  sums.largest = std::max(sums.largest, area);
  return true;
}

// Pixel centres stand for pixels, so a mask may be off by half of what its rims pass. Slices stand for planes: one
// slice at both ends together, and a quarter of the whole for outlines that change from plane to plane.
bool check_volumes(const Sums &sums, const lvn_grid &grid, OutlineReport &report, lvn_error *err) {
  const double voxel_ml = grid.spacing_mm[0] * grid.spacing_mm[1] * grid.spacing_mm[2] / 1000.0;
  const double voxels = static_cast<double>(sums.voxels);
  report.outlines_ml = sums.outlines * voxel_ml;
  report.mask_ml = voxels * voxel_ml;
  if (std::fabs(voxels - sums.drawn) > sums.edge) {
    return lvn_error_set(err, LVN_ERROR_DATA, "its outlines enclose %.2f ml but its mask has %.2f ml",
                         sums.drawn * voxel_ml, report.mask_ml);
  }
  // Outlines on every second slice leave out half of the lesion, however few they are.
  const bool is_striped = report.slices_without >= 2 && report.outline_step_mm > stripe_min_slices * grid.spacing_mm[2];
  if (is_striped ||
      std::fabs(voxels - sums.outlines) > 0.25 * std::max(voxels, sums.outlines) + sums.largest + sums.edge) {
    return lvn_error_set(
        err, LVN_ERROR_DATA,
        "its outlines, %.2f mm apart, enclose %.2f ml but its mask on slices %.2f mm apart has %.2f ml",
        report.outline_step_mm, report.outlines_ml, grid.spacing_mm[2], report.mask_ml);
  }
  return true;
}

// Adds to `voxels` when the volumes agree.
bool draw_slices(const Drawing &drawing, Voxels &voxels, OutlineReport &report, lvn_error *err) {
  const std::vector<Plane> &planes = drawing.planes;
  Voxels drawn;
  Sums sums;
  report = OutlineReport();
  for (size_t p = 0; p < planes.size(); p++) {
    for (const Group &group : drawing.groups[p]) {
      sums.outlines += group.area * drawing.own_slices(p, group);
    }
  }
  std::vector<bool> used(planes.size(), false);
  long last = -1;
  const long from = planes.empty() ? 0 : std::max(0L, planes.front().slice);
  const long to = planes.empty() ? -1 : std::min(planes.back().slice, static_cast<long>(drawing.grid.size[2]) - 1);
  for (long slice = from; slice <= to; slice++) {
    const size_t before = sums.voxels;
    if (!draw_slice(drawing, slice, drawn, used, sums, err)) {
      return false;
    }
    if (sums.voxels > before) {
      report.slices_without += last < 0 ? 0 : static_cast<size_t>(slice - last - 1);
      last = slice;
    }
  }
  report.planes_left_out = static_cast<size_t>(std::count(used.begin(), used.end(), false));
  report.outline_step_mm = drawing.step * drawing.grid.spacing_mm[2];
  if (!check_volumes(sums, drawing.grid, report, err)) {
    return false;
  }
  voxels.unite(drawn);
  return true;
}

} // namespace

bool draw_outlines(std::vector<Outline> outlines, const lvn_grid &grid, Voxels &voxels, OutlineReport &ret_report,
                   lvn_error *err) {
  std::vector<Plane> planes = make_planes(outlines, grid);
  Drawing drawing{grid, planes, {}, 1.0, false};
  for (Plane &plane : planes) {
    if (plane.nodes.size() > outlines_max_per_plane) {
      return lvn_error_set(err, LVN_ERROR_DATA, "has %zu outlines in one plane; at most %zu are read",
                           plane.nodes.size(), outlines_max_per_plane);
    }
    measure_nodes(plane);
    nest_nodes(plane);
    drawing.groups.push_back(group_nodes(plane));
    for (Node &node : plane.nodes) {
      node.spans = Spans();
      node.region = Spans();
    }
  }
  drawing.find_step();
  if (draw_slices(drawing, voxels, ret_report, err)) {
    return true;
  }
  // The nearest outline may be the tip of a lesion that hardly reaches the slice: then all outlines of a slice serve
  // it.
  if (err->code != LVN_ERROR_DATA || ret_report.planes_left_out == 0) {
    return false;
  }
  drawing.unites_planes = true;
  return draw_slices(drawing, voxels, ret_report, err);
}

} // namespace lvn
