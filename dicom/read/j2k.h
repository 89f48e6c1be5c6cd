/* JPEG 2000 and HTJ2K code streams by OpenJPEG, which DCMTK does not decode. Private to dicom/read. */
#ifndef LVN_DICOM_READ_J2K_H
#define LVN_DICOM_READ_J2K_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Decode one grey frame of at most 16 bits whose size must be the given one, checked before any pixel is decoded.
 * `ret_pixels` has columns * rows elements: the code stream's integers, low 16 bits. */
LVN_MUST_CHECK bool lvn_j2k_decode(const uint8_t *data, size_t bytes, uint32_t columns, uint32_t rows,
                                   uint16_t *ret_pixels, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
