/* Alignment of one phase to another about a lesion: where in the moving phase is the anatomy that the fixed phase
 * shows? Contrast-invariant metric (MIND-SSC, Heinrich 2013), patient coordinates first. The torch side is
 * registration_search_torch.cc; the same tensor code runs on CPU and CUDA. Phantom errors are not clinical accuracy. */
#ifndef LVN_MODEL_REGISTRATION_H
#define LVN_MODEL_REGISTRATION_H

#include "base/error.h"
#include "model/image/grid.h"
#include "model/image/transform.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_registration_options {
  const char *device;  /* "cpu" or "cuda" */
  double search_mm[3]; /* largest shift looked for along patient x, y, z: 24, 24, 44 */
  double max_error_mm; /* estimated error above which the phase is marked unusable */
};
void lvn_registration_options_default(struct lvn_registration_options *ret_options);

/* What alignment says of itself; all from the images, no truth. */
struct lvn_registration_quality {
  bool usable;                   /* false: do not believe the crop of this phase */
  char reason[160];              /* one sentence when not usable, else empty */
  double displacement_mm[3];     /* moving minus fixed, at the lesion's centre, patient axes */
  double similarity;             /* 0..1 after alignment, on the neighbourhood */
  double similarity_before;      /* the same without alignment */
  double inverse_consistency_mm; /* |T_ba(T_ab(x)) - x| at the lesion's centre */
  double estimated_error_mm;     /* at the lesion: below it in nine of ten such pairs; NAN: cannot be told */
  double seconds;
  const char *model; /* "identity", "translation", "affine", "curved" (static) */
};

/* Align `moving` to `fixed` about `lesion` (a mask on fixed's grid). Never fails for want of similarity: that is told
 * by `ret_quality`, and then the transform is the best found. Errors are LVN_ERROR_ENGINE or NOMEM only. */
LVN_MUST_CHECK bool lvn_registration_run(const struct lvn_volume *fixed, const struct lvn_mask *lesion,
                                         const struct lvn_volume *moving,
                                         const struct lvn_registration_options *options,
                                         struct lvn_transform **ret_registration,
                                         struct lvn_registration_quality *ret_quality, struct lvn_error *err);
/* A lesion's mask on the part of the moving phase's grid that holds it: `mask.grid` is that part, whose first voxel is
 * voxel `first` of the whole. Owned; without voxels (`mask.inside` NULL) when the lesion lies off the grid. */
struct lvn_propagated_mask {
  struct lvn_mask mask;
  uint32_t first[3];
  bool is_cut; /* some of the lesion lies off the moving grid */
};
LVN_MUST_CHECK bool lvn_registration_propagate(const struct lvn_transform *registration, const struct lvn_mask *lesion,
                                               const struct lvn_grid *moving,
                                               struct lvn_propagated_mask *ret_propagated, struct lvn_error *err);
void lvn_propagated_mask_clear(struct lvn_propagated_mask *propagated);

#ifdef __cplusplus
}
#endif
#endif
