/* Writes conformant CT Image Storage series and ROI objects from plain volumes and masks: what the phantom is made of.
 * Everything deterministic: the same input gives the same bytes. */
#ifndef LVN_DICOM_WRITE_PHANTOM_OBJECTS_H
#define LVN_DICOM_WRITE_PHANTOM_OBJECTS_H

#include "base/error.h"
#include "base/sha256.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Patient and study level, shared by all objects of a study. Borrowed strings, ASCII. */
struct lvn_write_study {
  const char *study_instance_uid;
  const char *frame_of_reference_uid;
  const char *patient_id;   /* "PHANTOM-…" */
  const char *patient_name; /* "Phantom^Seed 17" */
  const char *study_id;
  const char *accession_number;
  const char *study_date; /* DA */
  const char *study_time; /* TM */
};

struct lvn_write_series {
  const char *series_instance_uid;
  const char *uid_seed; /* SOP instance UIDs are derived from this text and the slice number */
  int series_number;
  const char *series_description;
  const char *protocol_name;
  const char *acquisition_time;    /* TM */
  const char *contrast_agent;      /* NULL: attribute absent */
  const char *contrast_start_time; /* TM; NULL: attribute absent */
  double slice_thickness_mm;
  const char *kernel;
  const char *transfer_syntax_uid; /* NULL: explicit VR little endian; others as DCMTK encodes losslessly */
};

/* One CT SOP instance per slice, as `folder`/<number>.dcm (the folder must exist). HU stored as signed 16 bit with
 * intercept -1024 slope 1. `ret_sop_instance_uids` may be NULL, else gets one UID per slice, in grid order. */
LVN_MUST_CHECK bool lvn_write_ct_series(const char *folder, const struct lvn_write_study *study,
                                        const struct lvn_write_series *series, const struct lvn_volume *volume,
                                        char (*ret_sop_instance_uids)[LVN_UID_BYTES], struct lvn_error *err);

struct lvn_write_roi {
  const char *label; /* "Lesion 1" */
  const char *tracking_uid;
  const struct lvn_mask *mask; /* on the series' grid */
};
/* The series that the ROI was drawn on. */
struct lvn_write_roi_target {
  const char *series_instance_uid;
  const char (*sop_instance_uids)[LVN_UID_BYTES]; /* one per slice of the grid */
  const struct lvn_grid *grid;
};

/* One file each: RT Structure Set (CLOSED_PLANAR contours per slice, traced along pixel edges through pixel-edge
 * midpoints so that filling them gives the mask back), binary Segmentation, TID 1500 Comprehensive 3D SR with SCOORD
 * polylines. */
LVN_MUST_CHECK bool lvn_write_roi_rtstruct(const char *path, const struct lvn_write_study *study,
                                           const struct lvn_write_roi_target *target, const struct lvn_write_roi *rois,
                                           size_t roi_count, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_write_roi_seg(const char *path, const struct lvn_write_study *study,
                                      const struct lvn_write_roi_target *target, const struct lvn_write_roi *rois,
                                      size_t roi_count, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_write_roi_sr(const char *path, const struct lvn_write_study *study,
                                     const struct lvn_write_roi_target *target, const struct lvn_write_roi *rois,
                                     size_t roi_count, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
