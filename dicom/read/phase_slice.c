#include "dicom/read/phase_slice.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

#define PIXEL_MM 2.0
#define BONE_HU 170
#define CLEARLY_HU 40.0
#define RING_PIXELS_MAX 1024

/* Rows and columns of the volume averaged to PIXEL_MM; axes flipped where they run against the patient's. */
static bool slice_make(const struct lvn_volume *volume, uint32_t z, struct lvn_phase_slice *slice,
                       struct lvn_error *err) {
  const struct lvn_grid *grid = &volume->grid;
  int factor = (int)fmax(1.0, floor(PIXEL_MM / grid->spacing_mm[0] + 0.5));
  int columns = (int)grid->size[0] / factor;
  int rows = (int)grid->size[1] / factor;
  bool flip_x = grid->direction[0][0] < 0.0;
  bool flip_y = grid->direction[1][1] < 0.0;
  slice->step_mm = factor * grid->spacing_mm[0];
  slice->width = columns;
  slice->height = rows;
  slice->hu = lvn_alloc((size_t)columns * (size_t)rows, sizeof *slice->hu, err);
  if (slice->hu == NULL) {
    return false;
  }
  for (int y = 0; y < rows; y++) {
    for (int x = 0; x < columns; x++) {
      int sum = 0;
      int count = 0;
      for (int k = 0; k < factor * factor; k++) {
        size_t row = (size_t)(y * factor + k / factor);
        int16_t hu =
            volume->hounsfield[((size_t)z * grid->size[1] + row) * grid->size[0] + (size_t)(x * factor + k % factor)];
        sum += hu == LVN_HU_PADDING ? 0 : hu;
        count += hu == LVN_HU_PADDING ? 0 : 1;
      }
      int to_x = flip_x ? columns - 1 - x : x;
      int to_y = flip_y ? rows - 1 - y : y;
      slice->hu[to_y * columns + to_x] = count == 0 ? -1000.0F : (float)sum / (float)count;
    }
  }
  double half = (factor - 1) / 2.0;
  const double first[3] = {flip_x ? (columns - 1) * factor + half : half, flip_y ? (rows - 1) * factor + half : half,
                           z};
  lvn_grid_to_patient(grid, first, slice->origin_mm);
  return true;
}

/* Bone mass in a disc, for the vertebral body: where most of it lies, near the midline, in the back half. */
void lvn_phase_slice_find_spine(struct lvn_phase_slice *slice) {
  double step = slice->step_mm;
  double mass = 0.0;
  double sum_x = 0.0;
  int top = slice->height;
  int bottom = 0;
  for (int y = 0; y < slice->height; y++) {
    int body = 0;
    for (int x = 0; x < slice->width; x++) {
      if (slice->hu[y * slice->width + x] > -300.0F) {
        mass += 1.0;
        sum_x += x;
        body++;
      }
    }
    if (body * step > 60.0) {
      top = y < top ? y : top;
      bottom = y;
    }
  }
  slice->has_spine = false;
  if (mass * step * step < 1e4 || bottom <= top) {
    return;
  }
  slice->centre_x = (int)(sum_x / mass);
  int reach = (int)(18.0 / step);
  int most = (int)(250.0 / (step * step));
  for (int y = top + (bottom - top) * 45 / 100; y < bottom - reach / 2; y++) {
    for (int x = slice->centre_x - 2 * reach; x <= slice->centre_x + 2 * reach; x++) {
      int bone = 0;
      for (int dy = -reach; dy <= reach; dy++) {
        for (int dx = -reach; dx <= reach; dx++) {
          int px = x + dx;
          int py = y + dy;
          bone += px >= 0 && px < slice->width && py >= 0 && py < slice->height && dx * dx + dy * dy <= reach * reach &&
                          slice->hu[py * slice->width + px] > BONE_HU
                      ? 1
                      : 0;
        }
      }
      if (bone > most) {
        most = bone;
        slice->spine_x = x;
        slice->spine_y = y;
        slice->has_spine = true;
      }
    }
  }
}

struct lvn_phase_spot lvn_phase_slice_rate(const struct lvn_phase_slice *slice, int x, int y,
                                           const struct lvn_phase_disc *disc) {
  struct lvn_phase_spot spot = {.score = -HUGE_VAL, .x = x, .y = y};
  double step = slice->step_mm;
  int reach = (int)ceil(disc->ring_out_mm / step);
  double inside2 = disc->inside_mm * disc->inside_mm;
  double ring_in2 = disc->ring_in_mm * disc->ring_in_mm;
  double ring_out2 = disc->ring_out_mm * disc->ring_out_mm;
  double inside[3] = {0.0, 0.0, 0.0};
  double ring[2] = {0.0, 0.0};
  float around[RING_PIXELS_MAX];
  size_t around_count = 0;
  size_t brighter = 0;
  size_t darker = 0;
  for (int dy = -reach; dy <= reach; dy++) {
    for (int dx = -reach; dx <= reach; dx++) {
      double r2 = step * step * (double)(dx * dx + dy * dy);
      int px = x + dx;
      int py = y + dy;
      if (r2 > ring_out2 || px < 0 || px >= slice->width || py < 0 || py >= slice->height) {
        continue;
      }
      double hu = (double)slice->hu[py * slice->width + px];
      if (r2 <= inside2) {
        inside[0] += 1.0;
        inside[1] += hu;
        inside[2] += hu * hu;
      } else if (r2 >= ring_in2) {
        ring[0] += 1.0;
        ring[1] += fmin(fmax(hu, -100.0), 300.0);
        if (around_count < RING_PIXELS_MAX) {
          around[around_count++] = (float)hu;
        }
      }
    }
  }
  if (inside[0] < 5.0 || ring[0] < 10.0) {
    return spot;
  }
  double mean = inside[1] / inside[0];
  spot.spread = sqrt(fmax(0.0, inside[2] / inside[0] - mean * mean));
  if (mean > 15.0 && mean < 700.0) {
    spot.hu = mean;
    spot.contrast = mean - ring[1] / ring[0];
    for (size_t i = 0; i < around_count; i++) {
      brighter += (double)around[i] > mean + CLEARLY_HU ? 1 : 0;
      darker += (double)around[i] < mean - CLEARLY_HU ? 1 : 0;
    }
    spot.brighter = (double)brighter / (double)around_count;
    spot.darker = (double)darker / (double)around_count;
    /* a bright vessel's edge makes it uneven; and of two bright vessels the aorta is the brighter one */
    spot.score = fmin(spot.contrast, 120.0) - 2.0 * fmax(0.0, spot.spread - 0.08 * mean) + 0.1 * fmin(mean, 350.0);
  }
  return spot;
}

static int compare_doubles(const void *a, const void *b) {
  double left = *(const double *)a;
  double right = *(const double *)b;
  return left < right ? -1 : (left > right ? 1 : 0);
}

double lvn_phase_median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare_doubles);
  return count == 0 ? NAN : 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

static bool is_axial(const struct lvn_grid *grid) {
  return fabs(grid->direction[0][0]) > 0.95 && fabs(grid->direction[1][1]) > 0.95;
}

void lvn_phase_slices_clear(struct lvn_phase_slices *slices) {
  for (size_t s = 0; s < LVN_PHASE_SLICES; s++) {
    lvn_free(slices->items[s].hu);
  }
  *slices = (struct lvn_phase_slices){0};
}

bool lvn_phase_slices_make(const struct lvn_volume *volume, struct lvn_phase_slices *ret_slices,
                           struct lvn_error *err) {
  uint32_t depth = volume->grid.size[2];
  size_t count = depth < LVN_PHASE_SLICES ? depth : LVN_PHASE_SLICES;
  *ret_slices = (struct lvn_phase_slices){0};
  if (!is_axial(&volume->grid)) {
    return true;
  }
  for (size_t s = 0; s < count; s++) {
    double where = ((double)s + 0.5) / (double)count * 0.8 + 0.1;
    uint32_t z = count == depth ? (uint32_t)s : (uint32_t)(where * depth);
    if (!slice_make(volume, z, &ret_slices->items[s], err)) {
      lvn_phase_slices_clear(ret_slices);
      return false;
    }
    ret_slices->count = s + 1;
  }
  return true;
}
