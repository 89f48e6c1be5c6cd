/* The small data sets of messages that carry no object (action and event information, identifiers of queries), in
 * little endian, explicit or implicit VR: written, and read in place without a tree. They come straight from a peer,
 * so reading is iterative and bounded in depth. Source: PS3.5 7. */
#ifndef LVN_DICOM_NET_SERVICES_ELEMENTS_H
#define LVN_DICOM_NET_SERVICES_ELEMENTS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_ELEMENTS_ITEM 0xFFFEE000U

/* Is the data set in explicit VR? Of the two uncompressed transfer syntaxes that such messages are sent in. */
bool lvn_elements_is_explicit(const char *transfer_syntax_uid);

/* Zeroed but for is_explicit; the caller lvn_free()s the bytes. A failure is kept until lvn_elements_check(). */
struct lvn_elements {
  uint8_t *bytes;
  size_t count;
  size_t capacity;
  bool is_explicit;
  bool is_failed;
  struct lvn_error failure;
};
/* Tags in ascending order within their level. `text` of a VR with 16 bits of length, padded as the VR wants. */
void lvn_elements_put_text(struct lvn_elements *elements, uint32_t tag, const char vr[3], const char *text);
void lvn_elements_put_u16(struct lvn_elements *elements, uint32_t tag, uint16_t value);
void lvn_elements_begin_sequence(struct lvn_elements *elements, uint32_t tag);
void lvn_elements_begin_item(struct lvn_elements *elements);
void lvn_elements_end_item(struct lvn_elements *elements);
void lvn_elements_end_sequence(struct lvn_elements *elements);
LVN_MUST_CHECK bool lvn_elements_check(const struct lvn_elements *elements, struct lvn_error *err);

struct lvn_element { /* borrowed */
  uint32_t tag;      /* LVN_ELEMENTS_ITEM: an item begins */
  uint32_t sequence; /* tag of the sequence whose items it is in; 0: in none */
  unsigned depth;    /* of sequences around it */
  const uint8_t *value;
  size_t count;
};
/* Visits every value that is no sequence, and every item. LVN_ERROR_DATA: the bytes are no data set, or nest deeper
 * than eight sequences. The visitor returns false (with `err`) to stop. In implicit VR, sequences of defined length are
 * known by the tags of storage commitment alone. */
LVN_MUST_CHECK bool lvn_elements_read(const uint8_t *bytes, size_t count, bool is_explicit,
                                      bool (*visit)(void *user_data, const struct lvn_element *element,
                                                    struct lvn_error *err),
                                      void *user_data, struct lvn_error *err);
/* The value as text, without padding; false, and "", when it does not fit. */
bool lvn_elements_get_text(const struct lvn_element *element, char *ret_text, size_t text_bytes);

#ifdef __cplusplus
}
#endif
#endif
