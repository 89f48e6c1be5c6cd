/* The aorta without organ masks: a round, even vessel just before the spine, a little to the left, in the same place on
 * many slices. Works on slices averaged to about 2 mm. */
#include "base/memory.h"
#include "dicom/read/phase.h"
#include "dicom/read/phase_slice.h"

#include <math.h>
#include <string.h>

#define LEFT 13  /* search about the spine's front, in pixels: 26 mm to the right … */
#define RIGHT 20 /* … and 40 mm to the left (patient's left has larger x) */
#define NEAR 8   /* the bright aorta itself draws the spine's centre of mass towards it */
#define FRONT 30
#define SEARCH_WIDTH (LEFT + RIGHT + 1)
#define LEAST_CONTRAST 16.0

/* aortas are 9 mm in radius or more at the liver … */
static const struct lvn_phase_disc vessel = {.inside_mm = 6.0, .ring_in_mm = 14.0, .ring_out_mm = 19.0};
/* … but in children and small women, and where they are wide */
static const struct lvn_phase_disc narrow = {.inside_mm = 4.0, .ring_in_mm = 9.0, .ring_out_mm = 13.0};
static const struct lvn_phase_disc wide = {.inside_mm = 10.0, .ring_in_mm = 21.0, .ring_out_mm = 27.0};
/* Share of the ring that must be darker. The spine and the vena cava are not. */
#define NARROW_ALONE 0.7
#define ARTERY_ALONE 0.5
#define VEIN_ALONE 0.5
#define CONTRAST_HU 120.0 /* without contrast agent the vessel hardly differs from what is around it */
#define ARTERY_HU 180.0
#define UNEVEN_SHARE 0.12 /* standard deviation as a share of the mean, above that of noisy blood */
#define BONE_ABOUT 0.15   /* share of the ring that is clearly brighter */
#define BRIGHTER_HU 60.0  /* by which a narrow or wide vessel must exceed what the usual disc shows */

static struct lvn_phase_spot rate(const struct lvn_phase_slice *slice, int x, int y,
                                  const struct lvn_phase_disc *disc) {
  struct lvn_phase_spot spot = lvn_phase_slice_rate(slice, x, y, disc);
  /* what is bright is a vessel only where it stands alone: else it is the front of a vertebra */
  double alone = disc == &narrow ? NARROW_ALONE : (spot.hu > ARTERY_HU ? ARTERY_ALONE : VEIN_ALONE);
  /* … or its plate, bright in patches between rims of bone */
  bool is_bone = spot.hu > ARTERY_HU && spot.spread > UNEVEN_SHARE * spot.hu && spot.brighter > BONE_ABOUT;
  if (is_bone || (spot.hu > CONTRAST_HU && spot.darker < alone)) {
    spot.score = -HUGE_VAL;
  }
  return spot;
}

/* The place relative to the spine that rates best over all slices, then the best near it on each slice. */
static void find_aorta(const struct lvn_phase_slice *slices, size_t count, const struct lvn_phase_disc *disc,
                       struct lvn_phase_image *image) {
  double step = count > 0 ? slices[0].step_mm : 1.0;
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
        struct lvn_phase_spot spot = rate(&slices[s], slices[s].spine_x - LEFT + x, slices[s].spine_y - NEAR - y, disc);
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
  double hu[LVN_PHASE_SLICES];
  size_t good = 0;
  memset(image->aorta_centre_mm, 0, sizeof image->aorta_centre_mm);
  for (size_t s = 0; s < count; s++) {
    struct lvn_phase_spot top = {.score = -HUGE_VAL};
    for (int k = 0; k < 49 && slices[s].has_spine; k++) {
      struct lvn_phase_spot spot = rate(&slices[s], slices[s].spine_x - LEFT + best_x + k % 7 - 3,
                                        slices[s].spine_y - NEAR - best_y + k / 7 - 3, disc);
      top = spot.score > top.score ? spot : top;
    }
    if (top.score > LEAST_CONTRAST) {
      const double at[3] = {top.x * step, top.y * step, 0.0};
      for (int a = 0; a < 3; a++) {
        image->aorta_track_mm[good][a] = slices[s].origin_mm[a] + at[a];
        image->aorta_centre_mm[a] += image->aorta_track_mm[good][a];
      }
      hu[good++] = top.hu;
    }
  }
  if (used > 0 && 2 * good >= used && good > 0) {
    image->aorta_hu = lvn_phase_median(hu, good);
    image->aorta_found = true;
    image->aorta_track_count = good;
    for (int a = 0; a < 3; a++) {
      image->aorta_centre_mm[a] /= (double)good;
    }
  }
}

/* Brightest even disc on each side of the spine; a pair of alike ones is taken for the kidneys. */
static double kidneys_of(const struct lvn_phase_slice *slice) {
  double step = slice->step_mm;
  double side[2] = {-HUGE_VAL, -HUGE_VAL};
  for (int k = 0; k < 2 && slice->has_spine; k++) {
    int sign = k == 0 ? -1 : 1;
    for (int out = (int)(38.0 / step); out < (int)(80.0 / step); out++) {
      for (int y = slice->spine_y - (int)(30.0 / step); y < slice->spine_y + (int)(25.0 / step); y++) {
        struct lvn_phase_spot spot = lvn_phase_slice_rate(slice, slice->spine_x + sign * out, y, &vessel);
        bool even = spot.score > -10.0 && spot.hu < 400.0;
        side[k] = even && spot.hu > side[k] ? spot.hu : side[k];
      }
    }
  }
  double low = fmin(side[0], side[1]);
  return low > 90.0 && fabs(side[0] - side[1]) < 40.0 ? low : NAN;
}

static double soft_tissue_of(const struct lvn_phase_slice *slice) {
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
  struct lvn_phase_image image = {.aorta_hu = NAN, .soft_tissue_hu = NAN, .kidney_hu = NAN, .elsewhere_hu = NAN};
  LVN_CLEANUP(lvn_phase_slices_clear) struct lvn_phase_slices slices = {0};
  double soft[LVN_PHASE_SLICES];
  double kidney[LVN_PHASE_SLICES];
  double finite[LVN_PHASE_SLICES];
  if (!lvn_phase_slices_make(volume, &slices, err)) {
    return false;
  }
  for (size_t s = 0; s < slices.count; s++) {
    lvn_phase_slice_find_spine(&slices.items[s]);
    soft[s] = soft_tissue_of(&slices.items[s]);
    kidney[s] = kidneys_of(&slices.items[s]);
  }
  const struct lvn_phase_image unseen = image;
  find_aorta(slices.items, slices.count, &vessel, &image);
  const struct lvn_phase_disc *const others[] = {&narrow, &wide};
  for (size_t i = 0; i < 2; i++) {
    struct lvn_phase_image other = unseen;
    find_aorta(slices.items, slices.count, others[i], &other);
    if (other.aorta_found && other.aorta_hu > CONTRAST_HU &&
        (!image.aorta_found || other.aorta_hu > image.aorta_hu + BRIGHTER_HU)) {
      image = other;
    }
  }
  image.soft_tissue_hu = lvn_phase_median(finite, gather(soft, slices.count, finite));
  image.kidney_hu = lvn_phase_median(finite, gather(kidney, slices.count, finite));
  *ret_image = image;
  return true;
}
