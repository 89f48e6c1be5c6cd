/* Element headers. Some writers leave a VR empty or invent one, write an element of an explicit data set in implicit
 * form, or give a VR that takes 32 bits a length of 16. What stands behind the value decides between the readings: a
 * header of the next element, or the end. */
#include "dicom/scan/scan_internal.h"

#include <string.h>

/* PS3.5 table 6.2-1; those with a 32-bit length first (PS3.5 7.1.2). */
static const char long_vrs[] = "OB OD OF OL OV OW SQ SV UC UN UR UT UV ";
static const char short_vrs[] = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US ";

/* One way to read a header. */
struct form {
  size_t header_bytes;
  uint32_t length;
  bool is_implicit;
};

static bool vr_is_in(const char *list, const char *vr) {
  for (; *list != '\0'; list += 3) {
    if (list[0] == vr[0] && list[1] == vr[1]) {
      return true;
    }
  }
  return false;
}

bool lvn_scan_vr_is_long(const char *vr) {
  return vr_is_in(long_vrs, vr);
}

bool lvn_scan_vr_is_known(const char *vr) {
  return vr_is_in(short_vrs, vr) || vr_is_in(long_vrs, vr);
}

static uint64_t room_in(const struct lvn_scanner *s, const struct lvn_scan_level *level) {
  const uint64_t rest = lvn_scan_stream_rest(&s->stream);
  const uint64_t left = level->bound == LVN_SCAN_NO_END ? UINT64_MAX : level->bound - s->stream.position;
  return rest < left ? rest : left;
}

/* Behind a header of undefined length stands an item or the end of the sequence. */
static bool has_item_behind(struct lvn_scanner *s, const struct lvn_scan_level *level, size_t header_bytes,
                            struct lvn_error *err) {
  const uint8_t *p = NULL;
  if (lvn_scan_stream_peek(&s->stream, header_bytes + 8, &p, err) != LVN_SCAN_TAKEN) {
    return false;
  }
  const uint32_t tag = lvn_scan_tag(p + header_bytes, level->is_big_endian);
  return tag == LVN_TAG_ITEM || tag == LVN_TAG_SEQUENCE_END;
}

static bool form_is_plausible(struct lvn_scanner *s, const struct lvn_scan_level *level, const struct form *form,
                              struct lvn_error *err) {
  const uint8_t *p = NULL;
  const uint64_t total = (uint64_t)form->header_bytes + form->length;
  const uint64_t room = room_in(s, level);
  char vr[2];
  if (form->length == LVN_SCAN_UNDEFINED_LENGTH) {
    return has_item_behind(s, level, form->header_bytes, err);
  }
  if (total >= room) {
    return total == room;
  }
  if (total + 8 > LVN_SCAN_WINDOW_BYTES) {
    return true; /* too far away to look */
  }
  if (lvn_scan_stream_peek(&s->stream, 8, &p, err) != LVN_SCAN_TAKEN) {
    return false;
  }
  const uint32_t tag = lvn_scan_tag(p, level->is_big_endian);
  memcpy(vr, p + 4, sizeof vr);
  if (lvn_scan_stream_peek(&s->stream, (size_t)total + 8, &p, err) != LVN_SCAN_TAKEN) {
    /* Only a deflated data set's end is not known before. */
    return level->bound == LVN_SCAN_NO_END &&
           lvn_scan_stream_peek(&s->stream, (size_t)total + 1, &p, err) == LVN_SCAN_SHORT &&
           lvn_scan_stream_peek(&s->stream, (size_t)total, &p, err) == LVN_SCAN_TAKEN;
  }
  p += total;
  const uint32_t next = lvn_scan_tag(p, level->is_big_endian);
  if (next >> 16 == 0xFFFEu) {
    return s->level_count > 1;
  }
  if (next == 0) {
    return memcmp(p, "\0\0\0\0\0\0\0", 8) == 0; /* a filler, or a delimiter of zeros */
  }
  if (next <= tag) {
    return false;
  }
  const uint32_t next_length = lvn_scan_u32(p + 4, level->is_big_endian);
  const bool fits_implicit = next_length == LVN_SCAN_UNDEFINED_LENGTH || next_length <= room - total - 8;
  if (level->is_implicit) {
    return fits_implicit;
  }
  /* Oddities come in rows: the next one may have the same. */
  return lvn_scan_vr_is_known((const char *)p + 4) || memcmp(p + 4, vr, sizeof vr) == 0 ||
         (form->is_implicit && fits_implicit);
}

/* A header in explicit VR whose VR is none of the standard's. */
static bool choose_form(struct lvn_scanner *s, const struct lvn_scan_level *level, const uint8_t head[12],
                        struct form *ret_form, struct lvn_error *err) {
  const bool big = level->is_big_endian;
  const struct form as_short = {8, lvn_scan_u16(head + 6, big), false};
  const struct form as_long = {12, lvn_scan_u32(head + 8, big), false};
  const struct form as_implicit = {8, lvn_scan_u32(head + 4, big), true};
  const bool is_text = head[4] >= ' ' && head[4] < 127 && head[5] >= ' ' && head[5] < 127;
  const bool is_reserved_zero = head[6] == 0 && head[7] == 0;
  const struct form *order[3];
  size_t count = 0;
  if (is_text || (head[4] == 0 && head[5] == 0)) {
    order[count++] = &as_short;
    order[count++] = &as_implicit;
  } else {
    order[count++] = &as_implicit;
    order[count++] = &as_short;
  }
  if (is_reserved_zero) {
    /* Zeros where a long VR has them, and a value: two readings of one header, the longer is meant more often. */
    memmove(order + 1, order, count * sizeof order[0]);
    order[0] = &as_long;
    count++;
  }
  for (size_t i = 0; i < count; i++) {
    if (form_is_plausible(s, level, order[i], err)) {
      *ret_form = *order[i];
      return true;
    }
  }
  return false;
}

/* OB, UN and the like with something in the two bytes that are reserved: a garbage there, or a length of 16 bits. */
static void mend_long_form(struct lvn_scanner *s, const struct lvn_scan_level *level, uint32_t reserved,
                           struct lvn_scan_element *element) {
  struct lvn_error ignored;
  const struct form as_long = {12, element->length, false};
  const struct form as_short = {8, reserved, false};
  s->scan->is_odd = true;
  if (!form_is_plausible(s, level, &as_long, &ignored) && form_is_plausible(s, level, &as_short, &ignored)) {
    element->header_bytes = 8;
    element->length = reserved;
  }
}

static enum lvn_scan_take read_explicit(struct lvn_scanner *s, const struct lvn_scan_level *level,
                                        struct lvn_scan_element *element, struct lvn_error *err) {
  const bool big = level->is_big_endian;
  const uint8_t *p = NULL;
  uint8_t head[12] = {0};
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 8, &p, err);
  if (taken != LVN_SCAN_TAKEN) {
    return taken;
  }
  element->vr[0] = (char)p[4];
  element->vr[1] = (char)p[5];
  if (vr_is_in(short_vrs, element->vr)) {
    element->length = lvn_scan_u16(p + 6, big);
    return LVN_SCAN_TAKEN;
  }
  memcpy(head, p, 8);
  taken = lvn_scan_stream_peek(&s->stream, sizeof head, &p, err);
  if (taken == LVN_SCAN_FAILED) {
    return taken;
  }
  if (taken == LVN_SCAN_TAKEN) {
    memcpy(head, p, sizeof head);
  }
  if (vr_is_in(long_vrs, element->vr)) {
    const uint32_t reserved = lvn_scan_u16(head + 6, big);
    if (taken == LVN_SCAN_SHORT) {
      return taken;
    }
    element->header_bytes = sizeof head;
    element->length = lvn_scan_u32(head + 8, big);
    if (reserved != 0) {
      mend_long_form(s, level, reserved, element);
    }
    return LVN_SCAN_TAKEN;
  }
  struct form form;
  if (!choose_form(s, level, head, &form, err)) {
    (void)lvn_scan_fail_at(s, element->tag, err, "value representation that DICOM does not know");
    return LVN_SCAN_FAILED;
  }
  s->scan->is_odd = true;
  element->vr[0] = '\0';
  element->header_bytes = form.header_bytes;
  element->length = form.length;
  return LVN_SCAN_TAKEN;
}

enum lvn_scan_take lvn_scan_read_header(struct lvn_scanner *s, struct lvn_scan_element *ret_element,
                                        struct lvn_error *err) {
  const struct lvn_scan_level *level = &s->levels[s->level_count - 1];
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 8, &p, err);
  if (taken != LVN_SCAN_TAKEN) {
    return taken;
  }
  *ret_element = (struct lvn_scan_element){.tag = lvn_scan_tag(p, level->is_big_endian), .header_bytes = 8};
  if (level->is_implicit || ret_element->tag >> 16 == 0xFFFEu) {
    ret_element->length = lvn_scan_u32(p + 4, level->is_big_endian);
  } else {
    taken = read_explicit(s, level, ret_element, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
  }
  if (level->bound != LVN_SCAN_NO_END && ret_element->header_bytes > level->bound - s->stream.position) {
    (void)lvn_scan_fail_at(s, ret_element->tag, err, "begins beyond the end of its item or sequence");
    return LVN_SCAN_FAILED;
  }
  return lvn_scan_stream_skip(&s->stream, ret_element->header_bytes, err);
}

bool lvn_scan_looks_like(struct lvn_scanner *s, const struct lvn_scan_level *level, struct lvn_error *err) {
  const bool big = level->is_big_endian;
  const uint8_t *p = NULL;
  if (lvn_scan_stream_peek(&s->stream, 8, &p, err) != LVN_SCAN_TAKEN) {
    return false;
  }
  struct form form = {8, lvn_scan_u32(p + 4, big), true};
  if (!level->is_implicit) {
    const bool is_long = vr_is_in(long_vrs, (const char *)p + 4);
    if (!is_long && !vr_is_in(short_vrs, (const char *)p + 4)) {
      return false;
    }
    form = (struct form){8, lvn_scan_u16(p + 6, big), false};
    if (is_long) {
      if (lvn_scan_stream_peek(&s->stream, 12, &p, err) != LVN_SCAN_TAKEN) {
        return false;
      }
      form = (struct form){12, lvn_scan_u32(p + 8, big), false};
    }
  }
  return form_is_plausible(s, level, &form, err);
}
