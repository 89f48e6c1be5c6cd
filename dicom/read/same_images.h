/* One series stored twice, under another number or label, is one acquisition: told by the pixels. */
#ifndef LVN_DICOM_READ_SAME_IMAGES_H
#define LVN_DICOM_READ_SAME_IMAGES_H

#include "base/error.h"
#include "model/image/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `ret_first[i]` is the first volume that shows the same images as volume i (i itself when none before it does): most
 * of the slices of one are found in the other, wherever the table stood; or all its pixels are within what compression
 * or another intercept change. */
LVN_MUST_CHECK bool lvn_same_images_find(const struct lvn_volume *const *volumes, size_t count, size_t *ret_first,
                                         struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
