#include "dicom/read/geometry.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Positions are written with 3 to 6 decimals: what deviates less is rounding, what deviates more is said or refused. */
#define ROUNDING_OF_SPACING 0.01
#define RESPACE_OF_SPACING 0.10
#define ROUNDING_MM 0.02
#define TILT_MAX_DEGREES 35.0
#define RUN_MIN_SLICES 4

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

void lvn_plane_normal(const struct lvn_plane *plane, double ret_normal[3]) {
  const double *r = plane->direction[0];
  const double *c = plane->direction[1];
  ret_normal[0] = r[1] * c[2] - r[2] * c[1];
  ret_normal[1] = r[2] * c[0] - r[0] * c[2];
  ret_normal[2] = r[0] * c[1] - r[1] * c[0];
}

bool lvn_plane_from_orientation(const double orientation[6], struct lvn_plane *ret_plane) {
  const double *row = orientation;
  const double *column = orientation + 3;
  double row_length = sqrt(dot(row, row));
  double column_length = 0.0;
  double rest[3];
  if (!(fabs(row_length - 1.0) < 1e-2) || !(fabs(sqrt(dot(column, column)) - 1.0) < 1e-2) ||
      !(fabs(dot(row, column)) < 1e-3)) {
    return false;
  }
  /* Exactly orthonormal from here on: the written cosines are rounded. */
  double along = dot(row, column) / (row_length * row_length);
  for (int i = 0; i < 3; i++) {
    rest[i] = column[i] - along * row[i];
  }
  column_length = sqrt(dot(rest, rest));
  for (int i = 0; i < 3; i++) {
    ret_plane->direction[0][i] = row[i] / row_length;
    ret_plane->direction[1][i] = rest[i] / column_length;
  }
  return true;
}

size_t lvn_geometry_first_run(const double *distances_mm, size_t count) {
  size_t first_end = count;
  size_t start = 0;
  bool is_first = true;
  while (start + 1 < count) {
    double gap = distances_mm[start + 1] - distances_mm[start];
    size_t end = start + 1;
    while (end < count && fabs(distances_mm[end] - distances_mm[end - 1] - gap) <= RESPACE_OF_SPACING * gap) {
      end++;
    }
    /* A slice at a change of spacing belongs to the run before it. */
    size_t owned = end - start - (is_first ? 0 : 1);
    if (owned < RUN_MIN_SLICES) {
      return count;
    }
    if (is_first) {
      first_end = end;
    }
    is_first = false;
    start = end - 1;
  }
  return first_end;
}

static double median_gap(const double *distances, size_t count) {
  /* The gap that the most other gaps agree with; counts are small, and a sort would need memory. */
  double best = 0.0;
  size_t best_votes = 0;
  for (size_t i = 1; i < count; i++) {
    double gap = distances[i] - distances[i - 1];
    size_t votes = 0;
    for (size_t j = 1; j < count; j++) {
      votes += fabs(distances[j] - distances[j - 1] - gap) <= RESPACE_OF_SPACING * gap ? 1 : 0;
    }
    if (votes > best_votes) {
      best_votes = votes;
      best = gap;
    }
  }
  return best;
}

/* The sentence for the first gap that does not fit, or none. */
static bool find_gap_problem(const double *distances, const double (*positions)[3], size_t count, double usual,
                             char problem[LVN_GEOMETRY_TEXT_BYTES]) {
  for (size_t i = 1; i < count; i++) {
    double gap = distances[i] - distances[i - 1];
    double missing = round(gap / usual) - 1.0;
    if (fabs(gap - usual) <= RESPACE_OF_SPACING * usual) {
      continue;
    }
    if (missing >= 1.0 && fabs(gap - (missing + 1.0) * usual) <= RESPACE_OF_SPACING * usual) {
      double part = 1.0 / (missing + 1.0);
      (void)snprintf(problem, LVN_GEOMETRY_TEXT_BYTES,
                     "%.0f slice%s missing near (%.1f, %.1f, %.1f) mm: a gap of %.2f mm where slices are %.2f mm apart",
                     missing, missing > 1.0 ? "s are" : " is",
                     positions[i - 1][0] + part * (positions[i][0] - positions[i - 1][0]),
                     positions[i - 1][1] + part * (positions[i][1] - positions[i - 1][1]),
                     positions[i - 1][2] + part * (positions[i][2] - positions[i - 1][2]), gap, usual);
    } else {
      (void)snprintf(problem, LVN_GEOMETRY_TEXT_BYTES,
                     "the slices are not evenly spaced: %.2f mm near (%.1f, %.1f, %.1f) mm, %.2f mm elsewhere", gap,
                     positions[i][0], positions[i][1], positions[i][2], usual);
    }
    return true;
  }
  return false;
}

static void add_note(struct lvn_geometry *geometry, const char *note) {
  size_t used = strlen(geometry->note);
  (void)snprintf(geometry->note + used, sizeof geometry->note - used, "%s%s", used > 0 ? "; " : "", note);
}

/* Shear of the stack: mean in-plane step against the normal step, in mm. */
static bool measure_shear(const struct lvn_plane *plane, const double (*positions)[3], size_t count, double step_mm,
                          struct lvn_geometry *geometry) {
  double step[2];
  double worst = 0.0;
  double steps = (double)(count - 1);
  for (int axis = 0; axis < 2; axis++) {
    const double *u = plane->direction[axis];
    step[axis] = (dot(positions[count - 1], u) - dot(positions[0], u)) / steps;
    for (size_t k = 0; k < count; k++) {
      worst = fmax(worst, fabs(dot(positions[k], u) - dot(positions[0], u) - step[axis] * (double)k));
    }
  }
  if (worst > 0.5 * fmin(plane->spacing_mm[0], plane->spacing_mm[1])) {
    (void)snprintf(geometry->problem, sizeof geometry->problem,
                   "the slices do not lie behind one another: one is %.2f mm off sideways", worst);
    return false;
  }
  double sideways = hypot(step[0], step[1]);
  double degrees = atan2(sideways, step_mm) * 180.0 / M_PI;
  if (sideways * steps <= 0.1 * fmin(plane->spacing_mm[0], plane->spacing_mm[1])) {
    return true;
  }
  if (degrees > TILT_MAX_DEGREES) {
    (void)snprintf(geometry->problem, sizeof geometry->problem,
                   "the stack is sheared by %.1f degrees, more than a gantry can tilt", degrees);
    return false;
  }
  geometry->is_sheared = true;
  for (int axis = 0; axis < 2; axis++) {
    double voxels = step[axis] / plane->spacing_mm[axis];
    double total = voxels * steps;
    geometry->step_shift[axis] = voxels;
    geometry->first_shift[axis] = total < 0.0 ? ceil(-total) : 0.0;
    geometry->grid.size[axis] += (uint32_t)ceil(fabs(total));
    for (int i = 0; i < 3; i++) {
      geometry->grid.origin_mm[i] -=
          geometry->first_shift[axis] * plane->spacing_mm[axis] * geometry->grid.direction[axis][i];
    }
  }
  char note[64];
  (void)snprintf(note, sizeof note, "gantry tilt %.1f degrees resampled", degrees);
  add_note(geometry, note);
  return true;
}

static bool measure_spacing(const struct lvn_plane *plane, const double normal[3], const double (*positions)[3],
                            size_t count, struct lvn_geometry *geometry) {
  struct lvn_error err;
  LVN_AUTOFREE double *distances = lvn_alloc(count, sizeof *distances, &err);
  double worst = 0.0;
  if (distances == NULL) {
    (void)snprintf(geometry->problem, sizeof geometry->problem, "out of memory");
    return false;
  }
  for (size_t k = 0; k < count; k++) {
    distances[k] = dot(positions[k], normal) - dot(positions[0], normal);
  }
  double usual = median_gap(distances, count);
  if (find_gap_problem(distances, positions, count, usual, geometry->problem)) {
    return false;
  }
  double step = distances[count - 1] / (double)(count - 1);
  for (size_t k = 0; k < count; k++) {
    worst = fmax(worst, fabs(distances[k] - step * (double)k));
  }
  geometry->grid.spacing_mm[2] = step;
  if (worst > RESPACE_OF_SPACING * step) {
    (void)snprintf(geometry->problem, sizeof geometry->problem,
                   "the slices are not evenly spaced: up to %.2f mm off at a spacing of %.2f mm", worst, step);
    return false;
  }
  if (worst > fmax(ROUNDING_OF_SPACING * step, ROUNDING_MM)) {
    char note[96];
    geometry->is_respaced = true;
    (void)snprintf(note, sizeof note, "slices up to %.2f mm off an even spacing of %.2f mm resampled", worst, step);
    add_note(geometry, note);
  }
  return measure_shear(plane, positions, count, step, geometry);
}

void lvn_geometry_measure(const struct lvn_plane *plane, const double (*positions)[3], size_t count,
                          struct lvn_geometry *ret_geometry) {
  struct lvn_geometry geometry = {.grid = {.size = {plane->columns, plane->rows, (uint32_t)count}}};
  memcpy(geometry.grid.direction, plane->direction, sizeof plane->direction);
  lvn_plane_normal(plane, geometry.grid.direction[2]);
  memcpy(geometry.grid.spacing_mm, plane->spacing_mm, sizeof plane->spacing_mm);
  geometry.grid.spacing_mm[2] = plane->thickness_mm;
  if (count > 0) {
    memcpy(geometry.grid.origin_mm, positions[0], sizeof geometry.grid.origin_mm);
  }
  if (!(plane->spacing_mm[0] > 0.0 && plane->spacing_mm[0] < 100.0 && plane->spacing_mm[1] > 0.0 &&
        plane->spacing_mm[1] < 100.0)) {
    (void)snprintf(geometry.problem, sizeof geometry.problem, "the pixel spacing is missing or makes no sense");
  } else if (count == 0) {
    (void)snprintf(geometry.problem, sizeof geometry.problem, "no slice has a position");
  } else if (count == 1 && !(plane->thickness_mm > 0.0)) {
    (void)snprintf(geometry.problem, sizeof geometry.problem, "a single slice without a thickness");
  } else if (count > 1) {
    (void)measure_spacing(plane, geometry.grid.direction[2], positions, count, &geometry);
  }
  *ret_geometry = geometry;
}

/* Weighted HU of up to four pixels of one slice; adds to sum and weight. Padding and outside do not count. */
static void add_bilinear(const int16_t *slice, const struct lvn_plane *plane, double x, double y, double share,
                         double *sum, double *weight) {
  double base_x = floor(x);
  double base_y = floor(y);
  for (int corner = 0; corner < 4; corner++) {
    double px = base_x + (corner & 1);
    double py = base_y + (corner >> 1);
    double w = share * ((corner & 1) != 0 ? x - base_x : 1.0 - (x - base_x)) *
               (corner >> 1 != 0 ? y - base_y : 1.0 - (y - base_y));
    if (w <= 0.0 || px < 0.0 || py < 0.0 || px >= plane->columns || py >= plane->rows) {
      continue;
    }
    int16_t hu = slice[(size_t)py * plane->columns + (size_t)px];
    if (hu != LVN_HU_PADDING) {
      *sum += w * hu;
      *weight += w;
    }
  }
}

/* The slice at or before grid plane k, and how far the plane lies towards the next one. */
static size_t find_neighbour(const struct lvn_geometry *geometry, const double (*positions)[3], size_t count, size_t k,
                             double *ret_fraction) {
  const double *normal = geometry->grid.direction[2];
  double wanted = dot(positions[0], normal) + geometry->grid.spacing_mm[2] * (double)k;
  size_t lower = k > 0 ? k - 1 : 0;
  *ret_fraction = 0.0;
  if (!geometry->is_respaced) {
    return k;
  }
  while (lower + 2 < count && dot(positions[lower + 1], normal) <= wanted) {
    lower++;
  }
  if (lower + 1 >= count) {
    return count - 1;
  }
  double from = dot(positions[lower], normal);
  double fraction = (wanted - from) / (dot(positions[lower + 1], normal) - from);
  *ret_fraction = fmin(fmax(fraction, 0.0), 1.0);
  return lower;
}

bool lvn_geometry_resample(const struct lvn_geometry *geometry, const struct lvn_plane *plane,
                           const double (*positions)[3], size_t count, const int16_t *slices,
                           struct lvn_volume *ret_volume, struct lvn_error *err) {
  struct lvn_volume volume;
  size_t slice_voxels = (size_t)plane->columns * plane->rows;
  int16_t *target = NULL;
  if (!lvn_volume_create(&geometry->grid, &volume, err)) {
    return false;
  }
  target = volume.hounsfield;
  for (size_t k = 0; k < count; k++) {
    double fraction = 0.0;
    size_t lower = find_neighbour(geometry, positions, count, k, &fraction);
    double shift_x = geometry->first_shift[0] + geometry->step_shift[0] * (double)k;
    double shift_y = geometry->first_shift[1] + geometry->step_shift[1] * (double)k;
    for (uint32_t y = 0; y < geometry->grid.size[1]; y++) {
      for (uint32_t x = 0; x < geometry->grid.size[0]; x++, target++) {
        double sum = 0.0;
        double weight = 0.0;
        add_bilinear(slices + lower * slice_voxels, plane, x - shift_x, y - shift_y, 1.0 - fraction, &sum, &weight);
        if (fraction > 0.0) {
          add_bilinear(slices + (lower + 1) * slice_voxels, plane, x - shift_x, y - shift_y, fraction, &sum, &weight);
        }
        *target = weight >= 0.5 ? (int16_t)lround(sum / weight) : LVN_HU_PADDING;
      }
    }
  }
  *ret_volume = volume;
  return true;
}
