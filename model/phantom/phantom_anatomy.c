/* The organs: later shapes hide earlier ones. Positions are those of an average adult at size 1,
 * x to the patient's left, y to the back, z to the head, 0 in the middle of the liver. */
#include "model/phantom/phantom_internal.h"

#include <math.h>

struct builder {
  struct lvn_phantom_scene *scene;
  struct lvn_phantom_random random;
  float size;
};

static void add_cylinder(struct builder *builder, enum lvn_phantom_kind kind, enum lvn_phantom_material material,
                         float x, float y, float half_x, float half_y) {
  struct lvn_phantom_shape shape = {.kind = kind, .material = material, .is_static = true, .rotation = {1.0F, 0.0F}};
  shape.centre[0] = x;
  shape.centre[1] = y;
  shape.half[0] = half_x;
  shape.half[1] = half_y;
  lvn_phantom_scene_add(builder->scene, &shape);
}

static float jitter(struct builder *builder, float spread) {
  return (float)lvn_phantom_random_uniform(&builder->random, -(double)spread, (double)spread);
}

/* Centre and half axes at size 1; `turn` in radian about z. */
static struct lvn_phantom_shape *add_ellipsoid(struct builder *builder, enum lvn_phantom_material material,
                                               const float centre[3], const float half[3], float turn) {
  struct lvn_phantom_shape shape = {.kind = LVN_SHAPE_ELLIPSOID, .material = material};
  for (int axis = 0; axis < 3; axis++) {
    shape.centre[axis] = centre[axis] * builder->size;
    shape.half[axis] = half[axis] * builder->size;
  }
  shape.rotation[0] = cosf(turn);
  shape.rotation[1] = sinf(turn);
  lvn_phantom_scene_add(builder->scene, &shape);
  return &builder->scene->shapes[builder->scene->shape_count - 1];
}

static void add_capsule(struct builder *builder, enum lvn_phantom_material material, const float a[3], const float b[3],
                        float radius, bool is_static) {
  struct lvn_phantom_shape shape = {.kind = LVN_SHAPE_CAPSULE, .material = material, .is_static = is_static};
  for (int axis = 0; axis < 3; axis++) {
    shape.centre[axis] = a[axis] * builder->size;
    shape.half[axis] = (b[axis] - a[axis]) * builder->size;
  }
  shape.radius[0] = radius * builder->size;
  shape.radius[1] = radius * builder->size;
  lvn_phantom_scene_add(builder->scene, &shape);
}

static void add_gut(struct builder *builder) {
  static const float stomach_centre[3] = {56.0F, -22.0F, 14.0F};
  const float stomach[3] = {44.0F + jitter(builder, 6.0F), 40.0F + jitter(builder, 4.0F), 42.0F};
  const float inner[3] = {stomach[0] - 4.5F, stomach[1] - 4.5F, stomach[2] - 4.5F};
  add_ellipsoid(builder, LVN_MATERIAL_GUT_WALL, stomach_centre, stomach, 0.4F);
  add_ellipsoid(builder, LVN_MATERIAL_GUT_FLUID, stomach_centre, inner, 0.4F);
  struct lvn_phantom_shape *gas = add_ellipsoid(builder, LVN_MATERIAL_GAS, stomach_centre, inner, 0.4F);
  gas->has_level = true;
  gas->level = (-24.0F + jitter(builder, 18.0F)) * builder->size;
  for (int loop = 0; loop < 10; loop++) {
    const float centre[3] = {10.0F + jitter(builder, 75.0F), -32.0F + jitter(builder, 32.0F),
                             -92.0F + jitter(builder, 26.0F)};
    const float half[3] = {15.0F + jitter(builder, 5.0F), 12.0F + jitter(builder, 3.0F), 14.0F + jitter(builder, 4.0F)};
    const float lumen[3] = {half[0] - 2.5F, half[1] - 2.5F, half[2] - 2.5F};
    float turn = jitter(builder, 1.5F);
    bool has_gas = lvn_phantom_random_chance(&builder->random, 0.35);
    add_ellipsoid(builder, LVN_MATERIAL_GUT_WALL, centre, half, turn);
    add_ellipsoid(builder, has_gas ? LVN_MATERIAL_GAS : LVN_MATERIAL_GUT_FLUID, centre, lumen, turn);
  }
}

static void add_upper_organs(struct builder *builder) {
  static const float heart[2][3] = {{22.0F, -36.0F, 104.0F}, {62.0F, 44.0F, 34.0F}};
  static const float pancreas[4][3] = {
      {-18.0F, 4.0F, -52.0F}, {10.0F, -6.0F, -36.0F}, {40.0F, 6.0F, -24.0F}, {74.0F, 28.0F, -12.0F}};
  const float spleen_centre[3] = {92.0F, 34.0F, 4.0F + jitter(builder, 8.0F)};
  const float spleen[3] = {29.0F + jitter(builder, 4.0F), 44.0F + jitter(builder, 4.0F), 48.0F + jitter(builder, 8.0F)};
  struct lvn_phantom_shape lung = {.kind = LVN_SHAPE_LUNG, .material = LVN_MATERIAL_LUNG};
  lvn_phantom_scene_add(builder->scene, &lung);
  add_ellipsoid(builder, LVN_MATERIAL_HEART, heart[0], heart[1], 0.35F);
  add_gut(builder);
  for (int part = 0; part < 3; part++) {
    add_capsule(builder, LVN_MATERIAL_PANCREAS, pancreas[part], pancreas[part + 1], 9.5F - 1.2F * (float)part, false);
  }
  add_ellipsoid(builder, LVN_MATERIAL_SPLEEN, spleen_centre, spleen, 0.5F);
}

static void add_liver_and_kidneys(struct builder *builder) {
  static const float gallbladder[2][3] = {{-36.0F, -44.0F, -54.0F}, {15.0F, 17.0F, 25.0F}};
  static const float cava[3][3] = {{-20.0F, 36.0F, -200.0F}, {-20.0F, 34.0F, 20.0F}, {-18.0F, 22.0F, 96.0F}};
  struct lvn_phantom_shape liver = {.kind = LVN_SHAPE_LIVER, .material = LVN_MATERIAL_LIVER};
  lvn_phantom_scene_add(builder->scene, &liver);
  const float right[3] = {-54.0F, 46.0F, -66.0F + jitter(builder, 6.0F)};
  const float left[3] = {60.0F, 48.0F, -50.0F + jitter(builder, 6.0F)};
  static const float kidney[3] = {24.0F, 28.0F, 52.0F};
  static const float capsule[3] = {29.0F, 33.0F, 59.0F};
  add_ellipsoid(builder, LVN_MATERIAL_FAT, right, capsule, -0.5F);
  add_ellipsoid(builder, LVN_MATERIAL_FAT, left, capsule, 0.5F);
  add_ellipsoid(builder, LVN_MATERIAL_KIDNEY, right, kidney, -0.5F);
  add_ellipsoid(builder, LVN_MATERIAL_KIDNEY, left, kidney, 0.5F);
  add_ellipsoid(builder, LVN_MATERIAL_BILE, gallbladder[0], gallbladder[1], 0.3F);
  add_capsule(builder, LVN_MATERIAL_IVC, cava[0], cava[1], 11.0F, false);
  add_capsule(builder, LVN_MATERIAL_IVC, cava[1], cava[2], 12.0F, false);
}

static const float spine[2] = {0.0F, 60.0F};
static const float aorta[2] = {11.0F, 28.0F};
static const float spine_half[2] = {22.0F, 17.0F};
static const float aorta_radius = 11.0F;

/* From the cavity outwards; they hide what breathes, so that organs slide along the wall and never into it. */
static void add_wall(struct builder *builder) {
  const struct lvn_phantom_patient *patient = &builder->scene->patient;
  float size = builder->size;
  float back = patient->cavity[1];
  const float *cavity = patient->cavity;
  add_cylinder(builder, LVN_SHAPE_RING, LVN_MATERIAL_MUSCLE, 0, 0, cavity[0], cavity[1]);
  add_cylinder(builder, LVN_SHAPE_RING, LVN_MATERIAL_FAT, 0, 0, cavity[0] + 2.0F, cavity[1] + 2.0F);
  add_cylinder(builder, LVN_SHAPE_RING, LVN_MATERIAL_MUSCLE, 0, 0, cavity[0] + 3.5F, cavity[1] + 3.5F);
  add_cylinder(builder, LVN_SHAPE_RING, LVN_MATERIAL_FAT, 0, 0, patient->wall[0], patient->wall[1]);
  add_cylinder(builder, LVN_SHAPE_RING, LVN_MATERIAL_MUSCLE, 0, 0, patient->outer[0] - 2.0F, patient->outer[1] - 2.0F);
  struct lvn_phantom_shape ribs = {.kind = LVN_SHAPE_RIBS, .material = LVN_MATERIAL_CORTEX, .is_static = true};
  lvn_phantom_scene_add(builder->scene, &ribs);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_MUSCLE, -33.0F * size, back + 7.0F, 27.0F * size, 17.0F);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_MUSCLE, 33.0F * size, back + 7.0F, 27.0F * size, 17.0F);
}

static void add_spine(struct builder *builder) {
  float size = builder->size;
  float y = spine[1] * size;
  struct lvn_phantom_shape disc = {.kind = LVN_SHAPE_DISCS, .material = LVN_MATERIAL_DISC, .is_static = true};
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_MUSCLE, -26.0F * size, y + 4.0F, 13.0F * size, 14.0F * size);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_MUSCLE, 26.0F * size, y + 4.0F, 13.0F * size, 14.0F * size);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_SPONGIOSA, 0.0F, y + 36.0F * size, 4.0F, 24.0F * size);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_CORTEX, 0.0F, y + 25.0F * size, 15.0F * size, 12.0F * size);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_CORTEX, 0.0F, y, spine_half[0] * size, spine_half[1] * size);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_SPONGIOSA, 0.0F, y, spine_half[0] * size - 1.6F,
               spine_half[1] * size - 1.6F);
  disc.centre[1] = y;
  disc.half[0] = spine_half[0] * size;
  disc.half[1] = spine_half[1] * size;
  lvn_phantom_scene_add(builder->scene, &disc);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_CANAL, 0.0F, y + 24.0F * size, 10.0F * size, 8.0F * size);
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_MUSCLE, aorta[0] * size, aorta[1] * size + 7.0F * size,
               (aorta_radius + 5.0F) * size, (aorta_radius + 2.0F) * size); /* the crura */
  add_cylinder(builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_AORTA, aorta[0] * size, aorta[1] * size, aorta_radius * size,
               aorta_radius * size);
}

void lvn_phantom_anatomy_build(struct lvn_phantom_scene *scene, uint64_t seed) {
  struct builder builder = {.scene = scene,
                            .random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_ORGANS),
                            .size = (float)scene->patient.size};
  add_cylinder(&builder, LVN_SHAPE_CYLINDER, LVN_MATERIAL_FAT, 0, 0, scene->patient.cavity[0] + 1.0F,
               scene->patient.cavity[1] + 1.0F);
  add_upper_organs(&builder);
  add_liver_and_kidneys(&builder);
}

void lvn_phantom_wall_build(struct lvn_phantom_scene *scene) {
  struct builder builder = {.scene = scene, .size = (float)scene->patient.size};
  add_wall(&builder);
  add_spine(&builder);
  add_cylinder(&builder, LVN_SHAPE_RING, LVN_MATERIAL_AIR, 0, 0, scene->patient.outer[0], scene->patient.outer[1]);
}

bool lvn_phantom_is_static(const struct lvn_phantom_patient *patient, const float at[3]) {
  float size = (float)patient->size;
  float cavity = hypotf(at[0] / patient->cavity[0], at[1] / patient->cavity[1]);
  float vertebra = hypotf((at[0] - spine[0] * size) / (38.0F * size), (at[1] - spine[1] * size) / (19.0F * size));
  float vessel =
      hypotf((at[0] - aorta[0] * size) / (16.0F * size), (at[1] - (aorta[1] + 5.0F) * size) / (16.0F * size));
  return cavity >= 1.0F || vertebra < 1.0F || vessel < 1.0F;
}
