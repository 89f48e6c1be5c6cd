// Outlines to voxels, on a grid of 0.8 x 0.8 x 5 mm.
#include "dicom/read/roi_lattice_dcmtk.hh"
#include "dicom/read/roi_outlines_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstring>

extern "C" {
#include <cmocka.h>
}

using namespace lvn;

namespace {

constexpr double pixel_mm = 0.8;
constexpr double slice_mm = 5.0;
const lvn_grid grid = {
    {100, 80, 12}, {pixel_mm, pixel_mm, slice_mm}, {-40, -30, 100}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};

Polygon circle(double x, double y, double radius, bool reversed = false, size_t corners = 90) {
  Polygon points;
  for (size_t i = 0; i < corners; i++) {
    const double angle = 2.0 * M_PI * static_cast<double>(i) / static_cast<double>(corners) + 0.013;
    points.push_back({x + radius * std::cos(angle), y + radius * std::sin(angle)});
  }
  if (reversed) {
    std::reverse(points.begin(), points.end());
  }
  return points;
}

Outline outline(Polygon points, double plane, OutlineRule rule = OutlineRule::nested) {
  Outline made;
  made.points = std::move(points);
  made.plane = plane;
  made.rule = rule;
  return made;
}

// Pixels over all slices; fails the test when it is refused.
size_t count(const std::vector<Outline> &outlines, OutlineReport *ret_report = nullptr) {
  Voxels voxels;
  OutlineReport report;
  lvn_error err{};
  if (!draw_outlines(outlines, grid, voxels, report, &err)) {
    print_error("%s\n", err.message);
    fail();
  }
  if (ret_report != nullptr) {
    *ret_report = report;
  }
  return voxels.count();
}

void assert_near(size_t found, double expected, double share) {
  if (std::fabs(static_cast<double>(found) - expected) > share * expected) {
    print_error("%zu voxels, not %.1f\n", found, expected);
    fail();
  }
}

double disc(double radius) {
  return M_PI * radius * radius;
}

std::vector<Outline> ball(double radius_mm, double step_mm, double first_mm) {
  std::vector<Outline> outlines;
  for (double z = first_mm; z < 55.0; z += step_mm) {
    const double away = z - 27.0;
    if (std::fabs(away) < radius_mm - 0.2) {
      outlines.push_back(
          outline(circle(50, 40, std::sqrt(radius_mm * radius_mm - away * away) / pixel_mm), z / slice_mm));
    }
  }
  return outlines;
}

void test_roi_outlines__unites_what_is_no_hole(void **) {
  const size_t one = count({outline(circle(40, 40, 12), 5)});
  assert_near(one, disc(12), 0.04);
  // drawn twice, either way round, with other corners, and moved by what rounding moves
  assert_int_equal(count({outline(circle(40, 40, 12), 5), outline(circle(40, 40, 12), 5)}), one);
  assert_int_equal(count({outline(circle(40, 40, 12), 5), outline(circle(40, 40, 12, true), 5)}), one);
  assert_near(count({outline(circle(40, 40, 12), 5), outline(circle(40.02, 39.99, 11.95, true, 61), 5)}), disc(12),
              0.04);
  // two strokes of one lesion
  const double lens = 2 * 144 * std::acos(5.0 / 12) - 5.0 * std::sqrt(4 * 144 - 100);
  for (const bool reversed : {false, true}) {
    assert_near(count({outline(circle(40, 40, 12), 5), outline(circle(50, 40, 12, reversed), 5)}), 2 * disc(12) - lens,
                0.04);
  }
  // three, the third in the overlap of the others and beyond
  assert_true(count({outline(circle(40, 40, 12), 5), outline(circle(50, 40, 12), 5), outline(circle(45, 30, 8), 5)}) >=
              count({outline(circle(40, 40, 12), 5), outline(circle(50, 40, 12), 5)}));
  // apart
  assert_near(count({outline(circle(20, 40, 10), 5), outline(circle(60, 40, 10, true), 5)}), 2 * disc(10), 0.04);
}

void test_roi_outlines__nests_holes_and_islands(void **) {
  for (const bool reversed : {false, true}) {
    assert_near(count({outline(circle(40, 40, 20), 5), outline(circle(42, 40, 10, reversed), 5)}), disc(20) - disc(10),
                0.02);
    assert_near(count({outline(circle(42, 40, 4), 5), outline(circle(40, 40, 20), 5),
                       outline(circle(42, 40, 10, reversed), 5)}),
                disc(20) - disc(10) + disc(4), 0.02);
  }
  // two holes, and one of them listed twice
  assert_near(count({outline(circle(50, 40, 20), 5), outline(circle(42, 40, 6), 5), outline(circle(58, 40, 6), 5),
                     outline(circle(58, 40, 6), 5)}),
              disc(20) - 2 * disc(6), 0.02);
  // a hole in what two strokes make together
  assert_near(count({outline(circle(45, 40, 15), 5), outline(circle(55, 40, 15), 5), outline(circle(50, 40, 5), 5)}),
              static_cast<double>(count({outline(circle(45, 40, 15), 5), outline(circle(55, 40, 15), 5)})) - disc(5),
              0.02);
  // never a hole where the form knows none
  assert_near(
      count({outline(circle(40, 40, 20), 5, OutlineRule::united), outline(circle(42, 40, 10), 5, OutlineRule::united)}),
      disc(20), 0.02);
}

void test_roi_outlines__obeys_declared_xor(void **) {
  const auto rule = OutlineRule::exclusive;
  const double lens = 2 * 144 * std::acos(5.0 / 12) - 5.0 * std::sqrt(4 * 144 - 100);
  assert_near(count({outline(circle(40, 40, 20), 5, rule), outline(circle(42, 40, 10), 5, rule)}), disc(20) - disc(10),
              0.02);
  assert_near(count({outline(circle(40, 40, 12), 5, rule), outline(circle(50, 40, 12), 5, rule)}),
              2 * (disc(12) - lens), 0.03);
}

// Outer and inner way joined by a channel of no width, the inner way in either sense, the list begun anywhere.
void test_roi_outlines__keeps_keyholes(void **) {
  for (const bool reversed : {false, true}) {
    Polygon way = circle(40, 40, 20);
    const Polygon inner = circle(40, 40, 9, reversed);
    way.push_back(way.front());
    way.insert(way.end(), inner.begin(), inner.end());
    way.push_back(inner.front());
    for (const size_t begin : {size_t{0}, size_t{30}, size_t{91}, size_t{120}}) {
      Polygon turned = way;
      std::rotate(turned.begin(), turned.begin() + static_cast<std::ptrdiff_t>(begin), turned.end());
      assert_near(count({outline(turned, 5)}), disc(20) - disc(9), 0.02);
      assert_near(count({outline(turned, 5), outline(turned, 5), outline(circle(40, 40, 3), 5)}),
                  disc(20) - disc(9) + disc(3), 0.02);
    }
  }
  // a line to nowhere and a repeated first point change nothing
  Polygon spike = circle(40, 40, 12);
  spike.push_back(spike.front());
  spike.push_back({70, 40});
  spike.push_back(spike.front());
  assert_int_equal(count({outline(spike, 5)}), count({outline(circle(40, 40, 12), 5)}));
}

void test_roi_outlines__runs_over_itself(void **) {
  Polygon twice = circle(40, 40, 12);
  const Polygon once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  assert_int_equal(count({outline(twice, 5)}), count({outline(once, 5)}));
  // one stroke on past its beginning
  Polygon spiral;
  for (int i = 0; i < 130; i++) {
    const double angle = 2.0 * M_PI * i / 100.0;
    spiral.push_back({40 + (12 - 0.01 * i) * std::cos(angle), 40 + (12 - 0.01 * i) * std::sin(angle)});
  }
  assert_near(count({outline(spiral, 5)}), disc(11.5), 0.06);
}

// A ball of 15 mm outlined at distances other than those of the slices.
void test_roi_outlines__takes_the_nearest_plane(void **) {
  const double volume = 4.0 / 3.0 * M_PI * 15 * 15 * 15 / (pixel_mm * pixel_mm * slice_mm);
  for (const double step_mm : {1.0, 2.0, 2.5, 3.0, 3.3, 4.0, 5.0, 6.0}) {
    for (const double first_mm : {0.0, 0.4, 1.1, 2.5}) {
      assert_near(count(ball(15, step_mm, first_mm)), volume, step_mm > 5.0 ? 0.45 : 0.12);
    }
  }
  // smaller outlines a little above the full ones
  OutlineReport report;
  std::vector<Outline> twice;
  for (const double above : {0.0, 0.1, 0.3, 0.48, 0.5}) {
    twice.clear();
    for (int k = 3; k < 8; k++) {
      twice.push_back(outline(circle(50, 40, 15), k));
      twice.push_back(outline(circle(50, 40, 12), k + above + (above == 0.0 ? 0.015 : 0.0)));
    }
    assert_int_equal(count(twice, &report), 5 * count({outline(circle(50, 40, 15), 5)}));
    assert_int_equal(report.planes_left_out, 5);
  }
  // a part that only the farther planes hold is not lost
  twice.clear();
  for (int k = 3; k < 8; k++) {
    twice.push_back(outline(circle(30, 40, 10), k));
    twice.push_back(outline(circle(70, 40, 10), k + 0.2));
  }
  assert_int_equal(count(twice),
                   5 * (count({outline(circle(30, 40, 10), 5)}) + count({outline(circle(70, 40, 10), 5)})));
}

void test_roi_outlines__half_way_goes_one_way(void **) {
  OutlineReport report;
  std::vector<Outline> outlines;
  for (int k = 3; k < 8; k++) {
    Outline made = outline(circle(50, 40, 15), k + 0.5 + (k % 2 == 0 ? 1e-3 : -1e-3));
    outlines.push_back(made);
  }
  assert_int_equal(count(outlines, &report), 5 * count({outline(circle(50, 40, 15), 5)}));
  assert_int_equal(report.slices_without, 0);
  for (Outline &each : outlines) {
    each.named_slice = static_cast<size_t>(each.plane + 0.6);
  }
  assert_int_equal(count(outlines, &report), 5 * count({outline(circle(50, 40, 15), 5)}));
}

// Outlines on every second slice leave the others empty, which is said or refused; a slab that reaches them fills them.
void test_roi_outlines__notices_slices_without(void **) {
  Voxels voxels;
  OutlineReport report;
  lvn_error err{};
  std::vector<Outline> outlines;
  for (int k = 2; k < 10; k++) {
    if (k != 5) {
      outlines.push_back(outline(circle(50, 40, 15), k));
    }
  }
  (void)count(outlines, &report);
  assert_int_equal(report.slices_without, 1);
  outlines.clear();
  for (int k = 1; k < 11; k += 2) {
    outlines.push_back(outline(circle(50, 40, 15), k));
  }
  assert_false(draw_outlines(outlines, grid, voxels, report, &err));
  assert_non_null(std::strstr(err.message, "its outlines, 10.00 mm apart, enclose 22."));
  assert_non_null(std::strstr(err.message, "slices 5.00 mm apart has 11."));
  outlines.resize(3);
  assert_false(draw_outlines(outlines, grid, voxels, report, &err));
  outlines.push_back(outline(circle(50, 40, 15), 7));
  outlines.push_back(outline(circle(50, 40, 15), 9));
  for (Outline &each : outlines) {
    each.slab_mm = 10.0;
  }
  assert_int_equal(count(outlines), 9 * count({outline(circle(50, 40, 15), 5)}));
  // a thickness of one slice reaches no other
  outlines = {outline(circle(50, 40, 15), 5)};
  outlines[0].slab_mm = 5.0;
  assert_int_equal(count(outlines), count({outline(circle(50, 40, 15), 5)}));
}

void test_roi_outlines__refuses_what_lies_off_the_images(void **) {
  Voxels voxels;
  OutlineReport report;
  lvn_error err{};
  assert_false(draw_outlines({outline(circle(0, 40, 15), 5)}, grid, voxels, report, &err));
  assert_non_null(std::strstr(err.message, "its outlines enclose 2.2"));
  std::vector<Outline> many;
  for (int i = 0; i < 600; i++) {
    many.push_back(outline(circle(3 + 3.2 * (i % 30), 3 + 3.2 * (i / 30), 1.2, false, 8), 5));
  }
  assert_false(draw_outlines(many, grid, voxels, report, &err));
  assert_non_null(std::strstr(err.message, "600 outlines in one plane"));
}

// Small lesions, of few pixels and slices, are not refused for what pixels and slices do to them.
void test_roi_outlines__accepts_small_lesions(void **) {
  for (double radius_mm = 1.5; radius_mm < 8.0; radius_mm += 0.25) {
    for (const double step_mm : {1.0, 1.7, 2.5, 3.3, 5.0}) {
      for (double first_mm = 0.0; first_mm < step_mm; first_mm += 0.31) {
        const std::vector<Outline> outlines = ball(radius_mm, step_mm, first_mm);
        if (!outlines.empty()) {
          (void)count(outlines);
        }
      }
    }
  }
}

// Rows, columns and slices of a small box of voxels written in every order and sense of axes.
void test_roi_lattice__reads_every_order_of_axes(void **) {
  const long low[3] = {30, 20, 3};
  const long size[3] = {7, 5, 4};
  for (int order = 0; order < 6; order++) {
    const size_t a = static_cast<size_t>(order % 3);
    const size_t b = (a + 1 + static_cast<size_t>(order / 3)) % 3;
    const size_t c = 3 - a - b;
    for (unsigned senses = 0; senses < 8; senses++) {
      Voxels voxels;
      for (long k = 0; k < size[c]; k++) {
        Raster raster;
        double first[3] = {static_cast<double>(low[0]), static_cast<double>(low[1]), static_cast<double>(low[2])};
        const size_t axes[2] = {a, b};
        for (size_t i = 0; i < 2; i++) {
          const bool is_backwards = (senses >> i & 1U) != 0;
          first[axes[i]] += is_backwards ? static_cast<double>(size[axes[i]] - 1) : 0.0;
          raster.direction[i][axes[i]] = is_backwards ? -1.0 : 1.0;
          raster.spacing_mm[i] = grid.spacing_mm[axes[i]];
        }
        first[c] += static_cast<double>((senses & 4U) != 0 ? size[c] - 1 - k : k) + 0.02;
        lvn_grid_to_patient(&grid, first, raster.origin_mm);
        raster.step_mm = grid.spacing_mm[c];
        raster.columns = size[a];
        raster.rows = size[b];
        std::vector<uint8_t> inside(static_cast<size_t>(size[a] * size[b]), 1);
        assert_int_equal(static_cast<int>(draw_same_lattice(grid, raster, inside, voxels)),
                         static_cast<int>(LatticeFit::same));
      }
      assert_int_equal(voxels.count(), 7 * 5 * 4);
      assert_true(voxels.contains(30, 20, 3) && voxels.contains(36, 24, 6));
    }
  }
}

void test_roi_lattice__resamples_other_voxels(void **) {
  // twice as fine in the plane, 2 mm apart, turned by 10 degrees: a box of 24 x 20 x 30 mm
  Raster raster;
  const double turn = 10.0 * M_PI / 180.0;
  Voxels voxels;
  raster.direction[0][0] = raster.direction[1][1] = std::cos(turn);
  raster.direction[0][1] = std::sin(turn);
  raster.direction[1][0] = -std::sin(turn);
  raster.spacing_mm[0] = raster.spacing_mm[1] = 0.4;
  raster.step_mm = raster.gap_mm = 2.0;
  raster.columns = 60;
  raster.rows = 50;
  const std::vector<uint8_t> inside(60 * 50, 1);
  for (int k = 0; k < 15; k++) {
    raster.origin_mm[0] = -10.0;
    raster.origin_mm[1] = -15.0;
    raster.origin_mm[2] = 108.0 + 2.0 * k;
    assert_int_equal(static_cast<int>(draw_same_lattice(grid, raster, inside, voxels)),
                     static_cast<int>(LatticeFit::other));
    draw_nearest(grid, raster, inside, voxels);
  }
  assert_near(voxels.count(), 24.0 * 20.0 * 30.0 / (0.8 * 0.8 * 5.0), 0.03);
  // the images' own voxels, half a pixel aside
  Raster aside;
  aside.direction[0][0] = aside.direction[1][1] = 1.0;
  aside.spacing_mm[0] = aside.spacing_mm[1] = pixel_mm;
  aside.step_mm = slice_mm;
  aside.columns = 60;
  aside.rows = 50;
  const double at[3] = {10.5, 10.0, 5.0};
  Voxels shifted;
  lvn_grid_to_patient(&grid, at, aside.origin_mm);
  assert_int_equal(static_cast<int>(draw_same_lattice(grid, aside, inside, shifted)),
                   static_cast<int>(LatticeFit::other));
  draw_nearest(grid, aside, inside, shifted);
  assert_int_equal(shifted.count(), 60 * 50);
  // beyond the last column
  const double beyond[3] = {60.0, 10.0, 5.0};
  lvn_grid_to_patient(&grid, beyond, aside.origin_mm);
  assert_int_equal(static_cast<int>(draw_same_lattice(grid, aside, inside, shifted)),
                   static_cast<int>(LatticeFit::outside));
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_roi_outlines__unites_what_is_no_hole),
      cmocka_unit_test(test_roi_outlines__nests_holes_and_islands),
      cmocka_unit_test(test_roi_outlines__obeys_declared_xor),
      cmocka_unit_test(test_roi_outlines__keeps_keyholes),
      cmocka_unit_test(test_roi_outlines__runs_over_itself),
      cmocka_unit_test(test_roi_outlines__takes_the_nearest_plane),
      cmocka_unit_test(test_roi_outlines__half_way_goes_one_way),
      cmocka_unit_test(test_roi_outlines__notices_slices_without),
      cmocka_unit_test(test_roi_outlines__refuses_what_lies_off_the_images),
      cmocka_unit_test(test_roi_outlines__accepts_small_lesions),
      cmocka_unit_test(test_roi_lattice__reads_every_order_of_axes),
      cmocka_unit_test(test_roi_lattice__resamples_other_voxels),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
