#include "dicom/read/roi_spans_dcmtk.hh"

#include <algorithm>

namespace lvn {

namespace {

constexpr double finest_step = 1.0 / 64.0; // pixels
constexpr double coarsest_step = 0.25;
constexpr double wanted_lines = 256.0;
constexpr double crossings_max = 5e5;

} // namespace

double perimeter_of(const Polygon &points) {
  double sum = 0.0;
  for (size_t i = 0, j = points.size() - 1; i < points.size(); j = i++) {
    sum += std::hypot(points[i][0] - points[j][0], points[i][1] - points[j][1]);
  }
  return sum;
}

double shoelace_of(const Polygon &points) {
  double sum = 0.0;
  for (size_t i = 0, j = points.size() - 1; i < points.size(); j = i++) {
    // From the first point, so that large coordinates cancel nothing.
    const double a[2] = {points[j][0] - points[0][0], points[j][1] - points[0][1]};
    const double b[2] = {points[i][0] - points[0][0], points[i][1] - points[0][1]};
    sum += a[0] * b[1] - a[1] * b[0];
  }
  return std::fabs(sum) / 2.0;
}

void PlaneBox::include(const Polygon &points) {
  for (const PlanePoint &point : points) {
    for (size_t axis = 0; axis < 2; axis++) {
      low[axis] = std::min(low[axis], point[axis]);
      high[axis] = std::max(high[axis], point[axis]);
    }
  }
}

void PlaneBox::include(const PlaneBox &other) {
  for (size_t axis = 0; axis < 2; axis++) {
    low[axis] = std::min(low[axis], other.low[axis]);
    high[axis] = std::max(high[axis], other.high[axis]);
  }
}

bool PlaneBox::meets(const PlaneBox &other) const {
  return low[0] <= other.high[0] && other.low[0] <= high[0] && low[1] <= other.high[1] && other.low[1] <= high[1];
}

Lines Lines::across(const std::vector<Polygon> &outlines) {
  PlaneBox box;
  double smallest = HUGE_VAL;
  double rise = 0.0;
  for (const Polygon &points : outlines) {
    PlaneBox own;
    own.include(points);
    box.include(own);
    smallest = std::min(smallest, own.high[1] - own.low[1]);
    for (size_t i = 0, j = points.size() - 1; i < points.size(); j = i++) {
      rise += std::fabs(points[i][1] - points[j][1]);
    }
  }
  Lines lines;
  if (!(box.high[1] > box.low[1])) {
    return lines;
  }
  lines.step = std::min(std::max(smallest / wanted_lines, finest_step), coarsest_step);
  lines.step = std::max(lines.step, rise / crossings_max);
  lines.count = static_cast<size_t>(std::ceil((box.high[1] - box.low[1]) / lines.step));
  // Not through the corners of outlines traced along pixels.
  lines.top = box.low[1] + 0.4999 * lines.step;
  return lines;
}

Spans Spans::of(const Polygon &points, const Lines &across) {
  Spans spans;
  PlaneBox box;
  box.include(points);
  if (points.size() < 3 || across.count == 0) {
    return spans;
  }
  const double from = std::ceil((box.low[1] - across.top) / across.step);
  const double to = std::floor((box.high[1] - across.top) / across.step);
  spans.first = from > 0.0 ? static_cast<size_t>(from) : 0;
  const size_t end = to < 0.0 ? 0 : std::min(across.count, static_cast<size_t>(to) + 1);
  if (end <= spans.first) {
    return spans;
  }
  std::vector<std::vector<std::pair<double, int>>> turns(end - spans.first);
  for (size_t i = 0, j = points.size() - 1; i < points.size(); j = i++) {
    const PlanePoint &a = points[j];
    const PlanePoint &b = points[i];
    const double upper = std::min(a[1], b[1]);
    const double lower = std::max(a[1], b[1]);
    const double start = std::ceil((upper - across.top) / across.step);
    for (size_t k = std::max(spans.first, start > 0.0 ? static_cast<size_t>(start) : 0); k < end; k++) {
      const double y = across.top + static_cast<double>(k) * across.step;
      if (y >= lower) {
        break;
      }
      if (y >= upper) {
        turns[k - spans.first].emplace_back(a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]), a[1] < b[1] ? 1 : -1);
      }
    }
  }
  spans.lines.resize(turns.size());
  for (size_t k = 0; k < turns.size(); k++) {
    int winding = 0;
    double begin = 0.0;
    std::sort(turns[k].begin(), turns[k].end());
    for (const auto &turn : turns[k]) {
      begin = winding == 0 ? turn.first : begin;
      winding += turn.second;
      if (winding == 0 && turn.first > begin) {
        spans.lines[k].emplace_back(begin, turn.first);
      }
    }
  }
  return spans;
}

namespace {

using Line = std::vector<std::pair<double, double>>;

bool is_kept(bool in_a, bool in_b, SpanRule rule) {
  switch (rule) {
  case SpanRule::both:
    return in_a && in_b;
  case SpanRule::either:
    return in_a || in_b;
  case SpanRule::first_only:
    return in_a && !in_b;
  case SpanRule::one_of_both:
    return in_a != in_b;
  }
  return false;
}

Line combine_line(const Line &a, const Line &b, SpanRule rule) {
  Line line;
  size_t at[2] = {0, 0}; // ends passed: even means outside
  bool was_kept = false;
  double begin = 0.0;
  const auto next = [](const Line &spans, size_t ends) {
    return ends / 2 >= spans.size() ? HUGE_VAL : ends % 2 == 0 ? spans[ends / 2].first : spans[ends / 2].second;
  };
  for (;;) {
    const double x = std::min(next(a, at[0]), next(b, at[1]));
    if (x == HUGE_VAL) {
      return line;
    }
    for (; next(a, at[0]) == x; at[0]++) {
    }
    for (; next(b, at[1]) == x; at[1]++) {
    }
    const bool keep = is_kept(at[0] % 2 == 1, at[1] % 2 == 1, rule);
    if (keep && !was_kept) {
      begin = x;
    } else if (was_kept && !keep && x > begin) {
      line.emplace_back(begin, x);
    }
    was_kept = keep;
  }
}

} // namespace

Spans Spans::combine(const Spans &a, const Spans &b, SpanRule rule) {
  static const Line nothing;
  Spans spans;
  if (a.lines.empty() || b.lines.empty()) {
    const bool keeps_a = rule != SpanRule::both && !a.lines.empty();
    const bool keeps_b = (rule == SpanRule::either || rule == SpanRule::one_of_both) && !b.lines.empty();
    return keeps_a ? a : keeps_b ? b : spans;
  }
  spans.first = std::min(a.first, b.first);
  spans.lines.resize(std::max(a.first + a.lines.size(), b.first + b.lines.size()) - spans.first);
  for (size_t k = 0; k < spans.lines.size(); k++) {
    const size_t line = spans.first + k;
    const bool has_a = line >= a.first && line - a.first < a.lines.size();
    const bool has_b = line >= b.first && line - b.first < b.lines.size();
    spans.lines[k] =
        combine_line(has_a ? a.lines[line - a.first] : nothing, has_b ? b.lines[line - b.first] : nothing, rule);
  }
  return spans;
}

double Spans::area(const Lines &across) const {
  double sum = 0.0;
  for (const auto &line : lines) {
    for (const auto &span : line) {
      sum += span.second - span.first;
    }
  }
  return sum * across.step;
}

} // namespace lvn
