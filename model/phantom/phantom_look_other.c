/* What is none of the four classes:
 * - metastasis, hypovascular (colorectal): darker than the liver in the portal phase, an arterial rim, necrosis inside;
 *   hypervascular (neuroendocrine, renal): Sica et al., AJR 2000;174:691;
 * - cholangiocarcinoma within the liver: lobulated, rim in the arterial phase, fills slowly from the edge: Kim et al.,
 *   Radiology 1997;204:539;
 * - abscess: fluid that does not enhance, within a wall that does and a rim that does not, septa, at times gas: Mathieu
 *   et al., Radiology 1985;154:749;
 * - adenoma: moderate, often even arterial enhancement, near the liver later; fat and blood: Ichikawa et al., Radiology
 *   2000;214:861; Grazioli et al., RadioGraphics 2001;21:877;
 * - spared and fatty areas: no mass, the liver's texture goes on, the difference is there before contrast: Hamer et
 * al., RadioGraphics 2006;26:1637;
 * - perfusion difference: arterial phase alone: Itai and Matsui, Radiology 1997;202:306;
 * - cavity after ablation: no enhancement, dense where it coagulated, thin even rim: Park et al., RadioGraphics
 *   2008;28:379. */
#include "model/phantom/phantom_look_parts.h"

#include <math.h>

static double some(const struct lvn_phantom_drawing *draw, double low, double high) {
  return draw->patient->contrast * (double)uniform(draw, low, high);
}

static void draw_metastasis(const struct lvn_phantom_drawing *draw) {
  double portal = -some(draw, 20.0, 60.0);
  double arterial = -some(draw, 0.0, 18.0);
  lvn_phantom_look_shape(draw, uniform(draw, 0.05, 0.25), uniform(draw, 0.03, 0.14));
  lvn_phantom_look_body(draw, -some(draw, 6.0, 24.0), arterial, portal, portal + (double)uniform(draw, 0.0, 14.0));
  draw->look->grain = uniform(draw, 1.5, 5.0);
  if (chance(draw, 0.75)) {
    double rim = uniform(draw, -8.0, 6.0);
    lvn_phantom_look_rim(draw, uniform(draw, 0.08, 0.25) * draw->diameter_mm * 0.5, some(draw, 6.0, 40.0), rim,
                         rim - (double)uniform(draw, 0.0, 16.0));
  }
  if (chance(draw, draw->diameter_mm > 22.0 ? 0.6 : 0.2)) {
    double fluid = uniform(draw, 20.0, 42.0);
    lvn_phantom_look_core(draw, uniform(draw, 0.25, 0.6), fluid, fluid + 2.0, fluid + 5.0, fluid + 6.0);
  }
}

static void draw_hypervascular(const struct lvn_phantom_drawing *draw) {
  double portal = -some(draw, 0.0, 30.0);
  lvn_phantom_look_shape(draw, uniform(draw, 0.05, 0.2), uniform(draw, 0.02, 0.1));
  lvn_phantom_look_body(draw, -some(draw, 2.0, 18.0), some(draw, 15.0, 70.0), portal,
                        portal - (double)uniform(draw, -4.0, 8.0));
  draw->look->grain = uniform(draw, 1.5, 4.5);
  if (chance(draw, 0.65)) { /* the rim enhances more than what it holds */
    lvn_phantom_look_rim(draw, uniform(draw, 0.12, 0.35) * draw->diameter_mm * 0.5, some(draw, 40.0, 100.0),
                         some(draw, -4.0, 14.0), some(draw, -14.0, 4.0));
  }
  if (draw->diameter_mm > 24.0 && chance(draw, 0.5)) {
    double fluid = uniform(draw, 18.0, 40.0);
    lvn_phantom_look_core(draw, uniform(draw, 0.2, 0.5), fluid, fluid + 5.0, fluid + 6.0, fluid + 6.0);
  }
}

static void draw_cholangiocarcinoma(const struct lvn_phantom_drawing *draw) {
  double portal = -some(draw, 14.0, 42.0);
  lvn_phantom_look_shape(draw, uniform(draw, 0.1, 0.3), uniform(draw, 0.1, 0.2));
  lvn_phantom_look_body(draw, -some(draw, 8.0, 24.0), -some(draw, 0.0, 16.0), portal, some(draw, -8.0, 16.0));
  draw->look->grain = uniform(draw, 2.0, 5.5);
  lvn_phantom_look_rim(draw, uniform(draw, 0.12, 0.32) * draw->diameter_mm * 0.5, some(draw, 10.0, 48.0),
                       some(draw, -6.0, 12.0), some(draw, -14.0, 2.0));
  double centre = uniform(draw, 4.0, 20.0); /* scar-like, enhances last */
  lvn_phantom_look_core(draw, uniform(draw, 0.25, 0.5), draw->look->body[LVN_PHASE_NC] - 4.0F,
                        (double)draw->look->body[LVN_PHASE_ART] - centre,
                        (double)draw->look->body[LVN_PHASE_PV] - centre,
                        (double)draw->look->body[LVN_PHASE_DL] + centre);
}

static void draw_abscess(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  lvn_phantom_look_shape(draw, uniform(draw, 0.08, 0.3), uniform(draw, 0.08, 0.2));
  float fluid = uniform(draw, 12.0, 36.0);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    look->body[phase] = fluid + uniform(draw, -1.0, 3.0);
  }
  look->grain = uniform(draw, 1.5, 5.0);
  lvn_phantom_look_rim(draw, uniform(draw, 2.0, 5.0), some(draw, 12.0, 45.0), some(draw, -4.0, 24.0),
                       some(draw, 2.0, 26.0));
  if (chance(draw, 0.6)) { /* a cluster of cavities */
    look->sheets_are_even = true;
    lvn_phantom_look_core(draw, 0.0, 42.0, 70.0, 92.0, 88.0);
    lvn_phantom_look_sheets(draw, 1 + lvn_phantom_random_index(draw->random, 4), uniform(draw, 0.8, 2.0), 1.0, 0.6);
  } else if (chance(draw, 0.25)) {
    lvn_phantom_look_core(draw, uniform(draw, 0.12, 0.3), -500.0, -500.0, -500.0, -500.0);
  }
}

static void draw_adenoma(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  double portal = some(draw, -12.0, 14.0);
  lvn_phantom_look_shape(draw, uniform(draw, 0.05, 0.2), uniform(draw, 0.0, 0.05));
  lvn_phantom_look_body(draw, some(draw, -22.0, 4.0), some(draw, 12.0, 52.0), portal, portal - some(draw, 0.0, 14.0));
  look->grain = uniform(draw, 1.5, 5.0);
  if (chance(draw, 0.35)) {
    double blood = uniform(draw, 62.0, 85.0);
    lvn_phantom_look_core(draw, uniform(draw, 0.25, 0.5), blood, blood + 4.0, blood + 5.0, blood + 5.0);
  }
}

/* No mass: the liver with something added, fading at its edge. */
static void draw_no_mass(const struct lvn_phantom_drawing *draw, double plain, double arterial, double portal) {
  struct lvn_phantom_look *look = draw->look;
  const double offset[LVN_PHASE_COUNT] = {plain, arterial, portal, portal};
  lvn_phantom_look_shape(draw, uniform(draw, 0.2, 0.5), uniform(draw, 0.05, 0.2));
  look->over_liver = true;
  look->edge_mm = uniform(draw, 1.5, 0.25 * draw->diameter_mm);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    look->body[phase] = (float)offset[phase];
  }
}

static void draw_cavity(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  lvn_phantom_look_shape(draw, uniform(draw, 0.1, 0.35), uniform(draw, 0.04, 0.15));
  float coagulated = uniform(draw, 38.0, 66.0);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    look->body[phase] = coagulated + uniform(draw, -2.0, 4.0);
  }
  look->grain = uniform(draw, 2.0, 6.0);
  lvn_phantom_look_rim(draw, uniform(draw, 1.2, 3.0), some(draw, 0.0, 32.0), some(draw, -4.0, 18.0),
                       some(draw, 0.0, 16.0));
  if (chance(draw, 0.4)) {
    double dense = uniform(draw, 60.0, 85.0);
    lvn_phantom_look_core(draw, uniform(draw, 0.2, 0.5), dense, dense, dense + 2.0, dense);
  }
}

void lvn_phantom_look_draw_other(const struct lvn_phantom_drawing *draw, enum lvn_phantom_other other) {
  lvn_phantom_look_name(draw, lvn_phantom_other_name(other));
  switch (other) {
  case LVN_OTHER_METASTASIS:
    draw_metastasis(draw);
    break;
  case LVN_OTHER_HYPERVASCULAR_METASTASIS:
    draw_hypervascular(draw);
    break;
  case LVN_OTHER_CHOLANGIOCARCINOMA:
    draw_cholangiocarcinoma(draw);
    break;
  case LVN_OTHER_ABSCESS:
    draw_abscess(draw);
    break;
  case LVN_OTHER_ADENOMA:
    draw_adenoma(draw);
    break;
  case LVN_OTHER_FATTY_SPARING: {
    double spared = some(draw, 8.0, 28.0);
    draw_no_mass(draw, spared, spared + (double)uniform(draw, -3.0, 5.0), spared + (double)uniform(draw, -5.0, 5.0));
    break;
  }
  case LVN_OTHER_FOCAL_FAT: {
    double fat = -some(draw, 10.0, 36.0);
    draw_no_mass(draw, fat, fat + (double)uniform(draw, -4.0, 3.0), fat + (double)uniform(draw, -8.0, 2.0));
    break;
  }
  case LVN_OTHER_PERFUSION:
    draw_no_mass(draw, 0.0, some(draw, 12.0, 45.0), some(draw, -2.0, 6.0));
    break;
  case LVN_OTHER_CAVITY:
    draw_cavity(draw);
    break;
  default: /* nothing is drawn, but a region has a shape */
    lvn_phantom_look_shape(draw, uniform(draw, 0.05, 0.3), uniform(draw, 0.0, 0.15));
    break;
  }
}
