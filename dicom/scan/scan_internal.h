/* The scanner's state, shared by its files: scan.c (the loop), scan_header.c (element headers and their encoding),
 * scan_sink.c (the mended copy), scan_file.c (the file around the data set). */
#ifndef LVN_DICOM_SCAN_SCAN_INTERNAL_H
#define LVN_DICOM_SCAN_SCAN_INTERNAL_H

#include "dicom/scan/scan.h"
#include "dicom/scan/scan_stream.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_SCAN_UNDEFINED_LENGTH UINT32_MAX
#define LVN_SCAN_NO_END UINT64_MAX

#define LVN_TAG_ITEM 0xFFFEE000u
#define LVN_TAG_ITEM_END 0xFFFEE00Du
#define LVN_TAG_SEQUENCE_END 0xFFFEE0DDu
#define LVN_TAG_PIXEL_DATA 0x7FE00010u
#define LVN_TAG_LAST_WANTED 0x00200013u

enum lvn_scan_level_kind { LVN_LEVEL_ELEMENTS, LVN_LEVEL_ITEMS, LVN_LEVEL_FRAGMENTS };

struct lvn_scan_level {
  enum lvn_scan_level_kind kind;
  uint64_t end;   /* LVN_SCAN_NO_END: closed by a delimiter */
  uint64_t bound; /* the nearest end around it */
  uint32_t tag;   /* of the sequence */
  bool is_implicit;
  bool is_big_endian;
  bool is_guessed;      /* only its value says that it is a sequence: when that is untrue, it was bytes */
  bool writes_implicit; /* how the mended copy has it */
  bool has_content;     /* an element, item or fragment was in it */
  size_t mark;          /* bytes of the mended copy before it */
};

struct lvn_scan_element {
  uint32_t tag;
  char vr[3]; /* "" in implicit VR, for delimiters and where what stands there is none */
  uint32_t length;
  size_t header_bytes;
};

struct lvn_scanner {
  struct lvn_scan_stream stream;
  struct lvn_scan *scan;
  struct lvn_scan_level levels[2 * LVN_SCAN_DEPTH_MAX + 1];
  size_t level_count;
  size_t sequence_depth;
  bool passed_wanted;   /* a top-level tag behind the last wanted one was seen */
  bool is_encapsulated; /* what the transfer syntax says of the pixel data */
  bool has_pixels;      /* the data set's pixel data were passed */
  uint32_t seen;        /* bit per wanted attribute */
  /* A level of defined length that has just ended: a delimiter behind it is superfluous. */
  uint64_t closed_at;
  enum lvn_scan_level_kind closed_kind;
  struct lvn_scan_sink *sink;  /* NULL: nothing is copied */
  struct lvn_scan_text *texts; /* further values that somebody asked for */
  size_t text_count;
  size_t pixels_mark; /* bytes of the mended copy up to the pixel data's end */
};

struct lvn_scan_sink {
  lvn_scan_vr_of vr_of;
  uint8_t *data; /* owned */
  size_t count;
  size_t capacity;
};

static inline uint32_t lvn_scan_u16(const uint8_t *p, bool big) {
  return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t lvn_scan_u32(const uint8_t *p, bool big) {
  return big ? lvn_scan_u16(p, true) << 16 | lvn_scan_u16(p + 2, true)
             : lvn_scan_u16(p + 2, false) << 16 | lvn_scan_u16(p, false);
}

static inline uint32_t lvn_scan_tag(const uint8_t *p, bool big) {
  return lvn_scan_u16(p, big) << 16 | lvn_scan_u16(p + 2, big);
}

/* scan.c */
bool lvn_scan_fail_at(const struct lvn_scanner *s, uint32_t tag, struct lvn_error *err, const char *reason);
/* The first one stays. */
void lvn_scan_note_problem(struct lvn_scanner *s, const char *text);
/* scan_wanted.c: a top-level value, if it is wanted, up to 1 KiB of it. */
enum lvn_scan_take lvn_scan_take_wanted(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                        struct lvn_error *err);
bool lvn_scan_has_required(const struct lvn_scanner *s);
LVN_MUST_CHECK bool lvn_scan_check_required(const struct lvn_scanner *s, struct lvn_error *err);

/* scan_file.c: begin a data set at the stream's position; "" guesses how it is coded. */
LVN_MUST_CHECK bool lvn_scan_begin(struct lvn_scanner *s, const char *transfer_syntax_uid, struct lvn_error *err);
/* scan.c */
LVN_MUST_CHECK bool lvn_scan_elements(struct lvn_scanner *s, bool complete, struct lvn_error *err);

/* scan_header.c: tag, VR and length of the next element, whose header is consumed. */
enum lvn_scan_take lvn_scan_read_header(struct lvn_scanner *s, struct lvn_scan_element *ret_element,
                                        struct lvn_error *err);
bool lvn_scan_vr_is_known(const char *vr);
bool lvn_scan_vr_is_long(const char *vr);
/* Is what comes next an element header of this coding, with another one or the end behind its value? */
bool lvn_scan_looks_like(struct lvn_scanner *s, const struct lvn_scan_level *level, struct lvn_error *err);

/* scan_sink.c: each does nothing without a sink. */
LVN_MUST_CHECK bool lvn_scan_sink_put(struct lvn_scan_sink *sink, const void *bytes, size_t count,
                                      struct lvn_error *err);
/* The header of a value that follows, of a sequence, or of an item. */
LVN_MUST_CHECK bool lvn_scan_sink_value_header(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                               struct lvn_error *err);
LVN_MUST_CHECK bool lvn_scan_sink_open(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                       enum lvn_scan_level_kind kind, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_scan_sink_fragment(struct lvn_scanner *s, uint32_t length, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_scan_sink_close(struct lvn_scanner *s, const struct lvn_scan_level *level,
                                        struct lvn_error *err);
/* Consume a value into the sink. */
enum lvn_scan_take lvn_scan_sink_copy(struct lvn_scanner *s, uint64_t bytes, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
