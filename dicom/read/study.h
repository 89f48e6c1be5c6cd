/* One study's objects, opened from files: headers read and grouped, pixels decoded on request.
 * A "stack" is a set of CT slices (or frames of one multi-frame object) that form one volume: same series, orientation,
 * matrix, pixel spacing, frame of reference and kernel, positions that do not repeat. A series can hold several stacks.
 * Geometry by Image Position/Orientation (PS3.3 C.7.6.2, C.7.6.16.2.3), never by Instance Number.
 * Runs DCMTK's full parser: only the worker, the command line and the trainer use it, never the network role. */
#ifndef LVN_DICOM_READ_STUDY_H
#define LVN_DICOM_READ_STUDY_H

#include "base/error.h"
#include "base/sha256.h"
#include "model/image/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TEXT_BYTES 256

enum lvn_object_kind {
  LVN_OBJECT_CT, /* CT, Enhanced CT, Legacy Converted Enhanced CT: part of a stack */
  LVN_OBJECT_RTSTRUCT,
  LVN_OBJECT_SEG,      /* binary or fractional segmentation */
  LVN_OBJECT_LABELMAP, /* Label Map Segmentation */
  LVN_OBJECT_SR,       /* Enhanced, Comprehensive, Comprehensive 3D SR */
  LVN_OBJECT_GSPS,
  LVN_OBJECT_KEY_OBJECT,
  LVN_OBJECT_OTHER /* stored, not used */
};

/* Why a stack takes no part in phase recognition; NONE means it does. */
enum lvn_exclusion {
  LVN_EXCLUSION_NONE = 0,
  LVN_EXCLUSION_LOCALIZER,
  LVN_EXCLUSION_DOSE_SCREEN,
  LVN_EXCLUSION_BOLUS_TRACKING,
  LVN_EXCLUSION_PROJECTION, /* MIP, minIP, average: not the acquired samples */
  LVN_EXCLUSION_REFORMAT,   /* derived, not axial */
  LVN_EXCLUSION_SECONDARY,  /* secondary capture, colour, dual-energy maps, perfusion maps */
  LVN_EXCLUSION_GEOMETRY,   /* no volume can be made: see geometry_problem */
  LVN_EXCLUSION_SPECTRAL,   /* computed from several energies: monoenergetic, virtual non-contrast, material, … */
  LVN_EXCLUSION_PERFUSION,  /* many passes over the same places */
  LVN_EXCLUSION_NOT_HU      /* its numbers are no HU, or do not look like it: see geometry_problem */
};

struct lvn_slice {
  char sop_instance_uid[LVN_UID_BYTES];
  char sop_class_uid[LVN_UID_BYTES];
  uint32_t frame_number; /* 1-based; 0 for a single-frame object */
  int instance_number;   /* of the object, as viewers show it; -1 when absent */
  double position_mm[3]; /* Image Position (Patient): centre of the first pixel */
  double rescale_slope;  /* HU = slope * stored value + intercept */
  double rescale_intercept;
};

struct lvn_stack {
  char series_instance_uid[LVN_UID_BYTES];
  char frame_of_reference_uid[LVN_UID_BYTES];
  char sop_class_uid[LVN_UID_BYTES];
  int series_number; /* -1 when absent */
  /* What phase recognition reads. UTF-8, empty when absent. */
  char series_description[LVN_TEXT_BYTES];
  char protocol_name[LVN_TEXT_BYTES];
  char study_description[LVN_TEXT_BYTES];
  char image_comments[LVN_TEXT_BYTES];
  char image_type[LVN_TEXT_BYTES]; /* values joined by '\' */
  char contrast_agent[LVN_TEXT_BYTES];
  char kernel[LVN_TEXT_BYTES];
  char enhanced_agent_phase[32]; /* Contrast/Bolus Agent Phase (0018,9344), Enhanced CT */
  double acquisition_seconds;    /* seconds since midnight of the first slice's acquisition; -1 when absent */
  double contrast_start_seconds; /* Contrast/Bolus Start Time, seconds since midnight; -1 when absent */
  int acquisition_number;        /* -1 when absent */
  int temporal_position;         /* Temporal Position Identifier or Index; -1 when absent */
  double slice_thickness_mm;     /* 0 when absent */
  enum lvn_exclusion exclusion;
  /* Empty, or why the stack is used only for a phase that no other stack shows: "virtual monoenergetic, 70 keV". */
  char reserve_reason[LVN_TEXT_BYTES];
  /* SHA-256 of all HU in order, where another stack of the study has as many slices in the same places and the same HU
   * on its middle slice: equal digests are one series under two names. */
  bool has_pixel_digest;
  uint8_t pixel_sha256[LVN_SHA256_BYTES];
  char geometry_problem[LVN_TEXT_BYTES]; /* one sentence, empty when the stack makes a volume */
  char geometry_note[LVN_TEXT_BYTES];    /* e.g. "1 duplicate slice left out", "gantry tilt 18.5 degrees resampled" */
  struct lvn_grid grid; /* of the volume that lvn_study_load_volume() gives; z from feet to head or as acquired, axis 2
                           = axis 0 x axis 1 */
  size_t slice_count;
  const struct lvn_slice *slices; /* borrowed from the study, sorted along grid axis 2; one per grid slice where the
                                     volume was not resampled */
};

struct lvn_other_object {
  enum lvn_object_kind kind;
  const char *path; /* borrowed from the study */
  char sop_instance_uid[LVN_UID_BYTES];
  char sop_class_uid[LVN_UID_BYTES];
  char series_instance_uid[LVN_UID_BYTES];
  char content_datetime[32]; /* DT "YYYYMMDDHHMMSS[.FFFFFF][&ZZXX]", for "the newest wins"; empty when absent */
};

/* Immutable after open, except by lvn_study_exclude(); belongs to one thread at a time. */
struct lvn_study;

/* Open the given files (DICOM Part 10). Every file must carry the same Study Instance UID and the same Patient ID +
 * Issuer (LVN_ERROR_CONFLICT, naming both SOP instances, when not). Objects of no use are kept as LVN_OBJECT_OTHER. An
 * image that cannot be read is missing from its stack, and named by lvn_study_get_unreadable(); LVN_ERROR_DATA names
 * what may hold a ROI and cannot be read, or the first file when none can. The paths are copied. */
LVN_MUST_CHECK bool lvn_study_open(const char *const *paths, size_t path_count, struct lvn_study **ret_study,
                                   struct lvn_error *err);
void lvn_study_close(struct lvn_study *study); /* NULL is allowed */

const char *lvn_study_get_uid(const struct lvn_study *study);
/* "image 7 of series 3 cannot be read: …; …"; empty when everything can. */
const char *lvn_study_get_unreadable(const struct lvn_study *study);
size_t lvn_study_get_stack_count(const struct lvn_study *study);
const struct lvn_stack *lvn_study_get_stack(const struct lvn_study *study, size_t stack_index); /* borrowed */
size_t lvn_study_get_object_count(const struct lvn_study *study);
const struct lvn_other_object *lvn_study_get_object(const struct lvn_study *study, size_t object_index);
/* Path of a CT object whose patient, study and equipment modules results copy; NULL when the study has no CT. */
const char *lvn_study_get_template_path(const struct lvn_study *study);
/* Is this SOP instance part of a stack? Fills the indices (each may be NULL). `frame_number` 0 means the first frame.
 */
LVN_MUST_CHECK bool lvn_study_find_slice(const struct lvn_study *study, const char *sop_instance_uid,
                                         uint32_t frame_number, size_t *ret_stack_index, size_t *ret_slice_index);

/* Decode all pixels of a stack: rescale per instance (PS3.3 C.11.1), padding (0028,0120/0121) to LVN_HU_PADDING,
 * missing slices per geometry rules, tilt resampled. Refuses with LVN_ERROR_DATA and the stack's geometry_problem.
 * Needs the pixel count to match before it decodes. */
LVN_MUST_CHECK bool lvn_study_load_volume(const struct lvn_study *study, size_t stack_index,
                                          struct lvn_volume *ret_volume, struct lvn_error *err);

/* Take a stack out of what can be a phase or carry a ROI, for what its pixels showed; `problem` becomes its
 * geometry_problem. */
void lvn_study_exclude(struct lvn_study *study, size_t stack_index, enum lvn_exclusion exclusion, const char *problem);

/* "localizer", "dose screen", … for people. */
const char *lvn_exclusion_name(enum lvn_exclusion exclusion);

#ifdef __cplusplus
}
#endif
#endif
