/* How looks are drawn: what phantom_look_draw.c (the narrow world), phantom_look_wide.c and phantom_look_other.c share.
 * Internal to model/phantom. */
#ifndef LVN_MODEL_PHANTOM_LOOK_PARTS_H
#define LVN_MODEL_PHANTOM_LOOK_PARTS_H

#include "model/phantom/phantom_internal.h"

struct lvn_phantom_drawing {
  const struct lvn_phantom_patient *patient;
  struct lvn_phantom_random *random;
  struct lvn_phantom_look *look;
  double diameter_mm;
};

static inline float uniform(const struct lvn_phantom_drawing *draw, double low, double high) {
  return (float)lvn_phantom_random_uniform(draw->random, low, high);
}

static inline bool chance(const struct lvn_phantom_drawing *draw, double probability) {
  return lvn_phantom_random_chance(draw->random, probability);
}

static inline float organ(const struct lvn_phantom_drawing *draw, enum lvn_phase phase,
                          enum lvn_phantom_material material) {
  return draw->patient->hounsfield[phase][material];
}

/* HU of the body as offsets to the liver that lesions are measured against. */
void lvn_phantom_look_body(const struct lvn_phantom_drawing *draw, double plain, double arterial, double portal,
                           double delayed);
/* HU of the core in each phase, absolute. */
static inline void lvn_phantom_look_core(const struct lvn_phantom_drawing *draw, double reach, double plain,
                                         double arterial, double portal, double delayed) {
  const double hu[LVN_PHASE_COUNT] = {plain, arterial, portal, delayed};
  draw->look->core_reach = (float)reach;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    draw->look->core[phase] = (float)hu[phase];
  }
}
/* A rim of this thickness, as offsets to the liver. */
void lvn_phantom_look_rim(const struct lvn_phantom_drawing *draw, double thickness_mm, double arterial, double portal,
                          double delayed);
void lvn_phantom_look_shape(const struct lvn_phantom_drawing *draw, double most_stretch, double lobulation);
void lvn_phantom_look_sheets(const struct lvn_phantom_drawing *draw, size_t count, double half_mm, double reach,
                             double offset);
void lvn_phantom_look_mosaic(const struct lvn_phantom_drawing *draw, double strength);
void lvn_phantom_look_capsule(const struct lvn_phantom_drawing *draw);
void lvn_phantom_look_flash(const struct lvn_phantom_drawing *draw);
void lvn_phantom_look_nodular(const struct lvn_phantom_drawing *draw);
void lvn_phantom_look_name(const struct lvn_phantom_drawing *draw, const char *name);

/* One of the classes as the narrow world has it, as a wide one has it, and what is no class. */
void lvn_phantom_look_draw_wide(const struct lvn_phantom_drawing *draw, enum lvn_class lesion_class);
void lvn_phantom_look_draw_other(const struct lvn_phantom_drawing *draw, enum lvn_phantom_other other);

#endif
