/* A contact sheet of a data set: for each class one row of lesions, each with its key slice in NC, ART and PV and the
 * outline that was drawn. To see at a glance what the numbers cannot say: a wrong window, a wrong phase, a ROI beside
 * its lesion. */
#ifndef LVN_ANALYSIS_DATASET_SHEET_H
#define LVN_ANALYSIS_DATASET_SHEET_H

#include "base/error.h"
#include "model/dataset/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `per_class` lesions of each class (1 to 16), spread over the data set. Writes a PNG. No text of an object is in it.
 */
LVN_MUST_CHECK bool lvn_dataset_sheet(const struct lvn_dataset *dataset, unsigned per_class, const char *path,
                                      struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
