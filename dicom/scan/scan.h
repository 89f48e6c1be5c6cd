/* Bounded header scan: the few attributes that reception and the index need, read by an iterative scanner that keeps no
 * tree, allocates nothing and cannot recurse. This is the only DICOM parser that runs on bytes straight from a peer.
 * It reads what the usual toolkits read: unknown value representations, missing or zeroed delimiters, implicit elements
 * in explicit data sets, fillers behind the data set, files without preamble or meta header. */
#ifndef LVN_DICOM_SCAN_SCAN_H
#define LVN_DICOM_SCAN_SCAN_H

#include "base/error.h"
#include "base/sha256.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SCAN_DEPTH_MAX 32
#define LVN_SCAN_PROBLEM_BYTES 192

struct lvn_scan {
  char sop_class_uid[LVN_UID_BYTES];
  char sop_instance_uid[LVN_UID_BYTES];
  char study_instance_uid[LVN_UID_BYTES];
  char series_instance_uid[LVN_UID_BYTES];
  char transfer_syntax_uid[LVN_UID_BYTES];
  char modality[17];
  char patient_id[LVN_UID_BYTES]; /* raw bytes, trimmed; for comparing, never for showing */
  char issuer_of_patient_id[LVN_UID_BYTES];
  char series_number[17]; /* as written, trimmed; empty when absent */
  char instance_number[17];
  uint64_t dataset_offset; /* where the data set starts in the file */
  bool is_odd;             /* a parser must be given lvn_scan_mend()'s bytes instead of the file */
  bool is_directory;       /* a DICOMDIR; set on failure too */
  /* Why no parser may have the object although its identity is known; empty when one may. */
  char problem[LVN_SCAN_PROBLEM_BYTES];
};

/* Scan a data set of the given transfer syntax, without a file meta header, from memory that may hold only its
 * beginning (`complete` false: running off the end after all wanted attributes were seen is fine). True when the four
 * UIDs are known, then with `problem` for what is damaged elsewhere or nested deeper than LVN_SCAN_DEPTH_MAX.
 * LVN_ERROR_DATA names the tag and the reason. A deflated data set, raw or with a zlib header, is inflated into a
 * bounded buffer. */
LVN_MUST_CHECK bool lvn_scan_dataset(const uint8_t *data, size_t bytes, bool complete, const char *transfer_syntax_uid,
                                     struct lvn_scan *ret_scan, struct lvn_error *err);

/* The same for a file, with or without preamble and file meta information. Reads it through a bounded window, whole
 * file checked for structure. On LVN_ERROR_DATA, too, `ret_scan` holds what was found. */
LVN_MUST_CHECK bool lvn_scan_file(const char *path, struct lvn_scan *ret_scan, struct lvn_error *err);

/* A further top-level text, as its bytes stand in the file, trimmed and cut to fit: for a person who asks, not for
 * deciding. Empty: absent, or longer than 1 KiB. */
struct lvn_scan_text {
  uint32_t tag; /* 0xGGGGEEEE; the caller sets it */
  char value[LVN_UID_BYTES];
};
/* As lvn_scan_file(), and fills `texts`. */
LVN_MUST_CHECK bool lvn_scan_file_texts(const char *path, struct lvn_scan_text *texts, size_t text_count,
                                        struct lvn_scan *ret_scan, struct lvn_error *err);

/* The VR of a standard element, two characters, or NULL. */
typedef const char *(*lvn_scan_vr_of)(uint32_t tag);

/* The same object as a well-formed Part 10 file: file meta information, every sequence and item closed by delimiters,
 * unknown value representations replaced by `vr_of` or UN, what lies behind the data set left out, as are private
 * values that look like sequences and are none. Nothing nests in it that the scan has not seen. LVN_ERROR_DATA when the
 * object has a problem. lvn_free() the bytes. */
LVN_MUST_CHECK bool lvn_scan_mend(const char *path, lvn_scan_vr_of vr_of, uint8_t **ret_bytes, size_t *ret_count,
                                  struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
