/* Are the numbers of a volume HU? Air, fat, soft tissue and bone have their known places on the scale; what was read
 * with a wrong or missing rescale has them elsewhere. */
#ifndef LVN_DICOM_READ_HOUNSFIELD_H
#define LVN_DICOM_READ_HOUNSFIELD_H

#include "base/error.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_HOUNSFIELD_TEXT_BYTES 160

/* `ret_doubt` says what does not fit ("41 % of its pixels would be denser than bone"), or is empty. Made for an
 * abdomen, also one that is cropped, thin, fat, or full of metal: it doubts only what no body shows. */
LVN_MUST_CHECK bool lvn_hounsfield_check(const struct lvn_volume *volume, char ret_doubt[LVN_HOUNSFIELD_TEXT_BYTES],
                                         struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
