#include "dicom/read/roi_lattice_dcmtk.hh"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace lvn {
namespace {

// Coordinates are written with few decimals; a quarter of a pixel is no other place.
constexpr double same_pixel = 0.25;
// Slices may be unevenly spaced, and resampled to a grid.
constexpr double same_slice = 0.45;
constexpr double same_step = 0.05;

using Index = std::array<double, 3>;

Index operator+(const Index &a, const Index &b) {
  return {a[0] + b[0], a[1] + b[1], a[2] + b[2]};
}

Index operator*(double factor, const Index &a) {
  return {factor * a[0], factor * a[1], factor * a[2]};
}

// Grid index of the first pixel, and what a step along a row, down a column and to the next frame adds to it.
struct Steps {
  Index origin{};
  Index step[2]{};
  double normal[3]{};
};

Steps steps_of(const lvn_grid &grid, const Raster &raster) {
  Steps steps;
  lvn_grid_to_index(&grid, raster.origin_mm, steps.origin.data());
  for (size_t axis = 0; axis < 2; axis++) {
    for (size_t a = 0; a < 3; a++) {
      double along = 0.0;
      for (size_t i = 0; i < 3; i++) {
        along += raster.direction[axis][i] * grid.direction[a][i];
      }
      steps.step[axis][a] = along * raster.spacing_mm[axis] / grid.spacing_mm[a];
    }
  }
  const double *r = raster.direction[0];
  const double *c = raster.direction[1];
  steps.normal[0] = r[1] * c[2] - r[2] * c[1];
  steps.normal[1] = r[2] * c[0] - r[0] * c[2];
  steps.normal[2] = r[0] * c[1] - r[1] * c[0];
  return steps;
}

// One grid voxel along one axis, forwards or backwards.
struct Turn {
  size_t axis;
  long sign;
};

Turn nearest_turn(const Index &step) {
  size_t axis = 0;
  for (size_t a = 1; a < 3; a++) {
    axis = std::fabs(step[a]) > std::fabs(step[axis]) ? a : axis;
  }
  return {axis, step[axis] < 0.0 ? -1 : 1};
}

bool find_turns(const lvn_grid &grid, const Raster &raster, const Steps &steps, Turn turns[2], long ret_origin[3]) {
  turns[0] = nearest_turn(steps.step[0]);
  turns[1] = nearest_turn(steps.step[1]);
  if (turns[0].axis == turns[1].axis) {
    return false;
  }
  const size_t across = 3 - turns[0].axis - turns[1].axis;
  const auto is_step = [&](double mm) { return std::fabs(mm / grid.spacing_mm[across] - 1.0) <= same_step; };
  if (raster.step_mm > 0.0 && !is_step(raster.step_mm) && !is_step(raster.gap_mm)) {
    return false;
  }
  for (size_t a = 0; a < 3; a++) {
    ret_origin[a] = std::lround(steps.origin[a]);
  }
  for (int corner = 0; corner < 4; corner++) {
    const long column = (corner & 1) != 0 ? raster.columns - 1 : 0;
    const long row = (corner & 2) != 0 ? raster.rows - 1 : 0;
    Index rest = steps.origin + static_cast<double>(column) * steps.step[0] + static_cast<double>(row) * steps.step[1];
    rest[turns[0].axis] -= static_cast<double>(turns[0].sign * column);
    rest[turns[1].axis] -= static_cast<double>(turns[1].sign * row);
    for (size_t a = 0; a < 3; a++) {
      const double allowed = a == 2 && across == 2 ? same_slice : same_pixel;
      if (!(std::fabs(rest[a] - static_cast<double>(ret_origin[a])) <= allowed)) {
        return false;
      }
    }
  }
  return true;
}

using Places = std::map<long, std::vector<std::array<long, 2>>>; // by slice

void put(const Places &places, Voxels &voxels) {
  for (const auto &slice : places) {
    long from[2] = {slice.second[0][0], slice.second[0][1]};
    long to[2] = {from[0], from[1]};
    for (const auto &at : slice.second) {
      for (size_t axis = 0; axis < 2; axis++) {
        from[axis] = std::min(from[axis], at[axis]);
        to[axis] = std::max(to[axis], at[axis]);
      }
    }
    Patch patch(from, to);
    for (const auto &at : slice.second) {
      patch.inside[static_cast<size_t>((at[1] - from[1]) * patch.size[0] + at[0] - from[0])] = 1;
    }
    voxels.unite(slice.first, patch);
  }
}

// The pixels inside, columns and rows from and to; false when there are none.
bool find_extent(const Raster &raster, const std::vector<uint8_t> &inside, long from[2], long to[2]) {
  from[0] = raster.columns;
  from[1] = raster.rows;
  to[0] = to[1] = -1;
  for (long row = 0; row < raster.rows; row++) {
    for (long column = 0; column < raster.columns; column++) {
      if (inside[static_cast<size_t>(row * raster.columns + column)] != 0) {
        from[0] = std::min(from[0], column);
        to[0] = std::max(to[0], column);
        from[1] = std::min(from[1], row);
        to[1] = row;
      }
    }
  }
  return to[1] >= 0;
}

} // namespace

LatticeFit draw_same_lattice(const lvn_grid &grid, const Raster &raster, const std::vector<uint8_t> &inside,
                             Voxels &voxels) {
  const Steps steps = steps_of(grid, raster);
  Turn turns[2];
  long origin[3];
  Places places;
  if (!find_turns(grid, raster, steps, turns, origin)) {
    return LatticeFit::other;
  }
  for (long row = 0; row < raster.rows; row++) {
    for (long column = 0; column < raster.columns; column++) {
      if (inside[static_cast<size_t>(row * raster.columns + column)] == 0) {
        continue;
      }
      long at[3] = {origin[0], origin[1], origin[2]};
      at[turns[0].axis] += turns[0].sign * column;
      at[turns[1].axis] += turns[1].sign * row;
      for (int a = 0; a < 3; a++) {
        if (at[a] < 0 || at[a] >= static_cast<long>(grid.size[a])) {
          return LatticeFit::outside;
        }
      }
      places[at[2]].push_back({at[0], at[1]});
    }
  }
  put(places, voxels);
  return LatticeFit::same;
}

void draw_nearest(const lvn_grid &grid, const Raster &raster, const std::vector<uint8_t> &inside, Voxels &voxels) {
  const Steps steps = steps_of(grid, raster);
  const double half_mm = raster.step_mm / 2.0;
  long extent[2][2];
  double low[3] = {HUGE_VAL, HUGE_VAL, HUGE_VAL};
  double high[3] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
  Places places;
  if (!find_extent(raster, inside, extent[0], extent[1])) {
    return;
  }
  for (unsigned corner = 0; corner < 8; corner++) {
    double mm[3];
    double index[3];
    const double u = static_cast<double>(extent[corner & 1U][0]) + ((corner & 1U) != 0 ? 0.5 : -0.5);
    const double v = static_cast<double>(extent[corner >> 1 & 1U][1]) + ((corner >> 1 & 1U) != 0 ? 0.5 : -0.5);
    for (int i = 0; i < 3; i++) {
      mm[i] = raster.origin_mm[i] + u * raster.spacing_mm[0] * raster.direction[0][i] +
              v * raster.spacing_mm[1] * raster.direction[1][i] +
              (corner >> 2 != 0 ? half_mm : -half_mm) * steps.normal[i];
    }
    lvn_grid_to_index(&grid, mm, index);
    for (int a = 0; a < 3; a++) {
      const double size = static_cast<double>(grid.size[a]); // a place far outside is none to count from
      low[a] = std::min(low[a], std::min(size, std::max(0.0, std::floor(index[a]))));
      high[a] = std::max(high[a], std::max(-1.0, std::min(size - 1.0, std::ceil(index[a]))));
    }
  }
  const auto first = [&](int a) { return static_cast<long>(low[a]); };
  const auto last = [&](int a) { return static_cast<long>(high[a]); };
  for (long z = first(2); z <= last(2); z++) {
    for (long y = first(1); y <= last(1); y++) {
      for (long x = first(0); x <= last(0); x++) {
        const double index[3] = {static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)};
        double mm[3];
        double along[3] = {0.0, 0.0, 0.0};
        lvn_grid_to_patient(&grid, index, mm);
        for (int i = 0; i < 3; i++) {
          along[0] += (mm[i] - raster.origin_mm[i]) * raster.direction[0][i] / raster.spacing_mm[0];
          along[1] += (mm[i] - raster.origin_mm[i]) * raster.direction[1][i] / raster.spacing_mm[1];
          along[2] += (mm[i] - raster.origin_mm[i]) * steps.normal[i];
        }
        // A centre half way between two frames belongs to one of them.
        const double micrometre = 1e-3;
        const long column = static_cast<long>(std::floor(along[0] + 0.5));
        const long row = static_cast<long>(std::floor(along[1] + 0.5));
        if (along[2] >= -half_mm - micrometre && along[2] < half_mm - micrometre && column >= 0 && row >= 0 &&
            column < raster.columns && row < raster.rows &&
            inside[static_cast<size_t>(row * raster.columns + column)] != 0) {
          places[z].push_back({x, y});
        }
      }
    }
  }
  put(places, voxels);
}

} // namespace lvn
