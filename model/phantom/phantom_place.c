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

static bool fits(const struct lvn_phantom_scene *scene, const struct lvn_phantom_look *look, bool at_surface) {
  float reach = look->radius * look->stretch * (1.0F + look->lobulation);
  float nearest = 1e6F;
  if (room_at(scene, look->centre) < 0.6F * look->radius) {
    return false;
  }
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

void lvn_phantom_lesion_place(struct lvn_phantom_scene *scene, uint64_t seed, enum lvn_class lesion_class,
                              double diameter_mm) {
  size_t index = scene->lesion_count;
  double size = scene->patient.size;
  for (double diameter = diameter_mm;; diameter *= 0.93) {
    struct lvn_phantom_look *look = &scene->lesions[index];
    struct lvn_phantom_random random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_LESION_LOOK + index);
    lvn_phantom_look_draw(&scene->patient, lesion_class, diameter, &random, look);
    random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_LESION_PLACE + index);
    bool at_surface = lvn_phantom_random_chance(&random, 0.25);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      look->centre[0] = (float)(size * lvn_phantom_random_uniform(&random, -125.0, 80.0));
      look->centre[1] = (float)(size * lvn_phantom_random_uniform(&random, -78.0, 75.0));
      look->centre[2] = (float)(size * lvn_phantom_random_uniform(&random, -75.0, 82.0));
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
