/* Data sets made by hand for the bounded scan, and what it is to say of them. */
#ifndef LVN_TESTS_SCAN_FIXTURE_H
#define LVN_TESTS_SCAN_FIXTURE_H

#include "base/file.h"
#include "dicom/scan/scan.h"
#include "tests/unit/dicom/dicom_bytes.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#include <zlib.h>

#define EXPLICIT "1.2.840.10008.1.2.1"
#define IMPLICIT "1.2.840.10008.1.2"
#define BIG_ENDIAN_EXPLICIT "1.2.840.10008.1.2.2"
#define DEFLATED "1.2.840.10008.1.2.1.99"

/* Wanted attributes; what comes behind is the case's. */
static inline void put_head(struct bytes *b) {
  put_text_element(b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
  put_text_element(b, 0x00080018u, "UI", "1.2.3.4");
  put_text_element(b, 0x00080060u, "CS", "CT");
  put_text_element(b, 0x00100020u, "LO", " PHANTOM-1 ");
  put_text_element(b, 0x00100021u, "LO", "SITE");
  put_text_element(b, 0x0020000Du, "UI", "1.2.3");
  put_text_element(b, 0x0020000Eu, "UI", "1.2.3.1");
}

static inline void put_implicit(struct bytes *b, uint32_t tag, const void *value, size_t length) {
  put_tag(b, tag);
  put_u32(b, (uint32_t)(length + (length & 1)));
  put_raw(b, value, length);
  put_raw(b, "", length & 1);
}

static inline void put_implicit_head(struct bytes *b) {
  static const struct {
    uint32_t tag;
    const char *value;
  } rows[] = {{0x00080016u, "1.2.840.10008.5.1.4.1.1.2"},
              {0x00080018u, "1.2.3.4"},
              {0x00080060u, "CT"},
              {0x00100020u, "PHANTOM-1"},
              {0x0020000Du, "1.2.3"},
              {0x0020000Eu, "1.2.3.1"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    put_implicit(b, rows[i].tag, rows[i].value, strlen(rows[i].value));
  }
}

static inline bool scan(const struct bytes *b, const char *syntax, struct lvn_scan *ret_scan, struct lvn_error *err) {
  return lvn_scan_dataset(b->data, b->count, true, syntax, ret_scan, err);
}

static inline void assert_refused(const struct bytes *b, const char *syntax, const char *reason) {
  struct lvn_scan found;
  struct lvn_error err = {0};
  assert_false(scan(b, syntax, &found, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  if (strstr(err.message, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, reason);
  }
}

/* Its identity is known, and why nobody may parse it. */
static inline void assert_not_parsed(const struct bytes *b, const char *syntax, const char *reason) {
  struct lvn_scan found;
  struct lvn_error err = {0};
  if (!scan(b, syntax, &found, &err)) {
    fail_msg("refused: %s", err.message);
  }
  assert_string_equal(found.sop_instance_uid, "1.2.3.4");
  assert_string_equal(found.study_instance_uid, "1.2.3");
  if (strstr(found.problem, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", found.problem, reason);
  }
}

/* Read as it is meant, by way of the mended copy. */
static inline void assert_mended(const struct bytes *b, const char *syntax) {
  struct lvn_scan found;
  struct lvn_error err = {0};
  if (!scan(b, syntax, &found, &err)) {
    fail_msg("refused: %s", err.message);
  }
  assert_string_equal(found.problem, "");
  assert_true(found.is_odd);
  assert_string_equal(found.series_instance_uid, "1.2.3.1");
}

static inline void deflate_window(const struct bytes *plain, struct bytes *packed, int window_bits) {
  uint8_t *out = NULL;
  struct lvn_error err;
  z_stream z = {0};
  size_t room = plain->count + 1024;
  out = lvn_alloc(room, 1, &err);
  assert_non_null(out);
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = plain->data;
  z.avail_in = (unsigned)plain->count;
  z.next_out = out;
  z.avail_out = (unsigned)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  put_raw(packed, out, room - z.avail_out);
  (void)deflateEnd(&z);
  lvn_free(out);
}

#endif
