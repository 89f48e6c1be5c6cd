/* Alignment about a lesion: an exhaustive translation search at 4 mm, which needs no starting guess; then the fit,
 * at 2.5 mm, of the simplest displacement that the images bear out; and both again on the way back, since an alignment
 * that cannot find home is none. Either direction uses the same four boxes of descriptors. */
#include "model/registration/registration.h"
#include "base/clock.h"
#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <string.h>

#define COARSE_MM 4.0
#define COARSE_HALF_VOXELS 14 /* the window that is searched for */
#define COARSE_SIGMA_MM 40.0
#define FINE_MM 2.5
#define FINE_HALF_VOXELS 16
#define FINE_SIGMA_MM 22.0
#define THIN_SLAB_MM 28.0 /* below this nothing is left between the cut faces of a 3-D descriptor */
#define AFFINE_PRIOR 4e-3
#define CURVED_PRIOR 4e-3
#define EQUAL 0.01         /* a part of the cost too small to tell models by */
#define MOST_STAYED_MM 1.5 /* the best shift of what may not have moved at all */
#define STAYED 0.03        /* the part of the cost that such a shift must save, or it is what noise makes of none */

/* The two volumes at one scale. */
struct pair {
  const struct lvn_volume *volume[2];
  double centre_mm[2][3];
  double half_mm[3];
  double radius_mm; /* of the lesion */
  double spacing_mm;
  struct lvn_reg_box box[2];
  struct lvn_reg_features features[2];
  double start_mm[2][3]; /* there and back, against the boxes' offset */
  bool planar;
  bool done[2];
  struct lvn_error err[2];
};

static void pair_clear(struct pair *pair) {
  for (int side = 0; side < 2; side++) {
    lvn_reg_box_clear(&pair->box[side]);
    lvn_reg_features_clear(&pair->features[side]);
  }
}

static void cut_side(void *context, int side) {
  struct pair *pair = context;
  pair->done[side] = lvn_reg_box_make(pair->volume[side], pair->centre_mm[side], pair->half_mm, pair->spacing_mm,
                                      &pair->box[side], &pair->err[side]);
}

static void describe_side(void *context, int side) {
  struct pair *pair = context;
  pair->done[side] = lvn_reg_describe(&pair->box[side], pair->planar, &pair->features[side], &pair->err[side]);
}

static void keep_liver(void *context, int side) {
  struct pair *pair = context;
  pair->done[side] = lvn_reg_keep_liver(&pair->box[side], pair->centre_mm[side], pair->radius_mm, COARSE_SIGMA_MM,
                                        &pair->features[side], &pair->err[side]);
}

static void drop_static(void *context, int side) {
  struct pair *pair = context;
  double offset_mm[3];
  for (int a = 0; a < 3; a++) {
    offset_mm[a] = pair->centre_mm[1 - side][a] - pair->centre_mm[side][a];
  }
  pair->done[side] = lvn_reg_drop_static(&pair->features[side], &pair->features[1 - side], offset_mm, FINE_SIGMA_MM,
                                         pair->planar, pair->start_mm[side], &pair->err[side]);
}

static bool on_both_sides(struct pair *pair, void (*work)(void *context, int side), struct lvn_error *err) {
  lvn_reg_parallel(2, work, pair);
  for (int side = 0; side < 2; side++) {
    if (!pair->done[side]) {
      *err = pair->err[side];
      return false;
    }
  }
  return true;
}

static bool is_thin(const struct lvn_reg_box *box) {
  return box->valid_high_mm - box->valid_low_mm < THIN_SLAB_MM;
}

static double distance_mm(const double a[3], const double b[3]) {
  return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
}

/* Forward the window lies about the lesion, backward about the place that was found. */
struct search_result {
  struct lvn_reg_shift there;
  struct lvn_reg_shift back;
  double home_mm; /* distance between the lesion and where the way back ends; NAN when it could not be run */
};

static bool search_both_ways(struct pair *coarse, const struct lvn_registration_options *options,
                             struct search_result *ret_result, struct lvn_error *err) {
  struct search_result result = {.home_mm = NAN};
  struct lvn_reg_window window = {.size = 2 * COARSE_HALF_VOXELS + 1};
  for (int a = 0; a < 3; a++) {
    window.first[a] = (coarse->box[0].size[a] - window.size) / 2;
  }
  if (!lvn_reg_search(&coarse->features[0], &window, &coarse->features[1], COARSE_SIGMA_MM, coarse->planar,
                      options->device, &result.there, err)) {
    return false;
  }
  if (result.there.overlap >= LVN_REG_LEAST_OVERLAP) {
    struct lvn_reg_window found = {.size = window.size};
    double error_mm = 0.0;
    memcpy(found.first, result.there.cell, sizeof found.first);
    if (!lvn_reg_search(&coarse->features[1], &found, &coarse->features[0], COARSE_SIGMA_MM, coarse->planar,
                        options->device, &result.back, err)) {
      return false;
    }
    for (int a = 0; a < 3 && result.back.overlap >= LVN_REG_LEAST_OVERLAP; a++) {
      double d = result.there.mm[a] + result.back.mm[a];
      error_mm += d * d;
      result.home_mm = a == 2 ? sqrt(error_mm) : NAN;
    }
  }
  *ret_result = result;
  return true;
}

/* From the simplest to the richest. */
enum { IDENTITY, TRANSLATION, AFFINE, CURVED, MODELS };
static const char *name_of(int model) {
  return model == CURVED ? "curved"
                         : (model == AFFINE ? "affine" : (model == TRANSLATION ? "translation" : "identity"));
}

/* What the fine scale's work is shared out by: layers of costs, then fits to all the blocks and to halves of them. */
enum { THERE, BACK, THERE_EVEN, THERE_ODD, FITS };
struct fit {
  struct lvn_transform model[MODELS];
  bool fitted[MODELS];
};
struct fit_work {
  const struct pair *fine;
  struct lvn_reg_costs *costs[2]; /* there, back */
  struct lvn_transform none[2];
  struct lvn_transform start[2];
  struct fit fit[FITS];
};

static void add_layer(void *context, int item) {
  struct fit_work *work = context;
  int side = item / LVN_REG_BLOCKS;
  lvn_reg_costs_add_layer(work->costs[side], &work->fine->features[side], &work->fine->features[1 - side],
                          FINE_SIGMA_MM, item % LVN_REG_BLOCKS);
}

static void work_clear(struct fit_work *work) {
  lvn_reg_costs_destroy(work->costs[0]);
  lvn_reg_costs_destroy(work->costs[1]);
}

/* Each model from the one before. A model that cannot be fitted is the one before. */
static void fit_each(void *context, int item) {
  static const enum lvn_reg_part part_of[FITS] = {
      [THERE] = LVN_REG_ALL, [BACK] = LVN_REG_ALL, [THERE_EVEN] = LVN_REG_EVEN, [THERE_ODD] = LVN_REG_ODD};
  struct fit_work *work = context;
  struct fit *fit = &work->fit[item];
  struct lvn_transform *model = fit->model;
  int side = item == BACK;
  const struct lvn_reg_costs *costs = work->costs[side];
  model[IDENTITY] = work->none[side];
  model[TRANSLATION] = work->start[side];
  fit->fitted[IDENTITY] = true;
  fit->fitted[TRANSLATION] = lvn_reg_costs_fit(costs, LVN_REG_TRANSLATION, part_of[item], 0.0, &model[TRANSLATION]);
  model[AFFINE] = model[TRANSLATION];
  fit->fitted[AFFINE] = lvn_reg_costs_fit(costs, LVN_REG_AFFINE, part_of[item], AFFINE_PRIOR, &model[AFFINE]);
  model[CURVED] = model[AFFINE];
  fit->fitted[CURVED] = lvn_reg_costs_fit(costs, LVN_REG_CURVED, part_of[item], CURVED_PRIOR, &model[CURVED]);
}

/* Which model explains best what it was not fitted to: each half of the blocks judges what the other half says. Between
 * equals the simpler. */
static int choose_model(const struct fit_work *work) {
  double cost[MODELS] = {0};
  int chosen = TRANSLATION;
  for (int half = THERE_EVEN; half <= THERE_ODD; half++) {
    const struct fit *fit = &work->fit[half];
    enum lvn_reg_part other = half == THERE_EVEN ? LVN_REG_ODD : LVN_REG_EVEN;
    for (int model = 0; model < MODELS; model++) {
      cost[model] += fit->fitted[model] ? lvn_reg_costs_value(work->costs[0], &fit->model[model], other) : HUGE_VAL;
    }
  }
  for (int model = AFFINE; model <= CURVED && !work->fine->planar; model++) {
    chosen = cost[model] < (1.0 - EQUAL) * cost[chosen] ? model : chosen;
  }
  const struct fit *all = &work->fit[THERE];
  bool has_stayed = all->fitted[TRANSLATION] &&
                    distance_mm(all->model[TRANSLATION].shift_mm, work->none[0].shift_mm) < MOST_STAYED_MM;
  double spare = work->fine->planar ? EQUAL : STAYED; /* within the slice a shift has less noise to fit itself to */
  return has_stayed && (1.0 - spare) * cost[IDENTITY] <= cost[chosen] ? IDENTITY : chosen;
}

/* The richest model up to `most` that could be fitted; -1 when none could. */
static int fitted_up_to(const struct fit *fit, int most) {
  while (most > TRANSLATION && !fit->fitted[most]) {
    most--;
  }
  return fit->fitted[most] ? most : -1;
}

static bool fit_models(const struct pair *fine, struct fit_work *work, struct lvn_error *err) {
  work->fine = fine;
  for (int side = 0; side < 2; side++) {
    lvn_transform_about(fine->centre_mm[side], &work->none[side]);
    work->start[side] = work->none[side];
    for (int a = 0; a < 3; a++) {
      work->none[side].shift_mm[a] = fine->centre_mm[side][a] - fine->centre_mm[1 - side][a];
      work->start[side].shift_mm[a] = fine->start_mm[side][a];
    }
    if (!lvn_reg_costs_create(fine->centre_mm[side], FINE_MM, fine->planar, &work->costs[side], err)) {
      return false;
    }
  }
  lvn_reg_parallel(2 * LVN_REG_BLOCKS, add_layer, work);
  lvn_reg_parallel(FITS, fit_each, work);
  return true;
}

/* Refine `transform`, found by the search, and measure the way back, by the same model, when the search says that it
 * leads home. */
static bool refine(struct pair *fine, struct lvn_transform *transform, struct lvn_reg_evidence *evidence,
                   const char **model, struct lvn_error *err) {
  LVN_CLEANUP(work_clear) struct fit_work work = {0};
  const double *lesion_mm = fine->centre_mm[0];
  const double *found_mm = fine->centre_mm[1];
  if (!on_both_sides(fine, cut_side, err) || !on_both_sides(fine, describe_side, err) ||
      !on_both_sides(fine, drop_static, err) || !fit_models(fine, &work, err)) {
    return false;
  }
  const struct fit *fit = &work.fit[THERE];
  int chosen = fitted_up_to(fit, choose_model(&work));
  if (chosen < 0) {
    evidence->model_spread_mm = 10.0;
    return true;
  }
  const double *shift_mm = fit->model[TRANSLATION].shift_mm;
  evidence->model_spread_mm = distance_mm(shift_mm, work.start[0].shift_mm);
  if (!fine->planar) {
    evidence->model_spread_mm = fmax(evidence->model_spread_mm, distance_mm(fit->model[AFFINE].shift_mm, shift_mm));
  }
  struct lvn_transform there = fit->model[chosen];
  int returned = fitted_up_to(&work.fit[BACK], chosen);
  struct lvn_transform back = work.fit[BACK].model[returned < 0 ? IDENTITY : returned];
  lvn_reg_costs_ask(work.costs[0], &there, &evidence->agreement, &evidence->contrast);
  /* The fits are against the boxes' offset. */
  double y_mm[3];
  double home_mm[3];
  for (int a = 0; a < 3; a++) {
    there.shift_mm[a] += found_mm[a] - lesion_mm[a];
    evidence->translation_mm[a] = shift_mm[a] + found_mm[a] - lesion_mm[a];
    back.shift_mm[a] += lesion_mm[a] - found_mm[a];
  }
  lvn_transform_map(&there, lesion_mm, y_mm);
  lvn_transform_map(&back, y_mm, home_mm);
  if (returned >= 0 && evidence->inverse_consistency_mm < 2.0 * COARSE_MM) {
    evidence->inverse_consistency_mm = distance_mm(home_mm, lesion_mm);
  }
  *transform = there;
  *model = name_of(chosen);
  return true;
}

/* How alike all is, before and after. */
enum { SIMILARITY_BEFORE, SIMILARITY_AFTER, DETAIL, BODY, SIMILARITIES };
struct similarity_work {
  const struct pair *coarse;
  const struct pair *fine;
  const struct lvn_transform *before;
  const struct lvn_transform *after;
  double similarity[SIMILARITIES];
  bool done;
  struct lvn_error err;
};

static void measure_similarity(void *context, int item) {
  struct similarity_work *work = context;
  const struct pair *pair = item == DETAIL ? work->fine : work->coarse;
  if (item == BODY) {
    work->done = lvn_reg_compare_bodies(pair->volume[0], pair->volume[1], pair->centre_mm[0], &work->similarity[BODY],
                                        &work->err);
  } else {
    work->similarity[item] = lvn_reg_correlation(&pair->features[0], &pair->features[1],
                                                 item == SIMILARITY_BEFORE ? work->before : work->after,
                                                 item == DETAIL ? FINE_SIGMA_MM : COARSE_SIGMA_MM);
  }
}

bool lvn_reg_align(const struct lvn_volume *fixed, const struct lvn_volume *moving, const double centre_mm[3],
                   double radius_mm, const struct lvn_registration_options *options, struct lvn_transform *transform,
                   struct lvn_reg_evidence *evidence, const char **model, struct lvn_error *err) {
  LVN_CLEANUP(pair_clear)
  struct pair coarse = {.volume = {fixed, moving}, .spacing_mm = COARSE_MM, .radius_mm = radius_mm};
  LVN_CLEANUP(pair_clear) struct pair fine = {.volume = {fixed, moving}, .spacing_mm = FINE_MM};
  struct search_result found;
  for (int a = 0; a < 3; a++) {
    coarse.half_mm[a] = COARSE_MM * (COARSE_HALF_VOXELS + round(options->search_mm[a] / COARSE_MM));
    coarse.centre_mm[0][a] = coarse.centre_mm[1][a] = centre_mm[a];
    fine.half_mm[a] = FINE_MM * (FINE_HALF_VOXELS + LVN_REG_SHIFT_REACH);
  }
  if (!on_both_sides(&coarse, cut_side, err)) {
    return false;
  }
  coarse.planar = fine.planar = is_thin(&coarse.box[0]) || is_thin(&coarse.box[1]);
  if (!on_both_sides(&coarse, describe_side, err) || !on_both_sides(&coarse, keep_liver, err) ||
      !search_both_ways(&coarse, options, &found, err)) {
    return false;
  }
  evidence->planar = coarse.planar;
  evidence->slice_mm = fmax(fixed->grid.spacing_mm[2], moving->grid.spacing_mm[2]);
  evidence->overlap = found.there.overlap;
  struct lvn_transform before = *transform;
  struct similarity_work work = {.coarse = &coarse, .fine = &fine, .before = &before, .after = transform};
  if (found.there.overlap < LVN_REG_LEAST_OVERLAP) {
    measure_similarity(&work, SIMILARITY_BEFORE);
    evidence->similarity_before = work.similarity[SIMILARITY_BEFORE];
    return true;
  }
  evidence->peak = fmin(found.there.peak, found.back.peak);
  evidence->at_border = found.there.at_border;
  evidence->inverse_consistency_mm = found.home_mm;
  *model = "translation";
  for (int a = 0; a < 3; a++) {
    transform->shift_mm[a] = evidence->translation_mm[a] = found.there.mm[a];
    fine.centre_mm[0][a] = centre_mm[a];
    fine.centre_mm[1][a] = centre_mm[a] + found.there.mm[a];
  }
  if (!refine(&fine, transform, evidence, model, err)) {
    return false;
  }
  lvn_reg_parallel(SIMILARITIES, measure_similarity, &work);
  if (!work.done) {
    *err = work.err;
    return false;
  }
  evidence->similarity_before = work.similarity[SIMILARITY_BEFORE];
  evidence->similarity = work.similarity[SIMILARITY_AFTER];
  evidence->detail = work.similarity[DETAIL];
  evidence->body = work.similarity[BODY];
  return true;
}

bool lvn_registration_run(const struct lvn_volume *fixed, const struct lvn_mask *lesion,
                          const struct lvn_volume *moving, const struct lvn_registration_options *options,
                          struct lvn_transform **ret_registration, struct lvn_registration_quality *ret_quality,
                          struct lvn_error *err) {
  double start = lvn_clock_monotonic_seconds();
  struct lvn_registration_quality quality = {.model = "identity"};
  struct lvn_reg_evidence evidence = {.inverse_consistency_mm = NAN};
  struct lvn_transform transform;
  double centre_mm[3] = {0.0, 0.0, 0.0};
  double mapped_mm[3];
  size_t lesion_voxels = lvn_mask_measure(lesion, NULL, NULL, centre_mm);
  const double *voxel_mm = lesion->grid.spacing_mm;
  double radius_mm = cbrt(0.75 / M_PI * (double)lesion_voxels * voxel_mm[0] * voxel_mm[1] * voxel_mm[2]);
  lvn_transform_about(centre_mm, &transform);
  if (lesion_voxels > 0 &&
      !lvn_reg_align(fixed, moving, centre_mm, radius_mm, options, &transform, &evidence, &quality.model, err)) {
    return false;
  }
  quality.similarity = evidence.similarity;
  quality.similarity_before = evidence.similarity_before;
  quality.inverse_consistency_mm = evidence.inverse_consistency_mm;
  lvn_transform_map(&transform, centre_mm, mapped_mm);
  for (int a = 0; a < 3; a++) {
    quality.displacement_mm[a] = mapped_mm[a] - centre_mm[a];
  }
  lvn_reg_judge(&evidence, options->max_error_mm, &quality);
  quality.seconds = lvn_clock_monotonic_seconds() - start;
  if (!lvn_transform_create(&transform, ret_registration, err)) {
    return false;
  }
  *ret_quality = quality;
  return true;
}

void lvn_registration_options_default(struct lvn_registration_options *ret_options) {
  *ret_options =
      (struct lvn_registration_options){.device = "cpu", .search_mm = {24.0, 24.0, 44.0}, .max_error_mm = 6.0};
}
