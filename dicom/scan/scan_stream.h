/* The bytes of a data set, from memory or a file, stored or deflated, through one small window, and the values in them.
 * Private to the scanner. */
#ifndef LVN_DICOM_SCAN_SCAN_STREAM_H
#define LVN_DICOM_SCAN_SCAN_STREAM_H

#include "base/error.h"

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
  bool has_zlib_header;
  z_stream inflater;
  uint8_t packed[LVN_SCAN_WINDOW_BYTES];
  uint64_t inflated_bytes;
  uint64_t arena[LVN_SCAN_ARENA_BYTES / 8]; /* zlib's memory: nothing here allocates */
  size_t arena_used;                        /* in elements */
};

void lvn_scan_stream_open_memory(struct lvn_scan_stream *stream, const uint8_t *data, size_t bytes);
void lvn_scan_stream_open_file(struct lvn_scan_stream *stream, int fd, uint64_t file_bytes);
/* From here on the input is a deflate stream: raw (PS3.5 A.5), or in zlib's wrapping as some writers have it. */
LVN_MUST_CHECK bool lvn_scan_stream_deflate(struct lvn_scan_stream *stream, struct lvn_error *err);

/* Look at the next `bytes` (at most the window) without consuming them; `*ret_bytes` lives until the next call. */
enum lvn_scan_take lvn_scan_stream_peek(struct lvn_scan_stream *stream, size_t bytes, const uint8_t **ret_bytes,
                                        struct lvn_error *err);
/* Consume `bytes`. Seeks over what the window does not hold. */
enum lvn_scan_take lvn_scan_stream_skip(struct lvn_scan_stream *stream, uint64_t bytes, struct lvn_error *err);

/* Bytes that are left; UINT64_MAX while nobody knows. */
uint64_t lvn_scan_stream_rest(const struct lvn_scan_stream *stream);
/* Is all that is left one repeated filler byte (0x00, 0xFF or a blank)? Consumes nothing. */
bool lvn_scan_stream_rest_is_filler(struct lvn_scan_stream *stream, struct lvn_error *err);

/* Copy a value, trimmed of padding, to `target`. A UID ends at its first zero byte; LVN_ERROR_DATA when it is
 * none. An identifier that is longer than LVN_UID_BYTES - 1 or holds a zero byte becomes its SHA-256, so that two of
 * them still compare as they are; other texts are cut. `name` is for the message. */
LVN_MUST_CHECK bool lvn_scan_copy_value(const uint8_t *value, size_t length, const char *name, bool is_uid,
                                        char *target, size_t target_bytes, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
