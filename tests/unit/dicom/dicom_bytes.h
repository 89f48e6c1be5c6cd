/* Small DICOM files made by hand: the tests need objects that no well-behaved writer would make. Explicit VR little
 * endian unless said otherwise. */
#ifndef LVN_TESTS_DICOM_BYTES_H
#define LVN_TESTS_DICOM_BYTES_H

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

struct bytes {
  uint8_t *data;
  size_t count;
  size_t capacity;
};

static inline void put_raw(struct bytes *b, const void *data, size_t count) {
  struct lvn_error err;
  for (size_t i = 0; i < count; i++) {
    if (!lvn_grow(&b->data, &b->capacity, b->count, 1, (size_t)1 << 26, &err)) {
      return;
    }
    b->data[b->count++] = ((const uint8_t *)data)[i];
  }
}

static inline void put_u16(struct bytes *b, unsigned value) {
  const uint8_t raw[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
  put_raw(b, raw, 2);
}

static inline void put_u32(struct bytes *b, uint32_t value) {
  put_u16(b, value & 0xFFFFu);
  put_u16(b, value >> 16);
}

static inline void put_tag(struct bytes *b, uint32_t tag) {
  put_u16(b, tag >> 16);
  put_u16(b, tag & 0xFFFFu);
}

static inline void put_element(struct bytes *b, uint32_t tag, const char *vr, const void *value, size_t length) {
  size_t even = length + (length & 1);
  put_tag(b, tag);
  put_raw(b, vr, 2);
  if (strstr("OB OW SQ UN UT", vr) != NULL) {
    put_u16(b, 0);
    put_u32(b, (uint32_t)even);
  } else {
    put_u16(b, (unsigned)even);
  }
  put_raw(b, value, length);
  if (length != even) {
    put_raw(b, strcmp(vr, "UI") == 0 ? "" : " ", 1);
  }
}

__attribute__((format(printf, 4, 5))) static inline void put_text_element(struct bytes *b, uint32_t tag, const char *vr,
                                                                          const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  put_element(b, tag, vr, text, strlen(text));
}

static inline void put_us(struct bytes *b, uint32_t tag, unsigned value) {
  const uint8_t raw[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
  put_element(b, tag, "US", raw, 2);
}

static inline void put_meta(struct bytes *b, const char *syntax) {
  static const uint8_t preamble[128];
  struct bytes group = {0};
  uint8_t length[4];
  put_text_element(&group, 0x00020010u, "UI", "%s", syntax);
  put_raw(b, preamble, sizeof preamble);
  put_raw(b, "DICM", 4);
  for (int i = 0; i < 4; i++) {
    length[i] = (uint8_t)(group.count >> (8 * i));
  }
  put_element(b, 0x00020000u, "UL", length, 4);
  put_raw(b, group.data, group.count);
  lvn_free(group.data);
}

static inline int write_bytes(const char *path, const struct bytes *b) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ssize_t written = fd < 0 ? -1 : write(fd, b->data, b->count);
  if (fd >= 0) {
    (void)close(fd);
  }
  return written == (ssize_t)b->count ? 0 : -1;
}

#endif
