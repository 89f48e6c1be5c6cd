#include "model/phantom/phantom.h"

#include "base/memory.h"
#include "model/phantom/phantom_internal.h"
#include "model/phantom/phantom_place.h"

#include <math.h>

void lvn_phantom_options_default(struct lvn_phantom_options *ret_options) {
  *ret_options = (struct lvn_phantom_options){.seed = 1, .matrix = 512, .motion_scale = 1.0, .noise_hu = -1.0};
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    ret_options->has_phase[phase] = true;
  }
}

static bool check_options(const struct lvn_phantom_options *options, struct lvn_error *err) {
  bool any = false;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    any = any || options->has_phase[phase];
  }
  if (!any) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "a phantom needs at least one phase");
  }
  if (options->matrix < 64 || options->matrix > 1024) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "matrix %u is not within 64 to 1024", options->matrix);
  }
  if (!(options->pixel_spacing_mm == 0.0 || (options->pixel_spacing_mm >= 0.2 && options->pixel_spacing_mm <= 10.0))) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "pixel spacing %g mm is not within 0.2 to 10",
                         options->pixel_spacing_mm);
  }
  if (!(options->slice_thickness_mm == 0.0 ||
        (options->slice_thickness_mm >= 0.5 && options->slice_thickness_mm <= 10.0))) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "slice thickness %g mm is not within 0.5 to 10",
                         options->slice_thickness_mm);
  }
  if (!(options->coverage_mm >= 0.0 && options->coverage_mm <= 600.0) ||
      !(options->motion_scale >= 0.0 && options->motion_scale <= 2.0) || !(options->noise_hu <= 200.0)) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "coverage must be within 0 to 600 mm, motion scale within 0 to 2, noise up to 200 HU");
  }
  if (options->lesion_count > LVN_PHANTOM_LESIONS_MAX) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "%zu lesions are more than %d", options->lesion_count,
                         LVN_PHANTOM_LESIONS_MAX);
  }
  for (size_t i = 0; i < options->lesion_count; i++) {
    double diameter = options->lesion_diameter_mm[i];
    if (!(diameter == 0.0 || (diameter >= 4.0 && diameter <= 120.0)) ||
        (options->lesion_other[i] == LVN_OTHER_NONE && options->lesion_class[i] >= LVN_CLASS_PAPER_COUNT) ||
        (unsigned)options->lesion_other[i] >= LVN_OTHER_COUNT) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "lesion %zu: diameter must be within 4 to 120 mm and the class known",
                           i + 1);
    }
  }
  return true;
}

/* Small lesions are the more frequent. */
static double log_diameter(uint64_t seed, const struct lvn_phantom_range *range, uint64_t which) {
  const struct lvn_phantom_range logarithmic = {{log(range->low[0]), 0}, {log(range->high[0]), 0}};
  return lvn_phantom_world_draw(seed, &logarithmic, which);
}

enum { THICKNESS = 32, NOISE, FIELD, MOTION }; /* which of the draws from a world */

/* What the caller did not set is the world's. */
static void draw_wide_options(struct lvn_phantom_options *options, const struct lvn_phantom_patient *patient) {
  const struct lvn_phantom_world *world = &options->world;
  uint64_t seed = options->seed;
  double field_mm = 2.0 * (double)patient->outer[0] * lvn_phantom_world_draw(seed, &world->field, FIELD);
  if (options->pixel_spacing_mm == 0.0) {
    options->pixel_spacing_mm = rint(field_mm / options->matrix * 1000.0) / 1000.0;
  }
  if (options->slice_thickness_mm == 0.0) {
    options->slice_thickness_mm =
        rint(lvn_phantom_world_draw(seed, &world->slice_thickness_mm, THICKNESS) * 20.0) / 20.0;
  }
  if (options->noise_hu < 0.0) {
    options->noise_hu = lvn_phantom_world_draw(seed, &world->noise_hu, NOISE);
  }
  options->motion_scale *= lvn_phantom_world_draw(seed, &world->motion, MOTION);
}

/* Every value is drawn whether it is needed or not, so that fixing one leaves the others as they were. */
static void draw_options(struct lvn_phantom *phantom, const struct lvn_phantom_patient *patient) {
  static const double thicknesses[] = {1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.0, 5.0, 5.0, 5.0, 5.0, 7.0};
  struct lvn_phantom_options *options = &phantom->options;
  struct lvn_phantom_random random = lvn_phantom_random_start(options->seed, LVN_PHANTOM_STREAM_OPTIONS);
  double view_mm = 2.0 * patient->outer[0] * lvn_phantom_random_uniform(&random, 0.95, 1.12);
  double pixel_mm = fmin(fmax(view_mm / 512.0, 0.57), 0.85);
  double thickness_mm = thicknesses[lvn_phantom_random_index(&random, sizeof thicknesses / sizeof *thicknesses)];
  double dose = lvn_phantom_random_uniform(&random, 0.75, 1.35);
  size_t lesions = lvn_phantom_random_chance(&random, 0.7) ? 1 : 2 + lvn_phantom_random_index(&random, 2);
  if (options->world.is_wide) {
    draw_wide_options(options, patient);
  }
  if (options->pixel_spacing_mm == 0.0) {
    options->pixel_spacing_mm = pixel_mm * 512.0 / options->matrix;
  }
  if (options->slice_thickness_mm == 0.0) {
    options->slice_thickness_mm = thickness_mm;
  }
  if (options->noise_hu < 0.0) {
    /* Quanta per voxel: noise falls with the root of the thickness, rises with the patient's size. */
    double noise_hu = 12.0 * dose * sqrt(3.0 / options->slice_thickness_mm) * exp(3.0 * (patient->size - 1.0));
    options->noise_hu = fmin(fmax(noise_hu, 8.0), 20.0);
  }
  bool drawn = options->lesion_count == 0;
  options->lesion_count = drawn ? lesions : options->lesion_count;
  const struct lvn_phantom_world *world = &options->world;
  for (size_t i = 0; i < LVN_PHANTOM_LESIONS_MAX; i++) {
    size_t lesion_class = lvn_phantom_random_index(&random, LVN_CLASS_PAPER_COUNT);
    double diameter_mm = exp(lvn_phantom_random_uniform(&random, log(8.0), log(90.0)));
    if (drawn) {
      options->lesion_class[i] = (enum lvn_class)lesion_class;
    }
    if (drawn && world->is_wide) {
      const struct lvn_phantom_range even = {{0, 0}, {1, 0}};
      lvn_phantom_world_choose(world, lvn_phantom_world_draw(options->seed, &even, 64 + i), &options->lesion_class[i],
                               &options->lesion_other[i]);
    }
    if (world->is_wide) {
      diameter_mm = exp(log_diameter(options->seed, &world->diameter_mm, 96 + i));
    }
    if (options->lesion_diameter_mm[i] == 0.0) {
      options->lesion_diameter_mm[i] = diameter_mm;
    }
  }
}

/* Cranio-caudal range of a phase: the liver, or the lesions (where this phase and where the reference has them). */
static void z_range(const struct lvn_phantom *phantom, const struct lvn_phantom_scene *scene, enum lvn_phase phase,
                    struct lvn_phantom_random *random, double ret_range[2]) {
  double start = lvn_phantom_random_uniform(random, -12.0, 4.0);
  double end = lvn_phantom_random_uniform(random, -4.0, 14.0);
  ret_range[0] = -102.0 * scene->patient.size + start;
  ret_range[1] = 98.0 * scene->patient.size + end;
  if (phantom->options.coverage_mm <= 0.0 || scene->lesion_count == 0) {
    return;
  }
  double low = 1e9;
  double high = -1e9;
  double low_seen = 1e9;
  double high_seen = -1e9;
  for (size_t i = 0; i < scene->lesion_count; i++) {
    const struct lvn_phantom_look *look = &scene->lesions[i];
    double reach = look->radius * look->stretch * (1.0F + look->lobulation);
    double here = look->centre[2] + phantom->lesions[i].displacement_mm[phase][2];
    low = fmin(low, look->centre[2]);
    high = fmax(high, look->centre[2]);
    low_seen = fmin(low_seen, fmin(here, (double)look->centre[2]) - reach - 10.0);
    high_seen = fmax(high_seen, fmax(here, (double)look->centre[2]) + reach + 10.0);
  }
  double middle = 0.5 * (low + high) + 0.25 * (start + end);
  ret_range[0] = fmin(middle - 0.5 * phantom->options.coverage_mm, low_seen);
  ret_range[1] = fmax(middle + 0.5 * phantom->options.coverage_mm, high_seen);
}

static void make_grid(struct lvn_phantom *phantom, const struct lvn_phantom_scene *scene, enum lvn_phase phase,
                      bool thickness_drawn, struct lvn_grid *ret_grid) {
  const struct lvn_phantom_options *options = &phantom->options;
  struct lvn_phantom_random patient = lvn_phantom_random_start(options->seed, LVN_PHANTOM_STREAM_GRID);
  struct lvn_phantom_random random =
      lvn_phantom_random_start(options->seed, LVN_PHANTOM_STREAM_GRID + ((uint64_t)(phase + 1) << 32));
  double thickness = options->slice_thickness_mm;
  double other_thickness = thickness <= 2.0 ? 5.0 : thickness < 7.0 ? 7.0 : 5.0;
  bool other = lvn_phantom_random_chance(&random, 0.2);
  bool other_pixel = lvn_phantom_random_chance(&random, 0.25);
  double zoom = lvn_phantom_random_uniform(&random, 0.95, 1.05);
  double overlap = lvn_phantom_random_chance(&patient, 0.12) ? 0.8 : 1.0;
  double range[2];
  if (thickness_drawn && other && phase != LVN_PHASE_PV) {
    thickness = other_thickness;
  }
  double pixel = options->pixel_spacing_mm * (other_pixel && phase != LVN_PHASE_PV ? zoom : 1.0);
  double spacing = thickness * (thickness_drawn ? overlap : 1.0);
  const double centre[2] = {
      lvn_phantom_random_uniform(&patient, -8.0, 8.0) + lvn_phantom_random_uniform(&random, -3.0, 3.0),
      lvn_phantom_random_uniform(&patient, -8.0, 8.0) + lvn_phantom_random_uniform(&random, -3.0, 3.0) + 8.0};
  z_range(phantom, scene, phase, &random, range);
  phantom->slice_thickness_mm[phase] = thickness;
  *ret_grid = (struct lvn_grid){.size = {options->matrix, options->matrix, 0},
                                .spacing_mm = {pixel, pixel, spacing},
                                .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  ret_grid->size[2] = (uint32_t)fmax(ceil((range[1] - range[0]) / spacing), 1.0);
  /* Whole hundredths, as scanners write them: what a decimal string keeps exactly. */
  for (int axis = 0; axis < 2; axis++) {
    ret_grid->origin_mm[axis] = rint(100.0 * (centre[axis] - 0.5 * pixel * (options->matrix - 1))) / 100.0;
  }
  ret_grid->origin_mm[2] = rint(100.0 * range[0]) / 100.0;
}

static void describe_lesions(struct lvn_phantom *phantom, const struct lvn_phantom_scene *scene) {
  phantom->lesion_count = scene->lesion_count;
  for (size_t i = 0; i < scene->lesion_count; i++) {
    const struct lvn_phantom_look *look = &scene->lesions[i];
    struct lvn_phantom_lesion *lesion = &phantom->lesions[i];
    lesion->lesion_class = look->lesion_class;
    lesion->other = phantom->options.lesion_other[i];
    lesion->diameter_mm = 2.0 * look->radius;
    (void)lvn_copy(lesion->subtype, sizeof lesion->subtype, look->subtype);
    for (int axis = 0; axis < 3; axis++) {
      lesion->centre_mm[axis] = look->centre[axis];
    }
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      double moved[3];
      lvn_phantom_motion_forward(&scene->motion[phase], lesion->centre_mm, moved);
      for (int axis = 0; axis < 3; axis++) {
        lesion->displacement_mm[phase][axis] = moved[axis] - lesion->centre_mm[axis];
      }
    }
  }
}

static bool make_volumes(struct lvn_phantom *phantom, struct lvn_phantom_scene *scene, bool thickness_drawn,
                         struct lvn_error *err) {
  for (int i = 0; i < LVN_PHASE_COUNT; i++) {
    enum lvn_phase phase = (enum lvn_phase)i;
    struct lvn_grid grid;
    if (!phantom->options.has_phase[phase]) {
      continue;
    }
    make_grid(phantom, scene, phase, thickness_drawn, &grid);
    double quanta = sqrt(phantom->options.slice_thickness_mm / phantom->slice_thickness_mm[phase]);
    scene->noise_hu[phase] = (float)(phantom->options.noise_hu * fmin(fmax(quanta, 0.6), 1.5));
    if (!lvn_volume_create(&grid, &phantom->volume[phase], err)) {
      return false;
    }
    for (size_t lesion = 0; lesion < phantom->lesion_count; lesion++) {
      if (!lvn_mask_create(&grid, &phantom->lesions[lesion].mask[phase], err)) {
        return false;
      }
    }
  }
  return true;
}

/* Seconds after the start of injection: 25-38 arterial, 62-78 portal venous, 170-300 delayed. */
static void draw_delays(struct lvn_phantom *phantom, const struct lvn_phantom_patient *patient) {
  struct lvn_phantom_random random = lvn_phantom_random_start(phantom->options.seed, LVN_PHANTOM_STREAM_DELAY);
  double *delay = phantom->acquisition_delay_seconds;
  delay[LVN_PHASE_NC] = -rint(lvn_phantom_random_uniform(&random, 60.0, 240.0));
  delay[LVN_PHASE_ART] = rint(25.0 + 13.0 * patient->arterial_lateness);
  delay[LVN_PHASE_PV] = rint(lvn_phantom_random_uniform(&random, 62.0, 78.0));
  delay[LVN_PHASE_DL] = rint(lvn_phantom_random_uniform(&random, 170.0, 300.0));
}

static void drop_lesion(struct lvn_phantom_options *options, size_t lesion) {
  options->lesion_count--;
  for (size_t i = lesion; i < options->lesion_count; i++) {
    options->lesion_class[i] = options->lesion_class[i + 1];
    options->lesion_other[i] = options->lesion_other[i + 1];
    options->lesion_diameter_mm[i] = options->lesion_diameter_mm[i + 1];
  }
}

static bool fill(struct lvn_phantom *phantom, struct lvn_phantom_scene *scene, unsigned threads,
                 struct lvn_error *err) {
  struct lvn_phantom_options *options = &phantom->options;
  bool thickness_drawn = options->slice_thickness_mm == 0.0;
  lvn_phantom_patient_draw(options->seed, &options->world, &scene->patient);
  draw_options(phantom, &scene->patient);
  draw_delays(phantom, &scene->patient);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    lvn_phantom_motion_draw(options->seed, (enum lvn_phase)phase, options->motion_scale, &scene->patient,
                            &scene->motion[phase]);
  }
  lvn_phantom_anatomy_build(scene, options->seed);
  lvn_phantom_vessels_build(scene, options->seed);
  for (size_t i = 0; i < options->lesion_count;) {
    lvn_phantom_lesion_place(scene, options->seed, options->lesion_class[i], options->lesion_other[i],
                             options->lesion_diameter_mm[i]);
    if (options->world.is_wide && scene->lesion_count == i) {
      drop_lesion(options, i); /* what finds no place in a wide world is left out */
    } else {
      i++;
    }
  }
  for (size_t i = 0; i < scene->lesion_count; i++) {
    if (scene->lesions[i].is_hidden) {
      continue;
    }
    struct lvn_phantom_shape shape = {.kind = LVN_SHAPE_LESION, .material = LVN_MATERIAL_LESION, .lesion = i};
    for (int axis = 0; axis < 3; axis++) {
      shape.centre[axis] = scene->lesions[i].centre[axis];
    }
    lvn_phantom_scene_add(scene, &shape);
  }
  if (scene->lesion_count < options->lesion_count || scene->lesion_count == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "the liver of seed %llu has no room for %zu lesions of these sizes",
                         (unsigned long long)options->seed, options->lesion_count);
  }
  lvn_phantom_wall_build(scene);
  describe_lesions(phantom, scene);
  return make_volumes(phantom, scene, thickness_drawn, err) &&
         lvn_phantom_texture_create(scene, options->seed, phantom, err) &&
         lvn_phantom_render(scene, phantom, threads, err);
}

bool lvn_phantom_make(const struct lvn_phantom_options *options, unsigned threads, struct lvn_phantom *ret_phantom,
                      struct lvn_error *err) {
  struct lvn_phantom phantom = {.options = *options};
  if (!check_options(options, err)) {
    return false;
  }
  LVN_AUTOFREE struct lvn_phantom_scene *scene = lvn_alloc(1, sizeof *scene, err);
  if (scene == NULL) {
    return false;
  }
  bool good = fill(&phantom, scene, threads, err);
  lvn_free(scene->grain);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    lvn_free(scene->noise[phase]);
  }
  if (!good) {
    lvn_phantom_clear(&phantom);
    return false;
  }
  *ret_phantom = phantom;
  return true;
}

void lvn_phantom_clear(struct lvn_phantom *phantom) {
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    lvn_volume_clear(&phantom->volume[phase]);
    for (size_t lesion = 0; lesion < LVN_PHANTOM_LESIONS_MAX; lesion++) {
      lvn_mask_clear(&phantom->lesions[lesion].mask[phase]);
    }
  }
  *phantom = (struct lvn_phantom){0};
}

void lvn_phantom_map(const struct lvn_phantom *phantom, enum lvn_phase phase, const double reference_mm[3],
                     double ret_phase_mm[3]) {
  struct lvn_phantom_patient patient;
  struct lvn_phantom_motion motion;
  const float at[3] = {(float)reference_mm[0], (float)reference_mm[1], (float)reference_mm[2]};
  lvn_phantom_patient_draw(phantom->options.seed, &phantom->options.world, &patient);
  if (lvn_phantom_is_static(&patient, at)) {
    for (int axis = 0; axis < 3; axis++) {
      ret_phase_mm[axis] = reference_mm[axis];
    }
    return;
  }
  lvn_phantom_motion_draw(phantom->options.seed, phase, phantom->options.motion_scale, &patient, &motion);
  lvn_phantom_motion_forward(&motion, reference_mm, ret_phase_mm);
}
