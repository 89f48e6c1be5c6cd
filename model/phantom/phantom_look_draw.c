/* Textbook enhancement of the four classes and its spread, relative to the patient's own liver, aorta and portal vein.
 * Sources of the patterns:
 * - cyst: water attenuation, no enhancement, thin septa at most: Horton et al., RadioGraphics 1999;19:431;
 * - focal nodular hyperplasia: homogeneous arterial hyper-enhancement, near iso-attenuation in the portal phase,
 * central scar in about half on CT: Brancatelli et al., Radiology 2001;219:61;
 * - hepatocellular carcinoma: arterial hyper-enhancement, washout, capsule, mosaic, necrosis: LI-RADS v2018; one in
 * five is hypovascular and washout is absent in a quarter to a half of small ones: Iannaccone et al., Radiology
 * 2005;234:460;
 * - haemangioma: peripheral nodular enhancement like the aorta with centripetal fill; small ones fill at once (flash):
 *   Quinn and Benjamin, Radiology 1992;182:545; Kim et al., Radiology 2001;219:699; giant ones keep a cleft.
 * Ranges overlap on purpose: hypovascular tumours, flash-filling haemangioma against the other arterial enhancers, weak
 * washout against late fill; what then tells them apart is texture. */
#include "base/memory.h"
#include "model/phantom/phantom_look_parts.h"

#include <math.h>

static void draw_cyst(const struct lvn_phantom_drawing *draw) {
  /* Small cysts measure denser than water, beyond what partial volume alone gives. */
  float water = uniform(draw, 1.0, 17.0) + (draw->diameter_mm < 14.0 ? uniform(draw, 0.0, 12.0) : 0.0F);
  lvn_phantom_look_shape(draw, 0.12, 0.02);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    draw->look->body[phase] = water + uniform(draw, -1.5, 1.5);
    draw->look->core[phase] = 38.0F + (phase == LVN_PHASE_NC ? 0.0F : 18.0F);
  }
  draw->look->grain = 0.5F;
  lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "simple");
  if (draw->diameter_mm > 22.0 && chance(draw, 0.25)) {
    lvn_phantom_look_sheets(draw, 1 + lvn_phantom_random_index(draw->random, 2), 0.7, 1.05, 0.45);
    lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "septated");
  }
}

static void draw_fnh(const struct lvn_phantom_drawing *draw) {
  double arterial = uniform(draw, 34.0, 92.0);
  double portal = uniform(draw, -4.0, 22.0);
  lvn_phantom_look_shape(draw, 0.10, 0.05);
  lvn_phantom_look_body(draw, uniform(draw, -11.0, 2.0), arterial, portal, uniform(draw, -3.0, 9.0));
  draw->look->grain = uniform(draw, 1.0, 3.5);
  lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "homogeneous");
  if (chance(draw, draw->diameter_mm > 24.0 ? 0.72 : 0.35)) {
    draw->look->core_reach = uniform(draw, 0.13, 0.22);
    draw->look->core[LVN_PHASE_NC] = draw->look->body[LVN_PHASE_NC] - uniform(draw, 6.0, 14.0);
    draw->look->core[LVN_PHASE_ART] = organ(draw, LVN_PHASE_ART, LVN_MATERIAL_LIVER) - uniform(draw, 8.0, 24.0);
    draw->look->core[LVN_PHASE_PV] = draw->look->body[LVN_PHASE_PV] - uniform(draw, 26.0, 48.0);
    draw->look->core[LVN_PHASE_DL] = draw->look->body[LVN_PHASE_DL] + uniform(draw, 5.0, 18.0);
    lvn_phantom_look_sheets(draw, 3, fmax(1.3, 0.055 * draw->diameter_mm), uniform(draw, 0.55, 0.85), 0.0);
    lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "scar");
  }
}

/* The signs are independent but for one rule: at least one of washout, capsule and mosaic is there, since a lesion
 * without any would not be called by a reader either. */
static void draw_hcc(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  bool hypovascular = chance(draw, 0.22);
  bool washout = chance(draw, 0.68);
  bool capsule = chance(draw, 0.5);
  bool mosaic = chance(draw, draw->diameter_mm > 30.0 ? 0.7 : draw->diameter_mm > 18.0 ? 0.3 : 0.0);
  bool necrosis = draw->diameter_mm > 38.0 && chance(draw, 0.45);
  capsule = capsule || (!washout && !mosaic);
  double arterial = hypovascular ? uniform(draw, -22.0, 8.0) : uniform(draw, 18.0, 84.0);
  double portal = washout ? -uniform(draw, 10.0, 38.0) : uniform(draw, -8.0, 14.0);
  lvn_phantom_look_shape(draw, 0.14, 0.09);
  lvn_phantom_look_body(draw, -uniform(draw, 1.0, 17.0), arterial, portal, portal - uniform(draw, 0.0, 8.0));
  look->grain = uniform(draw, 2.5, 6.0);
  if (mosaic) {
    lvn_phantom_look_mosaic(draw, uniform(draw, 12.0, 24.0));
  }
  if (necrosis) {
    look->core_reach = uniform(draw, 0.25, 0.5);
    float fluid = uniform(draw, 22.0, 38.0);
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      look->core[phase] = fluid + (phase == LVN_PHASE_NC ? 0.0F : 4.0F);
    }
  }
  if (capsule) {
    lvn_phantom_look_capsule(draw);
  }
  lvn_copy(look->subtype, sizeof look->subtype, hypovascular ? "hypovascular" : "hypervascular");
  const bool sign[4] = {washout, capsule, mosaic, necrosis};
  static const char *const words[4] = {"+washout", "+capsule", "+mosaic", "+necr."};
  size_t used = 0;
  while (look->subtype[used] != '\0') {
    used++;
  }
  for (int i = 0; i < 4; i++) {
    for (const char *c = words[i]; sign[i] && *c != '\0' && used + 1 < sizeof look->subtype; c++) {
      look->subtype[used++] = *c;
    }
  }
}

static void draw_narrow(const struct lvn_phantom_drawing *draw, enum lvn_class lesion_class) {
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
    lvn_phantom_look_shape(draw, 0.14, 0.07);
    if (chance(draw, draw->diameter_mm < 16.0 ? 0.55 : draw->diameter_mm < 30.0 ? 0.28 : 0.0)) {
      lvn_phantom_look_flash(draw);
    } else {
      lvn_phantom_look_nodular(draw);
    }
    break;
  }
}

void lvn_phantom_look_draw(const struct lvn_phantom_patient *patient, enum lvn_class lesion_class,
                           enum lvn_phantom_other other, double diameter_mm, struct lvn_phantom_random *random,
                           struct lvn_phantom_look *ret_look) {
  struct lvn_phantom_look look = {.lesion_class = other == LVN_OTHER_NONE ? lesion_class : LVN_CLASS_OUTLIER,
                                  .radius = (float)(0.5 * diameter_mm),
                                  .is_hidden = !lvn_phantom_other_is_drawn(other)};
  const struct lvn_phantom_drawing draw = {
      .patient = patient, .random = random, .look = &look, .diameter_mm = diameter_mm};
  if (other != LVN_OTHER_NONE) {
    lvn_phantom_look_draw_other(&draw, other);
  } else if (patient->is_wide) {
    lvn_phantom_look_draw_wide(&draw, lesion_class);
  } else {
    draw_narrow(&draw, lesion_class);
  }
  if (patient->is_wide) {
    look.grain *= patient->texture;
  }
  *ret_look = look;
}
