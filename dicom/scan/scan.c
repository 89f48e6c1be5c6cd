/* DESIGN. One loop, one explicit stack of open sequences and items, no recursion and no tree: each turn reads one tag
 * and length, and consumes at least eight bytes or closes a level, so the work is linear in the input. Only wanted
 * values of the top level are looked at; everything else is skipped, by seeking where the input is a file. DCMTK's
 * recursive parser has no depth limit of its own (3.6.7 overflows its stack at some 10,000 levels), so it must see no
 * nesting that the scanner has not seen. A file in which everything is as the standard says goes to it as it is; one
 * with oddities (is_odd) goes through lvn_scan_mend(), whose copy leaves nothing to guess; one with a problem never
 * does. In implicit VR, where only a dictionary tells sequences, a value that begins with an Item tag is taken for a
 * sequence; a private one that turns out to be none was bytes.
 * An object is known by its four UIDs. Damage behind them, or inside a value whose end is known, is its problem, and no
 * reason not to keep it. */
#include "dicom/scan/scan.h"

#include "base/memory.h"
#include "dicom/scan/scan_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool lvn_scan_fail_at(const struct lvn_scanner *s, uint32_t tag, struct lvn_error *err, const char *reason) {
  return lvn_error_set(err, LVN_ERROR_DATA, "(%04x,%04x) near byte %" PRIu64 " of the data set: %s", tag >> 16,
                       tag & 0xFFFFu, s->stream.position, reason);
}

static enum lvn_scan_take fail_at(const struct lvn_scanner *s, uint32_t tag, struct lvn_error *err,
                                  const char *reason) {
  (void)lvn_scan_fail_at(s, tag, err, reason);
  return LVN_SCAN_FAILED;
}

static enum lvn_scan_take taken_if(bool good) {
  return good ? LVN_SCAN_TAKEN : LVN_SCAN_FAILED;
}

static const struct lvn_scan_level *innermost(const struct lvn_scanner *s) {
  return &s->levels[s->level_count - 1];
}

/* The first problem stays. */
void lvn_scan_note_problem(struct lvn_scanner *s, const char *text) {
  if (s->scan->problem[0] == '\0') {
    (void)lvn_copy(s->scan->problem, sizeof s->scan->problem, text);
  }
}

/* An item of an explicit data set in implicit form, or the other way round: what stands in it decides. */
static void look_at_item(struct lvn_scanner *s, struct lvn_scan_level *level) {
  struct lvn_error ignored;
  struct lvn_scan_level other = *level;
  const uint8_t *p = NULL;
  other.is_implicit = !level->is_implicit;
  if (lvn_scan_stream_peek(&s->stream, 4, &p, &ignored) != LVN_SCAN_TAKEN ||
      lvn_scan_tag(p, level->is_big_endian) >> 16 == 0xFFFEu) {
    return; /* empty */
  }
  if (!level->is_big_endian && !lvn_scan_looks_like(s, level, &ignored) && lvn_scan_looks_like(s, &other, &ignored)) {
    level->is_implicit = other.is_implicit;
    s->scan->is_odd = true;
  }
}

static bool push(struct lvn_scanner *s, const struct lvn_scan_element *element, struct lvn_scan_level level,
                 struct lvn_error *err) {
  const uint64_t parent_end = innermost(s)->bound;
  if (level.kind != LVN_LEVEL_ELEMENTS && s->sequence_depth == LVN_SCAN_DEPTH_MAX) {
    char reason[96];
    (void)snprintf(reason, sizeof reason, "sequences nested more than %d deep", LVN_SCAN_DEPTH_MAX);
    return lvn_scan_fail_at(s, element->tag, err, reason);
  }
  level.tag = element->tag;
  level.mark = s->sink != NULL ? s->sink->count : 0;
  level.end = LVN_SCAN_NO_END;
  level.bound = parent_end;
  if (element->length != LVN_SCAN_UNDEFINED_LENGTH) {
    level.end = s->stream.position + element->length;
    if (level.end > parent_end) {
      return lvn_scan_fail_at(s, element->tag, err, "longer than what it lies in");
    }
    level.bound = level.end;
  }
  if (!lvn_scan_sink_open(s, element, level.kind, err)) {
    return false;
  }
  if (level.kind == LVN_LEVEL_ELEMENTS && element->length != 0) {
    look_at_item(s, &level);
  }
  s->sequence_depth += level.kind != LVN_LEVEL_ELEMENTS;
  s->levels[s->level_count++] = level;
  return true;
}

static void forget_level(struct lvn_scanner *s) {
  s->level_count--;
  s->sequence_depth -= s->levels[s->level_count].kind != LVN_LEVEL_ELEMENTS;
}

/* What follows the pixels of an object that is known may be left out. */
static void end_pixels(struct lvn_scanner *s) {
  if (!s->has_pixels && lvn_scan_has_required(s)) {
    s->has_pixels = true;
    s->pixels_mark = s->sink != NULL ? s->sink->count : 0;
  }
}

static bool pop(struct lvn_scanner *s, struct lvn_error *err) {
  const struct lvn_scan_level *level = innermost(s);
  if (!lvn_scan_sink_close(s, level, err)) {
    return false;
  }
  forget_level(s);
  if (s->level_count == 1 && level->kind == LVN_LEVEL_FRAGMENTS && level->tag == LVN_TAG_PIXEL_DATA) {
    end_pixels(s);
  }
  return true;
}

/* Closed without its delimiter, or by another than its own. */
static enum lvn_scan_take pop_odd(struct lvn_scanner *s, struct lvn_error *err) {
  s->scan->is_odd = true;
  return taken_if(pop(s, err));
}

/* Values that are bytes whatever they begin with (PS3.6): pixels, overlays, waveforms, spectra, documents. */
static bool is_bulk(uint32_t tag) {
  return (tag & 0xFFF0FFFFu) == 0x7FE00010u || (tag & 0xFF00FFFFu) == 0x60003000u || tag == 0x54001010u ||
         tag == 0x56000020u || tag == 0x00420011u || tag == 0x00282000u || tag == 0x7FE00008u || tag == 0x7FE00009u;
}

/* Where no VR tells, only the value tells a sequence of defined length from bytes. */
static enum lvn_scan_take value_begins_with_item(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                                 bool *ret_item, struct lvn_error *err) {
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = LVN_SCAN_TAKEN;
  *ret_item = false;
  if (element->length < 8 || element->length == LVN_SCAN_UNDEFINED_LENGTH || is_bulk(element->tag)) {
    return LVN_SCAN_TAKEN;
  }
  taken = lvn_scan_stream_peek(&s->stream, 4, &p, err);
  if (taken == LVN_SCAN_TAKEN) {
    *ret_item = lvn_scan_tag(p, innermost(s)->is_big_endian) == LVN_TAG_ITEM;
  }
  return taken;
}

/* An element of undefined length, or a sequence: its level is opened. `*ret_opened` false: a plain value follows. */
static enum lvn_scan_take open_nested(struct lvn_scanner *s, const struct lvn_scan_element *element, bool *ret_opened,
                                      struct lvn_error *err) {
  const struct lvn_scan_level *here = innermost(s);
  const bool is_undefined = element->length == LVN_SCAN_UNDEFINED_LENGTH;
  struct lvn_scan_level items = {.kind = LVN_LEVEL_ITEMS,
                                 .is_implicit = here->is_implicit,
                                 .writes_implicit = here->writes_implicit,
                                 .is_big_endian = here->is_big_endian};
  *ret_opened = true;
  if (is_undefined && element->tag == LVN_TAG_PIXEL_DATA) {
    if (here->is_implicit) {
      return fail_at(s, element->tag, err, "encapsulated pixel data in implicit VR");
    }
    s->scan->is_odd = s->scan->is_odd || strcmp(element->vr, "OB") != 0;
    items.kind = LVN_LEVEL_FRAGMENTS;
    return taken_if(push(s, element, items, err));
  }
  if (here->is_implicit || element->vr[0] == '\0') {
    bool begins_with_item = false;
    enum lvn_scan_take taken = value_begins_with_item(s, element, &begins_with_item, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
    if (is_undefined || begins_with_item) {
      items.is_guessed = !is_undefined && ((element->tag >> 16 & 1) != 0 || !here->is_implicit);
      return taken_if(push(s, element, items, err));
    }
  } else if (strcmp(element->vr, "SQ") == 0) {
    return taken_if(push(s, element, items, err));
  } else if (is_undefined && strcmp(element->vr, "UN") == 0) {
    items.is_implicit = true; /* PS3.5 6.2.2 note 7: always implicit VR little endian */
    items.writes_implicit = true;
    items.is_big_endian = false;
    return taken_if(push(s, element, items, err));
  } else if (is_undefined) {
    return fail_at(s, element->tag, err, "undefined length where none is allowed");
  }
  *ret_opened = false;
  return LVN_SCAN_TAKEN;
}

/* Not of the data set: command elements and file meta information that strayed into it. */
static bool is_foreign(const struct lvn_scanner *s, uint32_t tag) {
  return s->level_count == 1 && (tag >> 16 == 0x0000u || tag >> 16 == 0x0002u);
}

static void pixels_passed(struct lvn_scanner *s, const struct lvn_scan_element *element) {
  if (s->level_count == 1 && element->tag == LVN_TAG_PIXEL_DATA) {
    end_pixels(s);
    s->scan->is_odd = s->scan->is_odd || s->is_encapsulated;
    if (s->is_encapsulated) { /* native, whatever the transfer syntax says */
      s->is_encapsulated = false;
      (void)snprintf(s->scan->transfer_syntax_uid, sizeof s->scan->transfer_syntax_uid, "1.2.840.10008.1.2.1");
    }
  }
}

/* A data element, at any depth. */
static enum lvn_scan_take scan_element(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                       struct lvn_error *err) {
  const uint64_t bound = innermost(s)->bound;
  bool is_nested = false;
  enum lvn_scan_take taken = open_nested(s, element, &is_nested, err);
  if (taken != LVN_SCAN_TAKEN || is_nested) {
    return taken;
  }
  if (element->length > bound - s->stream.position) {
    return fail_at(s, element->tag, err, "longer than what it lies in");
  }
  if (element->length > lvn_scan_stream_rest(&s->stream)) {
    return fail_at(s, element->tag, err, "the data end inside its value");
  }
  if (s->level_count == 1 && !s->has_pixels) {
    taken = lvn_scan_take_wanted(s, element, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
  }
  if (is_foreign(s, element->tag)) {
    s->scan->is_odd = true;
    taken = lvn_scan_stream_skip(&s->stream, element->length, err);
  } else if (lvn_scan_sink_value_header(s, element, err)) {
    taken = lvn_scan_sink_copy(s, element->length, err);
  } else {
    taken = LVN_SCAN_FAILED;
  }
  if (taken == LVN_SCAN_SHORT) {
    return fail_at(s, element->tag, err, "the data end inside its value");
  }
  pixels_passed(s, element);
  return taken;
}

/* The next tag, without consuming it; 0 at the end. */
static uint32_t next_tag(struct lvn_scanner *s) {
  struct lvn_error ignored;
  const uint8_t *p = NULL;
  return lvn_scan_stream_peek(&s->stream, 4, &p, &ignored) == LVN_SCAN_TAKEN
             ? lvn_scan_tag(p, innermost(s)->is_big_endian)
             : 0;
}

/* A delimiter that is not the one that the level waits for: superfluous, exchanged with the other kind, or standing for
 * two of which the first is missing. */
static enum lvn_scan_take scan_other_delimiter(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                               struct lvn_error *err) {
  const struct lvn_scan_level level = *innermost(s);
  const uint32_t next = next_tag(s);
  const enum lvn_scan_level_kind of_kind = element->tag == LVN_TAG_ITEM_END ? LVN_LEVEL_ELEMENTS : LVN_LEVEL_ITEMS;
  s->scan->is_odd = true;
  if (s->level_count == 1 || (s->closed_at == s->stream.position - 8 && s->closed_kind == of_kind)) {
    return LVN_SCAN_TAKEN;
  }
  if (element->tag == LVN_TAG_ITEM_END) {
    const bool goes_on = next == LVN_TAG_ITEM || next == LVN_TAG_SEQUENCE_END || level.end != LVN_SCAN_NO_END;
    return goes_on ? LVN_SCAN_TAKEN : pop_odd(s, err);
  }
  if (level.end != LVN_SCAN_NO_END) {
    return fail_at(s, element->tag, err, "delimiter where none belongs");
  }
  enum lvn_scan_take taken = pop_odd(s, err);
  return taken == LVN_SCAN_TAKEN && next != LVN_TAG_ITEM && innermost(s)->end == LVN_SCAN_NO_END ? pop_odd(s, err)
                                                                                                 : taken;
}

static enum lvn_scan_take scan_delimiter(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                         struct lvn_error *err) {
  const struct lvn_scan_level *level = innermost(s);
  const uint32_t expected = level->kind == LVN_LEVEL_ELEMENTS ? LVN_TAG_ITEM_END : LVN_TAG_SEQUENCE_END;
  if (element->tag != LVN_TAG_ITEM_END && element->tag != LVN_TAG_SEQUENCE_END) {
    return fail_at(s, element->tag, err, "an item where none belongs");
  }
  s->scan->is_odd = s->scan->is_odd || element->length != 0;
  if (s->level_count == 1 || element->tag != expected) {
    return scan_other_delimiter(s, element, err);
  }
  if (level->end != LVN_SCAN_NO_END) {
    s->scan->is_odd = true; /* its length says where it ends */
    return LVN_SCAN_TAKEN;
  }
  return taken_if(pop(s, err));
}

/* A level that a delimiter should close and something else does: `*ret_closed`. */
static enum lvn_scan_take close_undelimited(struct lvn_scanner *s, bool *ret_closed, struct lvn_error *err) {
  const struct lvn_scan_level *level = innermost(s);
  const uint8_t *p = NULL;
  *ret_closed = false;
  if (s->level_count == 1 || level->end != LVN_SCAN_NO_END) {
    return LVN_SCAN_TAKEN;
  }
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 8, &p, err);
  if (taken != LVN_SCAN_TAKEN) {
    return taken;
  }
  const uint32_t tag = lvn_scan_tag(p, level->is_big_endian);
  if (memcmp(p, "\0\0\0\0\0\0\0", 8) == 0) { /* a delimiter of zeros */
    *ret_closed = true;
    taken = lvn_scan_stream_skip(&s->stream, 8, err);
  } else {
    *ret_closed = level->kind == LVN_LEVEL_ELEMENTS ? tag == LVN_TAG_ITEM : tag >> 16 != 0xFFFEu && tag > level->tag;
  }
  return *ret_closed && taken == LVN_SCAN_TAKEN ? pop_odd(s, err) : taken;
}

static enum lvn_scan_take scan_fragment(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                        struct lvn_error *err) {
  if (element->length == LVN_SCAN_UNDEFINED_LENGTH) {
    return fail_at(s, element->tag, err, "fragment of undefined length");
  }
  if (element->length > innermost(s)->bound - s->stream.position) {
    return fail_at(s, element->tag, err, "longer than what it lies in");
  }
  return lvn_scan_sink_fragment(s, element->length, err) ? lvn_scan_sink_copy(s, element->length, err)
                                                         : LVN_SCAN_FAILED;
}

/* `*ret_at_header`: nothing of what failed was consumed. */
static enum lvn_scan_take scan_next(struct lvn_scanner *s, bool *ret_at_header, struct lvn_error *err) {
  struct lvn_scan_element element;
  bool is_closed = false;
  *ret_at_header = true;
  enum lvn_scan_take taken = close_undelimited(s, &is_closed, err);
  if (taken != LVN_SCAN_TAKEN || is_closed) {
    return taken;
  }
  taken = lvn_scan_read_header(s, &element, err);
  if (taken != LVN_SCAN_TAKEN) {
    return taken;
  }
  *ret_at_header = false;
  s->levels[s->level_count - 1].has_content = true;
  const struct lvn_scan_level level = *innermost(s);
  if (level.kind == LVN_LEVEL_ELEMENTS && element.tag >> 16 != 0xFFFEu) {
    s->passed_wanted = s->passed_wanted || (s->level_count == 1 && element.tag > LVN_TAG_LAST_WANTED);
    return scan_element(s, &element, err);
  }
  if (element.tag != LVN_TAG_ITEM || level.kind == LVN_LEVEL_ELEMENTS) {
    return scan_delimiter(s, &element, err);
  }
  if (level.kind == LVN_LEVEL_FRAGMENTS) {
    return scan_fragment(s, &element, err);
  }
  return taken_if(push(s, &element,
                       (struct lvn_scan_level){.kind = LVN_LEVEL_ELEMENTS,
                                               .is_implicit = level.is_implicit,
                                               .writes_implicit = level.writes_implicit,
                                               .is_big_endian = level.is_big_endian},
                       err));
}

static bool at_end(struct lvn_scanner *s, bool *ret_end, struct lvn_error *err) {
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 1, &p, err);
  *ret_end = taken == LVN_SCAN_SHORT;
  return taken != LVN_SCAN_FAILED;
}

/* The data end, or a filler begins, where levels are open: only delimiters may be missing. What is open deeper than an
 * item of the data set's own sequences, or has just begun, is more likely cut off. */
static bool close_all(struct lvn_scanner *s, struct lvn_error *err) {
  if (s->level_count > 1 &&
      (!innermost(s)->has_content || (innermost(s)->kind != LVN_LEVEL_FRAGMENTS && s->sequence_depth > 1))) {
    return false;
  }
  for (size_t i = 1; i < s->level_count; i++) {
    if (s->levels[i].end != LVN_SCAN_NO_END) {
      return false;
    }
  }
  while (s->level_count > 1) {
    if (!pop(s, err)) {
      return false;
    }
  }
  s->scan->is_odd = true;
  return true;
}

enum after_failure { GOES_ON, IS_WHOLE, IS_OVER };

/* What failed lay in a level whose end is known: go on behind it. Its pieces leave the mended copy. */
static enum after_failure skip_level(struct lvn_scanner *s, size_t index, struct lvn_error *err) {
  const uint64_t end = s->levels[index].end;
  while (s->level_count > index) {
    forget_level(s);
  }
  if (s->sink != NULL) {
    s->sink->count = s->levels[index].mark;
  }
  return end >= s->stream.position && lvn_scan_stream_skip(&s->stream, end - s->stream.position, err) == LVN_SCAN_TAKEN
             ? GOES_ON
             : IS_OVER;
}

static enum after_failure after_failure(struct lvn_scanner *s, bool at_header, struct lvn_error *err) {
  struct lvn_error ignored;
  bool is_end = false;
  size_t with_end = 0;
  for (size_t i = s->level_count; i-- > 1;) {
    if (s->levels[i].is_guessed) {
      s->scan->is_odd = true;
      return skip_level(s, i, &ignored);
    }
    with_end = s->levels[i].end != LVN_SCAN_NO_END ? i : with_end;
  }
  if (s->has_pixels) { /* nothing that matters comes behind an image's pixels */
    s->scan->is_odd = true;
    s->level_count = 1;
    if (s->sink != NULL) {
      s->sink->count = s->pixels_mark;
    }
    return IS_WHOLE;
  }
  if (at_header && at_end(s, &is_end, &ignored) && (is_end || lvn_scan_stream_rest_is_filler(&s->stream, &ignored)) &&
      close_all(s, &ignored)) {
    s->scan->is_odd = true;
    return IS_WHOLE;
  }
  lvn_scan_note_problem(s, err->message);
  return with_end > 0 ? skip_level(s, with_end, &ignored) : IS_OVER;
}

/* Levels whose length says that they are over. */
static bool close_ended(struct lvn_scanner *s, struct lvn_error *err) {
  while (s->level_count > 1 && s->stream.position == innermost(s)->end) {
    s->closed_at = s->stream.position;
    s->closed_kind = innermost(s)->kind;
    if (!pop(s, err)) {
      return false;
    }
  }
  return true;
}

/* Tape and cache blocks are filled up with one byte. */
static bool is_filler_ahead(struct lvn_scanner *s) {
  static const uint8_t fillers[] = {0x00, 0xFF, ' '};
  struct lvn_error ignored;
  const uint8_t *p = NULL;
  uint8_t same[8];
  if (lvn_scan_stream_peek(&s->stream, sizeof same, &p, &ignored) != LVN_SCAN_TAKEN) {
    return false;
  }
  for (size_t i = 0; i < sizeof fillers; i++) {
    memset(same, fillers[i], sizeof same);
    if (memcmp(p, same, sizeof same) == 0) {
      return lvn_scan_stream_rest_is_filler(&s->stream, &ignored);
    }
  }
  return false;
}

/* The data set from the stream's position on, in the transfer syntax of the outermost level. */
bool lvn_scan_elements(struct lvn_scanner *s, bool complete, struct lvn_error *err) {
  for (;;) {
    bool is_end = false;
    bool at_header = false;
    if (!close_ended(s, err)) {
      return false;
    }
    if (!complete && s->passed_wanted && lvn_scan_has_required(s)) {
      return true;
    }
    if (s->level_count == 1 && !at_end(s, &is_end, err)) {
      return false;
    }
    if (!is_end && s->level_count == 1 && is_filler_ahead(s)) {
      s->scan->is_odd = true;
      is_end = true;
    }
    if (is_end) {
      return lvn_scan_check_required(s, err);
    }
    const enum lvn_scan_take taken = scan_next(s, &at_header, err);
    if (taken == LVN_SCAN_SHORT) {
      (void)lvn_error_set(err, LVN_ERROR_DATA, "the data end in the middle of an element, after byte %" PRIu64,
                          s->stream.position);
    }
    if (taken == LVN_SCAN_TAKEN) {
      continue;
    }
    if (err->code != LVN_ERROR_DATA) {
      return false;
    }
    const enum after_failure next = after_failure(s, at_header, err);
    if (next == IS_WHOLE || (next == IS_OVER && lvn_scan_has_required(s))) {
      return lvn_scan_check_required(s, err);
    }
    if (next == IS_OVER) {
      return false;
    }
  }
}

bool lvn_scan_dataset(const uint8_t *data, size_t bytes, bool complete, const char *transfer_syntax_uid,
                      struct lvn_scan *ret_scan, struct lvn_error *err) {
  struct lvn_scan scan = {0};
  struct lvn_scanner scanner;
  scanner.scan = &scan;
  scanner.sink = NULL;
  scanner.texts = NULL;
  scanner.text_count = 0;
  lvn_scan_stream_open_memory(&scanner.stream, data, bytes);
  if (!lvn_scan_begin(&scanner, transfer_syntax_uid, err) || !lvn_scan_elements(&scanner, complete, err)) {
    return false;
  }
  *ret_scan = scan;
  return true;
}
