/* Which ROI names are lesions, and which are organs, outlines and helpers. Pure C, private to dicom/read. */
#ifndef LVN_DICOM_READ_ROI_NAMES_H
#define LVN_DICOM_READ_ROI_NAMES_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The organ or helper that the whole of `label` names ("Liver", "left_kidney", "BODY 1"), as a static lower-case word;
 * NULL when it names none ("liver lesion", "ROI 3"). */
const char *lvn_roi_organ_of(const char *label);

/* Does the label speak of a lesion ("HCC seg 7", "tumour")? */
bool lvn_roi_names_lesion(const char *label);

#ifdef __cplusplus
}
#endif
#endif
