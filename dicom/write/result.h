/* The results that go back to the PACS: one Comprehensive 3D SR (TID 1500) per study and one secondary capture per
 * lesion. Patient and study modules are copied from a CT object of the study. Results are preliminary and unverified.
 */
#ifndef LVN_DICOM_WRITE_RESULT_H
#define LVN_DICOM_WRITE_RESULT_H

#include "base/error.h"
#include "base/sha256.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A CT image (and frame) that a result refers to. */
struct lvn_result_reference {
  const char *sop_class_uid;
  const char *sop_instance_uid;
  const char *series_instance_uid;
  uint32_t frame_number; /* 0: single-frame */
};

/* One per phase and series: lesions of one study may use different series of a phase. */
struct lvn_result_phase {
  enum lvn_phase phase;
  const char *series_instance_uid;
  struct lvn_result_reference key_image; /* nearest to the key slice of the first lesion that uses this series */
  int series_number;
  const char *evidence; /* one line, e.g. "description, 35 s after injection, aorta 310 HU" */
};

struct lvn_result_contour {
  const float *column_row; /* SCOORD convention: (0,0) is the corner of the first pixel; closed: first point repeated */
  size_t point_count;
};

/* What a lesion was compared in. */
struct lvn_result_source {
  int series_number;
  struct lvn_result_reference image; /* nearest to the lesion's key slice; sop_instance_uid NULL: not said */
};

struct lvn_result_lesion {
  const char *tracking_id;
  const char *tracking_uid;
  const char *algorithm_parameters; /* one line: "NC series 2, ART series 3, …" */
  struct lvn_result_source source[LVN_PHASE_NETWORK_COUNT];
  char right_edge; /* where the capture's right and lower edges lie in the patient: 'L', 'P', … */
  char lower_edge;
  struct lvn_result_reference image; /* the slice that the contour lies on */
  const struct lvn_result_contour *contours;
  size_t contour_count;
  bool has_probability;                /* false: the network did not run (or must not be believed) */
  double probability[LVN_CLASS_COUNT]; /* calibrated, sums to 1 */
  enum lvn_class top_class;
  bool abstained;                /* true: finding is "indeterminate" */
  const char *abstention_reason; /* one sentence; NULL unless abstained */
  double long_axis_mm;           /* longest in-plane diameter on the key slice */
  double short_axis_mm;          /* longest perpendicular to it */
  double volume_ml;
  /* Registration quality per network phase; the phase that the ROI was drawn on has is_reference. */
  struct {
    bool is_reference;
    bool usable;
    double estimated_error_mm; /* NAN when not estimated */
    double displacement_mm;    /* at the lesion's centre */
    double similarity;         /* 0..1 */
  } registration[LVN_PHASE_NETWORK_COUNT];
  double mean_hu[LVN_PHASE_NETWORK_COUNT]; /* inside the ROI; NAN when missing */
  const struct lvn_picture *capture;       /* borrowed */
};

struct lvn_result_device {
  const char *ae_title;
  const char *station_name;
  const char *model_name;       /* "demo-phantom" */
  const char *model_version;    /* "1.0.0" */
  const char *device_uid;       /* follows the model manifest's digest */
  const char *software_version; /* of the node */
};

struct lvn_result_request {
  const char *template_path; /* CT object whose patient/study modules are copied */
  const char *job_key;       /* UIDs are derived from this text: the same job writes the same UIDs */
  int64_t wall_ms;           /* content time: fixed per job too */
  const char *replaced_key;  /* job key of the report that this one replaces, or NULL */
  int64_t replaced_wall_ms;  /* its content time */
  struct lvn_result_device device;
  const struct lvn_result_phase *phases;
  size_t phase_count;
  const struct lvn_result_reference *evidence; /* every CT image used */
  size_t evidence_count;
  const struct lvn_result_lesion *lesions;
  size_t lesion_count;
  const char *study_note;                         /* whole-study remark, or NULL */
  const struct lvn_result_reference *roi_objects; /* that the lesions were drawn in; one may be named more than once */
  size_t roi_object_count;
};

struct lvn_result_object {
  char path[4096];
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
};

#define LVN_RESULT_OBJECTS_MAX 64

/* Write the SR and the secondary captures into `folder` (each by lvn_file_replace's rules, so a crash leaves no half
 * file) and run lvn_result_check() on each. ret_objects has room for LVN_RESULT_OBJECTS_MAX; the SR is the last. */
LVN_MUST_CHECK bool lvn_result_write(const struct lvn_result_request *request, const char *folder,
                                     struct lvn_result_object *ret_objects, size_t *ret_count, struct lvn_error *err);

/* Our own conformance check of one result file: required attributes, template rows, references inside the evidence,
 * UNVERIFIED + PRELIMINARY, research notice, no Burned In patient identity. LVN_ERROR_INTERNAL names what is wrong. */
LVN_MUST_CHECK bool lvn_result_check(const char *path, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
