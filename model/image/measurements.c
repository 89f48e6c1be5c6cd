#include "model/image/measurements.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 32 /* places along the crop's side */
#define PLACES (SIDE * SIDE)
#define SAMPLES_ACROSS (LVN_CROP_SIDE / SIDE)
#define PHASES LVN_PHASE_NETWORK_COUNT
#define HALO_MM 2.0
#define RING_MM 8.0
#define REGION_LEAST 4
#define RING_LEAST 8
#define CORE_DEPTH 0.6 /* of the depth of the deepest place */
#define RIM_DEPTH 0.3
#define SECTORS 8
#define AREA_LEAST 0.4 /* of the largest slice's: at its poles a slice shows as much of what lies above or below */
#define LIVER_LEAST_HU 15.0
#define ENHANCEMENT_LEAST_HU 8.0
#define RANGE_LEAST_HU 3.0

enum zone { ZONE_CORE, ZONE_MIDDLE, ZONE_RIM, ZONE_HALO, ZONE_COUNT };

/* Indices of what a slice gives; the rest follows from it. Of each phase NC, ART, PV where there is a [3]. */
enum measurement {
  M_ZONE = 0, /* [3][4] zone less liver */
  M_SPREAD =
      M_ZONE + PHASES * ZONE_COUNT, /* [3][6] 10th, 50th, 90th percentile inside; 10th, 90th of the ring; deviation */
  M_LIVER = M_SPREAD + PHASES * 6,  /* NC; its arterial and portal enhancement */
  M_HU = M_LIVER + PHASES,          /* [3] median inside */
  M_ENHANCEMENT = M_HU + PHASES,    /* core, rim, all: arterial, portal */
  M_SHARE = M_ENHANCEMENT + 6,      /* water, fat, fat in the ring, arterial bright, portal dark, portal bright */
  M_LIKENESS = M_SHARE + 6,         /* of arterial and portal, of NC and arterial pattern */
  M_DEPTH = M_LIKENESS + 2,         /* [3] correlation with depth */
  M_SECTOR = M_DEPTH + PHASES,      /* [3] deviation over eight sectors */
  M_SIZE = M_SECTOR + PHASES,       /* logarithm of twice the depth in mm */
  M_STEP, /* [3][6] rim-core, rim-middle, halo-rim, middle-core, range, deviation over the ring's range */
  M_CHANGE = M_STEP + PHASES * 6,         /* [4 zones] portal less arterial, arterial less NC */
  M_RELATIVE = M_CHANGE + ZONE_COUNT * 2, /* core, rim, all: enhancement over the liver's, arterial over portal */
  M_FILLING = M_RELATIVE + 9,             /* portal less arterial of rim and core; core less rim, portal and arterial */
  M_COUNT = M_FILLING + 4
};
_Static_assert(M_COUNT == LVN_MEASUREMENT_COUNT, "the header's count");

static const char *const names[M_COUNT] = {
    "core-NC",
    "middle-NC",
    "rim-NC",
    "halo-NC",
    "core-ART",
    "middle-ART",
    "rim-ART",
    "halo-ART",
    "core-PV",
    "middle-PV",
    "rim-PV",
    "halo-PV",
    "p10-NC",
    "p50-NC",
    "p90-NC",
    "ring-p10-NC",
    "ring-p90-NC",
    "deviation-NC",
    "p10-ART",
    "p50-ART",
    "p90-ART",
    "ring-p10-ART",
    "ring-p90-ART",
    "deviation-ART",
    "p10-PV",
    "p50-PV",
    "p90-PV",
    "ring-p10-PV",
    "ring-p90-PV",
    "deviation-PV",
    "liver-NC",
    "liver-rise-ART",
    "liver-rise-PV",
    "hu-NC",
    "hu-ART",
    "hu-PV",
    "core-rise-ART",
    "core-rise-PV",
    "rim-rise-ART",
    "rim-rise-PV",
    "rise-ART",
    "rise-PV",
    "water",
    "fat",
    "ring-fat",
    "bright-ART",
    "dark-PV",
    "bright-PV",
    "alike-ART-PV",
    "alike-NC-ART",
    "depth-NC",
    "depth-ART",
    "depth-PV",
    "sectors-NC",
    "sectors-ART",
    "sectors-PV",
    "size",
    "rim-core-NC",
    "rim-middle-NC",
    "halo-rim-NC",
    "middle-core-NC",
    "range-NC",
    "unevenness-NC",
    "rim-core-ART",
    "rim-middle-ART",
    "halo-rim-ART",
    "middle-core-ART",
    "range-ART",
    "unevenness-ART",
    "rim-core-PV",
    "rim-middle-PV",
    "halo-rim-PV",
    "middle-core-PV",
    "range-PV",
    "unevenness-PV",
    "core-ART-to-PV",
    "core-NC-to-ART",
    "middle-ART-to-PV",
    "middle-NC-to-ART",
    "rim-ART-to-PV",
    "rim-NC-to-ART",
    "halo-ART-to-PV",
    "halo-NC-to-ART",
    "core-ART-of-liver",
    "core-PV-of-liver",
    "core-ART-of-PV",
    "rim-ART-of-liver",
    "rim-PV-of-liver",
    "rim-ART-of-PV",
    "ART-of-liver",
    "PV-of-liver",
    "ART-of-PV",
    "rim-late-of-liver",
    "core-late-of-liver",
    "core-over-rim-PV",
    "core-over-rim-ART",
};

const char *lvn_measurement_name(size_t index) {
  return names[index];
}

struct places {
  double mm; /* of a place's side */
  double hu[PHASES][PLACES];
  double share[PLACES]; /* of it that is lesion */
  bool inside[PLACES];
  double depth[PLACES]; /* in mm: of what is inside from the edge, of what is outside to it */
  double deepest;
  bool zone[ZONE_COUNT][PLACES];
  bool ring[PLACES];
  double liver[PHASES];
  double scratch[PLACES];
};

static size_t count_of(const bool *part) {
  size_t count = 0;
  for (size_t i = 0; i < PLACES; i++) {
    count += part[i];
  }
  return count;
}

static void average(const struct lvn_crop_slice *slice, struct places *places) {
  const size_t plane = (size_t)LVN_CROP_SIDE * LVN_CROP_SIDE;
  const double samples = (double)plane / PLACES;
  memset(places->hu, 0, sizeof places->hu);
  memset(places->share, 0, sizeof places->share);
  for (size_t i = 0; i < plane; i++) {
    size_t at = i / LVN_CROP_SIDE / SAMPLES_ACROSS * SIDE + i % LVN_CROP_SIDE / SAMPLES_ACROSS;
    places->share[at] += (slice->mask[i] != 0) / samples;
    for (size_t phase = 0; phase < PHASES; phase++) {
      places->hu[phase][at] += slice->hounsfield[phase * plane + i] / samples;
    }
  }
}

/* More than half of a place; of a lesion too small for that, the places with most of it. */
static void find_inside(struct places *places) {
  double least = 0.5;
  for (;;) {
    for (size_t i = 0; i < PLACES; i++) {
      places->inside[i] = places->share[i] > least;
    }
    if (count_of(places->inside) >= REGION_LEAST || least <= 0.0) {
      break;
    }
    least -= 0.1;
  }
  for (size_t i = 0; count_of(places->inside) == 0 && i < 4; i++) {
    places->inside[(SIDE / 2 - i / 2) * SIDE + SIDE / 2 - i % 2] = true;
  }
}

/* Distance to the nearest place of the other side, between middles, less half a place. */
static void find_depth(struct places *places) {
  places->deepest = 0.0;
  for (size_t i = 0; i < PLACES; i++) {
    long nearest = 2L * SIDE * SIDE;
    for (size_t k = 0; k < PLACES; k++) {
      if (places->inside[k] != places->inside[i]) {
        long dx = (long)(i % SIDE) - (long)(k % SIDE);
        long dy = (long)(i / SIDE) - (long)(k / SIDE);
        nearest = dx * dx + dy * dy < nearest ? dx * dx + dy * dy : nearest;
      }
    }
    places->depth[i] = (sqrt((double)nearest) - 0.5) * places->mm;
    places->deepest = places->inside[i] ? fmax(places->deepest, places->depth[i]) : places->deepest;
  }
}

static void take_outside(const struct places *places, double from_mm, double to_mm, bool *ret_part) {
  for (size_t i = 0; i < PLACES; i++) {
    ret_part[i] = !places->inside[i] && places->depth[i] > from_mm && places->depth[i] <= to_mm;
  }
}

static void find_zones(struct places *places) {
  for (size_t i = 0; i < PLACES; i++) {
    double depth = places->depth[i] / places->deepest;
    places->zone[ZONE_CORE][i] = places->inside[i] && depth > CORE_DEPTH;
    places->zone[ZONE_MIDDLE][i] = places->inside[i] && depth > RIM_DEPTH && depth <= CORE_DEPTH;
    places->zone[ZONE_RIM][i] = places->inside[i] && depth <= RIM_DEPTH;
  }
  for (int zone = ZONE_MIDDLE; zone <= ZONE_RIM; zone++) {
    if (count_of(places->zone[zone]) == 0) {
      memcpy(places->zone[zone], places->inside, sizeof places->inside);
    }
  }
  take_outside(places, 0.0, HALO_MM, places->zone[ZONE_HALO]);
  if (count_of(places->zone[ZONE_HALO]) < REGION_LEAST) {
    take_outside(places, 0.0, 1.5 * places->mm, places->zone[ZONE_HALO]);
  }
  take_outside(places, HALO_MM, RING_MM, places->ring);
  if (count_of(places->ring) < RING_LEAST) {
    take_outside(places, 0.0, HUGE_VAL, places->ring);
  }
}

static double mean_of(const double *values, const bool *part) {
  double sum = 0.0;
  for (size_t i = 0; i < PLACES; i++) {
    sum += part[i] ? values[i] : 0.0;
  }
  return sum / fmax(1.0, (double)count_of(part));
}

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left;
  double b = *(const double *)right;
  return (a > b) - (a < b);
}

/* Sorts the part's values into scratch; returns how many. */
static size_t sort_part(struct places *places, const double *values, const bool *part) {
  size_t count = 0;
  for (size_t i = 0; i < PLACES; i++) {
    if (part[i]) {
      places->scratch[count++] = values[i];
    }
  }
  qsort(places->scratch, count, sizeof places->scratch[0], compare_doubles);
  return count;
}

static double at_quantile(const double *sorted, size_t count, double quantile) {
  return count == 0 ? 0.0 : sorted[(size_t)(quantile * (double)(count - 1) + 0.5)];
}

static double deviation_of(const double *sorted, size_t count) {
  double sum = 0.0;
  double square = 0.0;
  for (size_t i = 0; i < count; i++) {
    sum += sorted[i];
    square += sorted[i] * sorted[i];
  }
  double mean = sum / fmax(1.0, (double)count);
  return sqrt(fmax(0.0, square / fmax(1.0, (double)count) - mean * mean));
}

static double correlation(const double *left, const double *right, const bool *part) {
  double left_mean = mean_of(left, part);
  double right_mean = mean_of(right, part);
  double product = 0.0;
  double left_square = 0.0;
  double right_square = 0.0;
  for (size_t i = 0; i < PLACES; i++) {
    double a = part[i] ? left[i] - left_mean : 0.0;
    double b = part[i] ? right[i] - right_mean : 0.0;
    product += a * b;
    left_square += a * a;
    right_square += b * b;
  }
  double size = sqrt(left_square * right_square);
  return size > 1e-9 ? product / size : 0.0;
}

/* Deviation of the means of eight sectors about the middle. */
static double sectors(const struct places *places, const double *values) {
  double x = 0.0;
  double y = 0.0;
  double sum[SECTORS] = {0};
  double count[SECTORS] = {0};
  double mean[SECTORS];
  size_t used = 0;
  double inside = (double)count_of(places->inside);
  for (size_t i = 0; i < PLACES; i++) {
    size_t row = i / SIDE;
    x += places->inside[i] ? (double)(i % SIDE) / inside : 0.0;
    y += places->inside[i] ? (double)row / inside : 0.0;
  }
  for (size_t i = 0; i < PLACES; i++) {
    size_t row = i / SIDE;
    double turn = (atan2((double)row - y, (double)(i % SIDE) - x) + M_PI) / (2.0 * M_PI);
    size_t sector = (size_t)(turn * SECTORS) % SECTORS;
    sum[sector] += places->inside[i] ? values[i] : 0.0;
    count[sector] += places->inside[i];
  }
  for (size_t s = 0; s < SECTORS; s++) {
    if (count[s] > 0.0) {
      mean[used++] = sum[s] / count[s];
    }
  }
  return deviation_of(mean, used);
}

static void measure_spread(struct places *places, size_t phase, double *values) {
  double *spread = &values[M_SPREAD + 6 * phase];
  const double *hu = places->hu[phase];
  size_t count = sort_part(places, hu, places->inside);
  spread[0] = at_quantile(places->scratch, count, 0.1) - places->liver[phase];
  spread[1] = at_quantile(places->scratch, count, 0.5) - places->liver[phase];
  spread[2] = at_quantile(places->scratch, count, 0.9) - places->liver[phase];
  spread[5] = deviation_of(places->scratch, count);
  values[M_HU + phase] = at_quantile(places->scratch, count, 0.5);
  count = sort_part(places, hu, places->ring);
  spread[3] = at_quantile(places->scratch, count, 0.1) - places->liver[phase];
  spread[4] = at_quantile(places->scratch, count, 0.9) - places->liver[phase];
}

static void measure_shares(const struct places *places, double *values) {
  double inside = (double)count_of(places->inside);
  double ring = fmax(1.0, (double)count_of(places->ring));
  for (size_t i = 0; i < PLACES; i++) {
    double nc = places->hu[LVN_PHASE_NC][i];
    double art = places->hu[LVN_PHASE_ART][i] - places->liver[LVN_PHASE_ART];
    double pv = places->hu[LVN_PHASE_PV][i];
    double pv_less = pv - places->liver[LVN_PHASE_PV];
    if (places->inside[i]) {
      values[M_SHARE] += (pv < 35.0 && pv - nc < 15.0) / inside;
      values[M_SHARE + 1] += (nc < -10.0) / inside;
      values[M_SHARE + 3] += (art > 15.0) / inside;
      values[M_SHARE + 4] += (pv_less < -12.0) / inside;
      values[M_SHARE + 5] += (pv_less > 12.0) / inside;
    }
    values[M_SHARE + 2] += (places->ring[i] && nc < -30.0) / ring;
  }
}

static void measure_rise(const struct places *places, double *values) {
  const bool *parts[] = {places->zone[ZONE_CORE], places->zone[ZONE_RIM], places->inside};
  for (size_t part = 0; part < 3; part++) {
    double nc = mean_of(places->hu[LVN_PHASE_NC], parts[part]);
    values[M_ENHANCEMENT + 2 * part] = mean_of(places->hu[LVN_PHASE_ART], parts[part]) - nc;
    values[M_ENHANCEMENT + 2 * part + 1] = mean_of(places->hu[LVN_PHASE_PV], parts[part]) - nc;
  }
}

/* All that is measured in one slice: up to M_STEP. */
static void measure_slice(const struct lvn_crop_slice *slice, struct places *places, double *values) {
  average(slice, places);
  find_inside(places);
  find_depth(places);
  find_zones(places);
  for (size_t phase = 0; phase < PHASES; phase++) {
    size_t count = sort_part(places, places->hu[phase], places->ring);
    places->liver[phase] = at_quantile(places->scratch, count, 0.5);
    for (size_t zone = 0; zone < ZONE_COUNT; zone++) {
      values[M_ZONE + phase * ZONE_COUNT + zone] =
          mean_of(places->hu[phase], places->zone[zone]) - places->liver[phase];
    }
    measure_spread(places, phase, values);
    values[M_LIVER + phase] = places->liver[phase] - (phase == 0 ? 0.0 : places->liver[0]);
    values[M_DEPTH + phase] = correlation(places->hu[phase], places->depth, places->inside);
    values[M_SECTOR + phase] = sectors(places, places->hu[phase]);
  }
  measure_rise(places, values);
  measure_shares(places, values);
  values[M_LIKENESS] = correlation(places->hu[LVN_PHASE_ART], places->hu[LVN_PHASE_PV], places->inside);
  values[M_LIKENESS + 1] = correlation(places->hu[LVN_PHASE_NC], places->hu[LVN_PHASE_ART], places->inside);
  values[M_SIZE] = log(2.0 * places->deepest);
}

/* Differences and ratios of what was measured: a tree would need many splits for them. */
static void derive(double *values) {
  double liver = fmax(values[M_LIVER + 2], LIVER_LEAST_HU);
  const double *rise = &values[M_ENHANCEMENT];
  for (size_t phase = 0; phase < PHASES; phase++) {
    const double *zone = &values[M_ZONE + phase * ZONE_COUNT];
    const double *spread = &values[M_SPREAD + 6 * phase];
    double *step = &values[M_STEP + 6 * phase];
    step[0] = zone[ZONE_RIM] - zone[ZONE_CORE];
    step[1] = zone[ZONE_RIM] - zone[ZONE_MIDDLE];
    step[2] = zone[ZONE_HALO] - zone[ZONE_RIM];
    step[3] = zone[ZONE_MIDDLE] - zone[ZONE_CORE];
    step[4] = spread[2] - spread[0];
    step[5] = spread[5] / (fabs(spread[4] - spread[3]) + RANGE_LEAST_HU);
  }
  for (size_t zone = 0; zone < ZONE_COUNT; zone++) {
    const double *hu = &values[M_ZONE + zone];
    values[M_CHANGE + 2 * zone] = hu[2 * ZONE_COUNT] - hu[ZONE_COUNT];
    values[M_CHANGE + 2 * zone + 1] = hu[ZONE_COUNT] - hu[0];
  }
  for (size_t part = 0; part < 3; part++) {
    values[M_RELATIVE + 3 * part] = rise[2 * part] / liver;
    values[M_RELATIVE + 3 * part + 1] = rise[2 * part + 1] / liver;
    values[M_RELATIVE + 3 * part + 2] = rise[2 * part] / fmax(rise[2 * part + 1], ENHANCEMENT_LEAST_HU);
  }
  values[M_FILLING] = (rise[3] - rise[2]) / liver;
  values[M_FILLING + 1] = (rise[1] - rise[0]) / liver;
  values[M_FILLING + 2] = (rise[1] - rise[3]) / liver;
  values[M_FILLING + 3] = (rise[0] - rise[2]) / liver;
}

static double area_of(const struct lvn_crop_slice *slice) {
  double area = 0.0;
  for (size_t i = 0; i < (size_t)LVN_CROP_SIDE * LVN_CROP_SIDE; i++) {
    area += slice->mask[i] != 0;
  }
  return area;
}

bool lvn_measurements_take(const struct lvn_crop *crop, float ret_values[LVN_MEASUREMENT_COUNT],
                           struct lvn_error *err) {
  LVN_AUTOFREE struct places *places = lvn_alloc(1, sizeof *places, err);
  double values[M_COUNT] = {0};
  double largest = 0.0;
  double total = 0.0;
  if (places == NULL) {
    return false;
  }
  places->mm = crop->side_mm / SIDE;
  for (size_t i = 0; i < crop->slice_count; i++) {
    largest = fmax(largest, area_of(&crop->slices[i]));
  }
  for (size_t i = 0; i < crop->slice_count; i++) {
    double area = fmax(area_of(&crop->slices[i]), 1.0);
    if (area >= AREA_LEAST * largest) {
      double one[M_COUNT] = {0};
      measure_slice(&crop->slices[i], places, one);
      total += area;
      for (size_t m = 0; m < M_STEP; m++) {
        values[m] += (one[m] - values[m]) * area / total;
      }
    }
  }
  derive(values);
  for (size_t m = 0; m < M_COUNT; m++) {
    ret_values[m] = (float)values[m];
  }
  return true;
}
