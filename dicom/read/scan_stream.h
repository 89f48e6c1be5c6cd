/* The bytes of a data set, from memory or a file, stored or deflated, through one small window, and the values in them.
 * Private to scan.c. */
#ifndef LVN_DICOM_READ_SCAN_STREAM_H
#define LVN_DICOM_READ_SCAN_STREAM_H

#include "daemon/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SCAN_WINDOW_BYTES 16384
/* zlib's inflate needs about 7 KiB of state and a 32 KiB window (zlib.h, "Memory management"). */
#define LVN_SCAN_ARENA_BYTES 65536
/* What a deflated data set may grow to: one inflated byte costs the sender a thousandth of a byte. */
#define LVN_SCAN_INFLATED_MAX_BYTES (UINT64_C(1) << 30)

enum lvn_scan_take {
  LVN_SCAN_TAKEN,
  LVN_SCAN_SHORT, /* the input ends before the wanted bytes */
  LVN_SCAN_FAILED /* read error or bad deflate stream; err is set */
};

struct lvn_scan_stream {
  const uint8_t *memory; /* borrowed; NULL for a file */
  int fd;                /* borrowed */
  uint64_t input_bytes;  /* size of memory or file */
  uint64_t input_at;     /* next byte to read from the input */
  uint64_t position;     /* data-set bytes consumed so far */
  uint8_t window[LVN_SCAN_WINDOW_BYTES];
  size_t window_first;
  size_t window_count;
  bool is_deflated;
  bool deflate_ended;
  z_stream inflater;
  uint8_t packed[LVN_SCAN_WINDOW_BYTES];
  uint64_t inflated_bytes;
  uint64_t arena[LVN_SCAN_ARENA_BYTES / 8]; /* zlib's memory: nothing here allocates */
  size_t arena_used;                        /* in elements */
};

void lvn_scan_stream_open_memory(struct lvn_scan_stream *stream, const uint8_t *data, size_t bytes);
void lvn_scan_stream_open_file(struct lvn_scan_stream *stream, int fd, uint64_t file_bytes);
/* From here on the input is a raw deflate stream (PS3.5 A.5). */
LVN_MUST_CHECK bool lvn_scan_stream_deflate(struct lvn_scan_stream *stream, struct lvn_error *err);

/* Look at the next `bytes` (at most the window) without consuming them; `*ret_bytes` lives until the next call. */
enum lvn_scan_take lvn_scan_stream_peek(struct lvn_scan_stream *stream, size_t bytes, const uint8_t **ret_bytes,
                                        struct lvn_error *err);
/* Consume `bytes`. Seeks over what the window does not hold. */
enum lvn_scan_take lvn_scan_stream_skip(struct lvn_scan_stream *stream, uint64_t bytes, struct lvn_error *err);

/* Copy a value, trimmed of padding, to `target`. LVN_ERROR_DATA for zero bytes inside it, for a UID that is none, and
 * for one that is too long; an identifier longer than LVN_UID_BYTES - 1 becomes its SHA-256, so that two of them still
 * compare as they are. `name` is for the message. */
LVN_MUST_CHECK bool lvn_scan_copy_value(const uint8_t *value, size_t length, const char *name, bool is_uid,
                                        char *target, size_t target_bytes, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
