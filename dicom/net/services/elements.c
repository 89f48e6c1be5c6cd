#include "dicom/net/services/elements.h"

#include "base/memory.h"

#include <string.h>

#define ELEMENTS_BYTES_MAX ((size_t)64 << 20)
#define FRAMES_MAX 16U /* a sequence and its item are two */
#define ITEM_END 0xFFFEE00DU
#define SEQUENCE_END 0xFFFEE0DDU
#define UNDEFINED 0xFFFFFFFFU

bool lvn_elements_is_explicit(const char *transfer_syntax_uid) {
  return strcmp(transfer_syntax_uid, "1.2.840.10008.1.2") != 0;
}

/* ---- writing ---- */

static void put(struct lvn_elements *elements, const void *bytes, size_t count) {
  for (size_t i = 0; i < count && !elements->is_failed; i++) {
    elements->is_failed =
        !lvn_grow(&elements->bytes, &elements->capacity, elements->count, 1, ELEMENTS_BYTES_MAX, &elements->failure);
    if (!elements->is_failed) {
      elements->bytes[elements->count++] = ((const uint8_t *)bytes)[i];
    }
  }
}

static void put_u16(struct lvn_elements *elements, unsigned value) {
  const uint8_t raw[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
  put(elements, raw, sizeof raw);
}

static void put_u32(struct lvn_elements *elements, uint32_t value) {
  put_u16(elements, value & 0xFFFFU);
  put_u16(elements, value >> 16);
}

static void put_head(struct lvn_elements *elements, uint32_t tag, const char vr[3], size_t length) {
  put_u16(elements, tag >> 16);
  put_u16(elements, tag & 0xFFFFU);
  if (elements->is_explicit) {
    put(elements, vr, 2);
    put_u16(elements, (unsigned)length);
  } else {
    put_u32(elements, (uint32_t)length);
  }
}

void lvn_elements_put_text(struct lvn_elements *elements, uint32_t tag, const char vr[3], const char *text) {
  const size_t length = strlen(text);
  put_head(elements, tag, vr, length + (length & 1));
  put(elements, text, length);
  put(elements, strcmp(vr, "UI") == 0 ? "" : " ", length & 1);
}

void lvn_elements_put_u16(struct lvn_elements *elements, uint32_t tag, uint16_t value) {
  put_head(elements, tag, "US", 2);
  put_u16(elements, value);
}

void lvn_elements_begin_sequence(struct lvn_elements *elements, uint32_t tag) {
  put_head(elements, tag, "SQ", elements->is_explicit ? 0 : UNDEFINED);
  if (elements->is_explicit) {
    put_u32(elements, UNDEFINED);
  }
}

static void put_mark(struct lvn_elements *elements, uint32_t tag, uint32_t length) {
  put_u16(elements, tag >> 16);
  put_u16(elements, tag & 0xFFFFU);
  put_u32(elements, length);
}

void lvn_elements_begin_item(struct lvn_elements *elements) {
  put_mark(elements, LVN_ELEMENTS_ITEM, UNDEFINED);
}

void lvn_elements_end_item(struct lvn_elements *elements) {
  put_mark(elements, ITEM_END, 0);
}

void lvn_elements_end_sequence(struct lvn_elements *elements) {
  put_mark(elements, SEQUENCE_END, 0);
}

bool lvn_elements_check(const struct lvn_elements *elements, struct lvn_error *err) {
  if (elements->is_failed) {
    *err = elements->failure;
  }
  return !elements->is_failed;
}

/* ---- reading ---- */

struct frame {
  size_t end;        /* SIZE_MAX: by a delimiter */
  uint32_t sequence; /* its tag; in an item, of the sequence around it */
  bool is_item;
  bool is_explicit;
};

struct reader {
  const uint8_t *bytes;
  size_t count;
  size_t at;
  bool is_explicit;
  struct frame frames[FRAMES_MAX];
  size_t frame_count;
};

static uint16_t get_u16(const uint8_t *at) {
  return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get_u32(const uint8_t *at) {
  return get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static bool has_long_length(const uint8_t *vr) {
  static const char *const names[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (memcmp(vr, names[i], 2) == 0) {
      return true;
    }
  }
  return false;
}

static bool say_malformed(const struct reader *reader, struct lvn_error *err) {
  return lvn_error_set(err, LVN_ERROR_DATA, "a malformed data set, at byte %zu", reader->at);
}

static bool push(struct reader *reader, uint32_t sequence, bool is_item, bool is_explicit, uint32_t length,
                 struct lvn_error *err) {
  const size_t rest = reader->count - reader->at;
  if (reader->frame_count == FRAMES_MAX || (length != UNDEFINED && length > rest)) {
    return say_malformed(reader, err);
  }
  reader->frames[reader->frame_count++] = (struct frame){.end = length == UNDEFINED ? SIZE_MAX : reader->at + length,
                                                         .sequence = sequence,
                                                         .is_item = is_item,
                                                         .is_explicit = is_explicit};
  return true;
}

/* An item, or the end of one or of a sequence. */
static bool read_mark(struct reader *reader, uint32_t tag, uint32_t length, struct lvn_error *err) {
  const struct frame *top = reader->frame_count > 0 ? &reader->frames[reader->frame_count - 1] : NULL;
  reader->at += 8;
  if (top == NULL) {
    return say_malformed(reader, err);
  }
  if (tag == LVN_ELEMENTS_ITEM) {
    return top->is_item ? say_malformed(reader, err) : push(reader, top->sequence, true, top->is_explicit, length, err);
  }
  if (top->end != SIZE_MAX || top->is_item != (tag == ITEM_END)) {
    return say_malformed(reader, err);
  }
  reader->frame_count--;
  return true;
}

/* Head of an element; moves on behind it. */
static bool read_head(struct reader *reader, bool is_explicit, bool *ret_is_sequence, bool *ret_is_unknown,
                      uint32_t *ret_length, struct lvn_error *err) {
  const uint8_t *at = reader->bytes + reader->at;
  const uint32_t tag = (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
  size_t head = 8;
  *ret_is_unknown = false;
  if (!is_explicit) {
    *ret_length = get_u32(at + 4);
    *ret_is_sequence = *ret_length == UNDEFINED || tag == 0x00081199 || tag == 0x00081198;
  } else if (!has_long_length(at + 4)) {
    *ret_length = get_u16(at + 6);
    *ret_is_sequence = false;
  } else {
    head = 12;
    if (reader->count - reader->at < head) {
      return say_malformed(reader, err);
    }
    *ret_length = get_u32(at + 8);
    *ret_is_unknown = memcmp(at + 4, "UN", 2) == 0; /* its items are in implicit VR (PS3.5 6.2.2) */
    *ret_is_sequence = memcmp(at + 4, "SQ", 2) == 0 || *ret_length == UNDEFINED;
  }
  reader->at += head;
  return *ret_is_sequence || *ret_length <= reader->count - reader->at || say_malformed(reader, err);
}

static void end_frames(struct reader *reader) {
  while (reader->frame_count > 0 && reader->frames[reader->frame_count - 1].end <= reader->at) {
    reader->frame_count--;
  }
}

/* *ret_has_value: an element that the visitor is to see. */
static bool read_one(struct reader *reader, struct lvn_element *ret_element, bool *ret_has_value,
                     struct lvn_error *err) {
  const struct frame *top = reader->frame_count > 0 ? &reader->frames[reader->frame_count - 1] : NULL;
  const bool is_explicit = top != NULL ? top->is_explicit : reader->is_explicit;
  bool is_sequence = false;
  bool is_unknown = false;
  uint32_t length = 0;
  *ret_has_value = false;
  if (reader->count - reader->at < 8) {
    return say_malformed(reader, err);
  }
  const uint8_t *at = reader->bytes + reader->at;
  const uint32_t tag = (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
  *ret_element = (struct lvn_element){.tag = tag,
                                      .sequence = top != NULL ? top->sequence : 0,
                                      .depth = (unsigned)(reader->frame_count + 1) / 2,
                                      .value = at};
  if (tag >> 16 == 0xFFFE) {
    *ret_has_value = tag == LVN_ELEMENTS_ITEM;
    return read_mark(reader, tag, get_u32(at + 4), err);
  }
  if ((top != NULL && !top->is_item) || !read_head(reader, is_explicit, &is_sequence, &is_unknown, &length, err)) {
    return top != NULL && !top->is_item ? say_malformed(reader, err) : false;
  }
  if (is_sequence) {
    return push(reader, tag, false, is_explicit && !is_unknown, length, err);
  }
  ret_element->value = reader->bytes + reader->at;
  ret_element->count = length;
  reader->at += length;
  *ret_has_value = true;
  return true;
}

bool lvn_elements_read(const uint8_t *bytes, size_t count, bool is_explicit,
                       bool (*visit)(void *user_data, const struct lvn_element *element, struct lvn_error *err),
                       void *user_data, struct lvn_error *err) {
  struct reader reader = {.bytes = bytes, .count = count, .is_explicit = is_explicit};
  while (reader.at < count) {
    struct lvn_element element;
    bool has_value = false;
    if (!read_one(&reader, &element, &has_value, err) || (has_value && !visit(user_data, &element, err))) {
      return false;
    }
    end_frames(&reader);
  }
  return reader.frame_count == 0 || say_malformed(&reader, err);
}

bool lvn_elements_get_text(const struct lvn_element *element, char *ret_text, size_t text_bytes) {
  const uint8_t *value = element->value;
  size_t length = element->count;
  while (length > 0 && (value[length - 1] == '\0' || value[length - 1] == ' ')) {
    length--;
  }
  for (; length > 0 && *value == ' '; value++) {
    length--;
  }
  ret_text[0] = '\0';
  if (length >= text_bytes || memchr(value, '\0', length) != NULL) {
    return false;
  }
  memcpy(ret_text, value, length);
  ret_text[length] = '\0';
  return true;
}
