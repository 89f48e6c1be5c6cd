/* Portal vein with its artery, and the three hepatic veins, as trees of straight vessels that bend at every joint and
 * stay inside the liver. */
#include "model/phantom/phantom_internal.h"

#include <math.h>

#define BRANCH_DEPTH 4

struct tree {
  struct lvn_phantom_scene *scene;
  struct lvn_phantom_random random;
  enum lvn_phantom_material material;
  enum lvn_phantom_material companion; /* runs beside, thinner; LVN_MATERIAL_AIR: none */
};

static void add_vessel(struct lvn_phantom_scene *scene, enum lvn_phantom_material material, const float a[3],
                       const float b[3], float radius_a, float radius_b) {
  struct lvn_phantom_shape shape = {.kind = LVN_SHAPE_CAPSULE, .material = material, .radius = {radius_a, radius_b}};
  for (int axis = 0; axis < 3; axis++) {
    shape.centre[axis] = a[axis];
    shape.half[axis] = b[axis] - a[axis];
  }
  lvn_phantom_scene_add(scene, &shape);
}

static void add_pair(struct tree *tree, const float a[3], const float b[3], float radius_a, float radius_b) {
  add_vessel(tree->scene, tree->material, a, b, radius_a, radius_b);
  if (tree->companion != LVN_MATERIAL_AIR && radius_b > 1.2F) {
    const float beside_a[3] = {a[0] - 0.8F * radius_a, a[1] - radius_a, a[2] + 0.6F * radius_a};
    const float beside_b[3] = {b[0] - 0.8F * radius_b, b[1] - radius_b, b[2] + 0.6F * radius_b};
    add_vessel(tree->scene, tree->companion, beside_a, beside_b, 0.32F * radius_a, 0.32F * radius_b);
  }
}

static void normalise(float v[3]) {
  float length = sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) + 1e-6F;
  for (int axis = 0; axis < 3; axis++) {
    v[axis] /= length;
  }
}

static void grow(struct tree *tree, const float start[3], const float heading[3], float length, float radius,
                 int depth) {
  float at[3] = {start[0], start[1], start[2]};
  float direction[3] = {heading[0], heading[1], heading[2]};
  for (int part = 0; part < 2; part++) {
    float bend[3];
    float next[3];
    lvn_phantom_random_direction(&tree->random, bend);
    for (int axis = 0; axis < 3; axis++) {
      direction[axis] += 0.22F * bend[axis];
    }
    normalise(direction);
    for (int axis = 0; axis < 3; axis++) {
      next[axis] = at[axis] + 0.5F * length * direction[axis];
    }
    if (lvn_phantom_liver_distance(&tree->scene->patient, next) > -3.0F) {
      return;
    }
    float thin = radius * (part == 0 ? 0.9F : 0.8F);
    add_pair(tree, at, next, part == 0 ? radius : 0.9F * radius, thin);
    for (int axis = 0; axis < 3; axis++) {
      at[axis] = next[axis];
    }
  }
  if (depth == 0 || radius * 0.72F < 0.7F) {
    return;
  }
  float side[3];
  lvn_phantom_random_direction(&tree->random, side);
  for (int child = 0; child < 2; child++) {
    float spread = (float)lvn_phantom_random_uniform(&tree->random, 0.35, 0.8) * (child == 0 ? 1.0F : -1.0F);
    float branch[3];
    for (int axis = 0; axis < 3; axis++) {
      branch[axis] = direction[axis] + spread * side[axis];
    }
    normalise(branch);
    grow(tree, at, branch, length * (float)lvn_phantom_random_uniform(&tree->random, 0.68, 0.9), radius * 0.74F,
         depth - 1);
  }
}

/* From `a` to `b` (at size 1), then on in the same direction as a tree. */
static void plant(struct tree *tree, const float a[3], const float b[3], float radius, float length) {
  float size = (float)tree->scene->patient.size;
  float from[3];
  float to[3];
  float heading[3];
  for (int axis = 0; axis < 3; axis++) {
    from[axis] = a[axis] * size;
    to[axis] = b[axis] * size;
    heading[axis] = to[axis] - from[axis];
  }
  normalise(heading);
  add_pair(tree, from, to, radius * size, radius * size * 0.9F);
  if (length > 0.0F) {
    grow(tree, to, heading, length * size, radius * size * 0.85F, BRANCH_DEPTH);
  }
}

void lvn_phantom_vessels_build(struct lvn_phantom_scene *scene, uint64_t seed) {
  static const float trunk[3] = {10.0F, 10.0F, -48.0F};
  static const float hilum[3] = {-22.0F, -2.0F, -6.0F};
  static const float right[3] = {-52.0F, 2.0F, 0.0F};
  static const float left[3] = {-6.0F, -22.0F, 12.0F};
  static const float umbilical[3] = {14.0F, -38.0F, 20.0F};
  static const float celiac[3] = {11.0F, 14.0F, -30.0F};
  static const float outlet[3] = {-19.0F, 24.0F, 58.0F};
  static const float veins[3][3] = {{-62.0F, 14.0F, 44.0F}, {-38.0F, -14.0F, 42.0F}, {-2.0F, -24.0F, 44.0F}};
  static const float posterior[3] = {-66.0F, 26.0F, -6.0F};
  static const float anterior[3] = {-66.0F, -20.0F, 8.0F};
  struct tree tree = {.scene = scene,
                      .random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_VESSELS),
                      .material = LVN_MATERIAL_HEPATIC_VEIN,
                      .companion = LVN_MATERIAL_AIR};
  for (int vein = 0; vein < 3; vein++) {
    plant(&tree, outlet, veins[vein], 4.6F, 30.0F);
  }
  tree.material = LVN_MATERIAL_PORTAL;
  tree.companion = LVN_MATERIAL_ARTERY;
  plant(&tree, trunk, hilum, 6.6F, 0.0F);
  plant(&tree, hilum, right, 5.4F, 0.0F);
  plant(&tree, right, posterior, 4.4F, 28.0F);
  plant(&tree, right, anterior, 4.4F, 28.0F);
  plant(&tree, hilum, left, 4.8F, 0.0F);
  plant(&tree, left, umbilical, 4.2F, 24.0F);
  tree.material = LVN_MATERIAL_ARTERY;
  tree.companion = LVN_MATERIAL_AIR;
  plant(&tree, celiac, hilum, 2.4F, 0.0F);
}
