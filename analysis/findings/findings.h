/* What the analysis of one study found, as plain data: all that the writers of results read. Filled once by
 * lvn_findings_fill(), lvn_predict_lesions() and lvn_illustrate_lesions(); a writer changes nothing but the list of
 * written objects.
 * Ownership: what is const is borrowed from the case, the classifier or a literal, which must outlive the findings;
 * what is not const is owned, and freed by lvn_findings_clear(). Belongs to one thread at a time. */
#ifndef LVN_ANALYSIS_FINDINGS_FINDINGS_H
#define LVN_ANALYSIS_FINDINGS_FINDINGS_H

#include "base/error.h"
#include "base/sha256.h"
#include "model/image/contour.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_analysis_outcome {
  LVN_ANALYSIS_DONE,    /* result objects were written */
  LVN_ANALYSIS_WAITING, /* something is missing that may still come: a phase, a ROI; see status_message */
  LVN_ANALYSIS_REFUSED  /* cannot be analysed as it is: conflicting or unusable objects; see status_message */
};
const char *lvn_analysis_outcome_name(enum lvn_analysis_outcome outcome); /* "done", "waiting", "refused" */

/* Why a stack was taken for a phase. */
struct lvn_findings_evidence {
  const char *text;               /* "aorta 310 HU"; never patient data */
  double weight[LVN_PHASE_COUNT]; /* natural-log likelihood ratio in favour of each phase */
};

/* A CT image, or a frame of one. */
struct lvn_findings_image {
  const char *sop_class_uid;
  const char *sop_instance_uid; /* NULL: there is none */
  const char *series_instance_uid;
  uint32_t frame_number; /* 1-based; 0: a single-frame object */
  int instance_number;   /* as viewers show it; -1: absent */
  size_t slice;          /* along the stack's grid */
};

/* An image of a stack as it was received: where its first pixel lies, and what its stored values mean. */
struct lvn_findings_frame {
  struct lvn_findings_image image;
  double position_mm[3];
  double rescale_slope; /* HU = slope * stored value + intercept */
  double rescale_intercept;
};

/* One stack of the study. A series may hold several. */
struct lvn_findings_series {
  const char *series_instance_uid;
  int series_number;            /* -1: absent */
  const char *description;      /* as the scanner wrote it, in whatever bytes */
  const char *exclusion;        /* "none", or why the stack takes no part */
  const char *geometry_problem; /* one sentence; empty when the stack makes a volume */
  const char *geometry_note;
  const struct lvn_grid *grid;
  double slice_thickness_mm; /* 0: absent */
  const char *frame_of_reference_uid;
  struct lvn_findings_frame *frames; /* owned; of the grid's slices in order, as far as there are images */
  size_t frame_count;
  bool is_candidate; /* took part in the recognition of phases; the rest is filled only then */
  enum lvn_phase phase;
  bool is_chosen;                      /* serves its phase */
  double probability[LVN_PHASE_COUNT]; /* sums to 1 */
  struct lvn_findings_evidence *evidence;
  size_t evidence_count;
};

/* One slice of a lesion's crop, and the images that show it: the one that the ROI lies on, and each phase's nearest to
 * the lesion's centre on this slice. */
struct lvn_findings_slice {
  struct lvn_findings_image drawn;
  struct lvn_findings_image phases[LVN_PHASE_COUNT];
};

/* How a phase was aligned to the one that the ROI was drawn on; NAN: not estimated. */
struct lvn_findings_alignment {
  bool is_usable;            /* false: this phase's samples must not be believed */
  const char *reason;        /* one sentence when it is not usable, else empty */
  const char *model;         /* "identity", "translation", …, or "none" */
  double displacement_mm[3]; /* at the lesion's centre, patient axes */
  double similarity;         /* 0 to 1 */
  double similarity_before;
  double inverse_consistency_mm;
  double estimated_error_mm;
  double seconds;
};

/* A lesion's voxels on a series' grid: the mask's grid begins at the voxel `first` of it. */
struct lvn_findings_region {
  const struct lvn_mask *mask; /* NULL: none of it lies there */
  uint32_t first[3];
};

/* Where a lesion lies in a phase's own images. */
struct lvn_findings_place {
  bool is_found;     /* false: it lies off the images, and the rest is empty */
  bool is_cut;       /* some of it is not covered */
  uint32_t first[3]; /* voxels of the phase's stack, both inclusive */
  uint32_t last[3];
  double centroid_mm[3];
  double volume_ml;
  const char *key_sop_instance_uid; /* the slice of largest area; NULL: it lies on no image */
  struct lvn_contour_list contours; /* on that slice, in pixel corners of its image */
  struct lvn_findings_region region;
};

struct lvn_findings_lesion_phase {
  size_t series;     /* index into the findings' series; SIZE_MAX: the study has no such phase */
  bool is_reference; /* the ROI was drawn here */
  double mean_hu;    /* inside the ROI; NAN: no measurement */
  double liver_hu;   /* of the liver about it; NAN: too little of it is seen */
  struct lvn_findings_alignment alignment;
  struct lvn_findings_place place;
};

/* What a model said of a lesion, with the node's own reasons to abstain. */
struct lvn_findings_prediction {
  unsigned classes;                    /* that the model tells apart: bit c for class c */
  bool has_probability;                /* false: a phase is missing or not aligned, and the numbers mean nothing */
  double probability[LVN_CLASS_COUNT]; /* calibrated; sums to 1 */
  double cosine[LVN_CLASS_COUNT];      /* raw similarity to each class */
  enum lvn_class top_class;
  double margin;                   /* top minus second probability */
  double feature_distance;         /* from what the model was trained on (Mahalanobis) */
  double permutation_disagreement; /* share of the phase orders */
  double outlier_score;            /* how unlike the training lesions; larger is more unlike */
  double outlier_limit;            /* beyond it there is no answer */
  double outlier_alarm_rate;       /* share of lesions like the training ones that lie beyond it; NAN: not stated */
  unsigned conformal_set;          /* bit c: class c cannot be excluded */
  double conformal_coverage;       /* how often the truth is in such a set; NAN: the model has none */
  double map_share;                /* of the Grad-CAM map: inside the outline and a margin about it; NAN: no map */
  double map_share_limit;          /* below it the map points elsewhere */
  bool abstained;
  char abstention_reason[160]; /* one sentence; empty unless abstained */
  const char *abstention_code; /* the same as a word for machines: "small", "unlike", …; NULL unless abstained */
};

/* The region against the tissue about it. */
struct lvn_findings_surroundings {
  bool is_judged; /* false: too little of either to compare them */
  double contrast_hu;
  double odd_share;
  double fat_share;
  double liver_share; /* NAN: not known; so below */
  double rise_hu;
  double fall_hu;
};

#define LVN_FINDINGS_GATES_MAX 8

struct lvn_findings_lesion {
  const char *tracking_id;
  const char *tracking_uid;
  struct {
    const char *sop_class_uid;
    const char *sop_instance_uid;
    const char *series_instance_uid; /* NULL: a file named by hand, in no series of the study */
  } roi;
  size_t series;                    /* that the ROI was drawn on: index into the findings' series */
  struct lvn_findings_region drawn; /* the ROI there, voxel for voxel */
  double centroid_mm[3];
  double long_axis_mm; /* on the slice of largest area */
  double short_axis_mm;
  uint32_t pixels_across[2]; /* columns and rows of its box on the slice of largest area */
  double volume_ml;
  double crop_side_mm;
  size_t slice_count; /* 0: the lesion was not cropped */
  struct lvn_findings_slice *slices;
  size_t key_slice;                 /* the one of largest area */
  struct lvn_contour_list contours; /* the ROI on the key slice, in pixel corners of its image */
  struct lvn_findings_lesion_phase phases[LVN_PHASE_COUNT]; /* the delayed one only where the study has it */
  struct lvn_findings_prediction prediction;                /* filled when the outcome is done */
  struct lvn_findings_surroundings surroundings;
  char doubt[160]; /* why no model's class is believed here, one sentence; empty: nothing speaks against one */
  const char *doubt_code;
  const char *gates[LVN_FINDINGS_GATES_MAX]; /* codes of all that speaks against one before a model is asked */
  size_t gate_count;
  float *heat;                /* Grad-CAM of the top class on the key slice, 0 to 1; NULL: none */
  uint32_t heat_side;         /* its samples a row, and a column */
  double heat_first_index[2]; /* of its first sample's centre on the series' grid, axis 0 and 1 */
  double heat_step_index[2];
  struct lvn_picture capture; /* rgb NULL: none */
};

struct lvn_findings_model {
  const char *name;
  const char *version;
  const char *device_uid; /* follows the digest */
  const char *device;     /* "cpu", "cuda:0" */
  const char *trained_on;
  char manifest_sha256[LVN_SHA256_TEXT_BYTES];
  double crop_margin;
  double crop_min_side_mm;
  double window_low_hu; /* what the network takes for black and for white */
  double window_high_hu;
  bool weighs_measurements; /* beside the network, of which alone a Grad-CAM map is */
};

/* What a second model said: stored, never sent. */
struct lvn_findings_shadow {
  bool is_present;
  struct lvn_findings_model model;
  struct lvn_findings_prediction *predictions; /* of the first lesions */
  size_t prediction_count;
  char failure[512]; /* why it stopped there; empty when it did not */
  double seconds;
};

/* Seconds that each stage took. */
struct lvn_findings_timings {
  double read;
  double decode;
  double phase;
  double roi;
  double registration;
  double crop;
  double network;
  double render;
  double write;
};

/* A result object that was written. */
struct lvn_result_object {
  char path[4096];
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
};

struct lvn_findings {
  const char *study_instance_uid; /* empty: the study could not be opened */
  const char *template_path;      /* CT object whose patient and study modules results copy; NULL: none */
  enum lvn_analysis_outcome outcome;
  const char *status_message; /* why not, for a radiographer; empty when done */
  const char *roi_note;       /* ROIs that were left out, and why */
  struct lvn_findings_model model;
  struct lvn_findings_series *series; /* in the study's order */
  size_t series_count;
  struct lvn_findings_lesion *lesions;
  size_t lesion_count;
  struct lvn_findings_shadow shadow;
  struct lvn_picture overview; /* of all lesions, where there are many; rgb NULL: none */
  struct lvn_findings_timings timings;
  struct lvn_result_object *objects; /* by lvn_findings_add_object() */
  size_t object_count;
  size_t object_capacity;
  char not_made[512]; /* result objects that were asked for and could not be made, and why; empty: none */
};

/* The images of the lesion's key slice; NULL when it was not cropped. */
const struct lvn_findings_slice *lvn_findings_key(const struct lvn_findings_lesion *lesion);

/* False: the study has no such phase, or the lesion was not compared in it. */
bool lvn_findings_has_phase(const struct lvn_findings_lesion *lesion, enum lvn_phase phase);
/* Its map has less than the model's limit inside the outline: what the answer rests on lies elsewhere. */
bool lvn_findings_map_is_elsewhere(const struct lvn_findings_lesion *lesion);
/* Few pixels, or under the size below which readers treat lesions apart. */
bool lvn_findings_is_small(const struct lvn_findings_lesion *lesion);

/* The letter of the side of the patient towards which `direction` points (PS3.3 C.7.6.1.1.1: x to the left, y to the
 * back, z to the head), or of the opposite one. */
char lvn_findings_edge(const double direction[3], bool opposite);

/* Tells that a result object was written. */
LVN_MUST_CHECK bool lvn_findings_add_object(struct lvn_findings *findings, const char *path, const char *sop_class_uid,
                                            const char *sop_instance_uid, struct lvn_error *err);

/* Tells that a result object that was asked for is not made: "segmentation of series 3", "it was resampled". */
void lvn_findings_leave_out(struct lvn_findings *findings, const char *object, const char *reason);

void lvn_findings_clear(struct lvn_findings *findings);

#ifdef __cplusplus
}
#endif
#endif
