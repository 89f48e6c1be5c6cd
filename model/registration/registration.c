/* Alignment about a lesion: an exhaustive translation search at 4 mm, which needs no starting guess; then the fit,
 * at 2.5 mm, of the simplest displacement that the images bear out; and both again on the way back, since an alignment
 * that cannot find home is none. Either direction uses the same four boxes of descriptors. */
#include "model/registration/registration.h"
#include "daemon/base/clock.h"
#include "daemon/base/memory.h"
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
  if (!lvn_reg_parallel(2, work, pair, err)) {
    return false;
  }
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

struct fit_work {
  const struct pair *fine;
  struct lvn_reg_costs *costs[2]; /* there, back */
};

static void add_layer(void *context, int item) {
  struct fit_work *work = context;
  int side = item / LVN_REG_BLOCKS;
  lvn_reg_costs_add_layer(work->costs[side], &work->fine->features[side], &work->fine->features[1 - side],
                          FINE_SIGMA_MM, item % LVN_REG_BLOCKS);
}

static void costs_clear(struct fit_work *work) {
  lvn_reg_costs_destroy(work->costs[0]);
  lvn_reg_costs_destroy(work->costs[1]);
}

/* From the simplest to the richest. */
enum { IDENTITY, TRANSLATION, AFFINE, CURVED, MODELS };
static const char *name_of(int model) {
  return model == CURVED ? "curved"
                         : (model == AFFINE ? "affine" : (model == TRANSLATION ? "translation" : "identity"));
}

/* Each model fitted to the blocks of `part`, each from the one before. A model that cannot be fitted is the one before.
 */
static void fit_each(const struct lvn_reg_costs *costs, const struct lvn_reg_transform *none,
                     const struct lvn_reg_transform *start, enum lvn_reg_part part,
                     struct lvn_reg_transform ret_models[MODELS], bool ret_fitted[MODELS]) {
  ret_models[IDENTITY] = *none;
  ret_models[TRANSLATION] = *start;
  ret_fitted[IDENTITY] = true;
  ret_fitted[TRANSLATION] = lvn_reg_costs_fit(costs, LVN_REG_TRANSLATION, part, 0.0, &ret_models[TRANSLATION]);
  ret_models[AFFINE] = ret_models[TRANSLATION];
  ret_fitted[AFFINE] = lvn_reg_costs_fit(costs, LVN_REG_AFFINE, part, AFFINE_PRIOR, &ret_models[AFFINE]);
  ret_models[CURVED] = ret_models[AFFINE];
  ret_fitted[CURVED] = lvn_reg_costs_fit(costs, LVN_REG_CURVED, part, CURVED_PRIOR, &ret_models[CURVED]);
}

/* Which model explains best what it was not fitted to: each half of the blocks judges what the other half says. Between
 * equals the simpler. has_stayed: that nothing has moved is worth asking. */
static int choose_model(const struct lvn_reg_costs *costs, bool planar, bool has_stayed,
                        const struct lvn_reg_transform *none, const struct lvn_reg_transform *start) {
  double cost[MODELS] = {0};
  int chosen = TRANSLATION;
  for (int half = 0; half < 2; half++) {
    struct lvn_reg_transform models[MODELS] = {0};
    bool fitted[MODELS] = {false};
    fit_each(costs, none, start, half == 0 ? LVN_REG_EVEN : LVN_REG_ODD, models, fitted);
    for (int model = 0; model < MODELS; model++) {
      cost[model] +=
          fitted[model] ? lvn_reg_costs_value(costs, &models[model], half == 0 ? LVN_REG_ODD : LVN_REG_EVEN) : HUGE_VAL;
    }
  }
  for (int model = AFFINE; model <= CURVED && !planar; model++) {
    chosen = cost[model] < (1.0 - EQUAL) * cost[chosen] ? model : chosen;
  }
  return has_stayed && (1.0 - EQUAL) * cost[IDENTITY] <= cost[chosen] ? IDENTITY : chosen;
}

/* *model: in, the one to take, or -1 to choose; out, the one taken, or -1 when none could be fitted. */
static void fit_models(const struct lvn_reg_costs *costs, bool planar, const struct lvn_reg_transform *none,
                       struct lvn_reg_transform *transform, int *model, double ret_shift_mm[3], double *ret_spread_mm) {
  struct lvn_reg_transform models[MODELS] = {0};
  bool fitted[MODELS] = {false};
  fit_each(costs, none, transform, LVN_REG_ALL, models, fitted);
  bool has_stayed = fitted[TRANSLATION] && distance_mm(models[TRANSLATION].shift_mm, none->shift_mm) < MOST_STAYED_MM;
  int chosen = *model >= 0 ? *model : choose_model(costs, planar, has_stayed, none, transform);
  while (chosen > TRANSLATION && !fitted[chosen]) {
    chosen--;
  }
  *ret_spread_mm = distance_mm(models[TRANSLATION].shift_mm, transform->shift_mm);
  if (!planar) {
    *ret_spread_mm = fmax(*ret_spread_mm, distance_mm(models[AFFINE].shift_mm, models[TRANSLATION].shift_mm));
  }
  memcpy(ret_shift_mm, models[TRANSLATION].shift_mm, sizeof models[TRANSLATION].shift_mm);
  *transform = models[chosen];
  *model = fitted[chosen] ? chosen : -1;
}

/* Refine `transform`, found by the search, and measure the way back when the search says that it leads home. */
static bool refine(struct pair *fine, struct lvn_reg_transform *transform, struct lvn_reg_evidence *evidence,
                   const char **model, struct lvn_error *err) {
  LVN_CLEANUP(costs_clear) struct fit_work work = {.fine = fine};
  struct lvn_reg_transform there;
  struct lvn_reg_transform back;
  struct lvn_reg_transform none[2];
  double back_shift_mm[3];
  int fitted = -1;
  double spread_mm = 0.0;
  const double *lesion_mm = fine->centre_mm[0];
  const double *found_mm = fine->centre_mm[1];
  lvn_reg_transform_identity(lesion_mm, &there);
  lvn_reg_transform_identity(found_mm, &back);
  if (!on_both_sides(fine, cut_side, err) || !on_both_sides(fine, describe_side, err) ||
      !on_both_sides(fine, drop_static, err) ||
      !lvn_reg_costs_create(lesion_mm, FINE_MM, fine->planar, &work.costs[0], err) ||
      !lvn_reg_costs_create(found_mm, FINE_MM, fine->planar, &work.costs[1], err) ||
      !lvn_reg_parallel(2 * LVN_REG_BLOCKS, add_layer, &work, err)) {
    return false;
  }
  none[0] = there;
  none[1] = back;
  for (int a = 0; a < 3; a++) {
    none[0].shift_mm[a] = lesion_mm[a] - found_mm[a];
    none[1].shift_mm[a] = found_mm[a] - lesion_mm[a];
    there.shift_mm[a] = fine->start_mm[0][a];
    back.shift_mm[a] = fine->start_mm[1][a];
  }
  fit_models(work.costs[0], fine->planar, &none[0], &there, &fitted, evidence->translation_mm,
             &evidence->model_spread_mm);
  int returned = fitted;
  fit_models(work.costs[1], fine->planar, &none[1], &back, &returned, back_shift_mm, &spread_mm);
  if (fitted < 0) {
    memcpy(evidence->translation_mm, transform->shift_mm, sizeof evidence->translation_mm);
    evidence->model_spread_mm = 10.0;
    return true;
  }
  lvn_reg_costs_ask(work.costs[0], &there, &evidence->agreement, &evidence->contrast);
  /* Both transforms are against the boxes' offset. */
  double y_mm[3];
  double home_mm[3];
  for (int a = 0; a < 3; a++) {
    there.shift_mm[a] += found_mm[a] - lesion_mm[a];
    evidence->translation_mm[a] += found_mm[a] - lesion_mm[a];
    back.shift_mm[a] += lesion_mm[a] - found_mm[a];
  }
  lvn_reg_transform_apply(&there, lesion_mm, y_mm);
  lvn_reg_transform_apply(&back, y_mm, home_mm);
  if (returned >= 0 && evidence->inverse_consistency_mm < 2.0 * COARSE_MM) {
    evidence->inverse_consistency_mm = distance_mm(home_mm, lesion_mm);
  }
  *transform = there;
  *model = name_of(fitted);
  return true;
}

bool lvn_reg_align(const struct lvn_volume *fixed, const struct lvn_volume *moving, const double centre_mm[3],
                   double radius_mm, const struct lvn_registration_options *options,
                   struct lvn_reg_transform *transform, struct lvn_reg_evidence *evidence, const char **model,
                   struct lvn_error *err) {
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
  evidence->similarity_before =
      lvn_reg_correlation(&coarse.features[0], &coarse.features[1], transform, COARSE_SIGMA_MM);
  if (found.there.overlap < LVN_REG_LEAST_OVERLAP) {
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
  if (!refine(&fine, transform, evidence, model, err) ||
      !lvn_reg_compare_bodies(fixed, moving, centre_mm, &evidence->body, err)) {
    return false;
  }
  evidence->similarity = lvn_reg_correlation(&coarse.features[0], &coarse.features[1], transform, COARSE_SIGMA_MM);
  evidence->detail = lvn_reg_correlation(&fine.features[0], &fine.features[1], transform, FINE_SIGMA_MM);
  return true;
}

bool lvn_registration_run(const struct lvn_volume *fixed, const struct lvn_mask *lesion,
                          const struct lvn_volume *moving, const struct lvn_registration_options *options,
                          struct lvn_registration **ret_registration, struct lvn_registration_quality *ret_quality,
                          struct lvn_error *err) {
  double start = lvn_clock_monotonic_seconds();
  struct lvn_registration_quality quality = {.model = "identity"};
  struct lvn_reg_evidence evidence = {.inverse_consistency_mm = NAN};
  struct lvn_reg_transform transform;
  double centre_mm[3] = {0.0, 0.0, 0.0};
  double mapped_mm[3];
  size_t lesion_voxels = lvn_mask_measure(lesion, NULL, NULL, centre_mm);
  const double *voxel_mm = lesion->grid.spacing_mm;
  double radius_mm = cbrt(0.75 / M_PI * (double)lesion_voxels * voxel_mm[0] * voxel_mm[1] * voxel_mm[2]);
  lvn_reg_transform_identity(centre_mm, &transform);
  if (lesion_voxels > 0 &&
      !lvn_reg_align(fixed, moving, centre_mm, radius_mm, options, &transform, &evidence, &quality.model, err)) {
    return false;
  }
  quality.similarity = evidence.similarity;
  quality.similarity_before = evidence.similarity_before;
  quality.inverse_consistency_mm = evidence.inverse_consistency_mm;
  lvn_reg_transform_apply(&transform, centre_mm, mapped_mm);
  for (int a = 0; a < 3; a++) {
    quality.displacement_mm[a] = mapped_mm[a] - centre_mm[a];
  }
  lvn_reg_judge(&evidence, options->max_error_mm, &quality);
  quality.seconds = lvn_clock_monotonic_seconds() - start;
  if (!lvn_reg_wrap(&transform, ret_registration, err)) {
    return false;
  }
  *ret_quality = quality;
  return true;
}
