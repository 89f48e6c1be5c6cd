/* Where the lesions lie: wholly inside the liver, apart from one another and from what is drawn over the liver; one in
 * four directly below the surface (wall, dome or visceral side). */
#include "model/phantom/phantom_place.h"
#include "model/phantom/phantom_internal.h"

#include <math.h>

#define ATTEMPTS 500

/* Positive where a point belongs to parenchyma, as the distance to the nearest thing that is not. */
static float room_at(const struct lvn_phantom_scene *scene, const float at[3]) {
  float room = -lvn_phantom_liver_distance(&scene->patient, at);
  float u = at[0] / scene->patient.cavity[0];
  float v = at[1] / scene->patient.cavity[1];
  room = lvn_phantom_min(room, (1.0F - sqrtf(u * u + v * v)) * scene->patient.cavity[1]);
  for (size_t i = 0; i < scene->shape_count && room > 0.0F; i++) {
    const struct lvn_phantom_shape *shape = &scene->shapes[i];
    bool covers = shape->material == LVN_MATERIAL_BILE || shape->material == LVN_MATERIAL_IVC ||
                  (shape->material == LVN_MATERIAL_FAT && shape->kind == LVN_SHAPE_ELLIPSOID);
    if (covers) {
      room = lvn_phantom_min(room, lvn_phantom_shape_distance(scene, shape, at));
    }
  }
  return room;
}

static bool is_apart(const struct lvn_phantom_scene *scene, const struct lvn_phantom_look *look) {
  float reach = look->radius * look->stretch * (1.0F + look->lobulation);
  for (size_t i = 0; i < scene->lesion_count; i++) {
    const struct lvn_phantom_look *other = &scene->lesions[i];
    float apart = other->radius * other->stretch * (1.0F + other->lobulation) + reach + 3.0F;
    float distance = 0.0F;
    for (int axis = 0; axis < 3; axis++) {
      float d = other->centre[axis] - look->centre[axis];
      distance += d * d;
    }
    if (distance < apart * apart) {
      return false;
    }
  }
  return true;
}

static bool fits(const struct lvn_phantom_scene *scene, const struct lvn_phantom_look *look, bool at_surface) {
  float reach = look->radius * look->stretch * (1.0F + look->lobulation);
  float nearest = 1e6F;
  if (room_at(scene, look->centre) < 0.6F * look->radius || !is_apart(scene, look)) {
    return false;
  }
  for (int i = 0; i < 40; i++) { /* Fibonacci points on the sphere about the lesion */
    float z = 1.0F - (2.0F * (float)i + 1.0F) / 40.0F;
    float planar = sqrtf(1.0F - z * z);
    float angle = 2.39996323F * (float)i;
    const float at[3] = {look->centre[0] + reach * planar * cosf(angle), look->centre[1] + reach * planar * sinf(angle),
                         look->centre[2] + reach * z};
    float room = room_at(scene, at);
    nearest = lvn_phantom_min(nearest, room);
    if (room < 1.0F) {
      return false;
    }
  }
  return !at_surface || nearest < 6.0F;
}

/* A point of the liver's box. */
static void draw_point(const struct lvn_phantom_scene *scene, struct lvn_phantom_random *random, float ret_at[3]) {
  double size = scene->patient.size;
  ret_at[0] = (float)(size * lvn_phantom_random_uniform(random, -125.0, 80.0));
  ret_at[1] = (float)(size * lvn_phantom_random_uniform(random, -78.0, 75.0));
  ret_at[2] = (float)(size * lvn_phantom_random_uniform(random, -75.0, 82.0));
}

static bool is_vessel(const struct lvn_phantom_shape *shape) {
  return shape->kind == LVN_SHAPE_CAPSULE && shape->radius[1] > 2.5F &&
         (shape->material == LVN_MATERIAL_PORTAL || shape->material == LVN_MATERIAL_HEPATIC_VEIN);
}

/* The n-th shape that a region of this kind is put on. */
static const struct lvn_phantom_shape *find_shape(const struct lvn_phantom_scene *scene, enum lvn_phantom_other other,
                                                  struct lvn_phantom_random *random) {
  static const enum lvn_phantom_material materials[LVN_OTHER_COUNT] = {[LVN_OTHER_SPLEEN] = LVN_MATERIAL_SPLEEN,
                                                                       [LVN_OTHER_GALLBLADDER] = LVN_MATERIAL_BILE,
                                                                       [LVN_OTHER_KIDNEY] = LVN_MATERIAL_KIDNEY,
                                                                       [LVN_OTHER_STOMACH] = LVN_MATERIAL_GUT_FLUID};
  const struct lvn_phantom_shape *found = NULL;
  size_t count = 0;
  for (size_t i = 0; i < scene->shape_count; i++) {
    const struct lvn_phantom_shape *shape = &scene->shapes[i];
    bool fits_kind = other == LVN_OTHER_VESSEL
                         ? is_vessel(shape)
                         : shape->kind == LVN_SHAPE_ELLIPSOID && shape->material == materials[other];
    /* The stomach is the first of the gut. */
    if (fits_kind && (found == NULL || other != LVN_OTHER_STOMACH)) {
      count++;
      found = lvn_phantom_random_index(random, count) == 0 ? shape : found;
    }
  }
  return found;
}

/* Somewhere within an organ, shrunk to lie mostly inside; a vessel is followed along its length. */
static bool place_in_shape(const struct lvn_phantom_scene *scene, enum lvn_phantom_other other,
                           struct lvn_phantom_random *random, struct lvn_phantom_look *look) {
  const struct lvn_phantom_shape *shape = find_shape(scene, other, random);
  float direction[3];
  if (shape == NULL) {
    return false;
  }
  lvn_phantom_random_direction(random, direction);
  float along = (float)lvn_phantom_random_uniform(random, 0.0, other == LVN_OTHER_VESSEL ? 1.0 : 0.55);
  for (int axis = 0; axis < 3; axis++) {
    look->centre[axis] =
        shape->centre[axis] + along * shape->half[axis] * (other == LVN_OTHER_VESSEL ? 1.0F : direction[axis]);
  }
  float most = other == LVN_OTHER_VESSEL
                   ? 2.2F * shape->radius[0]
                   : 0.8F * lvn_phantom_min(shape->half[0], lvn_phantom_min(shape->half[1], shape->half[2]));
  look->radius = lvn_phantom_max(lvn_phantom_min(look->radius, most), 4.0F);
  return true;
}

/* A place for a region that nothing is drawn at. */
static bool place_on(const struct lvn_phantom_scene *scene, enum lvn_phantom_other other,
                     struct lvn_phantom_random *random, struct lvn_phantom_look *look) {
  if (other != LVN_OTHER_NORMAL_LIVER && other != LVN_OTHER_EDGE) {
    return place_in_shape(scene, other, random, look);
  }
  draw_point(scene, random, look->centre);
  float depth = -lvn_phantom_liver_distance(&scene->patient, look->centre);
  return other == LVN_OTHER_EDGE ? fabsf(depth) < 0.35F * look->radius
                                 : room_at(scene, look->centre) > 0.95F * look->radius;
}

void lvn_phantom_lesion_place(struct lvn_phantom_scene *scene, uint64_t seed, enum lvn_class lesion_class,
                              enum lvn_phantom_other other, double diameter_mm) {
  size_t index = scene->lesion_count;
  for (double diameter = diameter_mm;; diameter *= 0.93) {
    struct lvn_phantom_look *look = &scene->lesions[index];
    struct lvn_phantom_random random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_LESION_LOOK + index);
    lvn_phantom_look_draw(&scene->patient, lesion_class, other, diameter, &random, look);
    random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_LESION_PLACE + index);
    bool at_surface = lvn_phantom_random_chance(&random, 0.25);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (look->is_hidden) {
        if (place_on(scene, other, &random, look) && is_apart(scene, look)) {
          scene->lesion_count++;
          return;
        }
        continue;
      }
      draw_point(scene, &random, look->centre);
      if (fits(scene, look, at_surface && attempt < ATTEMPTS / 2)) {
        scene->lesion_count++;
        return;
      }
    }
    if (diameter < 3.0) { /* a liver this full takes no more */
      return;
    }
  }
}
