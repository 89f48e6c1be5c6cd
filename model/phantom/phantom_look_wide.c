/* The four classes as sites and textbooks know them, wider than phantom_look_draw.c has them:
 * - cysts with protein or blood, 20-45 HU in all phases: Mortelé and Ros, RadioGraphics 2001;21:895;
 * - focal nodular hyperplasia without a scar (half on CT), or with one that fills late: Brancatelli et al., Radiology
 *   2001;219:61;
 * - hepatocellular carcinoma without washout (the whole ones of LI-RADS 4), without arterial hyper-enhancement, with
 * fat, capsule, mosaic: LI-RADS v2018; Iannaccone et al., Radiology 2005;234:460;
 * - haemangioma that fills at once, in nodules, or hardly (hyalinised): Kim et al., Radiology 2001;219:699; Vilgrain et
 *   al., RadioGraphics 2000;20:379.
 * What is left of a class in the weakest of its looks is still what a reader would name it by. */
#include "model/phantom/phantom_look_parts.h"

#include <math.h>

/* At the head of each: a contrast that the world widens. */
static double some(const struct lvn_phantom_drawing *draw, double low, double high) {
  return draw->patient->contrast * (double)uniform(draw, low, high);
}

static void draw_cyst(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  bool complicated = chance(draw, 0.2);
  float fluid = complicated ? uniform(draw, 18.0, 40.0) : uniform(draw, -4.0, 16.0);
  fluid += draw->diameter_mm < 14.0 ? uniform(draw, 0.0, 10.0) : 0.0F;
  lvn_phantom_look_shape(draw, uniform(draw, 0.02, 0.25), uniform(draw, 0.0, 0.07));
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    look->body[phase] = fluid + uniform(draw, -2.0, 2.0);
  }
  look->grain = complicated ? uniform(draw, 0.5, 2.5) : 0.5F;
  lvn_phantom_look_name(draw, complicated ? "complicated" : "simple");
  if (draw->diameter_mm > 20.0 && chance(draw, 0.25)) {
    lvn_phantom_look_core(draw, 0.0, 36.0, 44.0, 54.0, 54.0);
    lvn_phantom_look_sheets(draw, 1 + lvn_phantom_random_index(draw->random, 3), uniform(draw, 0.5, 0.9), 1.05, 0.5);
  }
}

static void draw_fnh(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  double arterial = some(draw, 32.0, 95.0);
  double portal = some(draw, -4.0, 24.0);
  double delayed = some(draw, -5.0, 10.0);
  lvn_phantom_look_shape(draw, uniform(draw, 0.05, 0.2), uniform(draw, 0.02, 0.1));
  lvn_phantom_look_body(draw, some(draw, -12.0, 3.0), arterial, portal, delayed);
  look->grain = uniform(draw, 0.8, 3.5);
  lvn_phantom_look_name(draw, "without scar");
  if (chance(draw, draw->diameter_mm > 28.0 ? 0.6 : 0.25)) {
    double scar = uniform(draw, 18.0, 48.0);
    lvn_phantom_look_core(draw, uniform(draw, 0.1, 0.24), look->body[LVN_PHASE_NC] - uniform(draw, 3.0, 14.0),
                          organ(draw, LVN_PHASE_ART, LVN_MATERIAL_LIVER) - uniform(draw, 0.0, 24.0),
                          look->body[LVN_PHASE_PV] - scar, look->body[LVN_PHASE_DL] + uniform(draw, -4.0, 20.0));
    lvn_phantom_look_sheets(draw, 2 + lvn_phantom_random_index(draw->random, 3), fmax(1.1, 0.05 * draw->diameter_mm),
                            uniform(draw, 0.4, 0.9), 0.0);
    lvn_phantom_look_name(draw, "scar");
  }
}

static void draw_hcc(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  bool hypovascular = chance(draw, 0.18);
  bool washout = chance(draw, 0.72);
  bool capsule = chance(draw, 0.5) || (!washout && chance(draw, 0.75));
  bool mosaic = chance(draw, draw->diameter_mm > 30.0 ? 0.7 : draw->diameter_mm > 16.0 ? 0.35 : 0.0);
  capsule = capsule || (!washout && !mosaic);
  double arterial = hypovascular ? some(draw, -20.0, 10.0) : some(draw, 16.0, 85.0);
  double portal = washout ? -some(draw, 10.0, 42.0) : some(draw, -8.0, 12.0);
  lvn_phantom_look_shape(draw, uniform(draw, 0.05, 0.22), uniform(draw, 0.03, 0.14));
  lvn_phantom_look_body(draw, -some(draw, 0.0, 18.0), arterial, portal, portal - (double)uniform(draw, 0.0, 10.0));
  if (chance(draw, 0.12)) { /* fat in the tumour */
    look->body[LVN_PHASE_NC] -= uniform(draw, 8.0, 22.0);
  }
  look->grain = uniform(draw, 2.0, 6.5);
  if (mosaic) {
    lvn_phantom_look_mosaic(draw, (double)draw->patient->texture * uniform(draw, 11.0, 25.0));
  }
  if (draw->diameter_mm > 36.0 && chance(draw, 0.4)) {
    float fluid = uniform(draw, 20.0, 40.0);
    lvn_phantom_look_core(draw, uniform(draw, 0.2, 0.5), fluid, fluid + 4.0F, fluid + 4.0F, fluid + 4.0F);
  }
  if (capsule) {
    lvn_phantom_look_capsule(draw);
  }
  lvn_phantom_look_name(draw, hypovascular ? (washout ? "hypovascular+washout" : "hypovascular, no washout")
                              : washout    ? "hypervascular+washout"
                                           : "hypervascular, no washout");
}

/* Thickened and scarred: little enhances, in a few nodules or late from one side. */
static void draw_hyalinised(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  lvn_phantom_look_nodular(draw);
  look->nodule_count = 3 + lvn_phantom_random_index(draw->random, 3);
  look->nodule_growth[LVN_PHASE_ART] *= 0.7F;
  look->nodule_growth[LVN_PHASE_PV] *= 0.75F;
  look->nodule_growth[LVN_PHASE_DL] *= 0.75F;
  lvn_phantom_look_name(draw, "hyalinised");
}

static void draw_hem(const struct lvn_phantom_drawing *draw) {
  lvn_phantom_look_shape(draw, uniform(draw, 0.05, 0.22), uniform(draw, 0.03, 0.12));
  if (chance(draw, draw->diameter_mm < 16.0 ? 0.5 : draw->diameter_mm < 30.0 ? 0.3 : 0.05)) {
    lvn_phantom_look_flash(draw);
  } else if (chance(draw, 0.1)) {
    draw_hyalinised(draw);
  } else {
    lvn_phantom_look_nodular(draw);
  }
}

void lvn_phantom_look_draw_wide(const struct lvn_phantom_drawing *draw, enum lvn_class lesion_class) {
  switch (lesion_class) {
  case LVN_CLASS_CYST:
    draw_cyst(draw);
    break;
  case LVN_CLASS_FNH:
    draw_fnh(draw);
    break;
  case LVN_CLASS_HCC:
    draw_hcc(draw);
    break;
  case LVN_CLASS_HEM:
  default:
    draw_hem(draw);
    break;
  }
}
