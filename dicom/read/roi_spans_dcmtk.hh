// Plane regions as spans along closely drawn lines: how outlines lie to one another and what they enclose, in fractions
// of a pixel and without asking the pixels.
#ifndef LVN_DICOM_READ_ROI_SPANS_DCMTK_HH
#define LVN_DICOM_READ_ROI_SPANS_DCMTK_HH

#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace lvn {

using PlanePoint = std::array<double, 2>; // column and row, pixel indices
using Polygon = std::vector<PlanePoint>;

double perimeter_of(const Polygon &points);
// By the shoelace formula, without sign.
double shoelace_of(const Polygon &points);
// Column and row from and to.
struct PlaneBox {
  double low[2]{HUGE_VAL, HUGE_VAL};
  double high[2]{-HUGE_VAL, -HUGE_VAL};

  void include(const Polygon &points);
  void include(const PlaneBox &other);
  bool meets(const PlaneBox &other) const;
};

// The lines that all regions of one plane share.
struct Lines {
  double top = 0.0;
  double step = 1.0;
  size_t count = 0;

  // Close enough for the smallest of the outlines, far enough apart for all of them to fit into memory.
  static Lines across(const std::vector<Polygon> &outlines);
};

enum class SpanRule { both, either, first_only, one_of_both };

struct Spans {
  size_t first = 0; // line of spans[0]
  std::vector<std::vector<std::pair<double, double>>> lines;

  // Inside by the non-zero rule.
  static Spans of(const Polygon &points, const Lines &across);
  static Spans combine(const Spans &a, const Spans &b, SpanRule rule);
  // In pixels.
  double area(const Lines &across) const;
};

} // namespace lvn

#endif
