/* The results that go back to the PACS: one Comprehensive 3D SR (TID 1500) per study and one secondary capture per
 * lesion, with an overview of many; where they are asked for, segmentations, a key object selection, presentation
 * states, parametric maps and a PDF. Patient and study modules are copied from a CT object of the study. Results are
 * preliminary and unverified.
 */
#ifndef LVN_DICOM_WRITE_RESULT_H
#define LVN_DICOM_WRITE_RESULT_H

#include "analysis/findings/writer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_RESULT_LESIONS_MAX 63

/* Rows of the table of writers: overview.dcm where there is one and capture-NN.dcm for each lesion that has a picture;
 * report.dcm, which names the captures
 * and so is written after them. Both refuse findings that cannot be (an outline without area, probabilities that do not
 * sum to 1, an abstention without reason) and run lvn_result_check() on what they wrote: LVN_ERROR_INTERNAL. */
LVN_MUST_CHECK bool lvn_result_write_captures(struct lvn_findings *findings, const struct lvn_result_request *request,
                                              struct lvn_error *err);
LVN_MUST_CHECK bool lvn_result_write_report(struct lvn_findings *findings, const struct lvn_result_request *request,
                                            struct lvn_error *err);

/* Rows too, of what is asked for. A region that cannot be given on the images' own pixels (the series was resampled,
 * the phase is not aligned) is left out by lvn_findings_leave_out(). */
/* seg-NN.dcm for each series that a ROI was drawn on: a segment a lesion, its voxels those of the ROI (PS3.3 A.51). */
LVN_MUST_CHECK bool lvn_result_write_segmentations(struct lvn_findings *findings,
                                                   const struct lvn_result_request *request, struct lvn_error *err);
/* seg-phase-NN.dcm for each other series that a phase was compared in: the ROIs where the alignment puts them. */
LVN_MUST_CHECK bool lvn_result_write_phase_segmentations(struct lvn_findings *findings,
                                                         const struct lvn_result_request *request,
                                                         struct lvn_error *err);
/* gsps-NN.dcm for each series that a ROI was drawn on: its outlines on every image (PS3.3 A.33.1). Images of one series
 * whose stored values mean different HU get one each, since a presentation state has one Modality LUT. */
LVN_MUST_CHECK bool lvn_result_write_presentations(struct lvn_findings *findings,
                                                   const struct lvn_result_request *request, struct lvn_error *err);
/* pmap-NN.dcm for each lesion that has a Grad-CAM: the map of its top class on the key slice (PS3.3 A.75). */
LVN_MUST_CHECK bool lvn_result_write_maps(struct lvn_findings *findings, const struct lvn_result_request *request,
                                          struct lvn_error *err);
/* key-objects.dcm: the images to look at (TID 2010); names the report and the captures where they were written, so it
 * comes after them. */
LVN_MUST_CHECK bool lvn_result_write_key_objects(struct lvn_findings *findings,
                                                 const struct lvn_result_request *request, struct lvn_error *err);
/* document.dcm: a PDF that the caller made, one page a lesion. */
LVN_MUST_CHECK bool lvn_result_write_document(struct lvn_findings *findings, const struct lvn_result_request *request,
                                              const uint8_t *pdf, size_t pdf_bytes, struct lvn_error *err);

/* Our own conformance check of one result file: required attributes, template rows, references inside the evidence,
 * UNVERIFIED + PRELIMINARY, research notice, no Burned In patient identity. LVN_ERROR_INTERNAL names what is wrong. */
LVN_MUST_CHECK bool lvn_result_check(const char *path, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
