/* The aorta without organ masks: a round, even vessel just before the spine, a little to the left, in the same place on
 * many slices. Works on slices averaged to about 2 mm. */
#include "daemon/base/memory.h"
#include "dicom/read/phase.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIXEL_MM 2.0
#define SLICES_MAX 11
#define BONE_HU 170
#define INSIDE_MM 6.0 /* aortas are 9 mm in radius or more at the liver */
#define RING_IN_MM 14.0
#define RING_OUT_MM 19.0
#define LEFT 13  /* search about the spine's front, in pixels: 26 mm to the right … */
#define RIGHT 20 /* … and 40 mm to the left (patient's left has larger x) */
#define NEAR 8   /* the bright aorta itself draws the spine's centre of mass towards it */
#define FRONT 30
#define SEARCH_WIDTH (LEFT + RIGHT + 1)
#define LEAST_CONTRAST 16.0

/* One slice, patient-oriented (x to the left, y to the back), averaged. */
struct slice {
  int width;
  int height;
  double origin_mm[3]; /* of pixel (0,0) */
  float *hu;           /* padding and outside: -1000 */
  int spine_x;
  int spine_y;
  int centre_x; /* of the body */
  bool has_spine;
};

struct spot {
  double score;
  double hu;
  int x;
  int y;
};

static void slice_clear(struct slice *slice) {
  lvn_free(slice->hu);
  slice->hu = NULL;
}

/* Rows and columns of the volume averaged to PIXEL_MM; axes flipped where they run against the patient's. */
static bool slice_make(const struct lvn_volume *volume, uint32_t z, struct slice *slice, struct lvn_error *err) {
  const struct lvn_grid *grid = &volume->grid;
  int factor = (int)fmax(1.0, floor(PIXEL_MM / grid->spacing_mm[0] + 0.5));
  int columns = (int)grid->size[0] / factor;
  int rows = (int)grid->size[1] / factor;
  bool flip_x = grid->direction[0][0] < 0.0;
  bool flip_y = grid->direction[1][1] < 0.0;
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

static double pixel_mm(const struct lvn_volume *volume) {
  return fmax(1.0, floor(PIXEL_MM / volume->grid.spacing_mm[0] + 0.5)) * volume->grid.spacing_mm[0];
}

/* Bone mass in a disc, for the vertebral body: where most of it lies, near the midline, in the back half. */
static void find_spine(struct slice *slice, double step) {
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

/* Even inside, darker around: mean inside minus mean of the ring, less twice the unevenness. */
static struct spot rate(const struct slice *slice, int x, int y, double step) {
  struct spot spot = {.score = -HUGE_VAL, .x = x, .y = y};
  int reach = (int)ceil(RING_OUT_MM / step);
  double inside[3] = {0.0, 0.0, 0.0};
  double ring[2] = {0.0, 0.0};
  for (int dy = -reach; dy <= reach; dy++) {
    for (int dx = -reach; dx <= reach; dx++) {
      double r = step * sqrt((double)(dx * dx + dy * dy));
      int px = x + dx;
      int py = y + dy;
      if (r > RING_OUT_MM || px < 0 || px >= slice->width || py < 0 || py >= slice->height) {
        continue;
      }
      double hu = (double)slice->hu[py * slice->width + px];
      if (r <= INSIDE_MM) {
        inside[0] += 1.0;
        inside[1] += hu;
        inside[2] += hu * hu;
      } else if (r >= RING_IN_MM) {
        ring[0] += 1.0;
        ring[1] += fmin(fmax(hu, -100.0), 300.0);
      }
    }
  }
  if (inside[0] < 5.0 || ring[0] < 10.0) {
    return spot;
  }
  double mean = inside[1] / inside[0];
  double spread = sqrt(fmax(0.0, inside[2] / inside[0] - mean * mean));
  if (mean > 15.0 && mean < 700.0) {
    spot.hu = mean;
    /* a bright vessel's edge makes it uneven; and of two bright vessels the aorta is the brighter one */
    spot.score =
        fmin(mean - ring[1] / ring[0], 120.0) - 2.0 * fmax(0.0, spread - 0.08 * mean) + 0.1 * fmin(mean, 350.0);
  }
  return spot;
}

static int compare_doubles(const void *a, const void *b) {
  double left = *(const double *)a;
  double right = *(const double *)b;
  return left < right ? -1 : (left > right ? 1 : 0);
}

static double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare_doubles);
  return count == 0 ? NAN : 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

/* The place relative to the spine that rates best over all slices, then the best near it on each slice. */
static void find_aorta(const struct slice *slices, size_t count, double step, struct lvn_phase_image *image) {
  double sum[FRONT][SEARCH_WIDTH];
  size_t used = 0;
  int best_x = 0;
  int best_y = 0;
  double best = -HUGE_VAL;
  memset(sum, 0, sizeof sum);
  for (size_t s = 0; s < count; s++) {
    used += slices[s].has_spine ? 1 : 0;
    for (int y = 0; y < FRONT && slices[s].has_spine; y++) {
      for (int x = 0; x < SEARCH_WIDTH; x++) {
        struct spot spot = rate(&slices[s], slices[s].spine_x - LEFT + x, slices[s].spine_y - NEAR - y, step);
        sum[y][x] += fmax(spot.score, -50.0);
      }
    }
  }
  for (int y = 0; y < FRONT; y++) {
    for (int x = 0; x < SEARCH_WIDTH; x++) {
      /* left of the midline and close to the spine is where it is expected */
      double off = hypot(step * (x - LEFT) - 10.0, step * (y + NEAR) - 30.0);
      double score = sum[y][x] - (double)used * 0.6 * fmax(0.0, off - 8.0);
      if (score > best) {
        best = score;
        best_x = x;
        best_y = y;
      }
    }
  }
  double hu[SLICES_MAX];
  size_t good = 0;
  for (size_t s = 0; s < count; s++) {
    struct spot top = {.score = -HUGE_VAL};
    for (int k = 0; k < 49 && slices[s].has_spine; k++) {
      struct spot spot = rate(&slices[s], slices[s].spine_x - LEFT + best_x + k % 7 - 3,
                              slices[s].spine_y - NEAR - best_y + k / 7 - 3, step);
      top = spot.score > top.score ? spot : top;
    }
    if (top.score > LEAST_CONTRAST) {
      for (int a = 0; a < 3; a++) {
        const double at[3] = {top.x * step, top.y * step, 0.0};
        image->aorta_centre_mm[a] += slices[s].origin_mm[a] + at[a];
      }
      hu[good++] = top.hu;
    }
  }
  if (used > 0 && 2 * good >= used && good > 0) {
    image->aorta_hu = median(hu, good);
    image->aorta_found = true;
    for (int a = 0; a < 3; a++) {
      image->aorta_centre_mm[a] /= (double)good;
    }
  }
}

/* Brightest even disc on each side of the spine; a pair of alike ones is taken for the kidneys. */
static double kidneys_of(const struct slice *slice, double step) {
  double side[2] = {-HUGE_VAL, -HUGE_VAL};
  for (int k = 0; k < 2 && slice->has_spine; k++) {
    int sign = k == 0 ? -1 : 1;
    for (int out = (int)(38.0 / step); out < (int)(80.0 / step); out++) {
      for (int y = slice->spine_y - (int)(30.0 / step); y < slice->spine_y + (int)(25.0 / step); y++) {
        struct spot spot = rate(slice, slice->spine_x + sign * out, y, step);
        bool even = spot.score > -10.0 && spot.hu < 400.0;
        side[k] = even && spot.hu > side[k] ? spot.hu : side[k];
      }
    }
  }
  double low = fmin(side[0], side[1]);
  return low > 90.0 && fabs(side[0] - side[1]) < 40.0 ? low : NAN;
}

static double soft_tissue_of(const struct slice *slice) {
  size_t histogram[301] = {0};
  size_t total = 0;
  for (int y = 0; y < slice->height; y++) {
    for (int x = 0; x < slice->centre_x && x < slice->width; x++) {
      float hu = slice->hu[y * slice->width + x];
      if (hu >= 0.0F && hu <= 300.0F) {
        histogram[(int)hu]++;
        total++;
      }
    }
  }
  size_t seen = 0;
  for (int hu = 0; hu <= 300; hu++) {
    seen += histogram[hu];
    if (total > 0 && 2 * seen >= total) {
      return hu;
    }
  }
  return NAN;
}

static bool is_axial(const struct lvn_grid *grid) {
  return fabs(grid->direction[0][0]) > 0.95 && fabs(grid->direction[1][1]) > 0.95;
}

static size_t gather(const double *values, size_t count, double *ret_finite) {
  size_t finite = 0;
  for (size_t i = 0; i < count; i++) {
    if (isfinite(values[i])) {
      ret_finite[finite++] = values[i];
    }
  }
  return finite;
}

bool lvn_phase_measure_image(const struct lvn_volume *volume, struct lvn_phase_image *ret_image,
                             struct lvn_error *err) {
  struct lvn_phase_image image = {.aorta_hu = NAN, .soft_tissue_hu = NAN, .kidney_hu = NAN};
  struct slice slices[SLICES_MAX] = {0};
  double soft[SLICES_MAX];
  double kidney[SLICES_MAX];
  double finite[SLICES_MAX];
  uint32_t depth = volume->grid.size[2];
  size_t count = depth < SLICES_MAX ? depth : SLICES_MAX;
  double step = pixel_mm(volume);
  bool done = true;
  if (is_axial(&volume->grid)) {
    for (size_t s = 0; s < count && done; s++) {
      /* spread over the middle of the stack */
      double where = ((double)s + 0.5) / (double)count * 0.8 + 0.1;
      uint32_t z = count == depth ? (uint32_t)s : (uint32_t)(where * depth);
      done = slice_make(volume, z, &slices[s], err);
      if (done) {
        find_spine(&slices[s], step);
        soft[s] = soft_tissue_of(&slices[s]);
        kidney[s] = kidneys_of(&slices[s], step);
      }
    }
    if (done) {
      find_aorta(slices, count, step, &image);
      image.soft_tissue_hu = median(finite, gather(soft, count, finite));
      image.kidney_hu = median(finite, gather(kidney, count, finite));
    }
  }
  for (size_t s = 0; s < SLICES_MAX; s++) {
    slice_clear(&slices[s]);
  }
  if (done) {
    *ret_image = image;
  }
  return done;
}

/* Blood without contrast agent, anaemic, with noise; and an aorta full of it. */
#define VESSEL_LOW_HU 15.0
#define VESSEL_HIGH_HU 700.0

void lvn_phase_measure_image_at(const struct lvn_volume *volume, const double aorta_centre_mm[3],
                                struct lvn_phase_image *image) {
  double values[1024];
  size_t count = 0;
  for (int z = -2; z <= 2; z++) {
    for (int y = -6; y <= 6; y++) {
      for (int x = -6; x <= 6; x++) {
        const double at[3] = {aorta_centre_mm[0] + x, aorta_centre_mm[1] + y, aorta_centre_mm[2] + 5.0 * z};
        float hu = x * x + y * y <= 36 ? lvn_volume_sample(volume, at) : (float)LVN_HU_PADDING;
        if (hu > (float)LVN_HU_PADDING && count < sizeof values / sizeof values[0]) {
          values[count++] = (double)hu;
        }
      }
    }
  }
  if (count < 50) {
    return;
  }
  double hu = median(values, count);
  if (hu < VESSEL_LOW_HU || hu > VESSEL_HIGH_HU) {
    return; /* fat, gas or bone: the place was not the aorta's */
  }
  image->aorta_hu = hu;
  image->aorta_found = true;
  image->aorta_by_position = true;
  memcpy(image->aorta_centre_mm, aorta_centre_mm, sizeof image->aorta_centre_mm);
}

#define SAME_PLACE_MM 9.0

static bool same_place(const struct lvn_phase_image *a, const struct lvn_phase_image *b) {
  return hypot(a->aorta_centre_mm[0] - b->aorta_centre_mm[0], a->aorta_centre_mm[1] - b->aorta_centre_mm[1]) <
         SAME_PLACE_MM;
}

void lvn_phase_agree_on_aorta(const struct lvn_volume *const *volumes, struct lvn_phase_image *images, size_t count) {
  const struct lvn_phase_image *place = NULL;
  size_t most = 0;
  for (size_t i = 0; i < count; i++) {
    size_t votes = 0;
    for (size_t j = 0; j < count && images[i].aorta_found; j++) {
      votes += images[j].aorta_found && same_place(&images[i], &images[j]) ? 1 : 0;
    }
    /* of equal votes the brightest: there the vessel cannot be mistaken for muscle */
    if (votes > most || (votes == most && votes > 0 && images[i].aorta_hu > place->aorta_hu)) {
      place = &images[i];
      most = votes;
    }
  }
  if (place == NULL) {
    return;
  }
  const struct lvn_phase_image agreed = *place;
  for (size_t i = 0; i < count; i++) {
    bool agrees = images[i].aorta_found && same_place(&images[i], &agreed);
    /* nothing else before the spine is as bright and even as an artery */
    bool artery = images[i].aorta_found && images[i].aorta_hu > 180.0;
    if (agrees || artery) {
      continue;
    }
    /* What stands alone against the others is no evidence, and neither is a place that nobody else confirms. */
    images[i].aorta_found = false;
    if (volumes[i] != NULL) {
      lvn_phase_measure_image_at(volumes[i], agreed.aorta_centre_mm, &images[i]);
    }
  }
}
