#include "dicom/read/hounsfield.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LOWEST_HU (-2100)
#define HIGHEST_HU 3100
#define BINS (HIGHEST_HU - LOWEST_HU + 1)
#define SAMPLES_PER_SLICE 4096 /* enough for shares of a per cent */

#define AIR_HU (-300) /* below: air, lung */
#define DENSE_HU 700  /* above: the densest bone, metal, barium: a few per cent of a body at the most */
#define TISSUE_LOW_HU (-200)
#define TISSUE_HIGH_HU 300

#define DENSE_MAX 0.20
#define DENSE_MAX_WITHOUT_AIR 0.05 /* a metal implant in a cropped image */
#define NO_AIR 0.005
#define TISSUE_MIN 0.025 /* a small child in a wide field of view */
#define ONE_VALUE_MAX 0.35
#define MEASURED_MIN 0.01

struct histogram {
  double count[BINS]; /* beyond either end: in the last bin */
  double measured;    /* not padding */
  double samples;
};

/* Shares of one slice's measured pixels. */
struct shares {
  double measured;
  double air;
  double tissue;
  double dense;
};

static double share_between(const struct histogram *histogram, int from_hu, int to_hu) {
  double sum = 0.0;
  for (int hu = from_hu; hu <= to_hu; hu++) {
    sum += histogram->count[hu - LOWEST_HU];
  }
  return histogram->measured > 0.0 ? sum / histogram->measured : 0.0;
}

/* Where most pixels lie within `reach` of one value, between two values. */
static int mode_between(const struct histogram *histogram, int from_hu, int to_hu, int reach) {
  int best_hu = from_hu;
  double best = -1.0;
  for (int hu = from_hu; hu <= to_hu; hu++) {
    double share = share_between(histogram, hu - reach, hu + reach);
    if (share > best) {
      best = share;
      best_hu = hu;
    }
  }
  return best_hu;
}

static void add_slice(const struct lvn_volume *volume, uint32_t z, struct histogram *histogram,
                      struct shares *ret_shares) {
  size_t pixels = (size_t)volume->grid.size[0] * volume->grid.size[1];
  const int16_t *slice = volume->hounsfield + (size_t)z * pixels;
  size_t step = pixels / SAMPLES_PER_SLICE + 1;
  struct shares shares = {0};
  double samples = 0.0;
  step += step > 1 && volume->grid.size[0] % step == 0 ? 1 : 0; /* not always the same columns */
  for (size_t i = step / 2; i < pixels; i += step) {
    int hu = slice[i];
    samples += 1.0;
    if (hu == LVN_HU_PADDING) {
      continue;
    }
    hu = hu < LOWEST_HU ? LOWEST_HU : (hu > HIGHEST_HU ? HIGHEST_HU : hu);
    histogram->count[hu - LOWEST_HU] += 1.0;
    shares.measured += 1.0;
    shares.air += hu < AIR_HU ? 1.0 : 0.0;
    shares.tissue += hu >= TISSUE_LOW_HU && hu <= TISSUE_HIGH_HU ? 1.0 : 0.0;
    shares.dense += hu > DENSE_HU ? 1.0 : 0.0;
  }
  histogram->samples += samples;
  histogram->measured += shares.measured;
  if (shares.measured > 0.0) {
    shares.air /= shares.measured;
    shares.tissue /= shares.measured;
    shares.dense /= shares.measured;
    shares.measured /= samples;
  }
  *ret_shares = shares;
}

/* Too much that would be bone, or hardly any tissue: an offset was left out or added twice. */
static bool doubt_offset(const struct histogram *histogram, char doubt[LVN_HOUNSFIELD_TEXT_BYTES]) {
  double dense = share_between(histogram, DENSE_HU + 1, HIGHEST_HU);
  double air = share_between(histogram, LOWEST_HU, AIR_HU - 1);
  double tissue = share_between(histogram, TISSUE_LOW_HU, TISSUE_HIGH_HU);
  if (dense > DENSE_MAX || (air < NO_AIR && dense > DENSE_MAX_WITHOUT_AIR)) {
    (void)snprintf(doubt, LVN_HOUNSFIELD_TEXT_BYTES, "%.0f %% of its pixels would be denser than bone%s", 100.0 * dense,
                   air < NO_AIR ? ", and there is no air" : "");
  } else if (tissue < TISSUE_MIN) {
    (void)snprintf(doubt, LVN_HOUNSFIELD_TEXT_BYTES, "only %.1f %% of its pixels would be tissue", 100.0 * tissue);
  }
  return doubt[0] != '\0';
}

/* A value that fills the frame is a background, and air is not at 0 HU. */
static bool doubt_background(const struct histogram *histogram, char doubt[LVN_HOUNSFIELD_TEXT_BYTES]) {
  for (int hu = AIR_HU; hu <= DENSE_HU; hu++) {
    double share = share_between(histogram, hu, hu);
    if (share > ONE_VALUE_MAX) {
      (void)snprintf(doubt, LVN_HOUNSFIELD_TEXT_BYTES, "%.0f %% of its pixels are exactly %d", 100.0 * share, hu);
      return true;
    }
  }
  return false;
}

static bool is_no_air(int hu) {
  return hu < -1100 || hu > -700;
}

/* Air, fat and soft tissue each make a peak: where it stands tells of a wrong scale. */
static bool doubt_scale(struct histogram *histogram, char doubt[LVN_HOUNSFIELD_TEXT_BYTES]) {
  int air_hu = mode_between(histogram, -1900, AIR_HU - 40, 8);
  int commonest_hu = mode_between(histogram, air_hu - 8, air_hu + 8, 0);
  double exactly = share_between(histogram, commonest_hu, commonest_hu);
  if (exactly > 0.8 * share_between(histogram, air_hu - 8, air_hu + 8) && is_no_air(commonest_hu)) {
    /* a filler: air is never without noise */
    histogram->measured -= histogram->count[commonest_hu - LOWEST_HU];
    histogram->count[commonest_hu - LOWEST_HU] = 0.0;
    air_hu = mode_between(histogram, -1900, AIR_HU - 40, 8);
  }
  double air = share_between(histogram, LOWEST_HU, AIR_HU - 1);
  double air_peak = share_between(histogram, air_hu - 40, air_hu + 40);
  if (air > 0.10 && air_peak > 0.5 * air && is_no_air(air_hu)) {
    (void)snprintf(doubt, LVN_HOUNSFIELD_TEXT_BYTES, "its air would be at %d HU", air_hu);
    return true;
  }
  double rest = 1.0 - air;
  int fat_hu = mode_between(histogram, -400, -20, 12);
  double fat = share_between(histogram, fat_hu - 12, fat_hu + 12);
  double shoulders =
      fmax(share_between(histogram, fat_hu - 72, fat_hu - 48), share_between(histogram, fat_hu + 48, fat_hu + 72));
  if (fat_hu < -155 && fat > 0.06 * rest && fat > 1.5 * shoulders) {
    (void)snprintf(doubt, LVN_HOUNSFIELD_TEXT_BYTES, "its fat would be at %d HU", fat_hu);
    return true;
  }
  int soft_hu = mode_between(histogram, -20, DENSE_HU, 15);
  if (soft_hu > 270 && share_between(histogram, soft_hu - 25, soft_hu + 25) > 0.15 * rest) {
    (void)snprintf(doubt, LVN_HOUNSFIELD_TEXT_BYTES, "its soft tissue would be at %d HU", soft_hu);
    return true;
  }
  return false;
}

/* One slice with another scale than its neighbours. */
static bool doubt_slice(const struct shares *shares, uint32_t count, char doubt[LVN_HOUNSFIELD_TEXT_BYTES]) {
  for (uint32_t z = 0; z < count; z++) {
    const struct shares *slice = &shares[z];
    const struct shares *below = &shares[z > 0 ? z - 1 : (count > 1 ? 1 : 0)];
    const struct shares *above = &shares[z + 1 < count ? z + 1 : (count > 1 ? count - 2 : 0)];
    bool lost = z > 0 && z + 1 < count && fmin(below->tissue, above->tissue) > 0.10 &&
                slice->tissue < 0.2 * fmin(below->tissue, above->tissue);
    bool dense = slice->dense > 0.08 && slice->air < NO_AIR && fmax(below->dense, above->dense) < 0.25 * slice->dense &&
                 fmax(below->air, above->air) > NO_AIR;
    if (lost || dense || (slice->measured > 0.25 && slice->dense > 0.35)) {
      (void)snprintf(doubt, LVN_HOUNSFIELD_TEXT_BYTES, "slice %u of %u does not fit its neighbours", z + 1, count);
      return true;
    }
  }
  return false;
}

bool lvn_hounsfield_check(const struct lvn_volume *volume, char ret_doubt[LVN_HOUNSFIELD_TEXT_BYTES],
                          struct lvn_error *err) {
  uint32_t count = volume->grid.size[2];
  LVN_AUTOFREE struct histogram *histogram = lvn_alloc(1, sizeof *histogram, err);
  LVN_AUTOFREE struct shares *shares = NULL;
  ret_doubt[0] = '\0';
  if (histogram == NULL || (shares = lvn_alloc(count, sizeof *shares, err)) == NULL) {
    return false;
  }
  for (uint32_t z = 0; z < count; z++) {
    add_slice(volume, z, histogram, &shares[z]);
  }
  if (histogram->measured < MEASURED_MIN * histogram->samples) {
    (void)lvn_copy(ret_doubt, LVN_HOUNSFIELD_TEXT_BYTES, "nearly all of its pixels are padding");
    return true;
  }
  (void)(doubt_offset(histogram, ret_doubt) || doubt_slice(shares, count, ret_doubt) ||
         doubt_background(histogram, ret_doubt) || doubt_scale(histogram, ret_doubt));
  return true;
}
