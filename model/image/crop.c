#include "model/image/crop.h"

#include "base/memory.h"
#include "model/image/sampler.h"

#include <math.h>
#include <string.h>

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)

void lvn_crop_options_default(struct lvn_crop_options *ret_options) {
  *ret_options = (struct lvn_crop_options){.margin = 1.4, .min_side_mm = 32.0, .max_slices = 5};
}

static void place_box(const struct lvn_mask *lesion, const uint32_t first[3], const uint32_t last[3],
                      const struct lvn_crop_options *options, struct lvn_crop *crop) {
  const struct lvn_grid *grid = &lesion->grid;
  double extent_mm = 0.0;
  for (int axis = 0; axis < 2; axis++) {
    extent_mm = fmax(extent_mm, (last[axis] - first[axis] + 1U) * grid->spacing_mm[axis]);
  }
  crop->side_mm = fmax(options->margin * extent_mm, options->min_side_mm);
  crop->sample_spacing_mm = crop->side_mm / LVN_CROP_SIDE;
  for (int axis = 0; axis < 2; axis++) {
    double centre = 0.5 * ((double)first[axis] + (double)last[axis]);
    crop->step_index[axis] = crop->sample_spacing_mm / grid->spacing_mm[axis];
    crop->first_index[axis] = centre - 0.5 * (LVN_CROP_SIDE - 1) * crop->step_index[axis];
  }
}

/* The slices that hold lesion are cut into equal runs, as many as may be kept, and the largest area of each run is
 * taken: spread over the lesion, and the largest of all is always among them. */
static bool choose_slices(const struct lvn_mask *lesion, uint32_t first, uint32_t last, uint32_t max_slices,
                          struct lvn_crop *crop, struct lvn_error *err) {
  size_t span = (size_t)last - first + 1;
  LVN_AUTOFREE size_t *area = lvn_alloc(span, sizeof *area, err);
  LVN_AUTOFREE uint32_t *held = lvn_alloc(span, sizeof *held, err);
  size_t held_count = 0;
  if (area == NULL || held == NULL) {
    return false;
  }
  for (size_t i = 0; i < span; i++) {
    area[i] = lvn_mask_count_slice(lesion, first + (uint32_t)i);
    if (area[i] > 0) {
      held[held_count++] = (uint32_t)i;
    }
  }
  size_t runs = held_count < max_slices ? held_count : max_slices;
  double pixel_mm2 = lesion->grid.spacing_mm[0] * lesion->grid.spacing_mm[1];
  crop->slices = lvn_alloc(runs, sizeof *crop->slices, err);
  if (crop->slices == NULL) {
    return false;
  }
  crop->slice_count = runs;
  for (size_t run = 0; run < runs; run++) {
    uint32_t best = held[run * held_count / runs];
    for (size_t i = run * held_count / runs; i < (run + 1) * held_count / runs; i++) {
      best = area[held[i]] > area[best] ? held[i] : best;
    }
    crop->slices[run].fixed_slice_index = first + best;
    crop->slices[run].mask_area_mm2 = (double)area[best] * pixel_mm2;
    if (crop->slices[run].mask_area_mm2 > crop->slices[crop->key_slice].mask_area_mm2) {
      crop->key_slice = run;
    }
  }
  return true;
}

static void sample_mask(const struct lvn_mask *lesion, const struct lvn_crop *crop, struct lvn_crop_slice *slice) {
  for (size_t row = 0; row < LVN_CROP_SIDE; row++) {
    long j = lround(crop->first_index[1] + (double)row * crop->step_index[1]);
    for (size_t column = 0; column < LVN_CROP_SIDE; column++) {
      long i = lround(crop->first_index[0] + (double)column * crop->step_index[0]);
      slice->mask[row * LVN_CROP_SIDE + column] = lvn_mask_contains(lesion, i, j, slice->fixed_slice_index);
    }
  }
}

static struct lvn_sample_plane plane_of(const struct lvn_grid *fixed_grid, const struct lvn_crop *crop,
                                        const struct lvn_crop_slice *slice) {
  return (struct lvn_sample_plane){.fixed_grid = fixed_grid,
                                   .first_index = {crop->first_index[0], crop->first_index[1]},
                                   .step_index = {crop->step_index[0], crop->step_index[1]},
                                   .slice_index = slice->fixed_slice_index,
                                   .spacing_mm = crop->sample_spacing_mm,
                                   .count = LVN_CROP_SIDE};
}

static bool fill_slice(const struct lvn_grid *fixed_grid, const struct lvn_mask *lesion,
                       const struct lvn_crop_phase phases[LVN_PHASE_NETWORK_COUNT], const struct lvn_crop *crop,
                       struct lvn_crop_slice *slice, struct lvn_error *err) {
  const struct lvn_sample_plane plane = plane_of(fixed_grid, crop, slice);
  slice->hounsfield = lvn_alloc(LVN_PHASE_NETWORK_COUNT * SAMPLES, sizeof *slice->hounsfield, err);
  slice->mask = lvn_alloc(SAMPLES, 1, err);
  if (slice->hounsfield == NULL || slice->mask == NULL) {
    return false;
  }
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    int16_t *plane_hu = slice->hounsfield + phase * SAMPLES;
    if (crop->phase_present[phase]) {
      lvn_sample_plane(&plane, phases[phase].volume, phases[phase].from_fixed, plane_hu);
    } else {
      for (size_t i = 0; i < SAMPLES; i++) {
        plane_hu[i] = LVN_CROP_PADDING_HU;
      }
    }
  }
  sample_mask(lesion, crop, slice);
  return true;
}

bool lvn_crop_make(const struct lvn_grid *fixed_grid, const struct lvn_mask *lesion,
                   const struct lvn_crop_phase phases[LVN_PHASE_NETWORK_COUNT], const struct lvn_crop_options *options,
                   struct lvn_crop *ret_crop, struct lvn_error *err) {
  struct lvn_crop crop = {0};
  uint32_t first[3];
  uint32_t last[3];
  if (!lvn_grid_is_same(fixed_grid, &lesion->grid)) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "lesion mask is not on the fixed grid");
  }
  if (!(options->margin > 0.0) || !(options->min_side_mm > 0.0) || options->max_slices == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "crop options out of range");
  }
  if (lvn_mask_measure(lesion, first, last, NULL) == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "lesion mask is empty");
  }
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    crop.phase_present[phase] = phases[phase].volume != NULL;
    if (crop.phase_present[phase] && phases[phase].from_fixed == NULL) {
      return lvn_error_set(err, LVN_ERROR_INTERNAL, "phase without a transform");
    }
  }
  place_box(lesion, first, last, options, &crop);
  bool good = choose_slices(lesion, first[2], last[2], options->max_slices, &crop, err);
  for (size_t i = 0; good && i < crop.slice_count; i++) {
    good = fill_slice(fixed_grid, lesion, phases, &crop, &crop.slices[i], err);
  }
  if (!good) {
    lvn_crop_clear(&crop);
    return false;
  }
  *ret_crop = crop;
  return true;
}

bool lvn_crop_add_delayed(const struct lvn_grid *fixed_grid, const struct lvn_crop_phase *phase, struct lvn_crop *crop,
                          struct lvn_error *err) {
  lvn_crop_drop_delayed(crop);
  for (size_t i = 0; i < crop->slice_count; i++) {
    struct lvn_crop_slice *slice = &crop->slices[i];
    const struct lvn_sample_plane plane = plane_of(fixed_grid, crop, slice);
    slice->delayed = lvn_alloc(SAMPLES, sizeof *slice->delayed, err);
    if (slice->delayed == NULL) {
      lvn_crop_drop_delayed(crop);
      return false;
    }
    lvn_sample_plane(&plane, phase->volume, phase->from_fixed, slice->delayed);
  }
  crop->delayed_present = true;
  return true;
}

void lvn_crop_drop_delayed(struct lvn_crop *crop) {
  for (size_t i = 0; i < crop->slice_count; i++) {
    lvn_free(crop->slices[i].delayed);
    crop->slices[i].delayed = NULL;
  }
  crop->delayed_present = false;
}

void lvn_crop_clear(struct lvn_crop *crop) {
  for (size_t i = 0; crop->slices != NULL && i < crop->slice_count; i++) {
    lvn_free(crop->slices[i].hounsfield);
    lvn_free(crop->slices[i].delayed);
    lvn_free(crop->slices[i].mask);
  }
  lvn_free(crop->slices);
  *crop = (struct lvn_crop){0};
}
