/* Contrast phase recognition: evidence from headers, times and the images, weighed, reported, and "undecided" rather
 * than guessed. Pure C, no DCMTK. */
#ifndef LVN_DICOM_READ_PHASE_H
#define LVN_DICOM_READ_PHASE_H

#include "base/error.h"
#include "dicom/read/study.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PHASE_TRACK_MAX 11

/* What an image says about its phase without organ masks; measured on one volume. */
struct lvn_phase_image {
  bool aorta_found;
  bool aorta_by_position; /* found near the place where another series shows it: half the weight */
  double aorta_hu;        /* median of the prevertebral round vessel */
  double aorta_centre_mm[3];
  size_t aorta_track_count; /* its centre on each slice where it was seen, along the stack */
  double aorta_track_mm[LVN_PHASE_TRACK_MAX][3];
  double elsewhere_hu;   /* what this series' own image had for the aorta in another place, else NAN */
  double soft_tissue_hu; /* median of 0..300 HU voxels near the body's right half */
  double kidney_hu;      /* bright, paired, or NAN */
};
LVN_MUST_CHECK bool lvn_phase_measure_image(const struct lvn_volume *volume, struct lvn_phase_image *ret_image,
                                            struct lvn_error *err);

/* One patient, one aorta, which breathing moves by millimetres: where one series' finding disagrees with the others',
 * or there is none (without contrast agent the vessel hardly differs from what is around it), the vessel is looked for
 * within 10 mm of the place that most series agree on, and measured only where it is even. Call it with all measured
 * series of one frame of reference; entries of `volumes` may be NULL (then that image only votes). */
LVN_MUST_CHECK bool lvn_phase_agree_on_aorta(const struct lvn_volume *const *volumes, struct lvn_phase_image *images,
                                             size_t count, struct lvn_error *err);

struct lvn_phase_candidate {
  const struct lvn_stack *stack;          /* borrowed */
  const struct lvn_phase_image *image;    /* borrowed; NULL when the pixels were not looked at */
  const struct lvn_stack *same_images_as; /* borrowed; another candidate that holds the same pixels, else NULL */
};

#define LVN_PHASE_EVIDENCE_MAX 12

/* One reason, with its weight in favour of each phase (natural-log likelihood ratio; negative speaks against). */
struct lvn_phase_evidence {
  char text[160]; /* "series description says 'arterial'", "38 s after injection", "aorta 310 HU", never patient data */
  double weight[LVN_PHASE_COUNT];
};

struct lvn_phase_verdict {
  enum lvn_phase phase;                /* LVN_PHASE_NONE: undecided */
  bool chosen;                         /* the one to use for this phase (thinnest axial soft-tissue stack wins ties) */
  double probability[LVN_PHASE_COUNT]; /* after weighing, sums to 1 */
  size_t evidence_count;
  struct lvn_phase_evidence evidence[LVN_PHASE_EVIDENCE_MAX];
};

/* How well a stack suits, whatever its phase: soft kernel, 1 to 5 mm, most of `most_mm` covered; larger is better. */
double lvn_phase_rate_stack(const struct lvn_stack *stack, double most_mm);
/* Seconds from `earlier` to `later`, both since midnight, across midnight where that is the shorter way. */
double lvn_phase_seconds_between(double earlier, double later);

/* What is known of the whole set. `ret_verdicts` has `count` elements. `ret_sentence` is empty when NC, ART and PV were
 * all found, else one sentence for a radiographer: "waiting for the arterial phase: series 3 and 4 both look
 * portal-venous". `excluded` says what may be missing because it was excluded ("series 3 has no rescale values …"), or
 * is empty. */
LVN_MUST_CHECK bool lvn_phase_recognise(const struct lvn_phase_candidate *candidates, size_t count,
                                        const char *excluded, struct lvn_phase_verdict *ret_verdicts,
                                        char ret_sentence[LVN_TEXT_BYTES], struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
