/* A place is a square of a few millimetres with its mean in every phase. A region on normal tissue, on the edge of the
 * liver or across an organ and its neighbour holds places that are found in the ring about it as well, in all phases
 * at once and about as often. A lesion holds others, or the same with a shift that all of them share. The limits were
 * chosen on phantoms; docs/model.md says what they give on others. */
#include "analysis/roi_gate.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* Near enough to be the same tissue, far enough to be free of the region's own blur. */
#define RING_FROM_MM 2.0
#define RING_TO_MM 10.0
/* An eighth of the region, so that small ones have some places and noise is averaged in large ones. */
#define PLACES_ACROSS 8.0
#define PLACE_MIN_MM 1.5
#define PLACE_MAX_MM 4.0
#define PLACES_MAX 32 /* along a side of the crop */
#define REGION_MIN 3  /* places; fewer are not judged */
#define RING_MIN 8
/* Places are alike when they differ by no more than this in each phase: several times the noise of a place. */
#define ALIKE_HU 30.0F
/* A place is odd when the region has its like more than this many times as often as the ring: a vessel in the ring
 * does not explain a region as bright as a vessel. */
#define ODD_TIMES 8
#define ODD_SHARE_MAX 0.33
#define CONTRAST_MIN_HU 5.0
/* The median of many places is surer: a giant haemangioma may come near the liver in all phases. */
#define CONTRAST_OF_MANY_MIN_HU 4.0
#define MANY_PLACES 300
#define FAT_HU (-30.0F)

enum part { PART_NEITHER = 0, PART_REGION, PART_RING };

struct place {
  float hu[LVN_PHASE_NETWORK_COUNT];
  enum part part;
};

struct places {
  struct place *items;
  size_t region_count;
  size_t ring_count;
  size_t count;
};

static double ring_reach_mm(void) {
  return 2.0 * (RING_TO_MM + PLACE_MAX_MM);
}

void lvn_roi_gate_crop_options(double extent_mm, struct lvn_crop_options *ret_options) {
  double side_mm = extent_mm + ring_reach_mm();
  *ret_options = (struct lvn_crop_options){.margin = side_mm / extent_mm, .min_side_mm = side_mm, .max_slices = 5};
}

/* Samples along a place's side. */
static size_t place_samples(const struct lvn_crop *crop) {
  double extent_mm = fmax(crop->side_mm - ring_reach_mm(), 0.0);
  double place_mm = fmin(fmax(extent_mm / PLACES_ACROSS, PLACE_MIN_MM), PLACE_MAX_MM);
  size_t samples = (size_t)lround(place_mm / crop->sample_spacing_mm);
  const size_t least = (LVN_CROP_SIDE + PLACES_MAX - 1) / PLACES_MAX;
  return samples < least ? least : samples > LVN_CROP_SIDE ? LVN_CROP_SIDE : samples;
}

/* Fills a place's HU; returns how much of it is region. */
static float average(const struct lvn_crop_slice *slice, size_t row, size_t column, size_t samples,
                     struct place *ret_place) {
  const size_t plane = (size_t)LVN_CROP_SIDE * LVN_CROP_SIDE;
  float sum[LVN_PHASE_NETWORK_COUNT] = {0};
  size_t inside = 0;
  for (size_t y = row * samples; y < (row + 1) * samples; y++) {
    for (size_t x = column * samples; x < (column + 1) * samples; x++) {
      size_t at = y * LVN_CROP_SIDE + x;
      inside += slice->mask[at] != 0;
      for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        sum[phase] += slice->hounsfield[phase * plane + at];
      }
    }
  }
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    ret_place->hu[phase] = sum[phase] / (float)(samples * samples);
  }
  return (float)inside / (float)(samples * samples);
}

/* By the distance in the slice plane from the nearest place that holds region. */
static enum part part_of(const float *share, size_t side, double place_mm, size_t i) {
  double nearest_mm = HUGE_VAL;
  if (share[i] > 0.0F) {
    return share[i] > 0.8F ? PART_REGION : PART_NEITHER;
  }
  for (size_t k = 0; k < side * side; k++) {
    if (share[k] > 0.0F) {
      size_t row = i / side;
      size_t other_row = k / side;
      double dx = (double)(i % side) - (double)(k % side);
      double dy = (double)row - (double)other_row;
      nearest_mm = fmin(nearest_mm, place_mm * (sqrt(dx * dx + dy * dy) - 1.0));
    }
  }
  return nearest_mm >= RING_FROM_MM && nearest_mm <= RING_TO_MM ? PART_RING : PART_NEITHER;
}

/* At the region's poles a slice shows as much of what lies above or below it: slices of small area are left out. */
static bool gather(const struct lvn_crop *crop, struct places *places, struct lvn_error *err) {
  float share[PLACES_MAX * PLACES_MAX];
  const size_t samples = place_samples(crop);
  const size_t side = LVN_CROP_SIDE / samples;
  const double place_mm = (double)samples * crop->sample_spacing_mm;
  places->items = lvn_alloc(crop->slice_count * side * side, sizeof *places->items, err);
  for (size_t s = 0; places->items != NULL && s < crop->slice_count; s++) {
    const struct lvn_crop_slice *slice = &crop->slices[s];
    struct place *first = &places->items[places->count];
    if (slice->mask_area_mm2 < 0.4 * crop->slices[crop->key_slice].mask_area_mm2) {
      continue;
    }
    for (size_t i = 0; i < side * side; i++) {
      share[i] = average(slice, i / side, i % side, samples, &first[i]);
    }
    for (size_t i = 0; i < side * side; i++) {
      first[i].part = part_of(share, side, place_mm, i);
      places->region_count += first[i].part == PART_REGION;
      places->ring_count += first[i].part == PART_RING;
    }
    places->count += side * side;
  }
  return places->items != NULL;
}

static bool is_alike(const struct place *left, const struct place *right) {
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    if (!(fabsf(left->hu[phase] - right->hu[phase]) <= ALIKE_HU)) {
      return false;
    }
  }
  return true;
}

/* What the place differs by from the mean of its like in the ring; false when it is odd. */
static bool explain(const struct places *places, const struct place *place,
                    float ret_difference_hu[LVN_PHASE_NETWORK_COUNT]) {
  size_t in_region = 0;
  size_t in_ring = 0;
  float sum[LVN_PHASE_NETWORK_COUNT] = {0};
  for (size_t i = 0; i < places->count; i++) {
    const struct place *other = &places->items[i];
    if (other->part == PART_NEITHER || !is_alike(place, other)) {
      continue;
    }
    in_region += other->part == PART_REGION;
    in_ring += other->part == PART_RING;
    for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT && other->part == PART_RING; phase++) {
      sum[phase] += other->hu[phase];
    }
  }
  if (in_ring < 2 || in_region * places->ring_count > ODD_TIMES * in_ring * places->region_count) {
    return false;
  }
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    ret_difference_hu[phase] = place->hu[phase] - sum[phase] / (float)in_ring;
  }
  return true;
}

static bool is_fat(const struct place *place) {
  bool all = true;
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    all = all && place->hu[phase] < FAT_HU;
  }
  return all;
}

static int compare_floats(const void *left, const void *right) {
  float a = *(const float *)left;
  float b = *(const float *)right;
  return (a > b) - (a < b);
}

static bool compare(const struct places *places, struct lvn_roi_gate *gate, struct lvn_error *err) {
  LVN_AUTOFREE float *difference =
      lvn_alloc(LVN_PHASE_NETWORK_COUNT * places->region_count, sizeof *difference, err); /* a row a phase */
  size_t explained = 0;
  size_t fat = 0;
  double square = 0.0;
  if (difference == NULL) {
    return false;
  }
  for (size_t i = 0; i < places->count; i++) {
    float found_hu[LVN_PHASE_NETWORK_COUNT];
    fat += places->items[i].part == PART_REGION && is_fat(&places->items[i]);
    if (places->items[i].part == PART_REGION && explain(places, &places->items[i], found_hu)) {
      for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        difference[phase * places->region_count + explained] = found_hu[phase];
      }
      explained++;
    }
  }
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT && explained > 0; phase++) {
    float *row = &difference[phase * places->region_count];
    qsort(row, explained, sizeof *row, compare_floats);
    square += (double)row[explained / 2] * row[explained / 2];
  }
  gate->odd_share = 1.0 - (double)explained / (double)places->region_count;
  gate->fat_share = (double)fat / (double)places->region_count;
  gate->contrast_hu = sqrt(square);
  const double limit_hu = places->region_count < MANY_PLACES ? CONTRAST_MIN_HU : CONTRAST_OF_MANY_MIN_HU;
  gate->is_lesion = gate->odd_share > ODD_SHARE_MAX || gate->contrast_hu > limit_hu;
  return true;
}

/* Liver of any patient: fatty or laden with iron, early or late, little contrast agent or much, and a place's noise. */
static bool is_like_liver(const struct place *place) {
  const float nc = place->hu[LVN_PHASE_NC];
  const float art = place->hu[LVN_PHASE_ART];
  const float pv = place->hu[LVN_PHASE_PV];
  return nc > -30.0F && nc < 130.0F && pv - nc > 5.0F && pv - nc < 150.0F && art - nc > -30.0F && art - nc < 90.0F &&
         art - pv < 25.0F;
}

static bool is_soft(const struct place *place) {
  bool all = true;
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    all = all && place->hu[phase] > FAT_HU;
  }
  return all;
}

/* What the ring is made of. */
static bool describe_ring(const struct places *places, struct lvn_roi_gate *gate, struct lvn_error *err) {
  LVN_AUTOFREE float *rise = lvn_alloc(places->ring_count, sizeof *rise, err);
  LVN_AUTOFREE float *fall = lvn_alloc(places->ring_count, sizeof *fall, err);
  size_t soft = 0;
  size_t liver = 0;
  if (rise == NULL || fall == NULL) {
    return false;
  }
  for (size_t i = 0; i < places->count; i++) {
    const struct place *place = &places->items[i];
    if (place->part == PART_RING && is_soft(place)) {
      rise[soft] = place->hu[LVN_PHASE_PV] - place->hu[LVN_PHASE_NC];
      fall[soft++] = place->hu[LVN_PHASE_ART] - place->hu[LVN_PHASE_PV];
      liver += is_like_liver(place);
    }
  }
  gate->liver_share = (double)liver / (double)places->ring_count;
  if (soft >= RING_MIN) {
    qsort(rise, soft, sizeof *rise, compare_floats);
    qsort(fall, soft, sizeof *fall, compare_floats);
    gate->rise_hu = rise[9 * (soft - 1) / 10];
    gate->fall_hu = fall[(soft - 1) / 10];
  }
  return true;
}

bool lvn_roi_gate_judge(const struct lvn_crop *crop, struct lvn_roi_gate *ret_gate, struct lvn_error *err) {
  struct places places = {0};
  struct lvn_roi_gate gate = {.is_lesion = true, .liver_share = NAN, .rise_hu = NAN, .fall_hu = NAN};
  bool good = gather(crop, &places, err);
  if (good && places.region_count >= REGION_MIN && places.ring_count >= RING_MIN) {
    gate.is_judged = true;
    good = compare(&places, &gate, err) && describe_ring(&places, &gate, err);
  }
  lvn_free(places.items);
  if (good) {
    *ret_gate = gate;
  }
  return good;
}
