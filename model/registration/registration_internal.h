/* The parts of the alignment that are plain C: boxes cut from volumes, descriptors, the transform, and the sub-voxel
 * fit. One fused pass here takes a tenth of the time of libtorch's chain of element-wise passes over the same box on a
 * CPU; the exhaustive search, where the arithmetic is, is tensors on either device.
 * Boxes are aligned to the patient axes, isotropic, x innermost. */
#ifndef LVN_MODEL_REGISTRATION_INTERNAL_H
#define LVN_MODEL_REGISTRATION_INTERNAL_H

#include "base/error.h"
#include "model/image/grid.h"
#include "model/image/transform.h"
#include "model/registration/registration.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_REG_CHANNELS 12    /* pairs of the six neighbours at a right angle (MIND-SSC) */
#define LVN_REG_AFFINE_BASIS 4 /* 1, x, y, z */
#define LVN_REG_LEAST_DETERMINANT 0.4

/* `value` is clamped HU, 0 where `valid` is 0. Owned. */
struct lvn_reg_box {
  int64_t size[3];
  double spacing_mm;
  double origin_mm[3]; /* patient position of voxel (0,0,0) */
  float *value;
  float *valid;        /* 1 or 0 */
  double valid_low_mm; /* patient z between which slices have measurements; low > high when there is none */
  double valid_high_mm;
};

/* Resample `volume` to a box of half extents `half_mm` about `centre_mm`, averaged before it is thinned out. Padding
 * and what lies outside enter with no weight. */
LVN_MUST_CHECK bool lvn_reg_box_make(const struct lvn_volume *volume, const double centre_mm[3],
                                     const double half_mm[3], double spacing_mm, struct lvn_reg_box *ret_box,
                                     struct lvn_error *err);
void lvn_reg_box_clear(struct lvn_reg_box *box);

/* Descriptors of one box: channel-last, 12 floats a voxel. Owned. */
struct lvn_reg_features {
  float *data;
  float *valid; /* 1 where the descriptor is made of measurements only, else 0 */
  float *gate;  /* 1 where it is also of soft tissue */
  int64_t size[3];
  double spacing_mm;
  double origin_mm[3];
};
/* planar: only pairs inside the slice, for slabs in which nothing is left between the cut faces. */
LVN_MUST_CHECK bool lvn_reg_describe(const struct lvn_reg_box *box, bool planar, struct lvn_reg_features *ret_features,
                                     struct lvn_error *err);
void lvn_reg_features_clear(struct lvn_reg_features *features);
/* [1 2 1] / 4 along each axis (planar: in the slice), ends repeated; `previous` holds a slice. */
void lvn_reg_blur(float *data, const int64_t size[3], bool planar, float *previous);
/* Close the gate of what is not liver, as far as the grey values about the centre can tell it; radius_mm: of the lesion
 * there. Where they cannot, nothing changes. */
LVN_MUST_CHECK bool lvn_reg_keep_liver(const struct lvn_reg_box *box, const double centre_mm[3], double radius_mm,
                                       double sigma_mm, struct lvn_reg_features *features, struct lvn_error *err);
/* Close the gate of those voxels of `fixed` that have stayed while the lesion moved. Both boxes have the same size; the
 * moving one's centre lies at `offset_mm` from the fixed one's. ret_shift_mm: the lesion's best whole shift against
 * that.
 */
LVN_MUST_CHECK bool lvn_reg_drop_static(struct lvn_reg_features *fixed, const struct lvn_reg_features *moving,
                                        const double offset_mm[3], double sigma_mm, bool planar, double ret_shift_mm[3],
                                        struct lvn_error *err);
/* Weight of a fixed voxel: soft tissue, and the nearer to the lesion the more. */
double lvn_reg_importance(const struct lvn_reg_features *features, int64_t voxel, const double from_centre_mm[3],
                          double sigma_mm);

/* Costs of whole-voxel shifts, by blocks of the fixed box. */
#define LVN_REG_SHIFT_REACH 3 /* voxels */
#define LVN_REG_SHIFTS ((2 * LVN_REG_SHIFT_REACH + 1) * (2 * LVN_REG_SHIFT_REACH + 1) * (2 * LVN_REG_SHIFT_REACH + 1))
#define LVN_REG_BLOCKS 4 /* along each axis */
struct lvn_reg_costs;
LVN_MUST_CHECK bool lvn_reg_costs_create(const double centre_mm[3], double spacing_mm, bool planar,
                                         struct lvn_reg_costs **ret_costs, struct lvn_error *err);
void lvn_reg_costs_destroy(struct lvn_reg_costs *costs);
/* Both boxes have the same size; their outermost LVN_REG_SHIFT_REACH voxels serve the shifts. Layers, 0 to
 * LVN_REG_BLOCKS - 1, may run on different threads. */
void lvn_reg_costs_add_layer(struct lvn_reg_costs *costs, const struct lvn_reg_features *fixed,
                             const struct lvn_reg_features *moving, double sigma_mm, int layer);
enum lvn_reg_model { LVN_REG_TRANSLATION, LVN_REG_AFFINE, LVN_REG_CURVED };
/* Of the blocks, as on a chess-board: what is fitted to one part can be judged by the other. */
enum lvn_reg_part { LVN_REG_ALL, LVN_REG_EVEN, LVN_REG_ODD };
/* Improve `transform`, whose shift is against the boxes' own offset. `prior`: cost of 1 mm^2 of displacement at
 * LVN_TRANSFORM_SCALE_MM from all but the plain shift. False, transform unchanged, when the costs have no minimum in
 * reach or the map would fold. */
LVN_MUST_CHECK bool lvn_reg_costs_fit(const struct lvn_reg_costs *costs, enum lvn_reg_model model,
                                      enum lvn_reg_part part, double prior, struct lvn_transform *transform);
/* Mean cost under `transform`; HUGE_VAL when it is out of reach. */
double lvn_reg_costs_value(const struct lvn_reg_costs *costs, const struct lvn_transform *transform,
                           enum lvn_reg_part part);
/* What the blocks say, each by itself, of `transform` (whose shift is against the boxes' own offset). agreement: share
 * of their weight times contrast whose best whole shift is where the transform puts them; contrast: 1 - their cost
 * there / their mean cost over the shifts. Both 0 when nothing can be asked. */
void lvn_reg_costs_ask(const struct lvn_reg_costs *costs, const struct lvn_transform *transform, double *ret_agreement,
                       double *ret_contrast);
/* Correlation of the descriptors about their channel means, 0..1, weighted about the transform's centre. */
double lvn_reg_correlation(const struct lvn_reg_features *fixed, const struct lvn_reg_features *moving,
                           const struct lvn_transform *transform, double sigma_mm);

/* How alike the bodies about `centre_mm` are, inner organs aside: correlation, 0..1; 0 when too little is seen by both.
 */
LVN_MUST_CHECK bool lvn_reg_compare_bodies(const struct lvn_volume *fixed, const struct lvn_volume *moving,
                                           const double centre_mm[3], double *ret_similarity, struct lvn_error *err);

/* The exhaustive search. A cube of the fixed box, `size` voxels wide, is laid on every place of the moving box. */
#define LVN_REG_LEAST_OVERLAP 0.3
struct lvn_reg_window {
  int64_t first[3];
  int64_t size;
};
struct lvn_reg_shift {
  double mm[3];    /* displacement, to a fraction of a voxel */
  int64_t cell[3]; /* the window's first voxel in the moving box, at the best whole shift */
  double peak;
  double overlap;
  bool at_border;
};
/* When ret_shift->overlap is below LVN_REG_LEAST_OVERLAP the rest is 0. LVN_ERROR_ENGINE for an unusable device. */
LVN_MUST_CHECK bool lvn_reg_search(const struct lvn_reg_features *fixed, const struct lvn_reg_window *window,
                                   const struct lvn_reg_features *moving, double sigma_mm, bool planar,
                                   const char *device, struct lvn_reg_shift *ret_shift, struct lvn_error *err);
/* exp() of the first `channels` of each voxel's descriptor, in place. */
LVN_MUST_CHECK bool lvn_reg_exp(float *descriptors, size_t voxels, int channels, struct lvn_error *err);
/* How many threads libtorch may use. */
int lvn_reg_threads(void);
/* work(context, 0 … count - 1) on as many threads; returns when all are done. `work` throws nothing. */
void lvn_reg_parallel(int count, void (*work)(void *context, int item), void *context);

/* What the decision is made from. */
struct lvn_reg_evidence {
  double similarity; /* correlation after alignment */
  double similarity_before;
  double peak;                   /* how far the best shift stands out: (median - best) / spread of the other shifts */
  double overlap;                /* share of the neighbourhood's weight that the moving phase covers */
  double inverse_consistency_mm; /* NAN when the way back could not be run */
  double model_spread_mm;        /* largest distance between the models' answers at the lesion */
  double body;                   /* lvn_reg_compare_bodies() */
  double detail;                 /* correlation at the fine scale */
  double agreement;              /* lvn_reg_costs_ask() */
  double contrast;
  double translation_mm[3]; /* displacement at the lesion by the best translation, for comparison */
  double slice_mm;          /* the thicker of the two volumes' slices */
  bool at_border;           /* the best shift lies at the border of the search */
  bool planar;              /* too few slices for a search across them */
};
/* Improve `transform` (the identity about the lesion, of radius_mm) as far as the images allow, and say what was seen.
 */
LVN_MUST_CHECK bool lvn_reg_align(const struct lvn_volume *fixed, const struct lvn_volume *moving,
                                  const double centre_mm[3], double radius_mm,
                                  const struct lvn_registration_options *options, struct lvn_transform *transform,
                                  struct lvn_reg_evidence *evidence, const char **model, struct lvn_error *err);
/* Fill estimated_error_mm, usable and reason. */
void lvn_reg_judge(const struct lvn_reg_evidence *evidence, double max_error_mm,
                   struct lvn_registration_quality *quality);

#ifdef __cplusplus
}
#endif
#endif
