#include "dicom/scan/scan_stream.h"

#include "base/sha256.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void *arena_alloc(void *opaque, unsigned items, unsigned size) {
  struct lvn_scan_stream *stream = opaque;
  size_t bytes = 0;
  size_t elements = 0;
  if (__builtin_mul_overflow((size_t)items, (size_t)size, &bytes) || bytes > sizeof stream->arena) {
    return Z_NULL;
  }
  elements = (bytes + 15) / 16 * 2;
  if (elements > sizeof stream->arena / sizeof stream->arena[0] - stream->arena_used) {
    return Z_NULL;
  }
  void *memory = &stream->arena[stream->arena_used];
  stream->arena_used += elements;
  return memory;
}

static void arena_free(void *opaque, void *address) {
  (void)opaque;
  (void)address;
}

static void stream_reset(struct lvn_scan_stream *stream) {
  stream->memory = NULL;
  stream->fd = -1;
  stream->input_at = 0;
  stream->position = 0;
  stream->window_first = 0;
  stream->window_count = 0;
  stream->is_deflated = false;
  stream->deflate_ended = false;
  stream->has_zlib_header = false;
  stream->inflated_bytes = 0;
  stream->arena_used = 0;
}

void lvn_scan_stream_open_memory(struct lvn_scan_stream *stream, const uint8_t *data, size_t bytes) {
  stream_reset(stream);
  stream->memory = data;
  stream->input_bytes = bytes;
}

void lvn_scan_stream_open_file(struct lvn_scan_stream *stream, int fd, uint64_t file_bytes) {
  stream_reset(stream);
  stream->fd = fd;
  stream->input_bytes = file_bytes;
}

static ptrdiff_t read_input(struct lvn_scan_stream *stream, uint8_t *target, size_t capacity, struct lvn_error *err);

/* RFC 1950 section 2.2: method 8, a window of at most 32 KiB, and a check over both bytes. */
static bool has_zlib_header(struct lvn_scan_stream *stream) {
  struct lvn_error ignored;
  uint8_t head[2];
  ptrdiff_t got = read_input(stream, head, sizeof head, &ignored);
  stream->input_at -= got > 0 ? (uint64_t)got : 0;
  return got == 2 && (head[0] & 0x0F) == 8 && head[0] >> 4 <= 7 && (head[0] << 8 | head[1]) % 31 == 0;
}

bool lvn_scan_stream_deflate(struct lvn_scan_stream *stream, struct lvn_error *err) {
  /* What the window holds ahead is deflated: give it back to the input. */
  stream->input_at -= stream->window_count;
  stream->window_first = 0;
  stream->window_count = 0;
  memset(&stream->inflater, 0, sizeof stream->inflater);
  stream->inflater.zalloc = arena_alloc;
  stream->inflater.zfree = arena_free;
  stream->inflater.opaque = stream;
  stream->has_zlib_header = has_zlib_header(stream);
  if (inflateInit2(&stream->inflater, stream->has_zlib_header ? MAX_WBITS : -MAX_WBITS) != Z_OK) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "zlib does not start within %zu bytes", sizeof stream->arena);
  }
  stream->is_deflated = true;
  return true;
}

/* Up to `capacity` input bytes. Returns the count, or -1 with err set. */
static ptrdiff_t read_input(struct lvn_scan_stream *stream, uint8_t *target, size_t capacity, struct lvn_error *err) {
  uint64_t left = stream->input_bytes - stream->input_at;
  size_t wanted = left < capacity ? (size_t)left : capacity;
  ssize_t got = 0;
  if (stream->memory != NULL || wanted == 0) {
    if (wanted > 0) {
      memcpy(target, stream->memory + stream->input_at, wanted);
    }
    stream->input_at += wanted;
    return (ptrdiff_t)wanted;
  }
  do {
    got = pread(stream->fd, target, wanted, (long)stream->input_at);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    (void)lvn_error_set_errno(err, errno, "reading at byte %llu", (unsigned long long)stream->input_at);
    return -1;
  }
  stream->input_at += (uint64_t)got;
  return got;
}

/* Inflate into the window's free end. False with err set on a broken stream; no progress means its end. */
static bool inflate_more(struct lvn_scan_stream *stream, struct lvn_error *err) {
  size_t end = stream->window_first + stream->window_count;
  stream->inflater.next_out = stream->window + end;
  stream->inflater.avail_out = (unsigned)(sizeof stream->window - end);
  while (!stream->deflate_ended && stream->inflater.avail_out == sizeof stream->window - end) {
    int result = Z_OK;
    if (stream->inflater.avail_in == 0) {
      ptrdiff_t got = read_input(stream, stream->packed, sizeof stream->packed, err);
      if (got < 0) {
        return false;
      }
      stream->inflater.next_in = stream->packed;
      stream->inflater.avail_in = (unsigned)got;
    }
    if (stream->inflater.avail_in == 0) {
      break;
    }
    result = inflate(&stream->inflater, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      stream->deflate_ended = true;
    } else if (result != Z_OK) {
      return lvn_error_set(err, LVN_ERROR_DATA, "the deflated data set is damaged after %llu bytes",
                           (unsigned long long)stream->inflated_bytes);
    }
  }
  size_t made = sizeof stream->window - end - stream->inflater.avail_out;
  stream->window_count += made;
  stream->inflated_bytes += made;
  if (stream->inflated_bytes > LVN_SCAN_INFLATED_MAX_BYTES) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the deflated data set is larger than %llu bytes",
                         (unsigned long long)LVN_SCAN_INFLATED_MAX_BYTES);
  }
  return true;
}

static bool refill(struct lvn_scan_stream *stream, bool *ret_progress, struct lvn_error *err) {
  size_t before = 0;
  if (stream->window_first > 0) {
    memmove(stream->window, stream->window + stream->window_first, stream->window_count);
    stream->window_first = 0;
  }
  before = stream->window_count;
  if (stream->is_deflated) {
    if (!inflate_more(stream, err)) {
      return false;
    }
  } else {
    ptrdiff_t got = read_input(stream, stream->window + before, sizeof stream->window - before, err);
    if (got < 0) {
      return false;
    }
    stream->window_count += (size_t)got;
  }
  *ret_progress = stream->window_count > before;
  return true;
}

enum lvn_scan_take lvn_scan_stream_peek(struct lvn_scan_stream *stream, size_t bytes, const uint8_t **ret_bytes,
                                        struct lvn_error *err) {
  while (stream->window_count < bytes) {
    bool progress = false;
    if (!refill(stream, &progress, err)) {
      return LVN_SCAN_FAILED;
    }
    if (!progress) {
      return LVN_SCAN_SHORT;
    }
  }
  *ret_bytes = stream->window + stream->window_first;
  return LVN_SCAN_TAKEN;
}

enum lvn_scan_take lvn_scan_stream_skip(struct lvn_scan_stream *stream, uint64_t bytes, struct lvn_error *err) {
  while (bytes > 0) {
    size_t held = stream->window_count < bytes ? stream->window_count : (size_t)bytes;
    stream->window_first += held;
    stream->window_count -= held;
    stream->position += held;
    bytes -= held;
    if (bytes > 0 && !stream->is_deflated) {
      if (bytes > stream->input_bytes - stream->input_at) {
        return LVN_SCAN_SHORT;
      }
      stream->input_at += bytes;
      stream->position += bytes;
      stream->window_first = 0;
      bytes = 0;
    } else if (bytes > 0) {
      bool progress = false;
      if (!refill(stream, &progress, err)) {
        return LVN_SCAN_FAILED;
      }
      if (!progress) {
        return LVN_SCAN_SHORT;
      }
    }
  }
  return LVN_SCAN_TAKEN;
}

uint64_t lvn_scan_stream_rest(const struct lvn_scan_stream *stream) {
  return stream->is_deflated ? UINT64_MAX : stream->window_count + (stream->input_bytes - stream->input_at);
}

static bool is_filler(const uint8_t *bytes, size_t count, uint8_t filler) {
  for (size_t i = 0; i < count; i++) {
    if (bytes[i] != filler) {
      return false;
    }
  }
  return true;
}

bool lvn_scan_stream_rest_is_filler(struct lvn_scan_stream *stream, struct lvn_error *err) {
  const uint8_t *first = NULL;
  uint8_t chunk[4096];
  if (stream->is_deflated && lvn_scan_stream_peek(stream, sizeof stream->window, &first, err) != LVN_SCAN_SHORT) {
    return false; /* more than a filler's worth */
  }
  if (lvn_scan_stream_peek(stream, 1, &first, err) != LVN_SCAN_TAKEN) {
    return false;
  }
  const uint8_t filler = *first;
  const uint64_t back_at = stream->input_at;
  bool good = (filler == 0 || filler == 0xFF || filler == ' ') && is_filler(first, stream->window_count, filler);
  while (good && !stream->is_deflated && stream->input_at < stream->input_bytes) {
    ptrdiff_t got = read_input(stream, chunk, sizeof chunk, err);
    good = got > 0 && is_filler(chunk, (size_t)got, filler);
  }
  stream->input_at = stream->is_deflated ? stream->input_at : back_at;
  return good;
}

/* Padding of either kind, and line ends that some exporters leave. */
static bool is_padding(uint8_t byte) {
  return byte == ' ' || byte == '\0' || byte == '\t' || byte == '\r' || byte == '\n';
}

bool lvn_scan_copy_value(const uint8_t *value, size_t length, const char *name, bool is_uid, char *target,
                         size_t target_bytes, struct lvn_error *err) {
  size_t room = target_bytes - 1;
  const uint8_t *zero = NULL;
  while (length > 0 && is_padding(value[length - 1])) {
    length--;
  }
  while (length > 0 && is_padding(*value) && *value != '\0') {
    value++;
    length--;
  }
  zero = length > 0 ? memchr(value, '\0', length) : NULL;
  if (is_uid && zero != NULL) {
    length = (size_t)(zero - value);
  }
  if (is_uid && length > room) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s is longer than %zu characters", name, room);
  }
  if (!is_uid && room == LVN_SHA256_TEXT_BYTES - 1 && (length > room || zero != NULL)) {
    uint8_t sha256[LVN_SHA256_BYTES];
    if (!lvn_sha256_of(value, length, sha256, err)) {
      return false;
    }
    lvn_sha256_to_text(sha256, target);
    return true;
  }
  length = length > room ? room : length;
  memcpy(target, value, length);
  target[length] = '\0';
  return !is_uid || lvn_uid_is_valid(target) || lvn_error_set(err, LVN_ERROR_DATA, "%s is no valid UID", name);
}
