#include "model/phantom/phantom_internal.h"

#include <math.h>

float lvn_phantom_liver_hounsfield(const struct lvn_phantom_scene *scene, enum lvn_phase phase, const float at[3]) {
  const struct lvn_phantom_patient *patient = &scene->patient;
  const float *slope = patient->gradient[phase];
  float fine = lvn_phantom_grain(scene->grain, 0.42F * at[0], 0.42F * at[1], 0.42F * at[2]);
  float slow = lvn_phantom_grain(scene->grain, 0.045F * at[0] + 31.0F, 0.045F * at[1], 0.045F * at[2]);
  float hu = patient->hounsfield[phase][LVN_MATERIAL_LIVER] + slope[0] * (at[0] + 40.0F) + slope[1] * at[1] +
             slope[2] * at[2] + 2.2F * fine + patient->patchiness[phase] * slow;
  if (patient->nodularity > 0.0F) { /* regenerative nodules of about a centimetre; they take up less late */
    float nodules = lvn_phantom_grain(scene->grain, 0.11F * at[0], 0.11F * at[1] + 43.0F, 0.11F * at[2]);
    hu += (phase == LVN_PHASE_ART ? 0.5F : 1.0F) * patient->nodularity * nodules;
  }
  return hu;
}

/* Cortex outside, pyramids below it, fat of the sinus in the middle. */
static float kidney(const struct lvn_phantom_scene *scene, const struct lvn_phantom_shape *shape, enum lvn_phase phase,
                    const float at[3]) {
  const float *hu = scene->patient.hounsfield[phase];
  float x = at[0] - shape->centre[0];
  float y = at[1] - shape->centre[1];
  float z = (at[2] - shape->centre[2]) / shape->half[2];
  float u = (shape->rotation[0] * x + shape->rotation[1] * y) / shape->half[0];
  float v = (shape->rotation[0] * y - shape->rotation[1] * x) / shape->half[1];
  float depth = sqrtf(u * u + v * v + z * z);
  if (depth < 0.38F) {
    return -60.0F;
  }
  float pyramids = sinf(3.0F * atan2f(v, u)) * cosf(7.0F * z);
  return depth < 0.76F && pyramids > -0.35F ? hu[LVN_MATERIAL_MEDULLA] : hu[LVN_MATERIAL_KIDNEY];
}

float lvn_phantom_hounsfield(const struct lvn_phantom_scene *scene, const struct lvn_phantom_shape *shape,
                             enum lvn_phase phase, const float at[3]) {
  float hu = scene->patient.hounsfield[phase][shape->material];
  switch (shape->material) {
  case LVN_MATERIAL_LESION:
    return lvn_phantom_look_hounsfield(scene, &scene->lesions[shape->lesion], phase, at);
  case LVN_MATERIAL_LIVER:
    return lvn_phantom_liver_hounsfield(scene, phase, at);
  case LVN_MATERIAL_KIDNEY:
    return kidney(scene, shape, phase, at);
  case LVN_MATERIAL_SPLEEN:
    /* The arterial phase's stripes (red and white pulp at different flow). */
    return hu + (phase == LVN_PHASE_ART ? 26.0F : 1.5F) *
                    lvn_phantom_grain(scene->grain, 0.13F * at[0], 0.05F * at[1] + 7.0F, 0.13F * at[2]);
  case LVN_MATERIAL_LUNG:
    return hu + 60.0F * lvn_phantom_grain(scene->grain, 0.2F * at[0], 0.2F * at[1], 0.2F * at[2]);
  case LVN_MATERIAL_MUSCLE:
    return hu + 7.0F * lvn_phantom_grain(scene->grain, 0.35F * at[0], 0.35F * at[1], 0.08F * at[2]);
  case LVN_MATERIAL_FAT:
  case LVN_MATERIAL_PANCREAS:
    return hu + 7.0F * lvn_phantom_grain(scene->grain, 0.25F * at[0], 0.25F * at[1], 0.25F * at[2]);
  case LVN_MATERIAL_SPONGIOSA:
    return hu + 35.0F * lvn_phantom_grain(scene->grain, 0.5F * at[0], 0.5F * at[1], 0.2F * at[2]);
  default:
    return hu;
  }
}
