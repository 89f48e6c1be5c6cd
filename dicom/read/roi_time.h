/* Order in time of objects that may tell their time zone. Pure C, private to dicom/read. */
#ifndef LVN_DICOM_READ_ROI_TIME_H
#define LVN_DICOM_READ_ROI_TIME_H

#ifdef __cplusplus
extern "C" {
#endif

/* Compare two DT values "YYYYMMDDHHMMSS[.FFFFFF][&ZZXX]" (PS3.5 6.2), "" before any other; like strcmp(). A time
 * without a zone is in `zone` ("+0100", or "" for UTC), the one that other objects of the study tell. */
int lvn_roi_time_compare(const char *left, const char *right, const char *zone);
/* The zone within a DT value; "" for none. */
const char *lvn_roi_time_zone(const char *text);

#ifdef __cplusplus
}
#endif
#endif
