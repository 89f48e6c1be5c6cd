/* The mended copy: what the scan has seen, written so that every parser reads the same in it. All sequences and items
 * get an undefined length and a delimiter, which spares knowing a length before its content. */
#include "base/memory.h"
#include "dicom/scan/scan_internal.h"

#include <string.h>

/* A file of the largest size that a peer may send, and what its headers grow by. */
#define SINK_MAX_BYTES (UINT64_C(3) << 30)

bool lvn_scan_sink_put(struct lvn_scan_sink *sink, const void *bytes, size_t count, struct lvn_error *err) {
  if (count > sink->capacity - sink->count) {
    const size_t capacity = (sink->count + count) * 2;
    uint8_t *grown = capacity > SINK_MAX_BYTES ? NULL : lvn_alloc(capacity, 1, err);
    if (capacity > SINK_MAX_BYTES) {
      return lvn_error_set(err, LVN_ERROR_INTERNAL, "the object is too large to be mended");
    }
    if (grown == NULL) {
      return false;
    }
    if (sink->count > 0) {
      memcpy(grown, sink->data, sink->count);
    }
    lvn_free(sink->data);
    sink->data = grown;
    sink->capacity = capacity;
  }
  if (count > 0) {
    memcpy(sink->data + sink->count, bytes, count);
  }
  sink->count += count;
  return true;
}

static void write_u16(uint8_t *at, uint32_t value, bool big) {
  at[big ? 1 : 0] = (uint8_t)value;
  at[big ? 0 : 1] = (uint8_t)(value >> 8);
}

static void write_u32(uint8_t *at, uint32_t value, bool big) {
  write_u16(at + (big ? 2 : 0), value & 0xFFFFu, big);
  write_u16(at + (big ? 0 : 2), value >> 16, big);
}

/* `vr` NULL: implicit VR or a delimiter. */
static bool put_header(struct lvn_scanner *s, uint32_t tag, const char *vr, uint32_t length, bool big,
                       struct lvn_error *err) {
  uint8_t head[12] = {0};
  size_t count = 8;
  if (s->sink == NULL) {
    return true;
  }
  write_u16(head, tag >> 16, big);
  write_u16(head + 2, tag & 0xFFFFu, big);
  if (vr == NULL) {
    write_u32(head + 4, length, big);
  } else {
    memcpy(head + 4, vr, 2);
    if (lvn_scan_vr_is_long(vr)) {
      count = sizeof head;
      write_u32(head + 8, length, big);
    } else {
      write_u16(head + 6, length, big);
    }
  }
  return lvn_scan_sink_put(s->sink, head, count, err);
}

/* The VR of a value whose own is missing or unknown. */
static const char *vr_for(const struct lvn_scanner *s, const struct lvn_scan_element *element) {
  const char *vr = s->sink == NULL || s->sink->vr_of == NULL ? NULL : s->sink->vr_of(element->tag);
  if (element->tag == LVN_TAG_PIXEL_DATA) {
    return "OW";
  }
  if (vr == NULL || !lvn_scan_vr_is_known(vr) || strcmp(vr, "SQ") == 0 ||
      (!lvn_scan_vr_is_long(vr) && element->length > UINT16_MAX)) {
    return "UN";
  }
  return vr;
}

bool lvn_scan_sink_value_header(struct lvn_scanner *s, const struct lvn_scan_element *element, struct lvn_error *err) {
  const struct lvn_scan_level *level = &s->levels[s->level_count - 1];
  const char *vr = element->vr[0] != '\0' ? element->vr : vr_for(s, element);
  return put_header(s, element->tag, level->writes_implicit ? NULL : vr, element->length, level->is_big_endian, err);
}

bool lvn_scan_sink_open(struct lvn_scanner *s, const struct lvn_scan_element *element, enum lvn_scan_level_kind kind,
                        struct lvn_error *err) {
  const struct lvn_scan_level *level = &s->levels[s->level_count - 1];
  const char *vr = kind == LVN_LEVEL_FRAGMENTS ? "OB" : strcmp(element->vr, "UN") == 0 ? "UN" : "SQ";
  const bool has_no_vr = element->tag == LVN_TAG_ITEM || level->writes_implicit;
  return put_header(s, element->tag, has_no_vr ? NULL : vr, LVN_SCAN_UNDEFINED_LENGTH, level->is_big_endian, err);
}

bool lvn_scan_sink_fragment(struct lvn_scanner *s, uint32_t length, struct lvn_error *err) {
  return put_header(s, LVN_TAG_ITEM, NULL, length, s->levels[s->level_count - 1].is_big_endian, err);
}

bool lvn_scan_sink_close(struct lvn_scanner *s, const struct lvn_scan_level *level, struct lvn_error *err) {
  return put_header(s, level->kind == LVN_LEVEL_ELEMENTS ? LVN_TAG_ITEM_END : LVN_TAG_SEQUENCE_END, NULL, 0,
                    level->is_big_endian, err);
}

enum lvn_scan_take lvn_scan_sink_copy(struct lvn_scanner *s, uint64_t bytes, struct lvn_error *err) {
  while (s->sink != NULL && bytes > 0) {
    const size_t part = bytes < LVN_SCAN_WINDOW_BYTES ? (size_t)bytes : LVN_SCAN_WINDOW_BYTES;
    const uint8_t *p = NULL;
    enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, part, &p, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
    if (!lvn_scan_sink_put(s->sink, p, part, err)) {
      return LVN_SCAN_FAILED;
    }
    taken = lvn_scan_stream_skip(&s->stream, part, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
    bytes -= part;
  }
  return lvn_scan_stream_skip(&s->stream, bytes, err);
}
