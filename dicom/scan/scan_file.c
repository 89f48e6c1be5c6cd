/* What lies around a data set: preamble, file meta information and transfer syntax, any of which may be missing or
 * untrue (PS3.10 7.1). */
#include "base/file.h"
#include "base/memory.h"
#include "dicom/scan/identity.h"
#include "dicom/scan/scan_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_MAX_BYTES 65536u
#define DIRECTORY_CLASS "1.2.840.10008.1.3.10"
#define IMPLICIT_LITTLE "1.2.840.10008.1.2"
#define EXPLICIT_LITTLE "1.2.840.10008.1.2.1"
#define EXPLICIT_BIG "1.2.840.10008.1.2.2"
#define DEFLATED "1.2.840.10008.1.2.1.99"

/* The encoding that the first element shows, when it is not the one that is declared. */
static bool look_at_start(struct lvn_scanner *s, struct lvn_scan_level *top, bool is_declared) {
  static const struct {
    bool is_implicit;
    bool is_big_endian;
  } codings[] = {{false, false}, {true, false}, {false, true}};
  struct lvn_error ignored;
  const uint8_t *p = NULL;
  if (is_declared && lvn_scan_looks_like(s, top, &ignored)) {
    return true;
  }
  for (size_t i = 0; i < sizeof codings / sizeof codings[0]; i++) {
    struct lvn_scan_level other = *top;
    other.is_implicit = codings[i].is_implicit;
    other.is_big_endian = codings[i].is_big_endian;
    if (lvn_scan_stream_peek(&s->stream, 8, &p, &ignored) == LVN_SCAN_TAKEN &&
        lvn_scan_tag(p, other.is_big_endian) >> 16 <= 0x0020u && lvn_scan_looks_like(s, &other, &ignored)) {
      s->scan->is_odd = s->scan->is_odd || !is_declared || other.is_implicit != top->is_implicit ||
                        other.is_big_endian != top->is_big_endian;
      *top = other;
      return true;
    }
  }
  /* One odd element at the start is no other transfer syntax. */
  return is_declared && lvn_scan_stream_peek(&s->stream, 8, &p, &ignored) == LVN_SCAN_TAKEN &&
         lvn_scan_tag(p, top->is_big_endian) >> 16 <= 0x0008u;
}

/* A command set that strayed into the file is in implicit VR little endian whatever follows (PS3.7 6.3.1). */
static void skip_command(struct lvn_scanner *s) {
  struct lvn_error ignored;
  const uint8_t *p = NULL;
  while (lvn_scan_stream_peek(&s->stream, 8, &p, &ignored) == LVN_SCAN_TAKEN && lvn_scan_u16(p, false) == 0 &&
         lvn_scan_u32(p + 4, false) <= 1024 &&
         lvn_scan_stream_skip(&s->stream, 8 + lvn_scan_u32(p + 4, false), &ignored) == LVN_SCAN_TAKEN) {
    s->scan->is_odd = true;
  }
}

static bool is_one_of(const char *uid, const char *const *list) {
  for (; *list != NULL; list++) {
    if (strcmp(uid, *list) == 0) {
      return true;
    }
  }
  return false;
}

bool lvn_scan_begin(struct lvn_scanner *s, const char *transfer_syntax_uid, struct lvn_error *err) {
  static const char *const native[] = {IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, NULL};
  struct lvn_scan_level top = {.kind = LVN_LEVEL_ELEMENTS, .end = LVN_SCAN_NO_END, .bound = LVN_SCAN_NO_END};
  const bool is_declared = strncmp(transfer_syntax_uid, IMPLICIT_LITTLE, sizeof IMPLICIT_LITTLE - 1) == 0;
  /* All syntaxes of the standard but these are explicit VR little endian outside the pixel data (PS3.5 A.4). */
  top.is_implicit = strcmp(transfer_syntax_uid, IMPLICIT_LITTLE) == 0;
  top.is_big_endian = strcmp(transfer_syntax_uid, EXPLICIT_BIG) == 0;
  if (strcmp(transfer_syntax_uid, DEFLATED) == 0) {
    if (!lvn_scan_stream_deflate(&s->stream, err)) {
      return false;
    }
    s->scan->is_odd = s->scan->is_odd || s->stream.has_zlib_header;
  }
  s->stream.position = 0;
  s->level_count = 1;
  s->sequence_depth = 0;
  s->passed_wanted = false;
  s->is_encapsulated = is_declared && !is_one_of(transfer_syntax_uid, native);
  s->has_pixels = false;
  s->seen = 0;
  s->closed_at = UINT64_MAX;
  s->closed_kind = LVN_LEVEL_ELEMENTS;
  s->pixels_mark = 0;
  s->levels[0] = top;
  skip_command(s);
  if (!look_at_start(s, &top, is_declared)) {
    return lvn_error_set(err, LVN_ERROR_DATA,
                         "what should be the data set is none: damaged, or another transfer syntax");
  }
  top.writes_implicit = top.is_implicit;
  s->levels[0] = top;
  const char *found = top.is_implicit ? IMPLICIT_LITTLE : top.is_big_endian ? EXPLICIT_BIG : EXPLICIT_LITTLE;
  const bool is_as_declared =
      is_declared && (s->is_encapsulated                           ? !top.is_implicit && !top.is_big_endian
                      : strcmp(transfer_syntax_uid, DEFLATED) == 0 ? !top.is_implicit
                                                                   : strcmp(found, transfer_syntax_uid) == 0);
  if (!is_declared && transfer_syntax_uid[0] != '\0') {
    (void)snprintf(s->scan->problem, sizeof s->scan->problem, "its transfer syntax %.64s is none of the DICOM standard",
                   transfer_syntax_uid);
  }
  (void)snprintf(s->scan->transfer_syntax_uid, sizeof s->scan->transfer_syntax_uid, "%s",
                 is_as_declared ? transfer_syntax_uid : found);
  return true;
}

/* Where the file meta information, or else the data set begins. */
static bool skip_preamble(struct lvn_scanner *s, struct lvn_error *err) {
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, 132, &p, err);
  if (taken == LVN_SCAN_FAILED) {
    return false;
  }
  if (taken == LVN_SCAN_TAKEN && memcmp(p + 128, "DICM", 4) == 0) {
    return lvn_scan_stream_skip(&s->stream, 132, err) == LVN_SCAN_TAKEN;
  }
  s->scan->is_odd = true;
  taken = lvn_scan_stream_peek(&s->stream, 8, &p, err);
  if (taken == LVN_SCAN_TAKEN && memcmp(p, "DICM", 4) == 0) {
    return lvn_scan_stream_skip(&s->stream, 4, err) == LVN_SCAN_TAKEN;
  }
  const uint32_t group = taken == LVN_SCAN_TAKEN ? lvn_scan_u16(p, false) : UINT32_MAX;
  return taken != LVN_SCAN_FAILED &&
         (group == 0x0002u || group == 0x0008u || group == 0x0000u || group == 0x0800u ||
          lvn_error_set(err, LVN_ERROR_DATA,
                        "no DICOM file: the mark DICM is missing, and it begins like no data set"));
}

/* A text of the file meta information, trimmed. */
static enum lvn_scan_take take_meta_uid(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                        char ret_uid[LVN_UID_BYTES], struct lvn_error *err) {
  const uint8_t *p = NULL;
  enum lvn_scan_take taken = lvn_scan_stream_peek(&s->stream, element->length, &p, err);
  size_t length = element->length;
  if (taken != LVN_SCAN_TAKEN) {
    return taken;
  }
  while (length > 0 && (p[length - 1] == ' ' || p[length - 1] == '\0')) {
    length--;
  }
  memcpy(ret_uid, p, length);
  ret_uid[length] = '\0';
  return LVN_SCAN_TAKEN;
}

/* Explicit VR little endian, group 0002, whatever its length says. Leaves the stream at the data set. */
static bool scan_meta(struct lvn_scanner *s, char ret_syntax[LVN_UID_BYTES], struct lvn_error *err) {
  enum lvn_scan_take taken = LVN_SCAN_TAKEN;
  uint64_t promised_end = 0;
  const uint8_t *p = NULL;
  s->levels[0] = (struct lvn_scan_level){.kind = LVN_LEVEL_ELEMENTS, .end = META_MAX_BYTES, .bound = META_MAX_BYTES};
  s->level_count = 1;
  while (taken == LVN_SCAN_TAKEN) {
    struct lvn_scan_element element;
    char class_uid[LVN_UID_BYTES];
    taken = lvn_scan_stream_peek(&s->stream, 8, &p, err);
    if (taken != LVN_SCAN_TAKEN || lvn_scan_u16(p, false) != 0x0002u) {
      break;
    }
    taken = lvn_scan_read_header(s, &element, err);
    if (taken == LVN_SCAN_TAKEN && element.length < LVN_UID_BYTES) {
      if (element.tag == 0x00020010u) {
        taken = take_meta_uid(s, &element, ret_syntax, err);
      } else if (element.tag == 0x00020002u) {
        taken = take_meta_uid(s, &element, class_uid, err);
        s->scan->is_directory = taken == LVN_SCAN_TAKEN && strcmp(class_uid, DIRECTORY_CLASS) == 0;
      } else if (element.tag == 0x00020000u && element.length == 4) {
        taken = lvn_scan_stream_peek(&s->stream, 4, &p, err);
        promised_end = taken == LVN_SCAN_TAKEN ? s->stream.position + 4 + lvn_scan_u32(p, false) : 0;
      }
    }
    if (taken == LVN_SCAN_TAKEN) {
      taken = lvn_scan_stream_skip(&s->stream, element.length, err);
    }
  }
  s->scan->is_odd = s->scan->is_odd || promised_end != s->stream.position || ret_syntax[0] == '\0';
  if (taken == LVN_SCAN_SHORT) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the file ends with its file meta information");
  }
  return taken == LVN_SCAN_TAKEN;
}

static bool scan_opened(struct lvn_scanner *s, int fd, uint64_t bytes, struct lvn_error *err) {
  char syntax[LVN_UID_BYTES] = "";
  lvn_scan_stream_open_file(&s->stream, fd, bytes);
  if (!skip_preamble(s, err) || !scan_meta(s, syntax, err)) {
    return false;
  }
  s->scan->dataset_offset = s->stream.position;
  return lvn_scan_begin(s, syntax, err) && lvn_scan_elements(s, true, err);
}

static bool scan_path(struct lvn_scanner *s, const char *path, struct lvn_error *err) {
  struct stat status;
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot open %s", path);
  }
  if (!S_ISREG(status.st_mode)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s is no regular file", path);
  }
  return scan_opened(s, fd, (uint64_t)status.st_size, err) || lvn_error_prefix(err, "%s", path);
}

bool lvn_scan_file(const char *path, struct lvn_scan *ret_scan, struct lvn_error *err) {
  return lvn_scan_file_texts(path, NULL, 0, ret_scan, err);
}

bool lvn_scan_file_texts(const char *path, struct lvn_scan_text *texts, size_t text_count, struct lvn_scan *ret_scan,
                         struct lvn_error *err) {
  struct lvn_scanner scanner;
  *ret_scan = (struct lvn_scan){0};
  scanner.scan = ret_scan;
  scanner.sink = NULL;
  scanner.texts = texts;
  scanner.text_count = text_count;
  for (size_t i = 0; i < text_count; i++) {
    texts[i].value[0] = '\0';
  }
  return scan_path(&scanner, path, err);
}

static bool put_meta_element(struct lvn_scan_sink *sink, uint32_t tag, const char *vr, const void *value, size_t length,
                             struct lvn_error *err) {
  const size_t padded = length + (length & 1);
  const uint8_t head[8] = {0x02,           0x00,           (uint8_t)tag,    (uint8_t)(tag >> 8),
                           (uint8_t)vr[0], (uint8_t)vr[1], (uint8_t)padded, 0};
  return lvn_scan_sink_put(sink, head, sizeof head, err) && lvn_scan_sink_put(sink, value, length, err) &&
         lvn_scan_sink_put(sink, "", length & 1, err);
}

static bool put_meta(struct lvn_scan_sink *sink, const struct lvn_scan *scan, bool is_encapsulated,
                     struct lvn_error *err) {
  static const uint8_t version[] = {0x02, 0x00, 0x01, 0x00, 'O', 'B', 0, 0, 2, 0, 0, 0, 0x00, 0x01};
  static const uint8_t preamble[128];
  static const char *const plain[] = {IMPLICIT_LITTLE, EXPLICIT_BIG, NULL};
  const char *syntax =
      is_encapsulated || is_one_of(scan->transfer_syntax_uid, plain) ? scan->transfer_syntax_uid : EXPLICIT_LITTLE;
  if (!lvn_scan_sink_put(sink, preamble, sizeof preamble, err) || !lvn_scan_sink_put(sink, "DICM", 4, err) ||
      !put_meta_element(sink, 0x00020000u, "UL", preamble, 4, err)) {
    return false;
  }
  const size_t from = sink->count;
  if (!lvn_scan_sink_put(sink, version, sizeof version, err) ||
      !put_meta_element(sink, 0x00020002u, "UI", scan->sop_class_uid, strlen(scan->sop_class_uid), err) ||
      !put_meta_element(sink, 0x00020003u, "UI", scan->sop_instance_uid, strlen(scan->sop_instance_uid), err) ||
      !put_meta_element(sink, 0x00020010u, "UI", syntax, strlen(syntax), err) ||
      !put_meta_element(sink, 0x00020012u, "UI", LVN_IMPLEMENTATION_CLASS_UID, strlen(LVN_IMPLEMENTATION_CLASS_UID),
                        err)) {
    return false;
  }
  sink->data[from - 4] = (uint8_t)(sink->count - from);
  sink->data[from - 3] = (uint8_t)((sink->count - from) >> 8);
  return true;
}

bool lvn_scan_mend(const char *path, lvn_scan_vr_of vr_of, uint8_t **ret_bytes, size_t *ret_count,
                   struct lvn_error *err) {
  struct lvn_scan scan = {0};
  struct lvn_scanner scanner = {0};
  struct lvn_scan_sink sink = {.vr_of = vr_of};
  struct lvn_scan_sink whole = {0};
  scanner.scan = &scan;
  scanner.sink = &sink;
  bool good = scan_path(&scanner, path, err) &&
              (scan.problem[0] == '\0' || lvn_error_set(err, LVN_ERROR_DATA, "%s: %s", path, scan.problem));
  /* The header says what the scan found, so it comes last. */
  good = good && put_meta(&whole, &scan, scanner.is_encapsulated, err) &&
         lvn_scan_sink_put(&whole, sink.data, sink.count, err);
  lvn_free(sink.data);
  if (!good) {
    lvn_free(whole.data);
    return false;
  }
  *ret_bytes = whole.data;
  *ret_count = whole.count;
  return true;
}
