/* Bounded header scan: the few attributes that reception and the index need, read by an iterative scanner that keeps no
 * tree, allocates nothing and cannot recurse. This is the only DICOM parser that runs on bytes straight from a peer. */
#ifndef LVN_DICOM_READ_SCAN_H
#define LVN_DICOM_READ_SCAN_H

#include "daemon/base/error.h"
#include "daemon/base/sha256.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SCAN_DEPTH_MAX 32

struct lvn_scan {
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char study_instance_uid[LVN_UID_BYTES];
  char series_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  char modality[17];
  char patient_id[LVN_UID_BYTES]; /* raw bytes, trimmed; for comparing, never for showing */
  char issuer_of_patient_id[LVN_UID_BYTES];
  uint64_t dataset_offset; /* where the data set starts in the file */
};

/* Scan a data set of the given transfer syntax, without a file meta header, from memory that may hold only its
 * beginning
 * (`complete` false: running off the end after all wanted attributes were seen is fine). Depth of nesting at most
 * LVN_SCAN_DEPTH_MAX, lengths inside the buffer, UIDs valid. LVN_ERROR_DATA names the tag and the reason. The deflated
 * transfer syntax is inflated into a bounded buffer. */
LVN_MUST_CHECK bool lvn_scan_dataset(const uint8_t *data, size_t bytes, bool complete, const char *transfer_syntax_uid,
                                     struct lvn_scan *ret_scan, struct lvn_error *err);

/* The same for a Part 10 file. Reads the file through a bounded window, whole file checked for structure. */
LVN_MUST_CHECK bool lvn_scan_file(const char *path, struct lvn_scan *ret_scan, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
