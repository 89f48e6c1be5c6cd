/* What a lesion is made of at a point: distance and HU. How it looks is drawn in phantom_look_draw.c. */
#include "model/phantom/phantom_internal.h"

#include <math.h>
#include <stddef.h>

static float dot(const float a[3], const float b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Radius of the surface in direction v: three low waves on the ball. */
static float surface_radius(const struct lvn_phantom_look *look, const float v[3], float length) {
  if (look->lobulation == 0.0F || length < 0.5F * look->radius || length > 1.7F * look->radius) {
    return look->radius;
  }
  float sum = 0.0F;
  for (int wave = 0; wave < 3; wave++) {
    sum += sinf(dot(look->lobe_wave[wave], v) / length + look->lobe_phase[wave]);
  }
  return look->radius * (1.0F + look->lobulation * sum / 3.0F);
}

static float own_axes(const struct lvn_phantom_look *look, const float at[3], float ret_v[3]) {
  const float d[3] = {at[0] - look->centre[0], at[1] - look->centre[1], at[2] - look->centre[2]};
  for (int axis = 0; axis < 3; axis++) {
    ret_v[axis] = dot(look->axes[axis], d);
  }
  return sqrtf(dot(ret_v, ret_v));
}

float lvn_phantom_look_distance(const struct lvn_phantom_look *look, const float at[3], float ret_v[3]) {
  float v[3];
  float length = own_axes(look, at, v);
  if (ret_v != NULL) {
    for (int axis = 0; axis < 3; axis++) {
      ret_v[axis] = v[axis];
    }
  }
  return length - surface_radius(look, v, length);
}

/* 0 outside, 1 inside, linear over about a millimetre. */
static float step(float depth) {
  return lvn_phantom_min(lvn_phantom_max(0.5F + depth, 0.0F), 1.0F);
}

static float blend(float from, float to, float fraction) {
  return from + fraction * (to - from);
}

/* Voronoi cells of unlike enhancement between thin dark septa: the mosaic of large hepatocellular carcinomas. */
static float mosaic(const struct lvn_phantom_look *look, enum lvn_phase phase, const float v[3]) {
  float best = 1e12F;
  float second = 1e12F;
  size_t nearest = 0;
  for (size_t cell = 0; cell < look->cell_count; cell++) {
    const float d[3] = {v[0] - look->cell[cell][0], v[1] - look->cell[cell][1], v[2] - look->cell[cell][2]};
    float square = dot(d, d);
    if (square < best) {
      second = best;
      best = square;
      nearest = cell;
    } else if (square < second) {
      second = square;
    }
  }
  float border = 0.5F * (sqrtf(second) - sqrtf(best));
  float hu = look->cell_hu[nearest] * look->cell_gain[phase];
  return blend(hu, -14.0F * look->cell_gain[phase], step(1.0F - border));
}

static float nodules(const struct lvn_phantom_look *look, enum lvn_phase phase, const float v[3], float hu) {
  if (look->nodule_growth[phase] <= 0.0F) {
    return hu;
  }
  float depth = -1e6F;
  for (size_t i = 0; i < look->nodule_count; i++) {
    const float d[3] = {v[0] - look->nodule[i][0], v[1] - look->nodule[i][1], v[2] - look->nodule[i][2]};
    depth = lvn_phantom_max(depth, look->nodule_radius[i] * look->nodule_growth[phase] - sqrtf(dot(d, d)));
  }
  return blend(hu, look->nodule_hu[phase], step(0.7F * depth));
}

static float sheets(const struct lvn_phantom_look *look, const float v[3], float length) {
  float inside = 0.0F;
  float relative = length / look->radius;
  if (relative > look->sheet_reach) {
    return 0.0F;
  }
  for (size_t i = 0; i < look->sheet_count; i++) {
    float off = fabsf(dot(look->sheet_normal[i], v) - look->sheet_offset[i] * look->radius);
    /* A scar's ray thins towards its end, a cyst's septum does not. */
    float half = look->lesion_class == LVN_CLASS_CYST || look->sheets_are_even
                     ? look->sheet_half_mm
                     : look->sheet_half_mm * (1.0F - relative / look->sheet_reach);
    inside = lvn_phantom_max(inside, step(half - off));
  }
  return inside;
}

float lvn_phantom_look_hounsfield(const struct lvn_phantom_scene *scene, const struct lvn_phantom_look *look,
                                  enum lvn_phase phase, const float at[3]) {
  float v[3];
  float length = own_axes(look, at, v);
  float coarse = lvn_phantom_grain(scene->grain, 0.21F * at[0] + 17.0F, 0.21F * at[1], 0.21F * at[2]);
  float hu = look->body[phase] + (look->over_liver ? lvn_phantom_liver_hounsfield(scene, phase, at) : 0.0F);
  if (look->grain > 0.0F) {
    hu += look->grain *
          (0.7F * coarse + 0.7F * lvn_phantom_grain(scene->grain, 0.55F * at[0], 0.55F * at[1], 0.55F * at[2] + 9.0F));
  }
  if (look->cell_count > 0) {
    hu += mosaic(look, phase, v);
  }
  if (look->nodule_count > 0) {
    hu = nodules(look, phase, v, hu);
  }
  float core = look->core_reach > 0.0F ? (look->core_reach * (1.0F + 0.28F * coarse)) * look->radius - length : -1.0F;
  float scar = core > -1.0F ? step(core) : 0.0F;
  if (look->sheet_count > 0) {
    scar = lvn_phantom_max(scar, sheets(look, v, length));
  }
  hu = blend(hu, look->core[phase], scar);
  if (look->capsule_mm > 0.0F) {
    float depth = surface_radius(look, v, length) - length;
    hu = blend(hu, look->capsule[phase], step(look->capsule_mm - depth));
  }
  if (look->edge_mm > 0.0F) {
    float depth = surface_radius(look, v, length) - length;
    hu = blend(lvn_phantom_liver_hounsfield(scene, phase, at), hu,
               lvn_phantom_min(lvn_phantom_max(depth / look->edge_mm, 0.0F), 1.0F));
  }
  return hu;
}
