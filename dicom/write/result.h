/* The results that go back to the PACS: one Comprehensive 3D SR (TID 1500) per study and one secondary capture per
 * lesion, with an overview of many. Patient and study modules are copied from a CT object of the study. Results are
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

/* Our own conformance check of one result file: required attributes, template rows, references inside the evidence,
 * UNVERIFIED + PRELIMINARY, research notice, no Burned In patient identity. LVN_ERROR_INTERNAL names what is wrong. */
LVN_MUST_CHECK bool lvn_result_check(const char *path, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
