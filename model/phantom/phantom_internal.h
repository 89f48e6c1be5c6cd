/* Inside of the phantom: patient, shapes, lesions, motion, texture, rendering. Lengths in mm in the reference phase's
 * patient space (LPS); x = 0, y = 0 is the middle of the abdominal cavity, z = 0 the middle of the liver. */
#ifndef LVN_MODEL_PHANTOM_INTERNAL_H
#define LVN_MODEL_PHANTOM_INTERNAL_H

#include "model/phantom/phantom.h"

#include <stdint.h>

/* As fminf and fmaxf without their care for NaN, which costs a call each. */
static inline float lvn_phantom_min(float a, float b) {
  return a < b ? a : b;
}
static inline float lvn_phantom_max(float a, float b) {
  return a > b ? a : b;
}

/* Counter-based random numbers (SplitMix64's finaliser over a key and a counter): a stream per purpose, so that a draw
 * added to one purpose changes no other, and threads cannot disturb the order. */
struct lvn_phantom_random {
  uint64_t key;
  uint64_t counter;
};
enum lvn_phantom_stream {
  LVN_PHANTOM_STREAM_PATIENT = 1,
  LVN_PHANTOM_STREAM_ENHANCEMENT,
  LVN_PHANTOM_STREAM_ORGANS,
  LVN_PHANTOM_STREAM_VESSELS,
  LVN_PHANTOM_STREAM_OPTIONS,
  LVN_PHANTOM_STREAM_TEXTURE,
  LVN_PHANTOM_STREAM_NOISE_TILE,
  LVN_PHANTOM_STREAM_GRID,
  LVN_PHANTOM_STREAM_DELAY,
  LVN_PHANTOM_STREAM_WORLD,
  LVN_PHANTOM_STREAM_REGION,
  LVN_PHANTOM_STREAM_LESION_PLACE = 64, /* + lesion */
  LVN_PHANTOM_STREAM_LESION_LOOK = 128, /* + lesion */
  LVN_PHANTOM_STREAM_MOTION = 192,      /* + phase */
  LVN_PHANTOM_STREAM_NOISE = 256        /* + phase << 16 + slice */
};
struct lvn_phantom_random lvn_phantom_random_start(uint64_t seed, uint64_t stream);
uint64_t lvn_phantom_random_bits(struct lvn_phantom_random *random);
double lvn_phantom_random_uniform(struct lvn_phantom_random *random, double low, double high);
double lvn_phantom_random_normal(struct lvn_phantom_random *random); /* mean 0, standard deviation 1 */
bool lvn_phantom_random_chance(struct lvn_phantom_random *random, double probability);
size_t lvn_phantom_random_index(struct lvn_phantom_random *random, size_t count);
void lvn_phantom_random_direction(struct lvn_phantom_random *random, float ret_unit[3]);

enum lvn_phantom_material {
  LVN_MATERIAL_AIR,
  LVN_MATERIAL_FAT,
  LVN_MATERIAL_MUSCLE,
  LVN_MATERIAL_LUNG,
  LVN_MATERIAL_CORTEX,    /* of bone */
  LVN_MATERIAL_SPONGIOSA, /* trabecular bone */
  LVN_MATERIAL_DISC,
  LVN_MATERIAL_CANAL,
  LVN_MATERIAL_AORTA,
  LVN_MATERIAL_IVC,
  LVN_MATERIAL_HEART,
  LVN_MATERIAL_LIVER,
  LVN_MATERIAL_PORTAL,
  LVN_MATERIAL_HEPATIC_VEIN,
  LVN_MATERIAL_ARTERY,
  LVN_MATERIAL_SPLEEN,
  LVN_MATERIAL_KIDNEY, /* cortex; medulla and sinus by position */
  LVN_MATERIAL_MEDULLA,
  LVN_MATERIAL_PANCREAS,
  LVN_MATERIAL_BILE,
  LVN_MATERIAL_GUT_WALL,
  LVN_MATERIAL_GUT_FLUID,
  LVN_MATERIAL_GAS,
  LVN_MATERIAL_LESION,
  LVN_MATERIAL_COUNT
};

/* Size and enhancement of one patient; the same seed gives the same patient whatever the lesions and grids. */
struct lvn_phantom_patient {
  double size;        /* 0.88-1.12, scales organs and cavity */
  float outer[2];     /* half axes of the skin's ellipse */
  float wall[2];      /* of the outer face of the muscle wall */
  float cavity[2];    /* of the peritoneal cavity and thorax: constant along z, so that sliding is tangential */
  double enhancement; /* iodine effect, 0.72-1.28 */
  double arterial_lateness;
  float hounsfield[LVN_PHASE_COUNT][LVN_MATERIAL_COUNT];
  float gradient[LVN_PHASE_COUNT][3]; /* perfusion gradient in the liver, HU per mm */
  float patchiness[LVN_PHASE_COUNT];  /* SD of slow perfusion variation in the liver, HU */
  float base[LVN_PHASE_COUNT];        /* HU that lesions are measured against: the liver, or as it were without fat */
  bool is_wide;                       /* drawn from a wide world; else what follows is 0, and the factors 1 */
  float nodularity;                   /* SD of a cirrhotic liver's nodules, HU */
  float texture;                      /* factor on the grain of lesions */
  double contrast;                    /* factor on their difference to the liver */
  double offset_hu;                   /* of the scanner */
};
void lvn_phantom_patient_draw(uint64_t seed, const struct lvn_phantom_world *world,
                              struct lvn_phantom_patient *ret_patient);
/* A range of the world, at a place that seed and `which` give. */
double lvn_phantom_world_draw(uint64_t seed, const struct lvn_phantom_range *range, uint64_t which);

/* Breathing: reference = phase - slide(shift + bend(phase - shift)), evaluated directly while rendering; bend is a sum
 * of modes amplitude * X(x) Y(y) Z(z) with sines of wavelength >= 130 mm, so |bend'| <= 0.3. slide() takes away what
 * points through the wall: at the wall of the cavity all of it, towards the middle of the cavity ever less, so that the
 * organs slide along the wall and the strain next to it stays below a third. The forward map is the limit of a
 * contraction. */
#define LVN_PHANTOM_MODES 3
struct lvn_phantom_motion {
  double wall[2]; /* 1 / half axis^2 of the cavity */
  double shift[3];
  double amplitude[LVN_PHANTOM_MODES][3];
  double wave_number[LVN_PHANTOM_MODES][3]; /* radian per mm */
  double wave_phase[LVN_PHANTOM_MODES][3];
};
void lvn_phantom_motion_draw(uint64_t seed, enum lvn_phase phase, double scale,
                             const struct lvn_phantom_patient *patient, struct lvn_phantom_motion *ret_motion);
/* slide() at (x, y) of the phase; the cavity's section is the same at every z, hence no third coordinate. */
static inline void lvn_phantom_slide(const double wall[2], double x, double y, double displacement[3]) {
  const double normal[2] = {x * wall[0], y * wall[1]};
  double level = x * normal[0] + y * normal[1]; /* 0 in the middle, 1 at the wall */
  double outward = normal[0] * displacement[0] + normal[1] * displacement[1];
  double part = (level < 1.0 ? level : 1.0) * outward / (normal[0] * normal[0] + normal[1] * normal[1] + 1e-12);
  displacement[0] -= part * normal[0];
  displacement[1] -= part * normal[1];
}
void lvn_phantom_motion_inverse(const struct lvn_phantom_motion *motion, const double phase_mm[3],
                                double ret_reference_mm[3]);
void lvn_phantom_motion_forward(const struct lvn_phantom_motion *motion, const double reference_mm[3],
                                double ret_phase_mm[3]);

enum lvn_phantom_kind {
  LVN_SHAPE_CYLINDER, /* elliptic, along z, unbounded */
  LVN_SHAPE_RING,     /* all that lies outside such a cylinder */
  LVN_SHAPE_ELLIPSOID,
  LVN_SHAPE_CAPSULE, /* straight vessel, radius linear from a to b */
  LVN_SHAPE_LIVER,
  LVN_SHAPE_LUNG,
  LVN_SHAPE_RIBS,
  LVN_SHAPE_DISCS,
  LVN_SHAPE_LESION
};
struct lvn_phantom_scene;
struct lvn_phantom_shape {
  enum lvn_phantom_kind kind;
  enum lvn_phantom_material material;
  bool is_static; /* spine, wall, aorta: do not breathe */
  float centre[3];
  float half[3];     /* half axes; capsule: vector a to b */
  float inverse[3];  /* 1 / half, set by lvn_phantom_scene_add() */
  float rotation[2]; /* cosine and sine of a turn about z */
  float radius[2];   /* capsule */
  bool has_level;    /* ellipsoid above (anterior to) a fluid level: y < level */
  float level;
  size_t lesion;         /* index, for LVN_SHAPE_LESION */
  float low[3], high[3]; /* bounding box */
};

#define LVN_PHANTOM_NODULES 12
#define LVN_PHANTOM_CELLS 28
/* How one lesion looks. v is the offset from the centre in the lesion's own axes, scaled so that the lesion is nearly
 * the ball |v| < radius. */
struct lvn_phantom_look {
  enum lvn_class lesion_class;
  char subtype[32];
  float centre[3];
  float radius;
  float axes[3][3]; /* rows: direction / relative half axis */
  float stretch;    /* largest relative half axis */
  float lobulation;
  float lobe_wave[3][3];
  float lobe_phase[3];
  float body[LVN_PHASE_COUNT]; /* HU */
  float grain;                 /* SD of fine texture, HU */
  float capsule_mm;            /* 0: none */
  float capsule[LVN_PHASE_COUNT];
  size_t sheet_count; /* septa (cyst) or the scar's rays (FNH) */
  float sheet_normal[4][3];
  float sheet_offset[4];
  float sheet_half_mm;
  float sheet_reach; /* relative radius where the sheet ends */
  float core_reach;  /* relative radius of scar, necrosis or cleft; 0: none */
  float core[LVN_PHASE_COUNT];
  size_t cell_count; /* mosaic */
  float cell[LVN_PHANTOM_CELLS][3];
  float cell_hu[LVN_PHANTOM_CELLS];
  float cell_gain[LVN_PHASE_COUNT];
  size_t nodule_count; /* haemangioma */
  float nodule[LVN_PHANTOM_NODULES][3];
  float nodule_radius[LVN_PHANTOM_NODULES];
  float nodule_growth[LVN_PHASE_COUNT]; /* factor on nodule_radius; 0: no enhancement */
  float nodule_hu[LVN_PHASE_COUNT];
  bool is_hidden;       /* nothing is drawn: its mask alone lies on what is there */
  bool sheets_are_even; /* as a cyst's: they do not thin towards their ends */
  bool over_liver;      /* body is added to the liver, whose texture shows through */
  float edge_mm;        /* over which it fades into the liver; 0: a sharp surface */
};
/* Draws the look of a lesion of this class and diameter; the centre is set by the caller. */
void lvn_phantom_look_draw(const struct lvn_phantom_patient *patient, enum lvn_class lesion_class,
                           enum lvn_phantom_other other, double diameter_mm, struct lvn_phantom_random *random,
                           struct lvn_phantom_look *ret_look);
/* Signed distance, approximately, negative inside. `ret_v` may be NULL. */
float lvn_phantom_look_distance(const struct lvn_phantom_look *look, const float at[3], float ret_v[3]);

/* Periodic textures. `grain` is isotropic 3-D noise (mean 0, SD 1) of 64^3 cells; `noise` holds in-plane quantum noise
 * tiles (mean 0, SD 1) for one phase's pixel size. */
#define LVN_PHANTOM_GRAIN_SIDE 64
#define LVN_PHANTOM_NOISE_SIDE 256
#define LVN_PHANTOM_NOISE_TILES 4

#define LVN_PHANTOM_SHAPES_MAX 1024
struct lvn_phantom_scene {
  struct lvn_phantom_patient patient;
  struct lvn_phantom_motion motion[LVN_PHASE_COUNT];
  size_t shape_count; /* later shapes hide earlier ones */
  struct lvn_phantom_shape shapes[LVN_PHANTOM_SHAPES_MAX];
  size_t lesion_count;
  struct lvn_phantom_look lesions[LVN_PHANTOM_LESIONS_MAX];
  float *grain;                  /* owned */
  float *noise[LVN_PHASE_COUNT]; /* owned, LVN_PHANTOM_NOISE_TILES tiles; NULL for an absent phase */
  float noise_hu[LVN_PHASE_COUNT];
};

/* In this order: what breathes, its vessels, (the lesions,) what stays. */
void lvn_phantom_anatomy_build(struct lvn_phantom_scene *scene, uint64_t seed);
void lvn_phantom_vessels_build(struct lvn_phantom_scene *scene, uint64_t seed);
void lvn_phantom_wall_build(struct lvn_phantom_scene *scene);
/* Adds a shape, with its bounding box computed; ignored when the scene is full. */
void lvn_phantom_scene_add(struct lvn_phantom_scene *scene, const struct lvn_phantom_shape *shape);
/* Signed distance of a shape: close to the true one near the surface, within a factor of 1.5 elsewhere. */
float lvn_phantom_shape_distance(const struct lvn_phantom_scene *scene, const struct lvn_phantom_shape *shape,
                                 const float at[3]);
/* Liver parenchyma without what lies over it (kidney, gallbladder, wall, lung). */
float lvn_phantom_liver_distance(const struct lvn_phantom_patient *patient, const float at[3]);
/* Does the anatomy at this point stay when the patient breathes? */
bool lvn_phantom_is_static(const struct lvn_phantom_patient *patient, const float at[3]);

LVN_MUST_CHECK bool lvn_phantom_texture_create(struct lvn_phantom_scene *scene, uint64_t seed,
                                               const struct lvn_phantom *phantom, struct lvn_error *err);
/* Smooth noise of SD 1 at a position given in cells of the tile. */
float lvn_phantom_grain(const float *grain, float x, float y, float z);

/* HU of a shape's material at a reference position. */
float lvn_phantom_hounsfield(const struct lvn_phantom_scene *scene, const struct lvn_phantom_shape *shape,
                             enum lvn_phase phase, const float at[3]);
float lvn_phantom_liver_hounsfield(const struct lvn_phantom_scene *scene, enum lvn_phase phase, const float at[3]);
float lvn_phantom_look_hounsfield(const struct lvn_phantom_scene *scene, const struct lvn_phantom_look *look,
                                  enum lvn_phase phase, const float at[3]);

/* Fills the volumes and masks that `phantom` has allocated. */
LVN_MUST_CHECK bool lvn_phantom_render(const struct lvn_phantom_scene *scene, struct lvn_phantom *phantom,
                                       unsigned threads, struct lvn_error *err);

#endif
