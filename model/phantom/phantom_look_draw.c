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
#include "model/phantom/phantom_internal.h"

#include <math.h>

struct draw {
  const struct lvn_phantom_patient *patient;
  struct lvn_phantom_random *random;
  struct lvn_phantom_look *look;
  double diameter_mm;
};

static float uniform(const struct draw *draw, double low, double high) {
  return (float)lvn_phantom_random_uniform(draw->random, low, high);
}

static bool chance(const struct draw *draw, double probability) {
  return lvn_phantom_random_chance(draw->random, probability);
}

static float organ(const struct draw *draw, enum lvn_phase phase, enum lvn_phantom_material material) {
  return draw->patient->hounsfield[phase][material];
}

/* HU of the body as offsets to the liver. */
static void body_by_liver(const struct draw *draw, double plain, double arterial, double portal, double delayed) {
  const double offset[LVN_PHASE_COUNT] = {plain, arterial, portal, delayed};
  double gain = draw->patient->enhancement;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    double scaled = phase == LVN_PHASE_NC ? offset[phase] : offset[phase] * gain;
    draw->look->body[phase] = (float)(organ(draw, (enum lvn_phase)phase, LVN_MATERIAL_LIVER) + scaled);
  }
  /* A fatty liver is darker than the lesion, not the lesion darker than water. */
  draw->look->body[LVN_PHASE_NC] = fmaxf(draw->look->body[LVN_PHASE_NC], 26.0F);
}

static void random_axes(const struct draw *draw, double most) {
  float first[3];
  float second[3];
  float third[3];
  float length = 0.0F;
  lvn_phantom_random_direction(draw->random, first);
  lvn_phantom_random_direction(draw->random, second);
  float along = first[0] * second[0] + first[1] * second[1] + first[2] * second[2];
  for (int i = 0; i < 3; i++) {
    second[i] -= along * first[i];
    length += second[i] * second[i];
  }
  length = sqrtf(length) + 1e-6F;
  for (int i = 0; i < 3; i++) {
    second[i] /= length;
  }
  for (int i = 0; i < 3; i++) {
    int j = (i + 1) % 3;
    int k = (i + 2) % 3;
    third[i] = first[j] * second[k] - first[k] * second[j];
  }
  double a = exp(lvn_phantom_random_uniform(draw->random, -most, most));
  double b = exp(lvn_phantom_random_uniform(draw->random, -most, most));
  const double scale[3] = {a, b, 1.0 / (a * b)}; /* volume kept */
  const float *const rows[3] = {first, second, third};
  draw->look->stretch = (float)fmax(a, fmax(b, scale[2]));
  for (int row = 0; row < 3; row++) {
    for (int i = 0; i < 3; i++) {
      draw->look->axes[row][i] = (float)(rows[row][i] / scale[row]);
    }
  }
}

static void shape(const struct draw *draw, double most_stretch, double lobulation) {
  random_axes(draw, most_stretch);
  draw->look->lobulation = (float)lobulation;
  for (int wave = 0; wave < 3; wave++) {
    lvn_phantom_random_direction(draw->random, draw->look->lobe_wave[wave]);
    for (int axis = 0; axis < 3; axis++) {
      draw->look->lobe_wave[wave][axis] *= 3.0F + (float)wave;
    }
    draw->look->lobe_phase[wave] = uniform(draw, 0.0, 2.0 * M_PI);
  }
}

static void add_sheets(const struct draw *draw, size_t count, double half_mm, double reach, double offset) {
  draw->look->sheet_count = count;
  draw->look->sheet_half_mm = (float)half_mm;
  draw->look->sheet_reach = (float)reach;
  for (size_t i = 0; i < count; i++) {
    lvn_phantom_random_direction(draw->random, draw->look->sheet_normal[i]);
    draw->look->sheet_offset[i] = uniform(draw, -offset, offset);
  }
}

static void draw_cyst(const struct draw *draw) {
  /* Small cysts measure denser than water, beyond what partial volume alone gives. */
  float water = uniform(draw, 1.0, 17.0) + (draw->diameter_mm < 14.0 ? uniform(draw, 0.0, 12.0) : 0.0F);
  shape(draw, 0.12, 0.02);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    draw->look->body[phase] = water + uniform(draw, -1.5, 1.5);
    draw->look->core[phase] = 38.0F + (phase == LVN_PHASE_NC ? 0.0F : 18.0F);
  }
  draw->look->grain = 0.5F;
  lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "simple");
  if (draw->diameter_mm > 22.0 && chance(draw, 0.25)) {
    add_sheets(draw, 1 + lvn_phantom_random_index(draw->random, 2), 0.7, 1.05, 0.45);
    lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "septated");
  }
}

static void draw_fnh(const struct draw *draw) {
  double arterial = uniform(draw, 34.0, 92.0);
  double portal = uniform(draw, -4.0, 22.0);
  shape(draw, 0.10, 0.05);
  body_by_liver(draw, uniform(draw, -11.0, 2.0), arterial, portal, uniform(draw, -3.0, 9.0));
  draw->look->grain = uniform(draw, 1.0, 3.5);
  lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "homogeneous");
  if (chance(draw, draw->diameter_mm > 24.0 ? 0.72 : 0.35)) {
    draw->look->core_reach = uniform(draw, 0.13, 0.22);
    draw->look->core[LVN_PHASE_NC] = draw->look->body[LVN_PHASE_NC] - uniform(draw, 6.0, 14.0);
    draw->look->core[LVN_PHASE_ART] = organ(draw, LVN_PHASE_ART, LVN_MATERIAL_LIVER) - uniform(draw, 8.0, 24.0);
    draw->look->core[LVN_PHASE_PV] = draw->look->body[LVN_PHASE_PV] - uniform(draw, 26.0, 48.0);
    draw->look->core[LVN_PHASE_DL] = draw->look->body[LVN_PHASE_DL] + uniform(draw, 5.0, 18.0);
    add_sheets(draw, 3, fmax(1.3, 0.055 * draw->diameter_mm), uniform(draw, 0.55, 0.85), 0.0);
    lvn_copy(draw->look->subtype, sizeof draw->look->subtype, "scar");
  }
}

static void add_mosaic(const struct draw *draw, double strength) {
  struct lvn_phantom_look *look = draw->look;
  look->cell_count = 8 + lvn_phantom_random_index(draw->random, LVN_PHANTOM_CELLS - 8);
  for (size_t cell = 0; cell < look->cell_count; cell++) {
    float direction[3];
    float reach = look->radius * cbrtf(uniform(draw, 0.02, 1.0));
    lvn_phantom_random_direction(draw->random, direction);
    for (int axis = 0; axis < 3; axis++) {
      look->cell[cell][axis] = reach * direction[axis];
    }
    look->cell_hu[cell] = (float)(strength * fmin(fmax(lvn_phantom_random_normal(draw->random), -1.8), 1.8));
  }
  look->cell_gain[LVN_PHASE_NC] = 0.3F;
  look->cell_gain[LVN_PHASE_ART] = 1.2F;
  look->cell_gain[LVN_PHASE_PV] = 0.85F;
  look->cell_gain[LVN_PHASE_DL] = 0.7F;
}

static void add_capsule(const struct draw *draw) {
  struct lvn_phantom_look *look = draw->look;
  look->capsule_mm = fminf(uniform(draw, 1.4, 2.6), 0.28F * look->radius);
  look->capsule[LVN_PHASE_NC] = look->body[LVN_PHASE_NC] - 3.0F;
  look->capsule[LVN_PHASE_ART] = organ(draw, LVN_PHASE_ART, LVN_MATERIAL_LIVER) - uniform(draw, -2.0, 10.0);
  look->capsule[LVN_PHASE_PV] = organ(draw, LVN_PHASE_PV, LVN_MATERIAL_LIVER) + uniform(draw, 20.0, 42.0);
  look->capsule[LVN_PHASE_DL] = organ(draw, LVN_PHASE_DL, LVN_MATERIAL_LIVER) + uniform(draw, 22.0, 40.0);
}

/* The signs are independent but for one rule: at least one of washout, capsule and mosaic is there, since a lesion
 * without any would not be called by a reader either. */
static void draw_hcc(const struct draw *draw) {
  struct lvn_phantom_look *look = draw->look;
  bool hypovascular = chance(draw, 0.22);
  bool washout = chance(draw, 0.68);
  bool capsule = chance(draw, 0.5);
  bool mosaic = chance(draw, draw->diameter_mm > 30.0 ? 0.7 : draw->diameter_mm > 18.0 ? 0.3 : 0.0);
  bool necrosis = draw->diameter_mm > 38.0 && chance(draw, 0.45);
  capsule = capsule || (!washout && !mosaic);
  double arterial = hypovascular ? uniform(draw, -22.0, 8.0) : uniform(draw, 18.0, 84.0);
  double portal = washout ? -uniform(draw, 10.0, 38.0) : uniform(draw, -8.0, 14.0);
  shape(draw, 0.14, 0.09);
  body_by_liver(draw, -uniform(draw, 1.0, 17.0), arterial, portal, portal - uniform(draw, 0.0, 8.0));
  look->grain = uniform(draw, 2.5, 6.0);
  if (mosaic) {
    add_mosaic(draw, uniform(draw, 12.0, 24.0));
  }
  if (necrosis) {
    look->core_reach = uniform(draw, 0.25, 0.5);
    float fluid = uniform(draw, 22.0, 38.0);
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      look->core[phase] = fluid + (phase == LVN_PHASE_NC ? 0.0F : 4.0F);
    }
  }
  if (capsule) {
    add_capsule(draw);
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

static void draw_flash(const struct draw *draw) {
  struct lvn_phantom_look *look = draw->look;
  body_by_liver(draw, -uniform(draw, 4.0, 18.0), 0.0, 0.0, 0.0);
  float share = uniform(draw, 0.42, 0.85);
  look->body[LVN_PHASE_ART] = share * organ(draw, LVN_PHASE_ART, LVN_MATERIAL_AORTA);
  look->body[LVN_PHASE_PV] = uniform(draw, 0.84, 1.0) * organ(draw, LVN_PHASE_PV, LVN_MATERIAL_AORTA);
  look->body[LVN_PHASE_DL] = uniform(draw, 0.92, 1.02) * organ(draw, LVN_PHASE_DL, LVN_MATERIAL_AORTA);
  look->grain = 1.0F;
  lvn_copy(look->subtype, sizeof look->subtype, "flash-filling");
}

/* Nodules sit at the edge; in later phases they have grown inwards (centripetal fill). */
static void draw_nodular(const struct draw *draw) {
  struct lvn_phantom_look *look = draw->look;
  bool giant = draw->diameter_mm > 55.0 && chance(draw, 0.75);
  body_by_liver(draw, -uniform(draw, 4.0, 20.0), -uniform(draw, 2.0, 20.0), -uniform(draw, 8.0, 34.0),
                -uniform(draw, 4.0, 18.0));
  look->nodule_count = 6 + lvn_phantom_random_index(draw->random, LVN_PHANTOM_NODULES - 5);
  float turn = uniform(draw, 0.0, 2.0 * M_PI);
  for (size_t i = 0; i < look->nodule_count; i++) {
    /* Discontinuous, but on all sides: a spiral over the sphere, shaken. */
    float height = 1.0F - 2.0F * ((float)i + uniform(draw, 0.1, 0.9)) / (float)look->nodule_count;
    float planar = sqrtf(1.0F - height * height);
    float angle = turn + 2.39996323F * (float)i + uniform(draw, -0.5, 0.5);
    const float direction[3] = {planar * cosf(angle), planar * sinf(angle), height};
    look->nodule_radius[i] = fmaxf(uniform(draw, 0.15, 0.32) * look->radius, 1.8F);
    float reach = look->radius - uniform(draw, 0.5, 0.85) * look->nodule_radius[i];
    for (int axis = 0; axis < 3; axis++) {
      look->nodule[i][axis] = reach * direction[axis];
    }
  }
  float small = (float)fmin(fmax(1.0 - draw->diameter_mm / 60.0, 0.0), 1.0); /* small ones fill sooner */
  look->nodule_growth[LVN_PHASE_ART] = uniform(draw, 0.85, 1.25) + 0.5F * small;
  look->nodule_growth[LVN_PHASE_PV] = look->nodule_growth[LVN_PHASE_ART] + uniform(draw, 0.5, 1.5) + 0.6F * small;
  look->nodule_growth[LVN_PHASE_DL] = look->nodule_growth[LVN_PHASE_PV] + uniform(draw, 1.0, 2.0);
  look->nodule_hu[LVN_PHASE_ART] = uniform(draw, 0.55, 0.95) * organ(draw, LVN_PHASE_ART, LVN_MATERIAL_AORTA);
  look->nodule_hu[LVN_PHASE_PV] = uniform(draw, 0.86, 1.06) * organ(draw, LVN_PHASE_PV, LVN_MATERIAL_AORTA);
  look->nodule_hu[LVN_PHASE_DL] = uniform(draw, 0.92, 1.04) * organ(draw, LVN_PHASE_DL, LVN_MATERIAL_AORTA);
  look->grain = uniform(draw, 1.0, 2.5);
  lvn_copy(look->subtype, sizeof look->subtype, giant ? "giant, cleft" : "nodular");
  if (giant) {
    look->core_reach = uniform(draw, 0.18, 0.32);
    add_sheets(draw, 1, 3.0, uniform(draw, 0.5, 0.75), 0.0);
    float cleft = uniform(draw, 18.0, 32.0);
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      look->core[phase] = cleft;
    }
  }
}

void lvn_phantom_look_draw(const struct lvn_phantom_patient *patient, enum lvn_class lesion_class, double diameter_mm,
                           struct lvn_phantom_random *random, struct lvn_phantom_look *ret_look) {
  struct lvn_phantom_look look = {.lesion_class = lesion_class, .radius = (float)(0.5 * diameter_mm)};
  const struct draw draw = {.patient = patient, .random = random, .look = &look, .diameter_mm = diameter_mm};
  switch (lesion_class) {
  case LVN_CLASS_CYST:
    draw_cyst(&draw);
    break;
  case LVN_CLASS_FNH:
    draw_fnh(&draw);
    break;
  case LVN_CLASS_HCC:
    draw_hcc(&draw);
    break;
  case LVN_CLASS_HEM:
  case LVN_CLASS_COUNT:
    shape(&draw, 0.14, 0.07);
    if (chance(&draw, diameter_mm < 16.0 ? 0.55 : diameter_mm < 30.0 ? 0.28 : 0.0)) {
      draw_flash(&draw);
    } else {
      draw_nodular(&draw);
    }
    break;
  }
  *ret_look = look;
}
