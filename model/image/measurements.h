/* What a radiologist would measure in a lesion: how its core, middle and rim, the margin about it and the liver nearby
 * enhance, in HU and relative to the liver, how uneven it is, and how large. Plain figures of a crop, taken by this one
 * function in training and in the node. Nothing in them knows the noise or the pixel size: places of 1/32 of the crop's
 * side are averaged first. Source of what to look at: LI-RADS v2018
 * (rim, washout, targetoid looks).
 */
#ifndef LVN_MODEL_MEASUREMENTS_H
#define LVN_MODEL_MEASUREMENTS_H

#include "base/error.h"
#include "model/image/crop.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_MEASUREMENT_COUNT 96
const char *lvn_measurement_name(size_t index); /* "rim-ART": the rim less the liver nearby in the arterial phase */

/* Mean over the slices of at least 0.4 times the largest area, weighted by area. All three phases must be there; a crop
 * with an empty mask is measured at its middle. Finite. */
LVN_MUST_CHECK bool lvn_measurements_take(const struct lvn_crop *crop, float ret_values[LVN_MEASUREMENT_COUNT],
                                          struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
