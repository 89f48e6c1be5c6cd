/* The Part 10 header that goes before a received data set: preamble, prefix and file meta information (PS3.10 7.1). Its
 * bytes depend on class, instance and transfer syntax alone, so the same object from two peers is the same file. */
#ifndef LVN_DICOM_SCAN_META_H
#define LVN_DICOM_SCAN_META_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_META_BYTES_MAX 512

/* LVN_ERROR_DATA when one of the three is no UID. */
LVN_MUST_CHECK bool lvn_meta_format(const char *sop_class_uid, const char *sop_instance_uid,
                                    const char *transfer_syntax_uid, uint8_t ret_header[LVN_META_BYTES_MAX],
                                    size_t *ret_bytes, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
