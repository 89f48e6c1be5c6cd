/* What looks are put together from. */
#include "model/phantom/phantom_look_parts.h"

#include "base/memory.h"

#include <math.h>

void lvn_phantom_look_body(const struct lvn_phantom_drawing *draw, double plain, double arterial, double portal,
                           double delayed) {
  const double offset[LVN_PHASE_COUNT] = {plain, arterial, portal, delayed};
  double gain = draw->patient->enhancement;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    double scaled = phase == LVN_PHASE_NC ? offset[phase] : offset[phase] * gain;
    draw->look->body[phase] = (float)((double)draw->patient->base[phase] + scaled);
  }
  /* A fatty liver is darker than the lesion, not the lesion darker than water. */
  draw->look->body[LVN_PHASE_NC] = fmaxf(draw->look->body[LVN_PHASE_NC], 26.0F);
}

void lvn_phantom_look_rim(const struct lvn_phantom_drawing *draw, double thickness_mm, double arterial, double portal,
                          double delayed) {
  const double offset[LVN_PHASE_COUNT] = {-3.0, arterial, portal, delayed};
  draw->look->capsule_mm = fminf((float)thickness_mm, 0.45F * draw->look->radius);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    draw->look->capsule[phase] = draw->patient->base[phase] + (float)offset[phase];
  }
}

void lvn_phantom_look_name(const struct lvn_phantom_drawing *draw, const char *name) {
  (void)lvn_copy(draw->look->subtype, sizeof draw->look->subtype, name);
}

static void random_axes(const struct lvn_phantom_drawing *draw, double most) {
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

void lvn_phantom_look_shape(const struct lvn_phantom_drawing *draw, double most_stretch, double lobulation) {
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

void lvn_phantom_look_sheets(const struct lvn_phantom_drawing *draw, size_t count, double half_mm, double reach,
                             double offset) {
  draw->look->sheet_count = count;
  draw->look->sheet_half_mm = (float)half_mm;
  draw->look->sheet_reach = (float)reach;
  for (size_t i = 0; i < count; i++) {
    lvn_phantom_random_direction(draw->random, draw->look->sheet_normal[i]);
    draw->look->sheet_offset[i] = uniform(draw, -offset, offset);
  }
}

void lvn_phantom_look_mosaic(const struct lvn_phantom_drawing *draw, double strength) {
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

void lvn_phantom_look_capsule(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  look->capsule_mm = fminf(uniform(draw, 1.4, 2.6), 0.28F * look->radius);
  look->capsule[LVN_PHASE_NC] = look->body[LVN_PHASE_NC] - 3.0F;
  look->capsule[LVN_PHASE_ART] = organ(draw, LVN_PHASE_ART, LVN_MATERIAL_LIVER) - uniform(draw, -2.0, 10.0);
  look->capsule[LVN_PHASE_PV] = organ(draw, LVN_PHASE_PV, LVN_MATERIAL_LIVER) + uniform(draw, 20.0, 42.0);
  look->capsule[LVN_PHASE_DL] = organ(draw, LVN_PHASE_DL, LVN_MATERIAL_LIVER) + uniform(draw, 22.0, 40.0);
}

void lvn_phantom_look_flash(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  lvn_phantom_look_body(draw, -uniform(draw, 4.0, 18.0), 0.0, 0.0, 0.0);
  float share = uniform(draw, 0.42, 0.85);
  look->body[LVN_PHASE_ART] = share * organ(draw, LVN_PHASE_ART, LVN_MATERIAL_AORTA);
  look->body[LVN_PHASE_PV] = uniform(draw, 0.84, 1.0) * organ(draw, LVN_PHASE_PV, LVN_MATERIAL_AORTA);
  look->body[LVN_PHASE_DL] = uniform(draw, 0.92, 1.02) * organ(draw, LVN_PHASE_DL, LVN_MATERIAL_AORTA);
  look->grain = 1.0F;
  lvn_copy(look->subtype, sizeof look->subtype, "flash-filling");
}

/* Nodules sit at the edge; in later phases they have grown inwards (centripetal fill). */
void lvn_phantom_look_nodular(const struct lvn_phantom_drawing *draw) {
  struct lvn_phantom_look *look = draw->look;
  bool giant = draw->diameter_mm > 55.0 && chance(draw, 0.75);
  lvn_phantom_look_body(draw, -uniform(draw, 4.0, 20.0), -uniform(draw, 2.0, 20.0), -uniform(draw, 8.0, 34.0),
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
    lvn_phantom_look_sheets(draw, 1, 3.0, uniform(draw, 0.5, 0.75), 0.0);
    float cleft = uniform(draw, 18.0, 32.0);
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      look->core[phase] = cleft;
    }
  }
}
