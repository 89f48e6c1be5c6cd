/* The Part 10 header that goes before a received data set: preamble, prefix and file meta information (PS3.10 7.1). Its
 * bytes depend on class, instance and transfer syntax alone, so the same object from two peers is the same file. */
#ifndef LVN_DICOM_SCAN_META_H
#define LVN_DICOM_SCAN_META_H

#include "base/error.h"
#include "base/sha256.h"

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

/* What the begin of a Part 10 file says. */
struct lvn_meta {
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  size_t dataset_offset;
};
/* Reads preamble and meta information from the first `bytes` of a file. *ret_is_whole false: more bytes are needed.
 * LVN_ERROR_DATA: it is no Part 10 file, or one of the three is missing. */
LVN_MUST_CHECK bool lvn_meta_parse(const uint8_t *data, size_t bytes, struct lvn_meta *ret_meta, bool *ret_is_whole,
                                   struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
