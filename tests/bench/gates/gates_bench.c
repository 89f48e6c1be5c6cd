/* What the gates before the network do to regions on phantoms: one CSV line a region, with every fact that the gates
 * look at and the code of each that closes. Phases are aligned by truth.
 *
 * usage: gates_bench WORLD|- FIRST_SEED PHANTOMS MATRIX [DIAMETER_MM [PHASES]]
 *
 * WORLD is an INI file of model/phantom/worlds, - the narrow world. DIAMETER_MM: of every lesion, in place of the
 * world's. PHASES: which series stand for NC, ART and PV, "NC,PV,ART" say, to see wrong phases. */
#include "analysis/gates.h"
#include "analysis/measure.h"
#include "model/phantom/phantom.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LESIONS 4 /* of each phantom */

struct request {
  struct lvn_phantom_options options;
  enum lvn_phase shown[LVN_PHASE_NETWORK_COUNT];
};

static void fail(const struct lvn_error *err) {
  (void)fprintf(stderr, "gates_bench: %s\n", err->message);
  exit(1); /* allow: a benchmark stops */
}

static const char *kind_of(const struct lvn_phantom_lesion *lesion) {
  return lesion->other != LVN_OTHER_NONE ? lvn_phantom_other_name(lesion->other) : lvn_class_name(lesion->lesion_class);
}

static void crop_region(const struct request *request, const struct lvn_phantom *phantom, size_t index,
                        const struct lvn_mask *mask, const struct lvn_crop_options *options, struct lvn_crop *crop) {
  const struct lvn_phantom_lesion *lesion = &phantom->lesions[index];
  struct lvn_crop_phase phases[LVN_PHASE_NETWORK_COUNT];
  struct lvn_transform *from_fixed[LVN_PHASE_NETWORK_COUNT];
  struct lvn_error err = {0};
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    const enum lvn_phase shown = request->shown[phase];
    double shift_mm[3];
    for (int axis = 0; axis < 3; axis++) {
      shift_mm[axis] = lesion->displacement_mm[shown][axis] - lesion->displacement_mm[LVN_PHASE_PV][axis];
    }
    if (!lvn_transform_translation(shift_mm, &from_fixed[phase], &err)) {
      fail(&err);
    }
    phases[phase] = (struct lvn_crop_phase){.volume = &phantom->volume[shown], .from_fixed = from_fixed[phase]};
  }
  if (!lvn_crop_make(&phantom->volume[LVN_PHASE_PV].grid, mask, phases, options, crop, &err)) {
    fail(&err);
  }
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    lvn_transform_destroy(from_fixed[phase]);
  }
}

static void gather(const struct request *request, const struct lvn_phantom *phantom, size_t index,
                   const struct lvn_mask *mask, struct lvn_gate_facts *facts) {
  struct lvn_crop_options options;
  struct lvn_measure measure;
  struct lvn_error err = {0};
  double extent_mm = 0.0;
  lvn_measure_lesion(mask, &measure);
  for (int axis = 0; axis < 2; axis++) {
    extent_mm =
        fmax(extent_mm, (measure.last_voxel[axis] - measure.first_voxel[axis] + 1U) * mask->grid.spacing_mm[axis]);
  }
  *facts = (struct lvn_gate_facts){.long_axis_mm = measure.long_axis_mm,
                                   .by_area_mm = measure.by_area_mm,
                                   .pixels_across = measure.long_axis_mm / mask->grid.spacing_mm[0],
                                   .least_diameter_mm = 8.0,
                                   .least_pixels_across = 4.0,
                                   .aorta_hu = {NAN, NAN, NAN}};
  struct lvn_crop crop = {0};
  lvn_crop_options_default(&options);
  crop_region(request, phantom, index, mask, &options, &crop);
  lvn_measure_mean_hu(&crop, facts->mean_hu);
  lvn_crop_clear(&crop);
  lvn_roi_gate_crop_options(extent_mm, &options);
  crop_region(request, phantom, index, mask, &options, &crop);
  lvn_gates_same_share(&crop, facts->same_share);
  if (!lvn_roi_gate_judge(&crop, &facts->surroundings, &err)) {
    fail(&err);
  }
  lvn_crop_clear(&crop);
}

static void tell(const struct request *request, const struct lvn_phantom *phantom, size_t index) {
  const struct lvn_phantom_lesion *lesion = &phantom->lesions[index];
  struct lvn_mask mask = {0};
  struct lvn_gate_facts facts;
  struct lvn_error err = {0};
  char closed[128] = "";
  if (!lvn_phantom_region(phantom, index, LVN_PHASE_PV, &mask, &err)) {
    fail(&err);
  }
  if (lvn_mask_measure(&mask, NULL, NULL, NULL) > 0) {
    gather(request, phantom, index, &mask, &facts);
    for (int gate = 0; gate < LVN_GATE_COUNT; gate++) {
      char sentence[LVN_GATE_SENTENCE_BYTES];
      if (lvn_gate_closes((enum lvn_gate)gate, &facts, sentence)) {
        size_t used = strlen(closed);
        (void)snprintf(closed + used, sizeof closed - used, "%s%s", used == 0 ? "" : "+",
                       lvn_gate_code((enum lvn_gate)gate));
      }
    }
    const struct lvn_roi_gate *around = &facts.surroundings;
    (void)printf(
        "%llu,%s,\"%s\",%.1f,%.1f,%.1f,%.1f,%.0f,%.0f,%.0f,%.3f,%.3f,%.3f,%d,%.1f,%.2f,%.2f,%.2f,%.1f,%.1f,%s\n",
        (unsigned long long)phantom->options.seed, kind_of(lesion), lesion->subtype, lesion->diameter_mm,
        facts.long_axis_mm, facts.by_area_mm, facts.pixels_across, facts.mean_hu[0], facts.mean_hu[1], facts.mean_hu[2],
        facts.same_share[0], facts.same_share[1], facts.same_share[2], around->is_judged, around->contrast_hu,
        around->odd_share, around->fat_share, around->liver_share, around->rise_hu, around->fall_hu, closed);
    (void)fflush(stdout);
  }
  lvn_mask_clear(&mask);
}

/* By the world's shares, evenly over the numbers. */
static void choose(const struct request *request, double number, enum lvn_class *ret_class,
                   enum lvn_phantom_other *ret_other) {
  const double golden = 0.6180339887498949;
  *ret_class = (enum lvn_class)((unsigned)number % LVN_CLASS_PAPER_COUNT);
  if (request->options.world.is_wide) {
    lvn_phantom_world_choose(&request->options.world, fmod(number * golden, 1.0), ret_class, ret_other);
  }
}

int main(int argc, char **argv) {
  struct request request = {.shown = {LVN_PHASE_NC, LVN_PHASE_ART, LVN_PHASE_PV}};
  struct lvn_error err = {0};
  if (argc < 5) {
    (void)fprintf(stderr, "usage: gates_bench WORLD|- FIRST_SEED PHANTOMS MATRIX [DIAMETER_MM [PHASES]]\n");
    return 2;
  }
  lvn_phantom_options_default(&request.options);
  if (strcmp(argv[1], "-") != 0 && !lvn_phantom_world_read(argv[1], &request.options.world, &err)) {
    fail(&err);
  }
  request.options.matrix = (uint32_t)strtoul(argv[4], NULL, 10);
  request.options.noise_hu = -1.0;
  const char *at = argc > 6 ? argv[6] : "";
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT && *at != '\0'; phase++) {
    char name[8] = "";
    size_t length = strcspn(at, ",");
    memcpy(name, at, length < sizeof name ? length : sizeof name - 1);
    request.shown[phase] = lvn_phase_from_name(name);
    at += length + (at[length] == ',' ? 1 : 0);
  }
  (void)printf(
      "seed,kind,subtype,diameter_mm,long_axis_mm,by_area_mm,pixels_across,nc_hu,art_hu,pv_hu,same_nc_art,same_nc_pv,"
      "same_art_pv,is_judged,contrast_hu,odd_share,fat_share,liver_share,rise_hu,fall_hu,closed\n");
  for (unsigned long i = 0; i < strtoul(argv[3], NULL, 10); i++) {
    struct lvn_phantom_options options = request.options;
    struct lvn_phantom phantom = {0};
    options.seed = strtoull(argv[2], NULL, 10) + i;
    options.has_phase[LVN_PHASE_DL] =
        request.shown[0] == LVN_PHASE_DL || request.shown[1] == LVN_PHASE_DL || request.shown[2] == LVN_PHASE_DL;
    options.lesion_count = LESIONS;
    for (size_t k = 0; k < LESIONS; k++) {
      choose(&request, (double)(options.seed * LESIONS + k), &options.lesion_class[k], &options.lesion_other[k]);
    }
    for (size_t k = 0; argc > 5 && k < LVN_PHANTOM_LESIONS_MAX; k++) {
      options.lesion_diameter_mm[k] = strtod(argv[5], NULL);
    }
    if (!lvn_phantom_make(&options, 1, &phantom, &err)) {
      fail(&err);
    }
    for (size_t k = 0; k < phantom.lesion_count && k < LESIONS; k++) {
      tell(&request, &phantom, k);
    }
    lvn_phantom_clear(&phantom);
  }
  return 0;
}
