/* Enhancement of the normal organs. Sources for the central values (the spread about them is drawn per patient):
 * - liver 55-60 HU without contrast, minus about 1 HU per per cent of fat: Boll and Merkle, RadioGraphics 2009;29:1591;
 * - liver, aorta, portal vein in arterial and portal phases: Foley et al., AJR 2000;175:679; Baron, AJR 1994;163:323
 *   (hepatic enhancement of 50 HU and more at 60-80 s; aorta 250-350 HU at 25-35 s);
 * - spleen (striped in the arterial phase): Urban and Fishman, AJR 1998;170:997; kidney (cortex first, medulla by the
 *   portal phase): Yuh and Cohan, AJR 1999;173:747; pancreas: McNulty et al., Radiology 2001;220:97. */
#include "model/phantom/phantom_internal.h"

#include <math.h>

static void draw_size(struct lvn_phantom_random *random, struct lvn_phantom_patient *patient) {
  patient->size = fmin(fmax(1.0 + 0.05 * lvn_phantom_random_normal(random), 0.88), 1.12);
  double wall_mm = lvn_phantom_random_uniform(random, 15.0, 21.0);
  double fat_mm = exp(lvn_phantom_random_uniform(random, log(7.0), log(32.0)));
  patient->cavity[0] = (float)(128.0 * patient->size);
  patient->cavity[1] = (float)(88.0 * patient->size);
  for (int axis = 0; axis < 2; axis++) {
    patient->wall[axis] = patient->cavity[axis] + (float)wall_mm;
    patient->outer[axis] = patient->wall[axis] + (float)(fat_mm * (axis == 0 ? 1.0 : 0.9));
  }
}

/* One row: HU without contrast and the rise in the arterial, portal venous and delayed phases at enhancement 1. */
struct rise {
  enum lvn_phantom_material material;
  double plain;
  double rise[3];
};
static const struct rise rises[] = {
    {LVN_MATERIAL_AIR, -1000, {0, 0, 0}},
    {LVN_MATERIAL_FAT, -105, {0, 3, 3}},
    {LVN_MATERIAL_MUSCLE, 54, {5, 12, 12}},
    {LVN_MATERIAL_LUNG, -840, {12, 12, 10}},
    {LVN_MATERIAL_CORTEX, 520, {0, 0, 0}},
    {LVN_MATERIAL_SPONGIOSA, 175, {5, 12, 10}},
    {LVN_MATERIAL_DISC, 85, {0, 3, 3}},
    {LVN_MATERIAL_CANAL, 25, {2, 5, 5}},
    {LVN_MATERIAL_AORTA, 42, {258, 108, 62}},
    {LVN_MATERIAL_IVC, 42, {45, 88, 60}},
    {LVN_MATERIAL_HEART, 42, {170, 100, 58}},
    {LVN_MATERIAL_PORTAL, 42, {58, 125, 66}},
    {LVN_MATERIAL_HEPATIC_VEIN, 42, {8, 112, 64}},
    {LVN_MATERIAL_ARTERY, 42, {235, 100, 60}},
    {LVN_MATERIAL_SPLEEN, 48, {75, 76, 45}},
    {LVN_MATERIAL_KIDNEY, 33, {140, 150, 125}},
    {LVN_MATERIAL_MEDULLA, 31, {32, 110, 140}},
    {LVN_MATERIAL_PANCREAS, 40, {62, 52, 32}},
    {LVN_MATERIAL_BILE, 8, {0, 0, 0}},
    {LVN_MATERIAL_GUT_WALL, 42, {38, 55, 45}},
    {LVN_MATERIAL_GUT_FLUID, 22, {0, 0, 0}},
    {LVN_MATERIAL_GAS, -960, {0, 0, 0}},
};

double lvn_phantom_world_draw(uint64_t seed, const struct lvn_phantom_range *range, uint64_t which) {
  struct lvn_phantom_random random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_WORLD + (which << 32));
  return lvn_phantom_range_at(range, lvn_phantom_random_uniform(&random, 0.0, 1.0));
}

/* Which is which of the draws from a world: a range that is changed changes nothing else. */
enum { SIZE, FAT, LIVER, NODULARITY, ENHANCEMENT, LATENESS, PORTAL, OFFSET, CONTRAST, TEXTURE, HEALTHY };

static void widen_size(uint64_t seed, const struct lvn_phantom_world *world, struct lvn_phantom_patient *patient) {
  double wall_mm = (double)(patient->wall[0] - patient->cavity[0]);
  double fat_mm = lvn_phantom_world_draw(seed, &world->fat_mm, FAT);
  patient->is_wide = true;
  patient->size = lvn_phantom_world_draw(seed, &world->size, SIZE);
  patient->cavity[0] = (float)(128.0 * patient->size);
  patient->cavity[1] = (float)(88.0 * patient->size);
  for (int axis = 0; axis < 2; axis++) {
    patient->wall[axis] = patient->cavity[axis] + (float)wall_mm;
    patient->outer[axis] = patient->wall[axis] + (float)(fat_mm * (axis == 0 ? 1.0 : 0.9));
  }
  patient->enhancement = lvn_phantom_world_draw(seed, &world->enhancement, ENHANCEMENT);
  patient->arterial_lateness = lvn_phantom_world_draw(seed, &world->lateness, LATENESS);
  patient->nodularity = (float)lvn_phantom_world_draw(seed, &world->nodularity, NODULARITY);
  patient->offset_hu = lvn_phantom_world_draw(seed, &world->offset_hu, OFFSET);
  patient->contrast = lvn_phantom_world_draw(seed, &world->contrast, CONTRAST);
  patient->texture = (float)lvn_phantom_world_draw(seed, &world->texture, TEXTURE);
}

/* The liver as the world has it. In a fatty one half of the lesions keep the difference that they would have to a liver
 * without fat: they hold none, and come out bright. */
static void widen_liver(uint64_t seed, const struct lvn_phantom_world *world, struct lvn_phantom_patient *patient) {
  double plain = lvn_phantom_world_draw(seed, &world->liver_hu, LIVER);
  double portal = lvn_phantom_world_draw(seed, &world->portal, PORTAL);
  const struct lvn_phantom_range even = {{0, 0}, {1, 0}};
  double spared = lvn_phantom_world_draw(seed, &even, HEALTHY) < 0.5 ? fmax(54.0 - plain, 0.0) : 0.0;
  double old_plain = (double)patient->hounsfield[LVN_PHASE_NC][LVN_MATERIAL_LIVER];
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    float *liver = &patient->hounsfield[phase][LVN_MATERIAL_LIVER];
    double rise = (double)*liver - old_plain;
    *liver = (float)(plain + fmax(rise, 0.0) * (phase >= LVN_PHASE_PV ? portal : 1.0));
    patient->base[phase] = *liver + (float)spared;
  }
}

static void draw_liver(struct lvn_phantom_random *random, struct lvn_phantom_patient *patient) {
  double plain = 58.0 + 3.5 * lvn_phantom_random_normal(random);
  double gain = patient->enhancement;
  if (lvn_phantom_random_chance(random, 0.3)) {
    plain -= lvn_phantom_random_uniform(random, 5.0, 30.0); /* steatosis */
  }
  plain = fmax(plain, 22.0);
  float *const row[LVN_PHASE_COUNT] = {patient->hounsfield[LVN_PHASE_NC], patient->hounsfield[LVN_PHASE_ART],
                                       patient->hounsfield[LVN_PHASE_PV], patient->hounsfield[LVN_PHASE_DL]};
  double arterial = 9.0 + 14.0 * patient->arterial_lateness;
  row[LVN_PHASE_NC][LVN_MATERIAL_LIVER] = (float)plain;
  row[LVN_PHASE_ART][LVN_MATERIAL_LIVER] = (float)(plain + gain * arterial);
  row[LVN_PHASE_PV][LVN_MATERIAL_LIVER] = (float)(plain + gain * lvn_phantom_random_uniform(random, 46.0, 60.0));
  row[LVN_PHASE_DL][LVN_MATERIAL_LIVER] = (float)(plain + gain * lvn_phantom_random_uniform(random, 28.0, 38.0));
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    double slope = phase == LVN_PHASE_NC ? 0.01 : 0.035;
    for (int axis = 0; axis < 3; axis++) {
      patient->gradient[phase][axis] = (float)(slope * lvn_phantom_random_normal(random));
    }
    patient->patchiness[phase] = phase == LVN_PHASE_ART ? 3.0F : phase == LVN_PHASE_NC ? 1.0F : 2.0F;
  }
}

void lvn_phantom_patient_draw(uint64_t seed, const struct lvn_phantom_world *world,
                              struct lvn_phantom_patient *ret_patient) {
  struct lvn_phantom_patient patient = {.contrast = 1.0, .texture = 1.0F};
  struct lvn_phantom_random random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_PATIENT);
  draw_size(&random, &patient);
  random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_ENHANCEMENT);
  /* Iodine per kilogram is the same order for all, so the large enhance less (Heiken, Radiology 1995;195:353). */
  patient.enhancement = 1.0 + 0.12 * lvn_phantom_random_normal(&random) - 1.2 * (patient.size - 1.0);
  patient.enhancement = fmin(fmax(patient.enhancement, 0.72), 1.28);
  patient.arterial_lateness = lvn_phantom_random_uniform(&random, 0.0, 1.0);
  if (world->is_wide) {
    widen_size(seed, world, &patient);
  }
  for (size_t i = 0; i < sizeof rises / sizeof *rises; i++) {
    double spread = 1.0 + 0.06 * lvn_phantom_random_normal(&random);
    double plain = rises[i].plain + (fabs(rises[i].plain) < 60.0 ? 2.5 * lvn_phantom_random_normal(&random) : 0.0);
    patient.hounsfield[LVN_PHASE_NC][rises[i].material] = (float)plain;
    for (int phase = 1; phase < LVN_PHASE_COUNT; phase++) {
      double rise = rises[i].rise[phase - 1] * patient.enhancement * spread;
      if (phase == LVN_PHASE_ART && rises[i].material == LVN_MATERIAL_PORTAL) {
        rise *= fmax(0.35 + 1.1 * patient.arterial_lateness, 0.0); /* a late arterial phase has portal inflow */
      }
      patient.hounsfield[phase][rises[i].material] = (float)(plain + rise);
    }
  }
  draw_liver(&random, &patient);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    patient.base[phase] = patient.hounsfield[phase][LVN_MATERIAL_LIVER];
  }
  if (world->is_wide) {
    widen_liver(seed, world, &patient);
  }
  *ret_patient = patient;
}
