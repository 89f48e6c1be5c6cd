/* DESIGN. One loop, one explicit stack of open sequences and items, no recursion and no tree: each turn reads one tag
 * and length, and consumes at least eight bytes, so the work is linear in the input. Only wanted values of the top
 * level are looked at; everything else is skipped, by seeking where the input is a file.
 * The scanner must see every nesting that DCMTK's recursive parser would see, since that parser has no depth limit of
 * its own (3.6.7 overflows its stack at some 10,000 levels). Hence: VRs that the standard does not name are refused
 * instead of guessed, an undefined length is allowed only where both parsers agree what it means, and in implicit VR,
 * where only a dictionary tells sequences, a value that begins with an Item tag is taken for a sequence. */
#include "dicom/read/scan.h"

#include "daemon/base/file.h"
#include "dicom/read/scan_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNDEFINED_LENGTH UINT32_MAX
#define NO_END UINT64_MAX
#define META_MAX_BYTES 65536u

#define TAG_ITEM 0xFFFEE000u
#define TAG_ITEM_END 0xFFFEE00Du
#define TAG_SEQUENCE_END 0xFFFEE0DDu
#define TAG_PIXEL_DATA 0x7FE00010u
#define TAG_SERIES_UID 0x0020000Eu

enum level_kind { LEVEL_ELEMENTS, LEVEL_ITEMS, LEVEL_FRAGMENTS };

struct level {
  enum level_kind kind;
  uint64_t end; /* NO_END: closed by a delimiter */
  bool is_implicit;
  bool is_big_endian;
};

struct scanner {
  struct lvn_scan_stream stream;
  struct lvn_scan *scan;
  struct level levels[2 * LVN_SCAN_DEPTH_MAX + 1];
  size_t level_count;
  size_t sequence_depth;
  bool is_first;
  bool passed_wanted; /* a top-level tag behind the last wanted one was seen */
  uint32_t seen;      /* bit per wanted attribute */
};

struct element {
  uint32_t tag;
  char vr[3]; /* "" in implicit VR and for delimiters */
  uint32_t length;
};

enum wanted { WANT_SOP_CLASS, WANT_SOP_INSTANCE, WANT_MODALITY, WANT_PATIENT_ID, WANT_ISSUER, WANT_STUDY, WANT_SERIES };

static const struct {
  uint32_t tag;
  size_t offset;
  size_t bytes;
  bool is_uid;
  const char *name;
} wanted_attributes[] = {
    [WANT_SOP_CLASS] = {0x00080016u, offsetof(struct lvn_scan, sop_class_uid), LVN_UID_BYTES, true, "SOP Class UID"},
    [WANT_SOP_INSTANCE] = {0x00080018u, offsetof(struct lvn_scan, sop_instance_uid), LVN_UID_BYTES, true,
                           "SOP Instance UID"},
    [WANT_MODALITY] = {0x00080060u, offsetof(struct lvn_scan, modality), 17, false, "Modality"},
    [WANT_PATIENT_ID] = {0x00100020u, offsetof(struct lvn_scan, patient_id), LVN_UID_BYTES, false, "Patient ID"},
    [WANT_ISSUER] = {0x00100021u, offsetof(struct lvn_scan, issuer_of_patient_id), LVN_UID_BYTES, false,
                     "Issuer of Patient ID"},
    [WANT_STUDY] = {0x0020000Du, offsetof(struct lvn_scan, study_instance_uid), LVN_UID_BYTES, true,
                    "Study Instance UID"},
    [WANT_SERIES] = {TAG_SERIES_UID, offsetof(struct lvn_scan, series_instance_uid), LVN_UID_BYTES, true,
                     "Series Instance UID"},
};
#define WANTED_COUNT (sizeof wanted_attributes / sizeof wanted_attributes[0])
#define REQUIRED_MASK (1u << WANT_SOP_CLASS | 1u << WANT_SOP_INSTANCE | 1u << WANT_STUDY | 1u << WANT_SERIES)

/* PS3.5 table 6.2-1; those with a 32-bit length first (PS3.5 7.1.2). */
static const char long_vrs[] = "OB OD OF OL OV OW SQ SV UC UN UR UT UV ";
static const char short_vrs[] = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US ";

static bool vr_is_in(const char *list, const char vr[3]) {
  for (; *list != '\0'; list += 3) {
    if (list[0] == vr[0] && list[1] == vr[1]) {
      return true;
    }
  }
  return false;
}

static uint32_t read_u16(const uint8_t *p, bool big) {
  return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t read_u32(const uint8_t *p, bool big) {
  return big ? read_u16(p, true) << 16 | read_u16(p + 2, true) : read_u16(p + 2, false) << 16 | read_u16(p, false);
}

static bool fail_at(const struct scanner *s, uint32_t tag, struct lvn_error *err, const char *reason) {
  return lvn_error_set(err, LVN_ERROR_DATA, "(%04x,%04x) near byte %" PRIu64 " of the data set: %s", tag >> 16,
                       tag & 0xFFFFu, s->stream.position, reason);
}

static enum lvn_scan_take skip(struct scanner *s, uint64_t bytes, struct lvn_error *err) {
  return lvn_scan_stream_skip(&s->stream, bytes, err);
}

/* Read tag, VR and length. */
static enum lvn_scan_take read_element(struct scanner *s, struct element *ret_element, struct lvn_error *err) {
  const struct level *level = &s->levels[s->level_count - 1];
  const uint8_t *p = NULL;
  size_t header = 8;
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 8, &p, err);
  if (taken != LVN_SCAN_TAKEN) {
    return taken;
  }
  *ret_element =
      (struct element){.tag = read_u16(p, level->is_big_endian) << 16 | read_u16(p + 2, level->is_big_endian)};
  if (level->is_implicit || ret_element->tag >> 16 == 0xFFFEu) {
    ret_element->length = read_u32(p + 4, level->is_big_endian);
  } else {
    ret_element->vr[0] = (char)p[4];
    ret_element->vr[1] = (char)p[5];
    if (vr_is_in(short_vrs, ret_element->vr)) {
      ret_element->length = read_u16(p + 6, level->is_big_endian);
    } else if (vr_is_in(long_vrs, ret_element->vr)) {
      header = 12;
      taken = lvn_scan_stream_peek(&s->stream, header, &p, err);
      if (taken != LVN_SCAN_TAKEN) {
        return taken;
      }
      ret_element->length = read_u32(p + 8, level->is_big_endian);
    } else {
      (void)fail_at(s, ret_element->tag, err, "value representation that DICOM does not know");
      return LVN_SCAN_FAILED;
    }
  }
  taken = skip(s, header, err);
  if (taken == LVN_SCAN_TAKEN && s->stream.position > level->end) {
    (void)fail_at(s, ret_element->tag, err, "begins beyond the end of its item or sequence");
    return LVN_SCAN_FAILED;
  }
  return taken;
}

static bool push(struct scanner *s, const struct element *element, struct level level, struct lvn_error *err) {
  uint64_t parent_end = s->levels[s->level_count - 1].end;
  if (level.kind != LEVEL_ELEMENTS && ++s->sequence_depth > LVN_SCAN_DEPTH_MAX) {
    char reason[96];
    (void)snprintf(reason, sizeof reason, "sequences nested more than %d deep", LVN_SCAN_DEPTH_MAX);
    return fail_at(s, element->tag, err, reason);
  }
  level.end = NO_END;
  if (element->length != UNDEFINED_LENGTH) {
    level.end = s->stream.position + element->length;
    if (level.end > parent_end) {
      return fail_at(s, element->tag, err, "longer than what it lies in");
    }
  }
  s->levels[s->level_count++] = level;
  return true;
}

static void pop(struct scanner *s) {
  s->level_count--;
  if (s->levels[s->level_count].kind != LEVEL_ELEMENTS) {
    s->sequence_depth--;
  }
}

/* A top-level value that is wanted, up to 1 KiB of it: LO of 64 characters takes 256 bytes in UTF-8. */
static enum lvn_scan_take take_wanted(struct scanner *s, const struct element *element, struct lvn_error *err) {
  for (size_t which = 0; which < WANTED_COUNT; which++) {
    const uint8_t *value = NULL;
    enum lvn_scan_take taken = LVN_SCAN_TAKEN;
    if (wanted_attributes[which].tag != element->tag) {
      continue;
    }
    if ((s->seen & 1u << which) != 0) {
      (void)fail_at(s, element->tag, err, "is there twice");
      return LVN_SCAN_FAILED;
    }
    if (element->length > 1024) {
      (void)fail_at(s, element->tag, err, "is longer than 1024 bytes");
      return LVN_SCAN_FAILED;
    }
    taken = lvn_scan_stream_peek(&s->stream, element->length, &value, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
    if (!lvn_scan_copy_value(value, element->length, wanted_attributes[which].name, wanted_attributes[which].is_uid,
                             (char *)s->scan + wanted_attributes[which].offset, wanted_attributes[which].bytes, err)) {
      return LVN_SCAN_FAILED;
    }
    s->seen |= 1u << which;
  }
  return LVN_SCAN_TAKEN;
}

/* In implicit VR only the value tells a sequence of defined length from bytes. */
static enum lvn_scan_take value_begins_with_item(struct scanner *s, const struct element *element, bool *ret_item,
                                                 struct lvn_error *err) {
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = LVN_SCAN_TAKEN;
  *ret_item = false;
  if (element->length < 8 || element->length == UNDEFINED_LENGTH || element->tag == TAG_PIXEL_DATA) {
    return LVN_SCAN_TAKEN;
  }
  taken = lvn_scan_stream_peek(&s->stream, 4, &p, err);
  if (taken == LVN_SCAN_TAKEN) {
    *ret_item = (read_u16(p, false) << 16 | read_u16(p + 2, false)) == TAG_ITEM;
  }
  return taken;
}

static enum lvn_scan_take opened(bool pushed) {
  return pushed ? LVN_SCAN_TAKEN : LVN_SCAN_FAILED;
}

/* An element of undefined length, or a sequence: its level is opened. `*ret_opened` false: a plain value follows. */
static enum lvn_scan_take open_nested(struct scanner *s, const struct element *element, bool *ret_opened,
                                      struct lvn_error *err) {
  const struct level here = s->levels[s->level_count - 1];
  bool is_undefined = element->length == UNDEFINED_LENGTH;
  struct level items = {.kind = LEVEL_ITEMS, .is_implicit = here.is_implicit, .is_big_endian = here.is_big_endian};
  *ret_opened = true;
  if (here.is_implicit) {
    bool begins_with_item = false;
    enum lvn_scan_take taken = value_begins_with_item(s, element, &begins_with_item, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
    if (is_undefined && element->tag == TAG_PIXEL_DATA) {
      (void)fail_at(s, element->tag, err, "encapsulated pixel data in implicit VR");
      return LVN_SCAN_FAILED;
    }
    if (is_undefined || begins_with_item) {
      return opened(push(s, element, items, err));
    }
  } else if (strcmp(element->vr, "SQ") == 0) {
    return opened(push(s, element, items, err));
  } else if (is_undefined && strcmp(element->vr, "UN") == 0) {
    items.is_implicit = true; /* PS3.5 6.2.2 note 7: always implicit VR little endian */
    items.is_big_endian = false;
    return opened(push(s, element, items, err));
  } else if (is_undefined && (strcmp(element->vr, "OB") == 0 || strcmp(element->vr, "OW") == 0) &&
             element->tag == TAG_PIXEL_DATA) {
    items.kind = LEVEL_FRAGMENTS;
    return opened(push(s, element, items, err));
  } else if (is_undefined) {
    (void)fail_at(s, element->tag, err, "undefined length where none is allowed");
    return LVN_SCAN_FAILED;
  }
  *ret_opened = false;
  return LVN_SCAN_TAKEN;
}

/* A data element, at any depth. */
static enum lvn_scan_take scan_element(struct scanner *s, const struct element *element, struct lvn_error *err) {
  const struct level *level = &s->levels[s->level_count - 1];
  bool is_top = s->level_count == 1;
  bool is_nested = false;
  enum lvn_scan_take taken = open_nested(s, element, &is_nested, err);
  if (taken != LVN_SCAN_TAKEN || is_nested) {
    return taken;
  }
  if (element->length > level->end - s->stream.position) {
    (void)fail_at(s, element->tag, err, "longer than what it lies in");
    return LVN_SCAN_FAILED;
  }
  if (is_top) {
    taken = take_wanted(s, element, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
  }
  taken = skip(s, element->length, err);
  if (taken == LVN_SCAN_SHORT) {
    (void)fail_at(s, element->tag, err, "the data end inside its value");
    return LVN_SCAN_FAILED;
  }
  return taken;
}

static bool scan_delimiter(struct scanner *s, const struct element *element, struct lvn_error *err) {
  const struct level *level = &s->levels[s->level_count - 1];
  uint32_t expected = level->kind == LEVEL_ELEMENTS ? TAG_ITEM_END : TAG_SEQUENCE_END;
  if (s->level_count == 1 || element->tag != expected || level->end != NO_END || element->length != 0) {
    return fail_at(s, element->tag, err, "delimiter where none belongs");
  }
  pop(s);
  return true;
}

static enum lvn_scan_take scan_next(struct scanner *s, struct lvn_error *err) {
  const struct level level = s->levels[s->level_count - 1];
  struct element element;
  enum lvn_scan_take taken = read_element(s, &element, err);
  if (taken != LVN_SCAN_TAKEN) {
    return taken;
  }
  if (s->is_first && element.tag >> 16 != 0x0008u) {
    (void)fail_at(s, element.tag, err, "a data set begins with group 0008: damaged, or another transfer syntax");
    return LVN_SCAN_FAILED;
  }
  s->is_first = false;
  if (level.kind == LEVEL_ELEMENTS && element.tag >> 16 != 0xFFFEu) {
    s->passed_wanted = s->passed_wanted || (s->level_count == 1 && element.tag > TAG_SERIES_UID);
    return scan_element(s, &element, err);
  }
  if (element.tag != TAG_ITEM || level.kind == LEVEL_ELEMENTS) {
    return opened(scan_delimiter(s, &element, err));
  }
  if (level.kind == LEVEL_FRAGMENTS) {
    if (element.length == UNDEFINED_LENGTH) {
      (void)fail_at(s, element.tag, err, "fragment of undefined length");
      return LVN_SCAN_FAILED;
    }
    return skip(s, element.length, err);
  }
  return opened(push(
      s, &element,
      (struct level){.kind = LEVEL_ELEMENTS, .is_implicit = level.is_implicit, .is_big_endian = level.is_big_endian},
      err));
}

static bool at_end(struct scanner *s, bool *ret_end, struct lvn_error *err) {
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 1, &p, err);
  *ret_end = taken == LVN_SCAN_SHORT;
  return taken != LVN_SCAN_FAILED;
}

static bool check_required(const struct scanner *s, struct lvn_error *err) {
  for (size_t which = 0; which < WANTED_COUNT; which++) {
    if ((REQUIRED_MASK & 1u << which) != 0 && (s->seen & 1u << which) == 0) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s is missing", wanted_attributes[which].name);
    }
  }
  return true;
}

/* The data set from the stream's position on, in the transfer syntax of the outermost level. */
static bool scan_elements(struct scanner *s, bool complete, struct lvn_error *err) {
  for (;;) {
    enum lvn_scan_take taken = LVN_SCAN_TAKEN;
    while (s->level_count > 1 && s->stream.position == s->levels[s->level_count - 1].end) {
      pop(s);
    }
    if (!complete && s->passed_wanted && (s->seen & REQUIRED_MASK) == REQUIRED_MASK) {
      return true;
    }
    if (s->level_count == 1) {
      bool is_end = false;
      if (!at_end(s, &is_end, err)) {
        return false;
      }
      if (is_end) {
        return check_required(s, err);
      }
    }
    taken = scan_next(s, err);
    if (taken == LVN_SCAN_FAILED) {
      return false;
    }
    if (taken == LVN_SCAN_SHORT) {
      return lvn_error_set(err, LVN_ERROR_DATA, "the data end in the middle of an element, after byte %" PRIu64,
                           s->stream.position);
    }
  }
}

static bool set_syntax(struct scanner *s, const char *transfer_syntax_uid, struct lvn_error *err) {
  static const char root[] = "1.2.840.10008.1.2";
  struct level top = {.kind = LEVEL_ELEMENTS, .end = NO_END};
  /* All syntaxes of the standard but these are explicit VR little endian outside the pixel data (PS3.5 A.4). */
  if (!lvn_uid_is_valid(transfer_syntax_uid) || strncmp(transfer_syntax_uid, root, sizeof root - 1) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the transfer syntax is none of the DICOM standard");
  }
  top.is_implicit = strcmp(transfer_syntax_uid, root) == 0;
  top.is_big_endian = strcmp(transfer_syntax_uid, "1.2.840.10008.1.2.2") == 0;
  if (strcmp(transfer_syntax_uid, "1.2.840.10008.1.2.1.99") == 0 && !lvn_scan_stream_deflate(&s->stream, err)) {
    return false;
  }
  s->stream.position = 0;
  s->levels[0] = top;
  s->level_count = 1;
  s->sequence_depth = 0;
  s->is_first = true;
  s->passed_wanted = false;
  s->seen = 0;
  (void)snprintf(s->scan->transfer_syntax_uid, sizeof s->scan->transfer_syntax_uid, "%s", transfer_syntax_uid);
  return true;
}

bool lvn_scan_dataset(const uint8_t *data, size_t bytes, bool complete, const char *transfer_syntax_uid,
                      struct lvn_scan *ret_scan, struct lvn_error *err) {
  struct lvn_scan scan = {0};
  struct scanner scanner;
  scanner.scan = &scan;
  lvn_scan_stream_open_memory(&scanner.stream, data, bytes);
  if (!set_syntax(&scanner, transfer_syntax_uid, err) || !scan_elements(&scanner, complete, err)) {
    return false;
  }
  *ret_scan = scan;
  return true;
}

/* The file meta information: explicit VR little endian, group 0002 (PS3.10 7.1). Leaves the stream at the data set. */
static bool scan_meta(struct scanner *s, char ret_syntax[LVN_UID_BYTES], struct lvn_error *err) {
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 132, &p, err);
  if (taken == LVN_SCAN_FAILED) {
    return false;
  }
  if (taken == LVN_SCAN_SHORT || memcmp(p + 128, "DICM", 4) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "no DICOM file: the mark DICM is missing");
  }
  taken = skip(s, 132, err);
  s->levels[0] = (struct level){.kind = LEVEL_ELEMENTS, .end = META_MAX_BYTES};
  s->level_count = 1;
  while (taken == LVN_SCAN_TAKEN) {
    struct element element;
    taken = lvn_scan_stream_peek(&s->stream, 8, &p, err);
    if (taken != LVN_SCAN_TAKEN || read_u16(p, false) != 0x0002u) {
      break;
    }
    taken = read_element(s, &element, err);
    if (taken == LVN_SCAN_TAKEN && element.tag == 0x00020010u && element.length < LVN_UID_BYTES) {
      taken = lvn_scan_stream_peek(&s->stream, element.length, &p, err);
      if (taken == LVN_SCAN_TAKEN) {
        memcpy(ret_syntax, p, element.length);
        ret_syntax[element.length] = '\0';
        for (size_t n = element.length; n > 0 && ret_syntax[n - 1] == ' '; n--) {
          ret_syntax[n - 1] = '\0';
        }
      }
    }
    if (taken == LVN_SCAN_TAKEN) {
      taken = skip(s, element.length, err);
    }
  }
  if (taken == LVN_SCAN_FAILED) {
    return false;
  }
  return taken == LVN_SCAN_TAKEN && ret_syntax[0] != '\0'
             ? true
             : lvn_error_set(err, LVN_ERROR_DATA, "the file meta information is incomplete");
}

bool lvn_scan_file(const char *path, struct lvn_scan *ret_scan, struct lvn_error *err) {
  struct lvn_scan scan = {0};
  struct scanner scanner;
  struct stat status;
  char syntax[LVN_UID_BYTES] = "";
  uint64_t offset = 0;
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot open %s", path);
  }
  if (!S_ISREG(status.st_mode)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s is no regular file", path);
  }
  scanner.scan = &scan;
  lvn_scan_stream_open_file(&scanner.stream, fd, (uint64_t)status.st_size);
  if (!scan_meta(&scanner, syntax, err)) {
    return lvn_error_prefix(err, "%s", path);
  }
  offset = scanner.stream.position;
  if (!set_syntax(&scanner, syntax, err) || !scan_elements(&scanner, true, err)) {
    return lvn_error_prefix(err, "%s", path);
  }
  scan.dataset_offset = offset;
  *ret_scan = scan;
  return true;
}
