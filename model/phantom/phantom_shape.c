/* Signed distances of the anatomy's shapes, in mm, negative inside. Ellipsoids use the first-order distance f / |f'|,
 * exact at the surface, which is all that partial volume needs. */
#include "model/phantom/phantom_internal.h"

#include <math.h>

/* (f - 1) / |f'| for f = |u|^2, u the position over the half axes; deep inside, where that runs away, bounded by the
 * shortest half axis. Also below for three dimensions. */
static float ellipse_distance(float x, float y, const float half[2], const float inverse[2]) {
  float u = x * inverse[0];
  float v = y * inverse[1];
  float du = u * inverse[0];
  float dv = v * inverse[1];
  float square = u * u + v * v;
  float distance = (square - 1.0F) / (2.0F * sqrtf(du * du + dv * dv) + 1e-9F);
  return square < 1.0F ? lvn_phantom_max(distance, 0.8F * lvn_phantom_min(half[0], half[1]) * (square - 1.0F))
                       : distance;
}

static float ellipsoid_distance(const float d[3], const float half[3], const float inverse[3]) {
  float square = 0.0F;
  float slope = 0.0F;
  for (int axis = 0; axis < 3; axis++) {
    float u = d[axis] * inverse[axis];
    float du = u * inverse[axis];
    square += u * u;
    slope += du * du;
  }
  float distance = (square - 1.0F) / (2.0F * sqrtf(slope) + 1e-9F);
  float shortest = lvn_phantom_min(half[0], lvn_phantom_min(half[1], half[2]));
  return square < 1.0F ? lvn_phantom_max(distance, 0.8F * shortest * (square - 1.0F)) : distance;
}

/* Smooth minimum with a quadratic blend over `width`. */
static float smooth_min(float a, float b, float width) {
  float h = lvn_phantom_max(width - fabsf(a - b), 0.0F) / width;
  return lvn_phantom_min(a, b) - 0.25F * h * h * width;
}

/* Centre, half axes and their inverses. */
struct lobe {
  float centre[3];
  float half[3];
  float inverse[3];
};
#define LOBE(x, y, z, a, b, c)                                                                                         \
  {                                                                                                                    \
    {x, y, z}, {a, b, c}, {                                                                                            \
      1.0F / (a), 1.0F / (b), 1.0F / (c)                                                                               \
    }                                                                                                                  \
  }

static float lobe_distance(const float at[3], const struct lobe *lobe) {
  const float d[3] = {at[0] - lobe->centre[0], at[1] - lobe->centre[1], at[2] - lobe->centre[2]};
  return ellipsoid_distance(d, lobe->half, lobe->inverse);
}

static const struct lobe right_lobe = LOBE(-62.0F, -2.0F, 0.0F, 66.0F, 79.0F, 84.0F);
static const struct lobe left_lobe = LOBE(22.0F, -40.0F, 24.0F, 74.0F, 36.0F, 40.0F);
static const struct lobe porta_fossa = LOBE(16.0F, 44.0F, -34.0F, 54.0F, 52.0F, 62.0F);
static const struct lobe right_dome = LOBE(-62.0F, -2.0F, 0.0F, 72.0F, 86.0F, 89.0F);
static const struct lobe left_dome = LOBE(62.0F, -4.0F, 2.0F, 76.0F, 92.0F, 74.0F);

float lvn_phantom_liver_distance(const struct lvn_phantom_patient *patient, const float at[3]) {
  float size = (float)patient->size;
  const float q[3] = {at[0] / size, at[1] / size, at[2] / size};
  float right = lobe_distance(q, &right_lobe);
  float left = lobe_distance(q, &left_lobe);
  float body = smooth_min(right, left, 30.0F);
  float fossa = -lobe_distance(q, &porta_fossa);
  float inferior =
      (-q[2] - 74.0F - 0.25F * (q[0] + 62.0F) + 0.1F * q[1]) * 0.96F; /* the lower edge, rising to the left */
  return size * -smooth_min(-body, smooth_min(-fossa, -inferior, 12.0F), 14.0F);
}

/* Above both diaphragm domes and above the costophrenic recess, which reaches lower at the back. */
static float lung_distance(const struct lvn_phantom_patient *patient, const float at[3]) {
  float size = (float)patient->size;
  const float q[3] = {at[0] / size, at[1] / size, at[2] / size};
  float right = lobe_distance(q, &right_dome);
  float left = lobe_distance(q, &left_dome);
  float floor = (14.0F - 0.35F * q[1] - q[2]) * 0.94F;
  return size * lvn_phantom_max(-smooth_min(right, left, 10.0F), floor);
}

/* Twelve pairs as helices in the wall: they run down towards the front, 27 mm apart. */
static float ribs_distance(const struct lvn_phantom_patient *patient, const float at[3]) {
  float size = (float)patient->size;
  const float middle[2] = {patient->cavity[0] + 6.0F, patient->cavity[1] + 6.0F};
  const float inverse[2] = {1.0F / middle[0], 1.0F / middle[1]};
  float radial = ellipse_distance(at[0], at[1], middle, inverse);
  if (fabsf(radial) > 8.0F) {
    return fabsf(radial) - 5.0F;
  }
  float from_back = fabsf(atan2f(at[0] / middle[0], at[1] / middle[1])); /* 0 at the spine, pi at the sternum */
  float along = at[2] / size + 26.0F * from_back;
  float pitch = 27.0F;
  float turn = along - pitch * rintf(along / pitch);
  float vertical = turn * size / 1.35F;
  float tube = sqrtf(radial * radial + vertical * vertical * 0.55F) - 4.6F;
  float end = (from_back - 2.2F) * 90.0F; /* cartilage and abdominal wall in front */
  return lvn_phantom_max(tube, lvn_phantom_max(end, (0.18F - from_back) * 60.0F));
}

static float discs_distance(const struct lvn_phantom_shape *shape, const float at[3]) {
  float body = ellipse_distance(at[0] - shape->centre[0], at[1] - shape->centre[1], shape->half, shape->inverse);
  float pitch = 34.0F;
  float turn = at[2] - pitch * rintf(at[2] / pitch);
  return lvn_phantom_max(body, fabsf(turn) - 4.0F);
}

static float capsule_distance(const struct lvn_phantom_shape *shape, const float at[3]) {
  float along = 0.0F;
  float length2 = 1e-6F;
  float rest2 = 0.0F;
  for (int axis = 0; axis < 3; axis++) {
    along += (at[axis] - shape->centre[axis]) * shape->half[axis];
    length2 += shape->half[axis] * shape->half[axis];
  }
  float fraction = lvn_phantom_min(lvn_phantom_max(along / length2, 0.0F), 1.0F);
  for (int axis = 0; axis < 3; axis++) {
    float d = at[axis] - shape->centre[axis] - fraction * shape->half[axis];
    rest2 += d * d;
  }
  return sqrtf(rest2) - (shape->radius[0] + fraction * (shape->radius[1] - shape->radius[0]));
}

static float turned_ellipsoid(const struct lvn_phantom_shape *shape, const float at[3]) {
  float x = at[0] - shape->centre[0];
  float y = at[1] - shape->centre[1];
  const float d[3] = {shape->rotation[0] * x + shape->rotation[1] * y, shape->rotation[0] * y - shape->rotation[1] * x,
                      at[2] - shape->centre[2]};
  float distance = ellipsoid_distance(d, shape->half, shape->inverse);
  return shape->has_level ? lvn_phantom_max(distance, at[1] - shape->level) : distance;
}

float lvn_phantom_shape_distance(const struct lvn_phantom_scene *scene, const struct lvn_phantom_shape *shape,
                                 const float at[3]) {
  switch (shape->kind) {
  case LVN_SHAPE_CYLINDER:
    return ellipse_distance(at[0] - shape->centre[0], at[1] - shape->centre[1], shape->half, shape->inverse);
  case LVN_SHAPE_RING:
    return -ellipse_distance(at[0], at[1], shape->half, shape->inverse);
  case LVN_SHAPE_ELLIPSOID:
    return turned_ellipsoid(shape, at);
  case LVN_SHAPE_CAPSULE:
    return capsule_distance(shape, at);
  case LVN_SHAPE_LIVER:
    return lvn_phantom_liver_distance(&scene->patient, at);
  case LVN_SHAPE_LUNG:
    return lung_distance(&scene->patient, at);
  case LVN_SHAPE_RIBS:
    return ribs_distance(&scene->patient, at);
  case LVN_SHAPE_DISCS:
    return discs_distance(shape, at);
  case LVN_SHAPE_LESION:
    return lvn_phantom_look_distance(&scene->lesions[shape->lesion], at, NULL);
  }
  return 1e6F;
}

static void bound(const struct lvn_phantom_scene *scene, struct lvn_phantom_shape *shape) {
  const float huge = 1e6F;
  for (int axis = 0; axis < 3; axis++) {
    float reach = huge;
    float low = shape->centre[axis];
    float high = shape->centre[axis];
    if (shape->kind == LVN_SHAPE_ELLIPSOID) {
      reach = axis == 2 ? shape->half[2] : lvn_phantom_max(shape->half[0], shape->half[1]);
    } else if (shape->kind == LVN_SHAPE_CAPSULE) {
      reach = lvn_phantom_max(shape->radius[0], shape->radius[1]);
      low = lvn_phantom_min(low, low + shape->half[axis]);
      high = lvn_phantom_max(high, high + shape->half[axis]);
    } else if (shape->kind == LVN_SHAPE_LESION) {
      const struct lvn_phantom_look *look = &scene->lesions[shape->lesion];
      reach = look->radius * look->stretch * (1.0F + look->lobulation) + 1.0F;
    } else if (shape->kind == LVN_SHAPE_LIVER) {
      reach = 160.0F;
    } else if ((shape->kind == LVN_SHAPE_CYLINDER || shape->kind == LVN_SHAPE_DISCS) && axis < 2) {
      reach = shape->half[axis];
    }
    shape->inverse[axis] = shape->half[axis] != 0.0F ? 1.0F / shape->half[axis] : 0.0F;
    shape->low[axis] = low - reach;
    shape->high[axis] = high + reach;
  }
}

void lvn_phantom_scene_add(struct lvn_phantom_scene *scene, const struct lvn_phantom_shape *shape) {
  if (scene->shape_count < LVN_PHANTOM_SHAPES_MAX) {
    struct lvn_phantom_shape *place = &scene->shapes[scene->shape_count++];
    *place = *shape;
    bound(scene, place);
  }
}
