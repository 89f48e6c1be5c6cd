/* A parametric abdomen with liver lesions: multiphase CT volumes in HU with exact truth, by seed. Plain C, no torch.
 * Enhancement values and their spread come from the literature cited in phantom_*.c. Phantoms commission a site and
 * test the node; their figures are not clinical accuracy. */
#ifndef LVN_MODEL_PHANTOM_H
#define LVN_MODEL_PHANTOM_H

#include "base/error.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"
#include "model/phantom/phantom_world.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PHANTOM_LESIONS_MAX 12

struct lvn_phantom_options {
  uint64_t seed;
  bool has_phase[LVN_PHASE_COUNT];
  uint32_t matrix;                                      /* 512 (paper) or 256; columns = rows */
  double pixel_spacing_mm;                              /* 0: drawn, 0.57-0.85 at 512 */
  double slice_thickness_mm;                            /* 0: drawn, 1-7 */
  double coverage_mm;                                   /* cranio-caudal; 0: whole liver */
  double motion_scale;                                  /* 1: breathing as in the literature (tail to 30 mm); 0: none */
  double noise_hu;                                      /* standard deviation in soft tissue; <0: drawn 8-20 */
  size_t lesion_count;                                  /* 0: drawn */
  enum lvn_class lesion_class[LVN_PHANTOM_LESIONS_MAX]; /* used for the first lesion_count */
  enum lvn_phantom_other lesion_other[LVN_PHANTOM_LESIONS_MAX]; /* unless none: in place of the class */
  double lesion_diameter_mm[LVN_PHANTOM_LESIONS_MAX];           /* 0: drawn 8-90, or as the world says */
  struct lvn_phantom_world world; /* narrow unless it was read from a file; what is set above counts before it */
};
void lvn_phantom_options_default(struct lvn_phantom_options *ret_options);

struct lvn_phantom_lesion {
  enum lvn_class lesion_class; /* LVN_CLASS_OUTLIER where `other` says what it is */
  enum lvn_phantom_other other;
  char subtype[32];    /* "washout+capsule", "scar", "flash-filling", … */
  double centre_mm[3]; /* in the reference phase's patient space */
  double diameter_mm;
  struct lvn_mask mask[LVN_PHASE_COUNT];      /* truth on each phase's grid; owned; empty when the phase is absent */
  double displacement_mm[LVN_PHASE_COUNT][3]; /* of the lesion's centre, against the reference phase (PV) */
};

struct lvn_phantom {
  struct lvn_phantom_options options;        /* with what was drawn */
  struct lvn_volume volume[LVN_PHASE_COUNT]; /* owned; each phase has its own grid; hounsfield NULL when absent */
  double acquisition_delay_seconds[LVN_PHASE_COUNT]; /* after injection; negative before */
  double slice_thickness_mm[LVN_PHASE_COUNT];
  size_t lesion_count;
  struct lvn_phantom_lesion lesions[LVN_PHANTOM_LESIONS_MAX];
};

/* Same options, same bytes, on any machine of the same architecture. Uses up to `threads` threads; the result does not
 * depend on their number. */
LVN_MUST_CHECK bool lvn_phantom_make(const struct lvn_phantom_options *options, unsigned threads,
                                     struct lvn_phantom *ret_phantom, struct lvn_error *err);
void lvn_phantom_clear(struct lvn_phantom *phantom);

/* The region as a reader would have drawn it by the world's [region]: one lesion's truth in one phase, larger or
 * smaller, with few corners, off its middle, on one slice. The narrow world's is the truth itself. lvn_mask_clear() it.
 */
LVN_MUST_CHECK bool lvn_phantom_region(const struct lvn_phantom *phantom, size_t lesion, enum lvn_phase phase,
                                       struct lvn_mask *ret_mask, struct lvn_error *err);

/* Where the anatomy at a reference-phase point lies in another phase (exact, analytic). */
void lvn_phantom_map(const struct lvn_phantom *phantom, enum lvn_phase phase, const double reference_mm[3],
                     double ret_phase_mm[3]);

#ifdef __cplusplus
}
#endif
#endif
